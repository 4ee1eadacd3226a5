/** Until when the Datahub is to have the values of a day: D+1 24:00, and what was missing or temporary then, D+11 24:00. */
import { feedStatusOf } from './datahub.ts';
import { addDays, type Day, midnight } from './local-time.ts';
import type { PointSeries } from './point-series.ts';

export interface DayDue {
  readonly day: Day;
  readonly first: number;
  readonly last: number;
  readonly missing: number;
  readonly temporary: number;
  /** late: past a deadline, with something missing; overdue: past the last one, with something temporary or missing. */
  readonly state: 'open' | 'complete' | 'late' | 'overdue';
}
export function daysDue(series: PointSeries, zone: string): DayDue[] {
  const counts = new Map<Day, { missing: number; temporary: number }>();
  for (const intervals of Object.values(series.channels))
    for (const [i, { standing }] of intervals.entries()) {
      const day = series.grid.intervals[i]?.day ?? '';
      const count = counts.get(day) ?? { missing: 0, temporary: 0 };
      counts.set(day, count);
      const status = feedStatusOf[standing];
      if (status === 'missing') count.missing++;
      if (status === 'temporary') count.temporary++;
    }
  return [...counts].map(([day, { missing, temporary }]) => {
    const [first, last] = [midnight(addDays(day, 2), zone), midnight(addDays(day, 12), zone)];
    const open = missing + temporary > 0;
    const state = !open
      ? 'complete'
      : series.at >= last
        ? 'overdue'
        : series.at >= first && missing > 0
          ? 'late'
          : 'open';
    return { day, first, last, missing, temporary, state };
  });
}
