/**
 * The object_list of an association LN (Blue Book 4.4.4): structures {class, version, logical name, access rights}.
 * Meters err in its count and in the rights (meter-quirks 57, 58): what can be read is kept, the rest is reported.
 */
import { newBudget, Reader } from '../../base/cursor.ts';
import { CodecError, Failure, messageOf } from '../../base/errors.ts';
import { type Data, readData } from '../axdr/data.ts';
import { dataTag } from '../axdr/data-types.ts';
import { readLength } from '../axdr/length.ts';
import { type LogicalName, logicalNameOf, obis } from './logical-name.ts';

export interface ListedObject {
  readonly classId: number;
  readonly version: number;
  readonly logicalName: LogicalName;
  /** access: 0 none, 1 read, 2 write, 3 both; 4 to 6 the same, authenticated. */
  readonly attributes: readonly {
    readonly id: number;
    readonly access: number;
    readonly selectors: readonly number[];
  }[];
  /** access: 0 none, 1 allowed, 2 allowed when authenticated. */
  readonly methods: readonly { readonly id: number; readonly access: number }[];
}

const numberOf = (data: Data | undefined): number | undefined =>
  data && 'value' in data && typeof data.value === 'number' ? data.value : undefined;
const itemsOf = (data: Data | undefined): readonly Data[] =>
  data?.type === 'array' ? data.value : data?.type === 'structure' ? [data] : [];

function listedObject(data: Data, problems: string[]): ListedObject | undefined {
  const [classId, version, name, rights] = data.type === 'structure' ? data.value : [];
  const id = numberOf(classId);
  if (id === undefined || name?.type !== 'octet-string' || name.value.length !== 6) {
    problems.push('an item is not {class, version, logical name, access rights}');
    return undefined;
  }
  const logicalName = logicalNameOf(name.value);
  const [attributeRights, methodRights] = rights?.type === 'structure' ? rights.value : [];
  if (methodRights !== undefined && methodRights.type !== 'array') {
    problems.push(`${obis(logicalName)}: the methods are ${methodRights.type}, not an array`);
  }
  const attributes = itemsOf(attributeRights).flatMap((item) => {
    const [attribute, access, selectors] = item.type === 'structure' ? item.value : [];
    const number = numberOf(attribute);
    if (number === undefined || number < 1) {
      problems.push(`${obis(logicalName)}: attribute ${number ?? '?'}`);
      return [];
    }
    const selected = itemsOf(selectors).flatMap((selector) => numberOf(selector) ?? []);
    // 255 comes as −1 where the selector is signed.
    return [{ id: number, access: numberOf(access) ?? 0, selectors: selected.map((selector) => selector & 0xff) }];
  });
  const methods = itemsOf(methodRights).flatMap((item) => {
    const [method, access] = item.type === 'structure' ? item.value : [];
    const number = numberOf(method);
    if (number === undefined) return [];
    // In version 0 of the class the mode is a boolean.
    return [{ id: number, access: access?.type === 'boolean' ? Number(access.value) : (numberOf(access) ?? 0) }];
  });
  return { classId: id, version: numberOf(version) ?? 0, logicalName, attributes, methods };
}

const maxProblems = 100;

/** From the octets of the attribute, not from its tree: a wrong count must not cost the items that are there. */
export function accessRightsOf(octets: Uint8Array): { objects: ListedObject[]; problems: string[] } {
  const r = new Reader(octets);
  if (r.u8() !== dataTag.array) throw new CodecError('the object list is no array', 0);
  const announced = readLength(r);
  const objects: ListedObject[] = [];
  const problems: string[] = [];
  let items = 0;
  try {
    while (items < announced && r.remaining > 0) {
      // Of each object, not of the list: it is taken apart item by item.
      r.budget = newBudget();
      const object = listedObject(readData(r), problems);
      if (object) objects.push(object);
      items++;
    }
  } catch (error) {
    if (!(error instanceof CodecError || error instanceof Failure)) throw error;
    problems.push(messageOf(error));
  }
  if (items < announced) problems.push(`${announced} items announced, ${items} there`);
  return { objects, problems: problems.slice(0, maxProblems) };
}
