/**
 * The outbox: sends what the store holds, live rows before back-fill, within a window; an entry goes only when the
 * head-end itself acknowledges it. PUBACK moves the window and nothing else. What stays unacknowledged is sent again
 * after a silence and after every reconnect.
 */
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Clock, later, type Millis, millis } from '../base/time.ts';
import type { EntryClass, OutboxEntry, Store } from '../store/store.ts';
import { type AckPayload, messageOfFact, type Topics } from './payload.ts';

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
  /** Messages per second; undefined = no cap. */
  readonly rateLimit: number | undefined;
}
/** Sent and not acknowledged by the head-end, at most: beyond it we wait for the acknowledgement or the silence. */
const unacknowledgedLimit = 2000;
/** A broker drops what it keeps for a slow subscriber beyond its limit: each silence halves ours, down to this. */
const leastUnacknowledged = 20;
/** Silence of the head-end after which everything unacknowledged is sent again; doubles until it answers. */
const firstSilenceMs = 20_000;
const longestSilenceMs = 15 * 60_000;
const readAhead = 500;
/** A rate above what a timer can do is kept on average: this much of it may be made up for at once. */
const catchUpMs = 100;

export class Outbox {
  private readonly settings: OutboxSettings;
  private connected = false;
  /** The epoch that the head-end was told with this connection. */
  private told: number | undefined;
  /** Counts connections: answers that belong to an earlier one change nothing. */
  private generation = 0;
  private sent: Record<EntryClass, number> = { 0: 0, 1: 0 };
  private queue: OutboxEntry[] = [];
  private fetching = false;
  private inFlight = 0;
  private unacknowledged = 0;
  private most = unacknowledgedLimit;
  private silenceMs = firstSilenceMs;
  private resendAt: Millis | undefined;
  private wake: AbortController | undefined;
  private nextSendAt: Millis = millis(0);
  /** A commit may have added live entries since we last looked. */
  private liveWaits = true;
  /** For the watchdog and the status. */
  sentCount = 0;
  acknowledgedCount = 0;
  resendCount = 0;
  lastAckAt: Millis | undefined;

  constructor(settings: OutboxSettings) {
    this.settings = settings;
    settings.store.onCommit(() => {
      this.liveWaits = true;
      this.stir();
    });
  }

  private stir(): void {
    // With a reason of its own, for the usual one is an error with a stack, made thousands of times a second.
    this.wake?.abort('stirred');
  }

  onConnected(): void {
    this.connected = true;
    this.told = undefined;
    this.generation++;
    this.fromTheStart();
    this.stir();
  }
  onDisconnected(): void {
    this.connected = false;
    this.generation++;
    this.resendAt = undefined;
    this.stir();
  }

  private fromTheStart(): void {
    this.sent = { 0: 0, 1: 0 };
    this.queue = [];
    this.liveWaits = true;
    this.inFlight = 0;
    this.unacknowledged = 0;
    this.resendAt = undefined;
  }

  async onAck(ack: AckPayload): Promise<void> {
    const { store, clock, log } = this.settings;
    if (ack.epoch !== store.epoch) {
      log.warn({ epoch: ack.epoch, own: store.epoch }, 'acknowledgement of another epoch ignored');
      return;
    }
    const deleted = await store.acknowledge(ack.upTo, new Set(ack.nack));
    this.lastAckAt = clock.now();
    if (deleted === 0) return;
    this.acknowledgedCount += deleted;
    this.unacknowledged = Math.max(0, this.unacknowledged - deleted);
    this.most = Math.min(unacknowledgedLimit, this.most + Math.ceil(deleted / 20));
    this.silenceMs = firstSilenceMs;
    this.resendAt = this.unacknowledged > 0 ? later(clock.now(), this.silenceMs) : undefined;
    this.stir();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.settings;
    signal.addEventListener('abort', () => this.stir());
    let told = '';
    while (!signal.aborted) {
      // Made before the work, so that nothing that happens meanwhile is missed.
      const waiting = new AbortController();
      this.wake = waiting;
      let until = later(clock.now(), 60_000);
      try {
        until = millis(Math.min(until, await this.step()));
        told = '';
      } catch (error) {
        // The store is closed or failed: it says so itself; try again shortly.
        const message = messageOf(error);
        if (message !== told) log.warn({ error: message }, 'outbox waits for the store');
        told = message;
        until = later(clock.now(), 1000);
      }
      if (!signal.aborted) await clock.sleepUntil(until, waiting.signal);
    }
  }

