/** What is said of meters that answer or do not: what was observed, and the events that come of it. */
import { expect, test } from 'vitest';
import { type ErrorCode, Failure } from '../../src/base/errors.ts';
import { longAgo, millis } from '../../src/base/time.ts';
import type { EventFact } from '../../src/reading/facts.ts';
import { freshState, type MeterState } from '../../src/schedule/meter-state.ts';
import { tellReachability } from '../../src/schedule/telling.ts';
import { noon, polled, portWorld } from '../support/port-world.ts';

const minute = 60_000;
const at = (minutes: number) => millis(noon + minutes * minute);
const clean = { damaged: 0, repeated: 0 };
const session = { qualityWindow: [clean] };
const well = (minutes: number): Partial<MeterState> => ({
  ...session,
  failures: 0,
  lastError: undefined,
  lastSuccess: at(minutes),
});
const failed = (code: ErrorCode, failures: number, silentSince: number): Partial<MeterState> => ({
  ...session,
  failures,
  lastError: new Failure(code, 'why'),
  silentSince: at(silentSince),
});
const silent = (failures: number, since: number) => failed('no-answer', failures, since);
const mismatch = (serial: string): Partial<MeterState> => ({
  ...session,
  failures: 1,
  silentSince: at(0),
  lastError: new Failure('identity-mismatch', `meter ${serial} where a is configured`, { foundSerial: serial }),
});

/** Meters of one line; each step is what is known of them then, by id. Gives what each step says. */
async function telling(meters: readonly string[]) {
  const world = await portWorld(meters.map((meter) => polled(meter)));
  const { house, store, clock } = world;
  const states = new Map(house.meters.map((one) => [one.origin.meter, freshState(one)]));
  const line = { silentNotBefore: longAgo, busFaultReported: false, states };
  let heard = 0;
  const eventsAfter = async (minutes: number, observed: Readonly<Record<string, Partial<MeterState>>>) => {
    await clock.run(at(minutes));
    for (const [meter, one] of Object.entries(observed)) Object.assign(states.get(meter) as MeterState, one);
    await tellReachability(house, line);
    const facts = (await world.facts()) as EventFact[];
    const fresh = facts.slice(heard);
    heard = facts.length;
    return fresh;
  };
  const names = async (...step: Parameters<typeof eventsAfter>) =>
    (await eventsAfter(...step)).map(({ meter, name }) => `${meter} ${name}`);
  const state = (meter: string) => states.get(meter) as MeterState;
  return { ...world, line, eventsAfter, names, state, store };
}

test('R23: all silent is one event of the bus, said once, and its end; no meter is blamed', async () => {
  const { names, state, line } = await telling(['a', 'b']);
  expect(await names(0, { a: well(0), b: well(0) })).toEqual([]);
  expect(await names(15, { a: silent(1, 15), b: silent(1, 15) })).toEqual(['_ BUS_FAULT']);
  expect(await names(30, { a: silent(5, 15), b: silent(4, 15) })).toEqual([]);
  state('b').notBefore = at(900);
  expect(await names(45, { a: well(45) })).toEqual(['_ BUS_ANSWERS']);
  // Everybody is asked again soon, and judged anew.
  expect([state('b').failures, state('b').notBefore, line.silentNotBefore]).toEqual([1, at(45), at(45)]);
  expect(await names(46, { b: well(46) })).toEqual([]);
});

test('R24: one silent meter is told with its second failure, when a neighbour answered since', async () => {
  const { names, eventsAfter } = await telling(['a', 'b']);
  await names(0, { a: well(0), b: well(0) });
  expect(await names(15, { a: silent(1, 15) })).toEqual([]);
  // Nobody else was asked since: it may be the bus.
  expect(await names(16, { a: silent(2, 15) })).toEqual([]);
  const [event, ...others] = await eventsAfter(17, { a: silent(4, 15), b: well(17) });
  expect(others).toEqual([]);
  expect(event).toMatchObject({ meter: 'a', name: 'SUSPECT_MAINS_OR_METER' });
  expect(event?.detail).toMatchObject({
    state: 'UNREACHABLE',
    lastSeen: '2026-11-24T12:00:00Z',
    failures: 4,
    confidence: 'high',
    evidence: 'no-answer',
  });
  expect(await names(18, { a: silent(5, 15) })).toEqual([]);
});

test('alone on its line, a meter is told without a neighbour; its first failure says nothing', async () => {
  const { names } = await telling(['a']);
  expect(await names(1, { a: silent(1, 0) })).toEqual([]);
  expect(await names(2, { a: silent(2, 0) })).toEqual(['a SUSPECT_MAINS_OR_METER']);
});

