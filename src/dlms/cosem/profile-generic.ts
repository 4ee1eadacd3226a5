/** Profile generic, class 7 (Blue Book 4.3.6): capture objects, selective access, buffer to entries. */
import { CodecError } from '../../base/errors.ts';
import { later, type Millis } from '../../base/time.ts';
import type { Data } from '../axdr/data.ts';
import type { Selection } from '../xdlms/apdu.ts';
import { type StampReading, dateTimeOctets, utcOf } from './date-time.ts';
import { type LogicalName, logicalNameOctets, logicalNameOf } from './logical-name.ts';

export interface CaptureObject {
  readonly classId: number;
  readonly logicalName: LogicalName;
  readonly attribute: number;
  readonly dataIndex: number;
}
export const clockColumn: CaptureObject = { classId: 8, logicalName: '0.0.1.0.0.255', attribute: 2, dataIndex: 0 };

const bad = (what: string): never => {
  throw new CodecError(what, 0);
};

export function captureObjectsOf(data: Data): CaptureObject[] {
  if (data.type !== 'array') return bad(`capture objects are ${data.type}, not an array`);
  return data.value.map((element) => {
    const [classId, name, attribute, dataIndex] = element.type === 'structure' ? element.value : [];
    if (
      classId?.type !== 'long-unsigned' ||
      name?.type !== 'octet-string' ||
      name.value.length !== 6 ||
      (attribute?.type !== 'integer' && attribute?.type !== 'unsigned') ||
      (dataIndex?.type !== 'long-unsigned' && dataIndex?.type !== 'unsigned')
    ) {
      return bad('a capture object is not {class, logical name, attribute, data index}');
    }
    return {
      classId: classId.value,
      logicalName: logicalNameOf(name.value),
      attribute: attribute.value,
      dataIndex: dataIndex.value,
    };
  });
}

export function captureObjectData(object: CaptureObject): Data {
  return {
    type: 'structure',
    value: [
      { type: 'long-unsigned', value: object.classId },
      { type: 'octet-string', value: logicalNameOctets(object.logicalName) },
      { type: 'integer', value: object.attribute },
      { type: 'long-unsigned', value: object.dataIndex },
    ],
  };
}

/** Selective access 1, range_descriptor: entries with from ≤ stamp ≤ to, all columns. */
export function byRange(from: Millis, to: Millis, deviationMin: number | undefined = 0): Selection {
  return {
    selector: 1,
    parameters: {
      type: 'structure',
      value: [
        captureObjectData(clockColumn),
        { type: 'octet-string', value: dateTimeOctets(from, deviationMin) },
        { type: 'octet-string', value: dateTimeOctets(to, deviationMin) },
        { type: 'array', value: [] },
      ],
    },
  };
}

/** Selective access 2, entry_descriptor: entries first to last, counted from 1; last 0 = to the end. */
export function byEntry(first: number, last: number): Selection {
  return {
    selector: 2,
    parameters: {
      type: 'structure',
      value: [
        { type: 'double-long-unsigned', value: first },
        { type: 'double-long-unsigned', value: last },
        { type: 'long-unsigned', value: 1 },
        { type: 'long-unsigned', value: 0 },
      ],
    },
  };
}

/** A buffer entry with null-data resolved. */
export interface BufferEntry {
  /** The raw stamp; undefined where the meter left it out and it was counted on from the entry before. */
  readonly clock: Uint8Array | undefined;
  /** The stamp in UTC; undefined where it names no instant. */
  readonly stamp: Millis | undefined;
  readonly cells: readonly Data[];
}

export const isClockColumn = (column: CaptureObject): boolean => column.classId === 8 && column.attribute === 2;

/** Octets of a stamp, in any of the types that meters use for it. */
function stampOctets(cell: Data | undefined): Uint8Array | undefined {
  if (cell?.type === 'octet-string' && cell.value.length === 12) return cell.value;
  return cell?.type === 'date-time' ? cell.value : undefined;
}

/**
 * Entries of a buffer. null-data in a column means as in the entry before; in the clock column the entry before plus the
 * capture period (Blue Book 4.3.6.2.3). Entries whose width differs from the columns are a CodecError.
 */
export function bufferEntries(
  buffer: Data,
  columns: readonly CaptureObject[],
  capturePeriodMs: number,
  reading: StampReading = {},
): BufferEntry[] {
  if (buffer.type !== 'array' && buffer.type !== 'compact-array') return bad(`buffer is ${buffer.type}, not an array`);
  const clockAt = columns.findIndex(isClockColumn);
  const entries: BufferEntry[] = [];
  let before: BufferEntry | undefined;
  for (const element of buffer.value) {
    if (element.type !== 'structure') return bad(`a buffer entry is ${element.type}, not a structure`);
    if (element.value.length !== columns.length) {
      return bad(`a buffer entry has ${element.value.length} columns, the capture objects ${columns.length}`);
    }
    let cells: readonly Data[] = element.value;
    if (cells.some((cell) => cell.type === 'null-data')) {
      const earlier = before;
      cells = cells.map((cell, i) => (cell.type === 'null-data' ? (earlier?.cells[i] ?? cell) : cell));
    }
    const original = clockAt < 0 ? undefined : element.value[clockAt];
    const clock = stampOctets(original);
    let stamp = clock ? utcOf(clock, reading) : undefined;
    if (!clock && original?.type === 'null-data' && before?.stamp !== undefined && capturePeriodMs > 0) {
      stamp = later(before.stamp, capturePeriodMs);
    }
    before = { clock, stamp, cells };
    entries.push(before);
  }
  return entries;
}
