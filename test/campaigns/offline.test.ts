/** The small dose of scripts/offline. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RealBroker, realBroker } from '../support/broker.ts';
import { offline } from './offline.ts';

let broker: RealBroker;
beforeAll(async () => {
  broker = await realBroker();
});
afterAll(() => broker.remove());

test('R21: two days of 10 quarter-hour meters without broker, then all of it once, within the rate limit', async () => {
  const rateLimit = 1000;
  const result = await offline({ days: 2, buses: 2, metersPerBus: 5, rateLimit, brokerUrl: broker.url });
  expect(result.problems).toEqual([]);
  expect(result.intervals).toBeGreaterThan(2000);
  expect(result.messages).toBeGreaterThan(1500);
  // A slow machine is slower, none is faster.
  expect(result.rate).toBeLessThan(1.05 * rateLimit);
});
