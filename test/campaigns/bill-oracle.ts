/**
 * Bills against the truth: months of points with outages, swaps, links that are away, customers who move, netting and both
 * changes of the clock, billed as the months go by, while data comes late and in any order.
 */
import { type Bill, billed, nettedAt, quantities, recompute } from '../../src/billing/bill.ts';
import { addDays, midnight } from '../../src/billing/local-time.ts';
import { type BillOutcome, nextBill, nextPeriod } from '../../src/billing/next-bill.ts';
import type { Channel, Contract, Edit, Release } from '../../src/billing/registry.ts';
import { type PointSeries, seriesRules } from '../../src/billing/point-series.ts';
import { seriesOf } from '../../src/billing/series.ts';
import { type Random, seeded } from '../../src/simulator/random.ts';
import { allIn, dayAt, storyOf, type Truth, truthOf, zone } from '../support/billing-truth.ts';

const dayMs = 86_400_000;
/** Wh by which estimates were off when they were billed, and by which equal shares would have been; and what was estimated. */
export interface EstimateError {
  intervals: number;
  truth: number;
  estimate: number;
  flat: number;
}
export interface OracleOutcome {
  readonly wrong: readonly string[];
  readonly bills: number;
  readonly corrections: number;
  readonly held: number;
  readonly scaled: EstimateError;
  readonly unscaled: EstimateError;
}
const noError = (): EstimateError => ({ intervals: 0, truth: 0, estimate: 0, flat: 0 });

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

interface Run {
  readonly truth: Truth;
  readonly random: Random;
  readonly bills: Map<string, Bill[]>;
  readonly edits: Edit[];
  readonly releases: Release[];
  /** First time at which each channel's interval was measured. */
  readonly measured: Set<string>;
  readonly wrong: string[];
  readonly scaled: EstimateError;
  readonly unscaled: EstimateError;
  held: number;
}

function seriesAt({ truth, random, edits }: Run, at: number): PointSeries {
  const { story } = truth;
  const end = addDays(story.firstDay, story.days);
  const today = addDays(dayAt(at), 1);
  return seriesOf({
    point: truth.pointAt(at),
    facts: shuffled(
      truth.facts.filter(({ receivedAt }) => receivedAt <= at),
      random,
    ),
    events: truth.events.filter(({ receivedAt }) => receivedAt <= at),
    edits,
    from: story.firstDay,
    to: today < end ? today : end,
    at,
    customersFrom: truth.contractsAt(at).map(({ from }) => from),
    rules: { editLimitWh: 1e9 },
  });
}

interface Heard {
  readonly serial: string;
  readonly register: number;
  readonly knownAt: number;
}
const heard = new WeakMap<Truth, Map<string, Map<number, Heard>>>();
/** Registers by the end of their interval, and when they were first heard of. */
function registersBy(truth: Truth, channel: Channel): Map<number, Heard> {
  const own = heard.get(truth) ?? new Map<string, Map<number, Heard>>();
  heard.set(truth, own);
  const known = own.get(channel);
  if (known) return known;
  const registers = new Map<number, Heard>();
  const obis = truth.pointAt(0).obis[channel];
  for (const { message, receivedAt } of truth.facts) {
    if (message.kind !== 'profile') continue;
    const values = message.channels.find((one) => one.obis === obis)?.register ?? [];
    for (const [i, register] of values.entries()) {
      const end = Date.parse(message.start) + (i + 1) * message.periodS * 1000;
      if (!registers.has(end))
        registers.set(end, { serial: message.serial, register: Number(register), knownAt: receivedAt });
    }
  }
  own.set(channel, registers);
  return registers;
}

/** (b) With both registers known the intervals between make their difference; (c) what was measured stays so. */
function checkSeries(run: Run, series: PointSeries, at: number): void {
  const { truth, wrong, measured } = run;
  const point = truth.pointAt(at);
  for (const [channel, intervals] of Object.entries(series.channels)) {
    for (const { start, standing } of intervals) {
      const key = `${channel}|${start}`;
      if (standing === 'measured') measured.add(key);
      else if (measured.has(key)) wrong.push(`(c) ${point.point} ${channel} ${start}: measured became ${standing}`);
    }
    const registers = registersBy(truth, channel as Channel);
    let before: Heard | undefined;
    let sum: number | undefined;
    for (const { end, energy } of intervals) {
      sum = sum === undefined || energy === null ? undefined : sum + energy;
      const here = registers.get(end);
      if (!here || here.knownAt > at || !point.installations.some(({ serial }) => serial === here.serial)) continue;
      const against = series.contradicted.some(({ from, to }) => from < end && to >= end);
      if (!against && before?.serial === here.serial && sum !== undefined && here.register - before.register !== sum)
        wrong.push(
          `(b) ${point.point} ${channel} up to ${end}: ${sum} for an advance of ${here.register - before.register}`,
        );
      before = here;
      sum = 0;
    }
  }
}

