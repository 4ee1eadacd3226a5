import type { Millis } from './time.ts';

/** The times that a machine waits for: one small table, by what happens then. Undefined: it is not waited for. */
export type Timers<Kind extends string> = Record<Kind, Millis | undefined>;

/** The earliest of some times; undefined where nothing is waited for. */
export function earliest(times: readonly (Millis | undefined)[]): Millis | undefined {
  let next: Millis | undefined;
  for (const at of times) if (at !== undefined && (next === undefined || at < next)) next = at;
  return next;
}
/** The earliest of a table. It is asked at each step of each machine: no list is made for it. */
export function nextDeadline(timers: Readonly<Timers<string>>): Millis | undefined {
  let next: Millis | undefined;
  // The tables are plain objects of fixed shape.
  for (const kind in timers) {
    const at = timers[kind];
    if (at !== undefined && (next === undefined || at < next)) next = at;
  }
  return next;
}

export const isDue = (at: Millis | undefined, now: Millis): boolean => at !== undefined && now >= at;
