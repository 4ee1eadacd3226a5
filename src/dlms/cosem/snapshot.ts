/**
 * The objects of a logical device as a file: access rights and values, each value as the A-XDR octets that the meter
 * sent. Independent of the meter's model; the simulator serves such a file as a meter.
 */
import * as v from 'valibot';
import { decode, encode } from '../../base/codec.ts';
import { Failure, messageOf } from '../../base/errors.ts';
import { fromHex, toHex } from '../../base/hex.ts';
import type { Millis } from '../../base/time.ts';
import { type Data, dataCodec } from '../axdr/data.ts';
import type { Selection } from '../xdlms/apdu.ts';
import { associationLn, associationSn } from './association-objects.ts';
import { attributeName, className } from './class-table.ts';
import { type StampReading, utcOf } from './date-time.ts';
import { type LogicalName, obis, parseLogicalName } from './logical-name.ts';
import type { ListedObject } from './object-list.ts';
import { captureObjectsOf, isClockColumn } from './profile-generic.ts';
import { isSecretAttribute } from './secrets.ts';
import { accessResult, type ServerObject } from './server-object.ts';
import { dataWords } from './value-names.ts';

const octet = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));
const hex = v.pipe(v.string(), v.regex(/^([0-9a-f]{2})+$/i, 'octets in hex'));
const snapshotSchema = v.strictObject({
  /** Version of this format. */
  snapshot: v.literal(1),
  /** RFC 3339, UTC. */
  taken: v.pipe(v.string(), v.isoTimestamp()),
  objects: v.array(
    v.strictObject({
      class: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
      className: v.string(),
      version: octet,
      name: v.string(),
      attributes: v.array(
        v.strictObject({
          id: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(127)),
          attribute: v.string(),
          /** access_mode of the object list. */
          access: octet,
          selectors: v.optional(v.array(octet)),
          /** A-XDR octets in hex; absent where nothing was read. */
          value: v.optional(hex),
          /** The same for people. */
          text: v.optional(v.string()),
          /** A password or key stands here: it is never read. */
          secret: v.optional(v.literal(true)),
          /** data-access-result instead of a value. */
          refused: v.optional(octet),
        }),
      ),
      methods: v.array(v.strictObject({ id: octet, access: octet })),
    }),
  ),
});
export type Snapshot = v.InferOutput<typeof snapshotSchema>;
export type SnapshotObject = Snapshot['objects'][number];

/** What reading an attribute gave; undefined where it was not asked for. */
export type Seen = { readonly data: Data } | { readonly refused: number } | undefined;

const textLimit = 200;
const shortText = (data: Data, of: { readonly classId: number; readonly attribute: number }): string => {
  const text = dataWords(data, of);
  return text.length > textLimit ? `${text.slice(0, textLimit - 3)}...` : text;
};

export function snapshotObject(object: ListedObject, seen: ReadonlyMap<number, Seen>): SnapshotObject {
  const { classId, logicalName } = object;
  return {
    class: classId,
    className: className(classId),
    version: object.version,
    name: obis(logicalName),
    attributes: object.attributes
      .filter(({ id }) => id > 1)
      .map(({ id, access, selectors }) => {
        const value = seen.get(id);
        return {
          id,
          attribute: attributeName(classId, id),
          access,
          ...(selectors.length > 0 && { selectors: [...selectors] }),
          ...(isSecretAttribute(classId, id) && { secret: true as const }),
          ...(value &&
            ('data' in value
              ? { value: toHex(encode(dataCodec, value.data)), text: shortText(value.data, { classId, attribute: id }) }
              : { refused: value.refused })),
        };
      }),
    methods: object.methods.map(({ id, access }) => ({ id, access })),
  };
}

/** Failure `input-unreadable` with the place where a file is no snapshot. */
export function parseSnapshot(text: string): Snapshot {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new Failure('input-unreadable', `snapshot: ${messageOf(error)}`);
  }
  const result = v.safeParse(snapshotSchema, raw);
  if (!result.success) {
    const [issue] = result.issues;
    throw new Failure('input-unreadable', `snapshot: ${v.getDotPath(issue) ?? '(top)'}: ${issue.message}`);
  }
  return result.output;
}

