/** GET: single, with list, in blocks (Green Book 9.3.6). */
import { Failure } from '../../base/errors.ts';
import { dataCodec } from '../axdr/data.ts';
import { type Apdu, type Attribute, type GetResult, getResults } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import {
  type Exchange,
  type ExchangeContext,
  IncomingBlocks,
  sameInvoke,
  sizeOf,
  type Step,
  takeList,
  unexpected,
} from './exchange.ts';

function getRequest(attributes: readonly Attribute[], invokeId: number): Apdu {
  const [first] = attributes;
  if (!first || attributes.length > 1) return { kind: 'get-request-with-list', invokeId, attributes: [...attributes] };
  const { selection, ...attribute } = first;
  const apdu: Apdu = { kind: 'get-request-normal', invokeId, attribute };
  return selection ? { ...apdu, selection } : apdu;
}

export function getExchange(attributes: readonly Attribute[], context: ExchangeContext, stream = false): Exchange {
  if (attributes.length === 0) throw new Failure('bad-argument', 'GET of nothing');
  if (stream && attributes.length > 1) throw new Failure('bad-argument', 'only one value comes as a stream');
  const limit = has(context.negotiated, 'multiple-references') ? context.listLimit : 1;
  let invokeId = 0;
  let rest = attributes;
  let asked: readonly Attribute[] = [];
  let blocks = new IncomingBlocks(context, stream);
  const results: GetResult[] = [];

  const ask = (): Apdu => {
    invokeId = context.nextInvokeId();
    asked = takeList(
      rest,
      limit,
      (list) => sizeOf(getRequest(list, invokeId)) <= Math.min(context.maxRequest, context.maxList),
    );
    rest = rest.slice(asked.length);
    blocks = new IncomingBlocks(context, stream);
    return getRequest(asked, invokeId);
  };
  const got = (answered: readonly GetResult[]): Step => {
    if (answered.length !== asked.length) {
      throw new Failure('unexpected-apdu', `${answered.length} results for ${asked.length} attributes`);
    }
    results.push(...answered);
    return rest.length > 0 ? { send: ask() } : { done: { kind: 'got', results } };
  };

  return {
    first: ask,
    answer(apdu) {
      if (!sameInvoke(apdu, invokeId)) return 'ignore';
      switch (apdu.kind) {
        case 'get-response-normal':
          if (asked.length !== 1) break;
          return got([apdu.result]);
        case 'get-response-with-list':
          return got(apdu.results);
        case 'get-response-with-datablock': {
          if ('refused' in apdu.result) {
            const { refused } = apdu.result;
            return got(asked.map(() => ({ refused })));
          }
          if (!blocks.take(apdu.number, apdu.result.raw, apdu.last)) return 'ignore';
          if (!apdu.last) return { send: { kind: 'get-request-next', invokeId, number: apdu.number } };
          if (stream) return { done: { kind: 'got', results: [] } };
          return got(asked.length === 1 ? [{ data: blocks.whole(dataCodec) }] : blocks.whole(getResults));
        }
        default:
          break;
      }
      throw unexpected(apdu, 'get');
    },
  };
}
