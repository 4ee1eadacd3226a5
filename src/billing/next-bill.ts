/** The next bill of a contract: its period, the hours of earlier bills that are other by now, and what holds it. Pure. */
import {
  type Bill,
  billed,
  type BilledPeriod,
  billOf,
  type Correction,
  type CorrectedHour,
  type CorrectionReason,
  type Direction,
  freeze,
  nettedAt,
  quantities,
  worse,
} from './bill.ts';
import { type Day, dayOf, gridOf, midnight, nextMonth, localWords } from './local-time.ts';
import { anchorAt } from './merge.ts';
import type { Contract, Netting, Point, Release } from './registry.ts';
import { type PointSeries, type SeriesInterval, seriesRules, type Standing } from './point-series.ts';
import { type Finding, finding, validate, type ValidationRules, withReleases } from './validate.ts';

export interface BillCase {
  readonly point: Point;
  readonly contract: Contract;
  /** Those of this contract, in order. */
  readonly bills: readonly Bill[];
  /** From the first day that may be corrected up to today; farther back where a gap may have begun before. */
  readonly series: PointSeries;
  readonly releases: readonly Release[];
  readonly rules?: Partial<ValidationRules>;
  readonly overdueMs?: number;
}
export type BillOutcome =
  | { readonly kind: 'bill'; readonly bill: Bill }
  | { readonly kind: 'held'; readonly period: Bill['period']; readonly findings: readonly Finding[] }
  /** All that the contract had is billed, and nothing of it changed since. */
  | { readonly kind: 'nothing-due' };

/** Month by month, as far as the contract goes. Each begins where the one before it ended, so that no hour is left out or billed twice. */
export function nextPeriod(contract: Contract, bills: readonly Bill[]): { from: Day; to: Day } {
  const from = bills.at(-1)?.period.to ?? contract.from;
  const month = nextMonth(from);
  if (contract.to === null || contract.to >= month) return { from, to: month };
  return { from, to: contract.to > from ? contract.to : from };
}

/** What stands now of one interval, in the directions that are billed. */
interface NowColumns {
  readonly quantity: Partial<Record<Direction, readonly number[]>>;
  readonly standing: (i: number, direction: Direction) => Standing;
  readonly source: (i: number, direction: Direction) => string;
}
function nowColumns({ channels, grid }: PointSeries, netting: Netting): NowColumns {
  const { import: taken, export: fed } = channels;
  const energies = (all: readonly SeriesInterval[]) => all.map(({ energy }) => energy ?? 0);
  const of = (direction: Direction) => (direction === 'consumption' ? taken : fed);
  const isNettedAt = nettedAt(netting, grid);
  return {
    quantity: quantities(
      { ...(taken && { import: energies(taken) }), ...(fed && { export: energies(fed) }) },
      isNettedAt,
    ),
    standing: (i, direction) =>
      taken && fed && isNettedAt(i)
        ? worse(taken[i]?.standing ?? 'missing', fed[i]?.standing)
        : (of(direction)?.[i]?.standing ?? 'missing'),
    source: (i, direction) =>
      taken && fed && isNettedAt(i)
        ? `${taken[i]?.source ?? ''}+${fed[i]?.source ?? ''}`
        : (of(direction)?.[i]?.source ?? ''),
  };
}
const isEstimate = (standing: Standing): boolean => standing === 'estimated' || standing === 'final';
function reasonOf(before: Standing, now: Standing, source: string): CorrectionReason | undefined {
  if (now === 'edited') return 'EDITED';
  if (now === 'outage') return 'ZERO_PROVEN';
  if (!isEstimate(now)) return before === 'measured' || before === 'uncertain' ? 'REVISED' : 'MEASURED';
  if (source.includes(':SCALED')) return 'REGISTER_KNOWN';
  // One guess is as good as another: what was billed stands until something is known.
  return isEstimate(before) ? undefined : 'REESTIMATED';
}

const same = (a: Netting, b: Netting): boolean => JSON.stringify(a) === JSON.stringify(b);

function correctionsOf(earlier: readonly BilledPeriod[], one: BillCase, now: NowColumns): Correction[] {
  const { contract, point, series } = one;
  const [from, to] = [
    midnight(contract.from, point.zone),
    contract.to === null ? Infinity : midnight(contract.to, point.zone),
  ];
  const corrections: Correction[] = [];
  for (const { bill, starts, quantities: was, standing } of earlier) {
    const asBilled = same(bill.netting, point.netting) ? undefined : nowColumns(series, bill.netting);
    for (const direction of ['consumption', 'production'] as const) {
      const values = was[direction];
      if (!values) continue;
      const hours: CorrectedHour[] = [];
      for (const [i, start] of starts.entries()) {
        const [value, before] = [values[i] ?? 0, standing[direction]?.[i] ?? 'missing'];
        const at = series.grid.indexOf.get(start);
        if (at === undefined) continue;
        const end = series.grid.intervals[at]?.end ?? start;
        if (start < from || start >= to) {
          if (value !== 0)
            hours.push({ start, end, was: value, is: 0, before, now: 'edited', source: 'contract', reason: 'MOVED' });
          continue;
        }
        const is = now.quantity[direction]?.[at] ?? value;
        if (is === value) continue;
        const [stands, source] = [now.standing(at, direction), now.source(at, direction)];
        const byNetting = asBilled?.quantity[direction]?.[at] === value;
        const reason = stands === 'missing' ? undefined : byNetting ? 'NETTING' : reasonOf(before, stands, source);
        if (reason) hours.push({ start, end, was: value, is, before, now: stands, source, reason });
      }
      if (hours.length > 0) corrections.push({ bill: bill.bill, period: bill.period, direction, hours });
    }
  }
  return corrections;
}

