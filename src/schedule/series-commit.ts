/** Accounts for a slice of a series and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
import { iso, later, type Millis, millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { sameSerial } from '../meter/identity.ts';
import { withRange } from '../reading/coverage.ts';
import type { EventFact } from '../reading/facts.ts';
import { type Accounted, accountFor } from '../reading/interval-block.ts';
import { type Exception, type Exceptions, type Swap, withExceptions } from '../reading/ledger.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import type { SeriesState } from '../store/records.ts';
import { commissionedLayout } from './commissioned.ts';
import { gatewayEvent } from './gateway-event.ts';
import { type MeterState, newestOf, type PolledSeries, type PortContext } from './meter-state.ts';
import type { PlannedSlice } from './plan.ts';
import { dailyReading } from './registers.ts';
import { boundsOf } from './series-bounds.ts';
import { graceMs, modulusOf, type SeriesContext } from './series-context.ts';

/** How far the clock of a meter that could not be asked may be behind ours. */
const unaskedMarginMs = 15 * 60_000;
/** Pauses before a newest row that was not there yet is asked for again. */
const shortestRowWaitMs = 20_000;
const longestRowWaitMs = 10 * 60_000;

/**
 * Another meter than the one whose rows the series has so far: `event` tells the change, with its registers. It is stored
 * with the state that knows of it, so that it is said once whatever the store does.
 */
export function changeOfMeter(
  port: Pick<PortContext, 'clock'>,
  state: MeterState,
  stored: SeriesState | undefined,
  periodMs: number,
): { readonly swap: NonNullable<SeriesState['swap']>; readonly event: EventFact | undefined } | undefined {
  const { origin, swap: configured } = state.polled;
  // A store that knows of no meter before was begun after the change, or lost it.
  const from = stored?.serial ?? configured?.from;
  const fresh = from !== undefined && !sameSerial(from, origin.serial);
  if (!fresh) return stored?.swap && { swap: stored.swap, event: undefined };
  // One that is still to come is not this one.
  const known =
    configured && sameSerial(configured.from, from) && configured.at <= port.clock.wall() ? configured : undefined;
  // The configuration does not say when: it was at some time after the last row of the old meter.
  const at = known?.at ?? stored?.newest?.end ?? port.clock.wall();
  const boundary = Math.floor(at / periodMs) * periodMs;
  const before = stored?.newest?.end === boundary ? stored.newest.registers : undefined;
  const { final = {}, first = {} } = known ?? {};
  const registers = (all: Swap['final']) =>
    Object.entries(all)
      .map(([code, value]) => `${code} ${value}`)
      .join(' ') || null;
  const event = gatewayEvent(port, state, 'SWAP', {
    from,
    to: origin.serial,
    at: known ? iso(millis(at)) : null,
    final: registers(final),
    first: registers(first),
  });
  return { swap: { at, from, final, first, before }, event };
}

/** The registers at a boundary, as a row: the first interval behind it has an energy then. */
export function boundaryRow(registers: NonNullable<SeriesState['newest']>['registers'], end: Millis): LoadProfileRow {
  const all = Object.entries(registers);
  return {
    start: null,
    end,
    clock: null,
    status: null,
    channels: all.map(([key]) => ({ key, scalerUnit: undefined, kind: 'register' })),
    cells: all.map(([, value]) => BigInt(value)),
  };
}

/** The first interval after a change of the period begins at the last row of the old one. */
function withBoundary(
  { port, state, settings }: SeriesContext,
  slice: PlannedSlice,
  rows: readonly LoadProfileRow[],
): readonly LoadProfileRow[] {
  const newest = settings.after && port.store.seriesState(state.polled.origin.meter, settings.after)?.newest;
  if (!newest || newest.end !== slice.from || rows.some(({ end }) => end === slice.from)) return rows;
  return [boundaryRow(newest.registers, slice.from), ...rows];
}

/**
 * What the meter's clock shows at least, where it could not be asked: its newest row is written. What comes after that may
 * not have happened there yet, whatever the gateway's clock says; it stays open.
 */
