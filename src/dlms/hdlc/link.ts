/**
 * The HDLC link: connection, sequence numbers, window, segmentation, retransmission (Green Book 8.4). One machine for
 * both roles; the client holds the poll and repeats, the server answers. Octets in, octets and events out.
 */
import { Failure } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import { isDue, nextDeadline } from '../../base/timers.ts';
import { Deframer } from './deframer.ts';
import {
  answeringAddress,
  type Control,
  type ControlOf,
  defaultParameters,
  encodeFrame,
  encodeParameters,
  type Frame,
  type HdlcAddress,
  type LinkParameters,
  negotiate,
  proposal,
  rejection,
  sameAddress,
} from './frame.ts';
import { fillsHollow, nothingIncoming, takeFrame } from './incoming.ts';
import {
  fruitlessLimit,
  type LinkEvent,
  type LinkFault,
  type LinkRequest,
  type LinkSettings,
  type LinkTimers,
  patienceLeftMs,
  pauseMs,
  silenceMs,
} from './link-settings.ts';
import { type LinkState, linkTable } from './link-states.ts';
import { acknowledge, enqueue, nothingOutgoing, oldestNumber, type Segment, takeWindow } from './outgoing.ts';
import { damageOf, heardNothing, isAnswer, whyDismissed, whyUnanswered } from './unanswered.ts';

