/**
 * Rows of a profile's buffer, from its octets as they arrive (Blue Book 4.3.6.2.3). Rows of one read look alike: the
 * first one is decoded in full and gives the places of the cells; those that follow are checked against it, tag by tag,
 * and read from their places. A row that differs is decoded in full again. Holds one row, never the profile.
 */
import { concat, Reader } from '../base/cursor.ts';
import { CodecError, Failure } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { later, type Millis, minuteMs } from '../base/time.ts';
import {
  type Data,
  dataEnd,
  integerOf,
  lengthAt,
  readData,
  readDescribed,
  readDescription,
  type TypeDescription,
} from '../dlms/axdr/data.ts';
import { dataTag, integerSize } from '../dlms/axdr/data-types.ts';
import { dataText } from '../dlms/axdr/print.ts';
import {
  deviationOf,
  deviationUnspecified,
  doubtOf,
  shiftOf,
  type StampDoubt,
  type StampReading,
  utcAt,
} from '../dlms/cosem/date-time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import { columnKeys, columnKind, columnRoles, isScaled, mayBeBilled, type StatusColumn } from './column.ts';
import { type Cell, type LoadProfileRow, type ProfileChannel, type ScalerUnit } from './load-profile-row.ts';
import { standardBits, statusBit, type StatusMeaning } from './quality.ts';

export interface RowLayout {
  /** Columns of a row: the capture objects, or those of them that were asked for. */
  readonly columns: readonly CaptureObject[];
  /** 0 where the meter does not tell. */
  readonly capturePeriodMs: number;
  readonly scalers: ReadonlyMap<LogicalName, ScalerUnit>;
  /** Objects that have a scaler and unit which the meter does not tell. */
  readonly unscaled?: ReadonlyMap<LogicalName, string>;
  /** Where the status of the rows stands, and what its bits mean; left out: 0-0:96.10.x, bits of the AMR profile status. */
  readonly statusColumn?: StatusColumn | undefined;
  readonly statusMeaning?: StatusMeaning | undefined;
  /** Newest row first: a stamp that is left out lies before the one above. */
  readonly descending?: boolean;
}
export interface RowReading extends StampReading {
  /** Stamps come without the tag and length before them (meter-quirks 62). */
  readonly untaggedStamps?: boolean;
  /** Rows of the answer, at most. */
  readonly rowLimit?: number;
}
/** A year of 5-minute rows, and more than a buffer holds. */
const rowLimitByDefault = 120_000;
/** Octets that wait for the rest of their row, and elements of a row: two hundred columns take less. */
const heldLimit = 8192;
const rowElements = 2000;
const rowBudget = () => ({ elements: rowElements, octets: heldLimit });

/** A row over the octets that it came from: the raw stamp is cut out when somebody asks for it. */
class Row implements LoadProfileRow {
  readonly start: Millis | null;
  readonly end: Millis | null;
  readonly status: number | null;
  readonly channels: readonly ProfileChannel[];
  readonly cells: readonly Cell[];
  private readonly source: Uint8Array;
  private readonly clockAt: number;
  constructor(
    end: Millis | null,
    periodMs: number,
    status: number | null,
    channels: readonly ProfileChannel[],
    cells: readonly Cell[],
    source: Uint8Array,
    clockAt: number,
  ) {
    this.start = end !== null && periodMs > 0 ? later(end, -periodMs) : null;
    this.end = end;
    this.status = status;
    this.channels = channels;
    this.cells = cells;
    this.source = source;
    this.clockAt = clockAt;
  }
  get doubt(): StampDoubt | null {
    return this.clockAt < 0 ? null : doubtOf(this.source[this.clockAt + 11] as number);
  }
  get clock(): Uint8Array | null {
    return this.clockAt < 0 ? null : this.source.slice(this.clockAt, this.clockAt + 12);
  }
}

const withBits = (row: LoadProfileRow, bits: number): LoadProfileRow => Object.assign(row, { bits });
/** A row whose stamp was left out counts on from a stamp, and from what was said of that. */
const withDoubt = (row: LoadProfileRow, doubt: StampDoubt): LoadProfileRow =>
  Object.defineProperty(row, 'doubt', { value: doubt, enumerable: true });

const nothing = new Uint8Array(0);
/** Clock status of a stamp that says nothing of itself. */
const unspecified = 0xff;
const isClock = 0;
const isStatus = 1;
const isValue = 2;

