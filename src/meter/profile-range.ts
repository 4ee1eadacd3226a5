/** Rows of a profile between two stamps: by range, and where the meter cannot, by the numbers of its entries, or whole. */
import { Failure } from '../base/errors.ts';
import { later, type Millis, minuteMs } from '../base/time.ts';
import { byRange, type CaptureObject } from '../dlms/cosem/profile-generic.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { attribute } from './attribute.ts';
import { fallBack, misanswer, suspect } from './fallbacks.ts';
import type { MeterModel } from './model.ts';
import { entriesOf } from './profile-layout.ts';
import { type ProfileSource, readEntries, readRows } from './profile-rows.ts';
import { isRefusal, refusedBy, type Session } from './session.ts';

/** A capture period that nobody configures must not raise what may be held. */
const shortestPeriodMs = 60_000;

/**
 * Whether bounds are inclusive differs (meter-quirks 70), and rows at the edge may be stamped beside it (81): so much more on
 * both sides. Rows outside are left out.
 */
const boundMsOf = ({ stamp_tolerance_s: tolerance }: MeterModel): number => Math.max(1000, tolerance * 1000);

export interface RangeOptions {
  /** Some of the layout's, where the meter can select columns (meter-quirks 73). */
  readonly columns?: readonly CaptureObject[];
  /** Hears of the rows that were not asked for. */
  readonly outside?: (row: LoadProfileRow) => void;
}
/** Rows with from ≤ stamp ≤ to, as the meter sends them. */
export async function readRange(
  source: ProfileSource,
  from: Millis,
  to: Millis,
  { columns, outside }: RangeOptions = {},
): Promise<LoadProfileRow[]> {
  const { session, layout, model } = source;
  const { held } = session.fallbacks;
  if (model.selection === 'whole' || held.has('whole-profile')) return readWhole(source, from, to);
  if (model.selection === 'entry' || held.has('by-entry')) return readRangeByEntry(source, from, to);
  const deviation = { min: model.range_deviation_min, written: model.range_deviation_written };
  // Bounds without a deviation are local standard time; a meter that takes them for summer time looks that much earlier.
  const summerMs = model.range_deviation_written ? 0 : model.summer_shift_min * minuteMs;
  const boundMs = boundMsOf(model);
  const selection = byRange(later(from, -boundMs), later(to, boundMs + summerMs), deviation, columns);
  const asked = columns ? { ...layout, columns } : layout;
  try {
    const intervals = Math.ceil((to - from) / Math.max(layout.capturePeriodMs, shortestPeriodMs)) + 1;
    const within = (row: LoadProfileRow) => {
      const { end } = row;
      const asked = end === null || (end >= from && end <= to);
      if (!asked) outside?.(row);
      return asked;
    };
    const rows = await readRows({ session, layout: asked, model }, selection, intervals, within);
    session.fallbacks.suspected.delete('by-entry');
    return rows;
  } catch (error) {
    const empty = model.refusal_when_empty;
    if (empty !== undefined && refusedBy(error) === empty) return [];
    // Fewer columns are the caller's wish; he knows what to do without.
    if (columns || !refusesSelection(session, error)) throw error;
    return readOtherwise(source, from, to, error);
  }
}

const refusesSelection = (session: Session, error: unknown): boolean =>
  session.associated && (isRefusal(error) || misanswer(error) !== undefined);

/** A range was refused: by numbers, and where these are refused as well, whole. What works is remembered. */
async function readOtherwise(
  source: ProfileSource,
  from: Millis,
  to: Millis,
  refusal: unknown,
): Promise<LoadProfileRow[]> {
  const { session } = source;
  const refused = misanswer(refusal) === undefined;
  // An answer that cannot be read may be that of these rows only (meter-quirks 56): the second one in a row counts.
  const reason = `range ${misanswer(refusal) ?? 'refused'}`;
  for (const [name, read] of [
    ['by-entry', readRangeByEntry],
    ['whole-profile', readWhole],
  ] as const) {
    try {
      const rows = await read(source, from, to);
      // Nothing in this range: the refusal may have meant just that (meter-quirks 72).
      if (rows.length > 0 && refused) fallBack(session.fallbacks, name, reason, session.wall());
      else if (rows.length > 0) suspect(session.fallbacks, name, reason, session.wall());
      return rows;
    } catch (error) {
      if (!refusesSelection(session, error)) throw error;
    }
  }
  throw refusal;
}

/** Rows of a buffer that are kept of one reading of the whole of it, at most. */
const maxWholeRows = 20_000;
/** All of the buffer, without a selection; what is outside of the range is let go as it comes. */
function readWhole(source: ProfileSource, from: Millis, to: Millis): Promise<LoadProfileRow[]> {
  const intervals = Math.ceil((to - from) / Math.max(source.layout.capturePeriodMs, shortestPeriodMs)) + 1;
  const within = ({ end }: LoadProfileRow) => end === null || (end >= from && end <= to);
  return readRows(source, undefined, Math.min(intervals, maxWholeRows), within);
}

/**
 * The same by numbers, for meters that do not select by range: the newest entry tells which numbers the range must have.
 * Rows that are missing only make the numbers of older ones higher than that.
 */
async function readRangeByEntry(source: ProfileSource, from: Millis, to: Millis): Promise<LoadProfileRow[]> {
  const { session, layout } = source;
  const count = entriesOf(await session.value(attribute(7, layout.profile, 7)));
  if (count === undefined) return [];
  const newest = layout.descending ? 1 : count;
  const [row] = await readEntries(source, newest, newest);
  const end = row?.end ?? null;
  if (end === null || layout.capturePeriodMs === 0)
    throw new Failure('malformed-octets', 'the newest row has no stamp');
  const back = (stamp: Millis) => Math.max(0, Math.floor((end - stamp) / layout.capturePeriodMs));
  // Numbered from the newest, 1, whatever the order of the buffer.
  let far = Math.min(count, back(from) + 2);
  let near = Math.min(count, Math.max(1, back(to)));
  const rows: LoadProfileRow[] = [];
  for (let step = 0; step < entriesSteps; step++) {
    const [first, last] = layout.descending ? [near, far] : [count + 1 - far, count + 1 - near];
    const read = await readEntries(source, first, last);
    rows.push(...read);
    if (near === 1 || read.some(({ end: stamp }) => stamp !== null && stamp >= to)) break;
    far = near - 1;
    near = Math.max(1, near - entriesStep);
  }
  return rows.filter(({ end: stamp }) => stamp === null || (stamp >= from && stamp <= to));
}
/** Rows asked for in one go where missing rows have moved the numbers. */
const entriesStep = 24;
/** A stamp far ahead would have the whole buffer asked for. */
const entriesSteps = 50;
