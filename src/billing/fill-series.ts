/** Finds the runs of intervals that nothing stands for, what is known at their edges, and by what they are estimated. */
import { darkIn } from './dark.ts';
import { estimateCode, fill, flat, linear, means, type Method, type Origin, type Weights } from './estimate.ts';
import { historyDays, likeDaysBefore } from './like-days.ts';
import { addDays, type Grid, type GridInterval, gridOf } from './local-time.ts';
import { advanceBetween, type Anchor, anchorAt, type Merged, type MergedPoint, mergePoint } from './merge.ts';
import { type Channel, installedIn } from './registry.ts';
import type { EstimatePlace, SeriesInterval } from './point-series.ts';

/** Intervals [from, to) by index. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly before: Anchor | undefined;
  readonly after: Anchor | undefined;
  /** What the register advanced from edge to edge, and how much of it is left for the intervals to be estimated. */
  readonly total: number | undefined;
  readonly rest: number | undefined;
}
type Standings = readonly (SeriesInterval | undefined)[];

/**
 * What lies between two registers that are known is one run, whatever stands within it: an edit, an outage, a value without a
 * register. Where the advance is not known, a run is as long as nothing but darkness stands.
 */
function runsOf(place: EstimatePlace, channel: Channel, { anchors }: Merged, standing: Standings): Run[] {
  const { grid, input } = place;
  const startOf = (i: number) => grid.intervals[i]?.start ?? grid.intervals[i - 1]?.end ?? 0;
  const at = (i: number, side: 'before' | 'after') => anchorAt(anchors, startOf(i), side, input.point);
  const runs: Run[] = [];
  for (let i = 0; i < standing.length; i++) {
    const here = standing[i];
    // An edit is held against the registers around it, also where nothing is left to be estimated.
    if (here !== undefined && here.standing !== 'edited') continue;
    let [from, to] = [i, i + 1];
    while (from > 0 && !at(from, 'after')) from--;
    while (to < standing.length && !at(to, 'before')) to++;
    const [before, after] = [at(from, 'after'), at(to, 'before')];
    const total = before && after && advanceBetween(before, after, channel, input.point);
    if (total !== undefined) {
      const known = standing.slice(from, to).reduce((sum, one) => sum + (one?.energy ?? 0), 0);
      runs.push({ from, to, before, after, total, rest: total - known });
    } else if (here === undefined) {
      const dark = (n: number) => standing[n] === undefined || standing[n]?.standing === 'outage';
      [from, to] = [i, i + 1];
      while (to < standing.length && dark(to) && !at(to, 'before')) to++;
      runs.push({ from, to, before: at(from, 'after'), after: at(to, 'before'), total: undefined, rest: undefined });
    } else to = i + 1;
    i = to - 1;
  }
  return runs;
}

