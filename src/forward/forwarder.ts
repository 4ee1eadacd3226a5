/** Joins outbox and broker: birth, state, health, acknowledgements, what the head-end asks for again. */
import { messageOf } from '../base/errors.ts';
import { cut, type Log } from '../base/log.ts';
import { type Clock, iso, later, type Millis } from '../base/time.ts';
import type { Store } from '../store/store.ts';
import { fitBirth, fitHealth } from './fit.ts';
import { type Broker, type BrokerListener, type BrokerSettings, openBroker } from './mqtt-client.ts';
import { Outbox } from './outbox.ts';
import {
  ackPayload,
  type AgainPayload,
  againPayload,
  type BirthPayload,
  contractVersion,
  type HealthPayload,
} from '../contract/payloads.ts';
import { isUnfit, parsePayload, payloadLimit } from '../contract/parse.ts';
import type { Topics } from '../contract/topics.ts';
import { reasonOf } from './refusal.ts';

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
  /** What the head-end lost is said again. Returns how many intervals; throws Failure where there is no such series. */
  readonly again?: (request: AgainPayload) => Promise<number>;
  /** An order of the central system, as it came; resolves to why it is none. Left out: none is taken, nor subscribed to. */
  readonly command?: (octets: Uint8Array) => Promise<string | undefined>;
  /** The state fell back: what else it counts is in doubt. */
  readonly onFellBack?: () => Promise<void>;
  /** Another broker than mqtt.js, for the simulation. */
  readonly open?: (settings: BrokerSettings, listener: BrokerListener) => Broker;
}
const healthEveryMs = 60_000;
const healthExpiryS = 300;
/** A step towards the broker that failed is tried again after a pause that doubles. */
const firstRetryMs = 2000;
const longestRetryMs = 60_000;
/** A subscription or birth refused so often on one connection: perhaps another connection fares better. */
const refusalsBeforeReconnect = 5;
/** Kinds of misfit that are logged, each once. */
const misfitKinds = 100;
/** One request at a time, and so many wait. */
const againLimit = 16;

export class Forwarder {
  readonly outbox: Outbox;
  private readonly settings: ForwarderSettings;
  private readonly broker: Broker;
  /** Payloads that do not fit their schema, by kind of misfit; each kind is logged once. */
  readonly unfit = new Map<string, number>();
  unfitCount = 0;
  private unfitAt: Millis | undefined;
  /** Why a step failed, as long as it has not been done. */
  private readonly troubles = new Map<'subscribe' | 'birth' | 'again' | 'command', string>();
  private connection = 0;
  private stopping: AbortSignal | undefined;
  private readonly requests: AgainPayload[] = [];
  private answering = false;
  private greetings = 0;

  constructor(settings: ForwarderSettings) {
    this.settings = settings;
    const { topics } = settings;
    this.outbox = new Outbox({
      store: settings.store,
      clock: settings.clock,
      log: settings.log,
      gateway: settings.gateway,
      topics,
      publish: (topic, payload) => this.broker.publish(topic, payload, { qos: 1 }),
      greet: () => void this.greet(),
      window: () => this.broker.window(),
      packetLimit: () => this.broker.packetLimit(),
      rateLimit: settings.rateLimit,
      refusesInSilence: settings.broker.protocol === 4,
      ...(settings.onFellBack && { onFellBack: settings.onFellBack }),
    });
    const broker: BrokerSettings = { ...settings.broker, will: { topic: topics.state, payload: this.state(false) } };
    const listener: BrokerListener = {
      onConnected: () => void this.connected(),
      onDisconnected: () => {
        this.connection++;
        this.troubles.delete('birth');
        this.outbox.onDisconnected();
      },
      onMessage: (topic, payload) => this.message(topic, payload),
    };
    this.broker = settings.open
      ? settings.open(broker, listener)
      : openBroker(broker, listener, settings.log, settings.random);
  }

  get online(): boolean {
    return this.broker.connected();
  }

