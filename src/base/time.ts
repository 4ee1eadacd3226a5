/** Milliseconds since 1970-01-01T00:00Z. A brand, so that a duration is not taken for an instant. */
export type Millis = number & { readonly __brand: 'Millis' };
export const millis = (value: number): Millis => value as Millis;
export const later = (now: Millis, durationMs: number): Millis => (now + durationMs) as Millis;

/** Before every instant of either clock: what has not happened yet may have happened then. */
export const longAgo: Millis = millis(-8.64e15);

export const minuteMs = 60_000;
export const hourMs = 3_600_000;
export const dayMs = 86_400_000;

/** The next instant after `after` at which a day begins there. Zones are those of the IANA database. */
export function nextMidnight(after: Millis, timeZone: string): Millis {
  const time = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' });
  const quarterMs = 15 * minuteMs;
  for (let at = Math.floor(after / quarterMs) * quarterMs + quarterMs; ; at += quarterMs)
    if (time.format(at) === '00:00') return millis(at);
}
export const isMidnight = (at: Millis, timeZone: string): boolean => nextMidnight(millis(at - 1), timeZone) === at;

export const iso = (instant: Millis): string => new Date(instant).toISOString().replace('.000Z', 'Z');

/** The only way to the time of day and to waiting. The seeded simulation has its own. */
export interface Clock {
  /** Runs evenly, whatever happens to the time of day: for deadlines. */
  now(): Millis;
  /** The time of day in UTC, as far as it is known: for stamps and grids, never for deadlines. */
  wall(): Millis;
  /** Resolves at the deadline, or as soon as the signal is aborted. */
  sleepUntil(deadline: Millis, signal?: AbortSignal): Promise<void>;
}
