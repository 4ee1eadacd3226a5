/** What the store knows of a series, and where it begins and ends. */
import { dayMs, type Millis, millis } from '../base/time.ts';
import type { SeriesState } from '../store/records.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';

/** Longer than the buffer of any meter reaches back. */
const longestMemoryMs = 1100 * dayMs;

export function boundsOf(
  { store, clock }: Pick<PortContext, 'store' | 'clock'>,
  { polled }: Pick<MeterState, 'polled'>,
  settings: PolledSeries,
): { readonly stored: SeriesState | undefined; readonly since: Millis; readonly until: Millis | undefined } {
  const { meter } = polled.origin;
  const stored = store.seriesState(meter, settings.series);
  const before = settings.after === undefined ? undefined : store.seriesState(meter, settings.after)?.until;
  const intended = before ?? settings.since ?? stored?.since ?? settings.sinceByDefault;
  // No meter keeps rows for so long: what would be said of the time before is nothing that was read.
  const earliest = Math.floor((clock.wall() - longestMemoryMs) / dayMs) * dayMs;
  const since = Math.max(intended, Math.min(earliest, stored?.since ?? earliest));
  const until = stored?.until ?? settings.until;
  return { stored, since: millis(since), until: until === undefined ? undefined : millis(until) };
}
