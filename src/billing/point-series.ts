/** Types of the series of a point, and the rules by which it is made. */
import type { Delivered, DeliveredInterval } from '../central/facts.ts';
import type { DarkSpan } from './dark.ts';
import type { Origin } from './estimate.ts';
import type { Day, Grid } from './local-time.ts';
import type { MergedPoint } from './merge.ts';
import type { Channel, Edit, ImportedSeries, Point } from './registry.ts';

/**
 * outage: no row, and zero is proven. final: an estimate of what can no longer come; a value that comes all the same stands
 * above it. missing: not there and not overdue yet, or nothing to estimate by.
 */
export const standings = ['measured', 'outage', 'edited', 'uncertain', 'estimated', 'final', 'missing'] as const;
export type Standing = (typeof standings)[number];
export interface SeriesInterval {
  readonly start: number;
  readonly end: number;
  /** Units of the point; null only where it is missing. */
  readonly energy: number | null;
  readonly standing: Standing;
  /** `gateway/epoch/seq` of the message, `edit:…`, or `estimate:` and its method. */
  readonly source: string;
  readonly reasons: readonly string[];
  readonly origin?: Origin;
}
export interface PointSeries {
  readonly grid: Grid;
  readonly at: number;
  readonly channels: Readonly<Partial<Record<Channel, readonly SeriesInterval[]>>>;
  readonly merged: MergedPoint;
  readonly dark: readonly DarkSpan[];
  /** Edits that want a second person, and those of intervals that are none. */
  readonly edits: readonly { readonly edit: Edit; readonly why: 'UNCONFIRMED' | 'OFF_GRID' | 'BELOW_MEASURED' }[];
  /** Register of the meter against an outage that its messages prove. */
  readonly contradicted: readonly { readonly channel: Channel; readonly from: number; readonly to: number }[];
}
export interface SeriesInput {
  readonly point: Point;
  /** Intervals of the point, eight weeks before `from` too where they are to be estimated by. */
  readonly facts: readonly DeliveredInterval[];
  readonly events: readonly Delivered<'event'>[];
  readonly edits: readonly Edit[];
  readonly imported?: readonly ImportedSeries[];
  readonly from: Day;
  readonly to: Day;
  /** Now. */
  readonly at: number;
  /** Days on which a customer moved in: what was used before says nothing of who came then. */
  readonly customersFrom?: readonly Day[];
  readonly rules?: Partial<SeriesRules>;
}
export interface SeriesRules {
  /** An interval is estimated so long after its end. */
  readonly overdueMs: number;
  /** What can no longer come is final so long after its end. */
  readonly finalAfterMs: number;
  /** Beyond this change two persons are needed. */
  readonly editLimitWh: number;
}
export const seriesRules: SeriesRules = {
  overdueMs: 6 * 3_600_000,
  finalAfterMs: 11 * 86_400_000,
  editLimitWh: 100_000,
};

export interface EstimatePlace {
  readonly input: SeriesInput;
  readonly rules: SeriesRules;
  readonly grid: Grid;
  readonly merged: MergedPoint;
  readonly dark: readonly DarkSpan[];
}
