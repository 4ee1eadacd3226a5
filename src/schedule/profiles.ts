/** The series of a meter: what is configured, and what the store knows of how it was configured before. */
import { type Millis, millis } from '../base/time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Store } from '../store/store.ts';
import type { PolledProfile } from './meter-state.ts';

export interface ConfiguredProfile {
  readonly profile: LogicalName;
  readonly periodS: number;
  readonly until: Millis | undefined;
}

export function polledProfiles(
  store: Pick<Store, 'seriesState'>,
  meter: string,
  configured: { readonly profiles: readonly ConfiguredProfile[]; readonly since: Millis | undefined },
  sinceByDefault: Millis,
): PolledProfile[] {
  const found: PolledProfile[] = [];
  for (const { profile, periodS, until } of configured.profiles) {
    const periodMs = periodS * 1000;
    const before = found.findLast((one) => one.profile === profile);
    const known = store.seriesState(meter, profile)?.periodMs ?? periodMs;
    // The period before a change may no longer be configured: the store knows where this one began.
    const key = before || known !== periodMs ? `${profile}@${periodS}` : profile;
    const began = key === profile ? undefined : store.seriesState(meter, key)?.since;
    found.push({
      key,
      profile,
      periodMs,
      since: before ? before.until : began === undefined ? configured.since : millis(began),
      sinceByDefault,
      ...(until !== undefined && { until }),
      ...(before && { after: before.key }),
    });
  }
  return found;
}
