/**
 * How the server of a simulated meter deviates from the books. Each deviation stands around an honest server
 * (src/dlms/association/server.ts): it sees the request, and may hand on another one or give another answer.
 */
import { decode } from '../base/codec.ts';
import { concat } from '../base/cursor.ts';
import { decodeAcse, encodeAcse } from '../dlms/acse/apdu.ts';
import { Ciphering, protectionBits } from '../dlms/association/ciphering.ts';
import type { Around } from '../dlms/association/server.ts';
import {
  asBlock,
  type Block,
  blockRefused,
  type LongAnswer,
  longAnswer,
  takeBlock,
} from '../dlms/association/server-blocks.ts';
import { type Data, dataCodec } from '../dlms/axdr/data.ts';
import { accessResult } from '../dlms/cosem/server-object.ts';
import { type Apdu, decodeApdu } from '../dlms/xdlms/apdu.ts';

export interface Deviations {
  /** The number of the first block of an answer: 0, or one more than that of the block that was sent last. */
  readonly firstBlock?: 'zero' | 'goes-on';
  /** A block without content stands behind the first one, or at the end. */
  readonly emptyBlock?: 'middle' | 'last';
  /** Meters differ in what they want of the counter inside of a GMAC proof (meter-quirks 40). */
  readonly gmacCounter?: 'must-advance' | 'must-not-advance' | 'next-of-association';
  /** InitiateRequest must be encrypted, and not authenticated; InitiateResponse is so too, with counter 0. */
  readonly initiate?: 'encrypted';
  /** Attributes of one GET. */
  readonly listLimit?: number;
  /** SET in blocks is aborted with its first block. */
  readonly abortsSet?: boolean;
  /** Other octets for a value than its A-XDR. */
  readonly value?: (classId: number, attribute: number, value: Data) => Uint8Array | undefined;
}
type Service = NonNullable<Around['service']>;
type Octets = NonNullable<Around['octets']>;
const none = new Uint8Array(0);

/** The block that a request asks for by its number; undefined where it asks for something new. */
function askedBlock(request: Apdu): number | undefined {
  if (request.kind === 'get-request-next' || request.kind === 'action-request-next-pblock') return request.number;
  if (request.kind !== 'read-request') return undefined;
  const [first] = request.variables;
  return first?.kind === 'block-number-access' ? first.value : undefined;
}
function askingFor(request: Apdu, number: number): Apdu {
  if (request.kind === 'get-request-next' || request.kind === 'action-request-next-pblock')
    return { ...request, number: number >>> 0 };
  if (request.kind !== 'read-request') return request;
  return { kind: 'read-request', variables: [{ kind: 'block-number-access', value: number & 0xffff }] };
}
function blockOf(answer: Apdu): Block | undefined {
  if (answer.kind === 'action-response-with-pblock') return answer.block;
  if (answer.kind === 'get-response-with-datablock') {
    const { last, number, result } = answer;
    return 'raw' in result ? { last, number, raw: result.raw } : undefined;
  }
  const [first] = answer.kind === 'read-response' ? answer.results : [];
  return first?.kind === 'data-block' ? first.value : undefined;
}
/** The same answer with another block, and with the invoke-id of the request where it has one. */
function withBlock(answer: Apdu, block: Block, request: Apdu): Apdu {
  const invokeId = 'invokeId' in request ? request.invokeId : 0;
  if (answer.kind === 'get-response-with-datablock') return asBlock('get', invokeId, block);
  return asBlock(answer.kind === 'action-response-with-pblock' ? 'action' : 'read', invokeId, block);
}

/** Blocks have other numbers than those of the server inside. */
function numbered(first: 'zero' | 'goes-on'): Service {
  let shift = 0;
  let sent = 0;
  return (request, answer) => {
    const asked = askedBlock(request);
    const answered = answer(asked === undefined ? request : askingFor(request, asked - shift));
    const block = blockOf(answered);
    if (!block) {
      // A refusal names the block that was asked for.
      const names = asked !== undefined && answered.kind === 'get-response-with-datablock';
      return names ? { ...answered, number: asked } : answered;
    }
    if (asked === undefined) shift = first === 'zero' ? -1 : sent;
    sent = block.number + shift;
    return withBlock(answered, { ...block, number: sent }, request);
  };
}

/** Behind the first block of an answer of several stands one without content. */
function emptySecond(): Service {
  let before: { readonly answer: Apdu; readonly number: number } | undefined;
  let shift = 0;
  return (request, answer) => {
    const asked = askedBlock(request);
    if (before && asked === before.number) {
      const number = asked + 1;
      const empty = withBlock(before.answer, { last: false, number, raw: none }, request);
      before = undefined;
      shift = 1;
      return empty;
    }
    const answered = answer(asked === undefined ? request : askingFor(request, asked - shift));
    const block = blockOf(answered);
    if (asked === undefined) {
      shift = 0;
      before = block && !block.last ? { answer: answered, number: block.number } : undefined;
    }
    return block && shift > 0 ? withBlock(answered, { ...block, number: block.number + shift }, request) : answered;
  };
}

/** The last block of content does not say that it is the last; one without content does. */
function emptyLast(): Service {
  let end: { readonly answer: Apdu; readonly number: number } | undefined;
  return (request, answer) => {
    const before = end;
    end = undefined;
    if (before && askedBlock(request) === before.number)
      return withBlock(before.answer, { last: true, number: before.number + 1, raw: none }, request);
    const answered = answer(request);
    const block = blockOf(answered);
    if (block?.last !== true) return answered;
    end = { answer: answered, number: block.number };
    return withBlock(answered, { ...block, last: false }, request);
  };
}

