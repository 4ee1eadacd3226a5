/** Which days are alike: Monday; Tuesday to Thursday; Friday; Saturday; Sunday and public holidays. */
import { finnishHolidays } from './finnish-holidays.ts';
import { addDays, type Day } from './local-time.ts';

const holidaysOf = new Map<number, ReadonlySet<string>>();
function isHoliday(day: Day): boolean {
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
const kinds = new Map<Day, LikeDay>();
export function likeDayOf(day: Day): LikeDay {
  const known = kinds.get(day);
  if (known) return known;
  const kind = isHoliday(day) ? 'sunday' : (byWeekday[new Date(`${day}T00:00:00Z`).getUTCDay()] ?? 'sunday');
  if (kinds.size > 20_000) kinds.clear();
  kinds.set(day, kind);
  return kind;
}
/** So far back a day is taken for like: eight weeks. */
export const historyDays = 56;
const likeDays = new Map<Day, readonly Day[]>();
/** Days of the eight weeks before `day` that are like it, the newest first. */
export function likeDaysBefore(day: Day): readonly Day[] {
  const known = likeDays.get(day);
  if (known) return known;
  const kind = likeDayOf(day);
  const days = Array.from({ length: historyDays }, (_, i) => addDays(day, -i - 1)).filter(
    (before) => likeDayOf(before) === kind,
  );
  if (likeDays.size > 5000) likeDays.clear();
  likeDays.set(day, days);
  return days;
}
