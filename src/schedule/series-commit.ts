/** Accounts for a slice of a series and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
import { iso, later, type Millis, millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { sameSerial } from '../meter/identity.ts';
import { withRange } from '../reading/coverage.ts';
import type { Fact } from '../reading/facts.ts';
import { accountFor } from '../reading/interval-block.ts';
import { type Exception, type Swap, withExceptions } from '../reading/ledger.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import type { SeriesState } from '../store/records.ts';
import { gatewayEvent } from './gateway-event.ts';
import { type MeterState, newestOf, type RunnerSettings } from './meter-state.ts';
import type { PlannedSlice } from './plan.ts';
import { dailyReading } from './registers.ts';
import { boundsOf } from './series-bounds.ts';
import { graceMs, modulusOf, type SeriesContext } from './series-context.ts';

/** How far the clock of a meter that could not be asked may be behind ours. */
const unaskedMarginMs = 15 * 60_000;
/** Before a newest row that was not there yet is asked for again. */
const shortestRowWaitMs = 20_000;
const longestRowWaitMs = 10 * 60_000;

/** Another meter than the one whose rows the series has so far: the change is said once, with its registers. */
export function changeOfMeter(
  house: RunnerSettings,
  state: MeterState,
  stored: SeriesState | undefined,
  periodMs: number,
): { readonly swap: NonNullable<SeriesState['swap']>; readonly fresh: boolean } | undefined {
  const { origin, swap: told } = state.polled;
  // A store that knows of no meter before was begun after the change, or lost it.
  const from = stored?.serial ?? told?.from;
  const fresh = from !== undefined && !sameSerial(from, origin.serial);
  if (!fresh) return stored?.swap && { swap: stored.swap, fresh: false };
  // One that is still to come is not this one.
  const known = told && sameSerial(told.from, from) && told.at <= house.clock.wall() ? told : undefined;
  // Not told: it was at some time after the last row of the old one.
  const at = known?.at ?? stored?.newest?.end ?? house.clock.wall();
  const boundary = Math.floor(at / periodMs) * periodMs;
  const before = stored?.newest?.end === boundary ? stored.newest.registers : undefined;
  const { final = {}, first = {} } = known ?? {};
  const registers = (all: Swap['final']) =>
    Object.entries(all)
      .map(([code, value]) => `${code} ${value}`)
      .join(' ') || null;
  state.pendingEvents.push(
    gatewayEvent(house, state, 'SWAP', {
      from,
      to: origin.serial,
      at: known ? iso(millis(at)) : null,
      final: registers(final),
      first: registers(first),
    }),
  );
  return { swap: { at, from, final, first, before }, fresh: true };
}

/** The first interval after a change of the period begins at the last row of the old one. */
function withBoundary(
  { house, state, settings }: SeriesContext,
  slice: PlannedSlice,
  rows: readonly LoadProfileRow[],
): readonly LoadProfileRow[] {
  const newest = settings.after && house.store.seriesState(state.polled.origin.meter, settings.after)?.newest;
  if (!newest || newest.end !== slice.from || rows.some(({ end }) => end === slice.from)) return rows;
  const registers = Object.entries(newest.registers);
  const boundary: LoadProfileRow = {
    start: null,
    end: slice.from,
    clock: null,
    status: null,
    channels: registers.map(([key]) => ({ key, scalerUnit: undefined, kind: 'register' })),
    cells: registers.map(([, value]) => BigInt(value)),
  };
  return [boundary, ...rows];
}

/**
 * What the meter's clock shows at least, where it could not be asked: its newest row is written. What comes after that may
 * not have happened there yet, whatever the gateway's clock says; it stays open.
 */
function unaskedNow(
  { house, state, settings }: SeriesContext,
  rows: readonly LoadProfileRow[],
  readAt: Millis,
): Millis {
  const { stored } = boundsOf(house, state, settings);
  const newest = rows.reduce((last, { end }) => Math.max(last, end ?? 0), stored?.newest?.end ?? 0);
  return millis(Math.min(readAt - unaskedMarginMs, newest + graceMs));
}

