/** Shapes of what the page asks besides the rows whose types the gateway exports. */
import type { MeterRecord } from '../../commission/meter-record.ts';
import type { Completeness } from '../../status/completeness.ts';
import type { RecentEvent, RecentIntervals, RecentSeries } from '../../status/recent.ts';

export type CompletenessAnswer = Completeness;
export type IntervalsAnswer = RecentIntervals;
export type IntervalSeries = RecentSeries;
export interface EventsAnswer {
  readonly events: readonly RecentEvent[];
}
export interface SiteAnswer {
  readonly records: readonly MeterRecord[];
}
export interface ReportsAnswer {
  readonly reports: readonly {
    readonly name: string;
    readonly at: string;
    readonly state: string;
    readonly who: string | null;
  }[];
}
