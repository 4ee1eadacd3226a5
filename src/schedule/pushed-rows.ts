/**
 * Rows that a meter pushed become part of the series that polls read. A pushed row never changes what was measured: it fills
 * what is open or was missing. Where polls fill what pushes missed, a hole before a row stays open for them; of a meter that
 * only pushes it is a gap as soon as a later row shows it.
 */
import { dayMs, iso, type Millis, millis } from '../base/time.ts';
import { missing } from '../reading/coverage.ts';
import type { Accounted } from '../reading/interval-block.ts';
import type { Fact } from '../reading/facts.ts';
import type { Mark } from '../reading/ledger.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { alarmFact, type PushedMeaning } from '../reading/pushed-meaning.ts';
import type { PushMark, SeriesState } from '../store/records.ts';
import type { MeterState, PolledSeries } from './meter-state.ts';
import type { PlannedSlice } from './plan.ts';
import { readingIsDue } from './registers.ts';
import { boundsOf } from './series-bounds.ts';
import { type AccountedContext, accountForSlice, boundaryRow, changeOfMeter, stateAfter } from './series-commit.ts';

export interface PushedRowsSettings {
  readonly port: AccountedContext['port'];
  readonly state: MeterState;
  /** A poll reads what pushes missed. */
  readonly polled: boolean;
  /** The push proved whose it is. What did not is read again by a poll, where there is one: anybody can send it. */
  readonly proven: boolean;
}
type Stamped = LoadProfileRow & { readonly end: Millis };
/** A meter whose clock is so far ahead of ours is not believed, where ours is known. */
const longestAheadMs = 15 * 60_000;
/** The time before the first row of a series that nobody configured is not its own. */
const longestBufferMs = 60 * dayMs;

const wasMeasured = (mark: Mark | undefined): boolean =>
  mark !== undefined && !mark.gap && mark.hash !== 0 && mark.again !== true;

/** Where a series begins that nothing is stored of: with its first row, unless the configuration says when. */
function beginning({ port, state, settings }: AccountedContext, first: Millis): Millis {
  const { stored, since } = boundsOf(port, state, settings);
  if (stored || settings.since !== undefined) return since;
  return millis(Math.min(since, Math.max(first, port.clock.wall() - longestBufferMs)));
}

/** Rows that belong to the series and say something new, in runs without a hole. */
async function freshRuns(
  context: AccountedContext,
  rows: readonly Stamped[],
): Promise<{ readonly since: Millis; readonly runs: Stamped[][] }> {
  const { port, state, settings } = context;
  const { series, periodMs } = settings;
  const onGrid = rows.filter(({ end }) => end % periodMs === 0);
  const [oldest] = onGrid;
  if (!oldest) return { since: boundsOf(port, state, settings).since, runs: [] };
  const since = beginning(context, millis(oldest.end - periodMs));
  const { until = Number.MAX_SAFE_INTEGER } = boundsOf(port, state, settings);
  const latest = port.clockTrust() === 'untrusted' ? Number.MAX_SAFE_INTEGER : port.clock.wall() + longestAheadMs;
  const newest = (onGrid.at(-1) as Stamped).end;
  const marks = await port.store.marks(state.polled.origin.meter, series, oldest.end - periodMs, newest);
  const runs: Stamped[][] = [];
  for (const row of onGrid) {
    const start = row.end - periodMs;
    if (start < since || row.end > until || row.end > latest || wasMeasured(marks.get(start))) continue;
    const run = runs.at(-1);
    const last = run?.at(-1)?.end;
    // Of rows with one stamp the first one counts.
    if (last === row.end) continue;
    if (run && last === start) run.push(row);
    else runs.push([row]);
  }
  return { since, runs };
}

/** The row at a boundary, where it was pushed or is known. */
function boundaryAt(stored: SeriesState | undefined, rows: readonly Stamped[], at: Millis): LoadProfileRow | undefined {
  const pushed = rows.find(({ end }) => end === at);
  const newest = stored?.newest;
  return pushed || newest?.end !== at ? pushed : boundaryRow(newest.registers, at);
}

/** From where on a slice is accounted for that ends with these rows, and whether it is covered then. */
function extent(
  { polled, proven }: PushedRowsSettings,
  stored: SeriesState | undefined,
  since: Millis,
  start: Millis,
): { readonly from: Millis; readonly covers: boolean } {
  const coveredTo = millis(Math.max(since, stored?.coverage.at(-1)?.[1] ?? since));
  if (polled && !proven) return { from: start, covers: false };
  if (start <= coveredTo) return { from: start, covers: true };
  if (polled) return { from: start, covers: false };
  return { from: coveredTo, covers: true };
}

