/** One service under way in the client role: what is sent first, and what follows from each answer. */
import { type Budget, Writer } from '../../base/cursor.ts';
import { decode, encode } from '../../base/codec.ts';
import { Failure, messageOf } from '../../base/errors.ts';
import type { AcseApdu } from '../acse/apdu.ts';
import type { Data } from '../axdr/data.ts';
import { dataCodec } from '../axdr/data.ts';
import type { LogicalName } from '../cosem/logical-name.ts';
import { type Apdu, type ApduOf, type Attribute, encodeApdu, type GetResult } from '../xdlms/apdu.ts';
import type { Conformance } from '../xdlms/conformance.ts';

/** One item of an ACCESS request. */
export type AccessItem =
  | { readonly kind: 'get'; readonly attribute: Attribute }
  | { readonly kind: 'set'; readonly attribute: Attribute; readonly value: Data }
  | { readonly kind: 'action'; readonly method: Method; readonly parameters?: Data };
export interface Method {
  readonly classId: number;
  readonly logicalName: LogicalName;
  readonly method: number;
}
export interface Invocation extends Method {
  readonly parameters?: Data;
}
export interface Assignment {
  readonly attribute: Attribute;
  readonly value: Data;
}
export type ServiceRequest =
  /** `stream`: the octets of the one value come as events while blocks arrive; the result then holds no data. */
  | { readonly kind: 'get'; readonly attributes: readonly Attribute[]; readonly stream?: boolean }
  | { readonly kind: 'set'; readonly assignments: readonly Assignment[] }
  | { readonly kind: 'action'; readonly invocations: readonly Invocation[] }
  | { readonly kind: 'access'; readonly items: readonly AccessItem[] };
export interface ActionResult {
  /** action-result; 0 = success. */
  readonly result: number;
  readonly returned?: GetResult | undefined;
}
export type ServiceEvent =
  | { readonly kind: 'got'; readonly results: readonly GetResult[] }
  /** data-access-results; 0 = success. */
  | { readonly kind: 'was-set'; readonly results: readonly number[] }
  | { readonly kind: 'acted'; readonly results: readonly ActionResult[] }
  /** result 0 = success; data only then, and null-data for set. */
  | { readonly kind: 'accessed'; readonly results: readonly { readonly result: number; readonly data: Data }[] }
  /** Progress of a long answer: octets so far. */
  | { readonly kind: 'block'; readonly octets: number }
  /** The next octets of a value that was asked for as a stream. */
  | { readonly kind: 'value-octets'; readonly octets: Uint8Array };

/** What the association has agreed, as a service needs it. */
export interface ExchangeContext {
  readonly negotiated: Conformance;
  /** Octets that a request APDU may have before protection. */
  readonly maxRequest: number;
  /** Octets that a request for a list should not exceed. */
  readonly maxList: number;
  /** Most items in one list. */
  readonly listLimit: number;
  /** The longest value that comes as a stream of blocks, octets. */
  readonly valueLimit: number;
  /** What all values of this service may be built up to. */
  readonly budget: Budget;
  /** Short-name referencing: base names of objects. */
  readonly shortNames?: ReadonlyMap<LogicalName, number> | undefined;
  nextInvokeId(): number;
  emit(event: ServiceEvent): void;
}
/** What follows from an answer: a request, the end, or nothing (not ours, or the same once more). */
export type Step = { readonly send: Apdu } | { readonly done: ServiceEvent } | 'ignore';
/** Whatever came from the meter. */
export type Answer = Apdu | AcseApdu;
export interface Exchange {
  first(): Apdu;
  /** Throws Failure where the answer breaks the rules. */
  answer(apdu: Answer): Step;
}

/** Confirmed service, high priority: C0 with the invoke-id in the low four bits. */
export const invokePriority = 0xc0;
/** The priority bit that some meters change does not count (meter-quirks 49). */
export const sameInvoke = (apdu: Answer, invokeId: number): boolean =>
  'invokeId' in apdu && (apdu.invokeId & 0x0f) === (invokeId & 0x0f);

export const unexpected = (apdu: Answer, service: string): Failure =>
  new Failure('unexpected-apdu', `${apdu.kind} in answer to ${service}`);
export const sizeOf = (apdu: Apdu): number => encodeApdu(apdu).length;

/** Cuts items into lists that the meter takes: not more than the limit, not longer than its PDU. */
export function takeList<T>(items: readonly T[], limit: number, fits: (list: readonly T[]) => boolean): readonly T[] {
  let count = Math.min(items.length, Math.max(1, limit));
  while (count > 1 && !fits(items.slice(0, count))) count--;
  return items.slice(0, count);
}

/** A value that goes out in blocks. */
export class OutgoingBlocks {
  private readonly raw: Uint8Array;
  private readonly size: number;
  private sent = 0;
  private number = 0;
  constructor(value: Data, maxRequest: number) {
    this.raw = encode(dataCodec, value);
    // Tags, invoke-id, descriptor, selection, last, number and a length of three octets stand before the raw data.
    this.size = Math.max(1, maxRequest - 24);
  }
  next(): { last: boolean; number: number; raw: Uint8Array } {
    const raw = this.raw.subarray(this.sent, this.sent + this.size);
    this.sent += raw.length;
    this.number += 1;
    return { last: this.sent >= this.raw.length, number: this.number, raw };
  }
  /** The meter took block `number`: whether the next one is to be sent, or the acknowledgement came twice. */
  acknowledged(number: number): boolean {
    if (number === this.number - 1) return false;
    if (number !== this.number || this.sent >= this.raw.length) {
      throw new Failure('block-out-of-order', `block ${number} acknowledged, ${this.number} was sent`);
    }
    return true;
  }
}

