/** The clock of a virtual meter: how far it is from true time, since when, and how it writes an instant. */
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import { dateTimeOctets } from '../dlms/cosem/date-time.ts';

export interface MeterClock {
  readonly start: Millis;
  readonly driftPpm: number;
  /** Minutes from local standard time to UTC. */
  readonly deviationMin: number;
  readonly dst: boolean;
  /** The statuses say summer time all year. */
  readonly dstStatus: boolean;
  /** The meter's clock minus true time, since an instant; the last one holds. Drift comes on top. */
  readonly sets: { since: Millis; offsetMs: number }[];
}

/** European summer time lasts from 01:00 UTC of the last Sunday of March to that of October. */
function isEuropeanSummer(at: Millis): boolean {
  const year = new Date(at).getUTCFullYear();
  const lastSunday = (month: number) => {
    const last = new Date(Date.UTC(year, month + 1, 0, 1));
    return last.getTime() - last.getUTCDay() * dayMs;
  };
  return at >= lastSunday(2) && at < lastSunday(9);
}
const isSummer = ({ dst }: MeterClock, at: Millis): boolean => dst && isEuropeanSummer(at);
/** What the statuses say; the deviation may say otherwise. */
export const saysSummer = (clock: MeterClock, at: Millis): boolean => clock.dstStatus || isSummer(clock, at);
export const deviationAt = (clock: MeterClock, at: Millis): number =>
  clock.deviationMin - (isSummer(clock, at) ? 60 : 0);
export const stampOf = (clock: MeterClock, at: Millis): Uint8Array =>
  dateTimeOctets(at, deviationAt(clock, at), saysSummer(clock, at) ? 0x80 : 0);

const drift = ({ start, driftPpm }: MeterClock, at: number): number => ((at - start) * driftPpm) / 1e6;
const offsetAt = ({ sets }: MeterClock, at: Millis): number =>
  (sets.findLast(({ since }) => since <= at) as { offsetMs: number }).offsetMs;
/** What it shows at a true instant. */
export const shownAt = (clock: MeterClock, at: Millis): Millis => later(at, offsetAt(clock, at) + drift(clock, at));
/** Sets the clock: at this instant it shows `to`. */
export const setClock = (clock: MeterClock, at: Millis, to: Millis): void =>
  void clock.sets.push({ since: at, offsetMs: to - at - drift(clock, at) });
export const moveBy = (clock: MeterClock, at: Millis, byMs: number): void =>
  void clock.sets.push({ since: at, offsetMs: offsetAt(clock, at) + byMs });

/** The true instants at which it showed a stamp: none where a set skipped it, two where it was set back. */
export function instantsOf({ start, driftPpm, sets }: MeterClock, stamp: Millis): Millis[] {
  const rate = 1 + driftPpm / 1e6;
  return sets.flatMap(({ since, offsetMs }, i) => {
    const at = millis(Math.round((stamp - offsetMs - start) / rate + start));
    const until = sets[i + 1]?.since ?? Number.POSITIVE_INFINITY;
    return at >= since && at < until ? [at] : [];
  });
}
/** Whether it made a step of more than the synchronisation limit between two instants. */
export const wasAdjusted = ({ sets }: MeterClock, from: number, to: number): boolean =>
  sets.some(({ since, offsetMs }, i) => {
    const before = sets[i - 1]?.offsetMs ?? offsetMs;
    return since >= from && since < to && Math.abs(offsetMs - before) > 9000;
  });