  /** Sends what may be sent now; returns when to look again. */
  private async step(): Promise<number> {
    const { clock, log } = this.settings;
    for (;;) {
      if (!this.connected) return Number.POSITIVE_INFINITY;
      const { epoch } = this.settings.store;
      if (epoch !== this.told) {
        // Connected, or a store that turned out to be damaged.
        this.told = epoch;
        this.generation++;
        this.fromTheStart();
        this.settings.greet();
      }
      const now = clock.now();
      if (this.resendAt !== undefined && now >= this.resendAt) {
        log.warn(
          { unacknowledged: this.unacknowledged, silenceS: this.silenceMs / 1000 },
          'the head-end is silent: sending again',
        );
        this.silenceMs = Math.min(longestSilenceMs, this.silenceMs * 2);
        this.resendCount += this.unacknowledged;
        this.most = Math.max(leastUnacknowledged, Math.floor(this.most / 2));
        // Perhaps it never heard of our epoch.
        this.told = undefined;
        continue;
      }
      const idleUntil = this.resendAt ?? Number.POSITIVE_INFINITY;
      if (this.inFlight >= this.settings.window() || this.unacknowledged >= this.most) return idleUntil;
      if (now < this.nextSendAt) return Math.min(idleUntil, this.nextSendAt);
      const entry = await this.next();
      if (this.settings.store.epoch !== this.told) continue;
      if (!entry) return idleUntil;
      if (!this.connected) return Number.POSITIVE_INFINITY;
      this.send(entry, now);
    }
  }

  /** The next entry: live before back-fill, in order of the sequence. Read ahead, live ones looked for each time. */
  private async next(): Promise<OutboxEntry | undefined> {
    const { store } = this.settings;
    const generation = this.generation;
    if (this.liveWaits && this.queue[0]?.entryClass !== 0) {
      this.liveWaits = false;
      const live = await store.outbox(0, this.sent[0], readAhead);
      if (generation !== this.generation) return undefined;
      if (live.length > 0) this.queue = [...live, ...this.queue];
      if (live.length === readAhead) this.liveWaits = true;
    }
    if (this.queue.length === 0) {
      const backFill = await store.outbox(1, this.sent[1], readAhead);
      if (generation !== this.generation) return undefined;
      this.queue = backFill;
    }
    const entry = this.queue.shift();
    if (entry) this.sent[entry.entryClass] = entry.sequence;
    this.fetch();
    return entry;
  }

  /** While entries are being sent, those after them are read. */
  private fetch(): void {
    const last = this.queue.at(-1);
    if (this.fetching || !last || this.queue.length > readAhead / 2) return;
    const { generation } = this;
    this.fetching = true;
    this.settings.store
      .outbox(last.entryClass, last.sequence, readAhead)
      .then((more) => {
        // Live entries may have come in between: then these are read again in their turn.
        if (generation === this.generation && this.queue.at(-1) === last) this.queue.push(...more);
      })
      // It fails once more where it is waited for.
      .catch(() => {})
      .finally(() => {
        this.fetching = false;
      });
  }

  private send(entry: OutboxEntry, now: Millis): void {
    const { gateway, topics, publish, store, log, rateLimit, clock } = this.settings;
    const { topic, payload } = messageOfFact(entry, { epoch: store.epoch, seq: entry.sequence, gateway }, topics);
    const { generation } = this;
    this.inFlight++;
    this.unacknowledged++;
    this.sentCount++;
    if (rateLimit !== undefined)
      this.nextSendAt = later(millis(Math.max(this.nextSendAt, now - catchUpMs)), 1000 / rateLimit);
    this.resendAt = later(now, this.silenceMs);
    publish(topic, payload).then(
      () => {
        if (generation !== this.generation) return;
        this.inFlight--;
        this.resendAt = later(clock.now(), this.silenceMs);
        this.stir();
      },
      (error: unknown) => {
        if (generation !== this.generation) return;
        // Refused by the broker (quota, not authorised): the entry stays, the silence sends it again.
        log.warn({ seq: entry.sequence, error: messageOf(error) }, 'publish failed');
        this.inFlight--;
        this.stir();
      },
    );
  }

  get status(): { connected: boolean; inFlight: number; unacknowledged: number } {
    return { connected: this.connected, inFlight: this.inFlight, unacknowledged: this.unacknowledged };
  }
}
