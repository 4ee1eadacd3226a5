/** An answer that is longer than the client takes: it leaves in the blocks of its service, one for each request (9.4.6.3). */
import type { Apdu } from '../xdlms/apdu.ts';

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