const roleNumber = { clock: isClock, status: isStatus, channel: isValue, 'left out': -1 } as const;

/** What is worked out once for all reads of a layout. */
interface Compiled {
  readonly roles: readonly number[];
  readonly channels: readonly ProfileChannel[];
  /** The template of the rows before: the next read of this profile brings rows of the same kind. */
  template: Template | undefined;
}
const compiled = new WeakMap<RowLayout, Compiled>();
function compile(layout: RowLayout): Compiled {
  const known = compiled.get(layout);
  if (known) return known;
  const { columns, statusColumn, scalers, unscaled } = layout;
  const roles = columnRoles(columns, statusColumn).map((role) => roleNumber[role]);
  const keys = columnKeys(columns);
  const channels = columns.flatMap((column, i): ProfileChannel[] => {
    if (roles[i] !== isValue) return [];
    const scalerUnit = isScaled(column) ? scalers.get(column.logicalName) : undefined;
    const unknown = isScaled(column) && unscaled?.has(column.logicalName) === true;
    const kind = columnKind(column, scalerUnit?.unit);
    return [
      { key: keys[i] as string, scalerUnit, kind, ...(unknown && { unscaled: { billable: mayBeBilled(column) } }) },
    ];
  });
  const fresh: Compiled = { roles, channels, template: undefined };
  compiled.set(layout, fresh);
  return fresh;
}

/** The first octet and the tag of every cell of a row, and its length; undefined where rows of this kind vary in length. */
interface Template {
  readonly tags: readonly number[];
  readonly at: readonly number[];
  readonly length: number;
}
const octetString = dataTag['octet-string'];
const { structure } = dataTag;
const stampOctets = 12;

export class ProfileReader {
  private readonly layout: RowLayout;
  private readonly reading: RowReading;
  private readonly roles: readonly number[];
  private readonly channels: readonly ProfileChannel[];
  private readonly compiled: Compiled;
  private carry: Uint8Array = nothing;
  private phase: 'head' | 'rows' | 'compact' | 'done' = 'head';
  private readonly rowLimit: number;
  /** What an element of a compact-array is made of, and how many octets of elements are still to come. */
  private described: TypeDescription | undefined;
  private compactLeft = 0;
  private announced = 0;
  private came = 0;
  private before: LoadProfileRow | undefined;
  /** Stamps that leave their deviation open are of a standard time: summer time may stand in the status of the row. */
  private readonly standardTime: boolean;
  /** Octets after the value: padding of some meters (meter-quirks 51). */
  trailing = 0;

  constructor(layout: RowLayout, reading: RowReading = {}) {
    this.layout = layout;
    this.reading = reading;
    this.rowLimit = reading.rowLimit ?? rowLimitByDefault;
    this.standardTime = reading.deviationMin !== undefined;
    this.compiled = compile(layout);
    this.roles = this.compiled.roles;
    this.channels = this.compiled.channels;
  }

  /** Octets that wait for the rest of their row. */
  get held(): number {
    return this.carry.length;
  }

  /** Adds the rows that these octets complete. Throws CodecError where they are no rows of this layout. */
  push(octets: Uint8Array, rows: LoadProfileRow[] = []): LoadProfileRow[] {
    let at = this.bridge(octets, rows);
    const all = this.carry.length === 0 ? octets : concat([this.carry, octets]);
    if (this.phase === 'head') at = this.head(all);
    if (this.phase === 'rows') at = this.rows(all, at, rows);
    if (this.phase === 'compact') at = this.compact(all, at, rows);
    if (this.phase === 'done') {
      this.trailing += all.length - at;
      at = all.length;
    }
    this.carry = at >= all.length ? nothing : all.slice(at);
    if (this.carry.length > heldLimit)
      throw new Failure('answer-too-long', `a row of the buffer has no end after ${this.carry.length} octets`);
    return rows;
  }

  /** The row that began in the octets before: only it is copied. Returns where the rest of the octets begins. */
  private bridge(octets: Uint8Array, rows: LoadProfileRow[]): number {
    const { template } = this.compiled;
    const { carry } = this;
    if (carry.length === 0 || this.phase !== 'rows' || !template) return 0;
    const missing = template.length - carry.length;
    if (missing <= 0 || octets.length < missing) return 0;
    const row = new Uint8Array(template.length);
    row.set(carry);
    for (let i = 0; i < missing; i++) row[carry.length + i] = octets[i] as number;
    if (!this.fits(row, 0, template)) return 0;
    rows.push(this.fast(row, 0, template));
    this.came++;
    this.carry = nothing;
    return missing;
  }

