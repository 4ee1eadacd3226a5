/**
 * The outbox: sends what the store holds, live rows before back-fill, within a window; an entry goes only when the
 * head-end itself acknowledges it, and only where the broker has taken it. PUBACK moves the window and is evidence. What
 * stays unacknowledged is sent again after a silence and after every reconnect; silence is the lack of progress.
 */
import { messageOf } from '../base/errors.ts';
import { cut, type Log } from '../base/log.ts';
import { type Clock, later, longAgo, type Millis, millis } from '../base/time.ts';
import type { OutboxEntry } from '../store/outbox-record.ts';
import type { Store } from '../store/store.ts';
import { type Again, dueAgain, nextAgain, sendAgain, sendAllAt, sendAtOnce } from './again.ts';
import {
  applied,
  awaited,
  believable,
  brokerTook,
  type Evidence,
  newEvidence,
  provesFallBack,
} from './acknowledgement.ts';
import { type FallBack, fallBackWhereProven, fellBackAgain, newFallBack } from './fall-back.ts';
import { newLanes, type Lanes, nextEntry } from './lanes.ts';
import type { AckPayload } from '../contract/payloads.ts';
import { messageOfFact } from './fact-message.ts';
import type { Topics } from '../contract/topics.ts';
import { isPacketTooLarge, minPacket, reasonOf } from './refusal.ts';
import { reworded, sentInParts } from './reword.ts';

export interface OutboxSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly gateway: string;
  readonly topics: Topics;
  /** Resolves with PUBACK; rejects when the connection is lost or the broker refuses. */
  readonly publish: (topic: string, payload: string) => Promise<void>;
  /** Tells the head-end the epoch, before anything of it is sent. */
  readonly greet: () => void;
  /** Published and not yet PUBACKed, at most. */
  readonly window: () => number;
  /** Octets of a packet that the broker takes; undefined = as many as there are. */
  readonly packetLimit?: () => number;
  /** MQTT 3.1.1 has no word for a message that the access rules of the broker forbid: it is acknowledged, and dropped. */
  readonly refusesInSilence?: boolean;
  /** Messages per second; undefined = no cap. */
  readonly rateLimit: number | undefined;
  /** The head-end proved that this state fell back: what else it counts is in doubt, before another epoch begins. */
  readonly onFellBack?: () => Promise<void>;
}
/** Sent and not acknowledged by the head-end, at most: beyond it we wait for the acknowledgement or the silence. */
const unacknowledgedLimit = 2000;
/** A broker drops what it keeps for a slow subscriber beyond its limit: each silence halves ours, down to this. */
const minUnacknowledged = 20;
/** Without progress of the head-end for so long, everything unacknowledged is sent again; doubles until it progresses. */
const firstSilenceMs = 20_000;
/** With the fewest messages at a time it costs little, and whoever is well again has everything soon. */
const longestSilenceMs = 60_000;
/** A rate above what a timer can do is kept on average: this much of it may be made up for at once. */
const catchUpMs = 100;
/** Rows wait so long for the head-end's answer to a birth; less where it left one unanswered. */
const answerWaitMs = 10_000;
const shortAnswerWaitMs = 1000;
/** So many refusals in a row, and everything pauses. */
const refusalsInARow = 16;
const longestPauseMs = 15_000;
/** A claim that the evidence covers in part is applied in part so often. */
const partialEveryMs = 250;
/** A claim that the evidence does not cover for so long is reported. */
const claimPatienceMs = 10_000;
/** Connections that were lost, or silences, in a row with the same large message on its way: is it too large? */
const suspicionLimit = 3;

const silentRefusal =
  '; with MQTT 3.1.1 a broker does not say that its access rules forbid this gateway to publish: look there, or set mqtt.protocol = "5"';

export class Outbox {
  private readonly settings: OutboxSettings;
  private connected = false;
  /** The epoch that was announced to the head-end over this connection. */
  private announced: number | undefined;
  /** Counts connections: answers that belong to an earlier one change nothing. */
  private generation = 0;
  private lanes: Lanes = newLanes();
  private readonly inFlight = new Map<number, number>();
  /** Sent with this connection or since the last silence, and not acknowledged. */
  private readonly sent = new Set<number>();
  private most = unacknowledgedLimit;
  private silenceMs = firstSilenceMs;
  private resendAt: Millis | undefined;
  private wake: AbortController | undefined;
  private nextSendAt: Millis = longAgo;
  private evidence: Evidence;
  /** Numbers that were refused, by the broker or the head-end. */
  private readonly again: Again = new Map();
  /** Acknowledgements of our epoch that wait: the newest word counts. */
  private newest: AckPayload | undefined;
  private claimSince: Millis | undefined;
  private partialFrom: Millis = millis(0);
  private claimLogged = false;
  private foreignLogged: number | undefined;
  private readonly fallBack: FallBack = newFallBack();
  /** Rows wait until then for the answer to the birth. */
  private answerUntil: Millis | undefined;
  private unanswered = 0;
  private refusal: { readonly reason: string; inARow: number } | undefined;
  /** How often in a row a number was on its way when the connection was lost; or was the first in a silence. */
  private readonly suspects = new Map<number, number>();
  private stuck = { sequence: 0, times: 0 };
  private readonly tooLarge = new Set<number>();
  private silences = 0;
  /** For the watchdog and the status. */
  sentCount = 0;
  acknowledgedCount = 0;
  resendCount = 0;
  refusedCount = 0;
  splitCount = 0;
  lastAckAt: Millis | undefined;