/** Values of the like days before a day, of this customer's time. */
type History = (interval: GridInterval) => { values: number[]; days: string[] };
function historyOf({ input, grid, merged }: EstimatePlace, channel: Channel): History {
  const { point, from, to, facts, customersFrom = [] } = input;
  const first = addDays(from, -historyDays);
  const before = gridOf(point.periods, point.zone, first, from);
  /** Use of the customer before says nothing of this one's, and is nothing of hers. */
  const movedIn = (day: string) => customersFrom.reduce((last, one) => (one <= day && one > last ? one : last), first);
  const mergedBefore = mergePoint(facts, point, before);
  const byDay = new Map<string, Map<number, number>>();
  const note = (where: Grid, what: MergedPoint) => {
    const known = what.channels[channel]?.known ?? [];
    for (const [i, { day, minute }] of where.intervals.entries()) {
      const energy = known[i]?.energy;
      if (energy === null || energy === undefined || day >= to) continue;
      const ofDay = byDay.get(day) ?? new Map<number, number>();
      byDay.set(day, ofDay);
      ofDay.set(minute, energy);
    }
  };
  note(before, mergedBefore);
  note(grid, merged);
  return ({ day, minute }) => {
    const found: { values: number[]; days: string[] } = { values: [], days: [] };
    const oldest = movedIn(day);
    for (const like of likeDaysBefore(day)) {
      if (like < oldest) break;
      const value = byDay.get(like)?.get(minute);
      if (value === undefined) continue;
      found.values.push(value);
      found.days.push(like);
      if (found.values.length === 3) break;
    }
    return found;
  };
}
/** The same out of an imported series; quarter-hours make hours, an hour is shared by its quarters. */
function importedHistory({ input: { imported = [], point } }: EstimatePlace, channel: Channel): History | undefined {
  const own = imported.find((one) => one.channel === channel);
  if (!own) return undefined;
  const at = (start: number, periodMs: number): number | undefined => {
    const same = own.values.get(start);
    if (same?.periodMs === periodMs) return same.value;
    const hour = own.values.get(Math.floor(start / 3_600_000) * 3_600_000);
    if (hour !== undefined && hour.periodMs > periodMs) return Math.round((hour.value * periodMs) / hour.periodMs);
    if (same === undefined || periodMs % same.periodMs !== 0) return undefined;
    const parts = Array.from({ length: periodMs / same.periodMs }, (_, i) => own.values.get(start + i * same.periodMs));
    return parts.every((one) => one !== undefined) ? parts.reduce((sum, { value }) => sum + value, 0) : undefined;
  };
  const dayValue = (day: string, minute: number, periodMs: number): number | undefined => {
    const { intervals } = gridOf([{ from: '1970-01-01', periodS: periodMs / 1000 }], point.zone, day, addDays(day, 1));
    const there = intervals.find((one) => one.minute === minute);
    return there && at(there.start, periodMs);
  };
  return ({ day, minute, start, end }) => {
    const found: { values: number[]; days: string[] } = { values: [], days: [] };
    // A like day of the weeks before, else of the same weeks a year before: 52 weeks keep the weekday.
    const candidates = [...likeDaysBefore(day), ...likeDaysBefore(addDays(day, -52 * 7 + 28))];
    for (const like of candidates) {
      const value = dayValue(like, minute, end - start);
      if (value === undefined) continue;
      found.values.push(value);
      found.days.push(like);
      if (found.values.length === 3) break;
    }
    return found;
  };
}

const linearMs = 2 * 3_600_000;
/** By what a run is estimated; undefined where there is nothing to go by. */
function weightsOf(
  place: EstimatePlace,
  channel: Channel,
  merged: Merged,
  run: Run,
  histories: readonly (readonly [Method, History])[],
): Weights | undefined {
  const intervals = place.grid.intervals.slice(run.from, run.to);
  const [first, last] = [intervals[0], intervals.at(-1)];
  const [left, right] = [merged.known[run.from - 1], merged.known[run.to]];
  if (first && last && last.end - first.start <= linearMs && left && right && !left.pdn && !right.pdn)
    if (left.energy !== null && right.energy !== null) return linear(left.energy, right.energy, intervals.length);
  for (const [method, history] of histories) {
    const found = means(method, intervals.map(history));
    if (found) return found;
  }
  const { yearlyEstimate } = place.input.point;
  if (channel === 'import' && yearlyEstimate !== undefined && first) {
    const weights = flat('YEARLY', yearlyEstimate * ((first.end - first.start) / 3_600_000), intervals.length);
    return { ...weights, denominator: 8766 };
  }
  return undefined;
}

/** What stands of each interval at last. */
export function estimateRuns(
  place: EstimatePlace,
  channel: Channel,
  merged: Merged,
  standing: readonly (SeriesInterval | undefined)[],
): { readonly intervals: readonly SeriesInterval[]; readonly against: readonly (readonly [number, number])[] } {
  const against: (readonly [number, number])[] = [];
  const { grid } = place;
  const runs = standing.some((one) => one === undefined || one.standing === 'edited')
    ? runsOf(place, channel, merged, standing)
    : [];
  const filled = [...standing];
  if (runs.length > 0) {
    const imported = importedHistory(place, channel);
    const histories: (readonly [Method, History])[] = [['LIKE_DAYS', historyOf(place, channel)]];
    if (imported) histories.push(['IMPORTED', imported]);
    for (const run of runs) {
      const made = estimateRun(place, channel, merged, run, { standing, histories });
      if (made.against) against.push([grid.intervals[run.from]?.start ?? 0, grid.intervals[run.to - 1]?.end ?? 0]);
      for (const [n, one] of made.intervals.entries()) if (one) filled[run.from + n] = one;
    }
  }
  const intervals = grid.intervals.map(
    ({ start, end }, i): SeriesInterval =>
      filled[i] ?? { start, end, energy: null, standing: 'missing', source: '', reasons: reasonsAt(place, merged, i) },
  );
  return { intervals, against };
}
const reasonsAt = ({ merged: { gaps } }: EstimatePlace, { known }: Merged, i: number): readonly string[] => {
  const gap = gaps[i];
  return known[i]?.reasons ?? (gap ? [gap.cause] : ['PENDING']);
};

