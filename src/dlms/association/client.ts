/**
 * The application association, client side: AARQ, GET, SET, ACTION, RLRQ; block transfer is a state, not a loop
 * (Green Book 9.3, 9.4). APDUs in, APDUs and events out.
 */
import { concat } from '../../base/cursor.ts';
import { decode } from '../../base/codec.ts';
import { CodecError, Failure, messageOf } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import {
  type AcseApdu,
  applicationContext,
  decodeAcse,
  encodeAcse,
  isAcse,
  mechanism,
  userDiagnostic,
} from '../acse/apdu.ts';
import { type Data, dataCodec } from '../axdr/data.ts';
import {
  actionResultName,
  type Apdu,
  type Attribute,
  dataAccessResult,
  decodeApdu,
  encodeApdu,
  type GetResult,
  getResults,
} from '../xdlms/apdu.ts';
import { type Conformance, conformance, has } from '../xdlms/conformance.ts';
import { type AssociationInput, type AssociationState, associationTable } from './client-states.ts';

export interface AssociationSettings {
  readonly mechanism: 'none' | 'lls';
  /** The LLS password. */
  readonly secret?: Uint8Array;
  readonly proposed: Conformance;
  /** The longest APDU that we take, octets. */
  readonly maxPdu: number;
  /** Time for each answer, a safety net above the link's own. */
  readonly answerTimeoutMs: number;
  /** The longest value that block transfer may build up, octets. */
  readonly valueLimit: number;
}
export const proposedByDefault: Conformance = conformance(
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
  'multiple-references',
  'get',
  'set',
  'selective-access',
  'action',
);

export type AssociationRequest =
  | { readonly kind: 'associate' }
  | { readonly kind: 'get'; readonly attributes: readonly Attribute[] }
  | { readonly kind: 'set'; readonly attribute: Attribute; readonly value: Data }
  | {
      readonly kind: 'action';
      readonly classId: number;
      readonly logicalName: string;
      readonly method: number;
      readonly parameters?: Data;
    }
  | { readonly kind: 'release' };
export type AssociationEvent =
  | { readonly kind: 'associated'; readonly conformance: Conformance; readonly maxPdu: number }
  | { readonly kind: 'got'; readonly results: readonly GetResult[] }
  /** data-access-result; 0 = success. */
  | { readonly kind: 'was-set'; readonly result: number }
  /** action-result; 0 = success. */
  | { readonly kind: 'acted'; readonly result: number; readonly returned?: GetResult }
  /** Progress of a long answer: octets so far. */
  | { readonly kind: 'block'; readonly octets: number }
  | { readonly kind: 'released' }
  | { readonly kind: 'notified'; readonly apdu: Apdu }
  | { readonly kind: 'failed'; readonly error: Failure };

type ServiceRequest = Exclude<AssociationRequest, { kind: 'associate' | 'release' }>;
interface Pending {
  readonly request: ServiceRequest;
  readonly invokeId: number;
  /** The attributes of a GET still to be asked, where lists are not allowed. */
  readonly rest: readonly Attribute[];
  readonly asked: number;
  readonly results: GetResult[];
  blocks: Uint8Array[];
  blockOctets: number;
  nextBlock: number | undefined;
}
/** Confirmed service, high priority: C0 with the invoke-id in the low four bits. */
const invokePriority = 0xc0;

export class ClientAssociation implements Machine<AssociationRequest, AssociationEvent> {
  state: AssociationState = 'idle';
  /** Octets that followed complete APDUs: harmless padding of some meters, counted. */
  trailing = 0;
  private readonly settings: AssociationSettings;
  private readonly out: Uint8Array[] = [];
  private readonly events: AssociationEvent[] = [];
  private negotiated: Conformance = 0;
  private serverMaxPdu = 0xffff;
  private invokeId = 0;
  private pending: Pending | undefined;
  private timer: Millis | undefined;

  constructor(settings: AssociationSettings) {
    this.settings = settings;
  }
  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  pollEvent(): AssociationEvent | undefined {
    return this.events.shift();
  }
  deadline(): Millis | undefined {
    return this.timer;
  }
  /** The caller no longer waits for the answer; a late one is ignored. */
  abandon(): void {
    this.pending = undefined;
    this.timer = undefined;
  }
  /** The link below went down. */
  reset(): void {
    this.state = 'idle';
    this.pending = undefined;
    this.timer = undefined;
  }

