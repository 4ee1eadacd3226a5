/**
 * Which series of a meter: its profile, and the capture period where that is not the first one that the profile had (R35).
 * All rooms pass this on and only this file makes it, so that neither a profile nor its OBIS code is taken for a series.
 */
import type { LogicalName } from '../dlms/cosem/logical-name.ts';

declare const brand: unique symbol;
export type SeriesKey = string & { readonly [brand]: 'SeriesKey' };

/** `periodS`: of a later capture period than the first of the profile. */
export const seriesKey = (profile: LogicalName, periodS?: number): SeriesKey =>
  (periodS === undefined ? profile : `${profile}@${periodS}`) as SeriesKey;

/** The key of a series as it stands in a record of the store. */
export const storedSeriesKey = (text: string): SeriesKey => text as SeriesKey;