/** A proof whose counter is not as the meter wants it is refused like a wrong one. */
const counted =
  (deviation: NonNullable<Deviations['gmacCounter']>): Service =>
  (request, answer, { proving, counters }) => {
    if (proving !== 'hls-gmac' || request.kind !== 'action-request-normal') return answer(request);
    const { method, parameters, invokeId } = request;
    const proof = parameters?.type === 'octet-string' ? Buffer.from(parameters.value) : none;
    if (method.classId !== 15 || method.method !== 1 || proof.length < 5) return answer(request);
    if (acceptsCounter(deviation, Buffer.from(proof).readUInt32BE(1), counters)) return answer(request);
    return { kind: 'action-response-normal', invokeId, response: { result: accessResult['read-write-denied'] } };
  };
function acceptsCounter(
  deviation: NonNullable<Deviations['gmacCounter']>,
  counter: number,
  { atEntry, heard }: { readonly atEntry: number; readonly heard: number },
): boolean {
  if (deviation === 'next-of-association') return counter === atEntry + 1;
  return deviation === 'must-advance' ? counter > atEntry && counter < heard : counter === heard;
}

const shortLists =
  (limit: number): Service =>
  (request, answer) => {
    if (request.kind !== 'get-request-with-list' || request.attributes.length <= limit) return answer(request);
    const answered = answer({ ...request, attributes: [] });
    return answered.kind === 'exception-response'
      ? answered
      : { kind: 'exception-response', stateError: 1, serviceError: 2 };
  };

const longSetAborted = 17;
/** The server inside gets a block that it must refuse, so that it neither keeps the value nor takes it. */
const abortedSet: Service = (request, answer) => {
  if (request.kind !== 'set-request-with-first-datablock') return answer(request);
  const answered = answer({ ...request, block: { ...request.block, number: 0 } });
  return answered.kind === 'set-response-last-datablock'
    ? { ...answered, result: longSetAborted, number: request.block.number }
    : answered;
};

/** The octets of a value that is being answered; blocks are asked of the server inside to the last one. */
function valueOctets(answered: Apdu, answer: (request: Apdu) => Apdu): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let one = answered; one.kind === 'get-response-with-datablock'; ) {
    if (!('raw' in one.result)) return undefined;
    parts.push(one.result.raw);
    if (one.last) return concat(parts);
    one = answer({ kind: 'get-request-next', invokeId: one.invokeId, number: one.number });
  }
  return undefined;
}
function otherValues(value: NonNullable<Deviations['value']>): Service {
  let long: LongAnswer | undefined;
  return (request, answer, { room }) => {
    const next = (invokeId: number, going: LongAnswer): Apdu => {
      const block = takeBlock(going, room);
      long = block.last ? undefined : going;
      return asBlock('get', invokeId, block);
    };
    if (long && request.kind === 'get-request-next') {
      if (request.number === long.number) return next(request.invokeId, long);
      long = undefined;
      return blockRefused('get', request.invokeId, request.number, true);
    }
    long = undefined;
    const answered = answer(request);
    if (request.kind !== 'get-request-normal') return answered;
    const { classId, attribute } = request.attribute;
    if (answered.kind === 'get-response-normal') {
      const odd = 'data' in answered.result ? value(classId, attribute, answered.result.data) : undefined;
      return odd ? next(request.invokeId, longAnswer('get', odd)) : answered;
    }
    const whole = valueOctets(answered, answer);
    if (!whole) return answered;
    const octets = value(classId, attribute, decode(dataCodec, whole)) ?? whole;
    return next(request.invokeId, longAnswer('get', octets));
  };
}

/** Everything that a meter deviates in, around its services; the last one in the list sees the client's request first. */
export function deviatingService(deviations: Deviations): Service {
  const { firstBlock, emptyBlock, gmacCounter, listLimit, abortsSet, value } = deviations;
  const all: Service[] = [
    ...(listLimit === undefined ? [] : [shortLists(listLimit)]),
    ...(abortsSet === true ? [abortedSet] : []),
    ...(gmacCounter ? [counted(gmacCounter)] : []),
    ...(value ? [otherValues(value)] : []),
    ...(emptyBlock ? [emptyBlock === 'last' ? emptyLast() : emptySecond()] : []),
    ...(firstBlock ? [numbered(firstBlock)] : []),
  ];
  return (request, answer, standing) => {
    let outermost = answer;
    for (const deviation of all) {
      const inner = outermost;
      outermost = (asked) => deviation(asked, inner, standing);
    }
    return outermost(request);
  };
}

/**
 * An AARQ whose InitiateRequest carries a tag beside its encryption is handed on without it, so that it is refused. `whileEntering`
 * stands around the answer, for the counter of InitiateResponse is 0 then.
 */
export const encryptedInitiate =
  (whileEntering: (answer: () => Uint8Array | undefined) => Uint8Array | undefined): Octets =>
  (request, answer) =>
    request[0] === aarqTag ? whileEntering(() => answer(withoutTaggedInitiate(request))) : answer(request);
const aarqTag = 0x60;
function withoutTaggedInitiate(octets: Uint8Array): Uint8Array {
  try {
    const aarq = decodeAcse(octets);
    if (aarq.kind !== 'aarq' || !aarq.userInformation) return octets;
    const { apdu } = decodeApdu(aarq.userInformation);
    const right = !Ciphering.isCiphered(apdu) || ((apdu.content[0] ?? 0) & 0xf0) === protectionBits.encrypted;
    return right ? octets : encodeAcse({ ...aarq, userInformation: none });
  } catch {
    // The server inside refuses what cannot be read.
    return octets;
  }
}
