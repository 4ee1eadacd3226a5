/** A central system on MQTT: takes everything of a tenant and acknowledges. Its own program, hence its own client. */
import { connectAsync, type MqttClient } from 'mqtt';
import { birthFilter, birthPayload, isUnfit, parsePayload, topics, upFilter } from '../forward/payload.ts';
import { greet, type Ingest, take } from './ingest.ts';

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
  client.on('message', (topic, payload) => {
    if (topic.endsWith('/birth')) {
      const birth = parsePayload(birthPayload, payload);
      if (!isUnfit(birth)) greet(ingest, birth);
      return;
    }
    const gateway = take(ingest, payload);
    if (gateway !== undefined) changed.add(gateway);
    options.onTake?.();
  });
  await client.subscribeAsync([birthFilter(tenant), upFilter(tenant)], { qos: 1 });
  const timer = setInterval(() => {
    if (!acknowledging || !client.connected) return;
    for (const gateway of changed) {
      const received = ingest.received.get(gateway);
      if (!received) continue;
      const ack = JSON.stringify({ epoch: received.epoch, upTo: received.upTo, nack: [] });
      client.publish(topics(tenant, gateway).ack, ack, { qos: 1 });
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
