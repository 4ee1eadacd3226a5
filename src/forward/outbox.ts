/**
 * The outbox: sends what the store holds, live rows before back-fill, within a window; an entry goes only when the
 * head-end itself acknowledges it. PUBACK moves the window and nothing else. What stays unacknowledged is sent again
 * after a silence and after every reconnect.
 */
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Clock, later, type Millis, millis } from '../base/time.ts';
import type { EntryClass } from '../store/outbox-record.ts';
import type { OutboxEntry, Store } from '../store/store.ts';
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

/** Entries of a class that were read from the store and not sent yet. */
interface Lane {
  entries: OutboxEntry[];
  /** The last number that was read. */
  after: number;
  /** There was nothing after it; a commit may have added something since. */
  dry: boolean;
  fetching: Promise<void> | undefined;
}
const newLane = (): Lane => ({ entries: [], after: 0, dry: false, fetching: undefined });

export class Outbox {
  private readonly settings: OutboxSettings;
  private connected = false;
  /** The epoch that the head-end was told with this connection. */
  private told: number | undefined;
  /** Counts connections: answers that belong to an earlier one change nothing. */
  private generation = 0;
  private lanes: Record<EntryClass, Lane> = { 0: newLane(), 1: newLane() };
  private inFlight = 0;
  private unacknowledged = 0;
  private most = unacknowledgedLimit;
  private silenceMs = firstSilenceMs;
  private resendAt: Millis | undefined;
  private wake: AbortController | undefined;
  private nextSendAt: Millis = millis(0);
  /** For the watchdog and the status. */
  sentCount = 0;
  acknowledgedCount = 0;
  resendCount = 0;
  lastAckAt: Millis | undefined;

  constructor(settings: OutboxSettings) {
    this.settings = settings;
    settings.store.onCommit(() => {
      for (const lane of Object.values(this.lanes)) lane.dry = false;
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
    this.lanes = { 0: newLane(), 1: newLane() };
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

  /**
   * The next entry: live before back-fill. The head-end acknowledges without holes, though: where much waits for that, in
   * the order of the numbers, so that none is missing before those that were sent.
   */
  private async next(): Promise<OutboxEntry | undefined> {
    const { generation } = this;
    for (const entryClass of [0, 1] as const)
      if (this.lanes[entryClass].entries.length === 0) await this.fetch(entryClass);
    if (generation !== this.generation) return undefined;
    const [live, backFill] = [this.lanes[0].entries[0], this.lanes[1].entries[0]];
    const inOrder = this.unacknowledged >= this.most / 2;
    const entryClass = live && (!backFill || !inOrder || live.sequence < backFill.sequence) ? 0 : 1;
    const entry = this.lanes[entryClass].entries.shift();
    // While entries are being sent, those after them are read. Where that fails, it fails again where it is waited for.
    if (this.lanes[entryClass].entries.length <= readAhead / 2) this.fetch(entryClass).catch(() => {});
    return entry;
  }

  /** Reads more of a class from the store, once at a time. */
  private fetch(entryClass: EntryClass): Promise<void> {
    const lane = this.lanes[entryClass];
    if (lane.dry) return Promise.resolve();
    lane.fetching ??= (async () => {
      try {
        lane.dry = true;
        const more = await this.settings.store.outbox(entryClass, lane.after, readAhead);
        lane.entries.push(...more);
        lane.after = more.at(-1)?.sequence ?? lane.after;
        if (more.length > 0) lane.dry = false;
      } catch (error) {
        lane.dry = false;
        throw error;
      } finally {
        lane.fetching = undefined;
      }
    })();
    return lane.fetching;
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
