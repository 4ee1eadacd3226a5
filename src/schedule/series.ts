/** One series of a meter: the rows of a slice are read, with both edges of every gap in it. */
import { Failure } from '../base/errors.ts';
import { dayMs, iso, type Millis, millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { requirePeriod } from '../meter/profile-layout.ts';
import { readRange } from '../meter/profile-range.ts';
import { readOldestStamp } from '../meter/profile-rows.ts';
import { stampReading } from '../meter/stamp-reading.ts';
import type { Session } from '../meter/session.ts';
import { missing } from '../reading/coverage.ts';
import { adjoining } from '../reading/ledger.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { gatewayEvent } from './gateway-event.ts';
import { tellLeftOut, tellScalers } from './layout-alarms.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';
import { optional } from './optional.ts';
import { newestEnd, type PlannedSlice } from './plan.ts';
import { boundsOf } from './series-bounds.ts';
import { commitSlice } from './series-commit.ts';
import { layoutOf, type SeriesContext } from './series-context.ts';
import { learning, sliceRowsOf } from './slice-size.ts';
import { judgeLayout, judgeRows, rowCensus, type RowCensus } from './unusable-rows.ts';

/** Share of the buffer's reach from which on unread rows are at risk (R16). */
const riskShare = 0.8;
/** How far the edge of a gap is looked for in one step. */
const longestStepMs = 16 * dayMs;

/**
 * Where the buffer no longer reaches back to what is missing, that is said at once and with its bounds; where it soon
 * will not, that is an event (R16). Returns the oldest row of a full buffer.
 */
async function reportOverwritten(poll: SeriesContext): Promise<Millis | undefined> {
  const { port, state, session, settings, layout } = poll;
  const { clock } = port;
  const { series, profile, periodMs } = settings;
  const { stored, since, until } = boundsOf(port, state, settings);
  const wall = clock.wall();
  const end = newestEnd(wall, periodMs, port.plan.offsetMs, until);
  const [oldestHole] = missing(stored?.coverage ?? [], since, end);
  const reachMs = (layout.entries ?? 0) * periodMs;
  if (!oldestHole || reachMs === 0 || wall - oldestHole[0] < reachMs * riskShare) {
    state.atRisk.delete(series);
    return undefined;
  }
  let oldestStamp: Millis | undefined;
  await optional(port, state, session, `oldest row of ${obis(profile)}`, async () => {
    oldestStamp = await readOldestStamp({ session, layout, model: state.model });
  });
  if (!state.atRisk.has(series)) {
    state.atRisk.add(series);
    state.pendingEvents.push(
      gatewayEvent(port, state, 'DATA_AT_RISK', {
        series: obis(profile),
        oldest: iso(millis(oldestHole[0])),
        reachS: reachMs / 1000,
      }),
    );
  }
  if (oldestStamp === undefined || oldestStamp - periodMs <= oldestHole[0]) return oldestStamp;
  const lost: PlannedSlice = {
    series,
    from: millis(oldestHole[0]),
    to: millis(Math.min(oldestHole[1], Math.floor(oldestStamp / periodMs) * periodMs)),
    live: false,
  };
  await commitSlice(
    poll,
    lost,
    await readRange({ session, layout, model: state.model }, oldestStamp, oldestStamp),
    oldestStamp,
  );
  return oldestStamp;
}

/** Whether the meter captures with the period of the series, so that its rows can be read. Failure `period-mismatch`. */
async function capturesAsConfigured(poll: SeriesContext, slice: PlannedSlice): Promise<boolean> {
  const { port, state, settings, layout } = poll;
  const { meter } = state.polled.origin;
  const { periodMs, profile } = settings;
  requirePeriod(layout);
  if (layout.capturePeriodMs === periodMs) return true;
  const { stored, until: ended } = boundsOf(port, state, settings);
  // The new period was not written to the meter yet.
  if (settings.after !== undefined && !stored) return false;
  if (ended !== undefined && ended <= port.clock.wall()) {
    // The change emptied the buffer: what was not read before it is gone.
    for (const [from, to] of missing(stored?.coverage ?? [], slice.from, slice.to))
      await commitSlice(poll, { ...slice, from: millis(from), to: millis(to) }, [], ended);
    return false;
  }
  // The meter may have answered wrongly once: the next session asks again.
  state.layouts.delete(profile);
  const captures =
    layout.capturePeriodMs === 0
      ? `captures ${obis(profile)} at no period (capture_period 0)`
      : `captures every ${layout.capturePeriodMs / 1000} s`;
  throw new Failure('period-mismatch', `${meter} ${captures}, the configuration says ${periodMs / 1000} s`);
}

type ReadRows = (from: number, to: number) => Promise<LoadProfileRow[]>;
/** Reads rows by their stamps, both inclusive, in ms; learns how many the line brings at once. */
function rowsOf({ port, state, session, settings, layout }: SeriesContext, census: RowCensus): ReadRows {
  const { clock } = port;
  return async (from, to) => {
    const range = { from: millis(from), to: millis(to) };
    const outside = (row: LoadProfileRow) => census.outside(row);
    try {
      const found = await learning(
        { sizes: state.sliceRows, polled: settings, line: state.polled.access, now: () => clock.now() },
        range,
        () => readRange({ session, layout, model: state.model }, range.from, range.to, { outside }),
      );
      for (const row of found) census.add(row);
      return found;
    } catch (error) {
      // The columns may have changed under a cached layout.
      if (error instanceof Failure && error.code === 'malformed-octets') state.layouts.delete(settings.profile);
      throw error;
    }
  };
}

/**
 * The rows from `from` to `to`: the row stamped `from` gives the register before the first interval. A gap is reported whole, with
 * the rows at both its edges: where an edge row is not there it is looked for further on.
 */
async function readWithEdges(
  { port, state, settings }: SeriesContext,
  read: ReadRows,
  from: number,
  to: number,
): Promise<{ readonly rows: readonly LoadProfileRow[]; readonly from: Millis; readonly to: Millis }> {
  const { series, periodMs } = settings;
  const { stored, since, until } = boundsOf(port, state, settings);
  let rows = await read(from, to);
  const end = newestEnd(port.clock.wall(), periodMs, port.plan.offsetMs, until);
  const holes = missing(stored?.coverage ?? [], since, end);
  const [holeFrom, holeTo] = holes.find(([start, stop]) => start < to && stop > from) ?? [from, to];
  const [begin, finish] = [Math.min(holeFrom, from), Math.max(holeTo, to)];
  const [runFrom, highest] = adjoining(stored?.exceptions ?? [], begin, finish);
  // The rows of the meter before this one cannot be read any more.
  const installedAt = state.polled.swap?.at ?? stored?.swap?.at ?? runFrom;
  const lowest = Math.min(begin, Math.max(runFrom, Math.floor(installedAt / periodMs) * periodMs));
  const has = (stamp: number) => rows.some((row) => row.end === stamp);
  let [low, high] = [from, to];
  // On a line with small slices the edge is looked for in small steps.
  const firstStepMs = Math.min(
    dayMs,
    Math.max(periodMs, sliceRowsOf(state.sliceRows, series, state.polled.access) * periodMs),
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
  return { rows, from: millis(low), to: millis(high) };
}

export async function readSlice(
  port: PortContext,
  state: MeterState,
  session: Session,
  slice: PlannedSlice,
): Promise<void> {
  const { clock } = port;
  const settings = state.polled.series.find(({ series }) => series === slice.series) as PolledSeries;
  const { periodMs, profile } = settings;
  const layout = await layoutOf(port, state, session, profile);
  const poll: SeriesContext = { port, state, session, settings, layout };
  const { readable, detail } = judgeLayout(state.rowAlarms, slice.series, layout, clock.wall());
  if (detail) state.pendingEvents.push(gatewayEvent(port, state, 'PROFILE_WITHOUT_CLOCK', detail));
  if (!readable) return;
  tellScalers(port, state, slice.series, layout);
  if (!(await capturesAsConfigured(poll, slice))) return;
  const census = rowCensus(clock.wall(), stampReading(state.model));
  const oldestStamp = await reportOverwritten(poll);
  // What was lost meanwhile need not be asked for.
  const bufferedFrom =
    oldestStamp === undefined ? slice.from : Math.floor(oldestStamp / periodMs) * periodMs - periodMs;
  const from = Math.max(slice.from, bufferedFrom);
  if (from >= slice.to) return;
  const found = await readWithEdges(poll, rowsOf(poll, census), from, slice.to);
  tellLeftOut(port, state, slice.series, layout, found.rows);
  const unusable = judgeRows(state.rowAlarms, slice, profile, census, clock.wall());
  if (unusable) state.pendingEvents.push(gatewayEvent(port, state, 'ROWS_WITHOUT_STAMP', unusable));
  await commitSlice(poll, { ...slice, from: found.from, to: found.to }, found.rows, oldestStamp);
}