function noteErrors(run: Run, bill: Bill, series: PointSeries): void {
  const { truth } = run;
  for (const [channel, intervals] of Object.entries(series.channels)) {
    const known = intervals.filter(({ standing }) => standing === 'measured');
    const mean = known.reduce((sum, { energy }) => sum + (energy ?? 0), 0) / Math.max(1, known.length);
    for (const [i, { start, end, energy, standing, origin }] of intervals.entries()) {
      if (standing !== 'estimated' || origin === undefined || start < midnight(bill.period.from, zone)) continue;
      if (end > midnight(bill.period.to, zone)) continue;
      const right = truth.energy[channel as Channel][i] ?? 0;
      const { from, to } = origin.edges;
      const isScaled = origin.total !== null && from && to;
      const into = isScaled ? run.scaled : run.unscaled;
      const flat = isScaled ? ((origin.total ?? 0) * (end - start)) / (to.at - from.at) : mean;
      into.intervals++;
      into.truth += right;
      into.estimate += Math.abs((energy ?? 0) - right);
      into.flat += Math.abs(flat - right);
    }
  }
}

/** The register knows better than the person who corrected an estimate. */
function takeBack({ edits }: Run, [from, to]: readonly [number, number], at: number): void {
  const own = edits.filter(({ start, value }) => value !== null && start >= from && start < to);
  for (const edit of own) edits.push({ ...edit, edit: `e${edits.length}`, value: null, at });
}
/** A person looks at what holds a bill, and lets go what may go. */
function billOnce(run: Run, contract: Contract, at: number, series: PointSeries): BillOutcome['kind'] {
  const { truth, releases, wrong } = run;
  const point = truth.pointAt(at);
  const bills = run.bills.get(contract.contract) ?? [];
  const outcome = nextBill({ point, contract, bills, series, releases });
  if (outcome.kind === 'held') {
    run.held++;
    for (const { rule, from, to } of outcome.findings)
      if (rule === 'ZERO_CONTRADICTED') takeBack(run, [from, to], at);
      else if (rule !== 'METER_UNKNOWN')
        releases.push({ point: point.point, rule, from, to, who: 'a', why: 'looked at', at });
    return outcome.kind;
  }
  if (outcome.kind === 'nothing-due') return outcome.kind;
  // As it comes out of a store.
  const bill = JSON.parse(JSON.stringify(outcome.bill)) as Bill;
  const again = recompute(bill, bills);
  if (!again.good) wrong.push(`(d) ${bill.bill}: ${again.why}`);
  noteErrors(run, bill, series);
  run.bills.set(contract.contract, [...bills, bill]);
  return outcome.kind;
}

/** A person corrects an estimate. */
function editOnce(run: Run, series: PointSeries, at: number): void {
  const { random, edits, truth } = run;
  const estimates = (series.channels.import ?? []).filter(({ standing }) => standing === 'estimated');
  const one = estimates[Math.floor(random() * estimates.length)];
  if (!one || random() > 0.5) return;
  const value = Math.floor((one.energy ?? 0) * random());
  edits.push({
    edit: `e${edits.length}`,
    point: truth.pointAt(at).point,
    channel: 'import',
    start: one.start,
    end: one.end,
    value,
    who: 'a',
    why: 'the customer was away',
    at,
    before: { value: one.energy, standing: one.standing },
  });
}

/** Without a row for want of mains, and what follows is lost: one run without a register within. */
function runsIntoLost({ story, grid, lost }: Truth, from: number): boolean {
  const isDark = (i: number) => {
    const { start = 0, end = 0 } = grid.intervals[i] ?? {};
    return story.outages.some((span) => span.from <= start && span.to >= end);
  };
  let i = from;
  while (isDark(i)) i++;
  return i > from && lost[i] === true;
}

