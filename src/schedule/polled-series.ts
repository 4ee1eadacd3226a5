/** The series of a meter: what is configured, and what the store knows of how it was configured before. */
import { type Millis, millis } from '../base/time.ts';
import { type LogicalName, logicalNameIn } from '../dlms/cosem/logical-name.ts';
import { seriesKey } from '../reading/series-key.ts';
import type { Store } from '../store/store.ts';
import type { PolledSeries } from './meter-state.ts';

export interface ConfiguredProfile {
  readonly profile: LogicalName;
  readonly periodS: number;
  readonly until: Millis | undefined;
}

export function polledSeries(
  store: Pick<Store, 'seriesState'>,
  meter: string,
  configured: { readonly profiles: readonly ConfiguredProfile[]; readonly since: Millis | undefined },
  sinceByDefault: Millis,
): PolledSeries[] {
  const found: PolledSeries[] = [];
  for (const { profile, periodS, until } of configured.profiles) {
    const periodMs = periodS * 1000;
    const first = seriesKey(profile);
    const before = found.findLast((one) => one.profile === profile);
    const known = store.seriesState(meter, first)?.periodMs ?? periodMs;
    // The period before a change may no longer be configured: the store knows where this one began.
    const series = before || known !== periodMs ? seriesKey(profile, periodS) : first;
    const began = series === first ? undefined : store.seriesState(meter, series)?.since;
    found.push({
      series,
      profile,
      periodMs,
      since: before ? before.until : began === undefined ? configured.since : millis(began),
      sinceByDefault,
      ...(until !== undefined && { until }),
      ...(before && { after: before.series }),
    });
  }
  return found;
}

/** Series of a profile by its OBIS code: several, where the period changed. None where it is no code. */
export function seriesNamed(all: readonly PolledSeries[], code: string): PolledSeries[] {
  const name = logicalNameIn(code);
  return all.filter(({ profile }) => profile === name);
}

/** The series, of a profile whose period changes, that an interval with this start belongs to. */
export const seriesAt = (all: readonly PolledSeries[], profile: LogicalName, start: number): PolledSeries | undefined =>
  all.findLast((one) => one.profile === profile && (one.after === undefined || (one.since ?? 0) <= start));
