/**
 * The client's stack: sign-on (optional) → HDLC or wrapper → association, as one machine. It carries octets and events
 * between the layers and owns the order of opening and closing; the layers know nothing of each other.
 */
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import type { Millis } from '../../base/time.ts';
import { earliest } from '../../base/timers.ts';
import { type AssociationEvent, type AssociationRequest, ClientAssociation } from '../association/client.ts';
import type { AssociationSettings } from '../association/client-entry.ts';
import { HdlcLink } from '../hdlc/link.ts';
import type { LinkSettings } from '../hdlc/link-settings.ts';
import type { LinkParameters } from '../hdlc/frame.ts';
import { SignOn, type SignOnSettings } from '../iec62056-21/sign-on.ts';
import { type Patience, StepTotal } from './patience.ts';
import { encodeWrapper, Unwrapper, type WrapperFrame } from '../wrapper/wrapper.ts';

export interface ClientStackSettings {
  readonly link:
    | { readonly kind: 'hdlc'; readonly settings: LinkSettings }
    | { readonly kind: 'wrapper'; readonly client: number; readonly server: number };
  readonly signOn?: SignOnSettings;
  readonly association: AssociationSettings;
  /** Totals of the steps above the sign-on, which has its own. */
  readonly patience: Patience;
  /** Send RLRQ before DISC; some meters do not know it (meter-quirks 45). */
  readonly release: boolean;
}
export type StackRequest =
  | { readonly kind: 'connect' }
  | Exclude<AssociationRequest, { kind: 'associate' | 'release' }>
  | { readonly kind: 'close' };
export type StackEvent =
  | { readonly kind: 'set-baud'; readonly baud: number }
  | { readonly kind: 'link-connected'; readonly parameters: LinkParameters }
  | { readonly kind: 'connected'; readonly conformance: number; readonly maxPdu: number }
  | Exclude<AssociationEvent, { kind: 'associated' | 'released' }>
  | { readonly kind: 'closed' };

export interface Tolerated {
  /** Octets of the address in the meter's answers, where it was called by another number of them (meter-quirks 13, 97). */
  readonly addressOctets: 1 | 2 | 4 | undefined;
  /** Octets after complete APDUs (meter-quirks 51). */
  readonly trailing: number;
}

const llcCommand = Uint8Array.of(0xe6, 0xe6, 0x00);
/**
 * E6 E7 00 from the server; E6 E6 00 is seen in pushes; some leave it out (meter-quirks 90). No APDU begins with E6: what
 * stands there without it is an APDU, or nonsense that is said at once.
 */
const withoutLlc = (information: Uint8Array): Uint8Array =>
  information[0] === 0xe6 ? information.subarray(3) : information;
/** Some meters answer between the wPorts of the request, without turning them round. */
const between = ({ source, destination }: WrapperFrame, server: number, client: number): boolean =>
  (source === server && destination === client) || (source === client && destination === server);
/** Events that do not end a step. */
const onTheWay: ReadonlySet<StackEvent['kind']> = new Set([
  'set-baud',
  'link-connected',
  'block',
  'value-octets',
  'notified',
]);

export class ClientStack implements Machine<StackRequest, StackEvent> {
  private readonly settings: ClientStackSettings;
  private readonly signOn: SignOn | undefined;
  private readonly hdlc: HdlcLink | undefined;
  private readonly unwrapper = new Unwrapper();
  private readonly association: ClientAssociation;
  private readonly out: Uint8Array[] = [];
  private readonly events: StackEvent[] = [];
  private phase: 'closed' | 'signing-on' | 'linking' | 'open' | 'closing' = 'closed';
  private signedOnBaud: number | undefined;
  /** Wrapper frames between other wPorts than ours. */
  private foreign = 0;
  /** Between which they were, since the step began. */
  private stranger: string | undefined;
  private unwrapped = 0;
  private readonly total: StepTotal;

  constructor(settings: ClientStackSettings) {
    this.settings = settings;
    this.total = new StepTotal(settings.patience);
    this.signOn = settings.signOn && new SignOn(settings.signOn);
    this.hdlc = settings.link.kind === 'hdlc' ? new HdlcLink(settings.link.settings) : undefined;
    this.association = new ClientAssociation(settings.association);
  }

