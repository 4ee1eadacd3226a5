/**
 * The client of a central system on MQTT, for whoever writes one: it subscribes, judges every message by the contract, hands
 * over batches, and acknowledges what was committed. `take` is the receiver's: it stores a batch in one transaction and says
 * what to answer; `src/central/numbering.ts` has the numbers for that. Several clients of one group share the gateways.
 */
import { readFileSync } from 'node:fs';
import mqtt, { type IClientOptions, type MqttClient, type Packet } from 'mqtt';
import { millis } from '../base/time.ts';
import type { AckPayload, AgainPayload } from '../contract/payloads.ts';
import { birthFilter, topics, upFilter } from '../contract/topics.ts';
import { judge, type Received } from './arrival.ts';
import { Queue } from './queue.ts';

export interface CentralBroker {
  readonly url: string;
  readonly tenant: string;
  /** 3.1.1 brokers take `$share` as well, where they have it at all. */
  readonly protocol?: 4 | 5;
  /** Workers of one name share the messages between them; undefined: this one takes all of them. */
  readonly group?: string;
  readonly username?: string;
  readonly password?: string;
  /** Files in PEM. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: string };
}
export interface CentralReceiver {
  /** Commits a batch. What fails is given again after a pause, until it does not. */
  take(batch: readonly Received[]): Promise<ReadonlyMap<string, AckPayload>>;
  /** Something worth a line: the connection came or went, a batch was not taken. */
  onChange?(what: string): void;
}
export interface CentralClient {
  acknowledge(gateway: string, ack: AckPayload): void;
  /** Asks a gateway for a span of a series that was lost. */
  again(gateway: string, request: AgainPayload): void;
  connected(): boolean;
  /** Messages that wait for their commit. */
  waiting(): number;
  close(): Promise<void>;
}

const retryMs = 1000;

const readIf = (path: string | undefined): Buffer | undefined => (path === undefined ? undefined : readFileSync(path));
function optionsOf({ protocol = 5, username, password, tls }: CentralBroker): IClientOptions {
  const [ca, cert, key] = [readIf(tls?.ca), readIf(tls?.certificate), readIf(tls?.key)];
  return {
    protocolVersion: protocol,
    // A kept session of a worker that is gone would swallow its share of everything, also of what is sent again.
    clean: true,
    ...(protocol === 5 && { properties: { sessionExpiryInterval: 0, receiveMaximum: 1000 } }),
    reconnectPeriod: 500,
    reconnectOnConnackError: true,
    resubscribe: false,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
}

function subscribe(client: MqttClient, { tenant, group }: CentralBroker, report: (what: string) => void): void {
  const shared = (filter: string): string => (group === undefined ? filter : `$share/${group}/${filter}`);
  // Births and states are retained, and shared subscriptions get no retained messages: each worker reads them.
  const filters = [
    birthFilter(tenant),
    `amr/v1/${tenant}/+/state`,
    shared(`amr/v1/${tenant}/+/health`),
    shared(upFilter(tenant)),
  ];
  client.subscribe(filters, { qos: 1 }, (error, granted) => {
    const refused = granted?.filter(({ qos }) => qos >= 128).map(({ topic }) => topic) ?? [];
    if (error || refused.length > 0)
      report(`not subscribed: ${error?.message ?? `the broker refused ${refused.join(', ')}`}`);
  });
}

export function connectCentral(broker: CentralBroker, receiver: CentralReceiver): CentralClient {
  const { tenant } = broker;
  const client: MqttClient = mqtt.connect(broker.url, optionsOf(broker));
  const queue = new Queue();
  const ending = { closed: false };
  let current: Promise<void> | undefined;
  let wakeUp = (): void => {};
  const report = (what: string): void => receiver.onChange?.(what);

  const publish = (topic: string, payload: object): void => {
    // What is not acknowledged now is acknowledged with the next commit, or at the next birth.
    if (client.connected && !ending.closed) client.publish(topic, JSON.stringify(payload), { qos: 1 }, () => {});
  };
  const acknowledge = (gateway: string, ack: AckPayload): void => publish(topics(tenant, gateway).ack, ack);

  async function work(): Promise<void> {
    while (!ending.closed && queue.size > 0) {
      const batch = queue.batch();
      try {
        for (const [gateway, ack] of await receiver.take(batch)) acknowledge(gateway, ack);
        queue.done(batch.length);
      } catch (error) {
        report(`not stored: ${error instanceof Error ? error.message : String(error)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, retryMs);
          wakeUp = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  }
  const start = (): void => {
    current ??= work().finally(() => {
      current = undefined;
    });
  };
  // Where the queue is full nothing more is read from the socket. PUBACK says only that the broker need not hold it any more:
  // what was not committed is not acknowledged to the gateway, which sends it again.
  client.handleMessage = (packet: Packet, done: (error?: Error) => void): void => {
    if (packet.cmd === 'publish') {
      const octets = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      const arrival = judge(packet.topic, octets);
      if (arrival) queue.push({ at: millis(Date.now()), arrival }, octets.length * 3 + 500);
      start();
    }
    queue.whenRoom(() => done());
  };
  client.on('connect', () => {
    report('connected');
    subscribe(client, broker, report);
  });
  client.on('close', () => report('disconnected'));
  client.on('error', (error) => report(error.message));
  return {
    acknowledge,
    again: (gateway, request) => publish(topics(tenant, gateway).again, request),
    connected: () => client.connected,
    waiting: () => queue.size,
    close: async () => {
      ending.closed = true;
      wakeUp();
      await client.endAsync(true);
      // What is being committed is committed, and acknowledged when it is sent again.
      await current;
    },
  };
}
