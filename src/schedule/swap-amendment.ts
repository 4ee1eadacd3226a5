/**
 * The operator configured another instant or other registers of the last change of the meter than those that the series was
 * accounted for with: the intervals that this touches are read and said again.
 */
import { iso, millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { withoutRange } from '../reading/coverage.ts';
import type { Swap } from '../reading/ledger.ts';
import { sameSerial } from '../meter/identity.ts';
import type { SeriesState } from '../store/records.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';

const registersText = (registers: Swap['final']): string =>
  Object.entries(registers)
    .map(([code, value]) => `${code} ${value}`)
    .toSorted()
    .join(' ');
const same = (a: Swap, b: Swap): boolean =>
  a.at === b.at &&
  registersText(a.final) === registersText(b.final) &&
  registersText(a.first) === registersText(b.first);

/** The state of the series with the change as it is configured now; undefined where that is the change that is known. */
export function amendedState(
  stored: SeriesState,
  configured: Swap,
  serial: string,
  periodMs: number,
): SeriesState | undefined {
  const { swap } = stored;
  // Another change than the one that is known is not an amendment of it.
  if (
    !swap ||
    stored.serial === undefined ||
    !sameSerial(stored.serial, serial) ||
    !sameSerial(swap.from, configured.from)
  )
    return undefined;
  if (same(swap, configured)) return undefined;
  const boundary = (at: number) => Math.floor(at / periodMs) * periodMs;
  const [first, last] = [Math.min(swap.at, configured.at), Math.max(swap.at, configured.at)];
  return {
    ...stored,
    coverage: withoutRange(stored.coverage, boundary(first), boundary(last) + periodMs),
    swap: {
      ...configured,
      // Read at the boundary before the change; of another boundary it is not known.
      before: boundary(swap.at) === boundary(configured.at) ? swap.before : undefined,
      // What the new meter was taken to have counted here, it counted before it hung here.
      ...(configured.at > swap.at && { revoked: [boundary(swap.at), boundary(configured.at)] as const }),
    },
  };
}

/** Amends the series of a meter before anything is planned for it: one commit for each series that the amendment touches. */
export async function amendSwap(port: PortContext, state: MeterState): Promise<void> {
  const { clock, store } = port;
  const { origin, swap: configured, series: polled } = state.polled;
  // A change that is still to come has not happened.
  if (!configured || configured.at > clock.wall()) return;
  for (const { series, profile, periodMs } of polled) {
    const stored = store.seriesState(origin.meter, series);
    const amended = stored && amendedState(stored, configured, origin.serial, periodMs);
    if (!amended) continue;
    const event = gatewayEvent(port, state, 'SWAP', {
      from: configured.from,
      to: origin.serial,
      at: iso(millis(configured.at)),
      final: registersText(configured.final) || null,
      first: registersText(configured.first) || null,
      series: obis(profile),
      amends: iso(millis(stored.swap?.at ?? configured.at)),
    });
    await store.commit({
      epoch: store.epoch,
      meter: origin.meter,
      series,
      state: amended,
      entryClass: 1,
      facts: [event],
    });
  }
}
