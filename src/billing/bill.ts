/**
 * A bill freezes what it was made of: the value of each interval, what it stood by, and each hour of an earlier bill that it
 * corrects. Its lines come out of that alone, so that anybody makes the same bill of it for ever: the digest says so.
 */
import { canonicalJson, digestOf } from '../base/canonical.ts';
import { type Day, type Grid, gridOf, type PeriodFrom } from './local-time.ts';
import { type Channel, type Contract, isNetted, type Netting } from './registry.ts';
import type { Origin } from './estimate.ts';
import { type SeriesInterval, type Standing, standings } from './point-series.ts';
import type { Finding } from './validate.ts';

export type Direction = 'consumption' | 'production';
/** A column for the intervals of the period, in their order. */
export interface Frozen {
  readonly energy: readonly number[];
  /** Runs of equal standing: how many, what. */
  readonly standing: readonly (readonly [number, Standing])[];
  /** Runs of equal source: how many, which message, edit or estimate. */
  readonly source: readonly (readonly [number, string])[];
  /** Estimates, by the first interval of each run of one origin. */
  readonly origins: readonly (readonly [number, Origin])[];
}
export interface CorrectedHour {
  readonly start: number;
  readonly end: number;
  readonly was: number;
  readonly is: number;
  readonly before: Standing;
  readonly now: Standing;
  readonly source: string;
  readonly reason: CorrectionReason;
}
export const correctionReasons = {
  MEASURED: 'the measured value came',
  REGISTER_KNOWN: 'the register after the gap became known',
  EDITED: 'a person corrected the value',
  REVISED: 'the gateway delivered another value',
  REESTIMATED: 'the estimate was made anew',
  ZERO_PROVEN: 'it is proven that nothing was used',
  MOVED: 'the contract did not hold then',
  NETTING: 'import and export are set against each other otherwise',
} as const;
export type CorrectionReason = keyof typeof correctionReasons;
export interface Correction {
  /** The bill that had it. */
  readonly bill: string;
  readonly period: { readonly from: Day; readonly to: Day };
  readonly direction: Direction;
  readonly hours: readonly CorrectedHour[];
}
export type Line =
  | { readonly kind: 'period'; readonly direction: Direction; readonly quantity: number; readonly hours: Hours }
  | { readonly kind: 'carried'; readonly direction: 'consumption'; readonly quantity: number }
  | {
      readonly kind: 'correction';
      readonly direction: Direction;
      readonly bill: string;
      readonly was: number;
      readonly is: number;
      readonly quantity: number;
      readonly reasons: Readonly<Partial<Record<CorrectionReason, number>>>;
      readonly intervals: number;
    };
/** Hours, or parts of them, by what they stand by. */
export type Hours = Readonly<Partial<Record<Standing, number>>>;

/** All that the lines are made of. */
export interface BillInputs {
  readonly v: 1;
  readonly bill: string;
  readonly number: number;
  readonly contract: string;
  readonly point: string;
  readonly customer: Contract['customer'];
  readonly language: Contract['language'];
  readonly zone: string;
  readonly scaler: number;
  readonly netting: Netting;
  readonly periods: readonly PeriodFrom[];
  /** Local days, the second no longer of it. Equal: corrections only. */
  readonly period: { readonly from: Day; readonly to: Day };
  readonly madeAt: number;
  readonly series: Readonly<Partial<Record<Channel, Frozen>>>;
  readonly carried: { readonly from: number; readonly to: number; readonly at: number } | null;
  readonly corrections: readonly Correction[];
  readonly findings: readonly Finding[];
  /** Digest of the bill of this contract before. */
  readonly after: string | null;
}
export interface Bill extends BillInputs {
  readonly lines: readonly Line[];
  readonly total: Readonly<Partial<Record<Direction, number>>>;
  readonly digest: string;
}

