/** The line is used to its limit, in virtual time: the figures of `npm run bench`, which must not get worse. */
import { expect, test } from 'vitest';
import { dayFigures, virtualFigures } from '../bench/bench-bus.ts';

test('a month of rows: at least the bound of a client that takes one block a turn, at every turn-around and block size', async () => {
  for (const { ratio, turnaroundMs, block, window } of await virtualFigures([1, 7], [744]))
    expect(ratio, `${turnaroundMs} ms, ${block} octets, window ${window}`).toBeGreaterThan(1);
});
test('a day of rows: its one long request weighs more; never under 93 % of the bound', async () => {
  for (const { ratio, turnaroundMs, block } of await virtualFigures([1], [24]))
    expect(ratio, `${turnaroundMs} ms, ${block} octets`).toBeGreaterThan(0.93);
});
test('a meter-day takes no more turns and octets than the recorded clients took', async () => {
  const [theirStep, ourStep, wideStep, theirSession, ourSession, wideSession] = await dayFigures();
  const octets = (one: typeof ourStep) => (one ? one.sent + (one.received ?? 0) : Number.NaN);
  const turns = (one: typeof ourStep) => one?.turns ?? Number.NaN;
  expect(turns(ourStep)).toBeLessThanOrEqual(turns(theirStep));
  expect(octets(ourStep)).toBeLessThan(octets(theirStep));
  expect(turns(wideStep)).toBe(1);
  expect(turns(ourSession)).toBeLessThanOrEqual(turns(theirSession));
  expect(octets(ourSession)).toBeLessThan(octets(theirSession));
  expect(turns(wideSession)).toBe(6);
});
