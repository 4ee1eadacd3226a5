/**
 * What is looked at before a bill is made (the V of VEE). A finding has its rule, evidence, severity and consequence: billed
 * and shown, or the bill of the point is held until a person edits the value or releases the bill as it is.
 */
import { likeDayOf } from './like-days.ts';
import { localWords, midnight, nextDay } from './local-time.ts';
import { anchorAt, advanceBetween } from './merge.ts';
import { type Channel, channels, type Point, type Release, unitsOfWh } from './registry.ts';
import type { PointSeries, SeriesInterval } from './point-series.ts';

export type Consequence = 'billed' | 'shown' | 'held';
export type Severity = 'note' | 'warning' | 'serious';
export const rules = {
  REGISTER_SUM: ['serious', 'held', 'the intervals of a day are not what the register advanced (R02)'],
  IMPOSSIBLE: ['serious', 'held', 'more than the main fuses let through (R12)'],
  REGISTER_BACKWARD: ['serious', 'held', 'the register fell: what was used across it is not known (R08)'],
  SCALE_UNKNOWN: [
    'serious',
    'held',
    'values whose scaler or unit is not known, or that are no whole units of the point',
  ],
  METER_UNKNOWN: ['serious', 'held', 'a meter delivers under this point that is not registered at it: was it swapped?'],
  OPEN_GAP: ['serious', 'held', 'intervals that are missing, and nothing to estimate them by'],
  ABOVE_LIKE_DAYS: ['serious', 'held', 'a day far above those that are like it'],
  USE_WHILE_OFF: ['serious', 'held', 'use while the point is disconnected or the switch of the meter is open'],
  ZERO_CONTRADICTED: [
    'serious',
    'held',
    'the register disagrees with an edit, or ran while a log proves that there was no mains',
  ],
  EDIT_UNCONFIRMED: ['serious', 'held', 'a large edit that no second person agreed to'],
  POINT_CHANGED: [
    'serious',
    'held',
    'the point counts otherwise than in bills of before: its unit, its time zone, or how long its intervals were then',
  ],
  NETTING_CHANGED: [
    'serious',
    'held',
    'the registry sets import and export of a time that was billed against each other, and did not then, or the other way round',
  ],
  CONTRACT_MOVED: ['serious', 'held', 'the contract begins before its first bill: there are hours that nobody billed'],
  START_UNKNOWN: [
    'serious',
    'held',
    'billing by readings ended at a register, and the one at the first interval is not known',
  ],
  PERIOD_OPEN: ['serious', 'held', 'the period is not over, or its last hours are not overdue yet'],
  UNCERTAIN: ['warning', 'shown', 'measured, and the meter or its clock doubts it (R04, R05)'],
  TIME_UNTRUSTED: ['warning', 'shown', 'read while the gateway did not know the time (R29)'],
  LONG_ZERO: ['warning', 'shown', 'nothing used for long, with the link up and the switch closed'],
  EDIT_OFF_GRID: ['warning', 'shown', 'an edit of an interval that the point does not have'],
  EDIT_BELOW_MEASURED: ['note', 'shown', 'an edit that a measured value stands above'],
  ESTIMATED: ['note', 'billed', 'estimated: the next bill corrects it when the measured values come'],
} as const satisfies Record<string, readonly [Severity, Consequence, string]>;
export type Rule = keyof typeof rules;
/** No person can let these go: there is something to be done first. */
const unreleasable: ReadonlySet<Rule> = new Set([
  'PERIOD_OPEN',
  'OPEN_GAP',
  'POINT_CHANGED',
  'CONTRACT_MOVED',
  'START_UNKNOWN',
  'SCALE_UNKNOWN',
]);

export const isReleasable = (rule: Rule): boolean => !unreleasable.has(rule);

export interface Finding {
  readonly rule: Rule;
  readonly channel: Channel | null;
  readonly from: number;
  readonly to: number;
  readonly evidence: string;
  readonly severity: Severity;
  readonly consequence: Consequence;
  /** Who let it go, and why. */
  readonly released?: string;
}
export interface ValidationRules {
  /** So many times the median of like days. */
  readonly likeDayFactor: number;
  /** And so much above it. */
  readonly likeDayFloorWh: number;
  readonly longZeroDays: number;
}
export const validationRules: ValidationRules = { likeDayFactor: 5, likeDayFloorWh: 20_000, longZeroDays: 14 };

export const finding = (
  rule: Rule,
  channel: Channel | null,
  [from, to]: readonly [number, number],
  evidence: string,
): Finding => ({ rule, channel, from, to, evidence, severity: rules[rule][0], consequence: rules[rule][1] });