/** Some meters send an empty block in the middle (meter-quirks 51); a row of them is no answer. */
const emptyBlocksLimit = 3;

/** Blocks of one value: those of 64 octets make up the longest one that is held, several times. */
const blockLimit = 1 << 17;
type BlockContext = Pick<ExchangeContext, 'valueLimit' | 'budget' | 'emit'>;
/** A value that comes in blocks. */
export class IncomingBlocks {
  /** Octets, not blocks: a block of one octet takes a hundred in memory. */
  private held = new Writer();
  private empty = 0;
  private octets = 0;
  private blocks = 0;
  private expected: number | undefined;
  private readonly context: BlockContext;
  private readonly stream: boolean;
  constructor(context: BlockContext, stream = false) {
    this.context = context;
    this.stream = stream;
  }
  /** False where the block came twice: the answer to a repeated request. */
  take(number: number, raw: Uint8Array, last: boolean): boolean {
    // Blocks are counted from 1; some meters begin with 0 or do not begin anew (meter-quirks 50, 52).
    if (this.expected !== undefined && number !== this.expected) {
      if (number === this.expected - 1) return false;
      throw new Failure('block-out-of-order', `block ${number} where ${this.expected} is expected`);
    }
    this.empty = raw.length > 0 ? 0 : this.empty + 1;
    if (this.empty > emptyBlocksLimit && !last) {
      throw new Failure('answer-stalled', `${this.empty} blocks in a row without content`);
    }
    this.expected = number + 1;
    this.octets += raw.length;
    this.blocks++;
    const { valueLimit, budget } = this.context;
    if (this.octets > valueLimit) throw new Failure('answer-too-long', `more than ${valueLimit} octets in blocks`);
    if (this.blocks > blockLimit) throw new Failure('answer-too-long', `more than ${blockLimit} blocks`);
    if (this.stream) this.context.emit({ kind: 'value-octets', octets: raw });
    else {
      budget.octets -= raw.length;
      if (budget.octets < 0) throw new Failure('answer-too-long', `no end after ${this.octets} octets in blocks`);
      this.held.put(raw);
    }
    if (!last) this.context.emit({ kind: 'block', octets: this.octets });
    return true;
  }
  get begun(): boolean {
    return this.expected !== undefined;
  }
  whole<T>(codec: Parameters<typeof decode<T>>[0]): T {
    const raw = this.held.octets();
    this.held = new Writer();
    try {
      // Octets after a complete value are padding of some meters (meter-quirks 51).
      return decode(codec, raw, () => {}, this.context.budget);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure('malformed-octets', `value in blocks: ${messageOf(error)}`);
    }
  }
}

const stateErrors: Record<number, string> = { 1: 'service not allowed', 2: 'service unknown' };
const serviceErrors: Record<number, string> = {
  1: 'operation not possible',
  2: 'service not supported',
  3: 'other reason',
  4: 'PDU too long',
  5: 'deciphering error',
  6: 'invocation counter error',
};
/** Which list a service error is of (Green Book 9.5, ServiceError). */
const errorLists = [
  'applicationReference',
  'hardwareResource',
  'vdeStateError',
  'service',
  'definition',
  'access',
  'initiateError',
  'loadDataSet',
  'changeScope',
  'task',
];
const initiateErrors: Record<number, string> = {
  0: 'other',
  1: 'DLMS version too low',
  2: 'incompatible conformance',
  3: 'PDU size too short',
  4: 'refused by the VDE handler',
};
export type ErrorApdu = ApduOf<'exception-response' | 'confirmed-service-error'>;
/** Errors may come in the clear even in a ciphered association (Green Book 9.4.2.2.2). */
export const isOpen = (apdu: Apdu): apdu is ErrorApdu =>
  apdu.kind === 'exception-response' || apdu.kind === 'confirmed-service-error';
/** Sent by a meter of its own accord. */
export const isUnasked = ({ kind }: Apdu): boolean =>
  /(^data|event)-notification$|information-report-request$/.test(kind);

/** An error of the meter, for people. */
export function describeError(apdu: Apdu): string {
  if (apdu.kind === 'exception-response') {
    return `exception-response: ${stateErrors[apdu.stateError] ?? apdu.stateError}, ${serviceErrors[apdu.serviceError] ?? apdu.serviceError}`;
  }
  if (apdu.kind === 'confirmed-service-error') {
    const value = apdu.error === 6 ? (initiateErrors[apdu.value] ?? apdu.value) : apdu.value;
    return `confirmed-service-error: service ${apdu.service}, ${errorLists[apdu.error] ?? `error ${apdu.error}`}: ${value}`;
  }
  return apdu.kind;
}
