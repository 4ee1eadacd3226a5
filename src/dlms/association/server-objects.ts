/** What a meter's services do with its objects: GET, SET and ACTION by logical name, READ and WRITE by short name. */
import { type Data, nullData } from '../axdr/data.ts';
import type { LogicalName } from '../cosem/logical-name.ts';
import { accessResult, type AssociationFacts, nameData, type ServerObject } from '../cosem/server-object.ts';
import { memberOf } from '../cosem/short-name.ts';
import type { ApduOf, GetResult, ReadResult, Selection, Variable } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import type { ActionResult } from './exchange.ts';

export type AttributeOf = ApduOf<'set-request-normal'>['attribute'];
export type MethodOf = ApduOf<'action-request-normal'>['method'];
type WriteResult = ApduOf<'write-response'>['results'][number];

function find(
  { objects }: AssociationFacts,
  classId: number,
  logicalName: LogicalName,
): { readonly object: ServerObject } | { readonly refused: number } {
  const named = objects.filter((object) => object.logicalName === logicalName);
  if (named.length === 0) return { refused: accessResult['object-undefined'] };
  const object = named.find((candidate) => candidate.classId === classId);
  return object ? { object } : { refused: accessResult['object-class-inconsistent'] };
}

export function getAttribute(
  facts: AssociationFacts,
  { classId, logicalName, attribute }: AttributeOf,
  selection: Selection | undefined,
): GetResult {
  const sought = find(facts, classId, logicalName);
  if ('refused' in sought) return sought;
  const { object } = sought;
  if (attribute === 1) return { data: nameData(logicalName) };
  const found = object.attributes.find(({ id }) => id === attribute);
  if (!found?.get || (found.access & 1) === 0) return { refused: accessResult['read-write-denied'] };
  const selective = has(facts.conformance, facts.shortNames ? 'parameterized-access' : 'selective-access');
  if (selection && (!selective || !found.selectors?.includes(selection.selector))) {
    return { refused: accessResult['scope-of-access-violated'] };
  }
  const value = found.get(selection, facts);
  return 'refused' in value ? value : { data: value };
}

export type AttributeToSet = AttributeOf & { readonly selection?: Selection | undefined };
export function setAttribute(
  facts: AssociationFacts,
  { classId, logicalName, attribute, selection }: AttributeToSet,
  value: Data,
): number {
  // No attribute of a meter here is written in parts.
  if (selection) return accessResult['scope-of-access-violated'];
  const sought = find(facts, classId, logicalName);
  if ('refused' in sought) return sought.refused;
  return sought.object.attributes.find(({ id }) => id === attribute)?.set?.(value) ?? accessResult['read-write-denied'];
}

export function invoke(
  facts: AssociationFacts,
  { classId, logicalName, method }: MethodOf,
  parameters: Data | undefined,
): ActionResult {
  const sought = find(facts, classId, logicalName);
  if ('refused' in sought) return { result: sought.refused };
  const found = sought.object.methods?.find(({ id }) => id === method);
  return found ? found.act(parameters) : { result: accessResult['read-write-denied'] };
}

/** The object and its member that a short name stands for. */
function named(
  { objects, shortNames }: AssociationFacts,
  name: number,
): { object: ServerObject; attribute?: number; method?: number } | undefined {
  for (const object of objects) {
    const base = shortNames?.get(object.logicalName);
    if (base === undefined || name < base || name >= base + 0x100) continue;
    const ids = object.attributes.map(({ id }) => id);
    const member = memberOf(name - base, object.classId, ids);
    if (member) return { object, ...member };
  }
  return undefined;
}

export function readVariable(facts: AssociationFacts, one: Variable): ReadResult {
  const name = one.kind === 'variable-name' ? one.value : one.kind === 'parameterized-access' ? one.value.name : -1;
  const found = named(facts, name);
  if (!found || found.attribute === undefined) return { kind: 'refused', value: accessResult['object-undefined'] };
  const { classId, logicalName } = found.object;
  const selection =
    one.kind === 'parameterized-access' ? { selector: one.value.selector, parameters: one.value.parameter } : undefined;
  const result = getAttribute(facts, { classId, logicalName, attribute: found.attribute }, selection);
  return 'data' in result ? { kind: 'data', value: result.data } : { kind: 'refused', value: result.refused };
}

export function writeVariable(facts: AssociationFacts, one: Variable, value: Data): WriteResult {
  const found = one.kind === 'variable-name' ? named(facts, one.value) : undefined;
  if (!found) return { kind: 'refused', value: accessResult['object-undefined'] };
  const { classId, logicalName } = found.object;
  const { attribute, method } = found;
  let result: number = accessResult['object-undefined'];
  if (method !== undefined) ({ result } = invoke(facts, { classId, logicalName, method }, value));
  else if (attribute !== undefined) result = setAttribute(facts, { classId, logicalName, attribute }, value);
  return result === 0 ? { kind: 'success', value: null } : { kind: 'refused', value: result };
}

/** ACCESS: each item as its own service would be answered. */
export function accessItems(
  facts: AssociationFacts,
  { specifications, data, longInvokeId }: ApduOf<'access-request'>,
): ApduOf<'access-response'> {
  const returned: Data[] = [];
  const results: ApduOf<'access-response'>['results'] = [];
  const put = (kind: 'get' | 'set' | 'action', value: number, given?: Data) => {
    returned.push(given ?? { type: 'null-data' });
    results.push({ kind, value });
  };
  specifications.forEach((specification, i) => {
    const given = data[i] ?? nullData;
    switch (specification.kind) {
      case 'get':
      case 'get-with-selection': {
        const { attribute, selection } =
          specification.kind === 'get' ? { attribute: specification.value, selection: undefined } : specification.value;
        const result = getAttribute(facts, attribute, selection);
        return 'data' in result ? put('get', 0, result.data) : put('get', result.refused);
      }
      case 'set':
        return put('set', setAttribute(facts, specification.value, given));
      case 'set-with-selection': {
        const { attribute, selection } = specification.value;
        return put('set', setAttribute(facts, { ...attribute, selection }, given));
      }
      case 'action': {
        const { result, returned: answer } = invoke(facts, specification.value, given);
        return put('action', result, answer && 'data' in answer ? answer.data : undefined);
      }
    }
  });
  return { kind: 'access-response', longInvokeId, dateTime: new Uint8Array(0), data: returned, results };
}
