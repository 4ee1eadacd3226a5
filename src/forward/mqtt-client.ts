/** The only door to MQTT. Version 5 by default, 3.1.1 on request; nothing is published while offline. */
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

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
  /** Why there is no connection, where that is known. */
  trouble(): string | undefined;
  /** min(configured, the broker's Receive Maximum): mqtt.js ignores the latter. */
  window(): number;
  stop(finalMessage?: { readonly topic: string; readonly payload: string }): Promise<void>;
}
const firstPauseMs = 500;
const longestPauseMs = 60_000;
const sessionExpiryS = 7 * 86_400;
const stopTimeoutMs = 1500;
const lastingMs = 30_000;
/** So many connections in a row that did not last. */
const shortMost = 3;
/** Reason code of MQTT 5, 3.14.2.1. */
const sessionTakenOver = 0x8e;

/** What TLS says, whose fault it is, and the next step; codes of node:tls and of OpenSSL. */
const certificateTroubles: readonly (readonly [code: RegExp, what: string])[] = [
  [
    /ALTNAME_INVALID/,
    'the broker’s certificate is for another name than mqtt.url (operator): use the name that it was made for',
  ],
  [
    /NOT_YET_VALID|(?<!ALERT_CERTIFICATE)_EXPIRED/,
    'the broker’s certificate has expired or is not valid yet (head-end): look at the gateway’s clock first (timedatectl)',
  ],
  [
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    'the broker’s certificate is not signed by an authority of mqtt.ca_file (operator): is that the head-end’s, and is this its broker?',
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|DECRYPT_ERROR|ACCESS_DENIED)/,
    'the broker refuses our certificate (operator): mqtt.cert_file and mqtt.key must be those the head-end signed, and not expired',
  ],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    'the broker does not answer in TLS (operator): does it speak TLS on the port of mqtt.url?',
  ],
];
function troubleOf(error: Error & { readonly code?: string }, beforeTls: boolean): string {
  const { code = '' } = error;
  const message = messageOf(error) || code || 'no connection';
  const known = certificateTroubles.find(([one]) => one.test(code))?.[1];
  if (known !== undefined) return `${known}: ${message}`;
  return beforeTls && code === 'ECONNRESET'
    ? `the broker hangs up before TLS is agreed (operator): does it speak TLS on the port of mqtt.url? ${message}`
    : message;
}

/** Pause before the n-th attempt: doubling, with a quarter of jitter so that a fleet does not return as one. */
const pauseMs = (attempt: number, random: () => number): number =>
  Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10)) * (0.75 + random() * 0.5);