/** Returns how many intervals were new. */
async function commitRun(
  pushing: PushedRowsSettings,
  settings: PolledSeries,
  {
    since,
    run,
    rows,
    ...also
  }: {
    readonly since: Millis;
    readonly run: readonly Stamped[];
    readonly rows: readonly Stamped[];
    readonly facts: readonly Fact[];
    readonly pushed: PushMark | undefined;
  },
): Promise<number> {
  const { port, state } = pushing;
  const context = { port, state, settings };
  const { store, clock } = port;
  const { epoch } = store;
  const { stored } = boundsOf(port, state, settings);
  const start = millis((run[0] as Stamped).end - settings.periodMs);
  const to = (run.at(-1) as Stamped).end;
  const { from, covers } = extent(pushing, stored, since, start);
  const slice: PlannedSlice = { series: settings.series, from, to, live: true };
  const swap = changeOfMeter(port, state, stored, settings.periodMs);
  const boundary = boundaryAt(stored, rows, from);
  const accounted = await accountForSlice(context, {
    slice,
    rows: boundary ? [boundary, ...run] : run,
    readAt: clock.wall(),
    openAfter: to,
    newSegment: swap?.event !== undefined,
    swap: swap?.swap,
  });
  const after = stateAfter(context, stored, { slice, since, accounted, rows: run, swap });
  const uncovered: Pick<SeriesState, 'coverage' | 'exceptions'> = {
    coverage: stored?.coverage ?? [],
    exceptions: stored?.exceptions ?? [],
  };
  await store.commit({
    epoch,
    meter: state.polled.origin.meter,
    series: settings.series,
    state: covers ? after : { ...after, ...uncovered },
    entryClass: 0,
    facts: [...(swap?.event ? [swap.event] : []), ...accounted.blocks, ...accounted.gaps, ...also.facts],
    marks: accounted.marks,
    ...(also.pushed && { pushed: also.pushed }),
  });
  return accounted.blocks.reduce((sum, { count }) => sum + count, 0);
}

/**
 * Stores what a push said, with how far the meter was heard: the last batch holds alarms, registers and the counter, so that
 * what comes again after a power cut is taken again. Returns how many intervals were new.
 */
export async function commitPushed(
  pushing: PushedRowsSettings,
  meaning: PushedMeaning,
  pushed: PushMark | undefined,
): Promise<number> {
  const { port, state } = pushing;
  const { origin } = state.polled;
  const readAt = port.clock.wall();
  const jobs: { settings: PolledSeries; since: Millis; run: Stamped[]; rows: readonly Stamped[] }[] = [];
  for (const { series, rows } of meaning.rows) {
    const settings = state.polled.series.find((one) => one.series === series);
    if (!settings) continue;
    const { since, runs } = await freshRuns({ port, state, settings }, rows);
    for (const run of runs) jobs.push({ settings, since, run, rows });
  }
  const readingDue = readingIsDue(port, state);
  const facts: Fact[] = meaning.alarms.map((alarm) => alarmFact(alarm, origin, readAt));
  if (meaning.registers && readingDue)
    facts.push({
      kind: 'reading',
      ...origin,
      readAt: iso(readAt),
      registers: meaning.registers,
      clockDeviationS: null,
    });
  let intervals = 0;
  for (const [i, { settings, ...job }] of jobs.entries()) {
    const last = i === jobs.length - 1;
    intervals += await commitRun(pushing, settings, {
      ...job,
      facts: last ? facts : [],
      pushed: last ? pushed : undefined,
    });
  }
  if (jobs.length === 0 && (facts.length > 0 || pushed))
    await port.store.commit({ meter: origin.meter, entryClass: 0, facts, ...(pushed && { pushed }) });
  if (meaning.registers && readingDue) state.readingAt = port.clock.now();
  state.intervalsRead += intervals;
  return intervals;
}

/** Intervals of a meter that only pushes: what did not come until `to` is a gap. What comes later revises it. */
export async function accountForMissed(
  { port, state }: Pick<PushedRowsSettings, 'port' | 'state'>,
  settings: PolledSeries,
  to: Millis,
): Promise<void> {
  const context = { port, state, settings };
  const { stored, since } = boundsOf(port, state, settings);
  // Nothing ever came: when the series begins is not known yet.
  if (!stored) return;
  const { epoch } = port.store;
  for (const [from, end] of missing(stored.coverage, since, to)) {
    const slice: PlannedSlice = { series: settings.series, from: millis(from), to: millis(end), live: true };
    const boundary = boundaryAt(stored, [], slice.from);
    const accounted: Accounted = await accountForSlice(context, {
      slice,
      rows: boundary ? [boundary] : [],
      readAt: port.clock.wall(),
      openAfter: slice.to,
      newSegment: false,
      swap: stored.swap,
    });
    const now = boundsOf(port, state, settings).stored;
    await port.store.commit({
      epoch,
      meter: state.polled.origin.meter,
      series: settings.series,
      state: stateAfter(context, now, {
        slice,
        since,
        accounted,
        rows: [],
        swap: stored.swap && { swap: stored.swap, event: undefined },
      }),
      entryClass: 0,
      facts: accounted.gaps,
      marks: accounted.marks,
    });
  }
}
