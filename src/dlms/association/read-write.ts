/** Short-name referencing: READ and WRITE in the place of GET, SET and ACTION (Green Book 9.3.14, 9.3.15). */
import { Failure } from '../../base/errors.ts';
import { type Data, nullData } from '../axdr/data.ts';
import { attributeShortName, methodShortName } from '../cosem/short-name.ts';
import { type Apdu, type GetResult, type ReadResult, readResults, type Variable } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import {
  type Exchange,
  type ExchangeContext,
  IncomingBlocks,
  type ServiceRequest,
  sizeOf,
  type Step,
  takeList,
  unexpected,
} from './exchange.ts';
import type { LogicalName } from '../cosem/logical-name.ts';

const objectUndefined = 4;

type Kinds<K extends ServiceRequest['kind']> = Extract<ServiceRequest, { readonly kind: K }>;
/** Each item as a variable; undefined where the meter has no such object or method. */
function variablesOf(request: Kinds<'get' | 'set' | 'action'>, context: ExchangeContext): (Variable | undefined)[] {
  const base = (name: LogicalName): number | undefined => context.shortNames?.get(name);
  switch (request.kind) {
    case 'get':
      return request.attributes.map(({ logicalName, attribute, selection }) => {
        const name = base(logicalName);
        if (name === undefined) return undefined;
        const variable = attributeShortName(name, attribute);
        return selection
          ? {
              kind: 'parameterized-access',
              value: { name: variable, selector: selection.selector, parameter: selection.parameters },
            }
          : { kind: 'variable-name', value: variable };
      });
    case 'set':
      return request.assignments.map(({ attribute: { logicalName, attribute } }) => {
        const name = base(logicalName);
        return name === undefined ? undefined : { kind: 'variable-name', value: attributeShortName(name, attribute) };
      });
    case 'action':
      return request.invocations.map(({ classId, logicalName, method }) => {
        const name = base(logicalName);
        const value = name === undefined ? undefined : methodShortName(name, classId, method);
        return value === undefined ? undefined : { kind: 'variable-name', value };
      });
  }
}

function readExchange(request: Kinds<'get'>, context: ExchangeContext): Exchange {
  const limit = has(context.negotiated, 'multiple-references') ? context.listLimit : 1;
  const variables = variablesOf(request, context);
  const results: GetResult[] = variables.map(() => ({ refused: objectUndefined }));
  let rest = variables.flatMap((variable, at) => (variable ? [{ variable, at }] : []));
  let asked: typeof rest = [];
  let blocks = new IncomingBlocks(context);

  const ask = (): Apdu => {
    const requestOf = (list: typeof rest): Apdu => ({
      kind: 'read-request',
      variables: list.map(({ variable }) => variable),
    });
    asked = [
      ...takeList(rest, limit, (list) => sizeOf(requestOf([...list])) <= Math.min(context.maxRequest, context.maxList)),
    ];
    rest = rest.slice(asked.length);
    blocks = new IncomingBlocks(context);
    return requestOf(asked);
  };
  const got = (answered: readonly ReadResult[]): Step => {
    if (answered.length !== asked.length) {
      throw new Failure('unexpected-apdu', `${answered.length} results for ${asked.length} variables`);
    }
    for (const [i, { at }] of asked.entries()) {
      const result = answered[i];
      // A whole value came at once: a stream of one piece.
      if (result?.kind === 'data') results[at] = { data: result.value };
      else if (result?.kind === 'refused') results[at] = { refused: result.value };
      else throw new Failure('unexpected-apdu', `${result?.kind} in answer to read`);
    }
    return rest.length > 0 ? { send: ask() } : { done: { kind: 'got', results } };
  };
  return {
    first: ask,
    answer(apdu) {
      if (apdu.kind !== 'read-response') throw unexpected(apdu, 'read');
      const [first] = apdu.results;
      if (apdu.results.length === 1 && first?.kind === 'data-block') {
        const { last, number, raw } = first.value;
        if (!blocks.take(number, raw, last)) return 'ignore';
        if (last) return got(blocks.whole(readResults));
        return { send: { kind: 'read-request', variables: [{ kind: 'block-number-access', value: number }] } };
      }
      return got(apdu.results);
    },
  };
}

function writeExchange(request: Kinds<'set' | 'action'>, context: ExchangeContext): Exchange {
  const variables = variablesOf(request, context);
  const values: Data[] =
    request.kind === 'set'
      ? request.assignments.map(({ value }) => value)
      : // A method without parameters is invoked by writing integer 0.
        request.invocations.map(({ parameters }) => parameters ?? { type: 'integer', value: 0 });
  const results: number[] = variables.map(() => objectUndefined);
  let rest = variables.flatMap((variable, at) => (variable ? [{ variable, at, value: values[at] ?? nullData }] : []));
  let asked: typeof rest = [];
  const ask = (): Apdu => {
    asked = rest.slice(0, 1);
    rest = rest.slice(1);
    const apdu: Apdu = {
      kind: 'write-request',
      variables: asked.map(({ variable }) => variable),
      values: asked.map(({ value }) => value),
    };
    return apdu;
  };
  return {
    first: ask,
    answer(apdu) {
      if (apdu.kind !== 'write-response') throw unexpected(apdu, 'write');
      if (apdu.results.length !== asked.length) throw new Failure('unexpected-apdu', 'results do not fit the request');
      for (const [i, { at }] of asked.entries()) {
        const result = apdu.results[i];
        if (!result || result.kind === 'block-number') throw unexpected(apdu, 'write');
        results[at] = result.kind === 'success' ? 0 : result.value;
      }
      if (rest.length > 0) return { send: ask() };
      if (request.kind === 'set') return { done: { kind: 'was-set', results } };
      return { done: { kind: 'acted', results: results.map((result) => ({ result })) } };
    },
  };
}

/** The exchange, or the event at once where the meter has none of the objects. */
export function shortNameExchange(request: ServiceRequest, context: ExchangeContext): Exchange {
  if (request.kind === 'access') throw new Failure('not-supported', 'ACCESS with short names: GET instead');
  if (variablesOf(request, context).every((variable) => variable === undefined)) {
    throw new Failure('access-refused', "the meter's object list has none of these objects");
  }
  return request.kind === 'get' ? readExchange(request, context) : writeExchange(request, context);
}
