/** What the gateway does with a meter once the session stands: identify, learn the profile's layout, read rows. */
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import { type Clock, later, type Millis, minuteMs } from '../base/time.ts';
import { refusalName } from '../dlms/association/client.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { type StampDoubt, type StampReading, stampOf } from '../dlms/cosem/date-time.ts';
import { type LogicalName, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import {
  byEntry,
  byRange,
  type CaptureObject,
  captureObjectsOf,
  isClockColumn,
} from '../dlms/cosem/profile-generic.ts';
import type { Attribute, GetResult, Selection } from '../dlms/xdlms/apdu.ts';
import { capturePeriodMsOf, type LoadProfileRow, type ScalerUnit, scalerUnitOf } from '../reading/load-profile-row.ts';
import { hashOf } from '../reading/ledger.ts';
import { isScaled } from '../reading/column.ts';
import { onGrid } from '../reading/grid.ts';
import { ProfileReader, type RowLayout, type RowReading } from '../reading/profile-reader.ts';
import type { LogReader } from '../reading/log-reader.ts';
import { fallBack, misanswer, suspect } from './fallbacks.ts';
import { askedAgain, type Unreadable, unreadable } from './asked-again.ts';
import { genericModel, type MeterModel } from './model.ts';
import { isRefusal, refusalCode, refusedBy, type Session } from './session.ts';

export interface ProfileLayout extends RowLayout {
  readonly profile: LogicalName;
  /** Rows that the buffer holds at most; undefined where the meter does not tell. */
  readonly entries: number | undefined;
  /** What rows mean: capture objects, scalers and period. Another one is another segment of the series (R13). */
  readonly fingerprint: string;
  /** What it may be called in a store although it is the same: scalers that were not known then. */
  readonly formerFingerprints: readonly string[];
  /** Why the capture period is not known, where the meter does not tell it. */
  readonly periodUnknown?: Failure;
  /** Objects whose scaler and unit the meter does not tell, with the reason. */
  readonly unscaled: ReadonlyMap<LogicalName, string>;
}
export const disconnectorName: LogicalName = '0.0.96.3.10.255';
/** Disconnect control, class 70 (Blue Book 4.5.8). */
export interface Disconnector {
  /** output_state: the load is connected. */
  readonly output: boolean;
  /** control_state: 0 disconnected, 1 connected, 2 ready for reconnection. */
  readonly control: number;
  /** control_mode, 0 to 6: which transitions are allowed. */
  readonly mode: number;
}
/** From its attributes 2, 3 and 4; undefined where the meter does not tell them. */
export function disconnectorOf(results: readonly (GetResult | undefined)[]): Disconnector | undefined {
  const [output, control, mode] = results.map(dataOf);
  if (output?.type !== 'boolean' || control?.type !== 'enum' || mode?.type !== 'enum') return undefined;
  return { output: output.value, control: control.value, mode: mode.value };
}

export interface Identity {
  readonly logicalDeviceName: string | undefined;
  readonly serial: string | undefined;
  /** Meter clock minus gateway clock; undefined where the clock names no instant. */
  readonly clockDeviationMs: number | undefined;
  /** Changes of the configuration so far; undefined where the model names no counter or the meter refuses it. */
  readonly changes: bigint | undefined;
  /** The meter's own switch; undefined where it has none, or was not asked. */
  readonly disconnector: Disconnector | undefined;
  /** What the clock says of itself. */
  readonly clockDoubt: StampDoubt | null;
  /** What was asked for and did not come, although it was asked for alone once more. */
  readonly unreadable: readonly Unreadable[];
}

export const stampReading = (model: MeterModel): StampReading => ({
  ...(model.stamp_deviation_min !== undefined && { deviationMin: model.stamp_deviation_min }),
  inverted: model.deviation_inverted,
  overridden: model.stamp_deviation_overridden,
  summerShiftMin: model.summer_shift_min,
});

export const rowReading = (model: MeterModel): RowReading => ({
  ...stampReading(model),
  untaggedStamps: model.untagged_stamps,
});

const attribute = (classId: number, logicalName: LogicalName, id: number, selection?: Selection): Attribute => ({
  classId,
  logicalName,
  attribute: id,
  ...(selection && { selection }),
});
const dataOf = (result: GetResult | undefined): Data | undefined =>
  result && 'data' in result ? result.data : undefined;
/** A longer name is none; it stands in messages, logs and the status. */
const nameOctets = 128;
const textOf = (data: Data | undefined): string | undefined => {
  if (data?.type === 'octet-string') return Buffer.from(data.value.subarray(0, nameOctets)).toString('latin1').trim();
  return data?.type === 'visible-string' || data?.type === 'utf8-string'
    ? data.value.slice(0, nameOctets).trim()
    : undefined;
};
/** A number of entries as it can be asked for; undefined where it is 0, negative or larger than any selection can say. */
const entriesOf = (data: Data | undefined): number | undefined => {
  const count = data && integerOf(data);
  return count !== undefined && count > 0n && count <= 0xffff_ffffn ? Number(count) : undefined;
};
const clockOctets = (data: Data | undefined): Uint8Array | undefined =>
  data?.type === 'octet-string' || data?.type === 'date-time' ? data.value : undefined;

/** How far from the middle of a quick exchange an answer is made. */
const quickMs = 1000;
/** The least deviation that an answer proves which took long: on a slow line, or asked for again, it was made at any time of it. */
function certainly(deviationMs: number, uncertainMs: number): number {
  const doubt = Math.max(0, uncertainMs - quickMs);
  return Math.round(deviationMs - Math.min(doubt, Math.max(-doubt, deviationMs)));
}
const clockLength = 12;

/** Logical device name, serial number, clock and change counter, in one request where lists are allowed. */
export async function identify(
  session: Session,
  clock: Clock,
  model: MeterModel,
  askDisconnector = false,
): Promise<Identity> {
  const [sentAt, sentOn] = [clock.wall(), clock.now()];
  const counter = model.change_counter === undefined ? undefined : parseLogicalName(model.change_counter);
  const named = [attribute(1, '0.0.42.0.0.255', 2), attribute(1, '0.0.96.1.0.255', 2)];
  const clockTime = attribute(8, '0.0.1.0.0.255', 2);
  const switched = askDisconnector ? [2, 3, 4].map((id) => attribute(70, disconnectorName, id)) : [];
  const [firstName, firstSerial, firstTime, ...more] = await session.get([
    ...named,
    clockTime,
    ...switched,
    ...(counter === undefined ? [] : [attribute(1, counter, 2)]),
  ]);
  const counted = counter === undefined ? undefined : dataOf(more.at(-1));
  let octets = clockOctets(dataOf(firstTime));
  let time = firstTime;
  let [before, asked, spentMs] = [sentAt, sentOn, clock.now() - sentOn];
  if (!octets) {
    [before, asked] = [clock.wall(), clock.now()];
    [time] = await askedAgain(session, [clockTime], [firstTime], true);
    octets = clockOctets(dataOf(time));
    spentMs = clock.now() - asked;
  }
  // A clock that is none, in a list only (meter-quirks 86).
  if (octets && octets.length !== clockLength) {
    const alone = await session.alone(attribute(8, '0.0.1.0.0.255', 2), 'list wraps the clock twice');
    octets = clockOctets(dataOf(alone)) ?? octets;
  }
  const stamp = octets && stampOf(octets, stampReading(model));
  const meterClock = stamp?.instant;
  const [name, serial] = await askedAgain(session, named, [firstName, firstSerial]);
  const states = await askedAgain(session, switched, more.slice(0, switched.length));
  const disconnector = askDisconnector ? disconnectorOf(states) : undefined;
  const [logicalDeviceName, serialNumber] = [textOf(dataOf(name)), textOf(dataOf(serial))];
  // The answer was made between the request and now: the middle is the fairest guess.
  const gatewayClock = before + spentMs / 2;
  return {
    logicalDeviceName,
    serial: serialNumber,
    clockDeviationMs: meterClock === undefined ? undefined : certainly(meterClock - gatewayClock, spentMs / 2),
    changes: counted && integerOf(counted),
    disconnector,
    clockDoubt: stamp?.instant === undefined ? null : stamp.doubt,
    unreadable: [
      ...(meterClock === undefined
        ? [unreadable('clock', time, stamp && 'why' in stamp ? stamp.why : 'it is no date-time')]
        : []),
      ...(serialNumber === undefined ? [unreadable('serial number', serial, 'it is no text')] : []),
      ...(logicalDeviceName === undefined ? [unreadable('logical device name', name, 'it is no text')] : []),
      ...(askDisconnector && !disconnector
        ? [
            unreadable(
              'disconnector',
              states.find((one) => !one || 'refused' in one),
              'its states are no states',
            ),
          ]
        : []),
    ],
  };
}

/** sort_method (Blue Book 4.3.6, attribute 5): 2 = LIFO. */
const sortMethodLifo = 2;

export async function readLayout(
  session: Session,
  profile: LogicalName,
  model: MeterModel = genericModel,
): Promise<ProfileLayout> {
  const asked = [3, 4, 5, 8].map((id) => attribute(7, profile, id));
  const [first, second, ...others] = await session.get(asked);
  // Without these two nothing is read of the series: a refusal is heard twice before it is believed.
  const [objects, period] = await askedAgain(session, asked.slice(0, 2), [first, second], true);
  const [sort, depth] = await askedAgain(session, asked.slice(2), others);
  const captured = dataOf(objects);
  if (!captured) throw refusedLayout(`capture objects of ${obis(profile)}`, objects);
  let columns: CaptureObject[];
  try {
    columns = captureObjectsOf(captured);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('malformed-octets', messageOf(error));
  }
  const { scalers, plain, unscaled } = await readScalers(session, columns);
  const periodData = dataOf(period);
  const periodUnknown =
    periodData && integerOf(periodData) !== undefined
      ? undefined
      : refusedLayout(`capture period of ${obis(profile)}`, period);
  const sortData = dataOf(sort);
  const descending = sortData?.type === 'enum' && sortData.value === sortMethodLifo;
  const depthData = dataOf(depth);
  const entries = entriesOf(depthData);
  const capturePeriodMs = periodData ? capturePeriodMsOf(periodData) : 0;
  const hashed = (known: Iterable<unknown>) => hashOf(columns, [...known], capturePeriodMs).toString(16);
  return {
    profile,
    columns,
    capturePeriodMs,
    ...(periodUnknown !== undefined && { periodUnknown }),
    scalers,
    unscaled,
    descending,
    entries: entries || undefined,
    fingerprint: hashed(scalers),
    formerFingerprints: scalers.size === 0 ? [] : [hashed(plain), hashed([])],
    ...statusOf(model),
  };
}

const refusedLayout = (what: string, result: GetResult | undefined): Failure =>
  result && 'refused' in result
    ? new Failure(refusalCode(result.refused), `${what}: refused: ${refusalName(result.refused)}`)
    : new Failure('unexpected-apdu', `${what}: another type than it should be`);

/** What is read or written by a period must know it: one that is refused is no period of 0. */
export function requirePeriod({ periodUnknown }: ProfileLayout): void {
  if (periodUnknown !== undefined) throw periodUnknown;
}

/** Where the status of the rows stands by the model. Of a word of the maker's nothing is known that the model does not say. */
export function statusOf({ status_column: column, status_bits: bits }: MeterModel): Partial<RowLayout> {
  return {
    ...(column && { statusColumn: { logicalName: parseLogicalName(column.object), attribute: column.attribute } }),
    ...((column || bits) && { statusMeaning: bits ?? {} }),
  };
}

/** `plain`: those in the types of the Blue Book. Versions before knew only them, and their layouts are no others for that. */
async function readScalers(session: Session, columns: readonly CaptureObject[]) {
  const registers = columns.filter(
    (column) => !isClockColumn(column) && scalerUnitAttribute(column.classId) !== undefined,
  );
  const unique = [...new Map(registers.map((column) => [column.logicalName, column])).values()];
  const scalers = new Map<LogicalName, ScalerUnit>();
  const plain = new Map<LogicalName, ScalerUnit>();
  const asked = unique.map(({ classId, logicalName }) =>
    attribute(classId, logicalName, scalerUnitAttribute(classId) as number),
  );
  const results = asked.length > 0 ? await askedAgain(session, asked, await session.get(asked)) : [];
  unique.forEach(({ logicalName }, i) => {
    const data = dataOf(results[i]);
    const scalerUnit = data && scalerUnitOf(data);
    if (!scalerUnit) return;
    scalers.set(logicalName, scalerUnit);
    const [scaler, unit] = data.type === 'structure' ? data.value : [];
    if (scaler?.type === 'integer' && unit?.type === 'enum') plain.set(logicalName, scalerUnit);
  });
  // The scaler of an object says nothing of its status or of a time.
  const wanted = new Set(columns.filter(isScaled).map(({ logicalName }) => logicalName));
  const unscaled = new Map(
    unique.flatMap(({ logicalName }, i): [LogicalName, string][] => {
      if (scalers.has(logicalName) || !wanted.has(logicalName)) return [];
      const result = results[i];
      const why =
        result && 'data' in result
          ? `is no scaler and unit: ${dataText(result.data).slice(0, 60)}`
          : `refused: ${refusalName(result?.refused ?? otherReason)}`;
      return [[logicalName, why]];
    }),
  );
  return { scalers, plain, unscaled };
}
const otherReason = 250;

/** Rows as they arrive; the profile is never held as a whole. */
export async function streamRows(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  selection: Selection | undefined,
  take: (rows: readonly LoadProfileRow[]) => void,
  most?: number,
): Promise<void> {
  const reader = new ProfileReader(layout, rowReading(model));
  try {
    const push = (octets: Uint8Array) => {
      // A piece at a time: rows of small elements take a hundred times their octets, and most are not kept.
      for (let at = 0; at < octets.length; at += pieceOctets) take(reader.push(octets.subarray(at, at + pieceOctets)));
    };
    const expected = most === undefined ? undefined : most * (rowOctets + layout.columns.length * cellOctets);
    await session.stream(attribute(7, layout.profile, 2, selection), push, expected);
    reader.end();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new Failure('malformed-octets', `profile ${obis(layout.profile)}: ${messageOf(error)}`);
  }
}

const pieceOctets = 4096;
/** A row at its longest, framing included, for the total of the request. */
const rowOctets = 16;
const cellOctets = 16;

/** `most`: rows that what was asked for can have; rows that `keep` does not want are none of them. */
async function readRows(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  selection: Selection | undefined,
  most: number,
  keep: (row: LoadProfileRow) => boolean = () => true,
): Promise<LoadProfileRow[]> {
  // A clock that was set back writes intervals again, and some meters write a row at each power failure.
  const limit = 2 * most + 100;
  const all: LoadProfileRow[] = [];
  const take = (rows: readonly LoadProfileRow[]) => {
    for (const read of rows) {
      const row = onGrid(read, layout.capturePeriodMs, model.stamp_tolerance_s * 1000);
      if (keep(row)) all.push(row);
    }
    if (all.length > limit)
      throw new Failure(
        'answer-too-long',
        `profile ${obis(layout.profile)}: more than ${limit} rows where ${most} were asked for`,
      );
  };
  await streamRows(session, layout, model, selection, take, limit);
  return all;
}
/** A capture period that nobody configures must not raise what may be held. */
const shortestPeriodMs = 60_000;

/**
 * Whether bounds are inclusive differs (meter-quirks 70), and rows at the edge may be stamped beside it (81): so much more on
 * both sides. Rows outside are left out.
 */
const boundMsOf = ({ stamp_tolerance_s: tolerance }: MeterModel): number => Math.max(1000, tolerance * 1000);

/**
 * Rows with from ≤ stamp ≤ to, as the meter sends them. `columns`: some of the layout's, where the meter can select
 * columns (meter-quirks 73).
 */
export async function readRange(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  from: Millis,
  to: Millis,
  columns?: readonly CaptureObject[],
  /** Hears of the rows that were not asked for. */
  outside: (row: LoadProfileRow) => void = () => {},
): Promise<LoadProfileRow[]> {
  const { held } = session.fallbacks;
  if (model.selection === 'whole' || held.has('whole-profile')) return readWhole(session, layout, model, from, to);
  if (model.selection === 'entry' || held.has('by-entry')) return readRangeByEntry(session, layout, model, from, to);
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
      if (!asked) outside(row);
      return asked;
    };
    const rows = await readRows(session, asked, model, selection, intervals, within);
    session.fallbacks.suspected.delete('by-entry');
    return rows;
  } catch (error) {
    const empty = model.refusal_when_empty;
    if (empty !== undefined && refusedBy(error) === empty) return [];
    // Fewer columns are the caller's wish; he knows what to do without.
    if (columns || !refusesSelection(session, error)) throw error;
    return readOtherwise(session, layout, model, from, to, error);
  }
}