const wholeOf = (data: Data | undefined): number | undefined =>
  data && 'value' in data && typeof data.value === 'number' ? data.value : undefined;

/** Entries of a buffer that a selection names; stamps by the first clock column (Blue Book 4.3.6.2). */
function selected(
  buffer: Data,
  clockAt: number,
  reading: StampReading,
  selection: Selection,
): Data | { refused: number } {
  const parameters = selection.parameters.type === 'structure' ? selection.parameters.value : [];
  if (buffer.type !== 'array') return { refused: accessResult['type-unmatched'] };
  const [first, second, third] = parameters;
  if (selection.selector === 2) {
    const from = wholeOf(first);
    const to = wholeOf(second);
    if (from === undefined || to === undefined) return { refused: accessResult['type-unmatched'] };
    return { type: 'array', value: buffer.value.slice(Math.max(0, from - 1), to === 0 ? undefined : to) };
  }
  const bound = (data: Data | undefined): Millis | undefined =>
    data?.type === 'octet-string' ? utcOf(data.value, { deviationMin: 0 }) : undefined;
  const from = bound(second);
  const to = bound(third);
  if (selection.selector !== 1 || from === undefined || to === undefined || clockAt < 0)
    return { refused: accessResult['type-unmatched'] };
  const value = buffer.value.filter((entry) => {
    const stamp = entry.type === 'structure' ? entry.value[clockAt] : undefined;
    const at = stamp && 'value' in stamp && stamp.value instanceof Uint8Array ? utcOf(stamp.value, reading) : undefined;
    return at !== undefined && at >= from && at <= to;
  });
  return { type: 'array', value };
}

/**
 * The objects as the server role serves them: values stand still, buffers are selected from, writing and methods are
 * refused.
 * `reading`: how stamps without deviation are meant.
 */
export function snapshotServer(snapshot: Snapshot, reading: StampReading = { deviationMin: 0 }): ServerObject[] {
  return snapshot.objects.map((object): ServerObject => {
    const logicalName: LogicalName = parseLogicalName(object.name);
    // Of the association that it stands in, not of the one in which the file was made.
    const current = [associationLn, associationSn].find((one) => one.classId === object.class);
    if (current?.logicalName === logicalName) return current;
    const values = new Map<number, Data>();
    for (const { id, value } of object.attributes) {
      if (value === undefined) continue;
      try {
        values.set(id, decode(dataCodec, fromHex(value)));
      } catch (error) {
        throw new Failure('input-unreadable', `snapshot: ${object.name} attribute ${id}: ${messageOf(error)}`);
      }
    }
    // Of a buffer the file may hold the newest entries only: they are what is in use.
    const captured = object.class === 7 ? values.get(2) : undefined;
    if (captured?.type === 'array' && values.has(7))
      values.set(7, { type: 'double-long-unsigned', value: captured.value.length });
    let clockAt = -1;
    const columns = object.class === 7 ? values.get(3) : undefined;
    if (columns) {
      try {
        clockAt = captureObjectsOf(columns).findIndex(isClockColumn);
      } catch (error) {
        throw new Failure('input-unreadable', `snapshot: ${object.name} capture objects: ${messageOf(error)}`);
      }
    }
    return {
      classId: object.class,
      version: object.version,
      logicalName,
      attributes: object.attributes.map(({ id, access, selectors, refused }) => ({
        id,
        access: (access & 3) as 0 | 1 | 2 | 3,
        ...(selectors && { selectors }),
        get(selection) {
          const value = values.get(id);
          if (!value) return { refused: refused ?? accessResult['object-unavailable'] };
          return selection && object.class === 7 && id === 2 ? selected(value, clockAt, reading, selection) : value;
        },
      })),
      methods: object.methods.map(({ id }) => ({ id, act: () => ({ result: accessResult['read-write-denied'] }) })),
    };
  });
}
