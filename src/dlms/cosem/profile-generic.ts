/** Profile generic, class 7 (Blue Book 4.3.6): capture objects, selective access, buffer to entries. */
import { CodecError, Failure } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import type { Data } from '../axdr/data.ts';
import type { Selection } from '../xdlms/apdu.ts';
import { dateTimeOctets, inUtc, type WrittenDeviation } from './date-time.ts';
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

/** More columns than any profile has. Each costs questions of its own: scaler, unit, register. */
const columnLimit = 200;

export function captureObjectsOf(data: Data): CaptureObject[] {
  if (data.type !== 'array') return bad(`capture objects are ${data.type}, not an array`);
  if (data.value.length > columnLimit)
    throw new Failure('too-many-elements', `${data.value.length} capture objects, where ${columnLimit} are the most`);
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

/** Selective access 1, range_descriptor: entries with from ≤ stamp ≤ to; `columns` empty = all of them. */
export function byRange(
  from: Millis,
  to: Millis,
  deviation: WrittenDeviation = inUtc,
  columns: readonly CaptureObject[] = [],
): Selection {
  return {
    selector: 1,
    parameters: {
      type: 'structure',
      value: [
        captureObjectData(clockColumn),
        { type: 'octet-string', value: dateTimeOctets(from, deviation) },
        { type: 'octet-string', value: dateTimeOctets(to, deviation) },
        { type: 'array', value: columns.map(captureObjectData) },
      ],
    },
  };
}

/**
 * Selective access 2, entry_descriptor: entries first to last, columns likewise, counted from 1; last 0 = to the end.
 */
export function byEntry(first: number, last: number, firstColumn = 1, lastColumn = 0): Selection {
  return {
    selector: 2,
    parameters: {
      type: 'structure',
      value: [
        { type: 'double-long-unsigned', value: first },
        { type: 'double-long-unsigned', value: last },
        { type: 'long-unsigned', value: firstColumn },
        { type: 'long-unsigned', value: lastColumn },
      ],
    },
  };
}

export const isClockColumn = (column: CaptureObject): boolean => column.classId === 8 && column.attribute === 2;