/** Neighbouring intervals with the same finding are one. */
function runsWhere(
  intervals: readonly SeriesInterval[],
  where: (one: SeriesInterval, i: number) => boolean,
): { from: number; to: number; all: SeriesInterval[] }[] {
  const runs: { from: number; to: number; all: SeriesInterval[] }[] = [];
  for (const [i, one] of intervals.entries()) {
    if (!where(one, i)) continue;
    const last = runs.at(-1);
    if (last?.to === one.start) {
      last.to = one.end;
      last.all.push(one);
    } else runs.push({ from: one.start, to: one.end, all: [one] });
  }
  return runs;
}

/** Wh per hour that the fuses let through, a fifth above. */
const throughFuses = (fuseA: number): number => 1.2 * fuseA * 3 * 230;
const scaleReasons = new Set(['SCALER_UNKNOWN', 'UNIT_UNFIT', 'NEGATIVE']);

/** What is billed and shown. */
const shownRules: readonly (readonly [Rule, (one: SeriesInterval) => boolean])[] = [
  ['TIME_UNTRUSTED', ({ reasons }) => reasons.includes('TIME_UNTRUSTED')],
  [
    'UNCERTAIN',
    ({ standing, reasons }) => standing === 'uncertain' && reasons.some((reason) => reason.startsWith('UNCERTAIN/')),
  ],
];
function intervalFindings(
  intervals: readonly SeriesInterval[],
  channel: Channel,
  series: PointSeries,
  point: Point,
): Finding[] {
  const limit = point.fuseA === undefined ? Infinity : throughFuses(point.fuseA) / 10 ** point.scaler / 3_600_000;
  const off = [
    ...(point.disconnected ?? []),
    ...series.dark.filter(({ cause, to }) => cause === 'SUPPLY_OFF' && to !== null),
  ];
  // Nearly all intervals are plainly measured: they are passed once.
  const odd = intervals.filter(
    ({ standing, reasons, energy, start, end }) =>
      standing !== 'measured' || reasons.length > 0 || off.length > 0 || (energy ?? 0) > limit * (end - start),
  );
  const found: Finding[] = [];
  const add = (
    rule: Rule,
    where: (one: SeriesInterval) => boolean,
    words: (all: readonly SeriesInterval[]) => string,
  ) => {
    for (const { from, to, all } of runsWhere(odd, where)) found.push(finding(rule, channel, [from, to], words(all)));
  };
  const largest = (all: readonly SeriesInterval[]) => Math.max(...all.map(({ energy }) => energy ?? 0));
  const isRow = ({ standing }: SeriesInterval) => standing === 'measured' || standing === 'uncertain';
  const why = (all: readonly SeriesInterval[]) => [...new Set(all.flatMap(({ reasons }) => reasons))].join(', ');
  add(
    'IMPOSSIBLE',
    (one) => isRow(one) && (one.reasons.includes('IMPOSSIBLE') || (one.energy ?? 0) > limit * (one.end - one.start)),
    (all) => `up to ${largest(all)} units in an interval of ${all.length}`,
  );
  add(
    'REGISTER_BACKWARD',
    (one) => one.standing !== 'edited' && one.reasons.includes('REGISTER_BACKWARD'),
    (all) => `${all.length} intervals without energy`,
  );
  add(
    'SCALE_UNKNOWN',
    (one) => one.standing !== 'edited' && one.reasons.some((reason) => scaleReasons.has(reason)),
    (all) => `${all.length} intervals: ${why(all)}`,
  );
  for (const [rule, where] of shownRules) add(rule, where, (all) => `${all.length} intervals: ${why(all)}`);
  add(
    'OPEN_GAP',
    ({ standing }) => standing === 'missing',
    (all) => `${all.length} intervals: ${why(all)}`,
  );
  add(
    'ESTIMATED',
    ({ standing }) => standing === 'estimated' || standing === 'final',
    (all) => `${all.length} intervals: ${[...new Set(all.map(({ source }) => source))].join(', ')}`,
  );
  if (off.length > 0)
    add(
      'USE_WHILE_OFF',
      (one) =>
        isRow(one) &&
        (one.energy ?? 0) > 0 &&
        off.some(({ from, to }) => from <= one.start && (to ?? Infinity) >= one.end),
      (all) => `${all.reduce((sum, { energy }) => sum + (energy ?? 0), 0)} units in ${all.length} intervals`,
    );
  return found;
}