  request(request: AssociationRequest, now: Millis): void {
    const service = request.kind !== 'associate' && request.kind !== 'release';
    const action = associationTable[this.state][service ? 'service' : request.kind];
    if (action === 'ignore') return;
    if (action === 'misuse') throw new Failure('not-associated', `${request.kind} while ${this.state}`);
    if (this.pending) throw new Failure('busy', `${request.kind} before the answer to ${this.pending.request.kind}`);
    if (request.kind === 'associate') {
      this.state = 'associating';
      this.send(this.aarq(), now);
    } else if (request.kind === 'release') {
      this.state = 'releasing';
      this.send(encodeAcse({ kind: 'rlrq', reason: 0 }), now);
    } else this.serve(request, now);
  }

  private aarq(): Uint8Array {
    const { settings } = this;
    const userInformation = encodeApdu({
      kind: 'initiate-request',
      responseAllowed: true,
      version: 6,
      conformance: settings.proposed,
      maxPdu: settings.maxPdu,
    });
    const context = applicationContext['logical-name'];
    if (settings.mechanism === 'none')
      return encodeAcse({ kind: 'aarq', applicationContext: context, userInformation });
    if (!settings.secret) throw new Failure('secret-missing', 'LLS needs a password');
    return encodeAcse({
      kind: 'aarq',
      applicationContext: context,
      authentication: true,
      mechanism: mechanism[settings.mechanism],
      authenticationValue: settings.secret,
      userInformation,
    });
  }

  private send(apdu: Uint8Array, now: Millis): void {
    if (apdu.length > this.serverMaxPdu && this.state === 'associated') {
      this.pending = undefined;
      throw new Failure('request-too-long', `request of ${apdu.length} octets, the meter takes ${this.serverMaxPdu}`);
    }
    this.out.push(apdu);
    this.timer = later(now, this.settings.answerTimeoutMs);
  }

  private serve(request: ServiceRequest, now: Millis): void {
    this.invokeId = (this.invokeId + 1) & 0x0f;
    const invokeId = invokePriority | this.invokeId;
    const begin = (asked: number, rest: readonly Attribute[]): void => {
      this.pending = { request, invokeId, rest, asked, results: [], blocks: [], blockOctets: 0, nextBlock: undefined };
    };
    switch (request.kind) {
      case 'get': {
        if (request.attributes.length === 0) throw new Failure('bad-argument', 'GET of nothing');
        const together = request.attributes.length === 1 || has(this.negotiated, 'multiple-references');
        begin(together ? request.attributes.length : 1, together ? [] : request.attributes.slice(1));
        return this.sendGet(together ? request.attributes : request.attributes.slice(0, 1), invokeId, now);
      }
      case 'set': {
        const { selection, ...attribute } = request.attribute;
        begin(1, []);
        const apdu: Apdu = { kind: 'set-request-normal', invokeId, attribute, value: request.value };
        return this.send(encodeApdu(selection ? { ...apdu, selection } : apdu), now);
      }
      case 'action': {
        const { classId, logicalName, method, parameters } = request;
        begin(1, []);
        const apdu: Apdu = { kind: 'action-request-normal', invokeId, method: { classId, logicalName, method } };
        return this.send(encodeApdu(parameters ? { ...apdu, parameters } : apdu), now);
      }
    }
  }

  private sendGet(attributes: readonly Attribute[], invokeId: number, now: Millis): void {
    const [first] = attributes;
    if (attributes.length > 1 || !first) {
      return this.send(encodeApdu({ kind: 'get-request-with-list', invokeId, attributes: [...attributes] }), now);
    }
    const { selection, ...attribute } = first;
    const apdu: Apdu = { kind: 'get-request-normal', invokeId, attribute };
    this.send(encodeApdu(selection ? { ...apdu, selection } : apdu), now);
  }

  receive(octets: Uint8Array, now: Millis): void {
    let apdu: Apdu | AcseApdu;
    try {
      if (octets.length > 0 && isAcse(octets[0] as number)) apdu = decodeAcse(octets);
      else {
        const decoded = decodeApdu(octets);
        apdu = decoded.apdu;
        this.trailing += decoded.trailing;
      }
    } catch (error) {
      // A malformed answer to our RLRQ ends the association all the same (meter-quirks 46).
      if (this.state === 'releasing') return this.apply('timeout', now);
      if (this.state === 'idle') return;
      return this.fail(new Failure('malformed-octets', messageOf(error), { octets }));
    }
    switch (apdu.kind) {
      case 'aare':
      case 'rlre':
        return this.apply(apdu.kind, now, apdu);
      case 'event-notification':
      case 'data-notification':
        return this.apply('notification', now, apdu);
      case 'exception-response':
      case 'confirmed-service-error':
        return this.apply('error', now, apdu);
      default:
        return this.apply('response', now, apdu);
    }
  }