  constructor(settings: OutboxSettings) {
    this.settings = settings;
    const { store } = settings;
    this.evidence = newEvidence(store.epoch, store.acknowledged);
    store.onCommit(() => {
      for (const lane of Object.values(this.lanes)) lane.dry = false;
      this.wakeUp();
    });
  }

  private wakeUp(): void {
    // With a reason of its own, for the usual one is an error with a stack, made thousands of times a second.
    this.wake?.abort('woken');
  }

  onConnected(): void {
    this.connected = true;
    this.announced = undefined;
    this.fromTheStart();
    this.wakeUp();
  }
  onDisconnected(): void {
    this.connected = false;
    // The largest on its way may be why.
    const [largest] = [...this.inFlight].toSorted(([, a], [, b]) => b - a);
    if (largest) this.suspect(...largest);
    this.fromTheStart();
    this.wakeUp();
  }

  private fromTheStart(): void {
    this.generation++;
    this.lanes = newLanes();
    this.inFlight.clear();
    this.again.clear();
    this.sent.clear();
    this.resendAt = undefined;
    this.answerUntil = undefined;
  }

  private suspect(sequence: number, octets: number): void {
    const times = (this.suspects.get(sequence) ?? 0) + 1;
    this.suspects.clear();
    if (octets < 2 * minPacket) return;
    this.suspects.set(sequence, times);
    if (times >= suspicionLimit) this.tooLarge.add(sequence);
  }

  /** What the head-end says; it is applied soon. Of several only the newest counts. */
  onAck(ack: AckPayload): void {
    const { store, clock, log } = this.settings;
    this.lastAckAt = clock.now();
    const fallen = provesFallBack(ack, store);
    if (fallen) {
      this.fallBack.proof = fallen;
      this.answered();
    } else if (ack.epoch === store.epoch) {
      this.newest = ack;
      this.answered();
    } else if (ack.epoch !== this.foreignLogged) {
      this.foreignLogged = ack.epoch;
      log.info({ epoch: ack.epoch, own: store.epoch }, 'acknowledgement of an earlier epoch ignored');
    }
    this.wakeUp();
  }
  private answered(): void {
    // What came before the birth was sent is no answer to it.
    if (this.announced === undefined) return;
    this.answerUntil = undefined;
    this.unanswered = 0;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.settings;
    signal.addEventListener('abort', () => this.wakeUp());
    let logged = '';
    while (!signal.aborted) {
      // Made before the work, so that nothing that happens meanwhile is missed.
      const waiting = new AbortController();
      this.wake = waiting;
      let until = later(clock.now(), 60_000);
      try {
        until = millis(Math.min(until, await this.step()));
        logged = '';
      } catch (error) {
        // The store is closed or failed: it says so itself; try again shortly.
        const message = messageOf(error);
        if (message !== logged) log.warn({ error: cut(message) }, 'outbox waits for the store');
        logged = message;
        until = later(clock.now(), 1000);
      }
      if (!signal.aborted) await clock.sleepUntil(until, waiting.signal);
    }
  }