  /** Line quality and padding, for reachability and the log. */
  get counters(): { damaged: number; repeated: number; trailing: number; foreign: number } {
    return {
      damaged: this.hdlc?.damaged ?? 0,
      repeated: this.hdlc?.repeated ?? 0,
      trailing: this.association.trailing,
      foreign: this.foreign,
    };
  }
  /** What the meter does against the rules and we take all the same: another client may not. */
  get tolerated(): Tolerated {
    return { addressOctets: this.hdlc?.otherForm, trailing: this.association.trailing };
  }
  /** AARQ went out: the meter was shown our credentials. */
  get asked(): boolean {
    return this.association.asked;
  }
  /** Something of the meter's answer arrived whole. */
  get associated(): boolean {
    return this.association.state === 'associated';
  }

  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  pollEvent(): StackEvent | undefined {
    return this.events.shift();
  }
  /** The end of the session, or of what the next request may take: no step goes on beyond it. */
  set endsAt(at: Millis | undefined) {
    this.total.endsAt = at;
  }
  deadline(): Millis | undefined {
    return earliest([this.signOn, this.hdlc, this.association, this.total].map((layer) => layer?.deadline()));
  }

  request(request: StackRequest, now: Millis): void {
    if (request.kind === 'connect') {
      if (this.phase !== 'closed') throw new Failure('busy', 'the stack is open already');
      if (this.signOn) {
        this.phase = 'signing-on';
        this.signOn.request({ kind: 'sign-on' }, now);
      } else this.openLink(now);
    } else if (request.kind === 'close') this.close(now);
    else {
      this.begin(request.kind, now);
      this.association.request(request, now);
    }
    this.pump(now);
  }

  receive(octets: Uint8Array, now: Millis): void {
    const partial = this.pendingOctets;
    if (this.phase === 'signing-on') this.signOn?.receive(octets, now);
    else if (this.hdlc) this.hdlc.receive(octets, now);
    else this.receiveWrapped(octets, now);
    this.total.hear(octets.length, this.gained);
    // An APDU that is on its way; what came whole is for the association to judge.
    if (this.pendingOctets > partial) this.association.renew(now);
    this.pump(now);
    this.endOverdue(now);
  }

  wake(now: Millis): void {
    if (this.phase === 'signing-on') this.signOn?.wake(now);
    this.hdlc?.wake(now);
    this.pump(now);
    this.association.wake(now);
    this.pump(now);
    this.endOverdue(now);
  }

  private get pendingOctets(): number {
    return this.hdlc ? this.hdlc.pendingOctets : this.unwrapper.pendingOctets;
  }
  /** Octets of the meter's answers so far. */
  private get gained(): number {
    return this.hdlc ? this.hdlc.gained + this.hdlc.arrivingOctets : this.unwrapped + this.unwrapper.pendingOctets;
  }
  private begin(what: string, now: Millis): void {
    this.stranger = undefined;
    this.total.begin(what, this.gained, now);
  }
  private emit(event: StackEvent): void {
    if (!onTheWay.has(event.kind)) this.total.end();
    this.events.push(event);
  }
  /** A step that outlived its total fails, however much still comes; the end of a session is then an end all the same. */
  private endOverdue(now: Millis): void {
    const error = this.total.over(now);
    if (!error) return;
    this.association.reset();
    if (this.phase !== 'open') {
      this.hdlc?.giveUp();
      const closing = this.phase === 'closing';
      this.phase = 'closed';
      this.emit(closing ? { kind: 'closed' } : { kind: 'failed', error });
    } else this.emit({ kind: 'failed', error });
  }

  private openLink(now: Millis): void {
    this.phase = 'linking';
    this.begin(this.hdlc ? 'the link set-up' : 'the association', now);
    if (this.hdlc) this.hdlc.request({ kind: 'connect' }, now);
    else this.association.request({ kind: 'associate' }, now);
  }

  private close(now: Millis): void {
    if (this.phase === 'closing') return;
    const associated = this.association.state === 'associated';
    this.phase = 'closing';
    this.begin('the end of the session', now);
    if (associated && this.settings.release) {
      // A request that was given up must not stand in the way.
      this.association.abandon();
      this.association.request({ kind: 'release' }, now);
    } else this.closeLink(now);
  }

  private closeLink(now: Millis): void {
    this.association.reset();
    if (this.hdlc && this.hdlc.state !== 'disconnected') this.hdlc.request({ kind: 'disconnect' }, now);
    else {
      this.phase = 'closed';
      this.emit({ kind: 'closed' });
    }
  }

  private receiveWrapped(octets: Uint8Array, now: Millis): void {
    const { link } = this.settings;
    if (link.kind !== 'wrapper') return;
    try {
      for (const frame of this.unwrapper.push(octets)) {
        if (between(frame, link.server, link.client)) {
          this.unwrapped += frame.apdu.length + 8;
          this.association.receive(frame.apdu, now);
        } else {
          this.foreign++;
          this.stranger = `wPort ${frame.source} to ${frame.destination}`;
        }
      }
      const text = this.unwrapper.takeText();
      if (text) this.association.receive(text, now);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.association.reset();
      this.phase = 'closed';
      this.emit({ kind: 'failed', error });
    }
  }

