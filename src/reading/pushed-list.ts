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
import { type StampReading, utcOf } from '../dlms/cosem/date-time.ts';
import { type LogicalName, logicalNameOf, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret, isSecretAttribute } from '../dlms/cosem/secrets.ts';
import type { Notification } from '../dlms/stack/notification.ts';
import { capturePeriodMsOf, type LoadProfileRow, rowJson, type ScalerUnit, scalerUnitOf } from './load-profile-row.ts';
import { ProfileReader } from './profile-reader.ts';
import { unitName } from './unit.ts';

export interface PushedReading {
  /** OBIS code, and the attribute where it is not the value itself; undefined where the list names nothing. */
  readonly key: string | undefined;
  readonly value: number | bigint | string | null;
  readonly scalerUnit: ScalerUnit | undefined;
}
export interface PushedList {
  /** The meter's clock, as the notification or a clock in its list tells it. */
  readonly at: Millis | null;
  readonly readings: readonly PushedReading[];
  readonly rows: readonly LoadProfileRow[];
  /** What was not understood. */
  readonly problems: readonly string[];
}
/** The order of bare values: lists are told apart by how many values they have. */
export interface ListOrder {
  readonly objects: readonly string[];
}

interface Item {
  readonly name: LogicalName | undefined;
  readonly classId: number;
  readonly attribute: number;
  readonly value: Data;
  readonly scalerUnit?: ScalerUnit | undefined;
}
const clockName = /^0\.\d+\.1\.0\.0\.255$/;
const elementsOf = (data: Data | undefined): readonly Data[] =>
  data?.type === 'structure' || data?.type === 'array' ? data.value : [];
const nameOf = (data: Data | undefined): LogicalName | undefined =>
  data?.type === 'octet-string' && data.value.length === 6 ? logicalNameOf(data.value) : undefined;

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

/** {OBIS code, value} or {OBIS code, value, scaler_unit}. */
function namedStructure(data: Data): Item | undefined {
  if (data.type !== 'structure' || data.value.length < 2 || data.value.length > 3) return undefined;
  const [first, value, third] = data.value;
  const name = nameOf(first);
  if (name === undefined || !value) return undefined;
  return { name, classId: 0, attribute: 2, value, scalerUnit: third && scalerUnitOf(third) };
}

function itemsOf(body: Data, orders: readonly ListOrder[], problems: string[]): Item[] {
  const elements = elementsOf(body);
  if (elements.length === 0) return [{ name: undefined, classId: 0, attribute: 2, value: body }];
  const described = objectListOf(elements[0]);
  if (described && described.length === elements.length) {
    return described.slice(1).map(({ logicalName, classId, attribute }, i) => ({
      name: logicalName,
      classId,
      attribute,
      value: elements[i + 1] as Data,
    }));
  }
  const items: Item[] = [];
  const bare: Data[] = [];
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as Data;
    const named = namedStructure(element);
    const next = elements[i + 1];
    const name = nameOf(element);
    if (named) items.push(named);
    else if (name !== undefined && next) {
      items.push({ name, classId: 0, attribute: 2, value: next });
      i++;
    } else bare.push(element);
  }
  // A text before named values says which list it is; values without any name are known by their order.
  if (items.length > 0 && bare.every(({ type }) => type === 'visible-string' || type === 'octet-string')) return items;
  const order = items.length > 0 ? undefined : orders.find(({ objects }) => objects.length === bare.length);
  if (!order) problems.push(`${bare.length} values without a name; no push_lists entry of the meter model has so many`);
  const nameAt = (i: number) => (order ? parseLogicalName(order.objects[i] as string) : undefined);
  return [...items, ...bare.map((value, i) => ({ name: nameAt(i), classId: 0, attribute: 2, value }))];
}

function valueOf(data: Data): PushedReading['value'] {
  if (data.type === 'null-data') return null;
  const integer = integerOf(data);
  if (integer !== undefined) return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
  if (data.type === 'visible-string' || data.type === 'utf8-string') return data.value;
  return dataText(data);
}

