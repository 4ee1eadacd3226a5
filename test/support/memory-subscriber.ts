/** A central system on MQTT: takes everything of a tenant and acknowledges. Its own program, hence its own client. */
import { connectAsync, type MqttClient } from 'mqtt';
import { type AckPayload, birthPayload } from '../../src/contract/payloads.ts';
import { birthFilter, topics, upFilter } from '../../src/contract/topics.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { ackOf, greet, type Ingest, take } from './memory-central.ts';

export interface Subscriber {
  readonly ingest: Ingest;
  /** Acknowledge or not: a central system that is slow or mute, for tests. */
  setAcknowledging(on: boolean): void;
  close(): Promise<void>;
}
const ackPauseMs = 200;

export async function subscribe(
  url: string,
  tenant: string,
  ingest: Ingest,
  options: { readonly protocol?: 5 | 4; readonly onTake?: () => void } = {},
): Promise<Subscriber> {
  const client: MqttClient = await connectAsync(url, {
    protocolVersion: options.protocol ?? 5,
    clientId: `central-${tenant}`,
    clean: false,
    ...(options.protocol !== 4 && { properties: { sessionExpiryInterval: 86_400 } }),
    reconnectPeriod: 300,
    reconnectOnConnackError: true,
  });
  client.on('error', () => {});
  let acknowledging = true;
  const changed = new Set<string>();
  const answer = (gateway: string, ack: AckPayload | undefined) => {
    if (ack && acknowledging && client.connected)
      client.publish(topics(tenant, gateway).ack, JSON.stringify(ack), { qos: 1 });
  };
  client.on('message', (topic, payload) => {
    // config check --live looks whether it may publish, with nothing to say.
    if (payload.length === 0) return;
    if (topic.endsWith('/birth')) {
      const birth = parsePayload(birthPayload, payload);
      if (isUnfit(birth) || topic !== topics(tenant, birth.gateway).birth) return;
      // The gateway waits for the answer: what is held of it, also where nothing moved.
      answer(birth.gateway, greet(ingest, birth));
      return;
    }
    const gateway = take(ingest, topic, payload);
    if (gateway !== undefined) changed.add(gateway);
    options.onTake?.();
  });
  await client.subscribeAsync([birthFilter(tenant), upFilter(tenant)], { qos: 1 });
  const timer = setInterval(() => {
    if (!acknowledging || !client.connected) return;
    for (const gateway of changed) {
      const received = ingest.received.get(gateway);
      if (received) answer(gateway, ackOf(received));
    }
    changed.clear();
  }, ackPauseMs);
  return {
    ingest,
    setAcknowledging: (on) => {
      acknowledging = on;
    },
    close: async () => {
      clearInterval(timer);
      await client.endAsync(true);
    },
  };
}