function runLengths<T>(values: readonly T[]): (readonly [number, T])[] {
  const runs: [number, T][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last?.[1] === value) last[0]++;
    else runs.push([1, value]);
  }
  return runs;
}
export const unrolled = <T>(runs: readonly (readonly [number, T])[]): T[] =>
  runs.flatMap(([count, value]) => Array.from({ length: count }, () => value));

/** Of intervals that all have a value. */
export function freeze(intervals: readonly SeriesInterval[]): Frozen {
  const origins: [number, Origin][] = [];
  let last = '';
  let before: Origin | undefined;
  for (const [i, { origin }] of intervals.entries()) {
    // Estimates of one run share theirs.
    if (origin === before) continue;
    before = origin;
    const text = origin ? canonicalJson(origin) : '';
    if (origin && text !== last) origins.push([i, origin]);
    last = text;
  }
  return {
    energy: intervals.map(({ energy }) => energy ?? 0),
    standing: runLengths(intervals.map(({ standing }) => standing)),
    source: runLengths(intervals.map(({ source }) => source)),
    origins,
  };
}

/** Whether an interval of the grid is netted. */
export const nettedAt =
  (netting: Netting, { intervals }: Grid) =>
  (i: number): boolean => {
    const { day } = intervals[i] ?? {};
    return day !== undefined && isNetted(netting, day);
  };
/** What is billed of each interval. Where it is netted, import and export of that interval are set against each other. */
export function quantities(
  series: Readonly<Partial<Record<Channel, readonly number[]>>>,
  isNettedAt: (i: number) => boolean,
): Partial<Record<Direction, readonly number[]>> {
  const { import: taken, export: fed } = series;
  if (!taken) return fed ? { production: fed } : {};
  if (!fed) return { consumption: taken };
  return {
    consumption: taken.map((value, i) => (isNettedAt(i) ? Math.max(0, value - (fed[i] ?? 0)) : value)),
    production: fed.map((value, i) => (isNettedAt(i) ? Math.max(0, value - (taken[i] ?? 0)) : value)),
  };
}
const rank = new Map(standings.map((one, i) => [one, i]));
/** A netted value is as good as the worse of its two. */
export const worse = (a: Standing, b: Standing | undefined): Standing =>
  b !== undefined && (rank.get(b) ?? 0) > (rank.get(a) ?? 0) ? b : a;

export interface BilledColumns {
  readonly quantities: Partial<Record<Direction, readonly number[]>>;
  readonly standing: Partial<Record<Direction, readonly Standing[]>>;
}
/** What a bill said of its own period, before any correction. */
export function columnsOf({ series, netting, periods, zone, period }: BillInputs): BilledColumns {
  const { import: taken, export: fed } = series;
  const isNettedAt = nettedAt(netting, gridOf(periods, zone, period.from, period.to));
  const [ofTaken, ofFed] = [taken && unrolled(taken.standing), fed && unrolled(fed.standing)];
  const withOther = (own: readonly Standing[], other: readonly Standing[] | undefined) =>
    other ? own.map((one, i) => (isNettedAt(i) ? worse(one, other[i]) : one)) : own;
  return {
    quantities: quantities({ ...(taken && { import: taken.energy }), ...(fed && { export: fed.energy }) }, isNettedAt),
    standing: {
      ...(ofTaken && { consumption: withOther(ofTaken, ofFed) }),
      ...(ofFed && { production: withOther(ofFed, ofTaken) }),
    },
  };
}
const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
export function hoursOf(standing: readonly Standing[], lengths: readonly number[]): Hours {
  const hours: Partial<Record<Standing, number>> = {};
  for (const [i, one] of standing.entries()) hours[one] = (hours[one] ?? 0) + (lengths[i] ?? 0) / 3_600_000;
  return hours;
}

