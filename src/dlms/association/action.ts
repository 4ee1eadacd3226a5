/** ACTION: single, with list, parameters and answers in blocks (Green Book 9.3.8). */
import { Failure } from '../../base/errors.ts';
import { nullData } from '../axdr/data.ts';
import { type Apdu, actionResults } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import {
  type ActionResult,
  type Exchange,
  type ExchangeContext,
  IncomingBlocks,
  type Invocation,
  type Method,
  OutgoingBlocks,
  sameInvoke,
  sizeOf,
  type Step,
  takeList,
  unexpected,
} from './exchange.ts';

const methodOf = ({ classId, logicalName, method }: Method): Method => ({ classId, logicalName, method });

function actionRequest(invocations: readonly Invocation[], invokeId: number): Apdu {
  const [first] = invocations;
  if (!first || invocations.length > 1) {
    const parameters = invocations.map((invocation) => invocation.parameters ?? nullData);
    return { kind: 'action-request-with-list', invokeId, methods: invocations.map(methodOf), parameters };
  }
  const apdu: Apdu = { kind: 'action-request-normal', invokeId, method: methodOf(first) };
  return first.parameters ? { ...apdu, parameters: first.parameters } : apdu;
}

export function actionExchange(invocations: readonly Invocation[], context: ExchangeContext): Exchange {
  if (invocations.length === 0) throw new Failure('bad-argument', 'ACTION of nothing');
  const limit = has(context.negotiated, 'multiple-references') ? context.listLimit : 1;
  let invokeId = 0;
  let rest = invocations;
  let asked: readonly Invocation[] = [];
  let outgoing: OutgoingBlocks | undefined;
  let incoming = new IncomingBlocks(context);
  const results: ActionResult[] = [];

  const ask = (): Apdu => {
    invokeId = context.nextInvokeId();
    outgoing = undefined;
    incoming = new IncomingBlocks(context);
    asked = takeList(
      rest,
      limit,
      (list) => sizeOf(actionRequest(list, invokeId)) <= Math.min(context.maxRequest, context.maxList),
    );
    rest = rest.slice(asked.length);
    const whole = actionRequest(asked, invokeId);
    const [first] = asked;
    if (
      !first?.parameters ||
      sizeOf(whole) <= context.maxRequest ||
      !has(context.negotiated, 'block-transfer-with-action')
    ) {
      return whole;
    }
    outgoing = new OutgoingBlocks(first.parameters, context.maxRequest);
    return { kind: 'action-request-with-first-pblock', invokeId, method: methodOf(first), block: outgoing.next() };
  };
  const acted = (answered: readonly ActionResult[]): Step => {
    if (answered.length !== asked.length) {
      throw new Failure('unexpected-apdu', `${answered.length} results for ${asked.length} methods`);
    }
    results.push(...answered);
    return rest.length > 0 ? { send: ask() } : { done: { kind: 'acted', results } };
  };

  return {
    first: ask,
    answer(apdu) {
      if (!sameInvoke(apdu, invokeId)) return 'ignore';
      switch (apdu.kind) {
        case 'action-response-normal':
          return acted([apdu.response]);
        case 'action-response-with-list':
          return acted(apdu.responses);
        case 'action-response-next-pblock':
          if (!outgoing) break;
          if (!outgoing.acknowledged(apdu.number)) return 'ignore';
          return { send: { kind: 'action-request-with-pblock', invokeId, block: outgoing.next() } };
        case 'action-response-with-pblock': {
          const { number, raw, last } = apdu.block;
          if (!incoming.take(number, raw, last)) return 'ignore';
          return last
            ? acted(incoming.whole(actionResults))
            : { send: { kind: 'action-request-next-pblock', invokeId, number } };
        }
        default:
          break;
      }
      throw unexpected(apdu, 'action');
    },
  };
}
