/** The only door to MQTT. Version 5 by default, 3.1.1 on request; nothing is published while offline. */
import type { Duplex } from 'node:stream';
import { connect, type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import { cut, type Log } from '../base/log.ts';
import { troubleOf } from './connection-trouble.ts';
import { guarded } from './packet-guard.ts';
import { payloadLimit } from '../contract/parse.ts';
import { reasonText, tooLarge } from './refusal.ts';

export interface BrokerSettings {
  readonly url: string;
  readonly protocol: 5 | 4;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: Uint8Array;
  readonly ca?: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly keepaliveS: number;
  readonly will: { readonly topic: string; readonly payload: string };
  readonly window: number;
  /** Shorter than on a concentrator, for tests. */
  readonly timing?: Partial<Timing>;
}
export interface Timing {
  /** The time-out from the connection to CONNACK. */
  readonly connectMs: number;
  /** The time-out from SUBSCRIBE to SUBACK, and from PUBLISH to PUBACK besides the time that its octets take. */
  readonly stepMs: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** A connection that lasts so long is no attempt any more. */
  readonly lastingMs: number;
}
export interface BrokerListener {
  onConnected(): void;
  onDisconnected(): void;
  onMessage(topic: string, payload: Uint8Array): void;
}
export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  readonly expiryS?: number;
}
export interface Broker {
  publish(topic: string, payload: string, options: PublishOptions): Promise<void>;
  subscribe(filter: string): Promise<void>;
  connected(): boolean;
  /** Why there is no connection, or what is wrong with it, where that is known. */
  trouble(): string | undefined;
  /** Octets of a packet that the broker takes. */
  packetLimit(): number;
  /** Ends this connection and begins another. */
  reconnect(why: string): void;
  /** min(configured, the broker's Receive Maximum): mqtt.js ignores the latter. */
  window(): number;
  stop(finalMessage?: { readonly topic: string; readonly payload: string }): Promise<void>;
}
const usualTiming: Timing = {
  connectMs: 15_000,
  stepMs: 20_000,
  firstPauseMs: 500,
  longestPauseMs: 20_000,
  lastingMs: 30_000,
};
/** The slowest line that counts as working, octets a second. */
const slowestLine = 500;
/** No packet to us is longer. */
const inboundLimit = payloadLimit + 1024;
const sessionExpiryS = 7 * 86_400;
const stopTimeoutMs = 1500;
/** Different failures that are logged once each until a connection lasts. */
const failuresLogged = 20;
/** So many connections in a row that did not last. */
const maxShortConnections = 3;
/** Reason code of MQTT 5, 3.14.2.1. */
const sessionTakenOver = 0x8e;

/** Pause before the n-th attempt: doubling, with a quarter of jitter so that a fleet does not return as one. */
const pauseMs = (attempt: number, random: () => number, { firstPauseMs, longestPauseMs }: Timing): number =>
  Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10)) * (0.75 + random() * 0.5);

function optionsOf(settings: BrokerSettings, timing: Timing, random: () => number): IClientOptions {
  return {
    protocolVersion: settings.protocol,
    clientId: settings.clientId,
    clean: false,
    keepalive: settings.keepaliveS,
    connectTimeout: timing.connectMs,
    reconnectPeriod: pauseMs(0, random, timing),
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    manualConnect: true,
    ...(settings.protocol === 5 && {
      properties: { sessionExpiryInterval: sessionExpiryS, receiveMaximum: 100, maximumPacketSize: inboundLimit },
    }),
    ...(settings.username !== undefined && { username: settings.username }),
    ...(settings.password && { password: Buffer.from(settings.password) }),
    ...(settings.ca && { ca: Buffer.from(settings.ca) }),
    ...(settings.cert && { cert: Buffer.from(settings.cert) }),
    ...(settings.key && { key: Buffer.from(settings.key) }),
    will: { topic: settings.will.topic, payload: Buffer.from(settings.will.payload), qos: 1, retain: true },
  };
}

