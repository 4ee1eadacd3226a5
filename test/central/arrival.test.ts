/** What comes is judged before anything is stored; each kind of wrong message is refused with its reason. */
import { expect, test } from 'vitest';
import { judge } from '../../src/central/arrival.ts';
import { birth, block, gap, measuredDay } from '../support/central-messages.ts';

const up = (gateway = 'g', meter = 'm1', kind = 'profile') => `amr/v1/t/${gateway}/up/${meter}/${kind}`;
const octets = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const why = (topic: string, value: unknown) => {
  const arrival = judge(topic, octets(value));
  return arrival?.kind === 'unfit' ? arrival.why : (arrival?.kind ?? 'nothing');
};
const [channel] = block(1).channels;
const channelOf = (more: object) => ({ channels: [{ ...channel, ...more }] });

test('what fits: each kind by its topic; a message without content is none', () => {
  expect(why(up(), block(1))).toBe('fact');
  expect(why(up('g', 'm1', 'gap'), gap(1))).toBe('fact');
  expect(why(up('g', '_', 'event'), { v: 1, epoch: 5, seq: 1, gateway: 'g', kind: 'void', cause: 'SPLIT' })).toBe(
    'fact',
  );
  expect(why('amr/v1/t/g/birth', birth())).toBe('birth');
  expect(why('amr/v1/t/g/state', { v: 1, online: false, boot: 'b', at: null })).toBe('state');
  expect(why(up(), '')).toBe('nothing');
  // A capture beside the grid has its own length, and is not measured.
  const beside = {
    start: '2026-11-24T00:07:00Z',
    periodS: 3180.5,
    count: 1,
    ...channelOf({ register: [1], energy: [1] }),
  };
  const single = { status: [0], rev: [0], quality: ['UNCERTAIN/clock'] };
  expect(why(up(), { ...block(1), ...beside, ...single })).toBe('fact');
});

test.each<[string, object, RegExp]>([
  ['incident: rev shorter than count ended the process', { rev: [1] }, /^count: a column of another length/],
  ['energies shorter than count', channelOf({ energy: [1] }), /^count: a column of another length/],
  ['flags longer than count', { flags: [[], [], []] }, /^count: a column of another length/],
  ['a count beyond its columns', { count: 3 }, /^count: a column of another length/],
  ['incident: 30 February became 2 March', { start: '2026-02-30T00:00:00Z' }, /^start: no day of the calendar/],
  ['the 13th month', { start: '2026-13-01T00:00:00Z' }, /^start: no day of the calendar/],
  ['a local time', { start: '2026-02-03T00:00:00+02:00' }, /^start: .* expected/],
  ['the year 2126', { start: '2126-11-24T00:00:00Z' }, /^start: years 2000 to 2099 only/],
  ['the year 12026', { start: '+012026-02-03T00:00:00Z' }, /^start: .* expected/],
  ['more intervals than the century has', { start: '2099-12-31T23:00:00Z' }, /^count: intervals beyond the year 2099/],
  ['a start off the grid', { start: '2026-11-24T00:10:00Z' }, /^start: beside the grid of the period/],
  ['period 0', { periodS: 0 }, /^periodS: >0 expected/],
  ['a period as text', { periodS: '3600' }, /^periodS: number expected/],
  ['incident: 2^60 as a number was rounded', channelOf({ register: [2 ** 60, 1] }), /^channels\.0\.register\.0: /],
  ['a decimal string that is none', channelOf({ register: ['0x10', 1] }), /^channels\.0\.register\.0: /],
  ['two spellings of one number', channelOf({ register: ['007', 1] }), /^channels\.0\.register\.0: /],
  ['half a unit', channelOf({ energy: [0.5, 1] }), /^channels\.0\.energy\.0: /],
  ['one OBIS twice', { channels: [channel, channel] }, /^channels: one of them twice/],
  ['a quality that is none', { quality: ['GOOD', 'GOOD'] }, /^quality\.0: /],
  ['another version of the contract', { v: 2 }, /^v: 1 expected/],
  ['a number before the first', { seq: 0 }, /^seq: /],
  ['an epoch beyond all time', { epoch: 2 ** 53 - 1 }, /^epoch: /],
  ['another kind than the topic', { kind: 'poem' }, /^kind: /],
  ['a serial that is no text', { serial: { toString: 1 } }, /^serial: string expected/],
  ['a meter that is none', { meter: '../other' }, /^meter: /],
  ['longer than a payload may be', { clockTrust: 'x'.repeat(300_000) }, /^longer than a payload may be/],
])('%s: refused, with its number where that can be read', (_, more, expected) => {
  const arrival = judge(up(), octets({ ...block(3), ...more }));
  if (arrival?.kind !== 'unfit') throw new Error('taken');
  expect(arrival.why).toMatch(expected);
  const numbered = !('seq' in more) && !arrival.why.startsWith('longer');
  if (numbered && !('epoch' in more)) expect(arrival.number).toEqual({ epoch: 5, seq: 3 });
});

