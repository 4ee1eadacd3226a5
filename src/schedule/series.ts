/** One series of a meter: its rows are read, accounted for and stored, with all that is to be said of them. */
import { Failure } from '../base/errors.ts';
import { dayMs, iso, later, type Millis, millis } from '../base/time.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import { sameSerial } from '../meter/identity.ts';
import {
  type ProfileLayout,
  readLayout,
  readOldestStamp,
  readRange,
  readRegisters,
  requirePeriod,
  stampReading,
} from '../meter/jobs.ts';
import type { Session } from '../meter/session.ts';
import { missing, withRange } from '../reading/coverage.ts';
import { type EventFact, type Fact, gatewayFact, integerJson, type ReadingFact } from '../reading/facts.ts';
import { accountFor } from '../reading/interval-block.ts';
import { adjoining, type Exception, type Swap, withExceptions } from '../reading/ledger.ts';
import { daySums } from '../reading/day-sum.ts';
import { columnKind } from '../reading/column.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import type { SeriesState } from '../store/records.ts';
import { turnShareMs } from './line-load.ts';
import { learning, sliceRowsOf } from './slice-size.ts';
import { tellLeftOut, tellScalers } from './layout-alarms.ts';
import { type MeterState, newestOf, type PolledSeries, type RunnerSettings } from './meter-state.ts';
import { optional } from './optional.ts';
import { newestEnd, type PlannedSlice } from './plan.ts';
import { judgeLayout, judgeRows, rowCensus } from './unusable-rows.ts';

/** Layout of a profile is read again after a day: ratios and capture objects may have changed. */
const layoutLifeMs = dayMs;
/** A layout with scalers that the meter did not tell. */
const unknownLifeMs = 3_600_000;
/** A row may be written this long after its stamp. */
const graceMs = 60_000;
/** How far the clock of a meter that could not be asked may be behind ours. */
const unaskedMarginMs = 15 * 60_000;
/** Before a newest row that was not there yet is asked for again. */
const shortestRowWaitMs = 20_000;
const longestRowWaitMs = 10 * 60_000;
/** Share of the buffer's reach from which on unread rows are at risk (R16). */
const riskShare = 0.8;
/** How far the edge of a gap is looked for in one step. */
const longestStepMs = 16 * dayMs;
/** Adjustments of the clock whose rows are read again in one session. */
const adjustmentsMost = 20;
/** Days whose sums are told in one session. */
const summedDaysMost = 3;
/** Longer than the buffer of any meter reaches back. */
const longestMemoryMs = 1100 * dayMs;
/** Registers are delivered with the first poll of each day. */
const readingEveryMs = dayMs;

/** A series in a session that reads it. */
interface SeriesPoll {
  readonly house: RunnerSettings;
  readonly state: MeterState;
  readonly session: Session;
  readonly settings: PolledSeries;
  readonly layout: ProfileLayout;
}

export async function layoutOf(
  house: RunnerSettings,
  state: MeterState,
  session: Session,
  profile: LogicalName,
): Promise<ProfileLayout> {
  const { clock } = house;
  const cached = state.layouts.get(profile);
  const changes = state.identity?.changes;
  if (cached) {
    // A counter of changes that stands still proves the layout; without one its age must do.
    const proven = changes !== undefined && changes === cached.changes;
    const young = changes === undefined && clock.now() - cached.at < layoutLifeMs;
    // What the meter would not tell is asked for again before long.
    const { unscaled, periodUnknown } = cached.layout;
    const old = periodUnknown !== undefined || (unscaled.size > 0 && clock.now() - cached.at >= unknownLifeMs);
    if ((proven || young) && !old) return cached.layout;
  }
  const layout = await readLayout(session, profile, state.model);
  state.layouts.set(profile, { layout, at: clock.now(), changes });
  return layout;
}

/** What the store knows of a series, and where it begins and ends. */
export function boundsOf(
  { store, clock }: Pick<RunnerSettings, 'store' | 'clock'>,
  { polled }: Pick<MeterState, 'polled'>,
  settings: PolledSeries,
): { readonly stored: SeriesState | undefined; readonly since: Millis; readonly until: Millis | undefined } {
  const { meter } = polled.origin;
  const stored = store.seriesState(meter, settings.series);
  const before = settings.after === undefined ? undefined : store.seriesState(meter, settings.after)?.until;
  const wanted = before ?? settings.since ?? stored?.since ?? settings.sinceByDefault;
  // No meter keeps rows for so long: what would be said of the time before is nothing that was read.
  const earliest = Math.floor((clock.wall() - longestMemoryMs) / dayMs) * dayMs;
  const since = Math.max(wanted, Math.min(earliest, stored?.since ?? earliest));
  const until = stored?.until ?? settings.until;
  return { stored, since: millis(since), until: until === undefined ? undefined : millis(until) };
}