/** What the broker says of itself in CONNACK, and what of it is a mistake. */
interface Terms {
  readonly receiveMaximum: number;
  readonly packetLimit: number;
  readonly retain: boolean;
  readonly complaint: string | undefined;
}
const noTerms: Terms = {
  receiveMaximum: 65_535,
  packetLimit: Number.POSITIVE_INFINITY,
  retain: true,
  complaint: undefined,
};
function termsOf({ properties = {} }: IConnackPacket): Terms {
  const { receiveMaximum = 65_535, maximumPacketSize, retainAvailable, maximumQoS } = properties;
  const complaints = [
    // It would be mute for ever; one at a time is what every broker takes.
    ...(receiveMaximum === 0 ? ['Receive Maximum 0, which the standard forbids: sending one message at a time'] : []),
    ...(maximumPacketSize === 0 ? ['Maximum Packet Size 0, which the standard forbids'] : []),
    ...(retainAvailable === false ? ['it retains nothing: nobody sees our state and birth later'] : []),
    ...(maximumQoS === 0 ? ['Maximum QoS 0: it acknowledges nothing, so nothing counts as delivered'] : []),
  ];
  return {
    receiveMaximum: Math.max(1, receiveMaximum),
    packetLimit:
      maximumPacketSize === undefined || maximumPacketSize === 0 ? Number.POSITIVE_INFINITY : maximumPacketSize,
    retain: retainAvailable !== false,
    complaint: complaints.length > 0 ? `the broker says: ${complaints.join('; ')} (head-end)` : undefined,
  };
}

interface Sent {
  readonly octets: number;
  readonly at: number;
  readonly deadline: number;
}
/** QoS 1 on the way: the broker's Receive Maximum counts everything, greetings too, and each has its deadline. */
class InFlight {
  private readonly all = new Set<Sent>();
  private octets = 0;
  private waiting: (() => void)[] = [];
  private readonly stepMs: number;
  constructor(stepMs: number) {
    this.stepMs = stepMs;
  }
  get count(): number {
    return this.all.size;
  }
  get oldest(): Sent | undefined {
    return this.all.values().next().value;
  }
  /** Room that another one took first is waited for again. */
  room(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  add(octets: number): { readonly done: () => void } {
    this.octets += octets;
    const at = performance.now();
    const one = { octets, at, deadline: at + this.stepMs + (1000 * this.octets) / slowestLine };
    this.all.add(one);
    return {
      done: () => {
        if (!this.all.delete(one)) return;
        this.octets -= octets;
        this.waiting.shift()?.();
      },
    };
  }
  forget(): void {
    this.all.clear();
    this.octets = 0;
    const woken = this.waiting;
    this.waiting = [];
    for (const wake of woken) wake();
  }
}

export function openBroker(settings: BrokerSettings, listener: BrokerListener, log: Log, random: () => number): Broker {
  const timing: Timing = { ...usualTiming, ...settings.timing };
  const client: MqttClient = connect(settings.url, optionsOf(settings, timing, random));
  const connection = new Connection(client, settings, { timing, listener, log, random });
  connection.begin();
  return {
    publish: (topic, payload, options) => connection.publish(topic, payload, options),
    connected: () => connection.up,
    trouble: () => connection.trouble(),
    window: () => Math.min(settings.window, connection.terms.receiveMaximum),
    packetLimit: () => connection.terms.packetLimit,
    reconnect: (why) => connection.drop(why),
    subscribe: (filter) => connection.subscribe(filter),
    stop: (final) => connection.stop(final),
  };
}

/** One client of mqtt.js and what we add to it: deadlines for each step, limits for what comes, words for what is wrong. */
class Connection {
  private readonly client: MqttClient;
  private readonly settings: BrokerSettings;
  private readonly timing: Timing;
  private readonly listener: BrokerListener;
  private readonly log: Log;
  private readonly random: () => number;
  private readonly inFlight: InFlight;
  /** Message ids that mqtt.js would send again by itself: the outbox does that, and knows what is still wanted. */
  private readonly ids = new Set<number>();
  /** Called for each message when the connection is lost before it was sent. */
  private readonly sending = new Set<() => void>();
  private readonly takenOver: string;
  private readonly logged = new Set<string>();
  private attempts = 0;
  private connections = 0;
  private lastError = '';
  /** Somebody answered at the broker's address. */
  private reached = false;
  /** A connection was begun and has not ended. */
  private open = false;
  /** Why this connection ends is known. */
  private explained = false;
  /** Connections in a row that ended without a reason. */
  private unexplained = 0;
  /** A connection that stood has ended since one lasted. */
  private shortLived = false;
  /** A step that was not done; said until it is done, on whatever connection. */
  private readonly stalled = new Map<'SUBACK' | 'PUBACK', string>();
  private probe: { readonly of: Sent; answeredAt: number | undefined } | undefined;
  private lasting: NodeJS.Timeout | undefined;
  private opening: NodeJS.Timeout | undefined;
  private readonly watch: NodeJS.Timeout;
  terms: Terms = noTerms;
  up = false;

