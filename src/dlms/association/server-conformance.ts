/** What a meter of ours can do, and what must have been agreed for each request (Green Book 9.4.6.1). */
import type { Apdu, ApduKind } from '../xdlms/apdu.ts';
import { type Conformance, conformance, type ConformanceName } from '../xdlms/conformance.ts';

/** What this server can do, by each kind of referencing: all of it, and nothing else. */
export const serverConformance: Conformance = conformance(
  'general-protection',
  'general-block-transfer',
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
  'multiple-references',
  'access',
  'get',
  'set',
  'selective-access',
  'action',
);
export const shortNameServerConformance: Conformance = conformance(
  'general-protection',
  'general-block-transfer',
  'read',
  'write',
  'block-transfer-with-get-or-read',
  'multiple-references',
  'parameterized-access',
);

/** What must be negotiated for a request to be answered (Green Book 9.4.6.1). */
const needs: Partial<Record<ApduKind, readonly ConformanceName[]>> = {
  'get-request-normal': ['get'],
  'get-request-with-list': ['get', 'multiple-references'],
  'get-request-next': ['get', 'block-transfer-with-get-or-read'],
  'set-request-normal': ['set'],
  'set-request-with-list': ['set', 'multiple-references'],
  'set-request-with-first-datablock': ['set', 'block-transfer-with-set-or-write'],
  'set-request-with-datablock': ['set', 'block-transfer-with-set-or-write'],
  'set-request-with-list-and-first-datablock': ['set', 'multiple-references', 'block-transfer-with-set-or-write'],
  'action-request-normal': ['action'],
  'action-request-with-list': ['action', 'multiple-references'],
  'action-request-next-pblock': ['action', 'block-transfer-with-action'],
  'action-request-with-first-pblock': ['action', 'block-transfer-with-action'],
  'action-request-with-list-and-first-pblock': ['action', 'multiple-references', 'block-transfer-with-action'],
  'action-request-with-pblock': ['action', 'block-transfer-with-action'],
  'access-request': ['access'],
  'read-request': ['read'],
  'write-request': ['write'],
};
export function neededFor(apdu: Apdu): readonly ConformanceName[] | undefined {
  const always = needs[apdu.kind];
  if (!always || (apdu.kind !== 'read-request' && apdu.kind !== 'write-request')) return always;
  return [
    ...always,
    ...(apdu.variables.length > 1 ? (['multiple-references'] as const) : []),
    ...(apdu.variables.some(({ kind }) => kind === 'parameterized-access') ? (['parameterized-access'] as const) : []),
    ...(apdu.variables.some(({ kind }) => kind === 'block-number-access')
      ? (['block-transfer-with-get-or-read'] as const)
      : []),
  ];
}
/** Bits of the blocks of each service. */
export const blocksOf = {
  get: 'block-transfer-with-get-or-read',
  read: 'block-transfer-with-get-or-read',
  action: 'block-transfer-with-action',
} as const;
