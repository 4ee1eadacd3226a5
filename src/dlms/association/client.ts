/**
 * The application association, client side: AARQ, GET, SET, ACTION, RLRQ; block transfer is a state, not a loop
 * (Green Book 9.3, 9.4). APDUs in, APDUs and events out.
 */
import { concat } from '../../base/cursor.ts';
import { decode, encode } from '../../base/codec.ts';
import { CodecError, Failure, messageOf } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import type { Secret } from '../../base/secret.ts';
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
import { type Conformance, type ConformanceName, conformance, has } from '../xdlms/conformance.ts';
import { type HlsMechanism, type HlsParty, hlsProof, hlsVerify } from '../security/hls.ts';
import { Ciphering, type CipheringSettings } from './ciphering.ts';
import { type AssociationInput, type AssociationState, associationTable } from './client-states.ts';

export interface AssociationSettings {
  readonly mechanism: 'none' | 'lls' | HlsMechanism;
  /** The password of LLS, or the secret of HLS by MD5, SHA-1, SHA-256 and of the manufacturer's mechanism. */
  readonly secret?: Secret;
  /** Our challenge for HLS, 8 to 64 octets, fresh for every association. */
  readonly challenge?: Uint8Array;
  /** Ciphered context; also the keys of HLS by GMAC. */
  readonly ciphering?: CipheringSettings;
  /** Our system title, where a mechanism wants it without ciphering (HLS by SHA-256). */
  readonly systemTitle?: Uint8Array;
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
  /** A SET or ACTION whose value goes out in blocks. */
  outgoing?: { readonly raw: Uint8Array; sent: number; number: number };
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
  private readonly ciphering: Ciphering | undefined;
  private party: HlsParty | undefined;
  private negotiated: Conformance = 0;
  private serverMaxPdu = 0xffff;
  private invokeId = 0;
  private pending: Pending | undefined;
  private timer: Millis | undefined;

  constructor(settings: AssociationSettings) {
    this.settings = settings;
    this.ciphering = settings.ciphering && new Ciphering(settings.ciphering);
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
    const { settings, ciphering } = this;
    const dedicated = settings.ciphering?.dedicated;
    const initiate = encodeApdu({
      kind: 'initiate-request',
      ...(dedicated && { dedicatedKey: dedicated.reveal() }),
      responseAllowed: true,
      version: 6,
      conformance: settings.proposed,
      maxPdu: settings.maxPdu,
    });
    const title = settings.ciphering?.ownTitle ?? settings.systemTitle;
    const authentication = this.authenticationValue();
    return encodeAcse({
      kind: 'aarq',
      applicationContext: applicationContext[ciphering ? 'logical-name-ciphered' : 'logical-name'],
      ...(title && { callingApTitle: title }),
      ...(authentication && {
        authentication: true,
        mechanism: mechanism[settings.mechanism],
        authenticationValue: authentication,
      }),
      userInformation: ciphering ? ciphering.wrapInitiate(initiate) : initiate,
    });
  }

  /** The password of LLS, the challenge of HLS. */
  private authenticationValue(): Uint8Array | undefined {
    const { mechanism: chosen, secret, challenge } = this.settings;
    if (chosen === 'none') return undefined;
    if (chosen === 'lls') {
      if (!secret) throw new Failure('secret-missing', 'LLS needs a password');
      return secret.reveal();
    }
    if (chosen === 'hls-gmac' ? !this.ciphering : !secret) {
      throw new Failure('secret-missing', `${chosen} needs ${chosen === 'hls-gmac' ? 'keys' : 'a secret'}`);
    }
    if (!challenge || challenge.length < 8 || challenge.length > 64) {
      throw new Failure('bad-argument', 'HLS needs a challenge of 8 to 64 octets');
    }
    return challenge;
  }