  constructor(
    client: MqttClient,
    settings: BrokerSettings,
    {
      timing,
      listener,
      log,
      random,
    }: {
      readonly timing: Timing;
      readonly listener: BrokerListener;
      readonly log: Log;
      readonly random: () => number;
    },
  ) {
    this.client = client;
    this.settings = settings;
    this.timing = timing;
    this.listener = listener;
    this.log = log;
    this.random = random;
    this.inFlight = new InFlight(timing.stepMs);
    // Two gateways with one client id throw each other out: a connection that does not last counts as another attempt.
    this.takenOver = `connections do not last: does another client use the id ${settings.clientId}? each gateway needs an id of its own`;
    this.watch = setInterval(() => this.lookAfter(), Math.max(20, timing.stepMs / 8));
    this.watch.unref();
  }

  begin(): void {
    const { client } = this;
    // mqtt.js has no other place where the octets of a connection can be looked at before they are parsed.
    const inner = client as unknown as { streamBuilder: (client: MqttClient) => Duplex };
    const build = inner.streamBuilder.bind(client);
    inner.streamBuilder = (of) => {
      this.explained = false;
      this.open = true;
      this.expectConnack();
      const stream = build(of);
      // A web socket does not tell.
      this.reached = /^wss?:/.test(this.settings.url);
      stream.once('connect', () => {
        this.reached = true;
      });
      return guarded(stream, inboundLimit, (why) => this.failed(`the broker sends ${why} (head-end)`));
    };
    client.on('connect', (connack) => this.connected(connack));
    client.on('reconnect', () => {
      this.attempts++;
      client.options.reconnectPeriod = pauseMs(this.attempts, this.random, this.timing);
    });
    client.on('disconnect', ({ reasonCode = 0 }) => {
      this.drop(
        reasonCode === sessionTakenOver
          ? this.takenOver
          : `the broker ends the connection: ${reasonCode === 0 ? 'without a reason' : reasonText(reasonCode)}`,
      );
    });
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'pingresp' && this.probe) this.probe.answeredAt ??= performance.now();
    });
    client.on('close', () => this.down());
    client.on('offline', () => this.down());
    client.on('error', (error) => {
      const tls = !this.up && /^(mqtts|wss):/.test(this.settings.url);
      // mqtt.js goes on after a packet that it could not read: whatever follows means something else.
      this.drop(cut(troubleOf(error, { beforeTls: tls, reached: this.reached })));
    });
    client.on('message', (topic, payload) => this.listener.onMessage(topic, payload));
    client.connect();
  }

  /** mqtt.js's own deadline ends with CONNACK; this one when the connection can be used. */
  private expectConnack(): void {
    clearTimeout(this.opening);
    const limit = this.timing.connectMs + this.timing.stepMs;
    this.opening = setTimeout(() => this.drop('the broker does not let the connection begin (head-end)'), limit);
    this.opening.unref();
  }

  private connected(connack: IConnackPacket): void {
    clearTimeout(this.opening);
    this.lasting = setTimeout(() => {
      this.attempts = 0;
      this.lastError = '';
      this.unexplained = 0;
      this.shortLived = false;
      this.logged.clear();
      this.client.options.reconnectPeriod = pauseMs(0, this.random, this.timing);
    }, this.timing.lastingMs);
    this.lasting.unref();
    // Some brokers only close the connection.
    if (this.unexplained === maxShortConnections) this.failed(this.takenOver);
    this.explained = false;
    this.terms = termsOf(connack);
    const { receiveMaximum, complaint } = this.terms;
    if (complaint !== undefined) this.warnOnce(complaint);
    // An answer to each message is waited for: it must not wait for the kernel to collect more.
    (this.client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
    this.up = true;
    this.log.info({ receiveMaximum }, 'broker connected');
    this.listener.onConnected();
  }

  private down(): void {
    clearTimeout(this.lasting);
    clearTimeout(this.opening);
    // Both events of mqtt.js tell of it.
    if (!this.open) return;
    this.open = false;
    if (!this.up) {
      if (!this.explained && !this.client.disconnecting)
        this.failed('the broker closes the connection before CONNACK (head-end)');
      return;
    }
    this.up = false;
    this.shortLived = true;
    this.connections++;
    this.unexplained = this.explained && this.lastError !== this.takenOver ? 0 : this.unexplained + 1;
    if (!this.explained && this.lastError !== this.takenOver)
      this.lastError = 'the broker closed the connection, or the line was lost';
    this.inFlight.forget();
    for (const id of this.ids) this.client.removeOutgoingMessage(id);
    this.ids.clear();
    // mqtt.js forgets those of QoS 0 that wait for room in a line that ends.
    for (const lost of this.sending) lost();
    this.log.warn({}, 'broker connection lost');
    this.listener.onDisconnected();
  }

  /** The same failure each minute is one line in the log, not a thousand. */
  private warnOnce(message: string): void {
    if (this.logged.has(message) || this.logged.size >= failuresLogged) return;
    this.logged.add(message);
    this.log.warn({}, `broker: ${message}`);
  }
  private failed(message: string): void {
    this.lastError = message;
    this.explained = true;
    this.warnOnce(message);
  }
  /** Ends the connection; mqtt.js begins another one after the pause. */
  drop(why: string): void {
    this.failed(why);
    this.client.stream?.destroy();
  }

  /**
   * A slow line may take its time for many octets. A broker that answers a PINGREQ sent after a message has read that message,
   * though: without PUBACK soon after it, it has lost it.
   */
  private lookAfter(): void {
    const { oldest } = this.inFlight;
    if (!this.up || !oldest) return;
    const now = performance.now();
    const { stepMs } = this.timing;
    if (this.probe?.of !== oldest) {
      this.probe = undefined;
      if (now - oldest.at < stepMs / 2) return;
      this.probe = { of: oldest, answeredAt: undefined };
      this.client.sendPing();
    }
    const { answeredAt } = this.probe;
    if (now < oldest.deadline && (answeredAt === undefined || now < answeredAt + stepMs)) return;
    const why = 'the broker acknowledges no message (PUBACK) (head-end): connecting anew';
    this.stalled.set('PUBACK', why);
    this.drop(why);
  }

  trouble(): string | undefined {
    if (!this.up) return this.lastError === '' ? undefined : this.lastError;
    // A connection that comes and goes is none before it lasts.
    const flapping = this.shortLived && this.attempts > 1 && this.lastError !== '' ? this.lastError : undefined;
    return this.stalled.get('SUBACK') ?? this.stalled.get('PUBACK') ?? this.terms.complaint ?? flapping;
  }

  publish(topic: string, payload: string, options: PublishOptions): Promise<void> {
    if (options.qos === 0) return this.send(topic, payload, options);
    if (this.up && this.inFlight.count >= this.terms.receiveMaximum)
      return this.inFlight.room().then(() => this.publish(topic, payload, options));
    const { done } = this.inFlight.add(payload.length);
    const connection = this.connections;
    return this.send(topic, payload, options).then(
      () => {
        if (connection === this.connections) {
          done();
          this.stalled.delete('PUBACK');
        }
      },
      (error: unknown) => {
        if (connection === this.connections) done();
        throw error;
      },
    );
  }

  private send(topic: string, payload: string, { qos, retain = false, expiryS }: PublishOptions): Promise<void> {
    const { client, terms } = this;
    return new Promise((resolve, reject) => {
      if (!this.up) return reject(new Error('the broker is not connected'));
      const octets = Buffer.byteLength(payload) + topic.length + 64;
      if (octets > terms.packetLimit) return reject(tooLarge(octets, terms.packetLimit));
      const properties =
        this.settings.protocol === 5
          ? { properties: { contentType: 'application/json', ...(expiryS && { messageExpiryInterval: expiryS }) } }
          : {};
      let id: number | undefined;
      const lost = () => settled(new Error('the connection to the broker was lost'));
      const settled = (error?: Error | null) => {
        this.sending.delete(lost);
        if (id !== undefined) this.ids.delete(id);
        if (error) reject(error);
        else resolve();
      };
      this.sending.add(lost);
      client.publish(topic, payload, { qos, retain: retain && terms.retain, ...properties }, settled);
      if (qos > 0) this.ids.add((id = client.getLastMessageId()));
    });
  }

  async subscribe(filter: string): Promise<void> {
    const { stepMs } = this.timing;
    const late = setTimeout(() => {
      const why = 'the broker does not answer SUBSCRIBE (head-end): connecting anew';
      this.stalled.set('SUBACK', why);
      this.drop(why);
    }, stepMs);
    try {
      await this.client.subscribeAsync(filter, { qos: 1 });
    } catch (error) {
      // mqtt.js keeps the reason in the packet, and not in its error.
      const { packet } = error as { readonly packet?: { readonly granted?: readonly number[] } };
      const code = packet?.granted?.find((granted) => granted >= 0x80);
      throw code === undefined ? error : Object.assign(error as Error, { code });
    } finally {
      clearTimeout(late);
    }
    this.stalled.delete('SUBACK');
  }

  async stop(final?: { readonly topic: string; readonly payload: string }): Promise<void> {
    if (this.up && final) {
      await Promise.race([
        this.publish(final.topic, final.payload, { qos: 1, retain: true }).catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, stopTimeoutMs)),
      ]);
    }
    this.up = false;
    clearInterval(this.watch);
    clearTimeout(this.opening);
    clearTimeout(this.lasting);
    // end(false) waits for ever while something is unacknowledged; end(true) where its connection is just being made.
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, stopTimeoutMs);
      this.client.end(true, () => {
        clearTimeout(late);
        resolve();
      });
    });
    for (const lost of this.sending) lost();
  }
}
