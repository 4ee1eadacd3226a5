import type { Millis } from './time.ts';

/** The times that a machine waits for: one small table, by what happens then. Undefined: it is not waited for. */
export type Timers<Kind extends string> = Record<Kind, Millis | undefined>;

/** The earliest of some times; undefined where nothing is waited for. */
export function earliest(times: readonly (Millis | undefined)[]): Millis | undefined {
  let next: Millis | undefined;
  for (const at of times) if (at !== undefined && (next === undefined || at < next)) next = at;
  return next;
}
export const nextDeadline = (timers: Readonly<Timers<string>>): Millis | undefined => earliest(Object.values(timers));

export const isDue = (at: Millis | undefined, now: Millis): boolean => at !== undefined && now >= at;