const none = new Uint8Array(0);

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
  private readonly timers: LinkTimers = { answer: undefined, poll: undefined, quiet: undefined, inactivity: undefined };
  private peer: HdlcAddress | undefined;
  /** Our address as it stands in our frames. A server's is the one that was called: most clients drop others (meter-quirks 97). */
  private called: HdlcAddress;
  private outgoing = nothingOutgoing();
  private incoming = nothingIncoming();
  /** Client: an answer is awaited. Server: the poll was received and an answer is owed. */
  private turn: 'idle' | 'awaiting' | 'owing' = 'idle';
  private awaitingInformation = false;
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
  private damagedAtSend = 0;
  private sinceFirst = heardNothing(this.deframer);
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

  private get isClient(): boolean {
    return this.settings.role === 'client';
  }
  get damaged(): number {
    return this.deframer.damaged;
  }
  /** Octets of information that is not whole yet. */
  get pendingOctets(): number {
    return this.incoming.octets;
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
    return nextDeadline(this.timers);
  }

  request(request: LinkRequest, now: Millis): void {
    const row = linkTable[this.state];
    if (!this.peer) throw new Failure('link-disconnected', `${request.kind}: no client has called yet`);
    switch (request.kind) {
      case 'connect':
        if (row.connect === 'misuse') throw new Failure('busy', `connect while the link is ${this.state}`);
        this.reset('connecting');
        this.parameters = defaultParameters;
        return this.ask(now);
      case 'send':
        if (row.send === 'misuse') throw new Failure('link-disconnected', `send while the link is ${this.state}`);
        return this.queue(request.information, now);
      case 'disconnect':
        if (row.disconnect === 'ignore') return;
        this.reset('disconnecting');
        return this.ask(now);
    }
  }

  /** Client: more information is to come without a request of ours. True where the server was polled for it. */
  expect(now: Millis): boolean {
    if (this.state !== 'connected' || !this.isClient) return false;
    this.awaitingInformation = true;
    if (this.turn !== 'idle' || this.outgoing.waiting.length > 0) return false;
    this.supervise(now);
    return true;
  }

  receive(octets: Uint8Array, now: Millis): void {
    const { deframer, timers } = this;
    const before = deframer.damaged;
    const leftMs = patienceLeftMs(timers.quiet, deframer.pendingOctets, now);
    for (const frame of deframer.push(octets)) this.frame(frame, now);
    const damage = deframer.damaged > before || deframer.damaged > this.damagedAtSend;
    const unfinished = deframer.pending || (damage && this.turn === 'awaiting');
    timers.quiet = unfinished ? later(now, silenceMs(this.settings, deframer.missingOctets, leftMs)) : undefined;
    // An answer that is arriving pushes the deadline ahead of it.
    this.unfinished += octets.length;
    if (timers.answer !== undefined && deframer.pending) this.extend(now);
  }

  wake(now: Millis): void {
    const { deframer, timers } = this;
    if (isDue(timers.quiet, now)) {
      timers.quiet = undefined;
      for (const frame of deframer.flush()) this.frame(frame, now);
      // The answer came damaged and the line is quiet: no need to wait for the whole time-out.
      if (deframer.damaged > this.damagedAtSend && timers.answer !== undefined) timers.answer = now;
    }
    if (isDue(timers.poll, now)) {
      timers.poll = undefined;
      if (this.isClient) this.poll(now);
      else if (this.turn === 'owing') {
        // The server has nothing to say yet: RR returns the turn.
        this.turn = 'idle';
        this.toPeer({ kind: 'RR', nr: this.incoming.vr, pollFinal: true });
      }
    }
    if (isDue(timers.answer, now) && linkTable[this.state]['answer-timeout'] === 'repeat') this.repeat(now);
    if (isDue(timers.inactivity, now) && linkTable[this.state].inactivity === 'expire') this.closed();
  }

  private extend(now: Millis): void {
    const { maxInfoReceive, windowReceive } = this.parameters;
    // More octets than a whole window, and no accepted frame among them: that is no answer that is arriving.
    if (this.unfinished > (maxInfoReceive + 20) * (windowReceive + 1)) return;
    const earliest = later(now, this.settings.quietMs + this.octetMs * (maxInfoReceive + 20));
    if ((this.timers.answer ?? earliest) < earliest) this.timers.answer = earliest;
  }

  private frame(frame: Frame, now: Millis): void {
    const forUs = this.settings.accepts?.(frame.destination) ?? sameAddress(frame.destination, this.settings.own);
    if (!(this.isClient ? this.isOfOurMeter(frame, forUs) : forUs && this.isOfOurClient(frame))) return;
    if (frame.control.kind !== 'UI') {
      this.heardSinceSend = true;
      this.fruitless++;
    }
    this.heard(frame, now);
    if (this.isClient && this.turn === 'awaiting' && this.fruitless > fruitlessLimit)
      this.fail('answer-stalled', `${this.fruitless} frames in a row that do not go on with the answer`);
    if (!this.isClient && this.state === 'connected') this.timers.inactivity = later(now, this.settings.inactivityMs);
  }
  private isOfOurMeter(frame: Frame, forUs: boolean): boolean {
    if (!this.peer) return false;
    if (!isAnswer(frame, { own: this.settings.own, peer: this.peer }, forUs, this.sinceFirst)) return false;
    if (frame.source.size !== this.peer.size) this.otherForm = frame.source.size;
    return true;
  }
  /** Server. Of another client, while we serve one, only its SNRM is taken: for anything else it is in disconnected mode. */
  private isOfOurClient({ destination, source, control }: Frame): boolean {
    const called = answeringAddress(destination, this.settings.own);
    if (control.kind === 'SNRM' || !this.peer || source.logical === this.peer.logical) {
      this.called = called;
      return true;
    }
    if (control.pollFinal) this.put({ destination: source, source: called, control: { kind: 'DM', pollFinal: true } });
    return false;
  }

  private gain(): void {
    this.tries = this.fruitless = this.unfinished = this.pauses = 0;
    this.stalledSince = undefined;
    this.gainedSinceSend = true;
  }

  private heard(frame: Frame, now: Millis): void {
    const { control, information, source } = frame;
    const row = linkTable[this.state];
    switch (control.kind) {
      case 'SNRM':
        // A meter never opens a connection; answering each SNRM of one would be an exchange without an end.
        if (row.SNRM === 'accept' && !this.isClient) this.accept(frame);
        return;
      case 'DISC':
        if (row.DISC === 'answer-dm') return this.answerDm(frame);
        this.put({ destination: source, control: { kind: 'UA', pollFinal: true } });
        return this.closed();
      case 'UA':
        if (row.UA === 'established') this.established(frame);
        else if (row.UA === 'closed') this.closed();
        return;
      case 'DM':
      case 'FRMR':
        return this.dismissed(control.kind);
      case 'I':
        if (row.I === 'information') this.information(frame, control, now);
        else if (row.I === 'answer-dm') this.answerDm(frame);
        return;
      case 'RR':
      case 'RNR':
        if (row[control.kind] === 'supervise') this.supervised(control, now);
        else if (row[control.kind] === 'answer-dm') this.answerDm(frame);
        return;
      case 'UI':
        this.events.push({ kind: 'unnumbered-information', information, source });
        return;
      case 'unknown':
        if (row.unknown === 'answer-dm') this.answerDm(frame);
        else if (row.unknown === 'answer-frmr' && !this.isClient) {
          const rejected = rejection(control.octet, this.outgoing.vs, this.incoming.vr);
          this.put({ destination: source, control: { kind: 'FRMR', pollFinal: true }, information: rejected });
        }
        return;
    }
  }

  private dismissed(kind: 'DM' | 'FRMR'): void {
    const action = linkTable[this.state][kind];
    if (action === 'closed') return this.closed();
    if (action === 'ignore') return;
    const { code, message } = whyDismissed(kind, action);
    this.fail(code, message);
  }
  private answerDm({ source, control }: Frame): void {
    if (!this.isClient && control.pollFinal)
      this.put({ destination: source, control: { kind: 'DM', pollFinal: true } });
  }
  private closed(): void {
    this.reset('disconnected');
    this.events.push({ kind: 'disconnected' });
  }

  private queue(information: Uint8Array, now: Millis): void {
    const { outgoing } = this;
    const underWay = this.turn === 'awaiting' && (outgoing.waiting.length > 0 || outgoing.unacknowledged.length > 0);
    enqueue(outgoing, information, this.parameters.maxInfoTransmit);
    this.awaitingInformation = true;
    // Several in a row (general blocks in a window): the next goes when the meter has taken the one before.
    if (this.isClient ? !underWay : this.turn === 'owing') this.sendWindow(now);
  }

  private reset(state: LinkState): void {
    this.state = state;
    this.outgoing = nothingOutgoing();
    this.incoming = nothingIncoming();
    this.turn = 'idle';
    this.awaitingInformation = false;
    this.gain();
    this.timers.answer = this.timers.poll = this.timers.inactivity = undefined;
  }

  private fail(code: LinkFault, message: string): void {
    this.reset('disconnected');
    this.events.push({ kind: 'failed', error: new Failure(code, message) });
  }

  /** From the address that was called, and without information, where it is not said otherwise. Returns how many octets. */
  private put(frame: Pick<Frame, 'destination' | 'control'> & Partial<Frame>): number {
    const octets = encodeFrame({ source: this.called, segmented: false, information: none, ...frame });
    this.out.push(octets);
    return octets.length;
  }
  private toPeer(control: Control, { information, more }: Segment = { information: none, more: false }): number {
    if (!this.peer) throw new Failure('link-disconnected', `${control.kind}: no client has called yet`);
    return this.put({ destination: this.peer, control, information, segmented: more });
  }

  /** Sends SNRM or DISC, by state, and waits for the answer. */
  private ask(now: Millis): void {
    const { parameters, explicitParameters } = this.settings;
    const snrm = this.state === 'connecting';
    const information = snrm ? proposal(parameters, explicitParameters === true) : none;
    this.await(now, this.toPeer({ kind: snrm ? 'SNRM' : 'DISC', pollFinal: true }, { information, more: false }));
  }

  private await(now: Millis, sentOctets: number): void {
    this.turn = 'awaiting';
    this.gainedSinceSend = this.heardSinceSend = false;
    this.damagedAtSend = this.deframer.damaged;
    if (this.tries === 0) this.sinceFirst = heardNothing(this.deframer);
    this.timers.quiet = this.timers.poll = undefined;
    this.timers.answer = later(now, this.settings.answerTimeoutMs + this.octetMs * sentOctets);
  }

  private repeat(now: Millis): void {
    this.timers.answer = undefined;
    if (this.tries >= this.settings.retries) {
      // DISC into silence: the meter is as good as disconnected (meter-quirks 23).
      if (this.state === 'disconnecting') return this.closed();
      const { code, message } = whyUnanswered({
        doing: this.state === 'connecting' ? 'SNRM' : 'the request',
        asked: this.tries + 1,
        damage: damageOf(this.deframer, this.sinceFirst, this.tries + 1),
        answered: this.heardSinceSend,
        heard: this.sinceFirst,
      });
      return this.fail(code, message);
    }
    this.tries++;
    this.repeated++;
    if (this.state !== 'connected') return this.ask(now);
    this.resend = this.outgoing.unacknowledged.length > 0;
    this.poll(now);
  }
  private poll(now: Millis): void {
    if (this.resend && this.outgoing.unacknowledged.length > 0) this.sendAgain(now);
    else this.supervise(now);
  }

  /** Client: RR with the poll bit asks for what is still to come. */
  private supervise(now: Millis): void {
    this.await(now, this.toPeer({ kind: 'RR', nr: this.incoming.vr, pollFinal: true }));
  }

  private sendWindow(now: Millis): void {
    // Requests go one frame at a time: some meters announce a window and ignore what comes in one (meter-quirks 87).
    const { first, burst } = takeWindow(this.outgoing, this.isClient ? 1 : this.parameters.windowTransmit);
    this.transmit(first, burst, now);
  }

  private sendAgain(now: Millis): void {
    this.transmit(oldestNumber(this.outgoing), this.outgoing.unacknowledged, now);
  }

  private transmit(first: number, segments: readonly Segment[], now: Millis): void {
    let sent = 0;
    for (const [i, segment] of segments.entries()) {
      const pollFinal = i === segments.length - 1;
      sent += this.toPeer({ kind: 'I', ns: (first + i) & 7, nr: this.incoming.vr, pollFinal }, segment);
    }
    if (this.isClient) this.await(now, sent);
    else {
      this.turn = 'idle';
      this.timers.poll = undefined;
    }
  }

  private acknowledged(nr: number): boolean {
    const count = acknowledge(this.outgoing, nr);
    if (count !== undefined && count > 0) this.gain();
    return count !== undefined;
  }

  private information(frame: Frame, { ns: sent, nr, pollFinal }: ControlOf<'I'>, now: Millis): void {
    if (!this.acknowledged(nr) && this.isClient) return;
    // An answer that we have: it came twice, or it answers a request that we repeated. It is no answer to the request
    // under way; taking it for one would make us repeat that too, and so on for ever.
    const pinned = this.settings.pinnedSequence === true;
    const ns = pinned || fillsHollow(this.incoming, sent, frame) ? this.incoming.vr : sent;
    const ahead = (ns - this.incoming.vr) & 7;
    if (this.isClient && ahead >= this.parameters.windowReceive) return this.extend(now);
    const whole = ns === this.incoming.vr ? this.accepted(frame) : undefined;
    if (this.state !== 'connected') return;
    if (whole) {
      if (this.isClient) this.outgoing.waiting = [];
      this.events.push({ kind: 'information', information: whole });
    }
    // Where the meter may send one frame at a time its turn is over with it, whatever it says.
    const endsTurn = this.isClient && this.parameters.windowReceive === 1 && !whole;
    if (pollFinal || endsTurn) this.ourTurn(now);
    else if (this.isClient) this.extend(now);
  }

  /** The frame that comes next in order; what has become whole with it. */
  private accepted(frame: Frame): Uint8Array | undefined {
    const { incoming, isClient } = this;
    // A new request while the answer before is still waiting: the client gave that answer up.
    if (!isClient && incoming.parts.length === 0) this.outgoing.waiting = [];
    // A frame without information gives nothing: alone it is no answer, and a row of them is no progress.
    if (frame.information.length > 0) this.gain();
    this.gained += frame.information.length;
    const limit = this.settings.reassemblyLimit;
    const whole = takeFrame(incoming, frame, isClient);
    if ((whole?.length ?? incoming.octets) > limit) {
      this.fail('answer-too-long', `more than ${limit} octets in segments`);
      return undefined;
    }
    if (whole) this.awaitingInformation = false;
    return whole;
  }

  private supervised({ kind, nr, pollFinal }: ControlOf<'RR' | 'RNR'>, now: Millis): void {
    const before = this.outgoing.unacknowledged.length;
    this.acknowledged(nr);
    if (!pollFinal) return;
    // The one frame under way carried the poll: whoever answers it has it. This answers the frame before, once more.
    const stale = this.isClient && before === 1 && this.outgoing.unacknowledged.length === 1;
    if (stale && kind === 'RR') return;
    if (kind === 'RNR' && this.isClient) {
      this.resend = false;
      return this.pause(now);
    }
    this.ourTurn(now);
  }

  /** Client: the meter answers and brings us no further; ask again after a pause, as long as the answer time-out allows. */
  private pause(now: Millis): void {
    this.stalledSince ??= now;
    if (now - this.stalledSince > this.settings.answerTimeoutMs * (this.settings.retries + 1)) {
      const how = this.incoming.hollow ? 'I-frames without information' : 'RNR, or RR without the answer';
      return this.fail('answer-stalled', `the meter stays busy (${how})`);
    }
    this.timers.answer = undefined;
    this.timers.poll = later(now, pauseMs(this.pauses++));
  }

  private ourTurn(now: Millis): void {
    const { outgoing, timers } = this;
    if (!this.isClient) {
      this.turn = 'owing';
      if (outgoing.unacknowledged.length > 0) this.sendAgain(now);
      else if (outgoing.waiting.length > 0) this.sendWindow(now);
      // The application may answer before the next wake; if it does not, RR returns the turn.
      else timers.poll = now;
      return;
    }
    if (this.turn !== 'awaiting') return;
    timers.answer = timers.quiet = undefined;
    this.resend = outgoing.unacknowledged.length > 0;
    if (this.resend) {
      // Checkpoint: the final bit came and the peer lacks segments. At once the first time, then with pauses.
      if (this.tries >= this.settings.retries) return this.repeat(now);
      this.repeated++;
      if (this.tries++ === 0) this.sendAgain(now);
      else this.pause(now);
    } else if (outgoing.waiting.length > 0) this.sendWindow(now);
    else if (this.incoming.parts.length > 0 && this.gainedSinceSend) this.supervise(now);
    else if (this.incoming.parts.length > 0 || this.awaitingInformation) this.pause(now);
    else this.turn = 'idle';
  }

  /** Client: UA to our SNRM. */
  private established({ information, source }: Frame): void {
    this.parameters = negotiate(this.settings.parameters, information);
    this.reset('connected');
    this.events.push({ kind: 'connected', parameters: this.parameters, peer: this.peer ?? source });
  }

  /** Server: the SNRM of a client. */
  private accept({ information, source }: Frame): void {
    const wasConnected = this.state === 'connected';
    this.peer = source;
    this.parameters = negotiate(this.settings.parameters, information);
    this.reset('connected');
    this.toPeer({ kind: 'UA', pollFinal: true }, { information: encodeParameters(this.parameters), more: false });
    if (wasConnected) this.events.push({ kind: 'disconnected' });
    this.events.push({ kind: 'connected', parameters: this.parameters, peer: source });
  }
}
