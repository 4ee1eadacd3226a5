/**
 * What a notification says (Blue Book 4.4.8 push setup; lists of makers). Four shapes are known: values after the push
 * object list that describes them; OBIS codes each followed by its value; structures of OBIS code, value and
 * scaler_unit; bare values in an order that the meter model tells.
 */
import { encode } from '../base/codec.ts';
import { CodecError } from '../base/errors.ts';
import { iso, type Millis } from '../base/time.ts';
import { type Data, dataCodec, integerOf } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { type Stamp, type StampDoubt, type StampReading, stampOf } from '../dlms/cosem/date-time.ts';
import { type LogicalName, logicalNameOf, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret, isSecretAttribute } from '../dlms/cosem/secrets.ts';
import type { Notification } from '../dlms/stack/notification.ts';
import { capturePeriodMsOf, type LoadProfileRow, rowJson, type ScalerUnit, scalerUnitOf } from './load-profile-row.ts';
import { ProfileReader } from './profile-reader.ts';
import { unitName } from '../dlms/cosem/unit.ts';

export interface PushedReading {
  /** OBIS code, and the attribute where it is not the value itself; undefined where the list names nothing. */
  readonly key: string | undefined;
  readonly value: number | bigint | string | null;
  readonly scalerUnit: ScalerUnit | undefined;
  /** What was pushed; undefined where the list names nothing. The class is 0 where the list does not tell it. */
  readonly of?: CaptureObject;
}
/** Rows of the buffer of a profile, as they came in a list with the columns of it. */
export interface PushedBuffer {
  readonly profile: LogicalName;
  readonly rows: readonly LoadProfileRow[];
}
export interface PushedList {
  /** The meter's clock, as the notification or a clock in its list tells it. */
  readonly at: Millis | null;
  /** What that clock says of itself. */
  readonly clockSays: StampDoubt | null;
  readonly readings: readonly PushedReading[];
  readonly rows: readonly LoadProfileRow[];
  /** The same rows, by profile. */
  readonly buffers: readonly PushedBuffer[];
  /** Serial numbers and logical device names in the list, as text. */
  readonly identities: readonly string[];
  /** What was not understood. */
  readonly problems: readonly string[];
}
/** The order of bare values: lists differ by how many values they have. */
export interface ListOrder {
  readonly objects: readonly string[];
}

interface Item {
  readonly name: LogicalName | undefined;
  readonly classId: number;
  readonly attribute: number;
  /** The element of the attribute that was pushed; 0 = all of it. */
  readonly dataIndex: number;
  readonly value: Data;
  readonly scalerUnit?: ScalerUnit | undefined;
}
const unnamed = { name: undefined, classId: 0, attribute: 2, dataIndex: 0 } as const;
const clockName = /^0\.\d+\.1\.0\.0\.255$/;
const elementsOf = (data: Data | undefined): readonly Data[] =>
  data?.type === 'structure' || data?.type === 'array' ? data.value : [];
/** Six octets that can be an OBIS code: a medium, and 255 or a billing period at the end. An equipment id is none. */
const isName = ([medium = 255, , , , , last = 0]: Uint8Array): boolean =>
  medium === 0 ? last === 255 : (medium <= 9 || medium === 15) && (last === 255 || last <= 126);
const nameOf = (data: Data | undefined): LogicalName | undefined =>
  data?.type === 'octet-string' && data.value.length === 6 && isName(data.value)
    ? logicalNameOf(data.value)
    : undefined;
/** A push setup says which list it is; it has no value of its own, and what stands beside it is not its. */
const isPushSetup = (name: LogicalName): boolean => /^0\.\d+\.25\.9\./.test(name);

/** push_object_list: class, logical name, attribute, data index, and from version 1 on restrictions. */
function objectListOf(data: Data | undefined): CaptureObject[] | undefined {
  if (data?.type !== 'array' || data.value.length === 0) return undefined;
  try {
    return captureObjectsOf({
      type: 'array',
      value: data.value.map((element) =>
        element.type === 'structure' ? { ...element, value: element.value.slice(0, 4) } : element,
      ),
    });
  } catch {
    return undefined;
  }
}

/** {OBIS code, value} or {OBIS code, value, scaler_unit}; a third that is something else is shown as well. */
function namedStructure(data: Data): Item[] | undefined {
  if (data.type !== 'structure' || data.value.length < 2 || data.value.length > 3) return undefined;
  const [first, value, third] = data.value;
  const name = nameOf(first);
  if (name === undefined || !value || isPushSetup(name)) return undefined;
  const scalerUnit = third && scalerUnitOf(third);
  const item: Item = { ...unnamed, name, value, scalerUnit };
  return third && !scalerUnit ? [item, { ...unnamed, value: third }] : [item];
}