/** (a) to the unit, once all is in; (e) no hour twice or never. */
function checkBills(run: Run, at: number): void {
  const { truth, wrong } = run;
  const { grid, energy, story } = truth;
  const sums = { consumption: new Map<number, number>(), production: new Map<number, number>() };
  const covered = new Map<number, number>();
  for (const contract of truth.contractsAt(at)) {
    const bills = run.bills.get(contract.contract) ?? [];
    for (const [i, bill] of bills.entries()) {
      const before = bills[i - 1];
      if (before && before.period.to !== bill.period.from)
        wrong.push(`(e) ${bill.bill} does not begin where ${before.bill} ended`);
    }
    const [from, to] = [midnight(contract.from, zone), midnight(contract.to ?? '2100-01-01', zone)];
    for (const { starts, quantities: own } of billed(bills))
      for (const [i, start] of starts.entries()) {
        if (start >= from && start < to) covered.set(start, (covered.get(start) ?? 0) + 1);
        for (const direction of ['consumption', 'production'] as const)
          if (own[direction]) sums[direction].set(start, (sums[direction].get(start) ?? 0) + (own[direction][i] ?? 0));
      }
  }
  for (const { start } of grid.intervals)
    if (covered.get(start) !== 1) wrong.push(`(e) ${story.name} ${start}: billed ${covered.get(start) ?? 0} times`);
  const right = quantities(
    { import: energy.import, ...(story.solar && { export: energy.export }) },
    nettedAt(story.netting, grid),
  );
  for (const direction of ['consumption', 'production'] as const) {
    const expected = right[direction];
    if (!expected) continue;
    // What is lost is right as a sum, with the interval after it; netted, not even that is known.
    let [off, open] = [0, false];
    for (const [i, { start }] of grid.intervals.entries()) {
      const difference = (sums[direction].get(start) ?? 0) - (expected[i] ?? 0);
      if (truth.lost[i] || (!open && runsIntoLost(truth, i))) open = true;
      if (open) {
        off += difference;
        if (truth.lost[i]) continue;
        const dark = (energy.import[i] ?? 0) === 0 && story.outages.some(({ from, to }) => from <= start && to > start);
        if (dark) continue;
        if (off !== 0 && story.netting === false)
          wrong.push(`(a) ${story.name} ${direction} up to ${start}: lost run is off by ${off}`);
        [off, open] = [0, false];
      } else if (difference !== 0) wrong.push(`(a) ${story.name} ${direction} ${start}: off by ${difference}`);
    }
  }
}

export function billPoint(seed: number, index: number): OracleOutcome {
  const truth = truthOf(storyOf(seed, index));
  const run: Run = {
    truth,
    random: seeded(seed * 31 + index),
    bills: new Map(),
    edits: [],
    releases: [],
    measured: new Set(),
    wrong: [],
    held: 0,
    scaled: noError(),
    unscaled: noError(),
  };
  const end = allIn(truth);
  const { firstDay, days } = truth.story;
  const last = addDays(firstDay, days);
  for (let at = midnight(firstDay, zone) + 2 * dayMs + 9 * 3_600_000; at <= end + 40 * dayMs; at += 2 * dayMs) {
    const due = truth.contractsAt(at).filter((contract) => {
      const { from, to } = nextPeriod(contract, run.bills.get(contract.contract) ?? []);
      return from === to ? at > end : midnight(to, zone) + seriesRules.overdueMs <= at;
    });
    if (due.length === 0 && run.random() > 0.04) continue;
    const series = seriesAt(run, at);
    checkSeries(run, series, at);
    const made = due.map((contract) => billOnce(run, contract, at, series));
    if (at > end && due.length === truth.contractsAt(at).length && made.every((one) => one === 'nothing-due')) break;
    if (dayAt(at) < last) editOnce(run, series, at);
  }
  checkBills(run, end + 41 * dayMs);
  const all = [...run.bills.values()].flat();
  return {
    wrong: run.wrong,
    bills: all.length,
    corrections: all.reduce((sum, { corrections }) => sum + corrections.length, 0),
    held: run.held,
    scaled: run.scaled,
    unscaled: run.unscaled,
  };
}
export function addError(into: EstimateError, one: EstimateError): void {
  into.intervals += one.intervals;
  into.truth += one.truth;
  into.estimate += one.estimate;
  into.flat += one.flat;
}
export const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
export { noError };