  /** All octets came. Throws CodecError where rows are missing. */
  end(): void {
    if (this.phase === 'done') return;
    const what = this.phase === 'head' ? 'no array' : `${this.came} whole entries of the ${this.announced} announced`;
    throw new CodecError(`the buffer ends with ${what}`, 0);
  }

  private head(octets: Uint8Array): number {
    if (octets.length === 0) return 0;
    const tag = octets[0] as number;
    if (tag === dataTag['compact-array']) {
      this.phase = 'compact';
      return 0;
    }
    if (tag === dataTag['null-data']) {
      this.phase = 'done';
      return 1;
    }
    if (tag !== dataTag.array) throw new CodecError(`buffer has tag ${tag}, not an array`, 0);
    const length = lengthAt(octets, 1, octets.length);
    if (!length) return 0;
    this.announced = length.value;
    this.bounded(length.value);
    this.phase = length.value === 0 ? 'done' : 'rows';
    return length.next;
  }

  private bounded(rows: number): void {
    if (rows <= this.rowLimit) return;
    throw new Failure('answer-too-long', `${rows} rows in the answer, where ${this.rowLimit} are the most`);
  }

  private rows(octets: Uint8Array, from: number, rows: LoadProfileRow[]): number {
    let at = from;
    while (this.came < this.announced) {
      const { template } = this.compiled;
      if (template && this.fits(octets, at, template)) {
        rows.push(this.fast(octets, at, template));
        at += template.length;
      } else {
        const end = this.rowEnd(octets, at);
        if (end < 0) return at;
        rows.push(this.full(octets, at, end));
        at = end;
      }
      this.came++;
    }
    this.phase = 'done';
    return at;
  }

  /** compact-array: what its rows are made of comes first; they have no tags of their own, and come one by one. */
  private compact(octets: Uint8Array, from: number, rows: LoadProfileRow[]): number {
    let at = this.described ? from : this.compactHead(octets, from);
    const { described } = this;
    if (!described) return at;
    while (this.compactLeft > 0) {
      const end = Math.min(octets.length, at + this.compactLeft);
      const r = new Reader(octets, at, end, rowBudget());
      let element: Data;
      try {
        element = readDescribed(r, described);
      } catch (error) {
        // The rest of this row may still come.
        if (error instanceof CodecError && end < at + this.compactLeft) return at;
        throw error;
      }
      if (r.offset === at) r.fail('compact-array of elements without octets');
      if (element.type !== 'structure') throw new CodecError(`a buffer entry is ${element.type}, not a structure`, at);
      rows.push(this.decoded(element.value, octets, -1));
      this.bounded(++this.came);
      this.compactLeft -= r.offset - at;
      at = r.offset;
    }
    this.phase = 'done';
    return at;
  }

  private compactHead(octets: Uint8Array, from: number): number {
    const r = new Reader(octets, from + 1);
    let described: TypeDescription;
    try {
      described = readDescription(r);
    } catch (error) {
      // The rest of it may still come.
      if (error instanceof CodecError) return from;
      throw error;
    }
    const length = lengthAt(octets, r.offset, octets.length);
    if (!length) return from;
    this.described = described;
    this.compactLeft = length.value;
    return length.next;
  }

  private fits(octets: Uint8Array, at: number, { tags, at: places, length }: Template): boolean {
    if (at + length > octets.length) return false;
    if (octets[at] !== structure || octets[at + 1] !== tags.length) return false;
    for (let i = 0; i < tags.length; i++) {
      const place = at + (places[i] as number);
      const tag = tags[i] as number;
      if (tag === octetString) {
        if (octets[place - 2] !== tag || octets[place - 1] !== stampOctets) return false;
      } else if (octets[place - 1] !== tag) return false;
    }
    return true;
  }