test('that it fell silent in a session says nothing the first time; a refusal is said at once', async () => {
  const { names } = await telling(['a', 'b']);
  expect(await names(1, { a: failed('fell-silent', 1, 0), b: failed('authentication-refused', 1, 0) })).toEqual([
    'b SECURITY_FAULT',
  ]);
  expect(await names(2, { a: failed('fell-silent', 2, 0) })).toEqual(['a METER_FAULT']);
});

test('R32: another meter is told, and a third one in its place again; the same one is not', async () => {
  const { names, eventsAfter } = await telling(['a']);
  const [first] = await eventsAfter(1, { a: mismatch('X1') });
  expect(first).toMatchObject({ name: 'IDENTITY_MISMATCH', detail: { state: 'FAULT', foundSerial: 'X1' } });
  expect(await names(2, { a: mismatch('X1') })).toEqual([]);
  expect((await eventsAfter(3, { a: mismatch('X2') })).map(({ detail }) => detail)).toMatchObject([
    { foundSerial: 'X2' },
  ]);
});

test.each([
  ['R25: its log shows that the mains was off', [[at(14), at(29)] as const], 'a MAINS_OFF', at(14), at(29)],
  ['R26: its log shows nothing of the kind', [], 'a COMM_FAULT', at(15), at(30)],
  ['the mains was off long before', [[at(-90), at(-60)] as const], 'a COMM_FAULT', at(15), at(30)],
] as const)('a meter that was told as silent answers: %s', async (_, dark, expected, from, to) => {
  const { names, eventsAfter, store, state } = await telling(['a']);
  await names(0, { a: well(0) });
  expect(await names(16, { a: silent(2, 15) })).toEqual(['a SUSPECT_MAINS_OR_METER']);
  await store.commit({ meter: 'a', entryClass: 0, facts: [], logs: { ...store.meterLogs('a'), dark } });
  const events = await eventsAfter(30, { a: { ...well(30), lastSuccessBefore: at(0) } });
  expect(events.map(({ meter, name }) => `${meter} ${name}`)).toEqual(['a REACHABLE', expected]);
  expect(events[0]?.detail).toMatchObject({ before: 'SUSPECT_MAINS_OR_METER' });
  const stamp = (when: number) => new Date(when).toISOString().replace('.000Z', 'Z');
  expect(events[1]?.detail).toEqual({ from: stamp(from), to: stamp(to) });
  expect(state('a').silentSince).toBeUndefined();
  expect(await names(31, { a: well(31) })).toEqual([]);
});

test('a silence that nobody was told of ends without a word', async () => {
  const { names, state } = await telling(['a', 'b']);
  await names(0, { a: well(0), b: well(0) });
  expect(await names(15, { a: silent(1, 15) })).toEqual([]);
  expect(await names(20, { a: well(20), b: well(20) })).toEqual([]);
  expect(state('a').silentSince).toBeUndefined();
});

test('a meter that is not polled is told once with the next step, and the others are judged without it', async () => {
  const unusable = new Failure('config-invalid', 'x'.repeat(400), { next: 'mend it' });
  const world = await portWorld([polled('a'), polled('b'), polled('c', { unusable })]);
  const states = new Map(world.house.meters.map((one) => [one.origin.meter, freshState(one)]));
  const line = { silentNotBefore: longAgo, busFaultReported: false, states };
  for (const meter of ['a', 'b']) Object.assign(states.get(meter) as MeterState, silent(2, 0));
  for (let time = 0; time < 2; time++) await tellReachability(world.house, line);
  const events = (await world.facts()) as EventFact[];
  expect(events.map(({ meter, name }) => `${meter} ${name}`)).toEqual(['_ BUS_FAULT', 'c CONFIG_FAULT']);
  expect(events[0]?.detail).toEqual({ port: 'bus', meters: 2 });
  expect(events[1]?.detail).toEqual({
    state: 'FAULT',
    evidence: 'config-invalid',
    why: 'x'.repeat(300),
    next: 'mend it',
  });
});

test('a store that fails keeps nobody from being judged; what changes next is said', async () => {
  const { names, state, database, house, line } = await telling(['a']);
  await names(0, { a: well(0) });
  database.failing = new Error('EIO');
  Object.assign(state('a'), failed('authentication-refused', 1, 1));
  await tellReachability(house, line);
  database.failing = undefined;
  expect(state('a').reportedVerdict).toBe('SECURITY_FAULT');
  expect(await names(2, {})).toEqual([]);
  expect(await names(3, { a: well(3) })).toEqual(['a REACHABLE']);
});
