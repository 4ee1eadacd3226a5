/** Local days and the grid of intervals that tile them. Instants are ms of UTC; a day is its date, `2026-11-28`. */
import { Temporal } from 'temporal-polyfill';

export type Day = string;
const midnights = new Map<string, number>();
/** The instant at which the day begins there. */
export function midnight(day: Day, zone: string): number {
  const key = `${zone}|${day}`;
  const known = midnights.get(key);
  if (known !== undefined) return known;
  const at = Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: zone }).epochMilliseconds;
  if (midnights.size > 50_000) midnights.clear();
  midnights.set(key, at);
  return at;
}
const zoned = (at: number, zone: string): Temporal.ZonedDateTime =>
  Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
export const dayOf = (at: number, zone: string): Day => zoned(at, zone).toPlainDate().toString();
/** Dates need no zone: UTC days are all as long. */
export const addDays = (day: Day, days: number): Day =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
export const nextDay = (day: Day): Day => addDays(day, 1);
/** The first of the next month. */
export const nextMonth = (day: Day): Day => {
  const [year = 0, month = 0] = day.split('-').map(Number);
  return `${month === 12 ? year + 1 : year}-${String(month === 12 ? 1 : month + 1).padStart(2, '0')}-01`;
};
/** Minutes of the wall clock since its midnight: twice the same in the doubled hour, none in the missing one. */
export function minuteOfDay(at: number, zone: string): number {
  const { hour, minute } = zoned(at, zone);
  return hour * 60 + minute;
}
/** `28.11.2026 14.00` and `28 Nov 2026 14:00` are for people; this is for both: `2026-11-28 14:00 +02:00`. */
export function localWords(at: number, zone: string): string {
  const time = zoned(at, zone);
  return `${time.toPlainDate().toString()} ${String(time.hour).padStart(2, '0')}:${String(time.minute).padStart(2, '0')} ${time.offset}`;
}

/** One interval of a point. */
export interface GridInterval {
  readonly start: number;
  readonly end: number;
  readonly day: Day;
  /** Minute of the local day at which it begins. */
  readonly minute: number;
}
/** From a local day on, the point has intervals of this length. */
export interface PeriodFrom {
  readonly from: Day;
  readonly periodS: number;
}
export interface Grid {
  readonly intervals: readonly GridInterval[];
  /** Of all of them, ms; null where they differ. */
  readonly length: number | null;
  /** Of an interval by its start. */
  readonly indexOf: ReadonlyMap<number, number>;
}
function dayIntervals(day: Day, zone: string, periodMs: number): GridInterval[] {
  const [from, to] = [midnight(day, zone), midnight(nextDay(day), zone)];
  const plain = to - from === 86_400_000;
  return Array.from({ length: Math.ceil((to - from) / periodMs) }, (_, i) => {
    const start = from + i * periodMs;
    // Only days with a change of the clock need the calendar for each of their intervals.
    const minute = plain ? (start - from) / 60_000 : minuteOfDay(start, zone);
    return { start, end: Math.min(start + periodMs, to), day, minute };
  });
}
const grids = new Map<string, Grid>();
/** The intervals of the local days [from, to). Periods change at local midnight. The same for all points of a zone, hence remembered. */
export function gridOf(periods: readonly PeriodFrom[], zone: string, from: Day, to: Day): Grid {
  const key = `${zone}|${from}|${to}|${periods.map((one) => `${one.from}/${one.periodS}`).join(',')}`;
  const known = grids.get(key);
  if (known) return known;
  const ordered = periods.toSorted((a, b) => (a.from < b.from ? -1 : 1));
  const intervals: GridInterval[] = [];
  for (let day = from; day < to; day = nextDay(day)) {
    const period = ordered.findLast((one) => one.from <= day) ?? ordered[0];
    intervals.push(...dayIntervals(day, zone, (period?.periodS ?? 3600) * 1000));
  }
  const lengths = new Set(intervals.map(({ start, end }) => end - start));
  const [length = null] = lengths.size === 1 ? lengths : [];
  const grid = { intervals, length, indexOf: new Map(intervals.map(({ start }, i) => [start, i])) };
  if (grids.size > 200) grids.clear();
  grids.set(key, grid);
  return grid;
}