interface Made {
  readonly intervals: readonly (SeriesInterval | undefined)[];
  readonly against?: true;
}
function estimateRun(
  place: EstimatePlace,
  channel: Channel,
  merged: Merged,
  run: Run,
  {
    standing,
    histories,
  }: { standing: readonly (SeriesInterval | undefined)[]; histories: readonly (readonly [Method, History])[] },
): Made {
  const { grid, input, rules, dark } = place;
  const intervals = grid.intervals.slice(run.from, run.to);
  const here = standing.slice(run.from, run.to);
  const total = run.rest === undefined ? undefined : Math.max(0, run.rest);
  const overdue = intervals.map(({ end }) => end + rules.overdueMs <= input.at);
  // All of it stands, by an edit: the registers know better. Measured values beside it may each be half a unit off (R02).
  if (!here.includes(undefined)) {
    const measured = here.filter((one) => one?.standing === 'measured' || one?.standing === 'uncertain').length;
    return { intervals: [], ...(Math.abs(run.rest ?? 0) > measured / 2 && { against: true as const }) };
  }
  // With both edges known the run is one: its parts are estimated together, or the sum would not be the advance.
  if (!overdue.some((one, i) => one && here[i] === undefined)) return { intervals: [] };
  const zero = intervals.map(({ start, end }, i) => here[i] !== undefined || darkIn(dark, start, end) !== undefined);
  // The register is believed: it ran in what was taken for dark, or less than what stands.
  const ranInDark = total !== undefined && total > 0 && !zero.includes(false);
  const contradiction = ranInDark || (run.rest ?? 0) < 0;
  const excluded = ranInDark ? here.map((one) => one !== undefined) : zero;
  const found = weightsOf(place, channel, merged, run, histories);
  const weights = found ?? (total === undefined ? undefined : flat('EQUAL', 1, intervals.length));
  if (!weights && zero.includes(false)) return { intervals: [] };
  const values = fill(weights ?? flat('EQUAL', 0, intervals.length), excluded, total);
  const lit: Origin = {
    code: estimateCode,
    method: weights?.method ?? 'EQUAL',
    days: weights?.days ?? [],
    total: run.total ?? null,
    edges: { from: run.before ?? null, to: run.after ?? null },
    proof: [],
  };
  return {
    ...(contradiction && { against: true as const }),
    intervals: intervals.map(({ start, end }, i): SeriesInterval | undefined => {
      if (here[i] !== undefined) return undefined;
      if (total === undefined && overdue[i] !== true) return undefined;
      const span = excluded[i] ? darkIn(dark, start, end) : undefined;
      const darkness: Method = span?.cause === 'SUPPLY_OFF' ? 'SUPPLY_OFF' : 'DARK';
      const origin: Origin = span ? { ...lit, method: darkness, proof: [span.proof] } : lit;
      const standing = isFinal(place, run.from + i, start, end) ? 'final' : 'estimated';
      const source = `estimate:${origin.method}${total === undefined ? '' : ':SCALED'}`;
      const reasons = reasonsAt(place, merged, run.from + i);
      return { start, end, energy: values[i] ?? 0, standing, source, reasons, origin };
    }),
  };
}
/** LOST, or the meter is gone: nothing more can come of it, and the time for hoping is over. */
function isFinal({ merged, input, rules }: EstimatePlace, i: number, start: number, end: number): boolean {
  if (input.at < end + rules.finalAfterMs) return false;
  if (merged.gaps[i]?.cause === 'LOST') return true;
  const there = installedIn(input.point.installations, start, end);
  return there.length > 0 && there.every(({ to }) => to !== null && to <= input.at && to >= start);
}
