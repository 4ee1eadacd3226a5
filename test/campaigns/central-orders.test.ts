/** The small doses of scripts/central-orders and scripts/central-fuzz. */
import { expect, test } from 'vitest';
import { engines } from '../support/central-engines.ts';
import { centralFuzz } from './central-fuzz.ts';
import { centralOrders } from './central-orders.ts';

test.each([
  ['sqlite', 15],
  ['postgres', 4],
] as const)(
  '%s: messages in %i orders, doubled and split over two workers: the same store to the octet',
  async (kind, orders) => {
    const made = await engines(kind);
    const { engine, again } = await made.fresh();
    const workers = kind === 'sqlite' ? [engine, engine] : [engine, await again()];
    const { problems, octets } = await centralOrders(workers, { orders });
    await made.close();
    expect(problems).toEqual([]);
    expect(octets).toBeGreaterThan(50_000);
  },
);
test('5 000 damaged messages: none ends the receiver, and the next one is acknowledged', async () => {
  const { problems, taken, refused, reasons } = await centralFuzz({ inputs: 5000, seed: 3 });
  expect(problems).toEqual([]);
  expect([taken > 500, refused > 2000, reasons > 100]).toEqual([true, true, true]);
});
