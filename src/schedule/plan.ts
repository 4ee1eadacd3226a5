/**
 * The plan: (state, now) → the next job of a port. Pure. Newest intervals of every meter first; then, for what is
 * missing, the newest complete day and after it the oldest; meters that do not answer get a bounded share of the line.
 */
import { dayMs, type Millis, millis } from '../base/time.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import { type Coverage, missing, type Range } from '../reading/coverage.ts';

export interface PlannedSeries {
  readonly series: SeriesKey;
  readonly periodMs: number;
  readonly since: Millis;
  /** The series ends here: the meter captures with another period from then on (R35). */
  readonly until?: Millis | undefined;
  readonly coverage: Coverage;
  /** Rows that one slice may have at most, on a line that brings no more in its time. */
  readonly sliceRows?: number | undefined;
  /** Gaps that are looked at once more: rows may have come late. */
  readonly recheck?: readonly Range[];
}
export interface PlannedMeter {
  readonly id: string;
  readonly series: readonly PlannedSeries[];
  /** Sessions in a row without success. */
  readonly failures: number;
  /** Not before this instant (monotonic): back-off after a failure, or a row that was not there yet. */
  readonly notBefore: Millis;
  readonly lastTurn: Millis;
  /** Small slices, because long answers do not come through. */
  readonly degradedLine: boolean;
  /** A session without rows is wanted then (monotonic): something waits for a safe moment. */
  readonly visitAt?: Millis | undefined;
  /** Somebody waits for this meter: it is next, whatever else there is (R39). */
  readonly requested?: boolean;
}
export interface PortPlanState {
  readonly meters: readonly PlannedMeter[];
  /** When silent meters may have the line again (monotonic). */
  readonly silentNotBefore: Millis;
}
export interface PlanSettings {
  /** Wait after the end of an interval before it is asked for. */
  readonly offsetMs: number;
  /** Back-fill slices in one session. */
  readonly slicesPerTurn: number;
}
export interface PlannedSlice {
  readonly series: SeriesKey;
  readonly from: Millis;
  readonly to: Millis;
  readonly live: boolean;
}
export type Job =
  | { readonly kind: 'poll'; readonly meter: string; readonly slices: readonly PlannedSlice[] }
  /** Nothing to do until then (monotonic). */
  | { readonly kind: 'wait'; readonly until: Millis };

const degradedRows = 4;
/** How long a failing meter lets the live rows of the others go first. */
const longestWaitMs = 15 * 60_000;

/** End of the newest interval that is to be read by now. */
export const newestEnd = (wall: Millis, periodMs: number, offsetMs: number, until?: Millis): Millis =>
  millis(Math.min(until ?? Number.MAX_SAFE_INTEGER, Math.floor((wall - offsetMs) / periodMs) * periodMs));

const startOfDay = (instant: number): number => Math.floor(instant / dayMs) * dayMs;

/** All slices that a meter still needs, in the order in which they are to be read. */
export function slicesOf(meter: PlannedMeter, wall: Millis, settings: PlanSettings): PlannedSlice[] {
  const live: PlannedSlice[] = [];
  const newestDay: PlannedSlice[] = [];
  const older: PlannedSlice[] = [];
  const again: PlannedSlice[] = [];
  for (const { series, periodMs, since, until, coverage, sliceRows, recheck = [] } of meter.series) {
    const end = newestEnd(wall, periodMs, settings.offsetMs, until);
    const rows = Math.min(
      sliceRows ?? Number.POSITIVE_INFINITY,
      meter.degradedLine ? degradedRows : Number.POSITIVE_INFINITY,
    );
    const longest = Math.min(dayMs, rows * periodMs);
    // A gap is asked for whole where the line can bring it: mostly nothing is there.
    const longestGap = longest < dayMs && !meter.degradedLine ? longest : Number.POSITIVE_INFINITY;
    for (const [from, to] of recheck)
      for (let at = from; at < Math.min(to, end); at += longestGap)
        again.push({ series, from: millis(at), to: millis(Math.min(to, end, at + longestGap)), live: false });
    const today = startOfDay(end - 1);
    for (const [holeFrom, holeTo] of missing(coverage, since, end)) {
      for (const [from, to] of chop(holeFrom, holeTo, longest)) {
        const slice = (isLive: boolean): PlannedSlice => ({
          series,
          from: millis(from),
          to: millis(to),
          live: isLive,
        });
        if (to > today) live.push(slice(true));
        else if (to > today - dayMs) newestDay.push(slice(false));
        else older.push(slice(false));
      }
    }
  }
  const newestFirst = (a: PlannedSlice, b: PlannedSlice) => b.to - a.to;
  return [
    ...live.sort(newestFirst),
    ...newestDay.sort(newestFirst),
    ...older.sort((a, b) => a.from - b.from),
    ...again,
  ];
}

