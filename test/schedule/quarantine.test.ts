/** What was held back of a meter that is configured now: which of it becomes the series of its point. */
import { expect, test } from 'vitest';
import { iso, millis } from '../../src/base/time.ts';
import { gatewayFact } from '../../src/reading/facts.ts';
import type { GapFact } from '../../src/reading/facts.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import { freshState, type PolledMeter } from '../../src/schedule/meter-state.ts';
import { releaseHeld } from '../../src/schedule/quarantine.ts';
import { noon, polled, portWorld, profile, quarterMs, quarters } from '../support/port-world.ts';

const hour = 3_600_000;
const held = (from: number, to: number, more: Partial<GapFact> = {}): GapFact => ({
  kind: 'gap',
  meter: 'a~s-a',
  point: '',
  serial: 's-a',
  series: '1-0:99.1.0*255',
  start: iso(millis(from)),
  end: iso(millis(to)),
  cause: 'MISSING',
  before: null,
  after: null,
  rev: 0,
  readAt: iso(noon),
  ...more,
});
async function world(more: Partial<PolledMeter> = {}, serial = 's-a') {
  const made = await portWorld([polled('a', more), polled('b')]);
  const { house, store } = made;
  const state = { since: 0, coverage: [] };
  const stranger = { meter: 'a~s-a', series: quarters.series, entryClass: 1, state } as const;
  const hold = (facts: readonly GapFact[]) => store.commit({ ...stranger, facts, quarantine: { meter: 'a', serial } });
  const release = () => releaseHeld(house, house.meters.map(freshState));
  return { ...made, hold, release };
}

test('R32: it becomes the series of its point, under its meter, with its marks; and nothing stays held', async () => {
  const { hold, release, facts, store } = await world();
  await hold([held(noon, noon + 2 * quarterMs)]);
  expect(await facts()).toEqual([]);
  await release();
  expect(await facts()).toMatchObject([{ kind: 'gap', meter: 'a', point: 'p-a', serial: 's-a', start: iso(noon) }]);
  const marks = await store.marks('a', quarters.series, noon, noon + hour);
  expect([...marks.keys()]).toEqual([noon, noon + quarterMs]);
  expect(await store.quarantined()).toEqual([]);
  await release();
  expect(await facts()).toHaveLength(1);
});

test('what hangs elsewhere stays held: another serial number is another meter', async () => {
  const { hold, release, facts, store } = await world({}, 'X9');
  await hold([held(noon, noon + quarterMs)]);
  await release();
  expect(await facts()).toEqual([]);
  expect(await store.quarantined()).toHaveLength(1);
});

test('R33: what it counted before it was put up is dropped, and so is what belongs to no series', async () => {
  const swap = { at: noon, from: 'old', final: {}, first: {} };
  const { hold, release, facts, store } = await world({ swap });
  await hold([
    held(noon - quarterMs, noon),
    held(noon, noon + quarterMs),
    held(noon, noon + quarterMs, { series: '1-0:99.2.0*255' }),
  ]);
  await release();
  expect(await facts()).toMatchObject([{ kind: 'gap', start: iso(noon), series: '1-0:99.1.0*255' }]);
  expect(await store.quarantined()).toEqual([]);
});

test('events of the other meter are not of this point', async () => {
  const { house, store, facts, release } = await world();
  const event = gatewayFact(house.clock.wall(), 'COMM_FAULT', { from: iso(noon), to: iso(noon) });
  const state = { since: 0, coverage: [] };
  const quarantine = { meter: 'a', serial: 's-a' };
  await store.commit({ meter: 'a~s-a', series: quarters.series, entryClass: 1, facts: [event], state, quarantine });
  await release();
  expect(await facts()).toEqual([]);
});

test('R35: each interval goes to the series of its time, with the marks of its period', async () => {
  const hours = seriesKey(profile, 3600);
  const next = { ...quarters, series: hours, periodMs: hour, since: noon, after: quarters.series };
  const { hold, release, store } = await world({ series: [{ ...quarters, until: noon }, next] });
  await hold([held(noon - hour, noon), held(noon, noon + 2 * hour)]);
  await release();
  const marks = async (series: typeof hours) => [
    ...(await store.marks('a', series, noon - hour, noon + 2 * hour)).keys(),
  ];
  expect(await marks(quarters.series)).toEqual([4, 3, 2, 1].map((ago) => noon - ago * quarterMs));
  expect(await marks(hours)).toEqual([noon, noon + hour]);
});
