/** Sessions that end well and account for nothing are held ever more seldom, and no other is. */
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { later, millis } from '../../src/base/time.ts';
import { withProgress } from '../../src/schedule/fruitless.ts';
import { freshState } from '../../src/schedule/meter-state.ts';
import { noon, polled, portWorld, quarterMs, quarters } from '../support/port-world.ts';

async function world() {
  const made = await portWorld([polled('a')]);
  const { house, store, clock } = made;
  const state = freshState(polled('a'));
  const slice = { series: quarters.series, from: millis(noon - quarterMs), to: noon, live: true };
  /** How long the meter is left alone after a turn. */
  const pause = async (turn: () => Promise<void> = () => Promise.resolve(), slices = [slice]) => {
    await withProgress(house, state, slices, turn);
    return Math.max(0, state.notBefore - clock.now());
  };
  const accounted = (to: number) =>
    store.commit({
      meter: 'a',
      series: quarters.series,
      entryClass: 0,
      facts: [],
      state: { since: noon - quarterMs, coverage: [[noon - quarterMs, to]] },
    });
  return { ...made, state, pause, accounted };
}

test('twenty seconds, twice as long each time, and ten minutes at most', async () => {
  const { pause } = await world();
  const pauses: number[] = [];
  for (let i = 0; i < 7; i++) pauses.push((await pause()) / 1000);
  expect(pauses).toEqual([20, 40, 80, 160, 320, 600, 600]);
});
test('whatever was accounted for begins it anew', async () => {
  const { pause, accounted, clock, state } = await world();
  await pause();
  await pause();
  await clock.run(later(clock.now(), 60_000));
  expect(await pause(() => accounted(noon))).toBe(0);
  expect(state.fruitless).toBe(0);
  expect(await pause()).toBe(20_000);
});
test('a turn without rows to read, and one that fails, are other matters', async () => {
  const { pause, state } = await world();
  expect(await pause(undefined, [])).toBe(0);
  const failing = () => {
    state.failures = 1;
    return Promise.resolve();
  };
  expect(await pause(failing)).toBe(0);
});
test('a longer pause that somebody else gave stands', async () => {
  const { pause, state, clock } = await world();
  state.notBefore = later(clock.now(), 3_600_000);
  expect(await pause()).toBe(3_600_000);
});
test('what a turn throws is thrown', async () => {
  const { pause } = await world();
  await expect(pause(() => Promise.reject(new Failure('store-failed', 'x')))).rejects.toThrow('x');
});
