/**
 * The application association, client side: AARQ, GET, SET, ACTION, RLRQ; block transfer is a state, not a loop
 * (Green Book 9.3, 9.4). APDUs in, APDUs and events out.
 */
import { type Budget, newBudget } from '../../base/cursor.ts';
import { Failure, messageOf } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import { type Aare, decodeAcse, encodeAcse, isAcse } from '../acse/apdu.ts';
import { plainText } from '../plain-text.ts';
import {
  actionResultName,
  type Apdu,
  dataAccessResult,
  decodeApdu,
  encodeApdu,
  getResponseOctets,
} from '../xdlms/apdu.ts';
import { type Conformance, has } from '../xdlms/conformance.ts';
import type { HlsMechanism, Proving } from '../security/hls.ts';
import { type Agreement, agreementOf } from './aare.ts';
import { BlockTransfer } from './block-transfer.ts';
import { aarqOf, type AssociationSettings, partyOf, proofRequest, unproven } from './client-entry.ts';
import { Ciphering } from './ciphering.ts';
import { type AssociationState, associationTable } from './client-states.ts';
import {
  type Answer,
  describeError,
  type ErrorApdu,
  type Exchange,
  type ExchangeContext,
  invokePriority,
  isOpen,
  isUnasked,
  type ServiceEvent,
  type ServiceRequest,
} from './exchange.ts';
import { exchangeOf } from './exchanges.ts';

const none = new Uint8Array(0);
/** An APDU in general blocks is put together whole before it is read. */
const transferLimit = 1 << 20;

export type AssociationRequest = { readonly kind: 'associate' } | ServiceRequest | { readonly kind: 'release' };
export type AssociationEvent =
  | { readonly kind: 'associated'; readonly conformance: Conformance; readonly maxPdu: number }
  | ServiceEvent
  | { readonly kind: 'released' }
  | { readonly kind: 'notified'; readonly apdu: Apdu }
  | { readonly kind: 'failed'; readonly error: Failure };

const requestFailures: ReadonlySet<string> = new Set([
  'malformed-octets',
  'unexpected-apdu',
  'block-out-of-order',
  'answer-too-long',
]);
/** APDUs in a row that answer nothing: late answers and those of others are a few. */
const ignoredLimit = 16;
/** Blocks that gain nothing are asked about again after this pause. */
const stallPauseMs = 2000;

export class ClientAssociation implements Machine<AssociationRequest, AssociationEvent> {
  state: AssociationState = 'idle';
  /** Octets that followed complete APDUs: harmless padding of some meters, counted. */
  trailing = 0;
  /** AARQ went out: the meter was shown our credentials. */
  asked = false;
  private readonly settings: AssociationSettings;
  private readonly out: Uint8Array[] = [];
  private readonly events: AssociationEvent[] = [];
  private readonly ciphering: Ciphering | undefined;
  /** HLS: what the meter's proof is judged by. */
  private proving: Proving | undefined;
  private negotiated: Conformance = 0;
  private serverMaxPdu = 0xffff;
  private invokeId = 0;
  private pending:
    | { readonly request: ServiceRequest; readonly exchange: Exchange; readonly budget: Budget }
    | undefined;
  private timer: Millis | undefined;
  private readonly transfer: BlockTransfer;
  private transferTries = 0;
  /** Since our last request or the last gain: APDUs that answer nothing, blocks that bring us no further. */
  private ignored = 0;
  private fruitless = 0;
  /** The last APDU that answered nothing, for people. */
  private stranger: string | undefined;
  /** The request went out in general blocks, or its answer comes so. */
  private transferring = false;
  /** Octets of an APDU that fit one frame: no list is made longer than that. */
  private frameRoom = 0xffff;