function unaskedNow({ port, state, settings }: SeriesContext, rows: readonly LoadProfileRow[], readAt: Millis): Millis {
  const { stored } = boundsOf(port, state, settings);
  const newest = rows.reduce((last, { end }) => Math.max(last, end ?? 0), stored?.newest?.end ?? 0);
  return millis(Math.min(readAt - unaskedMarginMs, newest + graceMs));
}

/** What the meter's clock shows; or at least, where it could not be asked. */
function meterNow(poll: SeriesContext, rows: readonly LoadProfileRow[], readAt: Millis): Millis {
  const deviation = poll.state.identity?.clockDeviationMs;
  return deviation === undefined ? unaskedNow(poll, rows, readAt) : later(readAt, deviation);
}

/** Where the meter captures otherwise than the series was commissioned with: what is said before any value of the new segment (R13). */
function changeOfLayout(
  { port, state, settings, layout }: SeriesContext,
  stored: SeriesState | undefined,
): EventFact | undefined {
  const sameLayouts = [layout.fingerprint, ...layout.formerFingerprints];
  const before = stored?.layout ?? commissionedLayout(state, settings);
  if (before === undefined || sameLayouts.includes(before)) return undefined;
  return gatewayEvent(port, state, 'CONFIG_CHANGED', {
    series: obis(settings.profile),
    columns: layout.columns.map(({ logicalName }) => obis(logicalName)).join(' '),
    before,
    now: layout.fingerprint,
  });
}

/** The exceptions of the series with those of a slice; what the slice does not judge anew stands as it was. */
function exceptionsAfter(
  before: Exceptions,
  from: number,
  { coveredTo, unchanged, exceptions }: Pick<Accounted, 'coveredTo' | 'unchanged' | 'exceptions'>,
): Exceptions {
  const standing = unchanged.flatMap(([low, high]) =>
    before.flatMap(([start, end, kind]): Exception[] =>
      start < high && end > low ? [[Math.max(start, low), Math.min(end, high), kind]] : [],
    ),
  );
  return withExceptions(before, from, coveredTo, [...exceptions, ...standing]);
}

/** A series as rows of it come, whether they were asked for or pushed. */
export interface AccountedContext {
  readonly port: Pick<PortContext, 'store' | 'clock' | 'clockTrust'>;
  readonly state: MeterState;
  readonly settings: PolledSeries;
}
/** What is known when a slice is accounted for. */
export interface SliceEvidence {
  readonly slice: PlannedSlice;
  readonly rows: readonly LoadProfileRow[];
  readonly readAt: Millis;
  /** Intervals that end later may still come. */
  readonly openAfter: Millis;
  readonly oldestStamp?: Millis | undefined;
  readonly newSegment: boolean;
  readonly swap: NonNullable<SeriesState['swap']> | undefined;
}

/** What a slice says of its intervals, compared with what was said of them before. */
export async function accountForSlice(
  { port, state, settings }: AccountedContext,
  { slice, rows, swap, ...evidence }: SliceEvidence,
): Promise<Accounted> {
  const { origin, powerLimitW } = state.polled;
  const { periodMs } = settings;
  const logs = state.logs ?? port.store.meterLogs(origin.meter);
  const { exceptions = [] } = port.store.seriesState(origin.meter, slice.series) ?? {};
  return accountFor({
    ...evidence,
    origin,
    series: obis(settings.profile),
    rows,
    from: slice.from,
    to: slice.to,
    periodMs,
    clockDeviationMs: state.identity?.clockDeviationMs,
    clockTrust: port.clockTrust(),
    // A row off the grid may begin before the slice.
    known: await port.store.marks(origin.meter, slice.series, slice.from - periodMs, slice.to),
    ...modulusOf(state),
    powerLimitW,
    dark: logs.dark,
    lost: exceptions.flatMap(([from, to, kind]): [number, number][] => (kind === 'LOST' ? [[from, to]] : [])),
    clockSets: (logs.clockSets ?? []).flatMap(([at, flag]) => (flag ? [at] : [])),
    ...(swap && { swap }),
  });
}