/** The register advanced between the last reading that was billed and the first interval. */
function carriedOf({ contract, point, series, bills }: BillCase): Bill['carried'] | Finding {
  const { startRegister } = contract;
  if (!startRegister || bills.length > 0) return null;
  const at = midnight(contract.from, point.zone);
  const anchors = series.merged.channels.import?.anchors;
  const anchor = anchors && anchorAt(anchors, at, 'before', point);
  const known = anchor ?? (anchors && anchorAt(anchors, at, 'after', point));
  if (known && known.register >= startRegister.register)
    return { from: startRegister.register, to: known.register, at: startRegister.at };
  return finding(
    'START_UNKNOWN',
    'import',
    [startRegister.at, at],
    known
      ? `billed up to register ${startRegister.register}, and it stands at ${known.register}`
      : `no register at ${localWords(at, point.zone)}`,
  );
}

/** What was billed in other units or intervals cannot be compared with what stands now. */
function changedPoint({ bills, point }: BillCase): Finding | undefined {
  const other = bills.find((bill) => {
    const { from, to } = bill.period;
    const [then, now] = [gridOf(bill.periods, bill.zone, from, to), gridOf(point.periods, point.zone, from, to)];
    const same =
      then === now ||
      (then.intervals.length === now.intervals.length &&
        then.intervals.every(({ start, end }, i) => now.intervals[i]?.start === start && now.intervals[i].end === end));
    return bill.point !== point.point || bill.scaler !== point.scaler || bill.zone !== point.zone || !same;
  });
  if (!other) return undefined;
  const span = [midnight(other.period.from, other.zone), midnight(other.period.to, other.zone)] as const;
  const was = `point ${other.point}, units of 10^${other.scaler} Wh, ${other.zone}, ${JSON.stringify(other.periods)}`;
  return finding(
    'POINT_CHANGED',
    null,
    span,
    `bill ${other.bill} was made of ${was}: let the registry say so of that time`,
  );
}

/** The registry says otherwise now of what is set against each other, of a time that was billed. */
const changedNetting = (corrections: readonly Correction[]): Finding[] =>
  corrections.flatMap(({ bill, direction, hours }) => {
    const netted = hours.filter(({ reason }) => reason === 'NETTING');
    const [first, last] = [netted[0], netted.at(-1)];
    if (!first || !last) return [];
    const sum = netted.reduce((total, { was, is }) => total + is - was, 0);
    const evidence = `${netted.length} intervals of bill ${bill} become other by it, ${direction} by ${sum} units`;
    const channel = direction === 'consumption' ? 'import' : 'export';
    return [finding('NETTING_CHANGED', channel, [first.start, last.end], evidence)];
  });

function openPeriod(one: BillCase, { from, to }: Bill['period']): Finding | undefined {
  const end = midnight(to, one.point.zone);
  const overdueMs = one.overdueMs ?? seriesRules.overdueMs;
  if (from === to || end + overdueMs <= one.series.at) return undefined;
  return finding(
    'PERIOD_OPEN',
    null,
    [midnight(from, one.point.zone), end],
    `it can be billed from ${localWords(end + overdueMs, one.point.zone)} on`,
  );
}

export function nextBill(one: BillCase): BillOutcome {
  const { point, contract, bills, series, releases } = one;
  const period = nextPeriod(contract, bills);
  const [from, to] = [midnight(period.from, point.zone), midnight(period.to, point.zone)];
  const now = nowColumns(series, point.netting);
  const changed = changedPoint(one);
  if (changed) return { kind: 'held', period, findings: [changed] };
  const corrections = correctionsOf(billed(bills), one, now);
  if (period.from === period.to && corrections.length === 0) return { kind: 'nothing-due' };
  const touched = corrections.flatMap(({ hours }) => hours);
  const concerns = (found: Finding) =>
    (found.from < to && found.to > from) || touched.some(({ start, end }) => found.from < end && found.to > start);
  const findings = validate(series, point, one.rules).filter(concerns);
  findings.push(...changedNetting(corrections));
  const open = openPeriod(one, period);
  if (open) findings.push(open);
  const first = bills[0]?.period.from;
  if (first !== undefined && contract.from < first)
    findings.push(
      finding(
        'CONTRACT_MOVED',
        null,
        [midnight(contract.from, point.zone), midnight(first, point.zone)],
        `the contract begins ${contract.from}, its first bill ${first}`,
      ),
    );
  const carried = carriedOf(one);
  if (carried !== null && 'rule' in carried) findings.push(carried);
  const judged = withReleases(findings, releases, series.at);
  const holding = judged.filter(({ consequence }) => consequence === 'held');
  if (holding.length > 0) return { kind: 'held', period, findings: holding };
  const [begin, end] = [series.grid.indexOf.get(from), series.grid.indexOf.get(to) ?? series.grid.intervals.length];
  const columns = Object.entries(series.channels).map(([channel, intervals]) => [
    channel,
    freeze(period.from === period.to ? [] : intervals.slice(begin ?? 0, end)),
  ]);
  if (begin === undefined && period.from !== period.to)
    throw new RangeError(
      `the series begins ${dayOf(series.grid.intervals[0]?.start ?? 0, point.zone)}, after the period`,
    );
  const number = bills.length + 1;
  return {
    kind: 'bill',
    bill: billOf({
      v: 1,
      bill: `${contract.contract}/${number}`,
      number,
      contract: contract.contract,
      point: point.point,
      customer: contract.customer,
      language: contract.language,
      zone: point.zone,
      scaler: point.scaler,
      netting: point.netting,
      periods: point.periods,
      period,
      madeAt: series.at,
      series: Object.fromEntries(columns),
      carried: carried as Bill['carried'],
      corrections,
      findings: judged,
      after: bills.at(-1)?.digest ?? null,
    }),
  };
}
