/**
 * What all listeners of a house share: who may push, which invocation counters were heard, and what becomes of a push. A
 * counter is stored in one batch with what came under it, so that neither a recording of it nor a power cut counts anything twice.
 */
import { Failure, messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { Ciphering, CipheringSettings } from '../dlms/association/ciphering.ts';
import {
  listeningLimits,
  type NotificationEvent,
  NotificationReceiver,
  type NotificationSettings,
} from '../dlms/stack/notification.ts';
import type { Origin } from '../reading/facts.ts';
import { pushedMeaning } from '../reading/pushed-meaning.ts';
import type { PushMark } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { HeldPushes } from './held-pushes.ts';
import { hostOf, RefusedPushes, type RefusedSummary, serialOf } from './refused-pushes.ts';
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

const titleOctets = 8;

export class Hearing {
  private readonly settings: HearingSettings;
  private readonly senders: readonly Sender[];
  private readonly refused: RefusedPushes;
  private readonly held: HeldPushes;
  /** The newest counter that was taken, by system title and key; a start finds them in the store. */
  private readonly counters = new Map<string, number>();
  private readonly ciphering = new Map<string, Ciphering>();

  constructor(settings: HearingSettings, senders: readonly Sender[]) {
    this.settings = settings;
    this.senders = senders;
    this.refused = new RefusedPushes(settings);
    this.held = new HeldPushes(settings);
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
      ...listeningLimits,
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

  /** What was kept of strangers who are configured now is taken; once, when the listeners begin. */
  async takeHeld(): Promise<void> {
    if (this.begun) return;
    this.begun = true;
    const { clock, log } = this.settings;
    try {
      const done: string[] = [];
      for (const { key, listener, from, octets } of await this.held.all()) {
        const receiver = new NotificationReceiver(this.receiverSettings('wrapper'));
        receiver.receiveApdu(octets, from, clock.now());
        for (let event = receiver.pollEvent(); event; event = receiver.pollEvent())
          if (await this.known(event, { listener, peer: from })) done.push(key);
      }
      await this.held.drop(done);
      if (done.length > 0) log.info({ pushes: done.length }, 'pushes that were held are taken');
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ error: error.message }, 'held pushes could not be read');
    }
  }
  private begun = false;
  /** Whether its sender is configured now; then it is taken, or refused for good. */
  private async known(event: NotificationEvent, place: Place): Promise<boolean> {
    const { systemTitle } = event;
    if (systemTitle ? this.senderOf(toHex(systemTitle)) === undefined : event.kind === 'unreadable') return false;
    try {
      if (event.kind !== 'unreadable' && !systemTitle) understand(event, this.senders);
    } catch {
      return false;
    }
    await this.take(event, place);
    return true;
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
      await this.refuse(error, place, systemTitle, event);
    }
  }
  /** A peer was cut off. */
  flooded(error: Failure, place: Place): Promise<void> {
    return this.refuse(error, place, undefined, undefined);
  }
  private async refuse(
    error: Failure,
    place: Place,
    systemTitle: Uint8Array | undefined,
    event: NotificationEvent | undefined,
  ): Promise<void> {
    const stranger = error.code === 'secret-missing' && systemTitle !== undefined;
    const failure = stranger
      ? new Failure('push-stranger', `system title ${toHex(systemTitle)} is no configured meter's`)
      : error;
    if (failure.code === 'push-stranger' && event && 'octets' in event && event.octets)
      await this.held
        .hold(systemTitle ? toHex(systemTitle) : (serialOf(failure) ?? hostOf(place.peer)), {
          ...place,
          from: event.from,
          octets: event.octets,
        })
        .catch((why: unknown) => this.settings.log.error({ error: messageOf(why) }, 'a push could not be held'));
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
      await sender.take(meaning, pushed, event.authentic === true);
    } catch (error) {
      // What was not stored may be sent again under the same counter.
      if (pushed) this.forget(pushed);
      throw error instanceof Failure ? error : new Failure('store-failed', messageOf(error));
    }
  }
  private forget({ title, key, counter }: PushMark): void {
    const name = `${title} ${key}`;
    if (this.counters.get(name) === counter) this.counters.delete(name);
    this.ciphering.delete(title);
  }
}
