/** A broker and a central system in virtual time: connections that come and go, a head-end that acknowledges or not. */
import { crc32 } from 'node:zlib';
import { type Clock, later } from '../../src/base/time.ts';
import { ackOf, greet, type Ingest, take } from './memory-central.ts';
import type { Broker, BrokerListener, BrokerSettings, PublishOptions } from '../../src/forward/mqtt-client.ts';
import { type BirthPayload, birthPayload } from '../../src/contract/payloads.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { topics } from '../../src/contract/topics.ts';

export class TwinBroker {
  private readonly clock: Clock;
  readonly ingest: Ingest;
  private readonly tenant: string;
  private readonly gateway: string;
  private listener: BrokerListener | undefined;
  up = false;
  acknowledging = true;
  /** Births are answered although nothing is acknowledged. */
  answering = false;
  /** Messages that reached the broker, in order. */
  readonly published: { topic: string; payload: string; options: PublishOptions }[] = [];
  /** Publishes since the connection that were given neither PUBACK nor error. */
  stall = false;
  inFlight = 0;
  maxInFlight = 0;
  will: string | undefined;
  /** Publishes that get their PUBACK and go nowhere, or arrive twice, or late. */
  lies:
    | { readonly random: () => number; readonly lost: number; readonly twice: number; readonly lateMs: number }
    | undefined;

  /** The last one that was published. */
  birth: BirthPayload | undefined;

  constructor(clock: Clock, ingest: Ingest, tenant: string, gateway: string) {
    this.clock = clock;
    this.ingest = ingest;
    this.tenant = tenant;
    this.gateway = gateway;
  }

  readonly open = (settings: BrokerSettings, listener: BrokerListener): Broker => {
    this.listener = listener;
    this.will = settings.will.payload;
    return {
      publish: (topic, payload, options) => this.publish(topic, payload, options),
      subscribe: () => Promise.resolve(),
      connected: () => this.up,
      trouble: () => undefined,
      window: () => settings.window,
      packetLimit: () => Number.POSITIVE_INFINITY,
      reconnect: () => this.disconnect(),
      stop: () => Promise.resolve(),
    };
  };
  connect(): void {
    this.up = true;
    this.inFlight = 0;
    this.listener?.onConnected();
  }
  disconnect(): void {
    this.up = false;
    this.listener?.onDisconnected();
  }
  /** Sends to the gateway, as it is. */
  send(topic: string, payload: string): void {
    this.listener?.onMessage(topic, Buffer.from(payload));
  }
  get ackTopic(): string {
    return topics(this.tenant, this.gateway).ack;
  }

  private async publish(topic: string, payload: string, options: PublishOptions): Promise<void> {
    if (!this.up) throw new Error('offline');
    this.published.push({ topic, payload, options });
    if (topic.includes('/up/')) {
      this.inFlight++;
      this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    }
    if (this.stall) return new Promise(() => {});
    await this.clock.sleepUntil(later(this.clock.now(), 20));
    if (topic.includes('/up/')) this.inFlight--;
    const { lies } = this;
    const arrives = () => this.arrive(topic, Buffer.from(payload));
    if (!lies || !topic.includes('/up/')) return arrives();
    if (lies.random() < lies.lost) return;
    const lateMs = lies.random() * lies.lateMs;
    const again = lies.random() < lies.twice;
    void this.clock.sleepUntil(later(this.clock.now(), lateMs)).then(() => {
      arrives();
      if (again) arrives();
    });
  }

  /** Numbers that came with two meanings. */
  readonly twoMeanings: string[] = [];
  private readonly meanings = new Map<string, number>();
  private watchMeaning(octets: Uint8Array): void {
    const { epoch, seq } = JSON.parse(Buffer.from(octets).toString()) as { epoch: number; seq: number };
    const [number, meaning] = [`${epoch}/${seq}`, crc32(octets)];
    if ((this.meanings.get(number) ?? meaning) !== meaning) this.twoMeanings.push(number);
    this.meanings.set(number, meaning);
  }

  private arrive(topic: string, octets: Uint8Array): void {
    if (topic.endsWith('/birth')) {
      const birth = parsePayload(birthPayload, octets);
      if (isUnfit(birth)) return;
      this.birth = birth;
      const answer = greet(this.ingest, birth);
      if (this.acknowledging || this.answering) this.send(this.ackTopic, JSON.stringify(answer));
    } else if (topic.includes('/up/')) {
      this.watchMeaning(octets);
      const gateway = take(this.ingest, topic, octets);
      const received = gateway === undefined ? undefined : this.ingest.received.get(gateway);
      if (received && this.acknowledging) this.send(this.ackTopic, JSON.stringify(ackOf(received)));
    }
  }
}