  private send(apdu: Uint8Array, now: Millis): void {
    if (apdu.length > this.serverMaxPdu && this.state === 'associated') {
      this.pending = undefined;
      throw new Failure('request-too-long', `request of ${apdu.length} octets, the meter takes ${this.serverMaxPdu}`);
    }
    // AARQ and RLRQ are ACSE: what is ciphered in them is ciphered inside.
    this.out.push(this.ciphering && !isAcse(apdu[0] as number) ? this.ciphering.wrap(apdu) : apdu);
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
        const whole: Apdu = { kind: 'set-request-normal', invokeId, attribute, value: request.value };
        const octets = encodeApdu(selection ? { ...whole, selection } : whole);
        if (!this.isLong(octets, 'block-transfer-with-set-or-write')) return this.send(octets, now);
        const block = this.firstBlock(encode(dataCodec, request.value));
        const apdu: Apdu = { kind: 'set-request-with-first-datablock', invokeId, attribute, block };
        return this.send(encodeApdu(selection ? { ...apdu, selection } : apdu), now);
      }
      case 'action': {
        const { classId, logicalName, method, parameters } = request;
        begin(1, []);
        const descriptor = { classId, logicalName, method };
        const whole: Apdu = { kind: 'action-request-normal', invokeId, method: descriptor };
        const octets = encodeApdu(parameters ? { ...whole, parameters } : whole);
        if (!parameters || !this.isLong(octets, 'block-transfer-with-action')) return this.send(octets, now);
        const block = this.firstBlock(encode(dataCodec, parameters));
        return this.send(
          encodeApdu({ kind: 'action-request-with-first-pblock', invokeId, method: descriptor, block }),
          now,
        );
      }
    }
  }

  /** Octets of ciphering around an APDU: tag, length, title, security control, counter, tag of authentication. */
  private get overhead(): number {
    return this.ciphering ? 36 : 0;
  }
  private isLong(octets: Uint8Array, transfer: ConformanceName): boolean {
    return octets.length + this.overhead > this.serverMaxPdu && has(this.negotiated, transfer);
  }
  private firstBlock(raw: Uint8Array): { last: boolean; number: number; raw: Uint8Array } {
    (this.pending as Pending).outgoing = { raw, sent: 0, number: 0 };
    return this.nextOutgoing();
  }
  private nextOutgoing(): { last: boolean; number: number; raw: Uint8Array } {
    const outgoing = (this.pending as Pending).outgoing as NonNullable<Pending['outgoing']>;
    // Tags, invoke-id, descriptor, selection, last, number and a length of three octets stand before the raw data.
    const size = Math.max(1, this.serverMaxPdu - 24 - this.overhead);
    const raw = outgoing.raw.subarray(outgoing.sent, outgoing.sent + size);
    outgoing.sent += raw.length;
    outgoing.number += 1;
    return { last: outgoing.sent >= outgoing.raw.length, number: outgoing.number, raw };
  }
  /** The meter took block `number` and waits for the next. */
  private continueOutgoing(
    number: number,
    kind: 'set-request-with-datablock' | 'action-request-with-pblock',
    now: Millis,
  ): void {
    const { outgoing, invokeId } = this.pending as Pending;
    if (!outgoing)
      return this.fail(new Failure('unexpected-apdu', 'the meter asks for a block of a request that has none'));
    if (number === outgoing.number - 1) return; // The answer before, once more.
    if (number !== outgoing.number || outgoing.sent >= outgoing.raw.length) {
      return this.fail(new Failure('block-out-of-order', `block ${number} acknowledged, ${outgoing.number} was sent`));
    }
    this.send(encodeApdu({ kind, invokeId, block: this.nextOutgoing() }), now);
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
        let decoded = decodeApdu(octets);
        this.trailing += decoded.trailing;
        if (this.ciphering && Ciphering.isCiphered(decoded.apdu))
          decoded = decodeApdu(this.ciphering.unwrap(decoded.apdu));
        else if (this.ciphering && this.state !== 'idle' && !isOpen(decoded.apdu)) {
          throw new Failure('deciphering-failed', `${decoded.apdu.kind} came unprotected`);
        }
        apdu = decoded.apdu;
      }
    } catch (error) {
      // A malformed answer to our RLRQ ends the association all the same (meter-quirks 46).
      if (this.state === 'releasing') return this.apply('timeout', now);
      if (this.state === 'idle') return;
      return this.fail(
        error instanceof Failure ? error : new Failure('malformed-octets', messageOf(error), { octets }),
      );
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
        return this.associated(apdu as AcseApdu & { kind: 'aare' }, now);
      case 'authenticated':
        return this.authenticated(apdu as Apdu);
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

  private associated(aare: AcseApdu & { kind: 'aare' }, now: Millis): void {
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
    const hls = this.settings.mechanism !== 'none' && this.settings.mechanism !== 'lls';
    if (diagnostic.source === 'acse-service-user' && diagnostic.code === 14 && !hls) {
      return this.fail(
        new Failure('authentication-refused', 'the meter wants the second pass of high level security', { diagnostic }),
      );
    }
    const { ciphering } = this;
    const peerTitle = aare.respondingApTitle ?? new Uint8Array(0);
    if (ciphering) ciphering.peerTitle = peerTitle;
    let initiate: Apdu;
    try {
      initiate = decodeApdu(aare.userInformation ?? new Uint8Array(0)).apdu;
      if (ciphering && Ciphering.isCiphered(initiate)) initiate = decodeApdu(ciphering.unwrap(initiate)).apdu;
      else if (ciphering && initiate.kind === 'initiate-response') {
        throw new Failure('deciphering-failed', 'InitiateResponse came unprotected');
      }
    } catch (error) {
      if (error instanceof Failure) return this.fail(error);
      return this.fail(new Failure('malformed-octets', `InitiateResponse: ${messageOf(error)}`));
    }
    if (initiate.kind !== 'initiate-response') {
      const what = initiate.kind === 'confirmed-service-error' ? describeError(initiate) : initiate.kind;
      return this.fail(new Failure('association-refused', `the meter answered InitiateRequest with ${what}`));
    }
    this.negotiated = initiate.conformance & this.settings.proposed;
    // Below 12 octets no service fits; 0 means no limit (Green Book 9.4.4.2).
    this.serverMaxPdu = initiate.maxPdu >= 12 ? initiate.maxPdu : 0xffff;
    if (hls) return this.prove(aare.authenticationValue ?? new Uint8Array(0), peerTitle, now);
    this.state = 'associated';
    this.events.push({ kind: 'associated', conformance: this.negotiated, maxPdu: initiate.maxPdu });
  }

  /** Pass 3 of HLS: our proof over the meter's challenge, by reply_to_HLS_authentication (Blue Book 4.4.4). */
  private prove(peerChallenge: Uint8Array, peerTitle: Uint8Array, now: Millis): void {
    const { mechanism: chosen, secret, challenge, systemTitle } = this.settings;
    const global = this.ciphering?.global;
    if (peerChallenge.length < 8) {
      return this.fail(
        new Failure('authentication-refused', `the meter's challenge has ${peerChallenge.length} octets`),
      );
    }
    // A challenge that is our own, sent back, would make us prove ourselves to ourselves.
    if (Buffer.compare(peerChallenge, challenge as Uint8Array) === 0) {
      return this.fail(new Failure('authentication-refused', 'the meter sent our own challenge back'));
    }
    this.party = {
      secret,
      ownTitle: this.settings.ciphering?.ownTitle ?? systemTitle ?? new Uint8Array(0),
      peerTitle,
      peerChallenge,
      ownChallenge: challenge as Uint8Array,
      keys: global?.keys,
      suite: global?.suite ?? 0,
    };
    const proof = hlsProof(
      chosen as HlsMechanism,
      this.party,
      chosen === 'hls-gmac' ? (global?.nextCounter() as number) : 0,
    );
    this.invokeId = (this.invokeId + 1) & 0x0f;
    this.state = 'authenticating';
    const method = { classId: 15, logicalName: '0.0.40.0.0.255', method: 1 };
    const parameters: Data = { type: 'octet-string', value: proof };
    this.send(
      encodeApdu({ kind: 'action-request-normal', invokeId: invokePriority | this.invokeId, method, parameters }),
      now,
    );
  }

  /** Pass 4: the meter's proof over our challenge. Without a right one there is no association. */
  private authenticated(apdu: Apdu): void {
    if (apdu.kind !== 'action-response-normal' || (apdu.invokeId & 0x0f) !== this.invokeId) return;
    const { result, returned } = apdu.response;
    if (result !== 0) {
      return this.fail(
        new Failure('authentication-refused', `the meter refused our proof: ${actionResultName[result] ?? result}`),
      );
    }
    const proof =
      returned && 'data' in returned && returned.data.type === 'octet-string' ? returned.data.value : undefined;
    if (!proof || !hlsVerify(this.settings.mechanism as HlsMechanism, proof, this.party as HlsParty)) {
      return this.fail(
        new Failure('authentication-refused', proof ? "the meter's proof is wrong" : 'the meter gave no proof'),
      );
    }
    this.timer = undefined;
    this.state = 'associated';
    this.events.push({ kind: 'associated', conformance: this.negotiated, maxPdu: this.serverMaxPdu });
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
      case 'set-response-datablock':
        if (pending.request.kind !== 'set') break;
        return this.continueOutgoing(apdu.number, 'set-request-with-datablock', now);
      case 'set-response-last-datablock':
        // Also in the middle: the meter stops the transfer (meter-quirks 54).
        if (pending.request.kind !== 'set') break;
        return this.done({ kind: 'was-set', result: apdu.result });
      case 'action-response-next-pblock':
        if (pending.request.kind !== 'action') break;
        return this.continueOutgoing(apdu.number, 'action-request-with-pblock', now);
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

/** Errors may come in the clear even in a ciphered association (Green Book 9.4.2.2.2). */
const isOpen = (apdu: Apdu): boolean => apdu.kind === 'exception-response' || apdu.kind === 'confirmed-service-error';

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
