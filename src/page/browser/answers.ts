/** Shapes of what the page asks besides the rows whose types the gateway exports. */
import type { MeterRecord } from '../../commission/meter-record.ts';

/** One character for each interval. */
export type Mark = 'a' | 'm' | 'u' | 'o' | 'x' | 'l' | 'p' | '-';
export interface CompletenessAnswer {
  readonly from: string;
  readonly to: string;
  readonly series: readonly {
    readonly meter: string;
    readonly series: string;
    readonly periodS: number;
    /** Start of the first interval. */
    readonly from: string;
    readonly marks: string;
  }[];
}
interface IntervalRow {
  readonly start: string;
  readonly quality: string;
  readonly values: readonly { readonly energy: string | null; readonly register: string | null }[];
}
export interface IntervalSeries {
  readonly series: string;
  readonly periodS: number;
  readonly channels: readonly { readonly obis: string; readonly unit: string | null; readonly scaler: number | null }[];
  readonly rows: readonly IntervalRow[];
}
interface ShownRegister {
  readonly obis: string;
  readonly raw: string | number;
  readonly scaler: number | null;
  readonly unit: string | null;
}
export interface IntervalsAnswer {
  readonly meter: string;
  readonly series: readonly IntervalSeries[];
  readonly registers: { readonly readAt: string; readonly values: readonly ShownRegister[] } | null;
}
export interface EventsAnswer {
  readonly events: readonly {
    readonly at: string | null;
    readonly meter: string | null;
    readonly event: string;
    readonly words: string;
  }[];
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
