/** Which days are alike: Monday; Tuesday to Thursday; Friday; Saturday; Sunday and public holidays. */
import { finnishHolidays } from './finnish-holidays.ts';
import { addDays, type Day } from './local-time.ts';

const holidaysOf = new Map<number, ReadonlySet<string>>();
export function isHoliday(day: Day): boolean {
  const year = Number(day.slice(0, 4));
  let days = holidaysOf.get(year);
  if (!days) {
    days = new Set((finnishHolidays[year] ?? '').split(' '));
    holidaysOf.set(year, days);
  }
  return days.has(day.slice(5));
}
type LikeDay = 'monday' | 'midweek' | 'friday' | 'saturday' | 'sunday';
const byWeekday = ['sunday', 'monday', 'midweek', 'midweek', 'midweek', 'friday', 'saturday'] as const;
export function likeDayOf(day: Day): LikeDay {
  if (isHoliday(day)) return 'sunday';
  return byWeekday[new Date(`${day}T00:00:00Z`).getUTCDay()] ?? 'sunday';
}
/** So far back a day is taken for like: eight weeks. */
export const historyDays = 56;
/** Days before `day` that are like it, the newest first. */
export function likeDaysBefore(day: Day, oldest: Day): Day[] {
  const kind = likeDayOf(day);
  const days: Day[] = [];
  for (let back = 1; back <= historyDays; back++) {
    const before = addDays(day, -back);
    if (before < oldest) break;
    if (likeDayOf(before) === kind) days.push(before);
  }
  return days;
}