/**
 * Where the buffer no longer reaches back to what is missing, that is said at once and with its bounds; where it soon
 * will not, that is an event (R16). Returns the oldest row of a full buffer.
 */
async function horizon(poll: SeriesPoll): Promise<Millis | undefined> {
  const { house, state, session, settings, layout } = poll;
  const { clock } = house;
  const { series, profile, periodMs } = settings;
  const { stored, since, until } = boundsOf(house, state, settings);
  const wall = clock.wall();
  const end = newestEnd(wall, periodMs, house.plan.offsetMs, until);
  const [oldestHole] = missing(stored?.coverage ?? [], since, end);
  const reachMs = (layout.entries ?? 0) * periodMs;
  if (!oldestHole || reachMs === 0 || wall - oldestHole[0] < reachMs * riskShare) {
    state.atRisk.delete(series);
    return undefined;
  }
  let kept: Millis | undefined;
  await optional(house, state, session, `oldest row of ${obis(profile)}`, async () => {
    kept = await readOldestStamp(session, layout, state.model);
  });
  if (!state.atRisk.has(series)) {
    state.atRisk.add(series);
    state.saying.push(
      gatewayEvent(house, state, 'DATA_AT_RISK', {
        series: obis(profile),
        oldest: iso(millis(oldestHole[0])),
        reachS: reachMs / 1000,
      }),
    );
  }
  if (kept === undefined || kept - periodMs <= oldestHole[0]) return kept;
  const lost: PlannedSlice = {
    series,
    from: millis(oldestHole[0]),
    to: millis(Math.min(oldestHole[1], Math.floor(kept / periodMs) * periodMs)),
    live: false,
  };
  await settle(poll, lost, await readRange(session, layout, state.model, kept, kept), kept);
  return kept;
}

export const gatewayEvent = (
  house: RunnerSettings,
  state: MeterState,
  name: string,
  detail: EventFact['detail'],
): EventFact => gatewayFact(house.clock.wall(), name, detail, state.polled.origin);

export async function readSlice(
  house: RunnerSettings,
  state: MeterState,
  session: Session,
  slice: PlannedSlice,
): Promise<void> {
  const { clock } = house;
  const { origin } = state.polled;
  const { model } = state;
  const settings = state.polled.series.find(({ series }) => series === slice.series) as PolledSeries;
  const { periodMs } = settings;
  const layout = await layoutOf(house, state, session, settings.profile);
  const poll: SeriesPoll = { house, state, session, settings, layout };
  const { readable, detail } = judgeLayout(state.rowAlarms, slice.series, layout, clock.wall());
  if (detail) state.saying.push(gatewayEvent(house, state, 'PROFILE_WITHOUT_CLOCK', detail));
  if (!readable) return;
  tellScalers(house, state, slice.series, layout);
  requirePeriod(layout);
  if (layout.capturePeriodMs !== periodMs) {
    const { stored: known, until: ended } = boundsOf(house, state, settings);
    // It is not told its new period yet.
    if (settings.after !== undefined && !known) return;
    if (ended !== undefined && ended <= clock.wall()) {
      // The change emptied the buffer: what was not read before it is gone.
      for (const [from, to] of missing(known?.coverage ?? [], slice.from, slice.to))
        await settle(poll, { ...slice, from: millis(from), to: millis(to) }, [], ended);
      return;
    }
    // It may have been told wrongly once: the next session asks again.
    state.layouts.delete(settings.profile);
    throw new Failure(
      'period-mismatch',
      layout.capturePeriodMs === 0
        ? `${origin.meter} captures ${obis(settings.profile)} at no period (capture_period 0), the configuration says ${periodMs / 1000} s`
        : `${origin.meter} captures every ${layout.capturePeriodMs / 1000} s, the configuration says ${periodMs / 1000} s`,
    );
  }
  const census = rowCensus(clock.wall(), stampReading(model));
  const read = async (from: number, to: number): Promise<LoadProfileRow[]> => {
    const range = { from: millis(from), to: millis(to) };
    try {
      const found = await learning(
        state.sliceRows,
        settings,
        state.polled.access,
        range,
        () => clock.now(),
        () => readRange(session, layout, model, range.from, range.to, undefined, (row) => census.outside(row)),
      );
      for (const row of found) census.add(row);
      return found;
    } catch (error) {
      // The columns may have changed under a cached layout.
      if (error instanceof Failure && error.code === 'malformed-octets') state.layouts.delete(settings.profile);
      throw error;
    }
  };
  const kept = await horizon(poll);
  const { stored, since, until } = boundsOf(house, state, settings);
  // What was lost meanwhile need not be asked for.
  const from = Math.max(
    slice.from,
    kept === undefined ? slice.from : Math.floor(kept / periodMs) * periodMs - periodMs,
  );
  if (from >= slice.to) return;
  // The row stamped with the start of the slice gives the register before its first interval.
  let rows = await read(from, slice.to);
  // A gap is told whole, with the rows at both its edges: where an edge row is not there it is looked for further on.
  const end = newestEnd(clock.wall(), periodMs, house.plan.offsetMs, until);
  const holes = missing(stored?.coverage ?? [], since, end);
  const [holeFrom, holeTo] = holes.find(([start, stop]) => start < slice.to && stop > from) ?? [from, slice.to];
  const [begin, finish] = [Math.min(holeFrom, from), Math.max(holeTo, slice.to)];
  const [runFrom, highest] = adjoining(stored?.exceptions ?? [], begin, finish);
  // Of what a meter before this one had, nothing more comes to be known.
  const hungFrom = state.polled.swap?.at ?? stored?.swap?.at ?? runFrom;
  const lowest = Math.min(begin, Math.max(runFrom, Math.floor(hungFrom / periodMs) * periodMs));
  const has = (stamp: number) => rows.some((row) => row.end === stamp);
  let [low, high] = [from, slice.to as number];
  // On a line with small slices the edge is looked for in small steps.
  const firstStepMs = Math.min(
    dayMs,
    Math.max(periodMs, sliceRowsOf(state.sliceRows, slice.series, state.polled.access) * periodMs),
  );
  for (let step = firstStepMs; low > lowest && !has(low) && step <= longestStepMs; step *= 2) {
    const next = Math.max(lowest, low - step);
    rows = [...(await read(next, low - periodMs)), ...rows];
    low = next;
  }
  for (let step = firstStepMs; high < highest && !has(high) && step <= longestStepMs; step *= 2) {
    const next = Math.min(highest, high + step);
    rows = [...rows, ...(await read(high + periodMs, next))];
    high = next;
  }
  tellLeftOut(house, state, slice.series, layout, rows);
  const unusable = judgeRows(state.rowAlarms, slice, settings.profile, census, clock.wall());
  if (unusable) state.saying.push(gatewayEvent(house, state, 'ROWS_WITHOUT_STAMP', unusable));
  await settle(poll, { ...slice, from: millis(low), to: millis(high) }, rows, kept);
}

