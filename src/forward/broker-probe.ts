/**
 * Tries the way to the head-end once, beside a gateway that may be running: name, TCP, TLS, who we are, and what the access
 * rules let us do. It has a client id of its own and no will, so it throws nobody out; what it publishes is empty and not
 * retained, so nothing stays.
 */
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { messageOf } from '../base/errors.ts';
import { cut } from '../base/log.ts';
import { troubleOf } from './connection-trouble.ts';
import type { BrokerSettings } from './mqtt-client.ts';
import type { Topics } from '../contract/topics.ts';
import { reasonOf, reasonText } from './refusal.ts';

export interface BrokerProbe {
  /** What could be done. */
  readonly good: readonly string[];
  /** What could not. */
  readonly wrong: readonly string[];
  /** What is only remarkable, or could not be found out. */
  readonly remarks: readonly string[];
}
/** Nobody subscribes to what was published. */
const noSubscribers = 0x10;

const optionsOf = (settings: Omit<BrokerSettings, 'will'>, limitMs: number): IClientOptions => ({
  protocolVersion: settings.protocol,
  clientId: `${settings.clientId}-check-${process.pid}`,
  clean: true,
  keepalive: settings.keepaliveS,
  connectTimeout: limitMs,
  reconnectPeriod: 0,
  manualConnect: true,
  ...(settings.username !== undefined && { username: settings.username }),
  ...(settings.password && { password: Buffer.from(settings.password) }),
  ...(settings.ca && { ca: Buffer.from(settings.ca) }),
  ...(settings.cert && { cert: Buffer.from(settings.cert) }),
  ...(settings.key && { key: Buffer.from(settings.key) }),
});

/** Resolves when the broker let us in; rejects with words for why not. */
function letIn(client: MqttClient, url: string, limitMs: number): Promise<void> {
  const encrypted = /^(mqtts|wss):/.test(url);
  let reached = /^wss?:/.test(url);
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no connection within ${limitMs / 1000} s`)), limitMs);
    const failed = (error: Error) => {
      clearTimeout(late);
      reject(new Error(cut(troubleOf(error, { beforeTls: encrypted, reached }))));
    };
    client.once('connect', () => {
      clearTimeout(late);
      resolve();
    });
    client.once('error', failed);
    client.once('close', () => failed(new Error('the broker closes the connection before CONNACK (head-end)')));
    client.connect();
    client.stream?.once('connect', () => {
      reached = true;
    });
  });
}

/** The reason that a refusal carries; mqtt.js keeps that of SUBACK in the packet. */
function whyOf(error: unknown): string {
  const { packet } = error as { readonly packet?: { readonly granted?: readonly number[] } };
  const granted = packet?.granted?.find((code) => code >= 0x80);
  return cut(granted === undefined ? (reasonOf(error) ?? messageOf(error)) : reasonText(granted));
}

interface Rules {
  readonly topics: Topics;
  /** Orders are taken: their topics are needed too. */
  readonly orders: boolean;
}
async function tryRules(
  client: MqttClient,
  { topics, orders }: Rules,
  protocol: 4 | 5,
  found: { good: string[]; wrong: string[]; remarks: string[] },
) {
  for (const filter of [topics.ack, topics.again, ...(orders ? [topics.command] : [])]) {
    try {
      await client.subscribeAsync(filter, { qos: 1 });
      found.good.push(`may subscribe to ${filter}`);
    } catch (error) {
      found.wrong.push(`may not subscribe to ${filter}: ${whyOf(error)}`);
    }
  }
  let heard = true;
  const topicsOut = [topics.birth, topics.state, topics.up('_', 'event'), ...(orders ? [topics.result] : [])];
  for (const topic of topicsOut) {
    try {
      const answer = (await client.publishAsync(topic, '', { qos: 1, retain: false })) as
        | { readonly reasonCode?: number }
        | undefined;
      found.good.push(`may publish to ${topic}`);
      if (answer?.reasonCode === noSubscribers) heard = false;
    } catch (error) {
      found.wrong.push(`may not publish to ${topic}: ${whyOf(error)}`);
    }
  }
  if (!heard)
    found.remarks.push('nobody subscribes to what this gateway says: does the head-end run, and does it subscribe?');
  if (protocol === 4)
    found.remarks.push(
      'with MQTT 3.1.1 a broker does not say that its access rules forbid to publish: look at them there',
    );
}

const soonMs = 21 * 86_400_000;
/** undefined where nothing is encrypted. */
function endOfCertificate({ stream }: MqttClient): number | undefined {
  const { getPeerCertificate } = stream as { getPeerCertificate?: () => { readonly valid_to?: string } };
  const end = Date.parse(getPeerCertificate?.call(stream).valid_to ?? '');
  return Number.isNaN(end) ? undefined : end;
}

/** Never rejects, and ends within twice the limit. */
export async function probeBroker(
  settings: Omit<BrokerSettings, 'will'>,
  rules: Rules,
  limitMs: number,
): Promise<BrokerProbe> {
  const found = { good: [] as string[], wrong: [] as string[], remarks: [] as string[] };
  const client = connect(settings.url, optionsOf(settings, limitMs));
  // A late trouble of a connection that is being closed is nobody's.
  client.on('error', () => {});
  let giveUp: NodeJS.Timeout | undefined;
  try {
    await letIn(client, settings.url, limitMs);
    found.good.push(`the broker at ${new URL(settings.url).host} lets this gateway in`);
    const until = endOfCertificate(client);
    if (until !== undefined && until - Date.now() < soonMs)
      found.remarks.push(`the certificate of the broker ends on ${new Date(until).toISOString().slice(0, 10)}`);
    const late = new Promise<never>((_, reject) => {
      giveUp = setTimeout(
        () => reject(new Error(`the broker does not answer within ${limitMs / 1000} s (head-end)`)),
        limitMs,
      );
    });
    await Promise.race([tryRules(client, rules, settings.protocol, found), late]);
  } catch (error) {
    found.wrong.push(messageOf(error));
  } finally {
    clearTimeout(giveUp);
    client.end(true);
  }
  return found;
}
