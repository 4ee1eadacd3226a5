/** What the head-end got of a virtual house, and what its status shows. */
import { expect } from 'vitest';
import type { UpPayload } from '../../src/contract/payloads.ts';
import type { VirtualHouse } from './virtual-house.ts';

export const hourMs = 3_600_000;
export const minute = 60_000;

export const factsOf = <K extends UpPayload['kind']>(it: VirtualHouse, kind: K) =>
  it.broker.published
    .filter(({ topic }) => topic.includes('/up/'))
    .map(({ payload }) => JSON.parse(payload) as UpPayload)
    .filter((payload): payload is UpPayload & { kind: K } => payload.kind === kind);
export const eventsOf = (it: VirtualHouse, name: string) => factsOf(it, 'event').filter((event) => event.name === name);
/** What status shows of a meter of the first port. */
export const statusOf = async (it: VirtualHouse, index = 0) => {
  const meter = (await it.house.snapshot()).ports[0]?.meters[index];
  if (!meter) throw new Error('no such meter');
  return meter;
};

/** Everything that these meters stored up to a short while ago is at the head-end, and equals the truth. */
export const complete = (it: VirtualHouse, meters: number[], graceMs = 2 * minute) => {
  const compared = it.compare(graceMs);
  for (const meter of meters) {
    const one = compared.get(meter) as { expected: number; right: number; wrong: string[] };
    expect(one.wrong, `meter ${meter}`).toEqual([]);
    expect(one.right, `meter ${meter}`).toBe(one.expected);
    expect(one.expected).toBeGreaterThan(0);
  }
  expect(it.ingest.counters.conflicts).toBe(0);
  expect(it.ingest.counters.unfit).toBe(0);
};
