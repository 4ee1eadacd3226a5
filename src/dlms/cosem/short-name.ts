/** Short names (Green Book 9.1.4, Blue Book 4.4.3): base name plus 8 for each attribute; methods by class. */
import { CodecError } from '../../base/errors.ts';
import type { Data } from '../axdr/data.ts';
import { type LogicalName, logicalNameOf } from './logical-name.ts';

/** Base name of the current association, the same in every meter. */
export const associationBaseName = 0xfa00;
export const associationShortNameObject: LogicalName = '0.0.40.0.0.255';

export const attributeShortName = (base: number, attribute: number): number => (base + (attribute - 1) * 8) & 0xffff;

/** Offset of method 1 from the base name, by class; further methods follow every 8 (Blue Book 4.3 to 4.6). */
const firstMethod: Readonly<Record<number, number>> = {
  3: 0x28,
  4: 0x38,
  5: 0x48,
  6: 0x30,
  7: 0x58,
  8: 0x60,
  9: 0x20,
  11: 0x10,
  17: 0x20,
  18: 0x40,
  20: 0x50,
  64: 0x28,
  70: 0x20,
};
export function methodShortName(base: number, classId: number, method: number): number | undefined {
  const first = firstMethod[classId];
  return first === undefined ? undefined : (base + first + (method - 1) * 8) & 0xffff;
}
/** What a short name stands for in an object of this class: an attribute or a method. */
export function memberOf(
  offset: number,
  classId: number,
  attributes: readonly number[],
): { attribute: number } | { method: number } | undefined {
  if (offset % 8 !== 0) return undefined;
  const attribute = offset / 8 + 1;
  if (attribute === 1 || attributes.includes(attribute)) return { attribute };
  const first = firstMethod[classId];
  return first !== undefined && offset >= first ? { method: (offset - first) / 8 + 1 } : undefined;
}

/** The object_list of an association SN: structures {base_name, class_id, version, logical_name}. */
export function shortNamesOf(list: Data): Map<LogicalName, number> {
  if (list.type !== 'array') throw new CodecError(`object list is ${list.type}, not an array`, 0);
  const names = new Map<LogicalName, number>();
  for (const element of list.value) {
    const [base, , , name] = element.type === 'structure' ? element.value : [];
    if ((base?.type !== 'long' && base?.type !== 'long-unsigned') || name?.type !== 'octet-string') {
      throw new CodecError('an entry of the object list is not {base name, class, version, logical name}', 0);
    }
    names.set(logicalNameOf(name.value), base.value & 0xffff);
  }
  return names;
}