/** The state of a series whose slice was accounted for. */
export function stateAfter(
  { state, settings }: Pick<AccountedContext, 'state' | 'settings'>,
  stored: SeriesState | undefined,
  {
    slice,
    since,
    accounted,
    rows,
    swap,
  }: {
    readonly slice: PlannedSlice;
    readonly since: number;
    readonly accounted: Pick<Accounted, 'coveredTo' | 'unchanged' | 'exceptions'>;
    readonly rows: readonly LoadProfileRow[];
    readonly swap: ReturnType<typeof changeOfMeter>;
  },
): SeriesState {
  const { periodMs } = settings;
  return {
    since,
    periodMs,
    ...(stored?.until !== undefined && { until: stored.until }),
    ...(stored?.summedTo !== undefined && { summedTo: stored.summedTo }),
    coverage: withRange(stored?.coverage ?? [], slice.from, accounted.coveredTo),
    exceptions: exceptionsAfter(stored?.exceptions ?? [], slice.from, accounted),
    ...(stored?.layout !== undefined && { layout: stored.layout }),
    serial: state.polled.origin.serial,
    ...newestOf(stored, rows, periodMs, swap?.event !== undefined),
    ...(swap && { swap: swap.swap }),
  };
}

/** Accounts for a slice and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
export async function commitSlice(
  poll: SeriesContext,
  slice: PlannedSlice,
  rows: readonly LoadProfileRow[],
  oldestStamp: Millis | undefined,
): Promise<void> {
  const { port, state, settings, layout } = poll;
  const { clock, store } = port;
  const { origin } = state.polled;
  const readAt = clock.wall();
  const now = meterNow(poll, rows, readAt);
  const { epoch } = store;
  const { stored, since } = boundsOf(port, state, settings);
  const swap = changeOfMeter(port, state, stored, settings.periodMs);
  const changes = [swap?.event, changeOfLayout(poll, stored)].filter((event) => event !== undefined);
  const accounted = await accountForSlice(poll, {
    slice,
    // What the new meter recorded before it hung here is of another point.
    rows: withBoundary(poll, slice, swap ? rows.filter(({ end }) => end === null || end > swap.swap.at) : rows),
    readAt,
    openAfter: later(now, -graceMs),
    oldestStamp,
    newSegment: changes.length > 0,
    swap: swap?.swap,
  });
  // The line may fail here: what is to be said stays until the store has it.
  const reading = await dailyReading(poll, readAt);
  const { logs } = state;
  const events = state.pendingEvents.slice();
  await store.commit({
    epoch,
    meter: origin.meter,
    series: slice.series,
    state: { ...stateAfter(poll, stored, { slice, since, accounted, rows, swap }), layout: layout.fingerprint },
    entryClass: slice.live ? 0 : 1,
    facts: [...events, ...changes, ...accounted.blocks, ...accounted.gaps, ...(reading ? [reading] : [])],
    marks: accounted.marks,
    ...(logs && { logs }),
    ...(state.quarantine && { quarantine: state.quarantine }),
  });
  state.pendingEvents = state.pendingEvents.slice(events.length);
  state.logs = undefined;
  state.intervalsRead += accounted.blocks.reduce((count, block) => count + block.count, 0);
  if (accounted.coveredTo < slice.to) comeBack(poll, slice, now);
}

/**
 * The newest row is not written yet: the next visit comes shortly, without pressing. The meter's own clock says when it will
 * be; a clock that is far behind must not be asked every few seconds.
 */
function comeBack({ port, state }: SeriesContext, { to }: PlannedSlice, now: Millis): void {
  const { clock, log } = port;
  const dueMs = to + graceMs - now;
  state.notBefore = later(clock.now(), Math.min(longestRowWaitMs, Math.max(shortestRowWaitMs, dueMs)));
  log.info({ meter: state.polled.origin.meter, until: iso(to) }, 'newest row is not there yet');
}