  /** What stands between this gateway and its head-end, where that is known. */
  get trouble(): string | undefined {
    const { troubles } = this;
    return (
      this.broker.trouble() ??
      troubles.get('subscribe') ??
      troubles.get('birth') ??
      this.outbox.trouble ??
      this.misfits()
    );
  }
  private misfits(): string | undefined {
    const recent = this.unfitAt !== undefined && this.settings.clock.now() - this.unfitAt < 3_600_000;
    if (!recent) return this.troubles.get('again') ?? this.troubles.get('command');
    const [last] = [...this.unfit.keys()].slice(-1);
    return `${this.unfitCount} payloads of the head-end did not fit the contract and were ignored, among them: ${last} (head-end)`;
  }

  private state(online: boolean): string {
    const at = online ? iso(this.settings.clock.wall()) : null;
    return JSON.stringify({ v: contractVersion, online, boot: this.settings.boot, at });
  }

  private async connected(): Promise<void> {
    const { topics, command } = this.settings;
    const connection = ++this.connection;
    // Acknowledgements first: rows may flow only when their answer can be heard.
    if (!(await this.subscribed(topics.ack, connection, 'subscribe'))) return;
    if (!(await this.subscribed(topics.again, connection, 'again'))) return;
    if (command && !(await this.subscribed(topics.command, connection, 'command'))) return;
    this.outbox.onConnected();
  }
  /** Subscribes, as often as it takes while this connection lasts. What may be refused and is optional is not waited for. */
  private async subscribed(
    filter: string,
    connection: number,
    step: 'subscribe' | 'again' | 'command',
  ): Promise<boolean> {
    const { log, clock } = this.settings;
    const needed = step === 'subscribe';
    for (let refusals = 1; connection === this.connection; refusals++) {
      try {
        await this.broker.subscribe(filter);
        this.troubles.delete(step);
        return connection === this.connection;
      } catch (error) {
        // Without an answer the connection is dropped by the broker's side of this house, and says so.
        if (connection !== this.connection) return false;
        const why = reasonOf(error) ?? messageOf(error);
        const trouble = `the broker refuses the subscription of ${filter}: ${cut(why)}`;
        if (this.troubles.get(step) !== trouble)
          log.warn({ filter, error: cut(why) }, 'subscription refused by the broker');
        this.troubles.set(step, trouble);
        if (!needed) return true;
        if (refusals % refusalsBeforeReconnect === 0) return this.broker.reconnect(trouble), false;
        await clock.sleepUntil(
          later(clock.now(), Math.min(longestRetryMs, firstRetryMs * 2 ** (refusals - 1))),
          this.stopping,
        );
        if (this.stopping?.aborted) return false;
      }
    }
    return false;
  }

  /** MQTT keeps the order: birth arrives before rows without waiting for its PUBACK, which a sick broker may never send. */
  private async greet(): Promise<void> {
    const { topics, birth, clock, store, log } = this.settings;
    const { connection } = this;
    const { epoch } = store;
    const greeting = ++this.greetings;
    const current = () => connection === this.connection && greeting === this.greetings && epoch === store.epoch;
    for (let tries = 0; current(); tries++) {
      const limit = Math.min(payloadLimit, this.broker.packetLimit() - topics.birth.length - 96);
      const greetings = [
        this.broker.publish(topics.birth, JSON.stringify(fitBirth(birth(), limit)), { qos: 1, retain: true }),
        this.broker.publish(topics.state, this.state(true), { qos: 1, retain: true }),
      ];
      // After the birth, which says whose health it is.
      if (tries === 0)
        void this.sendHealth().catch((error: unknown) => log.warn({ error: cut(messageOf(error)) }, 'health not sent'));
      const failed = (await Promise.allSettled(greetings)).find(({ status }) => status === 'rejected');
      if (!current()) return;
      if (!failed) {
        this.troubles.delete('birth');
        return;
      }
      const trouble = this.birthFailed((failed as PromiseRejectedResult).reason);
      if (tries + 1 >= refusalsBeforeReconnect) return this.broker.reconnect(trouble);
      await clock.sleepUntil(later(clock.now(), Math.min(longestRetryMs, firstRetryMs * 2 ** tries)), this.stopping);
      if (this.stopping?.aborted) return;
    }
  }
  private birthFailed(error: unknown): string {
    const why = cut(reasonOf(error) ?? messageOf(error));
    const trouble = `the broker refuses our birth: ${why}`;
    if (this.troubles.get('birth') !== trouble) this.settings.log.warn({ error: why }, 'birth refused by the broker');
    this.troubles.set('birth', trouble);
    return trouble;
  }

