/**
 * Gateways as the central system sees them: each introduces itself, publishes its numbers, deletes what is acknowledged, and
 * sends the rest again where there is no progress. One connection speaks for all of them.
 */
import { connectAsync, type MqttClient } from 'mqtt';
import type { AckPayload, AgainPayload, UpPayload } from '../../src/contract/payloads.ts';
import { checked, isUnfit } from '../../src/contract/parse.ts';
import { ackPayload, againPayload } from '../../src/contract/payloads.ts';
import { topics } from '../../src/contract/topics.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import { birth, block, loadProfile, measuredDay } from './central-messages.ts';

export const fleetEpoch = 7;
const dayMs = 86_400_000;
const firstDay = Date.parse('2026-11-01T00:00:00Z');
const instant = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z');

/** Everything that one gateway has to say: hourly rows one by one, and after each day its account. */
export function messagesOf(gateway: string, days: number, from = firstDay): UpPayload[] {
  const all: UpPayload[] = [];
  let register = 1000 + gateway.length;
  for (let day = from; day < from + days * dayMs; day += dayMs) {
    const rows = Array.from({ length: 24 }, (_, hour) => {
      const energy = (day / dayMs + hour * 7) % 13;
      register += energy;
      return block(all.length + hour + 1, {
        gateway,
        epoch: fleetEpoch,
        point: `p-${gateway}`,
        start: instant(day + hour * 3_600_000),
        count: 1,
        channels: [{ obis: '1-0:1.8.0*255', unit: 'Wh', scaler: 0, register: [register], energy: [energy] }],
        status: [0],
        quality: ['MEASURED'],
        rev: [0],
      });
    });
    all.push(...rows);
    all.push({
      v: 1,
      epoch: fleetEpoch,
      seq: all.length + 1,
      gateway,
      kind: 'manifest',
      day: instant(day).slice(0, 10),
      part: 1,
      parts: 1,
      series: [
        {
          meter: 'm1',
          point: `p-${gateway}`,
          series: loadProfile,
          ...measuredDay,
          digest: dayDigest(rows.flatMap((row) => marksOf(row, 3_600_000))),
        },
      ],
      readAt: instant(day + dayMs + 6 * 3_600_000),
    });
  }
  return all;
}
interface Twin {
  readonly name: string;
  readonly messages: readonly UpPayload[];
  acknowledged: number;
  nacked: readonly number[];
  /** Highest number that was sent. */
  sent: number;
  progressAt: number;
}
export interface Fleet {
  readonly twins: readonly Twin[];
  /** Numbers of all gateways that are not acknowledged. */
  open(): number;
  /** Messages that were sent again. */
  sentAgain(): number;
  /** Acknowledgements that went back on the wire; a gateway takes them for nothing new. */
  wentBack(): number;
  readonly requests: { readonly gateway: string; readonly request: AgainPayload }[];
  stop(): Promise<void>;
}
export interface FleetOptions {
  readonly url: string;
  readonly tenant: string;
  readonly gateways: number;
  readonly days: number;
  /** Sent and not acknowledged, of each. */
  readonly window?: number;
  readonly silenceMs?: number;
}
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { url, tenant, window = 100, silenceMs = 2000 } = options;
  const twins: Twin[] = Array.from({ length: options.gateways }, (_, i) => ({
    name: `g${i}`,
    messages: messagesOf(`g${i}`, options.days),
    acknowledged: 0,
    nacked: [],
    sent: 0,
    progressAt: Date.now(),
  }));
  const byName = new Map(twins.map((twin) => [twin.name, twin]));
  const client: MqttClient = await connectAsync(url, {
    protocolVersion: 5,
    clean: true,
    reconnectPeriod: 200,
    reconnectOnConnackError: true,
    queueQoSZero: false,
  });
  client.on('error', () => {});
  let [again, back] = [0, 0];
  const requests: { gateway: string; request: AgainPayload }[] = [];
  const publish = (topic: string, payload: object, retain = false): void => {
    if (client.connected) client.publish(topic, JSON.stringify(payload), { qos: 1, retain }, () => {});
  };
  const introduce = ({ name, acknowledged }: Twin): void => {
    const meters = [
      { meter: 'm1', point: `p-${name}`, serial: 's', series: [{ profile: loadProfile, periodS: 3600 }] },
    ];
    publish(
      topics(tenant, name).birth,
      birth({ gateway: name, epoch: fleetEpoch, acknowledged, meters, at: instant(Date.now()) }),
      true,
    );
  };
  const send = ({ name, messages }: Twin, seq: number): void => {
    const message = messages[seq - 1];
    if (!message) return;
    const meter = message.kind === 'manifest' ? '_' : 'm1';
    publish(topics(tenant, name).up(meter, message.kind), message);
  };
  const pump = (twin: Twin): void => {
    while (twin.sent < twin.messages.length && twin.sent - twin.acknowledged < window) send(twin, ++twin.sent);
  };
  const onAck = (twin: Twin, ack: AckPayload): void => {
    if (ack.epoch !== fleetEpoch) return;
    if (ack.upTo < twin.acknowledged) back++;
    else {
      if (ack.upTo > twin.acknowledged) twin.progressAt = Date.now();
      twin.acknowledged = ack.upTo;
      twin.nacked = ack.nack;
      for (const seq of ack.nack) {
        again++;
        send(twin, seq);
      }
    }
    pump(twin);
  };
  client.on('message', (topic, octets) => {
    const [, , , gateway = '', , what] = topic.split('/');
    const twin = byName.get(gateway);
    if (!twin) return;
    const value: unknown = JSON.parse(octets.toString());
    if (what === 'ack') {
      const ack = checked(ackPayload, value);
      if (!isUnfit(ack)) onAck(twin, ack);
    } else {
      const request = checked(againPayload, value);
      if (!isUnfit(request)) requests.push({ gateway, request });
    }
  });
  const begin = (): void => {
    client.subscribe([`amr/v1/${tenant}/+/down/ack`, `amr/v1/${tenant}/+/down/again`], { qos: 1 });
    for (const twin of twins) {
      introduce(twin);
      again += twin.sent - twin.acknowledged;
      twin.sent = twin.acknowledged;
      twin.progressAt = Date.now();
      pump(twin);
    }
  };
  client.on('connect', begin);
  begin();
  const timer = setInterval(() => {
    for (const twin of twins) {
      const waiting = twin.sent - twin.acknowledged + twin.nacked.length;
      if (waiting === 0 || Date.now() - twin.progressAt < silenceMs) continue;
      introduce(twin);
      again += waiting;
      for (const seq of twin.nacked) send(twin, seq);
      for (let seq = twin.acknowledged + 1; seq <= twin.sent; seq++) send(twin, seq);
      twin.progressAt = Date.now();
    }
  }, 200);
  return {
    twins,
    open: () =>
      twins.reduce(
        (sum, { messages, acknowledged, nacked }) => sum + messages.length - acknowledged + nacked.length,
        0,
      ),
    sentAgain: () => again,
    wentBack: () => back,
    requests,
    stop: async () => {
      clearInterval(timer);
      await client.endAsync(true);
    },
  };
}