/**
 * Of a meter that captures energies: each UTC day that is complete is read once more, and the sum is told beside the advance
 * of the register (R02).
 */
export async function sumDays(house: RunnerSettings, state: MeterState, session: Session): Promise<void> {
  const { clock, store } = house;
  const { origin } = state.polled;
  for (const settings of state.polled.series) {
    const { series, profile, periodMs } = settings;
    const layout = state.layouts.get(profile)?.layout;
    if (!layout?.columns.some((column) => columnKind(column, undefined) === 'interval')) continue;
    const began = clock.now();
    for (let done = 0; done < summedDaysMost && clock.now() - began < turnShareMs; done++) {
      const { epoch } = store;
      const { stored, since, until } = boundsOf(house, state, settings);
      const from = millis(Math.max(stored?.summedTo ?? Math.ceil(since / dayMs) * dayMs, since));
      const to = later(from, dayMs);
      if (!stored || (until !== undefined && to > until) || missing(stored.coverage, from, to).length > 0) break;
      // What left the buffer was told by its rows; a sum of them is no longer to be had.
      const kept = clock.wall() - (layout.entries ?? Number.MAX_SAFE_INTEGER) * periodMs < from;
      const rows = kept ? await rowsOfDay(house, state, session, settings, layout, from) : [];
      // Too much for this turn: the next one goes on with it.
      if (!rows) return;
      const facts = daySums(rows, from, to, periodMs, modulusOf(state).modulus).map((sum) =>
        gatewayEvent(house, state, sum.agrees === false ? 'SUM_CHECK' : 'DAY_SUM', {
          series: obis(profile),
          day: new Date(from).toISOString().slice(0, 10),
          ...sum,
        }),
      );
      await store.commit({
        epoch,
        meter: origin.meter,
        series,
        state: { ...stored, summedTo: to },
        entryClass: 1,
        facts,
      });
    }
  }
}
/** The rows of a day, in pieces that the line brings; undefined where they are not all there within a turn's share. */
async function rowsOfDay(
  { clock }: RunnerSettings,
  state: MeterState,
  session: Session,
  { series, periodMs }: PolledSeries,
  layout: ProfileLayout,
  from: Millis,
): Promise<LoadProfileRow[] | undefined> {
  const line = state.polled.access;
  const to = later(from, dayMs);
  const begun = state.dayRows.get(series);
  const day =
    begun?.from === from && begun.layout === layout.fingerprint
      ? begun
      : { from, layout: layout.fingerprint, next: from, rows: [] as LoadProfileRow[] };
  state.dayRows.set(series, day);
  const since = clock.now();
  while (day.next <= to) {
    const end = millis(Math.min(to, day.next + sliceRowsOf(state.sliceRows, series, line) * periodMs));
    const range = { from: day.next, to: end };
    const rows = await learning(
      state.sliceRows,
      { series, periodMs },
      line,
      range,
      () => clock.now(),
      () => readRange(session, layout, state.model, range.from, range.to),
    );
    day.rows.push(...rows);
    day.next = later(end, 1);
    if (day.next <= to && clock.now() - since > turnShareMs) return undefined;
  }
  state.dayRows.delete(series);
  return day.rows;
}
const modulusOf = ({ model }: MeterState): { readonly modulus?: bigint } =>
  model.register_modulus === undefined ? {} : { modulus: BigInt(model.register_modulus) };

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
  state.saying.push(
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
  { house, state, settings }: SeriesPoll,
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
function unaskedNow({ house, state, settings }: SeriesPoll, rows: readonly LoadProfileRow[], readAt: Millis): Millis {
  const { stored } = boundsOf(house, state, settings);
  const newest = rows.reduce((last, { end }) => Math.max(last, end ?? 0), stored?.newest?.end ?? 0);
  return millis(Math.min(readAt - unaskedMarginMs, newest + graceMs));
}

/** Accounts for a slice and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
async function settle(
  poll: SeriesPoll,
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
    state.saying.push(
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
  const said = state.saying.splice(0);
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
    state.saying.unshift(...said);
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

/** Registers and clock, once a day: what the display shows, beside the series. */
async function dailyReading(poll: SeriesPoll, readAt: Millis): Promise<Fact | undefined> {
  const { readingAt } = poll.state;
  if (readingAt !== undefined && poll.house.clock.now() - readingAt < readingEveryMs) return undefined;
  let reading: Fact | undefined;
  await optional(poll.house, poll.state, poll.session, 'registers', async () => {
    // Tomorrow again, where they cannot be read.
    poll.state.readingAt = poll.house.clock.now();
    reading = await readingNow(poll, readAt);
  });
  return reading;
}

export async function readingNow(
  { house, state, session, layout }: Omit<SeriesPoll, 'settings'>,
  readAt: Millis,
): Promise<ReadingFact> {
  const registers = await readRegisters(session, layout);
  state.readingAt = house.clock.now();
  const disconnector = state.identity?.disconnector;
  const deviation = state.identity?.clockDeviationMs;
  return {
    kind: 'reading',
    ...state.polled.origin,
    readAt: iso(readAt),
    registers: Object.fromEntries(
      [...registers].map(([name, raw]) => {
        const scalerUnit = layout.scalers.get(name);
        return [
          obis(name),
          {
            raw: integerJson(raw),
            scaler: scalerUnit?.scaler ?? null,
            unit: scalerUnit ? unitName(scalerUnit.unit) : null,
          },
        ];
      }),
    ),
    clockDeviationS: deviation === undefined ? null : Math.round(deviation / 100) / 10,
    ...(disconnector && { disconnector }),
  };
}

/** Around each adjustment of the clock what was read before it is read again. */
export async function readAdjusted(house: RunnerSettings, state: MeterState, session: Session): Promise<void> {
  const { store } = house;
  const { meter } = state.polled.origin;
  const known = () => state.logs ?? store.meterLogs(meter);
  // A clock that was set back writes the rows of its way again when it comes by: before that there is nothing new to read.
  const meterNow = house.clock.wall() + (state.identity?.clockDeviationMs ?? 0);
  const longest = Math.max(...state.polled.series.map(({ periodMs }) => periodMs));
  const passed = (at: number) => Math.floor(at / longest + 1) * longest + graceMs <= meterNow;
  const stamps = (known().adjusted ?? []).filter(passed).slice(0, adjustmentsMost);
  if (stamps.length === 0) return;
  for (const settings of state.polled.series) {
    const { series, periodMs } = settings;
    const { until } = boundsOf(house, state, settings);
    if (until !== undefined && until <= house.clock.wall()) continue;
    const slots = new Set(stamps.map((at) => Math.floor(at / periodMs) * periodMs));
    for (const slot of slots) {
      const coverage = store.seriesState(meter, series)?.coverage ?? [];
      const covered = coverage.find(([from, to]) => from < slot + 2 * periodMs && to > slot - periodMs);
      if (!covered) continue;
      const from = millis(Math.max(covered[0], slot - periodMs));
      const to = millis(Math.min(covered[1], slot + 2 * periodMs));
      await readSlice(house, state, session, { series, from, to, live: true });
    }
  }
  // A session that fails half-way, or the power, reads them in the next one.
  const { adjusted = [], ...others } = known();
  const done = new Set(stamps);
  state.logs = { ...others, adjusted: adjusted.filter((at) => !done.has(at)) };
}
