/** Joins outbox and broker: birth, state, health, acknowledgements. */
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Clock, iso, later } from '../base/time.ts';
import type { Store } from '../store/store.ts';
import { type Broker, type BrokerListener, type BrokerSettings, openBroker } from './mqtt-client.ts';
import { Outbox } from './outbox.ts';
import {
  ackPayload,
  type BirthPayload,
  contractVersion,
  type HealthPayload,
  isUnfit,
  parsePayload,
  type Topics,
} from './payload.ts';

export interface ForwarderSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly gateway: string;
  readonly boot: string;
  readonly topics: Topics;
  readonly broker: Omit<BrokerSettings, 'will'>;
  readonly rateLimit: number | undefined;
  readonly birth: () => BirthPayload;
  readonly health: () => Promise<HealthPayload>;
  readonly random: () => number;
  /** Another broker than mqtt.js, for the simulation. */
  readonly open?: (settings: BrokerSettings, listener: BrokerListener) => Broker;
}
const healthEveryMs = 60_000;
const healthExpiryS = 300;

export class Forwarder {
  readonly outbox: Outbox;
  private readonly settings: ForwarderSettings;
  private readonly broker: Broker;
  /** Payloads that do not fit their schema, by kind of misfit; each kind is logged once. */
  readonly unfit = new Map<string, number>();
  /** Why the last acknowledgement was not stored. */
  private notStored = '';

  constructor(settings: ForwarderSettings) {
    this.settings = settings;
    this.outbox = new Outbox({
      store: settings.store,
      clock: settings.clock,
      log: settings.log,
      gateway: settings.gateway,
      topics: settings.topics,
      publish: (topic, payload) => this.broker.publish(topic, payload, { qos: 1 }),
      greet: () => this.greet(),
      window: () => this.broker.window(),
      rateLimit: settings.rateLimit,
    });
    const broker: BrokerSettings = {
      ...settings.broker,
      will: { topic: settings.topics.state, payload: this.state(false) },
    };
    const listener: BrokerListener = {
      onConnected: () => void this.connected(),
      onDisconnected: () => this.outbox.onDisconnected(),
      onMessage: (topic, payload) => void this.message(topic, payload),
    };
    this.broker = settings.open
      ? settings.open(broker, listener)
      : openBroker(broker, listener, settings.log, settings.random);
  }

  get online(): boolean {
    return this.broker.connected();
  }

  /** Why it is not, where that is known. */
  get trouble(): string | undefined {
    return this.broker.trouble();
  }

  private state(online: boolean): string {
    const at = online ? iso(this.settings.clock.wall()) : null;
    return JSON.stringify({ v: contractVersion, online, boot: this.settings.boot, at });
  }

  private async connected(): Promise<void> {
    const { topics, log } = this.settings;
    try {
      // Acknowledgements first: rows may flow only when their answer can be heard.
      await this.broker.subscribe(topics.ack);
      this.outbox.onConnected();
      await this.sendHealth();
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'subscribing to acknowledgements failed');
    }
  }

  /** MQTT keeps the order: birth arrives before rows without waiting for its PUBACK, which a sick broker may never send. */
  private greet(): void {
    const { topics, birth, log } = this.settings;
    const greetings = [
      this.broker.publish(topics.birth, JSON.stringify(birth()), { qos: 1, retain: true }),
      this.broker.publish(topics.state, this.state(true), { qos: 1, retain: true }),
    ];
    for (const greeting of greetings)
      greeting.catch((error: unknown) => log.warn({ error: messageOf(error) }, 'greeting the broker failed'));
  }

  private async sendHealth(): Promise<void> {
    if (!this.broker.connected()) return;
    const health = await this.settings.health();
    await this.broker.publish(this.settings.topics.health, JSON.stringify(health), { qos: 0, expiryS: healthExpiryS });
  }

  private async message(topic: string, payload: Uint8Array): Promise<void> {
    const { topics, log } = this.settings;
    if (topic !== topics.ack) return;
    const ack = parsePayload(ackPayload, payload);
    if (isUnfit(ack)) {
      const seen = this.unfit.get(ack.unfit) ?? 0;
      if (this.unfit.size < 100 || seen > 0) this.unfit.set(ack.unfit, seen + 1);
      if (seen === 0 && this.unfit.size < 100)
        log.warn({ topic, unfit: ack.unfit }, 'payload ignored: it does not fit the contract (head-end)');
      return;
    }
    try {
      await this.outbox.onAck(ack);
      this.notStored = '';
    } catch (error) {
      // A disk that fails for a day is one line, not one for each acknowledgement.
      const message = messageOf(error);
      if (message !== this.notStored)
        log.warn({ error: message }, 'acknowledgements not stored; the head-end will be asked again');
      this.notStored = message;
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.settings;
    const health = (async () => {
      while (!signal.aborted) {
        await clock.sleepUntil(later(clock.now(), healthEveryMs), signal);
        if (!signal.aborted)
          await this.sendHealth().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'health not sent'));
      }
    })();
    await Promise.all([this.outbox.run(signal), health]);
    await this.broker.stop({ topic: this.settings.topics.state, payload: this.state(false) });
  }
}
