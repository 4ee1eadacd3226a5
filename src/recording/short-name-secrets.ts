/**
 * Strikes what is written or read under a short name. What a name stands for is known from the meter's object list; where it
 * is not, whoever looks at the recording does not get to see what was written there.
 */
import type { Data } from '../dlms/axdr/data.ts';
import type { Apdu, Attribute, ReadResult, Variable } from '../dlms/xdlms/apdu.ts';
import type { ShortName } from './knowledge.ts';
import { isSecretCall, type IsSecret, stars, struck } from './withhold.ts';

/** Whether what goes to a name may be shown: undefined where nobody knows what it stands for. */
type IsOpen = (name: number) => boolean | undefined;
/** A range or entries of a buffer: a structure that begins with a structure or a number. */
const isSelection = (parameter: Data): boolean =>
  parameter.type === 'structure' && ['structure', 'double-long-unsigned'].includes(parameter.value[0]?.type ?? '');

function struckVariable(variable: Variable, isOpen: IsOpen): Variable {
  switch (variable.kind) {
    case 'parameterized-access': {
      const { name, parameter } = variable.value;
      return (isOpen(name) ?? isSelection(parameter))
        ? variable
        : { ...variable, value: { ...variable.value, parameter: struck } };
    }
    // Part of a request that was too long.
    case 'read-data-block-access':
      return { ...variable, value: { ...variable.value, raw: stars(variable.value.raw) } };
    default:
      return variable;
  }
}
function nameOf(variable: Variable | undefined): number | undefined {
  if (variable?.kind === 'variable-name') return variable.value;
  return variable?.kind === 'parameterized-access' ? variable.value.name : undefined;
}
/** Of an answer that holds something secret; a block of it may be of that. */
function struckResult(result: ReadResult, isSecret: boolean): ReadResult {
  if (result.kind === 'data-block') return { ...result, value: { ...result.value, raw: stars(result.value.raw) } };
  return result.kind === 'data' && isSecret ? { kind: 'data', value: struck } : result;
}

/** `attributes`: of the question that is answered. */
export function struckByName(
  apdu: Apdu,
  attributes: readonly (Attribute | undefined)[],
  member: (name: number) => ShortName | undefined,
  isSecret: IsSecret,
): Apdu {
  const isOpen: IsOpen = (name) => {
    const found = member(name);
    if (!found) return undefined;
    return 'attribute' in found ? !isSecret(found) : !isSecretCall(found);
  };
  switch (apdu.kind) {
    case 'read-request':
      return { ...apdu, variables: apdu.variables.map((one) => struckVariable(one, isOpen)) };
    case 'write-request':
    case 'unconfirmed-write-request':
      return {
        ...apdu,
        variables: apdu.variables.map((one) => struckVariable(one, isOpen)),
        values: apdu.values.map((value, i) => {
          const name = nameOf(apdu.variables[i]);
          return name !== undefined && isOpen(name) ? value : struck;
        }),
      };
    case 'read-response':
      return attributes.some(isSecret)
        ? { ...apdu, results: apdu.results.map((one, i) => struckResult(one, isSecret(attributes[i]))) }
        : apdu;
    default:
      return apdu;
  }
}
