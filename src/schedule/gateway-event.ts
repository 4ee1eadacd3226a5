/** What the gateway says of a meter, by its own time. */
import { type EventFact, gatewayFact } from '../reading/facts.ts';
import type { GatewayEventDetail, GatewayEventName } from '../reading/gateway-events.ts';
import type { MeterState, RunnerSettings } from './meter-state.ts';

export const gatewayEvent = <Name extends GatewayEventName>(
  house: Pick<RunnerSettings, 'clock'>,
  state: Pick<MeterState, 'polled'>,
  name: Name,
  detail: GatewayEventDetail<Name>,
): EventFact => gatewayFact(house.clock.wall(), name, detail, state.polled.origin);