export function openBroker(settings: BrokerSettings, listener: BrokerListener, log: Log, random: () => number): Broker {
  const five = settings.protocol === 5;
  const options: IClientOptions = {
    protocolVersion: settings.protocol,
    clientId: settings.clientId,
    clean: false,
    keepalive: settings.keepaliveS,
    connectTimeout: 15_000,
    reconnectPeriod: pauseMs(0, random),
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    ...(five && { properties: { sessionExpiryInterval: sessionExpiryS, receiveMaximum: 100 } }),
    ...(settings.username !== undefined && { username: settings.username }),
    ...(settings.password && { password: Buffer.from(settings.password) }),
    ...(settings.ca && { ca: Buffer.from(settings.ca) }),
    ...(settings.cert && { cert: Buffer.from(settings.cert) }),
    ...(settings.key && { key: Buffer.from(settings.key) }),
    will: { topic: settings.will.topic, payload: Buffer.from(settings.will.payload), qos: 1, retain: true },
  };
  const client: MqttClient = connect(settings.url, options);
  let receiveMaximum = 65_535;
  let maximumPacketSize = Number.POSITIVE_INFINITY;
  let attempts = 0;
  let lastError = '';
  let up = false;
  let connections = 0;
  let forgetWaiting = () => {};
  // Two gateways with one client id throw each other out: a connection that does not last counts as another attempt.
  let lasting: NodeJS.Timeout | undefined;
  const takenOver = `connections do not last: does another client use the id ${settings.clientId}? each gateway needs an id of its own`;
  const down = () => {
    clearTimeout(lasting);
    if (!up) return;
    up = false;
    connections++;
    forgetWaiting();
    log.warn({}, 'broker connection lost');
    listener.onDisconnected();
  };
  client.on('connect', (connack) => {
    lasting = setTimeout(() => {
      attempts = 0;
      lastError = '';
      client.options.reconnectPeriod = pauseMs(0, random);
    }, lastingMs);
    lasting.unref();
    // Some brokers only close the connection.
    if (attempts === shortMost && lastError !== takenOver) {
      lastError = takenOver;
      log.warn({ connections }, takenOver);
    }
    receiveMaximum = connack.properties?.receiveMaximum ?? 65_535;
    maximumPacketSize = connack.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    // An answer to each message is waited for: it must not wait for the kernel to collect more.
    (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
    up = true;
    log.info({ receiveMaximum }, 'broker connected');
    listener.onConnected();
  });
  client.on('reconnect', () => {
    attempts++;
    client.options.reconnectPeriod = pauseMs(attempts, random);
  });
  client.on('disconnect', ({ reasonCode = 0 }) => {
    const message =
      reasonCode === sessionTakenOver ? takenOver : `the broker ends the connection: reason ${reasonCode}`;
    if (message !== lastError) log.warn({ reasonCode }, message);
    lastError = message;
  });
  client.on('close', down);
  client.on('offline', down);
  client.on('error', (error) => {
    const message = troubleOf(error as Error & { code?: string }, !up && /^(mqtts|wss):/.test(settings.url));
    // The same refusal each minute is one line in the log, not a thousand.
    if (message !== lastError) log.warn({ error: message }, 'broker');
    lastError = message;
  });
  client.on('message', (topic, payload) => listener.onMessage(topic, payload));

  /** QoS 1 on the way, and what waits for room: the broker's Receive Maximum counts everything, greetings too. */
  let inFlight = 0;
  let waiting: (() => void)[] = [];
  const full = () => up && inFlight >= receiveMaximum;
  const room = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  forgetWaiting = () => {
    inFlight = 0;
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const send = (
    topic: string,
    payload: string,
    { qos, retain, expiryS }: PublishOptions,
    settled: () => void,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error | null) => {
        settled();
        if (error) reject(error);
        else resolve();
      };
      if (!up) return done(new Failure('port-lost', 'the broker is not connected'));
      if (payload.length + topic.length + 64 > maximumPacketSize)
        return done(new Failure('request-too-long', `${payload.length} octets, the broker takes ${maximumPacketSize}`));
      const properties = five
        ? { properties: { contentType: 'application/json', ...(expiryS && { messageExpiryInterval: expiryS }) } }
        : {};
      client.publish(topic, payload, { qos, retain: retain ?? false, ...properties }, done);
    });
  const publish = (topic: string, payload: string, options: PublishOptions): Promise<void> => {
    if (options.qos === 0) return send(topic, payload, options, () => {});
    // Room that another one took first is waited for again.
    if (full()) return room().then(() => publish(topic, payload, options));
    inFlight++;
    const connection = connections;
    return send(topic, payload, options, () => {
      if (connection !== connections || inFlight === 0) return;
      inFlight--;
      waiting.shift()?.();
    });
  };
  return {
    publish,
    connected: () => up,
    trouble: () => (up || lastError === '' ? undefined : lastError),
    window: () => Math.min(settings.window, receiveMaximum),
    async subscribe(filter) {
      await client.subscribeAsync(filter, { qos: 1 });
    },
    async stop(final) {
      if (up && final) {
        await Promise.race([
          publish(final.topic, final.payload, { qos: 1, retain: true }).catch(() => {}),
          new Promise((resolve) => setTimeout(resolve, stopTimeoutMs)),
        ]);
      }
      up = false;
      // end(false) waits for ever while something is unacknowledged.
      await new Promise<void>((resolve) => client.end(true, () => resolve()));
    },
  };
}
