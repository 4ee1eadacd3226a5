/** What the gateway says of a meter, by its own time. */
import { type EventFact, gatewayFact } from '../reading/facts.ts';
import type { GatewayEventDetail, GatewayEventName } from '../reading/gateway-events.ts';
import type { MeterState, PortContext } from './meter-state.ts';

export const gatewayEvent = <Name extends GatewayEventName>(
  port: Pick<PortContext, 'clock'>,
  state: Pick<MeterState, 'polled'>,
  name: Name,
  detail: GatewayEventDetail<Name>,
): EventFact => gatewayFact(port.clock.wall(), name, detail, state.polled.origin);