  constructor(settings: AssociationSettings) {
    this.settings = settings;
    this.ciphering = settings.ciphering && new Ciphering(settings.ciphering);
    this.transfer = new BlockTransfer(
      'client',
      settings.transferWindow ?? 1,
      Math.min(settings.valueLimit, transferLimit),
    );
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
  /** Requests that go over several frames are mishandled by some meters (meter-quirks 87). */
  fitLists(octets: number): void {
    this.frameRoom = octets;
  }
  /** The caller no longer waits for the answer; a late one is ignored. */
  abandon(): void {
    this.pending = undefined;
    this.timer = undefined;
  }
  /** New octets of the answer came: its idle time-out begins anew. The total is kept by the stack. */
  renew(now: Millis): void {
    if (this.timer !== undefined) this.timer = later(now, this.settings.answerTimeoutMs);
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
    if (action === 'misuse')
      throw new Failure('link-disconnected', `${request.kind} while the association is ${this.state}`);
    if (this.pending) throw new Failure('busy', `${request.kind} before the answer to ${this.pending.request.kind}`);
    if (request.kind === 'associate') {
      this.state = 'associating';
      this.send(aarqOf(this.settings, this.ciphering), now);
      this.asked = true;
    } else if (request.kind === 'release') {
      this.state = 'releasing';
      this.send(encodeAcse({ kind: 'rlrq', reason: 0 }), now);
    } else this.serve(request, now);
  }

  private send(apdu: Uint8Array, now: Millis): void {
    // AARQ and RLRQ are ACSE: what is ciphered in them is ciphered inside.
    const acse = isAcse(apdu[0] ?? 0);
    const octets = this.ciphering && !acse ? this.ciphering.wrap(apdu) : apdu;
    this.timer = later(now, this.settings.answerTimeoutMs);
    this.transferring = false;
    this.ignored = this.fruitless = 0;
    if (acse) {
      this.out.push(octets);
      return;
    }
    this.transfer.restart();
    this.transferTries = 0;
    if (octets.length <= this.serverMaxPdu) {
      this.out.push(octets);
      return;
    }
    if (!has(this.negotiated, 'general-block-transfer')) {
      this.abandon();
      throw new Failure('request-too-long', `request of ${octets.length} octets, the meter takes ${this.serverMaxPdu}`);
    }
    this.transferring = true;
    this.out.push(...this.transfer.send(octets, this.serverMaxPdu));
  }

  private serve(request: ServiceRequest, now: Millis): void {
    const { settings } = this;
    const general = has(this.negotiated, 'general-block-transfer');
    const budget = newBudget();
    const context: ExchangeContext = {
      negotiated: this.negotiated,
      maxRequest: general ? 0xffff : Math.max(12, this.serverMaxPdu - (this.ciphering?.overhead ?? 0)),
      listLimit: settings.listLimit ?? 10,
      maxList: this.frameRoom - (this.ciphering?.overhead ?? 0),
      valueLimit: settings.valueLimit,
      budget,
      shortNames: settings.shortNames,
      nextInvokeId: () => {
        this.invokeId = (this.invokeId + 1) & 0x0f;
        return invokePriority | this.invokeId;
      },
      emit: (event) => void this.events.push(event),
    };
    const exchange = exchangeOf(request, context);
    this.pending = { request, exchange, budget };
    try {
      this.send(encodeApdu(exchange.first()), now);
    } catch (error) {
      this.pending = undefined;
      throw error;
    }
  }

  /** `unasked`: it came in a UI frame, where answers seldom stand: what cannot be read there is no answer. */
  receive(received: Uint8Array, now: Millis, unasked = false): void {
    const text = plainText(received);
    if (text !== undefined) return unasked ? this.passOver('text') : this.receiveText(text);
    let apdu: Answer;
    try {
      const octets = this.unblocked(received, now);
      if (!octets) return;
      if (isAcse(octets[0] ?? 0)) apdu = decodeAcse(octets);
      else {
        const plain = this.deciphered(octets);
        if (!plain || this.streamed(plain)) return;
        const decoded = decodeApdu(plain, this.pending?.budget);
        this.trailing += decoded.trailing;
        apdu = decoded.apdu;
      }
    } catch (error) {
      // A malformed answer to our RLRQ ends the association all the same (meter-quirks 46).
      if (this.state === 'releasing') return this.timedOut();
      if (this.state === 'idle') return;
      if (unasked) return this.passOver('a push that cannot be read');
      return this.failRequest(error instanceof Failure ? error : new Failure('malformed-octets', messageOf(error)));
    }
    this.heard(apdu, now);
  }

  /** Somebody's words in place of an APDU (meter-quirks 92): they answer the request, and say nothing of what it asked for. */
  private receiveText(text: string): void {
    if (this.state === 'idle' || (this.state === 'associated' && !this.pending)) return;
    if (this.state === 'releasing') return this.timedOut();
    this.failRequest(
      new Failure('malformed-octets', `text came in place of an APDU: ${JSON.stringify(text)}`, { text }),
    );
  }

  /** The APDU inside of general blocks; undefined while more of them must come. */
  private unblocked(octets: Uint8Array, now: Millis): Uint8Array | undefined {
    if (octets[0] !== 0xe0) return octets;
    const { apdu } = decodeApdu(octets);
    if (apdu.kind !== 'general-block-transfer') return octets;
    const { whole, out, gained } = this.transfer.receive(apdu);
    // Blocks that nobody asked for (meter-quirks 55) are put together, and not answered.
    if (this.waitsForService) {
      this.transferring = true;
      this.out.push(...out);
      if (gained && this.ignored < ignoredLimit) {
        this.transferTries = this.fruitless = 0;
        this.timer = later(now, this.settings.answerTimeoutMs);
      } else if (++this.fruitless > (this.settings.transferWindow ?? 1)) {
        // More than a window of them: they are no longer asked for, nor waited for as for an answer that comes.
        const soon = later(now, stallPauseMs);
        if (this.timer === undefined || this.timer > soon) this.timer = soon;
      }
    }
    return whole;
  }

  private get waitsForService(): boolean {
    return this.pending !== undefined || this.state === 'authenticating';
  }
  /**
   * More of an answer is on its way, or what came was not it: the link must go on asking. Not without an end: a meter that
   * sends more than a window of blocks without a gain, or one APDU after the other that answers nothing, has to wait.
   */
  get expecting(): boolean {
    if (!this.waitsForService) return false;
    if (this.transferring) return this.fruitless <= (this.settings.transferWindow ?? 1);
    return this.ignored > 0 && this.ignored < ignoredLimit;
  }

  /** An APDU came that answers nothing of ours. */
  private disregard(apdu?: Answer): void {
    if (this.timer === undefined) return;
    this.ignored++;
    if (apdu) this.stranger = this.strangeness(apdu);
    if (this.ignored > ignoredLimit)
      this.fail(new Failure('answer-stalled', `${this.ignored} APDUs in a row that answer nothing of what was asked`));
  }
  /** Sent unasked: however many there are, they are no reason to give up; but they are not the answer either. */
  private passOver(what: string): void {
    this.ignored = Math.min(this.ignored + 1, ignoredLimit);
    this.stranger = what;
  }
  private strangeness(apdu: Answer): string {
    if (!('invokeId' in apdu)) return apdu.kind;
    return `${apdu.kind} with invoke-id ${apdu.invokeId & 0x0f}, asked with ${this.invokeId}`;
  }
  /** What came since our last request and answers nothing. */
  get disregarded(): string | undefined {
    return this.ignored > 0 ? this.stranger : undefined;
  }

  /** Undefined where it was sent unasked, and is not what an association of ours may believe. */
  private deciphered(octets: Uint8Array): Uint8Array | undefined {
    if (!this.ciphering) return octets;
    const { apdu, trailing } = decodeApdu(octets);
    this.trailing += trailing;
    try {
      if (Ciphering.isCiphered(apdu)) return this.ciphering.unwrap(apdu);
      if (this.state !== 'idle' && !isOpen(apdu))
        throw new Failure('protection-weaker', `${apdu.kind} came unprotected`);
    } catch (error) {
      // A push of another protection, or of nobody knows whom, is no answer, and no reason to end the association.
      if (!isUnasked(apdu) || !(error instanceof Failure)) throw error;
      this.passOver(`${apdu.kind} that is not protected as it must be`);
      return undefined;
    }
    return octets;
  }

  /** A value that was asked for as a stream and came whole: its octets go on as they are. */
  private streamed(plain: Uint8Array): boolean {
    const { pending } = this;
    if (this.state !== 'associated' || pending?.request.kind !== 'get' || pending.request.stream !== true) return false;
    const value = getResponseOctets(plain);
    if (!value || (value.invokeId & 0x0f) !== this.invokeId) return false;
    this.events.push({ kind: 'value-octets', octets: value.octets });
    this.done({ kind: 'got', results: [] });
    return true;
  }

  wake(now: Millis): void {
    if (this.timer === undefined || now < this.timer) return;
    if (this.transferring && this.waitsForService && this.transferTries < 2) {
      // A block was lost: ask for the ones after the last good one.
      this.transferTries++;
      this.timer = later(now, this.fruitless > 0 ? stallPauseMs : this.settings.answerTimeoutMs);
      this.fruitless = Math.min(this.fruitless, 1);
      this.out.push(...this.transfer.again());
      return;
    }
    this.timedOut();
  }

  private heard(apdu: Answer, now: Millis): void {
    const row = associationTable[this.state];
    switch (apdu.kind) {
      case 'aare':
        return row.aare === 'associated' ? this.associated(apdu, now) : this.disregard(apdu);
      case 'rlre':
        return row.rlre === 'released' ? this.released() : this.disregard(apdu);
      case 'event-notification':
      case 'information-report-request':
      case 'data-notification':
        this.events.push({ kind: 'notified', apdu });
        return this.passOver(apdu.kind);
      case 'exception-response':
      case 'confirmed-service-error':
        return this.refused(apdu);
      default:
        if (row.response === 'authenticated') return this.authenticated(apdu);
        return row.response === 'answer' ? this.answer(apdu, now) : this.disregard(apdu);
    }
  }

  private refused(apdu: ErrorApdu): void {
    switch (associationTable[this.state].error) {
      case 'ignore':
        return this.disregard(apdu);
      case 'released':
        return this.released();
      case 'refused':
        return this.fail(new Failure('association-refused', `the meter answered AARQ with ${describeError(apdu)}`));
      case 'service-error': {
        if (!this.pending) return;
        // The association stands; only this request failed.
        this.abandon();
        const error = new Failure('service-exception', `the meter answered ${describeError(apdu)}`, { apdu });
        this.events.push({ kind: 'failed', error });
        return;
      }
    }
  }

  private timedOut(): void {
    switch (associationTable[this.state].timeout) {
      case 'ignore':
        return this.disregard();
      case 'released':
        return this.released();
      case 'no-answer': {
        if (this.ignored === 0 && this.fruitless === 0)
          return this.fail(new Failure('no-answer', 'no answer within the application time-out'));
        const what = this.disregarded === undefined ? ', or the same blocks again' : `: ${this.disregarded}`;
        return this.fail(new Failure('answer-stalled', `the meter answers, but not what was asked${what}`));
      }
    }
  }
  private released(): void {
    this.reset();
    this.events.push({ kind: 'released' });
  }

  /**
   * What cannot be read, or is not what was asked for, fails the request; the association stands, for the next request may
   * be one that the meter handles.
   */
  private failRequest(error: Failure): void {
    const stands = this.state === 'associated' && this.pending !== undefined && requestFailures.has(error.code);
    if (!stands) return this.fail(error);
    this.abandon();
    this.transferring = false;
    this.transfer.restart();
    this.events.push({ kind: 'failed', error });
  }
  private fail(error: Failure): void {
    this.reset();
    this.events.push({ kind: 'failed', error });
  }

  private associated(aare: Aare, now: Millis): void {
    this.timer = undefined;
    const { settings, ciphering } = this;
    const { mechanism } = settings;
    const highLevel = mechanism !== 'none' && mechanism !== 'lls';
    const chosen = { anonymous: mechanism === 'none', highLevel, proposed: settings.proposed };
    let agreed: Agreement;
    try {
      agreed = agreementOf(aare, chosen, ciphering);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return this.fail(error);
    }
    this.negotiated = agreed.conformance;
    // Below 12 octets no service fits; 0 means no limit (Green Book 9.4.4.2).
    this.serverMaxPdu = agreed.maxPdu >= 12 ? agreed.maxPdu : 0xffff;
    const peerTitle = ciphering?.peerTitle ?? aare.respondingApTitle ?? none;
    if (highLevel) return this.prove(mechanism, aare.authenticationValue ?? none, peerTitle, now);
    this.state = 'associated';
    this.events.push({ kind: 'associated', conformance: this.negotiated, maxPdu: agreed.maxPdu });
  }

  /** Pass 3 of HLS: our proof over the meter's challenge, by reply_to_HLS_authentication (Blue Book 4.4.4). */
  private prove(mechanism: HlsMechanism, peerChallenge: Uint8Array, peerTitle: Uint8Array, now: Millis): void {
    const { settings } = this;
    const global = this.ciphering?.global;
    try {
      const proving = { mechanism, party: partyOf(settings, peerChallenge, peerTitle, global) };
      this.proving = proving;
      this.invokeId = (this.invokeId + 1) & 0x0f;
      const invokeId = invokePriority | this.invokeId;
      const proof = proofRequest(settings, proving, invokeId, () => global?.nextCounter() ?? 0);
      this.state = 'authenticating';
      this.send(encodeApdu(proof), now);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.fail(error);
    }
  }

  /** Pass 4: the meter's proof over our challenge. Without a right one there is no association. */
  private authenticated(apdu: Answer): void {
    const { proving } = this;
    const answers = apdu.kind === 'action-response-normal' && (apdu.invokeId & 0x0f) === this.invokeId;
    if (!proving || !answers) return this.disregard(apdu);
    const error = unproven(apdu.response, this.settings, proving);
    if (error) this.fail(error);
    else this.proven();
  }
  private proven(): void {
    this.timer = undefined;
    this.state = 'associated';
    this.events.push({ kind: 'associated', conformance: this.negotiated, maxPdu: this.serverMaxPdu });
  }

  private answer(apdu: Answer, now: Millis): void {
    const { pending } = this;
    if (!pending) return;
    try {
      const step = pending.exchange.answer(apdu);
      if (step === 'ignore') return this.disregard(apdu);
      if ('done' in step) this.done(step.done);
      else this.send(encodeApdu(step.send), now);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.failRequest(error);
    }
  }

  private done(event: AssociationEvent): void {
    this.pending = undefined;
    this.timer = undefined;
    this.events.push(event);
  }
}

/** The name of a data-access-result or action-result for people. */
export const refusalName = (code: number, action = false): string =>
  (action ? actionResultName : dataAccessResult)[code] ?? `unknown result ${code}`;