const refusesSelection = (session: Session, error: unknown): boolean =>
  session.associated && (isRefusal(error) || misanswer(error) !== undefined);

/** A range was refused: by numbers, and where these are refused as well, whole. What works is remembered. */
async function readOtherwise(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  from: Millis,
  to: Millis,
  refusal: unknown,
): Promise<LoadProfileRow[]> {
  const refused = misanswer(refusal) === undefined;
  // An answer that cannot be read may be that of these rows only (meter-quirks 56): the second one in a row counts.
  const reason = `range ${misanswer(refusal) ?? 'refused'}`;
  for (const [name, read] of [
    ['by-entry', readRangeByEntry],
    ['whole-profile', readWhole],
  ] as const) {
    try {
      const rows = await read(session, layout, model, from, to);
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
const wholeMost = 20_000;
/** All of the buffer, without a selection; what is outside of the range is let go as it comes. */
function readWhole(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  from: Millis,
  to: Millis,
): Promise<LoadProfileRow[]> {
  const intervals = Math.ceil((to - from) / Math.max(layout.capturePeriodMs, shortestPeriodMs)) + 1;
  const within = ({ end }: LoadProfileRow) => end === null || (end >= from && end <= to);
  return readRows(session, layout, model, undefined, Math.min(intervals, wholeMost), within);
}

/**
 * The same by numbers, for meters that do not select by range: the newest entry tells which numbers the range must have.
 * Rows that are missing only make the numbers of older ones higher than that.
 */
async function readRangeByEntry(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  from: Millis,
  to: Millis,
): Promise<LoadProfileRow[]> {
  const count = entriesOf(await session.value(attribute(7, layout.profile, 7)));
  if (count === undefined) return [];
  const newest = layout.descending ? 1 : count;
  const [row] = await readEntries(session, layout, model, newest, newest);
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
    const read = await readEntries(session, layout, model, first, last);
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

/** Entries first to last, counted from 1. */
export const readEntries = (
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
  first: number,
  last: number,
): Promise<LoadProfileRow[]> => readRows(session, layout, model, byEntry(first, last), last - first + 1);

/** Stamp of the oldest row where the buffer is full and overwrites; undefined where it is not, or the meter does not tell. */
export async function readOldestStamp(
  session: Session,
  layout: ProfileLayout,
  model: MeterModel,
): Promise<Millis | undefined> {
  const [inUse] = await session.get([attribute(7, layout.profile, 7)]);
  const data = dataOf(inUse);
  const count = entriesOf(data);
  if (count === undefined || layout.entries === undefined || count < layout.entries) return undefined;
  const oldest = layout.descending ? count : 1;
  const [row] = await readEntries(session, layout, model, oldest, oldest);
  return row?.end ?? undefined;
}

/** Present registers of the profile's columns, raw. */
export async function readRegisters(session: Session, layout: ProfileLayout): Promise<Map<LogicalName, bigint>> {
  const columns = layout.columns.filter(({ classId, attribute: id }) => (classId === 3 || classId === 4) && id === 2);
  const registers = new Map<LogicalName, bigint>();
  if (columns.length === 0) return registers;
  const results = await session.get(columns.map((column) => attribute(column.classId, column.logicalName, 2)));
  columns.forEach((column, i) => {
    const data = dataOf(results[i]);
    const value = data && integerOf(data);
    if (value !== undefined) registers.set(column.logicalName, value);
  });
  return registers;
}

/** How a log is asked for. */
export type LogWay = 'range' | 'entries' | 'whole';
/** Which entries of a log are asked for: by stamps, or by numbers counted from 1. */
export type LogSelection =
  | { readonly from: Millis; readonly to: Millis }
  | { readonly first: number; readonly last: number };

/** Entries of a log as they arrive, in a request of its own: a log of any length is never held. */
export async function readLog(
  session: Session,
  model: MeterModel,
  log: LogicalName,
  selection: LogSelection | undefined,
  reader: LogReader,
): Promise<void> {
  const deviation = { min: model.range_deviation_min, written: model.range_deviation_written };
  const selected =
    selection &&
    ('from' in selection ? byRange(selection.from, selection.to, deviation) : byEntry(selection.first, selection.last));
  await session.stream(attribute(7, log, 2, selected), (octets) => reader.push(octets), logOctets);
}
/** A log has no size that could be asked for: it is given the least that any request has. */
const logOctets = 1;

/** Entries in use and their order; undefined where the meter does not tell. */
export async function countLog(
  session: Session,
  log: LogicalName,
): Promise<{ readonly count: number | undefined; readonly descending: boolean }> {
  const [inUse] = await session.get([attribute(7, log, 7)]);
  const [sort] = await session.get([attribute(7, log, 5)]);
  const count = entriesOf(dataOf(inUse));
  const order = dataOf(sort);
  return {
    count,
    descending: order?.type === 'enum' && order.value === sortMethodLifo,
  };
}

/** The invocation counter that the meter heard last, from its object 0.0.43.1.x.255; for the public client. */
export async function readInvocationCounter(session: Session, object: LogicalName): Promise<number> {
  const value = integerOf(await session.value(attribute(1, object, 2)));
  if (value === undefined || value < 0n || value > 0xffff_ffffn) {
    throw new Failure('unexpected-apdu', `${obis(object)} is no invocation counter`);
  }
  return Number(value);
}
