/** The rows of a slice are read with both edges of every gap in it; what is lost, or will be, is said. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { dayMs, hourMs, later, millis } from '../../src/base/time.ts';
import type { Session } from '../../src/meter/session.ts';
import type { EventFact, GapFact, ReadingFact } from '../../src/reading/facts.ts';
import type { Exceptions } from '../../src/reading/ledger.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import type { PolledSeries } from '../../src/schedule/meter-state.ts';
import { answerReadRequests } from '../../src/schedule/registers.ts';
import { readSlice } from '../../src/schedule/series.ts';
import type { SeriesState } from '../../src/store/records.ts';
import { refuse } from '../support/odd-meters.ts';
import { noon, profile, quarters } from '../support/port-world.ts';
import { quartersSince, sessionWorld } from '../support/session-world.ts';

const at = (hours: number) => millis(noon + hours * hourMs);
type World = Awaited<ReturnType<typeof sessionWorld>>;
const slice = (from: number, to: number, series = quarters.series) => ({
  series,
  from: at(from),
  to: at(to),
  live: true,
});
const read = (it: World, from: number, to: number, series?: PolledSeries['series']) =>
  it.visit((session: Session) => readSlice(it.house, it.state, session, slice(from, to, series)));
const factsOf = async <K extends string>(it: World, kind: K) => (await it.facts()).filter((fact) => fact.kind === kind);
const gaps = async (it: World) =>
  ((await factsOf(it, 'gap')) as GapFact[]).map(({ start, end, cause }) => `${start} ${end} ${cause}`);

test('a slice: its rows and the one before it are asked for once, and stored with the registers of the day', async () => {
  const it = await sessionWorld([quartersSince(4 * hourMs)]);
  await read(it, -2, 0);
  expect(it.asked()).toEqual(['24T10:00–24T12:00']);
  expect(await it.names()).toEqual(['profile', 'reading']);
  expect(it.stored()).toMatchObject({ coverage: [[at(-2), at(0)]], newest: { end: at(0) }, serial: 's-a' });
});

describe('a gap is told whole, with the rows at both its edges', () => {
  // Nothing is written between 08:15 and 11:00.
  const dark = [{ kind: 'power-cut' as const, meter: 0, from_s: -(3 * 60 + 55) * 60, to_s: -3600 }];
  const whole = '2026-11-24T08:15:00Z 2026-11-24T10:45:00Z OUTAGE';

  test('a slice in the middle of it looks for both edges further on', async () => {
    const it = await sessionWorld([quartersSince(6 * hourMs)], { fault: dark });
    await read(it, -3, -2);
    expect(it.asked()).toEqual(['24T09:00–24T10:00', '24T06:00–24T08:45', '24T10:15–24T12:00']);
    expect(await gaps(it)).toEqual([whole]);
    expect(it.stored()?.coverage).toEqual([[at(-6), at(0)]]);
  });
  test('a slow line looks in small steps, each twice the one before', async () => {
    const it = await sessionWorld([quartersSince(6 * hourMs)], { fault: dark });
    it.state.sliceRows.set(quarters.series, { rows: 1 });
    await read(it, -2.75, -2.25);
    // As the answers come soon, a request may ask for four rows.
    expect(it.asked()).toEqual(['24T09:15–24T09:45', '24T08:15–24T09:00', '24T10:00–24T10:45', '24T11:00–24T12:00']);
    expect(await gaps(it)).toEqual([whole]);
  });
  const run = (state: Exceptions[number][2]): Exceptions => [[at(-3.75), at(-3), state]];
  const installedAt = (hours: number) => ({ at: at(hours), from: 'old', final: {}, first: {}, before: undefined });
  test.each<[string, Pick<SeriesState, 'exceptions' | 'swap'>, string | undefined]>([
    ['not beyond what is accounted for', {}, undefined],
    [
      'across what was told as missing before, for more is known of it now',
      { exceptions: run('MISSING') },
      '24T08:15–24T08:45',
    ],
    ['not across a gap of another kind', { exceptions: run('LOST') }, undefined],
    [
      'not before the meter hung here: the one before it says no more',
      { exceptions: run('MISSING'), swap: installedAt(-3.4) },
      '24T08:30–24T08:45',
    ],
  ])('%s', async (_, more, before) => {
    const it = await sessionWorld([quartersSince(6 * hourMs)], { fault: dark });
    const known: SeriesState = { since: at(-6), coverage: [[at(-4), at(-3)]], serial: 's-a', ...more };
    await it.store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state: known });
    await read(it, -3, -2.75);
    const edges = before === undefined ? [] : [before];
    expect(it.asked()).toEqual(['24T09:00–24T09:15', ...edges, '24T09:30–24T12:00']);
  });
  test('for a month at most', async () => {
    const it = await sessionWorld([quartersSince(40 * dayMs)]);
    it.misbehaves({ rows: () => [] });
    await read(it, -1, 0);
    // 1, 2, 4, 8 and 16 days back; the newest row may be written late.
    expect(it.stored()?.coverage).toEqual([[at(-1) - 31 * dayMs, at(-0.25)]]);
  });
});

describe('R16: what the buffer no longer has, or soon will not', () => {
  const oneDay = { meters: { depth_days: 1, history_days: 10 } };
  const lost = async (it: World) => (await gaps(it)).filter((gap) => gap.endsWith('LOST'));

  test('is told with its bounds at once, whatever slice is read, and is not asked for', async () => {
    const it = await sessionWorld([quartersSince(2 * dayMs)], oneDay);
    await read(it, -30, -20);
    expect(it.asked()).toEqual(['entries 1–1', '23T12:15–23T12:15', '23T12:00–23T16:00']);
    expect(await lost(it)).toEqual(['2026-11-22T12:00:00Z 2026-11-23T12:00:00Z LOST']);
    expect((await it.facts()).filter((fact) => fact.kind === 'event')).toMatchObject([
      { name: 'DATA_AT_RISK', detail: { series: '1-0:99.1.0*255', oldest: '2026-11-22T12:00:00Z', reachS: 86_400 } },
    ]);
    expect(it.stored()?.coverage).toEqual([[at(-48), at(-20)]]);
  });
  test('a slice of what is lost alone asks for nothing more', async () => {
    const it = await sessionWorld([quartersSince(2 * dayMs)], oneDay);
    await read(it, -48, -40);
    expect(it.asked()).toEqual(['entries 1–1', '23T12:15–23T12:15']);
    expect(it.stored()?.coverage).toEqual([[at(-48), at(-23.75)]]);
  });
  test('at risk is said once, until all of it was read', async () => {
    const it = await sessionWorld([quartersSince(20 * hourMs)], oneDay);
    await read(it, -10, -9);
    await read(it, -9, -8);
    expect((await it.names()).filter((name) => name === 'DATA_AT_RISK')).toHaveLength(1);
    expect(await lost(it)).toEqual([]);
    await read(it, -20, 0);
    expect([...it.state.atRisk]).toEqual([quarters.series]);
    await read(it, -1, 0);
    expect([...it.state.atRisk]).toEqual([]);
  });
  test('what is younger than four fifths of its reach is no risk, and its oldest row is not asked for', async () => {
    const it = await sessionWorld([quartersSince(19 * hourMs)], oneDay);
    await read(it, -1, 0);
    expect(it.asked()).toEqual(['24T11:00–24T12:00']);
    expect(await it.names()).not.toContain('DATA_AT_RISK');
  });
  test('where the oldest row cannot be had the risk is said, nothing is called lost, and the rows are read', async () => {
    const it = await sessionWorld([quartersSince(2 * dayMs)], oneDay);
    it.misbehaves({ select: (selection) => (selection.selector === 2 ? { refused: 3 } : selection) });
    await read(it, -1, 0);
    expect(await it.names()).toEqual(['DATA_AT_RISK', 'profile', 'reading']);
    expect([...it.state.troubles.keys()]).toEqual(['oldest row of 1-0:99.1.0*255']);
    expect(it.stored()?.coverage).toEqual([[at(-1), at(0)]]);
  });
});

describe('the meter captures with another period than its series', () => {
  const hours = { meters: { period_s: 3600 } } as const;
  test('is a failure of the configuration, and the next session asks the meter again', async () => {
    const it = await sessionWorld([quarters], hours);
    await expect(read(it, -1, 0)).rejects.toThrow('captures every 3600 s, the configuration says 900 s');
    expect([it.state.layouts.size, await it.names(), it.asked()]).toEqual([0, [], []]);
    it.meter.capturePeriodS = 900;
    await read(it, -1, 0);
    expect(await it.names()).toEqual(['profile', 'reading']);
  });
  test('a series whose period it is not told yet waits without a word', async () => {
    const later900 = { ...quarters, series: seriesKey(profile, 900), after: quarters.series };
    const it = await sessionWorld([later900], hours);
    await read(it, -1, 0, later900.series);
    expect([await it.names(), it.asked(), it.stored()]).toEqual([[], [], undefined]);
  });
  test('of a series that has ended is lost what was not read before, and nothing else', async () => {
    const it = await sessionWorld([{ ...quartersSince(6 * hourMs), until: at(-1) }]);
    await read(it, -5, -3);
    it.asked();
    it.meter.capturePeriodS = 3600;
    it.state.layouts.clear();
    await read(it, -6, -1);
    expect(await gaps(it)).toEqual([
      '2026-11-24T06:00:00Z 2026-11-24T07:00:00Z LOST',
      '2026-11-24T09:00:00Z 2026-11-24T11:00:00Z LOST',
    ]);
    expect(it.asked()).toEqual([]);
  });
});

test('rows that cannot be decoded: the layout is read anew the next time, for its columns may have changed', async () => {
  const it = await sessionWorld([quarters]);
  await read(it, -1, -0.5);
  expect(it.state.layouts.size).toBe(1);
  it.misbehaves({ buffer: () => ({ type: 'array', value: [{ type: 'boolean', value: true }] }) });
  await expect(read(it, -0.5, 0)).rejects.toMatchObject({ code: 'malformed-octets' });
  expect(it.state.layouts.size).toBe(0);
  expect(it.stored()?.coverage).toEqual([[at(-1), at(-0.5)]]);
});

describe('R39: registers as the display shows them', () => {
  const readings = async (it: World) => (await factsOf(it, 'reading')) as ReadingFact[];

  test('once a day with the first rows', async () => {
    const it = await sessionWorld([quarters]);
    for (const from of [-1, -0.75, -0.5]) await read(it, from, from + 0.25);
    expect((await readings(it)).map(({ readAt }) => readAt.slice(0, 16))).toEqual(['2026-11-24T12:00']);
    await it.clock.run(later(noon, dayMs - hourMs));
    await read(it, -0.25, 0);
    expect(await readings(it)).toHaveLength(1);
    await it.clock.run(later(noon, dayMs + hourMs));
    await read(it, 0, 1);
    expect(await readings(it)).toHaveLength(2);
    const [first] = await readings(it);
    const now = it.meter.curve.register(0, noon);
    expect(first?.registers['1-0:1.8.0*255']).toMatchObject({ scaler: 0, unit: 'Wh' });
    expect(Number(first?.registers['1-0:1.8.0*255']?.raw)).toBeGreaterThanOrEqual(now);
  });
  test('where the meter falls silent at them the rows are stored, and it is asked again tomorrow', async () => {
    const it = await sessionWorld([quarters]);
    await read(it, -1, -0.75);
    it.state.readingAt = undefined;
    await it.visit((session) => {
      // It answers nothing but rows.
      it.misbehaves({ answer: (octets, request) => (request.includes(99) ? octets : undefined) });
      return readSlice(it.house, it.state, session, slice(-0.75, -0.5));
    });
    expect(await it.names()).toEqual(['profile', 'reading', 'profile']);
    expect(it.state.troubles.get('registers')).toBeInstanceOf(Failure);
    expect(it.state.readingAt).toBeDefined();
  });
  /** Two who wait; what each got. */
  function waiting(it: World) {
    const got: string[] = [];
    for (const who of ['first', 'second'])
      it.state.readRequests.push({
        resolve: ({ kind }) => got.push(`${who} ${kind}`),
        reject: ({ code }) => got.push(`${who} ${code}`),
      });
    return got;
  }
  const answer = (it: World) => it.visit((session) => answerReadRequests(it.house, it.state, session));
  test('all who ask get one reading, which is delivered as well', async () => {
    const it = await sessionWorld([quarters]);
    const got = waiting(it);
    await answer(it);
    expect(got).toEqual(['first reading', 'second reading']);
    expect([await it.names(), it.state.readRequests]).toEqual([['reading'], []]);
    expect(it.state.readingAt).toBeDefined();
  });
  test('where there is none they get the reason', async () => {
    const it = await sessionWorld([quarters]);
    const got = waiting(it);
    await it.visit((session) => {
      it.misbehaves(refuse(3));
      return answerReadRequests(it.house, it.state, session);
    });
    expect(got).toEqual(['first access-refused', 'second access-refused']);
    expect(await readings(it)).toEqual([]);
  });
  test('what the store does not take is no answer yet', async () => {
    const it = await sessionWorld([quarters]);
    const got = waiting(it);
    it.database.failing = new Error('EIO');
    await expect(answer(it)).rejects.toThrow(Failure);
    expect([got, it.state.readRequests.length]).toEqual([[], 2]);
  });
});

test('an event that waits is stored with the rows of the slice, before them', async () => {
  const it = await sessionWorld([quarters]);
  it.misbehaves({ scalerUnit: () => ({ refused: 3 }) });
  await read(it, -1, 0);
  const [first] = (await factsOf(it, 'event')) as EventFact[];
  expect(first?.name).toBe('SCALER_UNKNOWN');
  expect((await it.names()).indexOf('SCALER_UNKNOWN')).toBeLessThan((await it.names()).indexOf('profile'));
  expect(it.state.pendingEvents).toEqual([]);
});
