/**
 * The HDLC link: connection, sequence numbers, window, segmentation, retransmission (Green Book 8.4). One machine for
 * both roles; the client holds the poll and repeats, the server answers. Octets in, octets and events out.
 */
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import { Deframer } from './deframer.ts';
import {
  addressText,
  answeringAddress,
  type Control,
  type ControlKind,
  defaultParameters,
  encodeFrame,
  encodeParameters,
  type Frame,
  type HdlcAddress,
  type LinkParameters,
  negotiated,
  parseParameters,
  sameAddress,
} from './frame.ts';
import { type LinkInput, type LinkState, linkTable } from './link-states.ts';

export interface LinkSettings {
  readonly role: 'client' | 'server';
  readonly own: HdlcAddress;
  /** The client knows its peer; the server learns it from each SNRM. */
  readonly peer?: HdlcAddress;
  /** The server takes frames for any of these addresses; default: `own` only. It answers from the one that was called. */
  readonly accepts?: (destination: HdlcAddress) => boolean;
  /** The most that our side can do; the peer may allow less. */
  readonly parameters: LinkParameters;
  /** Client: time for the first octet of an answer, beyond the time the request needs on the wire. */
  readonly answerTimeoutMs: number;
  /** Silence that ends a damaged or unfinished frame. */
  readonly quietMs: number;
  readonly retries: number;
  /** Time of one octet on the wire (10 bits); 0 on TCP. */
  readonly octetMs: number;
  /** Server: silence after which the connection is forgotten. */
  readonly inactivityMs: number;
  /** The longest information field after reassembly, octets. */
  readonly reassemblyLimit: number;
  /** Client: SNRM carries its parameters even where they are the defaults (meter-quirks 19). */
  readonly explicitParameters?: boolean;
  /** Client: N(S) of the server stands still at 0 (meter-quirks 22); repeated frames cannot be told from new ones. */
  readonly pinnedSequence?: boolean;
}

export type LinkRequest =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly information: Uint8Array }
  | { readonly kind: 'disconnect' };
export type LinkEvent =
  | { readonly kind: 'connected'; readonly parameters: LinkParameters; readonly peer: HdlcAddress }
  | { readonly kind: 'information'; readonly information: Uint8Array }
  | { readonly kind: 'unnumbered-information'; readonly information: Uint8Array; readonly source: HdlcAddress }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'failed'; readonly error: Failure };

interface Segment {
  readonly information: Uint8Array;
  readonly more: boolean;
}
const none = new Uint8Array(0);
/** A meter that answers without bringing us further is asked again after this pause; each pause is twice the one before. */
const firstPauseMs = 100;
const longestPauseMs = 1000;
/** Octets outside of frames that a bus makes by itself when its drivers take turns. */
const noiseOctets = 3;
/** Frames in a row that bring us no further; a whole window that comes again at each of our tries is below this. */
const fruitlessLimit = 64;

export class HdlcLink implements Machine<LinkRequest, LinkEvent> {
  state: LinkState = 'disconnected';
  parameters: LinkParameters = defaultParameters;
  /** Counters for line quality: damaged frames seen, frames sent again. */
  repeated = 0;
  /** Octets of information that were new, for the totals above this layer. */
  gained = 0;
  /** Client: octets of the address that the meter answered from, where it was called by another number of them. */
  otherForm: HdlcAddress['size'] | undefined;
  private readonly settings: LinkSettings;
  private readonly deframer = new Deframer();
  private readonly out: Uint8Array[] = [];
  private readonly events: LinkEvent[] = [];
  private peer: HdlcAddress | undefined;
  /** Our address as it stands in our frames. A server's is the one that was called: most clients drop others (meter-quirks 97). */
  private called: HdlcAddress;
  private vs = 0;
  private vr = 0;
  private waiting: Segment[] = [];
  private unacknowledged: Segment[] = [];
  private parts: Uint8Array[] = [];
  private partsLength = 0;
  /** Client: an answer is awaited. Server: the poll was received and an answer is owed. */
  private turn: 'idle' | 'awaiting' | 'owing' = 'idle';
  private awaitingInformation = false;
  /** Client: the last I-frame that was accepted held nothing. */
  private hollow = false;
  private tries = 0;
  /**
   * A *gain* is an octet accepted into the answer or a segment of ours acknowledged. Between two gains everything is
   * bounded: tries, pauses, frames heard, and octets that push a deadline ahead.
   */
  private gainedSinceSend = false;
  private heardSinceSend = false;
  private fruitless = 0;
  private unfinished = 0;
  private pauses = 0;
  private stalledSince: Millis | undefined;
  /** What the next poll is for: our segments once more, or the meter's. */
  private resend = false;
  private timer: Millis | undefined;
  private pollAt: Millis | undefined;
  private quietAt: Millis | undefined;
  private heardAt: Millis | undefined;
  /** Our own frames that came back since the first try. */
  private echoes = 0;
  /** Who said something since then to whom: another meter of the line, ours at another address, or ours to another client. */
  private stranger: string | undefined;
  private damagedAtSend = 0;
  private damagedAtFirst = 0;
  private droppedAtFirst = 0;
  private octetMs: number;

