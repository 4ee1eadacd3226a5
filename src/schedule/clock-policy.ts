/** When a meter's clock is set, and when its deviation is only reported (R29, R30, R31). Pure. */
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
const farOff = 'more than half a period';
const operatorDecides = 'more than a minute: the operator decides';
const setsNone = 'the configuration sets no clocks';
const noTime = 'the gateway does not know the time';
const setLately = 'set within the last 24 h';
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
  if (!policy.set) return leave(setsNone);
  if (!state.trusted) return leave(noTime);
  if (off > periodMs / 2) return leave(farOff);
  if (off > largeMs && !policy.setLarge) return leave(operatorDecides);
  if (nearDaylightSavingChange(wall)) return leave('within an hour of a daylight saving change');
  if (lastSet !== undefined && wall - lastSet < dayMs) return leave(setLately);
  // Neither where we are nor where the clock is may a boundary be near: the step would make a short and a long interval.
  for (const at of [wall, wall + deviationMs]) {
    const into = ((at % periodMs) + periodMs) % periodMs;
    if (Math.min(into, periodMs - into) < awayFromBoundaryMs) return leave(nearBoundary);
  }
  return { kind: 'set', flag: off > smallMs };
}

/** For the one who looks after the meter, by what keeps the gateway from setting its clock. */
const nextSteps: Readonly<Record<string, string>> = {
  [farOff]:
    'The gateway sets no clock that is so far off, its rows stand in wrong intervals: set it with the tool of the maker, and look at its battery.',
  [operatorDecides]: 'Write set_large_deviations = true in [gateway] and reload, or set it with the tool of the maker.',
  [setsNone]: 'Write set_clocks = true in [gateway] and reload, or set it with the tool of the maker.',
  [noTime]:
    'The gateway does not know the time itself, so which of the two is wrong is open: timedatectl on this machine.',
  [setLately]: 'It was set within the last 24 hours and runs away again: look at the battery of the meter.',
};
export const clockNextStep = (decision: ClockDecision): string =>
  (decision.kind === 'leave' ? nextSteps[decision.why] : undefined) ??
  'The gateway sets it by itself with one of the next polls.';

export type ClockVerdict = 'CLOCK_ALARM' | 'CLOCK_DEVIATION';
/** The alarm that the head-end gets in the same poll; undefined where there is none. */
export function clockAlarm(deviationMs: number): ClockVerdict | undefined {
  const off = Math.abs(deviationMs);
  return off > largeMs ? 'CLOCK_ALARM' : off > 30_000 ? 'CLOCK_DEVIATION' : undefined;
}
