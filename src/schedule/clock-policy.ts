/** When a meter's clock is set, and when it is only told (R29, R30, R31). Pure. */
import { dayMs, type Millis } from '../base/time.ts';

export interface ClockState {
  /** Meter minus gateway. */
  readonly deviationMs: number;
  /** The gateway's time of day. */
  readonly wall: Millis;
  readonly trusted: boolean;
  /** Shortest period of the meter's profiles. */
  readonly periodMs: number;
  /** When it was set last (gateway's time); undefined where it never was. */
  readonly lastSet: Millis | undefined;
}
export interface ClockPolicy {
  readonly set: boolean;
  /** Deviations above a minute are set as well. */
  readonly setLarge: boolean;
}
export type ClockDecision =
  | { readonly kind: 'leave'; readonly why: string }
  /** `flag`: both intervals that the step touches are uncertain. */
  | { readonly kind: 'set'; readonly flag: boolean };

export const nearBoundary = 'an interval boundary is near';
const ignoredMs = 2000;
const smallMs = 9000;
const largeMs = 60_000;
const awayFromBoundaryMs = 60_000;

/** Within an hour of a change between winter and summer time (EU: last Sundays of March and October, 01:00 UTC). */
export function nearDaylightSavingChange(wall: Millis): boolean {
  const year = new Date(wall).getUTCFullYear();
  return [2, 9].some((month) => {
    const last = new Date(Date.UTC(year, month + 1, 0, 1));
    return Math.abs(wall - (last.getTime() - last.getUTCDay() * dayMs)) <= 3_600_000;
  });
}

export function decideClock(state: ClockState, policy: ClockPolicy): ClockDecision {
  const { deviationMs, wall, periodMs, lastSet } = state;
  const off = Math.abs(deviationMs);
  const leave = (why: string): ClockDecision => ({ kind: 'leave', why });
  if (off <= ignoredMs) return leave('within 2 s');
  if (!policy.set) return leave('the configuration sets no clocks');
  if (!state.trusted) return leave('the gateway does not know the time');
  if (off > periodMs / 2) return leave('more than half a period');
  if (off > largeMs && !policy.setLarge) return leave('more than a minute: the operator decides');
  if (nearDaylightSavingChange(wall)) return leave('within an hour of a daylight saving change');
  if (lastSet !== undefined && wall - lastSet < dayMs) return leave('set within the last 24 h');
  // Neither where we are nor where the clock is may a boundary be near: the step would make a short and a long interval.
  for (const at of [wall, wall + deviationMs]) {
    const into = ((at % periodMs) + periodMs) % periodMs;
    if (Math.min(into, periodMs - into) < awayFromBoundaryMs) return leave(nearBoundary);
  }
  return { kind: 'set', flag: off > smallMs };
}

/** What the head-end is told in the same poll; undefined where nothing. */
export function clockAlarm(deviationMs: number): 'CLOCK_ALARM' | 'CLOCK_DEVIATION' | undefined {
  const off = Math.abs(deviationMs);
  return off > largeMs ? 'CLOCK_ALARM' : off > 30_000 ? 'CLOCK_DEVIATION' : undefined;
}
