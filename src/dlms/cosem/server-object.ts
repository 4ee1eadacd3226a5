/** COSEM objects as the server role sees them: what the simulator's meters are made of. */
import type { Data } from '../axdr/data.ts';
import type { Conformance } from '../xdlms/conformance.ts';
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

/** What a meter knows of the association that it serves. */
export interface AssociationFacts {
  readonly clientSap: number;
  readonly serverSap: number;
  /** Last arcs of the names of application context and authentication mechanism. */
  readonly applicationContext: number;
  readonly mechanism: number;
  readonly conformance: Conformance;
  /** Octets of an APDU: what the meter takes, and what its client takes. */
  readonly maxReceivePdu: number;
  readonly maxSendPdu: number;
  readonly objects: readonly ServerObject[];
  readonly shortNames: ReadonlyMap<LogicalName, number> | undefined;
}
export interface ServerAttribute {
  readonly id: number;
  /** access_mode of the object list: 0 none, 1 read, 2 write, 3 both. */
  readonly access: 0 | 1 | 2 | 3;
  readonly selectors?: readonly number[];
  get?(selection: Selection | undefined, facts: AssociationFacts): Data | { refused: number };
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
