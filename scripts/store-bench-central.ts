/**
 * The head-end of `npm run store-bench`, as a process of its own: takes numbers, acknowledges after each 500 messages and
 * ten times a second, and reports when it has all. Arguments: broker, tenant, gateway, how many.
 */
import { connectAsync } from 'mqtt';
import { topics, upFilter } from '../src/forward/payload.ts';

const [url = '', tenant = '', gateway = ''] = process.argv.slice(2);
const most = Number(process.argv[5]);
const acknowledgeAfter = 500;
const client = await connectAsync(url, { protocolVersion: 5 });
const seen = new Uint8Array(most + 2);
let [upTo, told] = [0, 0];
const acknowledge = () => {
  if (upTo === told) return;
  told = upTo;
  client.publish(topics(tenant, gateway).ack, JSON.stringify({ epoch: 1, upTo, nack: [] }), { qos: 1 });
  if (upTo === most) process.send?.('all');
};
client.on('message', (_, payload) => {
  const { seq } = JSON.parse(payload.toString()) as { seq: number };
  if (seq <= most) seen[seq] = 1;
  while (seen[upTo + 1] === 1) upTo++;
  if (upTo - told >= acknowledgeAfter || upTo === most) acknowledge();
});
setInterval(acknowledge, 100);
await client.subscribeAsync(upFilter(tenant), { qos: 1 });
process.send?.('ready');
process.on('disconnect', () => process.exit());
