/**
 * What is too long for one APDU (9.4.6.3): an answer leaves in the blocks of its service, one for each request, and values
 * that are set, or given to a method, come in them.
 */
import { decode } from '../../base/codec.ts';
import { type Data, dataCodec } from '../axdr/data.ts';
import { type Apdu, valueList } from '../xdlms/apdu.ts';
import type { AttributeToSet, MethodOf } from './server-objects.ts';

export type LongKind = 'get' | 'action' | 'read';
export interface LongAnswer {
  readonly kind: LongKind;
  readonly octets: Uint8Array;
  sent: number;
  /** Of the block that was sent last; 0 before the first. */
  number: number;
}
export interface Block {
  readonly last: boolean;
  readonly number: number;
  readonly raw: Uint8Array;
}
export const longAnswer = (kind: LongKind, octets: Uint8Array): LongAnswer => ({ kind, octets, sent: 0, number: 0 });

/** The next block, in an APDU of `room` octets at most. */
export function takeBlock(long: LongAnswer, room: number): Block {
  // Tag, choice, invoke-id, last, number, result choice and a length of three octets stand before the raw data.
  const size = Math.max(1, room - 12);
  const raw = long.octets.subarray(long.sent, long.sent + size);
  long.sent += raw.length;
  long.number += 1;
  return { last: long.sent >= long.octets.length, number: long.number, raw };
}

export function asBlock(kind: LongKind, invokeId: number, block: Block): Apdu {
  const { last, number, raw } = block;
  switch (kind) {
    case 'get':
      return { kind: 'get-response-with-datablock', invokeId, last, number, result: { raw } };
    case 'action':
      return { kind: 'action-response-with-pblock', invokeId, block };
    case 'read':
      return { kind: 'read-response', results: [{ kind: 'data-block', value: block }] };
  }
}

const blockNumberInvalid = 19;
const noLongAnswer = 16;
/** The client asks for another block than the next one, or for one of an answer that there is not. */
export function blockRefused(kind: LongKind, invokeId: number, number: number, underWay: boolean): Apdu {
  const refused = underWay ? blockNumberInvalid : noLongAnswer;
  switch (kind) {
    case 'get':
      return { kind: 'get-response-with-datablock', invokeId, last: true, number, result: { refused } };
    case 'action':
      return { kind: 'action-response-normal', invokeId, response: { result: refused } };
    case 'read':
      return { kind: 'read-response', results: [{ kind: 'refused', value: refused }] };
  }
}

/** What the value, or the values of a list, that come in blocks are for. */
export type BlocksFor =
  | { readonly attribute: AttributeToSet }
  | { readonly attributes: readonly AttributeToSet[] }
  | { readonly method: MethodOf }
  | { readonly methods: readonly MethodOf[] };
export const isSet = (what: BlocksFor): boolean => 'attribute' in what || 'attributes' in what;
/** A value for each member; undefined where the octets are none. */
export function valuesOf(what: BlocksFor, octets: Uint8Array): readonly Data[] | undefined {
  const members = 'attributes' in what ? what.attributes : 'methods' in what ? what.methods : undefined;
  try {
    if (!members) return [decode(dataCodec, octets)];
    const values = decode(valueList, octets);
    return values.length === members.length ? values : undefined;
  } catch {
    return undefined;
  }
}
/** The end of what comes in blocks and is not taken; a list has a result for each of its members. */
export function stopped(what: BlocksFor, invokeId: number, result: number, number: number): Apdu {
  if ('attribute' in what) return { kind: 'set-response-last-datablock', invokeId, result, number };
  if ('attributes' in what)
    return {
      kind: 'set-response-last-datablock-with-list',
      invokeId,
      results: what.attributes.map(() => result),
      number,
    };
  const response = { result, returned: undefined };
  return 'method' in what
    ? { kind: 'action-response-normal', invokeId, response }
    : { kind: 'action-response-with-list', invokeId, responses: what.methods.map(() => response) };
}