  wake(now: Millis): void {
    if (this.timer !== undefined && now >= this.timer) this.apply('timeout', now);
  }

  private apply(input: AssociationInput, now: Millis, apdu?: Apdu | AcseApdu): void {
    switch (associationTable[this.state][input]) {
      case 'associated':
        return this.associated(apdu as AcseApdu & { kind: 'aare' });
      case 'answer':
        return this.answer(apdu as Apdu, now);
      case 'notify':
        this.events.push({ kind: 'notified', apdu: apdu as Apdu });
        return;
      case 'released':
        this.reset();
        this.events.push({ kind: 'released' });
        return;
      case 'refused':
        return this.fail(
          new Failure('association-refused', `the meter answered AARQ with ${describeError(apdu as Apdu)}`),
        );
      case 'service-error': {
        if (!this.pending) return;
        // The association stands; only this request failed.
        const error = new Failure('service-exception', `the meter answered ${describeError(apdu as Apdu)}`, { apdu });
        this.pending = undefined;
        this.timer = undefined;
        this.events.push({ kind: 'failed', error });
        return;
      }
      case 'no-answer':
        return this.fail(new Failure('no-answer', 'no answer within the application time-out'));
      default:
        return;
    }
  }

  private fail(error: Failure): void {
    this.reset();
    this.events.push({ kind: 'failed', error });
  }

  private associated(aare: AcseApdu & { kind: 'aare' }): void {
    this.timer = undefined;
    const { diagnostic } = aare;
    if (aare.result !== 0) {
      const name =
        diagnostic.source === 'acse-service-user' ? (userDiagnostic[diagnostic.code] ?? 'unknown') : 'service provider';
      // An authentication failure is never repeated by itself: meters lock for up to 24 h (R26).
      const authentication =
        diagnostic.source === 'acse-service-user' && diagnostic.code >= 11 && diagnostic.code <= 14;
      const code = authentication ? 'authentication-refused' : 'association-refused';
      return this.fail(
        new Failure(code, `association refused: ${name} (${diagnostic.code}), result ${aare.result}`, { diagnostic }),
      );
    }
    if (diagnostic.source === 'acse-service-user' && diagnostic.code === 14) {
      return this.fail(
        new Failure('authentication-refused', 'the meter wants the second pass of high level security', { diagnostic }),
      );
    }
    let initiate: Apdu;
    try {
      initiate = decodeApdu(aare.userInformation ?? new Uint8Array(0)).apdu;
    } catch (error) {
      return this.fail(new Failure('malformed-octets', `InitiateResponse: ${messageOf(error)}`));
    }
    if (initiate.kind !== 'initiate-response') {
      const what = initiate.kind === 'confirmed-service-error' ? describeError(initiate) : initiate.kind;
      return this.fail(new Failure('association-refused', `the meter answered InitiateRequest with ${what}`));
    }
    this.state = 'associated';
    this.negotiated = initiate.conformance & this.settings.proposed;
    // Below 12 octets no service fits; 0 means no limit (Green Book 9.4.4.2).
    this.serverMaxPdu = initiate.maxPdu >= 12 ? initiate.maxPdu : 0xffff;
    this.events.push({ kind: 'associated', conformance: this.negotiated, maxPdu: initiate.maxPdu });
  }

