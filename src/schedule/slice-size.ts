/**
 * How many rows one request asks for: as many as the line brings in a minute, so that every meter of a slow line gets its
 * turn. Begun by the speed of the line, learned from the time that requests took.
 */
import { Failure } from '../base/errors.ts';
import { dayMs, type Millis } from '../base/time.ts';
import type { LineSpeed } from '../meter/patience.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import { estimatedRowMs } from './line-load.ts';

const sliceMs = 60_000;
/** From so many rows on, the time that they took tells the time of one. */
const tellingRows = 8;
/** Rows that one slice may have at most, and the time of one row, where they were learned. */
export type SliceSizes = Map<SeriesKey, { readonly rows?: number; readonly rowMs?: number }>;
/** Rows of the first slice, by the speed of the line; behind TCP that is not known. */
const firstSliceRows = (line: LineSpeed): number => Math.max(1, Math.floor(sliceMs / estimatedRowMs(line)));
export const sliceRowsOf = (sizes: SliceSizes, series: SeriesKey, line: LineSpeed): number =>
  sizes.get(series)?.rows ?? firstSliceRows(line);

const rowsBetween = (from: number, to: number, periodMs: number): number =>
  Math.max(1, Math.round((to - from) / periodMs));

/** Whose rows are read, over which line. */
export interface Learning {
  readonly sizes: SliceSizes;
  readonly polled: { readonly series: SeriesKey; readonly periodMs: number };
  readonly line: LineSpeed;
  /** Monotonic. */
  readonly now: () => Millis;
}
/** Reads a range and learns from it. A range that was no smaller than allowed and came soon lets the next one be larger. */
export async function learning<T>(
  { sizes, polled: { series, periodMs }, line, now }: Learning,
  range: { readonly from: Millis; readonly to: Millis },
  read: () => Promise<T[]>,
): Promise<T[]> {
  const limit = sliceRowsOf(sizes, series, line);
  const asked = rowsBetween(range.from, range.to, periodMs);
  const most = Math.round(dayMs / periodMs);
  const learn = (rows: number) => sizes.set(series, { ...sizes.get(series), rows: Math.max(1, Math.floor(rows)) });
  const began = now();
  try {
    const rows = await read();
    const spentMs = Math.max(1, now() - began);
    const share = Math.min(2, sliceMs / spentMs);
    if (rows.length >= tellingRows) sizes.set(series, { ...sizes.get(series), rowMs: spentMs / rows.length });
    if (share < 1) learn(Math.min(asked, Math.max(1, rows.length)) * share);
    else if (asked >= limit && limit < most) learn(Math.min(most, Math.max(limit, asked * share)));
    return rows;
  } catch (error) {
    if (!(error instanceof Failure) || error.family === 'local') throw error;
    // What broke off late, for whatever reason, may come through in smaller pieces.
    const tooLarge = error.code === 'answer-too-slow' || error.code === 'answer-too-long';
    if (tooLarge || now() - began > sliceMs) learn(Math.min(limit, asked) / 2);
    throw error;
  }
}
