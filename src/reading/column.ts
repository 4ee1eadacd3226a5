/**
 * What the columns of a profile are, by their OBIS groups, class and attribute (Blue Book 4.3.6, 7.5). Only what is known to
 * count is taken for a register: everything else is a value, of which nothing is concluded.
 */
import { obis } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, isClockColumn } from '../dlms/cosem/profile-generic.ts';

/**
 * `register`: counted since the meter began. `interval`: what was counted in the interval of the row. `value`: a demand, a
 * voltage, a counter of events, a status word, or what nobody knows.
 */
export type ColumnKind = 'register' | 'interval' | 'value';

/** Units of the Blue Book that are counted: m³, corrected m³, l, kg, J, Wh, VAh, varh. */
const countedUnits: ReadonlySet<number> = new Set([13, 14, 19, 20, 25, 30, 31, 32]);
const electricity = 1;
/** Heat cost, cooling, heat, gas, cold and hot water: their value groups differ, their units tell. */
const otherMedia: ReadonlySet<number> = new Set([4, 5, 6, 7, 8, 9]);
/** Value group C, of abstract objects, that holds the values of an M-Bus device. */
const mbusGroup = 24;
/** Value group C of electricity: 1 to 91 are quantities, from 128 on the maker's own. */
const lastQuantity = 91;
const firstOfMaker = 128;
/** Import less export, of all phases and of each: such a count may fall. */
const netQuantities: ReadonlySet<number> = new Set([16, 36, 56, 76]);
const timeIntegral = { sinceBegin: 8, interval: [29, 30] } as const;

/** The value of an object that counts: Data, Register, Extended register, or the whole of one. */
const holdsCount = ({ classId, attribute }: CaptureObject): boolean =>
  (classId === 1 || classId === 3 || classId === 4) && (attribute === 2 || attribute === 0);

const groupsOf = ({ logicalName }: Pick<CaptureObject, 'logicalName'>): readonly number[] =>
  logicalName.split('.').map(Number);

/** `unit`: as the meter tells it; undefined where it is not known. */
export function columnKind(column: CaptureObject, unit: number | undefined): ColumnKind {
  if (!holdsCount(column)) return 'value';
  const [medium = 0, , c = 0, d = 0] = groupsOf(column);
  const counts = unit !== undefined && countedUnits.has(unit);
  if (medium === electricity) {
    if (!(c >= 1 && c <= lastQuantity) && !(c >= firstOfMaker && counts)) return 'value';
    if (d === timeIntegral.sinceBegin) return netQuantities.has(c) ? 'value' : 'register';
    return d === timeIntegral.interval[0] || d === timeIntegral.interval[1] ? 'interval' : 'value';
  }
  if (column.classId === 1) return 'value';
  const ofDevice = otherMedia.has(medium) || (medium === 0 && c === mbusGroup);
  return ofDevice && counts ? 'register' : 'value';
}

/** What a bill may come from once its unit is known: its scaler must not be missed in silence. */
export function mayBeBilled(column: CaptureObject): boolean {
  if (column.classId === 1 || !holdsCount(column)) return false;
  const [medium = 0, , c = 0] = groupsOf(column);
  return columnKind(column, undefined) !== 'value' || otherMedia.has(medium) || (medium === 0 && c === mbusGroup);
}

/** Whether the scaler and unit of the object are those of this attribute: of times and status words they are not. */
export const isScaled = ({ classId, attribute }: CaptureObject): boolean =>
  attribute === 0 || attribute === 2 || (classId === 5 && attribute === 3);

/** The column that holds the status of the rows, as a model may tell it. */
export interface StatusColumn {
  readonly logicalName: string;
  readonly attribute: number;
}
/** The code of a profile status, x-x:96.10.x. */
export const isStatusName = (name: string): boolean => /^\d+\.\d+\.96\.10\.\d+\.255$/.test(name);
const isStatusByCode = ({ classId, logicalName, attribute }: CaptureObject): boolean =>
  (classId === 1 || classId === 63) && attribute === 2 && isStatusName(logicalName);

export type ColumnRole = 'clock' | 'status' | 'channel' | 'left out';
/** In the order of the row. The first clock and the first status are the row's; of further clocks nothing is made. */
export function columnRoles(columns: readonly CaptureObject[], configured?: StatusColumn): ColumnRole[] {
  const clock = columns.findIndex(isClockColumn);
  const status = columns.findIndex((column) =>
    configured
      ? column.logicalName === configured.logicalName && column.attribute === configured.attribute
      : isStatusByCode(column),
  );
  return columns.map((column, i) =>
    i === clock ? 'clock' : i === status ? 'status' : isTime(column) ? 'left out' : 'channel',
  );
}
/** A clock, or when something happened: capture time of an extended register, capture and start time of a demand. */
const isTime = (column: CaptureObject): boolean =>
  isClockColumn(column) ||
  (column.classId === 4 && column.attribute === 5) ||
  (column.classId === 5 && (column.attribute === 6 || column.attribute === 7));

/** The key of a column among the values: its OBIS code, and the attribute where it is not the value itself. */
export const columnKey = (column: CaptureObject): string =>
  column.attribute === 2 || column.attribute === 0
    ? obis(column.logicalName)
    : `${obis(column.logicalName)}:${column.attribute}`;

/** The keys of all of them: columns of one attribute differ by the element that they pick out of it. */
export function columnKeys(columns: readonly CaptureObject[]): string[] {
  const keys = columns.map(columnKey);
  return keys.map((key, i) => {
    const { dataIndex } = columns[i] as CaptureObject;
    return dataIndex > 0 && keys.some((other, j) => j !== i && other === key) ? `${key}#${dataIndex}` : key;
  });
}
