/** What the head-end got of a virtual house, and what its status shows. */
import type { UpPayload } from '../../src/forward/payload.ts';
import type { VirtualHouse } from './virtual-house.ts';

export const hourMs = 3_600_000;

export const factsOf = <K extends UpPayload['kind']>(it: VirtualHouse, kind: K) =>
  it.broker.published
    .filter(({ topic }) => topic.includes('/up/'))
    .map(({ payload }) => JSON.parse(payload) as UpPayload)
    .filter((payload): payload is UpPayload & { kind: K } => payload.kind === kind);
export const eventsOf = (it: VirtualHouse, name: string) => factsOf(it, 'event').filter((event) => event.name === name);
export const firstMeter = async (it: VirtualHouse) => {
  const meter = (await it.house.snapshot()).ports[0]?.meters[0];
  if (!meter) throw new Error('no meter');
  return meter;
};