  /** Sends what may be sent now; returns when to look again. */
  private async step(): Promise<number> {
    const { clock, store } = this.settings;
    for (;;) {
      await this.believe();
      if (!this.connected) return Number.POSITIVE_INFINITY;
      if (store.epoch !== this.announced) this.announce();
      for (const sequence of this.tooLarge) await this.split(sequence);
      const now = clock.now();
      if (this.answerUntil !== undefined) {
        if (now < this.answerUntil) return this.answerUntil;
        this.answerUntil = undefined;
        this.unanswered++;
      }
      if (this.resendAt !== undefined && now >= this.resendAt) {
        await this.silent();
        continue;
      }
      const idleUntil = Math.min(this.resendAt ?? Number.POSITIVE_INFINITY, this.claimDeadline());
      if (this.inFlight.size >= this.settings.window()) return idleUntil;
      if (now < this.nextSendAt) return Math.min(idleUntil, this.nextSendAt);
      const repeat = await dueAgain(this.again, now, store);
      if (!repeat && this.sent.size >= this.most) return Math.min(idleUntil, nextAgain(this.again));
      const { generation } = this;
      // The head-end acknowledges without holes: where much waits for that, in the order of the numbers.
      const entry = repeat ?? (await nextEntry(this.lanes, store, this.sent.size >= this.most / 2));
      // Acknowledged since it was read.
      if (entry && !awaited(entry.sequence, store)) continue;
      if (entry && (await reworded(entry, this.settings))) {
        sendAtOnce(this.again, entry.sequence, clock.now());
        continue;
      }
      if (entry) await store.contact();
      // Nothing is said under numbers that the head-end has just proved to be given already.
      if (this.fallBack.proof) this.announced = undefined;
      if (generation !== this.generation || store.epoch !== this.announced) continue;
      if (!entry) return Math.min(idleUntil, nextAgain(this.again));
      this.send(entry, now, repeat !== undefined);
    }
  }

  /** Connected, or an epoch has begun. */
  private announce(): void {
    const { store, clock, greet } = this.settings;
    this.fromTheStart();
    if (this.evidence.epoch !== store.epoch) {
      this.evidence = newEvidence(store.epoch, store.acknowledged);
      this.claimSince = undefined;
      this.suspects.clear();
      this.tooLarge.clear();
    }
    this.announced = store.epoch;
    this.answerUntil = later(clock.now(), this.unanswered > 0 ? shortAnswerWaitMs : answerWaitMs);
    greet();
  }

  /** No progress, though the head-end could have acknowledged more. */
  private async silent(): Promise<void> {
    const { log, store } = this.settings;
    const { silenceMs } = this;
    const unacknowledged = this.sent.size;
    if (this.silences++ === 0)
      log.warn({ unacknowledged, silenceS: silenceMs / 1000 }, 'the head-end is silent: sending again');
    this.silenceMs = Math.min(longestSilenceMs, silenceMs * 2);
    this.resendCount += unacknowledged;
    this.most = Math.max(minUnacknowledged, Math.floor(this.most / 2));
    // It speaks, but one message does not reach it: a broker may drop without a word what it finds too large.
    const first = this.unanswered === 0 ? await store.entry(store.acknowledged + 1) : undefined;
    const times = first && this.stuck.sequence === first.sequence ? this.stuck.times + 1 : 1;
    this.stuck = { sequence: first?.sequence ?? 0, times };
    if (first && times >= suspicionLimit && first.text.length >= 2 * minPacket) this.tooLarge.add(first.sequence);
    // Perhaps it never heard of our epoch.
    this.announced = undefined;
  }

  /** Applies what the head-end said, as far as there is evidence. */
  private async believe(): Promise<void> {
    await fallBackWhereProven(this.fallBack, this.settings);
    const { store, clock } = this.settings;
    if (this.evidence.epoch !== store.epoch) return;
    if (this.newest) {
      if (this.newest.epoch === store.epoch) this.evidence.claim = this.newest;
      this.newest = undefined;
    }
    const { acknowledged: before } = store;
    // Not one write to the disk for each PUBACK that a claim was waiting for.
    const { claim, upTo } = this.evidence;
    const partial = claim !== undefined && claim.upTo > upTo;
    const belief = partial && clock.now() < this.partialFrom ? undefined : believable(this.evidence, store);
    if (partial && belief) this.partialFrom = later(clock.now(), partialEveryMs);
    if (belief) {
      const deleted = await store.acknowledge(belief.upTo, new Set([...belief.nack, ...belief.unproven]));
      applied(this.evidence, before, belief);
      for (const sequence of belief.nack) sendAgain(this.again, sequence, clock.now());
      if (deleted > 0) this.progressed(deleted, clock.now());
    }
    const covered = (this.evidence.claim?.upTo ?? 0) <= this.evidence.upTo;
    this.claimSince = covered ? undefined : (this.claimSince ?? clock.now());
  }
  private progressed(deleted: number, now: Millis): void {
    this.acknowledgedCount += deleted;
    for (const sequence of this.sent) if (!awaited(sequence, this.settings.store)) this.sent.delete(sequence);
    this.most = Math.min(unacknowledgedLimit, this.most + Math.ceil(deleted / 20));
    this.silenceMs = firstSilenceMs;
    this.silences = 0;
    this.resendAt = undefined;
    this.expectProgress(now);
  }
  /** From when on the head-end could acknowledge more than it has. */
  private expectProgress(now: Millis): void {
    const { store } = this.settings;
    const could = this.evidence.upTo > store.acknowledged;
    if (this.resendAt === undefined && could && this.sent.size > 0) this.resendAt = later(now, this.silenceMs);
  }