/** Cuts a hole at day boundaries and into pieces of at most `longest`. */
export function chop(from: number, to: number, longest: number): [Millis, Millis][] {
  const pieces: [Millis, Millis][] = [];
  for (let at = from; at < to; ) {
    const next = Math.min(to, startOfDay(at) + dayMs, at + longest);
    pieces.push([millis(at), millis(next)]);
    at = next;
  }
  return pieces;
}

export function plan(state: PortPlanState, now: Millis, wall: Millis, settings: PlanSettings): Job {
  let until = Number.POSITIVE_INFINITY;
  let chosen: { meter: PlannedMeter; slices: PlannedSlice[]; rank: number } | undefined;
  let liveWaiting = 0;
  for (const meter of state.meters) {
    const slices = slicesOf(meter, wall, settings);
    for (const { periodMs, since, until: ended } of meter.series) {
      // A series that has ended has no next row, and one that has not begun has its first a period after its beginning.
      if (ended !== undefined && ended <= wall - settings.offsetMs) continue;
      const next = Math.max(newestEnd(wall, periodMs, settings.offsetMs), since) + periodMs;
      until = Math.min(until, now + next + settings.offsetMs - wall);
    }
    const { visitAt } = meter;
    if (visitAt !== undefined && visitAt > now) until = Math.min(until, visitAt);
    const requested = meter.requested === true;
    if (slices.length === 0 && !requested && (visitAt === undefined || visitAt > now)) continue;
    const notBefore = meter.failures > 0 ? Math.max(meter.notBefore, state.silentNotBefore) : meter.notBefore;
    if (notBefore > now && !requested) {
      until = Math.min(until, notBefore);
      continue;
    }
    const live = slices[0]?.live === true;
    if (live && meter.failures === 0) liveWaiting++;
    // Live rows of healthy meters, then the silent ones (their share is bounded), then back-fill.
    // On a line that is never idle a failing meter would wait for ever: after a while it comes in its turn.
    const failing = meter.failures > 0 && now - notBefore < longestWaitMs;
    const rank = requested ? -1 : failing ? 1 : live ? 0 : 2;
    const better = !chosen || rank < chosen.rank || (rank === chosen.rank && meter.lastTurn < chosen.meter.lastTurn);
    if (better) chosen = { meter, slices, rank };
  }
  if (!chosen) return { kind: 'wait', until: millis(Math.max(now + 1, until)) };
  const othersWait = chosen.rank < 0 || liveWaiting > (chosen.rank === 0 ? 1 : 0);
  const liveSlices = chosen.slices.filter(({ live }) => live);
  const backFill = othersWait ? [] : chosen.slices.filter(({ live }) => !live).slice(0, settings.slicesPerTurn);
  const slices = [...liveSlices, ...backFill];
  const least = chosen.rank < 0 ? [] : chosen.slices.slice(0, 1);
  return { kind: 'poll', meter: chosen.meter.id, slices: slices.length > 0 ? slices : least };
}

/** Pause after so many sessions in a row without success. */
export function backOffMs(failures: number, refused: boolean): number {
  // Meters lock for up to 24 h after wrong passwords (R26).
  if (refused) return Math.min(24 * 3_600_000, 15 * 60_000 * 2 ** Math.max(0, failures - 1));
  return Math.min(15 * 60_000, 15_000 * 2 ** Math.max(0, failures - 1));
}

/**
 * A failing meter pays for the line time that it took: a silent one gets a tenth of the line at most; one that is heard,
 * though damaged, a quarter, because its rows can still come through.
 */
export const silentPauseMs = (spentMs: number, heard: boolean): number => spentMs * (heard ? 3 : 9);