  private fast(octets: Uint8Array, at: number, { tags, at: places }: Template): LoadProfileRow {
    const { roles } = this;
    const cells: Cell[] = [];
    let end: Millis | null = null;
    let clockAt = -1;
    let status: number | null = null;
    for (let i = 0; i < roles.length; i++) {
      const place = at + (places[i] as number);
      const role = roles[i];
      if (role === isValue) cells.push(integerAt(octets, place, tags[i] as number));
      else if (role === isClock) {
        clockAt = place;
        end = utcAt(octets, place, this.reading) ?? null;
      } else if (role === isStatus) status = Number(integerAt(octets, place, tags[i] as number));
    }
    if (this.standardTime) end = this.withSummer(end, status, octets, clockAt);
    return this.remember(end, status, cells, octets, clockAt);
  }

  private remember(
    end: Millis | null,
    status: number | null,
    cells: readonly Cell[],
    octets: Uint8Array,
    clockAt: number,
  ): LoadProfileRow {
    const { capturePeriodMs, statusMeaning } = this.layout;
    const row = new Row(end, capturePeriodMs, status, this.channels, cells, octets, clockAt);
    this.before = row;
    return statusMeaning && status !== null ? withBits(row, standardBits(status, statusMeaning)) : row;
  }

  /**
   * A stamp that leaves both its deviation and its clock status open: the status of the row tells summer time, and so
   * which of the two hours it is that the change to winter time doubles.
   */
  private withSummer(end: Millis | null, status: number | null, octets: Uint8Array, clockAt: number): Millis | null {
    const { reading } = this;
    if (end === null || status === null || clockAt < 0 || octets[clockAt + 11] !== unspecified) return end;
    const { statusMeaning } = this.layout;
    const bits = statusMeaning ? standardBits(status, statusMeaning) : status;
    if ((bits & statusBit.DST) === 0) return end;
    const open = deviationOf(octets.subarray(clockAt, clockAt + stampOctets)) === deviationUnspecified;
    return open || reading.overridden === true ? later(end, -shiftOf(reading) * minuteMs) : end;
  }

  /** Where the row at `at` ends; -1 where it is not complete. */
  private rowEnd(octets: Uint8Array, at: number): number {
    if (this.reading.untaggedStamps !== true) return dataEnd(octets, at, octets.length);
    const opened = this.opened(octets, at);
    if (!opened) return -1;
    let { next } = opened;
    for (let i = 0; i < opened.value; i++) {
      if (this.roles[i] === isClock && octets[next] === stampOctets) next += 1 + stampOctets;
      else next = dataEnd(octets, next, octets.length);
      if (next < 0 || next > octets.length) return -1;
    }
    return next;
  }

  private opened(octets: Uint8Array, at: number): { value: number; next: number } | undefined {
    if (at >= octets.length) return undefined;
    if (octets[at] !== structure) {
      throw new CodecError(`a buffer entry has tag ${octets[at]}, not a structure`, at);
    }
    return lengthAt(octets, at + 1, octets.length);
  }

  private full(octets: Uint8Array, from: number, end: number): LoadProfileRow {
    const { value: width, next } = this.opened(octets, from) as { value: number; next: number };
    if (width !== this.roles.length) {
      throw new CodecError(`a buffer entry has ${width} columns, the capture objects ${this.roles.length}`, from);
    }
    const r = new Reader(octets, next, end, rowBudget());
    const cells: Data[] = [];
    const tags: number[] = [];
    const places: number[] = [];
    let clockAt = -1;
    let plain = next === from + 2;
    for (let i = 0; i < width; i++) {
      const tag = r.peek();
      const untagged = this.reading.untaggedStamps === true && this.roles[i] === isClock && tag === stampOctets;
      if (untagged) {
        r.offset += 1;
        cells.push({ type: 'octet-string', value: r.take(stampOctets) });
      } else cells.push(readData(r));
      const cell = cells[i] as Data;
      const stamped = (cell.type === 'octet-string' || cell.type === 'date-time') && cell.value.length === stampOctets;
      if (this.roles[i] === isClock && stamped) clockAt = r.offset - stampOctets;
      const size = integerSize[tag];
      if (stamped && this.roles[i] === isClock && !untagged) places.push(r.offset - stampOctets - from);
      else if (size !== undefined && this.roles[i] !== isClock) places.push(r.offset - size - from);
      else plain = false;
      tags.push(tag);
    }
    this.compiled.template = plain ? { tags, at: places, length: r.offset - from } : undefined;
    return this.decoded(cells, octets, clockAt);
  }