  private answer(apdu: Apdu, now: Millis): void {
    const { pending } = this;
    // Replies to an earlier request, and the priority bit that some meters change (meter-quirks 10, 49).
    if (!pending || !('invokeId' in apdu) || (apdu.invokeId & 0x0f) !== (pending.invokeId & 0x0f)) return;
    switch (apdu.kind) {
      case 'get-response-normal':
        if (pending.request.kind !== 'get' || pending.asked !== 1) break;
        return this.got([apdu.result], now);
      case 'get-response-with-list':
        if (pending.request.kind !== 'get') break;
        if (apdu.results.length !== pending.asked) {
          return this.fail(
            new Failure('unexpected-apdu', `${apdu.results.length} results for ${pending.asked} attributes`),
          );
        }
        return this.got(apdu.results, now);
      case 'get-response-with-datablock':
        if (pending.request.kind !== 'get') break;
        return this.block(apdu, pending, now);
      case 'set-response-normal':
        if (pending.request.kind !== 'set') break;
        return this.done({ kind: 'was-set', result: apdu.result });
      case 'action-response-normal': {
        if (pending.request.kind !== 'action') break;
        const { result, returned } = apdu.response;
        return this.done(returned ? { kind: 'acted', result, returned } : { kind: 'acted', result });
      }
      default:
        break;
    }
    this.fail(new Failure('unexpected-apdu', `${apdu.kind} in answer to ${pending.request.kind}`));
  }

  private block(apdu: Apdu & { kind: 'get-response-with-datablock' }, pending: Pending, now: Millis): void {
    if ('refused' in apdu.result) {
      const refused = apdu.result.refused;
      return this.got(
        Array.from({ length: pending.asked }, () => ({ refused })),
        now,
      );
    }
    const expected = pending.nextBlock;
    // Blocks are counted from 1; some meters begin with 0 or do not begin anew (meter-quirks 50, 52).
    if (expected !== undefined && apdu.number !== expected) {
      if (apdu.number === expected - 1) return; // The same block again: the answer to our repeated request.
      return this.fail(new Failure('block-out-of-order', `block ${apdu.number} where ${expected} is expected`));
    }
    pending.blocks.push(apdu.result.raw);
    pending.blockOctets += apdu.result.raw.length;
    if (pending.blockOctets > this.settings.valueLimit) {
      return this.fail(new Failure('answer-too-long', `more than ${this.settings.valueLimit} octets in blocks`));
    }
    if (!apdu.last) {
      pending.nextBlock = apdu.number + 1;
      this.events.push({ kind: 'block', octets: pending.blockOctets });
      return this.send(encodeApdu({ kind: 'get-request-next', invokeId: pending.invokeId, number: apdu.number }), now);
    }
    const raw = concat(pending.blocks);
    try {
      const trailing = (rest: Uint8Array) => {
        this.trailing += rest.length;
      };
      const results =
        pending.asked === 1 ? [{ data: decode(dataCodec, raw, trailing) }] : decode(getResults, raw, trailing);
      if (results.length !== pending.asked) throw new CodecError(`${results.length} results for ${pending.asked}`, 0);
      this.got(results, now);
    } catch (error) {
      this.fail(new Failure('malformed-octets', `value in blocks: ${messageOf(error)}`, { octets: raw }));
    }
  }

  private got(results: readonly GetResult[], now: Millis): void {
    const pending = this.pending as Pending;
    pending.results.push(...results);
    const [next] = pending.rest;
    if (!next) return this.done({ kind: 'got', results: pending.results });
    this.invokeId = (this.invokeId + 1) & 0x0f;
    const invokeId = invokePriority | this.invokeId;
    this.pending = {
      ...pending,
      invokeId,
      rest: pending.rest.slice(1),
      blocks: [],
      blockOctets: 0,
      nextBlock: undefined,
    };
    this.sendGet([next], invokeId, now);
  }

  private done(event: AssociationEvent): void {
    this.pending = undefined;
    this.timer = undefined;
    this.events.push(event);
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
const initiateErrors: Record<number, string> = {
  0: 'other',
  1: 'DLMS version too low',
  2: 'incompatible conformance',
  3: 'PDU size too short',
  4: 'refused by the VDE handler',
};
function describeError(apdu: Apdu): string {
  if (apdu.kind === 'exception-response') {
    return `exception-response: ${stateErrors[apdu.stateError] ?? apdu.stateError}, ${serviceErrors[apdu.serviceError] ?? apdu.serviceError}`;
  }
  if (apdu.kind === 'confirmed-service-error') {
    const value = apdu.error === 6 ? (initiateErrors[apdu.value] ?? apdu.value) : apdu.value;
    return `confirmed-service-error: service ${apdu.service}, error ${apdu.error}, ${value}`;
  }
  return apdu.kind;
}

/** The name of a data-access-result or action-result for people. */
export const refusalName = (code: number, action = false): string =>
  (action ? actionResultName : dataAccessResult)[code] ?? `result ${code}`;