  /** Somebody answers, and it is not what was asked for: then neither power nor wires are the reason. */
  private named(error: Failure): Failure {
    if (error.code !== 'no-answer' && error.code !== 'answer-stalled') return error;
    const { disregarded } = this.association;
    if (disregarded !== undefined && !error.message.includes(disregarded))
      return new Failure('answer-stalled', `${error.message}; what came answers nothing: ${disregarded}`);
    const { link } = this.settings;
    if (this.stranger === undefined || link.kind !== 'wrapper') return error;
    return new Failure(
      'unexpected-apdu',
      `answers came from ${this.stranger}, none from wPort ${link.server} to ${link.client}: check server and client`,
    );
  }

  /** Carries everything that waits between the layers until nothing moves. */
  private pump(now: Millis): void {
    for (let moved = true; moved; ) {
      moved = this.carrySignOn(now);
      if (this.carryRequests(now)) moved = true;
      if (this.carryLink(now)) moved = true;
      if (this.carryAssociation(now)) moved = true;
      if (!moved && this.association.expecting && this.hdlc?.expect(now)) moved = true;
    }
  }

  private carrySignOn(now: Millis): boolean {
    let moved = false;
    for (let octets = this.signOn?.pollTransmit(); octets; octets = this.signOn?.pollTransmit()) this.out.push(octets);
    for (let event = this.signOn?.pollEvent(); event; event = this.signOn?.pollEvent()) {
      moved = true;
      if (event.kind === 'set-baud') this.events.push(event);
      else if (event.kind === 'handed-over') {
        this.signedOnBaud = event.baud;
        this.hdlc?.setSpeed(event.baud);
        this.openLink(now);
      } else if (event.kind === 'failed') {
        this.phase = 'closed';
        this.emit(event);
      }
    }
    return moved;
  }

  private carryRequests(now: Millis): boolean {
    let moved = false;
    for (let apdu = this.association.pollTransmit(); apdu; apdu = this.association.pollTransmit()) {
      moved = true;
      this.total.asked(1);
      const { link } = this.settings;
      if (this.hdlc) this.hdlc.request({ kind: 'send', information: concat([llcCommand, apdu]) }, now);
      else if (link.kind === 'wrapper') {
        this.out.push(encodeWrapper({ source: link.client, destination: link.server, apdu }));
      }
    }
    return moved;
  }

  private carryLink(now: Millis): boolean {
    const { hdlc } = this;
    let moved = false;
    for (let octets = hdlc?.pollTransmit(); octets; octets = hdlc?.pollTransmit()) this.out.push(octets);
    for (let event = hdlc?.pollEvent(); event; event = hdlc?.pollEvent()) {
      moved = true;
      switch (event.kind) {
        case 'connected':
          this.events.push({ kind: 'link-connected', parameters: event.parameters });
          this.association.fitLists(event.parameters.maxInfoTransmit - llcCommand.length);
          this.begin('the association', now);
          this.association.request({ kind: 'associate' }, now);
          break;
        case 'information':
        case 'unnumbered-information':
          this.association.receive(withoutLlc(event.information), now, event.kind !== 'information');
          break;
        case 'disconnected':
          this.association.reset();
          this.phase = 'closed';
          this.emit({ kind: 'closed' });
          break;
        case 'failed':
          this.linkFailed(event.error, now);
          break;
      }
    }
    return moved;
  }

  private linkFailed(failure: Failure, now: Millis): void {
    const error = this.named(failure);
    this.association.reset();
    if (this.phase === 'closing') {
      this.phase = 'closed';
      this.emit({ kind: 'closed' });
    } else if (this.phase === 'linking' && this.signedOnBaud !== undefined && this.signedOnBaud !== 300) {
      // The meter proposed a speed and did not switch to it (meter-quirks 29).
      this.signedOnBaud = 300;
      this.hdlc?.setSpeed(300);
      this.events.push({ kind: 'set-baud', baud: 300 });
      this.begin('the link set-up', now);
      this.hdlc?.request({ kind: 'connect' }, now);
    } else {
      this.phase = 'closed';
      this.emit({ kind: 'failed', error });
    }
  }

  private carryAssociation(now: Millis): boolean {
    let moved = false;
    for (let event = this.association.pollEvent(); event; event = this.association.pollEvent()) {
      moved = true;
      if (event.kind === 'associated') {
        this.phase = 'open';
        this.emit({ kind: 'connected', conformance: event.conformance, maxPdu: event.maxPdu });
      } else if (event.kind === 'released') this.closeLink(now);
      else {
        // The request for the block after this one earns nothing.
        if (event.kind === 'block') this.total.asked(-1);
        this.emit(event.kind === 'failed' ? { kind: 'failed', error: this.named(event.error) } : event);
      }
    }
    return moved;
  }
}