  /** null-data is as in the row before, in the clock column one capture period on; delta types count from it. */
  private decoded(data: readonly Data[], octets: Uint8Array, clockAt: number): LoadProfileRow {
    const { capturePeriodMs, descending } = this.layout;
    if (data.length !== this.roles.length) {
      throw new CodecError(`a buffer entry has ${data.length} columns, the capture objects ${this.roles.length}`, 0);
    }
    const cells: Cell[] = [];
    let end: Millis | null = null;
    let status: number | null = null;
    let source = octets;
    let at = clockAt;
    const { before } = this;
    let doubt: StampDoubt | null = null;
    for (let i = 0; i < data.length; i++) {
      const cell = data[i] as Data;
      const role = this.roles[i];
      if (role === isClock) {
        if ((cell.type === 'octet-string' || cell.type === 'date-time') && cell.value.length === stampOctets) {
          end = utcAt(cell.value, 0, this.reading) ?? null;
          if (at < 0) {
            source = cell.value;
            at = 0;
          }
        } else if (cell.type === 'null-data' && before && before.end !== null && capturePeriodMs > 0) {
          end = later(before.end, descending === true ? -capturePeriodMs : capturePeriodMs);
          doubt = before.doubt ?? null;
        } else if (cell.type === 'double-long-unsigned' || cell.type === 'double-long') {
          // Seconds since 1970, as some makers stamp rows.
          end = later(0 as Millis, cell.value * 1000);
        }
      } else if (role === isStatus) {
        const integer = integerOf(cell);
        if (integer !== undefined) status = Number(integer);
        else if (cell.type === 'null-data') status = before?.status ?? null;
        else if (cell.type === 'bit-string') status = Number.parseInt(cell.value || '0', 2);
      } else if (role === isValue) {
        // Attribute 0 captures the whole object: its value is attribute 2 (meter-quirks 59).
        const whole = this.layout.columns[i]?.attribute === 0 && cell.type === 'structure' ? cell.value[1] : undefined;
        cells.push(cellOfData(whole ?? cell, before?.cells[cells.length] ?? null));
      }
    }
    if (this.standardTime) end = this.withSummer(end, status, source, at);
    const row = this.remember(end, status, cells, source, at);
    return doubt === null ? row : withDoubt(row, doubt);
  }
}

const u32At = (o: Uint8Array, at: number): number =>
  (((o[at] as number) << 24) | ((o[at + 1] as number) << 16) | ((o[at + 2] as number) << 8) | (o[at + 3] as number)) >>>
  0;

/** Written as numbers, for speed; each is checked against the row of its type. */
type TagOf<Type extends keyof typeof dataTag> = (typeof dataTag)[Type];
function integerAt(o: Uint8Array, at: number, tag: number): number | bigint {
  switch (tag) {
    case 6 satisfies TagOf<'double-long-unsigned'>:
      return u32At(o, at);
    case 5 satisfies TagOf<'double-long'>:
      return u32At(o, at) | 0;
    case 17 satisfies TagOf<'unsigned'>:
    case 22 satisfies TagOf<'enum'>:
      return o[at] as number;
    case 3 satisfies TagOf<'boolean'>:
      return o[at] === 0 ? 0 : 1;
    case 13 satisfies TagOf<'bcd'>:
    case 15 satisfies TagOf<'integer'>:
      return ((o[at] as number) << 24) >> 24;
    case 18 satisfies TagOf<'long-unsigned'>:
      return ((o[at] as number) << 8) | (o[at + 1] as number);
    case 16 satisfies TagOf<'long'>:
      return (((o[at] as number) << 24) >> 16) | (o[at + 1] as number);
    default: {
      const high = tag === (20 satisfies TagOf<'long64'>) ? u32At(o, at) | 0 : u32At(o, at);
      const low = u32At(o, at + 4);
      const value = high * 4_294_967_296 + low;
      return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low);
    }
  }
}

const fitting = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

function cellOfData(cell: Data, before: Cell): Cell {
  if (cell.type === 'null-data') return before;
  if (cell.type.startsWith('delta-')) {
    // A difference to the row before (Green Book 9.5); without one it means nothing.
    if (typeof before !== 'number' && typeof before !== 'bigint') return null;
    return fitting(BigInt(before) + BigInt((cell as { value: number }).value));
  }
  const integer = integerOf(cell);
  if (integer !== undefined) return fitting(integer);
  if (cell.type === 'octet-string' || cell.type === 'date-time') return toHex(cell.value);
  return 'value' in cell && typeof cell.value !== 'object' ? String(cell.value) : dataText(cell);
}
