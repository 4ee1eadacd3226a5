/** COSEM objects as the server role sees them: what the simulator's meters are made of. */
import type { Data } from '../axdr/data.ts';
import type { GetResult, Selection } from '../xdlms/apdu.ts';
import { type LogicalName, logicalNameOctets } from './logical-name.ts';

export const accessResult = {
  success: 0,
  'temporary-failure': 2,
  'read-write-denied': 3,
  'object-undefined': 4,
  'object-class-inconsistent': 9,
  'object-unavailable': 11,
  'type-unmatched': 12,
  'scope-of-access-violated': 13,
  'other-reason': 250,
} as const;

export interface ServerAttribute {
  readonly id: number;
  /** access_mode of the object list: 0 none, 1 read, 2 write, 3 both. */
  readonly access: 0 | 1 | 2 | 3;
  readonly selectors?: readonly number[];
  get?(selection: Selection | undefined): Data | { refused: number };
  /** Returns a data-access-result. */
  set?(value: Data): number;
}
export interface ServerMethod {
  readonly id: number;
  /** Returns an action-result and, for some methods, data. */
  act(parameters: Data | undefined): { result: number; returned?: GetResult };
}
export interface ServerObject {
  readonly classId: number;
  readonly version: number;
  readonly logicalName: LogicalName;
  readonly attributes: readonly ServerAttribute[];
  readonly methods?: readonly ServerMethod[];
}

export const octets = (value: Uint8Array): Data => ({ type: 'octet-string', value });
export const structure = (...value: Data[]): Data => ({ type: 'structure', value });
export const array = (...value: Data[]): Data => ({ type: 'array', value });
export const nameData = (name: LogicalName): Data => octets(logicalNameOctets(name));
/** An attribute that only ever has this value, or what the function says. */
export const readable = (id: number, value: Data | (() => Data)): ServerAttribute => ({
  id,
  access: 1,
  get: () => (typeof value === 'function' ? value() : value),
});

/** The object_list of the current association (Blue Book 4.4.4), made from the objects themselves. */
export function objectListData(objects: readonly ServerObject[]): Data {
  return array(
    ...objects.map((object) =>
      structure(
        { type: 'long-unsigned', value: object.classId },
        { type: 'unsigned', value: object.version },
        nameData(object.logicalName),
        structure(
          array(
            ...object.attributes.map((attribute) =>
              structure(
                { type: 'integer', value: attribute.id },
                { type: 'enum', value: attribute.access },
                attribute.selectors
                  ? array(...attribute.selectors.map((selector): Data => ({ type: 'integer', value: selector })))
                  : { type: 'null-data' },
              ),
            ),
          ),
          array(
            ...(object.methods ?? []).map((method) =>
              structure({ type: 'integer', value: method.id }, { type: 'enum', value: 1 }),
            ),
          ),
        ),
      ),
    ),
  );
}
