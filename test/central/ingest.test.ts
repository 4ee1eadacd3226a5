import { expect, test } from 'vitest';
import { ackOf, greet, newIngest, take } from '../../src/central/ingest.ts';

const up = (gateway: string, meter = 'm1', kind = 'profile') => `amr/v1/t/${gateway}/up/${meter}/${kind}`;
const block = (seq: number, more: object = {}) => ({
  v: 1,
  epoch: 5,
  seq,
  gateway: 'g',
  kind: 'profile',
  meter: 'm1',
  point: 'p',
  serial: 's',
  series: '1-0:99.1.0*255',
  start: '2026-11-24T00:00:00Z',
  periodS: 3600,
  count: 2,
  channels: [{ obis: '1-0:1.8.0*255', unit: 'Wh', scaler: 0, register: [1, 2], energy: [1, 1] }],
  status: [0, 0],
  quality: ['MEASURED', 'MEASURED'],
  rev: [1, 1],
  readAt: '2026-11-24T03:00:00Z',
  clockDeviationS: 0,
  clockTrust: 'kernel',
  ...more,
});
const octets = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
function greeted() {
  const state = newIngest();
  greet(state, { gateway: 'g', epoch: 5, acknowledged: 0 });
  return state;
}

test('incident: rev shorter than count ended the process; it is kept raw, shown, and acknowledged', () => {
  const state = greeted();
  expect(take(state, up('g'), octets(block(1, { rev: [1] })))).toBe('g');
  expect(take(state, up('g'), octets(block(2)))).toBe('g');
  expect(state.received.get('g')).toMatchObject({ upTo: 2, seen: 2 });
  expect(state.quarantine).toMatchObject([
    { number: { epoch: 5, seq: 1 }, why: expect.stringContaining('another length') },
  ]);
  expect(state.counters).toMatchObject({ unfit: 1, messages: 1 });
});

test('siblings: whatever is wrong with a message, those after it are acknowledged', () => {
  const { channels } = block(1);
  const wrong: object[] = [
    { start: '2026-02-30T00:00:00Z' },
    { start: '+012026-02-03T00:00:00Z' },
    { periodS: 0 },
    { periodS: '3600' },
    { count: 3 },
    { channels: [...channels, ...channels] },
    { channels: [{ ...channels[0], register: [2 ** 60, 1] }] },
    { channels: [{ ...channels[0], energy: [1] }] },
    { status: [] },
    { quality: ['GOOD', 'GOOD'] },
    { kind: 'poem' },
    { v: 2 },
    { clockTrust: 'x'.repeat(300_000) },
    { serial: { toString: 1 } },
    { meter: '__proto__' },
  ];
  const state = greeted();
  for (const [i, more] of wrong.entries()) take(state, up('g'), octets(block(i + 1, more)));
  take(state, up('g'), octets(block(wrong.length + 1)));
  expect(state.received.get('g')?.upTo).toBe(wrong.length + 1);
  expect(state.counters).toMatchObject({ unfit: wrong.length, messages: 1 });
  expect(state.quarantine).toHaveLength(wrong.length);
});

test('incident: a payload that names another gateway was taken, and that gateway acknowledged', () => {
  const state = greeted();
  greet(state, { gateway: 'other', epoch: 5, acknowledged: 0 });
  expect(take(state, up('other'), octets(block(1)))).toBe('other');
  expect(state.received.get('g')?.upTo).toBe(0);
  expect(state.values.size).toBe(0);
  expect(state.quarantine[0]?.why).toContain('another one than in the topic');
  // Its numbers make no sense for whom the topic names: only shown.
  expect(take(state, up('stranger'), octets(block(1)))).toBeUndefined();
  expect(take(state, up('g', 'm2'), octets(block(1)))).toBe('g');
  expect(state.values.size).toBe(0);
  expect(state.quarantine).toHaveLength(3);
});

test('a number that cannot be, in a message that is wrong, moves nothing; nor does one that cannot be read', () => {
  const state = greeted();
  for (const message of [
    block(2 ** 52, { rev: [] }),
    block(1, { epoch: 4, rev: [] }),
    '{',
    'null',
    '[]',
    '""',
    '{"seq":1}',
  ])
    expect(take(state, up('g'), octets(message))).toBeUndefined();
  expect(take(state, 'some/topic', octets(block(1)))).toBeUndefined();
  expect(state.received.get('g')).toMatchObject({ upTo: 0, seen: 0 });
  expect(state.counters.unfit).toBe(8);
});

test('10 000 messages that do not fit: so many are kept, all are counted', () => {
  const state = greeted();
  for (let i = 0; i < 10_000; i++) take(state, up('g'), octets(`no JSON ${i}`));
  expect(state.counters.unfit).toBe(10_000);
  expect(state.quarantine).toHaveLength(1000);
  expect(state.unfit.size).toBeLessThanOrEqual(100);
});

test('each birth is answered with what is held; an older epoch is told the later one and begins nothing', () => {
  const state = newIngest();
  expect(greet(state, { gateway: 'g', epoch: 5, acknowledged: 3 })).toEqual({ epoch: 5, upTo: 3, seen: 0, nack: [] });
  for (const seq of [4, 5, 9]) take(state, up('g'), octets(block(seq)));
  expect(greet(state, { gateway: 'g', epoch: 5, acknowledged: 3 })).toEqual({ epoch: 5, upTo: 5, seen: 9, nack: [] });
  expect(greet(state, { gateway: 'g', epoch: 4, acknowledged: 100 })).toEqual({ epoch: 5, upTo: 5, seen: 9, nack: [] });
  expect(greet(state, { gateway: 'g', epoch: 6, acknowledged: 0 })).toEqual({ epoch: 6, upTo: 0, seen: 0, nack: [] });
});

test('incident: a head-end restored from its backup hid its own loss: it goes on, and shows which numbers it lost', () => {
  const state = greeted();
  for (const seq of [1, 2, 3, 4, 5, 7]) take(state, up('g'), octets(block(seq)));
  greet(state, { gateway: 'g', epoch: 5, acknowledged: 100 });
  expect(state.losses).toEqual([{ gateway: 'g', epoch: 5, from: 6, to: 100 }]);
  take(state, up('g'), octets(block(101)));
  const received = state.received.get('g');
  expect(received && ackOf(received)).toMatchObject({ upTo: 101 });
});
