/** What the gateway says of a meter, by its own time. */
import { type EventFact, gatewayFact } from '../reading/facts.ts';
import type { MeterState, RunnerSettings } from './meter-state.ts';

export const gatewayEvent = (
  house: RunnerSettings,
  state: MeterState,
  name: string,
  detail: EventFact['detail'],
): EventFact => gatewayFact(house.clock.wall(), name, detail, state.polled.origin);