/** The items of a list that begins with its push object list, whether or not that describes itself; undefined where none comes. */
function describedItems(elements: readonly Data[]): Item[] | undefined {
  const described = objectListOf(elements[0]);
  if (!described) return undefined;
  const values = elements.slice(1);
  const objects = described.length === elements.length ? described.slice(1) : described;
  if (objects.length !== values.length) return undefined;
  return objects.map(({ logicalName, classId, attribute, dataIndex }, i) => ({
    name: logicalName,
    classId,
    attribute,
    dataIndex,
    value: values[i] as Data,
  }));
}

/** Every element of the list, in its order, under the name that stands before it or in it. */
function itemsOf(body: Data, orders: readonly ListOrder[], problems: string[]): Item[] {
  const elements = elementsOf(body);
  if (elements.length === 0) return [{ ...unnamed, value: body }];
  const described = describedItems(elements);
  if (described) return described;
  const items: Item[] = [];
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as Data;
    const named = namedStructure(element);
    const [name, next] = [nameOf(element), elements[i + 1]];
    // A name before another name, which has a value of its own, is a value itself.
    const isValue =
      name !== undefined && nameOf(next) !== undefined && i + 2 < elements.length && !nameOf(elements[i + 2]);
    if (named) items.push(...named);
    else if (name !== undefined && next && !isPushSetup(name) && !isValue) {
      items.push({ ...unnamed, name, value: next });
      i++;
    } else items.push({ ...unnamed, value: element });
  }
  const bare = items.filter(({ name }) => name === undefined);
  if (bare.length === 0) return items;
  if (bare.length < items.length) {
    // Texts and the name of the list say whose list it is; nobody knows what a number means.
    const odd = bare.filter(({ value }) => integerOf(value) !== undefined).length;
    if (odd > 0) problems.push(`${odd} of the values have no name; they stand where they came`);
    return items;
  }
  // Values without any name are known by their order.
  const order = orders.find(({ objects }) => objects.length === bare.length);
  if (order) return items.map((item, i) => ({ ...item, name: parseLogicalName(order.objects[i] as string) }));
  problems.push(`${bare.length} values without a name; no push_lists entry of the meter model has so many`);
  return items;
}

function valueOf(data: Data): PushedReading['value'] {
  if (data.type === 'null-data') return null;
  const integer = integerOf(data);
  if (integer !== undefined) return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
  if (data.type === 'visible-string' || data.type === 'utf8-string') return data.value;
  const name = nameOf(data);
  if (name !== undefined) return obis(name);
  return dataText(data);
}

const stampIn = (data: Data, reading: StampReading): Stamp | undefined =>
  (data.type === 'octet-string' || data.type === 'date-time') && data.value.length === 12
    ? stampOf(data.value, reading)
    : undefined;

/** What the notification is about: an attribute that it names itself, or a list. */
function contentsOf(apdu: Notification, orders: readonly ListOrder[], problems: string[]) {
  switch (apdu.kind) {
    case 'data-notification':
      return { items: itemsOf(apdu.body, orders, problems), time: apdu.dateTime };
    case 'event-notification': {
      const { classId, logicalName, attribute } = apdu.attribute;
      return { items: [{ name: logicalName, classId, attribute, dataIndex: 0, value: apdu.value }], time: apdu.time };
    }
    case 'information-report-request':
      return { items: itemsOf({ type: 'array', value: [...apdu.values] }, orders, problems), time: apdu.time };
  }
}

/** The clock of the meter, by the notification itself or a clock in its list: the first that names an instant. */
function clockOf(stamps: readonly Stamp[], problems: string[]): Pick<PushedList, 'at' | 'clockSays'> {
  for (const stamp of stamps) {
    if (stamp.instant !== undefined) return { at: stamp.instant, clockSays: stamp.doubt };
    problems.push(`a stamp of the meter's clock names no instant: ${stamp.why}`);
  }
  return { at: null, clockSays: null };
}

/** Objects that say which meter it is: the logical device name, and device ids (Blue Book 6.2.41, 7.5). */
export const identityName = /^(0\.\d+\.42\.0\.0\.255|0\.\d+\.96\.1\.\d\.255|1\.\d+\.0\.0\.\d\.255)$/;
function identityOf(value: Data): string | undefined {
  if (value.type === 'visible-string' || value.type === 'utf8-string') return value.value;
  if (value.type === 'octet-string') {
    const text = Buffer.from(value.value).toString('latin1');
    return /^[ -~]+$/.test(text) ? text : undefined;
  }
  const number = integerOf(value);
  return number === undefined ? undefined : String(number);
}

/** Scalers that somebody knows from elsewhere, by logical name. */
export type KnownScalers = ReadonlyMap<LogicalName, ScalerUnit>;

