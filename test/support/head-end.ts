/**
 * A head-end as a process of its own, which takes numbers and counts, so that it is neither the bottleneck nor in the
 * memory of what is measured: `node test/support/head-end.ts URL TENANT GATEWAY AFTER [MOST]`. It acknowledges after each AFTER
 * messages and ten times a second, says `all` when it has MOST, and answers `report`.
 */
import { connectAsync } from 'mqtt';
import { topics, upFilter } from '../../src/contract/topics.ts';

export interface HeadEndReport {
  readonly upTo: number;
  /** Of intervals, each number counted once. */
  readonly intervals: number;
  readonly again: number;
}
const [url = '', tenant = '', gateway = ''] = process.argv.slice(2);
const after = Number(process.argv[5]);
const most = Number(process.argv[6] ?? Number.POSITIVE_INFINITY);
const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 100, clientId: `head-end-${tenant}` });
client.on('error', () => {});
const direct = () => (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
direct();
client.on('connect', direct);
const beyond = new Set<number>();
let [epoch, upTo, published, intervals, again] = [0, 0, 0, 0, 0];
const publishAck = () =>
  client.publish(topics(tenant, gateway).ack, JSON.stringify({ epoch, upTo, nack: [] }), { qos: 1 });
const acknowledge = () => {
  if (upTo === published || !client.connected) return;
  published = upTo;
  publishAck();
  if (upTo === most) process.send?.('all');
};
client.on('message', (topic, payload) => {
  if (topic.endsWith('/birth')) {
    // The gateway waits for the answer: what is held of it.
    epoch = (JSON.parse(payload.toString()) as { epoch: number }).epoch;
    publishAck();
    return;
  }
  const message = JSON.parse(payload.toString()) as { epoch: number; seq: number; kind: string; count?: number };
  epoch = message.epoch;
  if (message.seq <= upTo || beyond.has(message.seq)) {
    again++;
    // Sent again: the acknowledgement was lost.
    published = Math.min(published, upTo - 1);
  } else {
    beyond.add(message.seq);
    intervals += message.kind === 'profile' ? (message.count ?? 0) : 0;
    while (beyond.delete(upTo + 1)) upTo++;
  }
  if (upTo - published >= after || upTo === most) acknowledge();
});
setInterval(acknowledge, 100);
process.on('message', (word) => {
  if (word === 'report') process.send?.({ upTo, intervals, again } satisfies HeadEndReport);
});
process.on('disconnect', () => process.exit());
await client.subscribeAsync([topics(tenant, gateway).birth, upFilter(tenant)], { qos: 1 });
process.send?.('ready');
