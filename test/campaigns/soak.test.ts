/** The small dose of scripts/soak: what rises there is told there; here every meter-hour must come through a real store and broker. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RealBroker, realBroker } from '../support/broker.ts';
import { soak } from './soak.ts';

let broker: RealBroker;
beforeAll(async () => {
  broker = await realBroker(['set_tcp_nodelay true']);
});
afterAll(() => broker.remove());

test('two days of 12 meters on a real disk and a real broker that restarts: every meter-hour once, no file stays open', async () => {
  const { problems, intervals, samples } = await soak({ buses: 3, metersPerBus: 4, days: 2, broker });
  expect(problems).toEqual([]);
  expect(intervals).toBeGreaterThan(12 * 60);
  const [first, last] = [samples[1], samples.at(-1)];
  expect((last?.files ?? 0) - (first?.files ?? 0)).toBeLessThan(4);
});
