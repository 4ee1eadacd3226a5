/**
 * What all listeners of a house share: who may push, which invocation counters were heard, and what becomes of a push. A
 * counter is stored in one batch with what came under it, so that neither a recording of it nor a power cut counts anything twice.
 */
import { Failure, messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { Ciphering, CipheringSettings } from '../dlms/association/ciphering.ts';
import type { NotificationEvent, NotificationSettings } from '../dlms/stack/notification.ts';
import type { Origin } from '../reading/facts.ts';
import { pushedMeaning } from '../reading/pushed-meaning.ts';
import type { PushMark } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { RefusedPushes, type RefusedSummary } from './refused-pushes.ts';
import { type Notified, type Sender, understand } from './senders.ts';

export interface HearingSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Why nothing can be stored now. */
  readonly standstill: () => Failure | undefined;
}
/** Where a push came in. */
export interface Place {
  readonly listener: string;
  readonly peer: string;
}

/** Silence after which a frame that has begun is given up; meters pause for 3 s (meter-quirks 11). */
const quietMs = 5000;
const patienceMs = 30_000;
const reassemblyLimit = 1 << 16;
const unfinishedLists = 64;
const titleOctets = 8;

export class Hearing {
  private readonly settings: HearingSettings;
  private readonly senders: readonly Sender[];
  private readonly refused: RefusedPushes;
  /** The newest counter that was taken, by system title and key; a start finds them in the store. */
  private readonly counters = new Map<string, number>();
  private readonly ciphering = new Map<string, Ciphering>();
  taken = 0;

  constructor(settings: HearingSettings, senders: readonly Sender[]) {
    this.settings = settings;
    this.senders = senders;
    this.refused = new RefusedPushes(settings);
  }
  /** What was not taken of what came to a listener. */
  summary(listener: string): RefusedSummary | undefined {
    return this.refused.summary(listener);
  }

  private senderOf(title: string): Sender | undefined {
    return this.senders.find((one) => one.title() === title);
  }

  receiverSettings(link: NotificationSettings['link']): NotificationSettings {
    return {
      link,
      quietMs,
      patienceMs,
      reassemblyLimit,
      senderLimit: unfinishedLists,
      ciphering: (title) => this.keysOf(toHex(title)),
      heard: (title) => this.heard(toHex(title)),
      senders: this.ciphering,
      swappedObis: this.senders.some(({ state }) => state.model.push_swapped_obis),
    };
  }
  private keysOf(title: string): Omit<CipheringSettings, 'nextCounter' | 'wrapping'> | undefined {
    const { peer: _, ...settings } = this.senderOf(title)?.security()?.settings ?? {};
    return 'keys' in settings ? settings : undefined;
  }
  private heard(title: string): number | undefined {
    const sender = this.senderOf(title);
    const key = sender?.security()?.counterName;
    if (!sender || key === undefined) return undefined;
    const stored = this.settings.store.pushMark(sender.state.polled.origin.meter);
    const known = stored?.title === title && stored.key === key ? stored.counter : -1;
    return Math.max(known, this.counters.get(`${title} ${key}`) ?? -1);
  }

  /** What came of a port. Never rejects. */
  async take(event: NotificationEvent, place: Place): Promise<void> {
    const { systemTitle } = event;
    const title = systemTitle && toHex(systemTitle);
    try {
      if (event.kind === 'unreadable') {
        // Keys may have changed, and what failed halfway is begun anew with the counter that was taken last.
        if (title !== undefined) this.ciphering.delete(title);
        throw event.error;
      }
      await this.store(event, title);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.refuse(error, place, systemTitle);
    }
  }
  /** A peer was cut off. */
  flooded(error: Failure, place: Place): Promise<void> {
    return this.refuse(error, place, undefined);
  }
  private async refuse(error: Failure, place: Place, systemTitle: Uint8Array | undefined): Promise<void> {
    const stranger = error.code === 'secret-missing' && systemTitle !== undefined;
    const failure = stranger
      ? new Failure('push-stranger', `system title ${toHex(systemTitle)} is no configured meter's`)
      : error;
    await this.refused.tell({ ...place, error: failure, systemTitle, origin: this.originOf(failure, systemTitle) });
  }
  private originOf({ detail }: Failure, systemTitle: Uint8Array | undefined): Origin | undefined {
    const title = systemTitle?.length === titleOctets ? toHex(systemTitle) : undefined;
    const meter = detail['meter'];
    const sender =
      title === undefined
        ? this.senders.find(({ state }) => state.polled.origin.meter === meter)
        : this.senderOf(title);
    return sender?.state.polled.origin;
  }

  private async store(event: Notified, title: string | undefined): Promise<void> {
    const { sender, list } = understand(event, this.senders);
    const { state } = sender;
    const { origin } = state.polled;
    const standstill = this.settings.standstill();
    if (standstill) throw standstill;
    const key = sender.security()?.counterName;
    const pushed: PushMark | undefined =
      title !== undefined && key !== undefined && event.counter !== undefined
        ? { title, key, counter: event.counter }
        : undefined;
    const meaning = pushedMeaning(list, {
      series: state.polled.series,
      toleranceMs: state.model.stamp_tolerance_s * 1000,
      companion: state.model.companion,
    });
    const odd = [...list.problems, ...meaning.leftOut];
    if (odd.length > 0) this.settings.log.info({ meter: origin.meter, odd }, 'not all of a push was understood');
    if (pushed) this.counters.set(`${pushed.title} ${pushed.key}`, pushed.counter);
    try {
      await sender.take(meaning, pushed);
    } catch (error) {
      // What was not stored may be sent again under the same counter.
      if (pushed) this.forget(pushed);
      throw error instanceof Failure ? error : new Failure('store-failed', messageOf(error));
    }
    this.taken++;
  }
  private forget({ title, key, counter }: PushMark): void {
    const name = `${title} ${key}`;
    if (this.counters.get(name) === counter) this.counters.delete(name);
    this.ciphering.delete(title);
  }
}