/** Accounts for a slice and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
export async function commitSlice(
  poll: SeriesContext,
  slice: PlannedSlice,
  rows: readonly LoadProfileRow[],
  oldestKept: Millis | undefined,
): Promise<void> {
  const { house, state, settings, layout } = poll;
  const { clock, store, log } = house;
  const { origin, powerLimitW } = state.polled;
  const { periodMs } = settings;
  const readAt = clock.wall();
  const deviation = state.identity?.clockDeviationMs;
  const meterNow = deviation === undefined ? unaskedNow(poll, rows, readAt) : later(readAt, deviation);
  const { epoch } = store;
  const { stored, since } = boundsOf(house, state, settings);
  const swap = changeOfMeter(house, state, stored, periodMs);
  const sameLayouts = [layout.fingerprint, ...layout.formerFingerprints];
  const otherLayout = stored?.layout !== undefined && !sameLayouts.includes(stored.layout);
  // Said before any value of the new segment (R13).
  if (otherLayout)
    state.pendingEvents.push(
      gatewayEvent(house, state, 'CONFIG_CHANGED', {
        series: obis(settings.profile),
        columns: layout.columns.map(({ logicalName }) => obis(logicalName)).join(' '),
        before: stored.layout ?? null,
        now: layout.fingerprint,
      }),
    );
  const known = state.logs ?? store.meterLogs(origin.meter);
  const accounted = accountFor({
    origin,
    series: obis(settings.profile),
    // What the new meter recorded before it hung here is of another point.
    rows: withBoundary(poll, slice, swap ? rows.filter(({ end }) => end === null || end > swap.swap.at) : rows),
    from: slice.from,
    to: slice.to,
    periodMs,
    openAfter: later(meterNow, -graceMs),
    readAt,
    clockDeviationMs: deviation,
    clockTrust: house.clockTrust(),
    // A row off the grid may begin before the slice.
    known: await store.marks(origin.meter, slice.series, slice.from - periodMs, slice.to),
    oldestKept,
    ...modulusOf(state),
    powerLimitW,
    dark: known.dark,
    clockSets: (known.clockSets ?? []).flatMap(([at, flag]) => (flag ? [at] : [])),
    newSegment: otherLayout || swap?.fresh === true,
    ...(swap && { swap: swap.swap }),
  });
  // The line may fail here: what is to be said is taken only when nothing stands between it and the store.
  const reading = await dailyReading(poll, readAt);
  const said = state.pendingEvents.splice(0);
  const { logs } = state;
  state.logs = undefined;
  const facts: Fact[] = [...said, ...accounted.blocks, ...accounted.gaps, ...(reading ? [reading] : [])];
  const coverage = withRange(stored?.coverage ?? [], slice.from, accounted.coveredTo);
  const before = stored?.exceptions ?? [];
  const standing = accounted.kept.flatMap(([from, to]) =>
    before.flatMap(([start, end, kind]): Exception[] =>
      start < to && end > from ? [[Math.max(start, from), Math.min(end, to), kind]] : [],
    ),
  );
  const exceptions = withExceptions(before, slice.from, accounted.coveredTo, [...accounted.exceptions, ...standing]);
  try {
    await store.commit({
      epoch,
      meter: origin.meter,
      series: slice.series,
      state: {
        since,
        periodMs,
        ...(stored?.until !== undefined && { until: stored.until }),
        ...(stored?.summedTo !== undefined && { summedTo: stored.summedTo }),
        coverage,
        exceptions,
        layout: layout.fingerprint,
        serial: origin.serial,
        ...newestOf(stored, rows, periodMs, swap?.fresh === true),
        ...(swap && { swap: swap.swap }),
      },
      entryClass: slice.live ? 0 : 1,
      facts,
      marks: accounted.marks,
      ...(logs && { logs }),
      ...(state.quarantine && { quarantine: state.quarantine }),
    });
  } catch (error) {
    state.pendingEvents.unshift(...said);
    state.logs = logs;
    throw error;
  }
  state.intervalsRead += accounted.blocks.reduce((count, block) => count + block.count, 0);
  if (accounted.coveredTo < slice.to) {
    // The newest row is not written yet: come back shortly, without pressing.
    // The meter's own clock says when it will be; a clock that is far behind must not be asked every few seconds.
    const dueMs = slice.to + graceMs - meterNow;
    state.notBefore = later(clock.now(), Math.min(longestRowWaitMs, Math.max(shortestRowWaitMs, dueMs)));
    log.info({ meter: origin.meter, until: iso(slice.to) }, 'newest row is not there yet');
  }
}
