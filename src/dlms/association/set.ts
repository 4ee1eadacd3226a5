/** SET: single, with list, in blocks (Green Book 9.3.7). */
import { Failure } from '../../base/errors.ts';
import type { Apdu } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import {
  type Assignment,
  type Exchange,
  type ExchangeContext,
  OutgoingBlocks,
  sameInvoke,
  sizeOf,
  type Step,
  takeList,
  unexpected,
} from './exchange.ts';

function setRequest(assignments: readonly Assignment[], invokeId: number): Apdu {
  const [first] = assignments;
  if (!first || assignments.length > 1) {
    const attributes = assignments.map(({ attribute }) => attribute);
    return { kind: 'set-request-with-list', invokeId, attributes, values: assignments.map(({ value }) => value) };
  }
  const { selection, ...attribute } = first.attribute;
  const apdu: Apdu = { kind: 'set-request-normal', invokeId, attribute, value: first.value };
  return selection ? { ...apdu, selection } : apdu;
}

export function setExchange(assignments: readonly Assignment[], context: ExchangeContext): Exchange {
  if (assignments.length === 0) throw new Failure('bad-argument', 'SET of nothing');
  const limit = has(context.negotiated, 'multiple-references') ? context.listLimit : 1;
  let invokeId = 0;
  let rest = assignments;
  let asked: readonly Assignment[] = [];
  let outgoing: OutgoingBlocks | undefined;
  const results: number[] = [];

  const ask = (): Apdu => {
    invokeId = context.nextInvokeId();
    outgoing = undefined;
    asked = takeList(
      rest,
      limit,
      (list) => sizeOf(setRequest(list, invokeId)) <= Math.min(context.maxRequest, context.maxList),
    );
    rest = rest.slice(asked.length);
    const whole = setRequest(asked, invokeId);
    const [first] = asked;
    if (!first || sizeOf(whole) <= context.maxRequest || !has(context.negotiated, 'block-transfer-with-set-or-write')) {
      return whole;
    }
    const { selection, ...attribute } = first.attribute;
    outgoing = new OutgoingBlocks(first.value, context.maxRequest);
    const apdu: Apdu = { kind: 'set-request-with-first-datablock', invokeId, attribute, block: outgoing.next() };
    return selection ? { ...apdu, selection } : apdu;
  };
  const wasSet = (answered: readonly number[]): Step => {
    if (answered.length !== asked.length) {
      throw new Failure('unexpected-apdu', `${answered.length} results for ${asked.length} attributes`);
    }
    results.push(...answered);
    return rest.length > 0 ? { send: ask() } : { done: { kind: 'was-set', results } };
  };

  return {
    first: ask,
    answer(apdu) {
      if (!sameInvoke(apdu, invokeId)) return 'ignore';
      switch (apdu.kind) {
        case 'set-response-normal':
          return wasSet([apdu.result]);
        case 'set-response-with-list':
          return wasSet(apdu.results);
        case 'set-response-last-datablock':
          // Also in the middle: the meter stops the transfer (meter-quirks 54).
          return wasSet([apdu.result]);
        case 'set-response-datablock':
          if (!outgoing) break;
          if (!outgoing.acknowledged(apdu.number)) return 'ignore';
          return { send: { kind: 'set-request-with-datablock', invokeId, block: outgoing.next() } };
        default:
          break;
      }
      throw unexpected(apdu, 'set');
    },
  };
}