  constructor(settings: LinkSettings) {
    this.settings = settings;
    this.peer = settings.peer;
    this.called = settings.own;
    this.octetMs = settings.octetMs;
  }
  /** The line runs at another speed from now on. */
  setSpeed(baud: number): void {
    if (this.octetMs > 0) this.octetMs = 10_000 / baud;
  }

  get damaged(): number {
    return this.deframer.damaged;
  }
  /** Octets of information that is not whole yet. */
  get pendingOctets(): number {
    return this.partsLength;
  }
  /** Octets of the frame that is arriving. */
  get arrivingOctets(): number {
    return this.deframer.pendingOctets;
  }
  /** The caller's total is over: what is under way is dropped, and nothing more is sent for it. */
  giveUp(): void {
    this.reset('disconnected');
  }

  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  pollEvent(): LinkEvent | undefined {
    return this.events.shift();
  }

  deadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const at of [this.timer, this.quietAt, this.pollAt, this.inactivityAt()]) {
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  private inactivityAt(): Millis | undefined {
    if (this.settings.role !== 'server' || this.state !== 'connected' || this.heardAt === undefined) return undefined;
    return later(this.heardAt, this.settings.inactivityMs);
  }

  request(request: LinkRequest, now: Millis): void {
    this.apply(request.kind, now, undefined, request.kind === 'send' ? request.information : none);
  }

  /** Client: more information is to come without a request of ours. True where the server was polled for it. */
  expect(now: Millis): boolean {
    if (this.state !== 'connected' || this.settings.role !== 'client') return false;
    this.awaitingInformation = true;
    if (this.turn !== 'idle' || this.waiting.length > 0) return false;
    this.supervise(now);
    return true;
  }

  receive(octets: Uint8Array, now: Millis): void {
    const damagedBefore = this.deframer.damaged;
    for (const frame of this.deframer.push(octets)) this.frame(frame, now);
    const damage = this.deframer.damaged > damagedBefore || this.damagedSinceSend();
    this.quietAt =
      this.deframer.pending || (damage && this.turn === 'awaiting') ? later(now, this.settings.quietMs) : undefined;
    // An answer that is arriving pushes the deadline ahead of it.
    this.unfinished += octets.length;
    if (this.timer !== undefined && this.deframer.pending) this.extend(now);
  }

  wake(now: Millis): void {
    if (this.quietAt !== undefined && now >= this.quietAt) {
      this.quietAt = undefined;
      for (const frame of this.deframer.flush()) this.frame(frame, now);
      // The answer came damaged and the line is quiet: no need to wait for the whole time-out.
      if (this.damagedSinceSend() && this.timer !== undefined) this.timer = now;
    }
    if (this.pollAt !== undefined && now >= this.pollAt) {
      this.pollAt = undefined;
      if (this.settings.role === 'client') this.poll(now);
      else if (this.turn === 'owing') this.answerReady(now);
    }
    if (this.timer !== undefined && now >= this.timer) this.apply('answer-timeout', now);
    const inactivity = this.inactivityAt();
    if (inactivity !== undefined && now >= inactivity) this.apply('inactivity', now);
  }

  private damagedSinceSend(): boolean {
    return this.deframer.damaged > this.damagedAtSend;
  }

  private extend(now: Millis): void {
    const { quietMs } = this.settings;
    const { maxInfoReceive, windowReceive } = this.parameters;
    // More octets than a whole window, and no accepted frame among them: that is no answer that is arriving.
    if (this.unfinished > (maxInfoReceive + 20) * (windowReceive + 1)) return;
    const atLeast = later(now, quietMs + this.octetMs * (maxInfoReceive + 20));
    if (this.timer !== undefined && this.timer < atLeast) this.timer = atLeast;
  }

  private frame(frame: Frame, now: Millis): void {
    const { settings } = this;
    const forUs = settings.accepts ? settings.accepts(frame.destination) : sameAddress(frame.destination, settings.own);
    if (!forUs) {
      // An adapter that hears itself: our own frame comes back.
      if (settings.role === 'client' && this.peer && sameAddress(frame.source, settings.own)) this.echoes++;
      else if (settings.role === 'client' && this.peer && sameAddress(frame.source, this.peer))
        this.stranger = `for client ${frame.destination.logical}, and we are ${settings.own.logical}`;
      return;
    }
    if (settings.role === 'client') {
      if (!this.peer) return;
      if (!sameAddress(frame.source, this.peer)) {
        this.stranger = `of ${addressText(frame.source)}`;
        return;
      }
      if (frame.source.size !== this.peer.size) this.otherForm = frame.source.size;
    } else {
      const called = answeringAddress(frame.destination, settings.own);
      if (frame.control.kind !== 'SNRM' && this.peer && frame.source.logical !== this.peer.logical) {
        // Another client, while we serve one: only its SNRM is taken, anything else is in disconnected mode.
        if (frame.control.pollFinal) this.put(frame.source, { kind: 'DM', pollFinal: true }, none, false, called);
        return;
      }
      this.called = called;
    }
    this.heardAt = now;
    if (frame.control.kind !== 'UI') {
      this.heardSinceSend = true;
      this.fruitless++;
    }
    this.apply(frame.control.kind, now, frame);
    if (settings.role === 'client' && this.turn === 'awaiting' && this.fruitless > fruitlessLimit) {
      this.fail('answer-stalled', `${this.fruitless} frames in a row that do not go on with the answer`);
    }
  }

  private gain(): void {
    this.tries = this.fruitless = this.unfinished = this.pauses = 0;
    this.stalledSince = undefined;
    this.gainedSinceSend = true;
  }

  private apply(input: LinkInput, now: Millis, frame?: Frame, information: Uint8Array = none): void {
    const action = linkTable[this.state][input];
    switch (action) {
      case 'ignore':
        return;
      case 'misuse':
        throw new Failure(input === 'send' ? 'link-disconnected' : 'busy', `${input} while the link is ${this.state}`);
      case 'send-snrm':
        this.reset('connecting');
        this.parameters = defaultParameters;
        return this.ask(now);
      case 'accept':
        // A meter never opens a connection; answering each SNRM of one would be an exchange without an end.
        return this.settings.role === 'server' ? this.accept(frame as Frame, now) : undefined;
      case 'established': {
        let theirs: LinkParameters;
        try {
          theirs = parseParameters((frame as Frame).information);
        } catch {
          // What cannot be read limits nothing beyond the defaults, which every station takes.
          theirs = defaultParameters;
        }
        this.parameters = negotiated(this.settings.parameters, theirs);
        this.reset('connected');
        this.events.push({ kind: 'connected', parameters: this.parameters, peer: this.peer as HdlcAddress });
        return;
      }
      case 'refused':
        return this.fail(
          input === 'FRMR' ? 'frame-rejected' : 'link-disconnected',
          `the meter answered SNRM with ${input}`,
        );
      case 'queue': {
        const underWay = this.turn === 'awaiting' && (this.waiting.length > 0 || this.unacknowledged.length > 0);
        const size = this.parameters.maxInfoTransmit;
        for (let at = 0; at === 0 || at < information.length; at += size) {
          this.waiting.push({ information: information.subarray(at, at + size), more: at + size < information.length });
        }
        this.awaitingInformation = true;
        // Several in a row (general blocks in a window): the next goes when the meter has taken the one before.
        if (this.settings.role === 'client') {
          if (!underWay) this.sendWindow(now);
        } else if (this.turn === 'owing') this.sendWindow(now);
        return;
      }
      case 'information':
        return this.information(frame as Frame, now);
      case 'supervise':
        return this.supervised(frame as Frame, now);
      case 'notify':
        this.events.push({
          kind: 'unnumbered-information',
          information: (frame as Frame).information,
          source: (frame as Frame).source,
        });
        return;
      case 'send-disc':
        this.reset('disconnecting');
        return this.ask(now);
      case 'answer-ua':
        this.reset('disconnected');
        this.put((frame as Frame).source, { kind: 'UA', pollFinal: true });
        this.events.push({ kind: 'disconnected' });
        return;
      case 'answer-dm':
        if (this.settings.role === 'server' && (frame as Frame).control.pollFinal) {
          this.put((frame as Frame).source, { kind: 'DM', pollFinal: true });
        }
        return;
      case 'answer-frmr':
        if (this.settings.role === 'server') this.reject(frame as Frame);
        return;
      case 'closed':
        this.reset('disconnected');
        this.events.push({ kind: 'disconnected' });
        return;
      case 'lost':
        return this.fail(
          input === 'FRMR' ? 'frame-rejected' : 'link-disconnected',
          input === 'FRMR' ? 'the meter rejected a frame (FRMR)' : 'the meter is in disconnected mode (DM)',
        );
      case 'repeat':
        return this.repeat(now);
      case 'expire':
        this.reset('disconnected');
        this.events.push({ kind: 'disconnected' });
        return;
    }
  }

  private reset(state: LinkState): void {
    this.state = state;
    this.vs = this.vr = 0;
    this.waiting = [];
    this.unacknowledged = [];
    this.parts = [];
    this.partsLength = 0;
    this.turn = 'idle';
    this.awaitingInformation = this.hollow = false;
    this.gain();
    this.timer = this.pollAt = undefined;
  }

  private fail(
    code:
      | 'malformed-octets'
      | 'link-disconnected'
      | 'frame-rejected'
      | 'no-answer'
      | 'echo-only'
      | 'damaged-answer'
      | 'answer-stalled'
      | 'answer-too-long',
    message: string,
  ): void {
    this.reset('disconnected');
    this.events.push({ kind: 'failed', error: new Failure(code, message) });
  }

  private put(
    destination: HdlcAddress,
    control: Control,
    information: Uint8Array = none,
    segmented = false,
    source: HdlcAddress = this.called,
  ): number {
    const octets = encodeFrame({ destination, source, control, segmented, information });
    this.out.push(octets);
    return octets.length;
  }

  /** Sends SNRM or DISC, by state, and waits for the answer. */
  private ask(now: Millis): void {
    const snrm = this.state === 'connecting';
    const proposal = this.settings.parameters;
    const defaults = (Object.keys(defaultParameters) as (keyof LinkParameters)[]).every(
      (name) => proposal[name] === defaultParameters[name],
    );
    const information =
      snrm && (!defaults || this.settings.explicitParameters === true) ? encodeParameters(proposal) : none;
    const sent = this.put(this.peer as HdlcAddress, { kind: snrm ? 'SNRM' : 'DISC', pollFinal: true }, information);
    this.await(now, sent);
  }

  private await(now: Millis, sentOctets: number): void {
    this.turn = 'awaiting';
    this.gainedSinceSend = this.heardSinceSend = false;
    this.damagedAtSend = this.deframer.damaged;
    if (this.tries === 0) {
      this.damagedAtFirst = this.damagedAtSend;
      this.droppedAtFirst = this.deframer.dropped;
      this.echoes = 0;
      this.stranger = undefined;
    }
    this.quietAt = this.pollAt = undefined;
    this.timer = later(now, this.settings.answerTimeoutMs + this.octetMs * sentOctets);
  }

  private repeat(now: Millis): void {
    this.timer = undefined;
    if (this.tries >= this.settings.retries) {
      // DISC into silence: the meter is as good as disconnected (meter-quirks 23).
      if (this.state === 'disconnecting') return this.apply('UA', now);
      const damaged = this.garbled();
      const doing = this.state === 'connecting' ? 'SNRM' : 'the request';
      const times = `${this.tries + 1} time${this.tries > 0 ? 's' : ''}`;
      if (!damaged && this.heardSinceSend) {
        return this.fail('answer-stalled', `the meter answers and does not go on with ${doing}, asked ${times}`);
      }
      if (!damaged && this.echoes > 0) {
        return this.fail('echo-only', `only our own octets came back for ${doing}, asked ${times}`);
      }
      return this.fail(
        damaged ? 'damaged-answer' : 'no-answer',
        damaged
          ? `the answer to ${doing} came damaged (${this.deframer.lastDamage || 'not whole in time'}), asked ${times}`
          : `no answer to ${doing}, asked ${times}${this.stranger ? `; what came is ${this.stranger}` : ''}`,
      );
    }
    this.tries++;
    this.repeated++;
    if (this.state !== 'connected') return this.ask(now);
    this.resend = this.unacknowledged.length > 0;
    this.poll(now);
  }
  /** Something was said in any of the tries: what comes in bits and pieces may leave the last one without a flag. */
  private garbled(): boolean {
    const { damaged, dropped, pending } = this.deframer;
    return pending || damaged > this.damagedAtFirst || dropped - this.droppedAtFirst > noiseOctets * (this.tries + 1);
  }
  private poll(now: Millis): void {
    if (this.resend && this.unacknowledged.length > 0) this.sendAgain(now);
    else this.supervise(now);
  }

  /** Client: RR with the poll bit asks for what is still to come. */
  private supervise(now: Millis): void {
    this.await(now, this.put(this.peer as HdlcAddress, { kind: 'RR', nr: this.vr, pollFinal: true }));
  }

  /** Server: nothing to say yet; RR returns the turn. */
  private answerReady(_now: Millis): void {
    this.turn = 'idle';
    this.put(this.peer as HdlcAddress, { kind: 'RR', nr: this.vr, pollFinal: true });
  }

  private sendWindow(now: Millis): void {
    // Requests go one frame at a time: some meters announce a window and ignore what comes in one (meter-quirks 87).
    const window = this.settings.role === 'client' ? 1 : this.parameters.windowTransmit;
    const room = window - this.unacknowledged.length;
    const burst = this.waiting.splice(0, room);
    const first = this.vs;
    this.vs = (this.vs + burst.length) & 7;
    this.unacknowledged.push(...burst);
    this.transmit(first, burst, now);
  }

  private sendAgain(now: Millis): void {
    const first = (this.vs - this.unacknowledged.length) & 7;
    this.transmit(first, this.unacknowledged, now);
  }

  private transmit(first: number, segments: readonly Segment[], now: Millis): void {
    let sent = 0;
    segments.forEach((segment, i) => {
      const control: Control = {
        kind: 'I',
        ns: (first + i) & 7,
        nr: this.vr,
        pollFinal: i === segments.length - 1,
      };
      sent += this.put(this.peer as HdlcAddress, control, segment.information, segment.more);
    });
    if (this.settings.role === 'client') this.await(now, sent);
    else {
      this.turn = 'idle';
      this.pollAt = undefined;
    }
  }

  /** N(R) acknowledges all segments before it. An impossible N(R) changes nothing. */
  private acknowledge(nr: number): boolean {
    const oldest = (this.vs - this.unacknowledged.length) & 7;
    const count = (nr - oldest) & 7;
    if (count > this.unacknowledged.length) return false;
    if (count > 0) {
      this.unacknowledged.splice(0, count);
      this.gain();
    }
    return true;
  }

  private information(frame: Frame, now: Millis): void {
    const control = frame.control as Control & { kind: 'I' };
    if (!this.acknowledge(control.nr) && this.settings.role === 'client') return;
    // An answer that we have: it came twice, or it answers a request that we repeated. It is no answer to the request
    // under way; taking it for one would make us repeat that too, and so on for ever.
    const pinned = this.settings.pinnedSequence === true;
    const ns = pinned || this.fillsHollow(control.ns, frame) ? this.vr : control.ns;
    const ahead = (ns - this.vr) & 7;
    if (this.settings.role === 'client' && ahead >= this.parameters.windowReceive) return this.extend(now);
    const whole = ns === this.vr ? this.accepted(frame) : undefined;
    if (this.state !== 'connected') return;
    if (whole) {
      if (this.settings.role === 'client') this.waiting = [];
      this.events.push({ kind: 'information', information: whole });
    }
    // Where the meter may send one frame at a time its turn is over with it, whatever it says.
    const endsTurn = this.settings.role === 'client' && this.parameters.windowReceive === 1 && !whole;
    if (control.pollFinal || endsTurn) this.ourTurn(now);
    else if (this.settings.role === 'client') this.extend(now);
  }

  /**
   * Some meters say "wait" by an I-frame without information, and give the number of that once more to the one that holds
   * the answer (meter-quirks 90).
   */
  private fillsHollow(ns: number, { information }: Frame): boolean {
    if (!this.hollow || information.length === 0 || ns !== ((this.vr - 1) & 7)) return false;
    this.vr = ns;
    return true;
  }

  /** The frame that comes next in order; what has become whole with it. */
  private accepted(frame: Frame): Uint8Array | undefined {
    const { information, segmented } = frame;
    const client = this.settings.role === 'client';
    if (!client && this.parts.length === 0 && this.waiting.length > 0) {
      // A new request while the answer before is still waiting: the client gave that answer up.
      this.waiting = [];
    }
    this.vr = (this.vr + 1) & 7;
    this.hollow = client && information.length === 0;
    // A frame without information gives nothing: alone it is no answer, and a row of them is no progress.
    if (information.length > 0) {
      this.gain();
      this.parts.push(information);
      this.partsLength += information.length;
      this.gained += information.length;
    } else if (client && this.parts.length === 0) return undefined;
    if (this.partsLength > this.settings.reassemblyLimit) {
      this.fail('answer-too-long', `more than ${this.settings.reassemblyLimit} octets in segments`);
      return undefined;
    }
    if (segmented) return undefined;
    const whole = this.parts.length === 1 ? (this.parts[0] as Uint8Array) : concat(this.parts);
    this.parts = [];
    this.partsLength = 0;
    this.awaitingInformation = false;
    return whole;
  }

  private supervised(frame: Frame, now: Millis): void {
    const control = frame.control as Control & { kind: 'RR' | 'RNR' };
    const before = this.unacknowledged.length;
    this.acknowledge(control.nr);
    if (!control.pollFinal) return;
    // The one frame under way carried the poll: whoever answers it has it. This answers the frame before, once more.
    const stale = this.settings.role === 'client' && before === 1 && this.unacknowledged.length === 1;
    if (stale && control.kind === 'RR') return;
    if (control.kind === 'RNR' && this.settings.role === 'client') {
      this.resend = false;
      return this.pause(now);
    }
    this.ourTurn(now);
  }

  /** Client: the meter answers and brings us no further; ask again after a pause, as long as the answer time-out allows. */
  private pause(now: Millis): void {
    this.stalledSince ??= now;
    if (now - this.stalledSince > this.settings.answerTimeoutMs * (this.settings.retries + 1)) {
      const how = this.hollow ? 'I-frames without information' : 'RNR, or RR without the answer';
      return this.fail('answer-stalled', `the meter stays busy (${how})`);
    }
    this.timer = undefined;
    this.pollAt = later(now, Math.min(longestPauseMs, firstPauseMs * 2 ** this.pauses++));
  }

  private ourTurn(now: Millis): void {
    if (this.settings.role === 'client') {
      if (this.turn !== 'awaiting') return;
      this.timer = this.quietAt = undefined;
      this.resend = this.unacknowledged.length > 0;
      if (this.resend) {
        // Checkpoint: the final bit came and the peer lacks segments. At once the first time, then with pauses.
        if (this.tries >= this.settings.retries) return this.repeat(now);
        this.repeated++;
        if (this.tries++ === 0) this.sendAgain(now);
        else this.pause(now);
      } else if (this.waiting.length > 0) this.sendWindow(now);
      else if (this.parts.length > 0 && this.gainedSinceSend) this.supervise(now);
      else if (this.parts.length > 0 || this.awaitingInformation) this.pause(now);
      else this.turn = 'idle';
      return;
    }
    this.turn = 'owing';
    if (this.unacknowledged.length > 0) this.sendAgain(now);
    else if (this.waiting.length > 0) this.sendWindow(now);
    // The application may answer before the next wake; if it does not, RR returns the turn.
    else this.pollAt = now;
  }

  private accept(frame: Frame, _now: Millis): void {
    let theirs: LinkParameters;
    try {
      theirs = parseParameters(frame.information);
    } catch {
      theirs = defaultParameters;
    }
    const wasConnected = this.state === 'connected';
    this.peer = frame.source;
    this.parameters = negotiated(this.settings.parameters, theirs);
    this.reset('connected');
    this.put(frame.source, { kind: 'UA', pollFinal: true }, encodeParameters(this.parameters));
    if (wasConnected) this.events.push({ kind: 'disconnected' });
    this.events.push({ kind: 'connected', parameters: this.parameters, peer: frame.source });
  }

  private reject(frame: Frame): void {
    const kind: ControlKind = frame.control.kind;
    const octet = kind === 'unknown' ? (frame.control as { octet: number }).octet : 0;
    // Information field of FRMR: rejected control, V(S) and V(R), reason W (unknown control).
    const field = Uint8Array.of(octet, (this.vr << 5) | (this.vs << 1), 0x01);
    this.put(frame.source, { kind: 'FRMR', pollFinal: true }, field);
  }
}