/** The lines that come out of what a bill froze. */
export function linesOf(inputs: BillInputs): Line[] {
  const { periods, zone, period, carried, corrections } = inputs;
  const lengths = gridOf(periods, zone, period.from, period.to).intervals.map(({ start, end }) => end - start);
  const columns = columnsOf(inputs);
  const lines: Line[] = [];
  for (const direction of ['consumption', 'production'] as const) {
    const values = columns.quantities[direction];
    if (!values || period.from === period.to) continue;
    const hours = hoursOf(columns.standing[direction] ?? [], lengths);
    lines.push({ kind: 'period', direction, quantity: sumOf(values), hours });
  }
  if (carried) lines.push({ kind: 'carried', direction: 'consumption', quantity: carried.to - carried.from });
  for (const { bill, direction, hours } of corrections) {
    const [was, is] = [sumOf(hours.map((one) => one.was)), sumOf(hours.map((one) => one.is))];
    const reasons: Partial<Record<CorrectionReason, number>> = {};
    for (const { reason } of hours) reasons[reason] = (reasons[reason] ?? 0) + 1;
    lines.push({ kind: 'correction', direction, bill, was, is, quantity: is - was, reasons, intervals: hours.length });
  }
  return lines;
}
export function billOf(inputs: BillInputs): Bill {
  const lines = linesOf(inputs);
  const total: Partial<Record<Direction, number>> = {};
  for (const { direction, quantity } of lines) total[direction] = (total[direction] ?? 0) + quantity;
  const whole = { ...inputs, lines, total };
  return { ...whole, digest: digestOf(canonicalJson(whole)) };
}

export type Recomputed = { readonly good: true } | { readonly good: false; readonly why: string };
/**
 * Whether a bill is what comes out of what it froze, and stands on the bills of its contract before it: each corrected hour
 * was billed as it says. `before`: in their order.
 */
export function recompute(bill: Bill, before: readonly Bill[]): Recomputed {
  const { lines: _lines, total: _total, digest, ...inputs } = bill;
  if (billOf(inputs).digest !== digest) return { good: false, why: 'its lines are not what comes out of its values' };
  if (bill.after !== (before.at(-1)?.digest ?? null))
    return { good: false, why: 'the bill before it is not the one that it was made after' };
  const ledger = billed(before);
  for (const { bill: earlier, direction, hours } of bill.corrections) {
    const own = ledger.find((one) => one.bill.bill === earlier);
    if (!own) return { good: false, why: `it corrects ${earlier}, which is none of this contract's` };
    for (const { start, was } of hours) {
      const index = own.indexOf.get(start);
      if (index === undefined || own.quantities[direction]?.[index] !== was)
        return { good: false, why: `an hour of ${earlier} was not billed as it says` };
    }
  }
  return { good: true };
}

/** What stands billed of the period of each bill, after all corrections. */
export interface BilledPeriod {
  readonly bill: Bill;
  readonly starts: readonly number[];
  readonly indexOf: ReadonlyMap<number, number>;
  readonly quantities: Partial<Record<Direction, number[]>>;
  readonly standing: Partial<Record<Direction, Standing[]>>;
}
export function billed(bills: readonly Bill[]): BilledPeriod[] {
  const periods = bills.map((bill): BilledPeriod => {
    const grid = gridOf(bill.periods, bill.zone, bill.period.from, bill.period.to);
    const columns = columnsOf(bill);
    const copy = <T>(of: Partial<Record<Direction, readonly T[]>>) =>
      Object.fromEntries(Object.entries(of).map(([direction, values]) => [direction, [...values]]));
    return {
      bill,
      starts: grid.intervals.map(({ start }) => start),
      indexOf: grid.indexOf,
      quantities: copy(columns.quantities),
      standing: copy(columns.standing),
    };
  });
  const byName = new Map(periods.map((one) => [one.bill.bill, one]));
  for (const { corrections } of bills)
    for (const { bill, direction, hours } of corrections) {
      const own = byName.get(bill);
      for (const { start, is, now } of hours) {
        const index = own?.indexOf.get(start);
        const [values, standing] = [own?.quantities[direction], own?.standing[direction]];
        if (index === undefined || !values || !standing) continue;
        values[index] = is;
        standing[index] = now;
      }
    }
  return periods;
}