test('incident: a payload that names another gateway was taken, and that gateway acknowledged; siblings of the topic', () => {
  expect(why(up('other'), block(1))).toBe('gateway: another one than in the topic');
  expect(why('amr/v1/t/other/birth', birth())).toBe('gateway: another one than in the topic');
  expect(why(up('g', 'm2'), block(1))).toBe('meter: another one than in the topic');
  expect(why(up('g', 'm1', 'gap'), block(1))).toBe('kind: another one than in the topic');
  for (const topic of [
    'some/topic',
    'amr/v1/t/g',
    'amr/v2/t/g/birth',
    'amr/v1/t/g/up/m1',
    `${up()}/more`,
    'amr/v1/t/g/down/ack',
  ])
    expect(why(topic, block(1)), topic).toBe('no topic of the contract');
});
test('what is no message at all', () => {
  for (const text of ['{', 'null', '[]', '""', '1', '{"seq":1}', '\u0000', '{"v":1,"__proto__":{}}'])
    expect(judge(up(), octets(text)), text).toMatchObject({ kind: 'unfit', number: undefined });
});
const account = (more: object = {}, row: object = {}) => ({
  v: 1,
  epoch: 5,
  seq: 1,
  gateway: 'g',
  kind: 'manifest',
  day: '2026-11-24',
  part: 1,
  parts: 1,
  series: [
    {
      meter: 'm1',
      point: 'p',
      series: '1-0:99.1.0*255',
      ...measuredDay,
      digest: 'a'.repeat(64),
      ...row,
    },
  ],
  readAt: '2026-11-25T06:00:00Z',
  ...more,
});
test.each<[string, object, RegExp]>([
  ['a day that is none', account({ day: '2026-02-30' }), /^day: no day of the calendar/],
  ['a century as its day', account({}, { from: '2000-01-01T00:00:00Z' }), /^series: from and to lie within the day/],
  ['an end before its begin', account({}, { from: '2026-11-24T12:00:00Z', to: '2026-11-24T06:00:00Z' }), /^series: /],
  ['intervals without length', account({}, { periodS: 0 }), /^series\.0\.periodS: /],
  ['a thousand million intervals', account({}, { periodS: 1e-4 }), /^series\.0\.periodS: /],
  ['fewer than no intervals', account({}, { measured: -1 }), /^series\.0\.measured: /],
  ['a digest that is none', account({}, { digest: 'A'.repeat(64) }), /^series\.0\.digest: /],
])('incident: an account with %s is refused', (_, value, expected) => {
  expect(why(up('g', '_', 'manifest'), account())).toBe('fact');
  expect(why(up('g', '_', 'manifest'), value)).toMatch(expected);
});
test.each([0, -60, 1e-9, 0.5, 1e9])(
  'incident: a birth with intervals of %d s would have held up a worker for ever',
  (periodS) => {
    const [meter] = birth().meters;
    const value = birth({ meters: [{ ...(meter as object), series: [{ profile: 'x', periodS }] }] as never });
    expect(why('amr/v1/t/g/birth', value)).toMatch(/^meters\.0\.series\.0\.periodS: /);
  },
);
test('a gap that ends before it begins', () => {
  expect(why(up('g', 'm1', 'gap'), gap(1, { end: gap(1).start }))).toBe('end: not after start');
});
