/** What somebody should see to although the meter answers: an event at once, and once a day while it stands. */
import { isAbsent } from '../meter/asked-again.ts';
import type { GatewayEventDetail, GatewayEventName } from '../reading/gateway-events.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';
import { stand } from './standing-alarms.ts';

/** data-access-result: hardware-fault, temporary-failure, data-block-unavailable. What is there may answer so for a while. */
const passing: ReadonlySet<number> = new Set([1, 2, 14]);

/**
 * A clock, serial number, name or switch that could not be read: silence about it would be an all-clear. A switch that the
 * meter never showed, and refuses for good, is none.
 */
export function tellUnreadable(port: PortContext, state: MeterState): void {
  const { identity, rowAlarms } = state;
  if (!identity) return;
  const now = port.clock.wall();
  const raise = <Name extends GatewayEventName>(
    key: string,
    name: Name,
    text: string | undefined,
    detail: GatewayEventDetail<Name>,
  ) => {
    if (stand(rowAlarms, key, text && `${name}: ${text}`, now))
      state.pendingEvents.push(gatewayEvent(port, state, name, detail));
  };
  const of = (object: string) => identity.unreadable.find((one) => one.object === object);
  const clock = of('clock');
  raise(
    'object clock',
    'CLOCK_UNREADABLE',
    clock &&
      `${clock.why}; what it deviates is not known, it is not set, and the newest intervals stay open longer; next: read 0-0:1.0.0*255:2 with --trace, and compare stamp_deviation_min of its model`,
    { why: clock?.why ?? null },
  );
  const { clockDoubt } = identity;
  raise(
    'clock says',
    'CLOCK_DOUBTFUL',
    clockDoubt === null
      ? undefined
      : `the meter's clock calls itself ${clockDoubt}: rows that it stamps so are uncertain; next: have the clock set, and look at its battery`,
    { clockSays: clockDoubt },
  );
  for (const object of ['serial number', 'logical device name'] as const) {
    const found = of(object);
    // One of the two is enough, and many meters have only one.
    const missed = found && !isAbsent(found) ? found : undefined;
    raise(
      `object ${object}`,
      'OBJECT_UNREADABLE',
      missed && `${object}: ${missed.why}; the other name tells which meter it is`,
      {
        object,
        why: missed?.why ?? null,
      },
    );
  }
  const found = of('disconnector');
  if (identity.disconnector) state.disconnectorSeen = identity.disconnector;
  const alarming = found && (state.disconnectorSeen || (found.refused !== undefined && passing.has(found.refused)));
  if (found && !alarming) state.hasDisconnector = false;
  if (found || identity.disconnector)
    raise(
      'object disconnector',
      'DISCONNECTOR_UNREADABLE',
      alarming ? `${found.why}; whether the meter's own switch is open is not known` : undefined,
      { why: found?.why ?? null },
    );
}
