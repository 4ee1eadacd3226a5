/** What of a series is not delivered and plainly measured, as runs of intervals. */
import { iso, millis } from '../base/time.ts';
import { obis, type ObisCode } from '../dlms/cosem/logical-name.ts';
import type { Origin } from '../reading/facts.ts';
import type { ExceptionState } from '../reading/ledger.ts';
import type { Store } from '../store/store.ts';
import { unacknowledgedRuns } from '../store/unacknowledged.ts';
import type { AccountedSeries } from './manifest.ts';
import type { PolledSeries } from './meter-state.ts';

export interface SeriesGap extends Origin {
  /** OBIS code of the profile; with `periodS` it names the series. */
  readonly series: ObisCode;
  readonly periodS: number;
  readonly from: string;
  readonly to: string;
  readonly intervals: number;
  /** PENDING: not read yet. UNACKNOWLEDGED: stored, and the head-end has not said that it has it. */
  readonly state: ExceptionState | 'PENDING' | 'UNACKNOWLEDGED';
}

/** What is stored of these series, and waits for the acknowledgement. */
export async function waitingGaps(
  store: Store,
  series: readonly Pick<AccountedSeries, 'origin' | 'series' | 'profile' | 'periodMs'>[],
): Promise<SeriesGap[]> {
  return (await unacknowledgedRuns(store)).flatMap(({ meter, series: key, from, to }) => {
    const own = series.find((one) => one.origin.meter === meter && one.series === key);
    return own ? [seriesGap(own.origin, own, [from, to, 'UNACKNOWLEDGED'])] : [];
  });
}

/** `from` and `to` are UTC instants in ms. */
export const seriesGap = (
  { meter, point, serial }: Origin,
  { profile, periodMs }: Pick<PolledSeries, 'profile' | 'periodMs'>,
  [from, to, state]: readonly [from: number, to: number, state: SeriesGap['state']],
): SeriesGap => ({
  meter,
  point,
  serial,
  series: obis(profile),
  periodS: periodMs / 1000,
  from: iso(millis(from)),
  to: iso(millis(to)),
  intervals: Math.round((to - from) / periodMs),
  state,
});