  /** When a claim that nothing covers is reported. */
  private claimDeadline(): number {
    if (this.claimSince === undefined) return Number.POSITIVE_INFINITY;
    if (this.claimLogged) return Math.max(this.partialFrom, this.settings.clock.now() + partialEveryMs);
    const { clock, log } = this.settings;
    const at = later(this.claimSince, claimPatienceMs);
    if (clock.now() < at) return Math.min(at, Math.max(this.partialFrom, clock.now() + partialEveryMs));
    this.claimLogged = true;
    log.warn(
      { claimed: this.evidence.claim?.upTo, taken: this.evidence.upTo },
      'the head-end acknowledges what the broker has not taken yet: believed as far as it has (head-end)',
    );
    return Number.POSITIVE_INFINITY;
  }

  private send(entry: OutboxEntry, now: Millis, repeated: boolean): void {
    const { gateway, topics, publish, store, rateLimit, clock } = this.settings;
    const { sequence } = entry;
    const { topic, payload } = messageOfFact(entry, { epoch: store.epoch, seq: sequence, gateway }, topics);
    const { generation, evidence } = this;
    this.inFlight.set(sequence, payload.length);
    this.sent.add(sequence);
    if (repeated) this.resendCount++;
    this.sentCount++;
    if (rateLimit !== undefined)
      this.nextSendAt = later(millis(Math.max(this.nextSendAt, now - catchUpMs)), 1000 / rateLimit);
    publish(topic, payload).then(
      () => {
        // It is evidence also where everything is being sent again meanwhile.
        if (awaited(sequence, store)) brokerTook(evidence, sequence);
        if (generation !== this.generation) return;
        this.inFlight.delete(sequence);
        this.again.delete(sequence);
        if (this.refusal) this.takesAgain(clock.now());
        if (this.suspects.has(sequence)) this.suspects.clear();
        this.expectProgress(clock.now());
        this.wakeUp();
      },
      (error: unknown) => {
        if (generation !== this.generation) return;
        this.inFlight.delete(sequence);
        this.refused(sequence, error);
        this.wakeUp();
      },
    );
  }
  /** What was refused before may be taken now as well. */
  private takesAgain(now: Millis): void {
    const { inARow = 0 } = this.refusal ?? {};
    this.refusal = undefined;
    if (inARow >= refusalsInARow) sendAllAt(this.again, now);
  }
  /** The broker refused an entry (quota, not authorised, too large): it stays, and is sent again after a pause. */
  private refused(sequence: number, error: unknown): void {
    const { log, clock } = this.settings;
    const reason = reasonOf(error);
    // A connection that is lost sends everything again by itself.
    if (reason === undefined) return;
    this.refusedCount++;
    const inARow = (this.refusal?.inARow ?? 0) + 1;
    if (this.refusal?.reason !== reason) log.warn({ seq: sequence, reason }, 'the broker refuses a message');
    this.refusal = { reason, inARow };
    if (isPacketTooLarge(error)) this.tooLarge.add(sequence);
    sendAgain(this.again, sequence, clock.now());
    if (inARow >= refusalsInARow)
      this.nextSendAt = later(clock.now(), Math.min(longestPauseMs, 1000 * 2 ** Math.min(inARow - refusalsInARow, 6)));
  }

  /** Into parts that the broker takes; where that is not possible it waits as it is. */
  private async split(sequence: number): Promise<void> {
    this.tooLarge.delete(sequence);
    this.suspects.delete(sequence);
    if (!(await sentInParts(sequence, this.settings))) return;
    this.splitCount++;
    sendAtOnce(this.again, sequence, this.settings.clock.now());
  }

  /** What stands in the way between the broker's door and the head-end; undefined when all is well. */
  get trouble(): string | undefined {
    const { store } = this.settings;
    const { evidence, refusal } = this;
    if (this.fallBack.ignored) return fellBackAgain;
    if (refusal)
      return `the broker refuses messages: ${refusal.reason}; ${this.again.size} of them wait and are sent again (head-end)`;
    if (this.claimLogged && this.claimSince !== undefined)
      return `the head-end acknowledges up to ${evidence.claim?.upTo}, the broker has taken up to ${evidence.upTo}: believed as far as that (head-end)`;
    if (store.refused.length > 0)
      return `the head-end refuses ${store.refused.length} messages (nack), the first of them number ${Math.min(...store.refused)}: they stay and are sent again; its log says why (head-end)`;
    if (this.silences > 0)
      return (
        `the head-end acknowledges nothing after ${store.acknowledged}: is it running, does it subscribe, and do the access rules of the broker let ` +
        `its answers (${this.settings.topics.ack}) through to this gateway? (head-end)${this.settings.refusesInSilence ? silentRefusal : ''}`
      );
    return undefined;
  }
}