  private async sendHealth(): Promise<void> {
    const { broker, outbox } = this;
    if (!broker.connected()) return;
    const health = await this.settings.health();
    const uplink = { trouble: this.trouble ?? null, unfit: this.unfitCount, refused: outbox.refusedCount };
    const { topics } = this.settings;
    const limit = Math.min(payloadLimit, broker.packetLimit() - topics.health.length - 96);
    const payload = JSON.stringify(fitHealth({ ...health, uplink }, limit));
    await broker.publish(topics.health, payload, { qos: 0, expiryS: healthExpiryS });
  }

  private message(topic: string, payload: Uint8Array): void {
    const { topics, command } = this.settings;
    if (topic === topics.command && command) {
      void command(payload).then((unfit) => unfit !== undefined && this.misfit(topic, unfit));
      return;
    }
    const parsed =
      topic === topics.ack
        ? parsePayload(ackPayload, payload)
        : topic === topics.again
          ? parsePayload(againPayload, payload)
          : { unfit: 'a topic that was not subscribed' };
    if (!isUnfit(parsed)) {
      if ('upTo' in parsed) this.outbox.onAck(parsed);
      else this.ask(parsed);
      return;
    }
    this.misfit(topic, parsed.unfit);
  }
  private misfit(topic: string, unfit: string): void {
    const { clock, log } = this.settings;
    this.unfitCount++;
    this.unfitAt = clock.now();
    const seen = this.unfit.get(unfit) ?? 0;
    if (this.unfit.size >= misfitKinds && seen === 0) return;
    this.unfit.set(unfit, seen + 1);
    if (seen === 0)
      log.warn({ topic: cut(topic, 100), unfit }, 'payload ignored: it does not fit the contract (head-end)');
  }

  /** What the head-end asks for again is done in turn; more than a few at once are refused, and asked for again by it. */
  private ask(request: AgainPayload): void {
    if (this.requests.length >= againLimit) this.againRefused(request, `${againLimit} requests are waiting already`);
    else this.requests.push(request);
    void this.answerRequests();
  }
  private async answerRequests(): Promise<void> {
    if (this.answering) return;
    this.answering = true;
    const { again, log } = this.settings;
    for (let request = this.requests.shift(); request; request = this.requests.shift()) {
      try {
        const intervals = again ? await again(request) : 0;
        this.troubles.delete('again');
        log.info({ ...request, intervals }, 'said again for the head-end');
      } catch (error) {
        this.againRefused(request, messageOf(error));
      }
    }
    this.answering = false;
  }
  private againRefused(request: AgainPayload, why: string): void {
    const trouble = `the head-end asked for something again that cannot be said: meter ${request.meter}, ${cut(why, 100)} (head-end)`;
    if (this.troubles.get('again') !== trouble)
      this.settings.log.warn({ ...request, why: cut(why) }, 'not said again (head-end)');
    this.troubles.set('again', trouble);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.settings;
    this.stopping = signal;
    let logged = '';
    const health = (async () => {
      while (!signal.aborted) {
        await clock.sleepUntil(later(clock.now(), healthEveryMs), signal);
        if (signal.aborted) return;
        const failed = await this.sendHealth().then(
          () => '',
          (error: unknown) => cut(messageOf(error)),
        );
        // The same failure each minute is one line.
        if (failed !== '' && failed !== logged) log.warn({ error: failed }, 'health not sent');
        logged = failed;
      }
    })();
    await Promise.all([this.outbox.run(signal), health]);
    await this.broker.stop({ topic: this.settings.topics.state, payload: this.state(false) });
  }
}