/** The rows of a profile's buffer in the list, by the columns that come with it. */
function pushedRows(
  value: Data,
  columns: Data,
  period: Data | undefined,
  reading: StampReading,
  scalers: (name: LogicalName) => ScalerUnit | undefined,
): LoadProfileRow[] {
  const captured = captureObjectsOf(columns);
  if (holdsSecret(captured)) throw new CodecError('a column holds a secret of the meter: withheld', 0);
  const capturePeriodMs = period ? capturePeriodMsOf(period) : 0;
  const known = new Map(
    captured.flatMap(({ logicalName }) => {
      const scalerUnit = scalers(logicalName);
      return scalerUnit ? [[logicalName, scalerUnit] as const] : [];
    }),
  );
  const reader = new ProfileReader({ columns: captured, capturePeriodMs, scalers: known }, reading);
  const rows = reader.push(encode(dataCodec, value));
  reader.end();
  return rows;
}

export function pushedList(
  apdu: Notification,
  reading: StampReading = {},
  orders: readonly ListOrder[] = [],
  known: KnownScalers = new Map(),
): PushedList {
  const problems: string[] = [];
  const { items, time } = contentsOf(apdu, orders, problems);
  const byName = new Map<string, Data>();
  for (const { name, attribute, value } of items) {
    const key = `${name}:${attribute}`;
    if (name !== undefined && !byName.has(key)) byName.set(key, value);
  }
  const of = (name: LogicalName | undefined, attribute: number) => byName.get(`${name}:${attribute}`);
  const scalerOf = ({ name, classId, scalerUnit }: Item): ScalerUnit | undefined => {
    const at = scalerUnitAttribute(classId);
    const data = at === undefined ? undefined : of(name, at);
    return scalerUnit ?? (data && scalerUnitOf(data)) ?? (name === undefined ? undefined : known.get(name));
  };
  /** Of a register or an extended register, the one class that a captured object of a profile may not tell. */
  const scalerOfName = (name: LogicalName): ScalerUnit | undefined =>
    scalerOf({ ...unnamed, name, classId: 3, value: { type: 'null-data' } });
  const stamps: Stamp[] = time && time.length > 0 ? [stampOf(time, reading)] : [];
  const readings: PushedReading[] = [];
  const buffers: PushedBuffer[] = [];
  const identities: string[] = [];
  const several = ({ name, attribute, dataIndex }: Item): boolean =>
    items.some((one) => one.name === name && one.attribute === attribute && one.dataIndex !== dataIndex);
  for (const item of items) {
    const { name, classId, attribute, value } = item;
    const stamp = name !== undefined && clockName.test(name) ? stampIn(value, reading) : undefined;
    if (stamp) stamps.push(stamp);
    if (isSecretAttribute(classId, attribute)) {
      problems.push(`${obis(name as LogicalName)}:${attribute} is a secret of the meter: withheld`);
      continue;
    }
    const columns = classId === 7 && attribute === 2 ? of(name, 3) : undefined;
    if (columns) {
      try {
        buffers.push({
          profile: name as LogicalName,
          rows: pushedRows(value, columns, of(name, 4), reading, scalerOfName),
        });
      } catch (error) {
        problems.push(`${obis(name as LogicalName)}: ${String(error)}`);
      }
      continue;
    }
    // What only describes other items is said with them.
    if (attribute === scalerUnitAttribute(classId) && of(name, 2) && scalerUnitOf(value)) continue;
    const suffix = `${attribute === 2 ? '' : `:${attribute}`}${several(item) ? `#${item.dataIndex}` : ''}`;
    const key = name === undefined ? undefined : `${obis(name)}${suffix}`;
    const shown = stamp?.instant === undefined ? valueOf(value) : iso(stamp.instant);
    const identity = name !== undefined && attribute === 2 && identityName.test(name) ? identityOf(value) : undefined;
    if (identity !== undefined) identities.push(identity);
    readings.push({
      key,
      value: shown,
      scalerUnit: scalerOf(item),
      ...(name !== undefined && { of: { classId, logicalName: name, attribute, dataIndex: item.dataIndex } }),
    });
  }
  const rows = buffers.flatMap((buffer) => buffer.rows);
  return { ...clockOf(stamps, problems), readings, rows, buffers, identities, problems };
}

/** For people and tools: one JSON object for each list. */
export function pushedListJson({ at, clockSays, readings, rows, problems }: PushedList): Record<string, unknown> {
  return {
    at: at === null ? null : iso(at),
    ...(clockSays && { clockSays }),
    readings: readings.map(({ key, value, scalerUnit }) => ({
      object: key ?? null,
      value: typeof value === 'bigint' ? String(value) : value,
      scaler: scalerUnit?.scaler ?? null,
      unit: scalerUnit ? unitName(scalerUnit.unit) : null,
    })),
    ...(rows.length > 0 && { rows: rows.map(rowJson) }),
    ...(problems.length > 0 && { problems }),
  };
}