const stampOf = (data: Data, reading: StampReading): Millis | undefined =>
  (data.type === 'octet-string' || data.type === 'date-time') && data.value.length === 12
    ? utcOf(data.value, reading)
    : undefined;

function bodyOf(apdu: Notification): { body: Data; time: Uint8Array | undefined } {
  switch (apdu.kind) {
    case 'data-notification':
      return { body: apdu.body, time: apdu.dateTime };
    case 'event-notification': {
      const { classId, logicalName, attribute } = apdu.attribute;
      if (isSecretAttribute(classId, attribute)) return { body: { type: 'null-data' }, time: apdu.time };
      const name: Data = { type: 'octet-string', value: Uint8Array.from(logicalName.split('.').map(Number)) };
      const body: Data =
        attribute === 2 && classId !== 7
          ? { type: 'array', value: [{ type: 'structure', value: [name, apdu.value] }] }
          : apdu.value;
      return { body, time: apdu.time };
    }
    case 'information-report-request':
      return { body: { type: 'array', value: [...apdu.values] }, time: apdu.time };
  }
}

export function pushedList(
  apdu: Notification,
  reading: StampReading = {},
  orders: readonly ListOrder[] = [],
): PushedList {
  const problems: string[] = [];
  const { body, time } = bodyOf(apdu);
  const items = itemsOf(body, orders, problems);
  const byName = new Map<string, Data>();
  for (const { name, attribute, value } of items) {
    const key = `${name}:${attribute}`;
    if (name !== undefined && !byName.has(key)) byName.set(key, value);
  }
  const of = (name: LogicalName | undefined, attribute: number) => byName.get(`${name}:${attribute}`);
  const scalerOf = ({ name, classId, scalerUnit }: Item): ScalerUnit | undefined => {
    const at = scalerUnitAttribute(classId);
    const data = at === undefined ? undefined : of(name, at);
    return scalerUnit ?? (data && scalerUnitOf(data));
  };
  let at = time && time.length === 12 ? (utcOf(time, reading) ?? null) : null;
  const readings: PushedReading[] = [];
  const rows: LoadProfileRow[] = [];
  for (const item of items) {
    const { name, classId, attribute, value } = item;
    const stamp = name !== undefined && clockName.test(name) ? stampOf(value, reading) : undefined;
    if (stamp !== undefined) at ??= stamp;
    if (isSecretAttribute(classId, attribute)) {
      problems.push(`${obis(name as LogicalName)}:${attribute} is a secret of the meter: withheld`);
      continue;
    }
    const columns = classId === 7 && attribute === 2 ? of(name, 3) : undefined;
    if (columns) {
      const period = of(name, 4);
      try {
        const captured = captureObjectsOf(columns);
        if (holdsSecret(captured)) throw new CodecError('a column holds a secret of the meter: withheld', 0);
        const reader = new ProfileReader(
          {
            columns: captured,
            capturePeriodMs: period ? capturePeriodMsOf(period) : 0,
            scalers: new Map(),
          },
          reading,
        );
        reader.push(encode(dataCodec, value), rows);
        reader.end();
      } catch (error) {
        problems.push(`${obis(name as LogicalName)}: ${String(error)}`);
      }
      continue;
    }
    // What only describes other items is said with them.
    if (attribute === scalerUnitAttribute(classId) && of(name, 2)) continue;
    const suffix = attribute === 2 ? '' : `:${attribute}`;
    const key = name === undefined ? undefined : `${obis(name)}${suffix}`;
    readings.push({ key, value: stamp === undefined ? valueOf(value) : iso(stamp), scalerUnit: scalerOf(item) });
  }
  return { at, readings, rows, problems };
}

/** For people and tools: one JSON object for each list. */
export function pushedListJson({ at, readings, rows, problems }: PushedList): Record<string, unknown> {
  return {
    at: at === null ? null : iso(at),
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
