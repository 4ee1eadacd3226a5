/** Reads what a meter has: its object list, then every attribute that the list lets us read. */
import { decode } from '../base/codec.ts';
import { Writer } from '../base/cursor.ts';
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import { dataCodec } from '../dlms/axdr/data.ts';
import { classTable } from '../dlms/cosem/class-table.ts';
import { type LogicalName, logicalNameOf, obis } from '../dlms/cosem/logical-name.ts';
import { accessRightsOf, type ListedObject } from '../dlms/cosem/object-list.ts';
import { byEntry, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret, isSecretAttribute } from '../dlms/cosem/secrets.ts';
import { associationShortNameObject } from '../dlms/cosem/short-name.ts';
import type { Seen } from '../dlms/cosem/snapshot.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import { refusedBy, type Session } from './session.ts';

const currentAssociation: LogicalName = '0.0.40.0.0.255';
/** access_mode 0: none; 2 and 5: write only. */
const readableModes: ReadonlySet<number> = new Set([1, 3, 4, 6]);
const profileGeneric = 7;
const buffer = 2;
const captureObjects = 3;
const entriesInUse = 7;

/** A buffer of unknown columns is read as well: most meters name the columns, and rows are what is looked for. */
function capturesSecret(columns: Seen): boolean {
  if (!columns || !('data' in columns)) return false;
  try {
    return holdsSecret(captureObjectsOf(columns.data));
  } catch {
    return false;
  }
}

/** An object list of thousands of objects. */
const listOctets = 1 << 20;
/** A buffer that somebody looks at whole: more than the daemon ever builds up. */
const bufferBudget = { elements: 2_000_000, octets: 8 << 20 };

async function heldStream(session: Session, attribute: Attribute, limit: number): Promise<Uint8Array> {
  const held = new Writer();
  await session.stream(attribute, (part) => {
    if (held.length + part.length > limit)
      throw new Failure(
        'answer-too-long',
        `${obis(attribute.logicalName)}:${attribute.attribute} has no end after ${limit} octets`,
      );
    held.put(part);
  });
  return held.octets();
}

/** A buffer as a tree; a refusal stands in its place. */
async function readBuffer(session: Session, attribute: Attribute): Promise<Seen> {
  try {
    const octets = await heldStream(session, attribute, bufferBudget.octets);
    return { data: decode(dataCodec, octets, () => {}, { ...bufferBudget }) };
  } catch (error) {
    if (error instanceof CodecError)
      throw new Failure('malformed-octets', `${obis(attribute.logicalName)}: ${messageOf(error)}`);
    const refused = refusedBy(error);
    if (refused === undefined) throw error;
    return { refused };
  }
}

/** Objects with their rights, and what was wrong with the list (meter-quirks 57, 58). */
export async function readObjectList(
  session: Session,
  association: LogicalName = currentAssociation,
): Promise<{ objects: ListedObject[]; problems: string[] }> {
  const octets = await heldStream(session, { classId: 15, logicalName: association, attribute: 2 }, listOctets);
  try {
    return accessRightsOf(octets);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new Failure('malformed-octets', `object list: ${messageOf(error)}`);
  }
}

/** The list of an association SN tells no rights: attributes are those of the class, and reading shows. */
export async function readShortNameList(session: Session): Promise<{ objects: ListedObject[]; problems: string[] }> {
  const list = await session.value({ classId: 12, logicalName: associationShortNameObject, attribute: 2 });
  const problems: string[] = [];
  const objects = (list.type === 'array' ? list.value : []).flatMap((entry): ListedObject[] => {
    const [, classId, version, name] = entry.type === 'structure' ? entry.value : [];
    if (classId?.type !== 'long-unsigned' || name?.type !== 'octet-string' || name.value.length !== 6) {
      problems.push('an entry is not {base name, class, version, logical name}');
      return [];
    }
    const attributes = (classTable[classId.value]?.attributes ?? []).map((_, i) => ({
      id: i + 2,
      access: 1,
      selectors: [],
    }));
    const number = version?.type === 'unsigned' ? version.value : 0;
    return [
      { classId: classId.value, version: number, logicalName: logicalNameOf(name.value), attributes, methods: [] },
    ];
  });
  return { objects, problems };
}

/**
 * The values of one object by attribute. Secrets are not asked for: what never comes cannot be printed, saved or traced.
 * Of a buffer the newest `rows` entries, or all where the meter cannot select;
 * 0 leaves buffers out.
 */
export async function readObject(session: Session, object: ListedObject, rows: number): Promise<Map<number, Seen>> {
  const { classId, logicalName } = object;
  const seen = new Map<number, Seen>();
  const isBuffer = (id: number) => classId === profileGeneric && id === buffer;
  // The list of an association holds all that is read here one by one.
  const isList = (id: number) => (classId === 15 || classId === 12) && id === 2;
  const plain = object.attributes.filter(
    ({ id, access }) =>
      id > 1 && readableModes.has(access) && !isBuffer(id) && !isList(id) && !isSecretAttribute(classId, id),
  );
  if (plain.length > 0) {
    const results = await session.get(plain.map(({ id }) => ({ classId, logicalName, attribute: id })));
    plain.forEach(({ id }, i) => seen.set(id, results[i]));
  }
  const entries = object.attributes.find(({ id, access }) => isBuffer(id) && readableModes.has(access));
  if (!entries || rows === 0 || capturesSecret(seen.get(captureObjects))) return seen;
  const counted = seen.get(entriesInUse);
  const count =
    counted && 'data' in counted && counted.data.type === 'double-long-unsigned' ? counted.data.value : undefined;
  const attribute = { classId, logicalName, attribute: buffer };
  if (count !== undefined && count > rows) {
    const newest = await readBuffer(session, { ...attribute, selection: byEntry(count - rows + 1, count) });
    if (newest && 'data' in newest) return seen.set(buffer, newest);
  }
  return seen.set(buffer, await readBuffer(session, attribute));
}