interface DayOf {
  readonly day: string;
  readonly from: number;
  readonly to: number;
  readonly intervals: readonly SeriesInterval[];
  readonly sum: number;
}
function daysOf(intervals: readonly SeriesInterval[], series: PointSeries, point: Point): DayOf[] {
  const days = new Map<string, SeriesInterval[]>();
  for (const [i, one] of intervals.entries()) {
    const day = series.grid.intervals[i]?.day ?? '';
    const there = days.get(day);
    if (there) there.push(one);
    else days.set(day, [one]);
  }
  return [...days].map(([day, own]) => ({
    day,
    from: midnight(day, point.zone),
    to: midnight(nextDay(day), point.zone),
    intervals: own,
    sum: own.reduce((sum, { energy }) => sum + (energy ?? 0), 0),
  }));
}
function sumFindings(days: readonly DayOf[], channel: Channel, series: PointSeries, point: Point): Finding[] {
  const anchors = series.merged.channels[channel]?.anchors;
  if (!anchors) return [];
  return days.flatMap(({ from, to, intervals, sum }) => {
    if (!intervals.every(({ standing }) => standing === 'measured' || standing === 'outage')) return [];
    const [first, last] = [anchorAt(anchors, from, 'after', point), anchorAt(anchors, to, 'before', point)];
    const advance = first && last && advanceBetween(first, last, channel, point);
    if (advance === undefined) return [];
    // Registers and energies of one channel have one scaler: one unit is the quantum of both.
    const bound = intervals.length / 2 + 1;
    const off = Math.abs(sum - advance);
    return off > bound
      ? [
          finding(
            'REGISTER_SUM',
            channel,
            [from, to],
            `sum ${sum}, register ${advance}: off by ${off}, allowed ${bound}`,
          ),
        ]
      : [];
  });
}
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
function likeDayFindings(
  days: readonly DayOf[],
  point: Point,
  { likeDayFactor, likeDayFloorWh }: ValidationRules,
): Finding[] {
  const floor = unitsOfWh(likeDayFloorWh, point);
  const whole = days.filter(({ intervals }) => intervals.every(({ standing }) => standing === 'measured'));
  const byKind = Map.groupBy(whole, ({ day }) => likeDayOf(day));
  return whole.flatMap(({ day, from, to, sum }) => {
    const others = (byKind.get(likeDayOf(day)) ?? []).filter((one) => one.day !== day).map((one) => one.sum);
    const usual = median(others);
    if (others.length < 2 || sum <= likeDayFactor * usual || sum <= usual + floor) return [];
    return [finding('ABOVE_LIKE_DAYS', 'import', [from, to], `${day}: ${sum} units, like days have ${usual}`)];
  });
}
function zeroFindings(
  intervals: readonly SeriesInterval[],
  series: PointSeries,
  point: Point,
  days: number,
): Finding[] {
  const off = (at: number) =>
    [...(point.disconnected ?? []), ...series.dark].some(({ from, to }) => from <= at && (to ?? Infinity) > at);
  return runsWhere(intervals, ({ energy, standing, start }) => standing === 'measured' && energy === 0 && !off(start))
    .filter(({ from, to }) => to - from >= days * 86_400_000)
    .map(({ from, to }) => finding('LONG_ZERO', 'import', [from, to], `zero since ${localWords(from, point.zone)}`));
}

/** Findings of the whole series, in time. */
export function validate(series: PointSeries, point: Point, given: Partial<ValidationRules> = {}): Finding[] {
  const limits = { ...validationRules, ...given };
  const found: Finding[] = [];
  for (const channel of channels) {
    const intervals = series.channels[channel];
    if (!intervals) continue;
    const days = daysOf(intervals, series, point);
    found.push(...intervalFindings(intervals, channel, series, point), ...sumFindings(days, channel, series, point));
    if (channel === 'import')
      found.push(
        ...likeDayFindings(days, point, limits),
        ...zeroFindings(intervals, series, point, limits.longZeroDays),
      );
  }
  const end = series.grid.intervals.at(-1)?.end ?? 0;
  for (const [serial, since] of series.merged.strangers)
    found.push(finding('METER_UNKNOWN', null, [since, end], `meter ${serial} since ${localWords(since, point.zone)}`));
  for (const { channel, from, to } of series.contradicted)
    found.push(finding('ZERO_CONTRADICTED', channel, [from, to], 'see the registers at both edges'));
  const ofEdit = {
    UNCONFIRMED: 'EDIT_UNCONFIRMED',
    OFF_GRID: 'EDIT_OFF_GRID',
    BELOW_MEASURED: 'EDIT_BELOW_MEASURED',
  } as const;
  for (const { edit, why } of series.edits)
    found.push(finding(ofEdit[why], edit.channel, [edit.start, edit.end], `edit ${edit.edit} by ${edit.who}`));
  return found.toSorted((a, b) => a.from - b.from || (a.rule < b.rule ? -1 : Number(a.rule > b.rule)));
}
/** What a person has let go is shown, no longer held. */
export const withReleases = (found: readonly Finding[], releases: readonly Release[], at: number): Finding[] =>
  found.map((one) => {
    if (one.consequence !== 'held' || !isReleasable(one.rule)) return one;
    const release = releases.find(
      ({ rule, from, to, at: when }) => rule === one.rule && from <= one.from && to >= one.to && when <= at,
    );
    return release ? { ...one, consequence: 'shown', released: `${release.who}: ${release.why}` } : one;
  });
