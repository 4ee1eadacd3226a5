/** What the access rules of a broker forbid is named in the status: publishing, and each subscription, in both protocols. */
import { createServer, type Socket } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqttPacket from 'mqtt-packet';
import { afterAll, describe, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { eventOfGateway } from '../../src/reading/facts.ts';
import { Store } from '../../src/store/store.ts';
import { realBroker, until } from '../support/broker.ts';
import { forwarderOf } from '../support/forwarder.ts';
import { MemoryDatabase } from '../support/memory-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-rules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Waits until the status of a gateway at this broker says it. */
async function loggedAt(url: string, protocol: 4 | 5, says: RegExp): Promise<void> {
  const database = new MemoryDatabase();
  const store = await Store.open({ open: () => Promise.resolve(database), clock: systemClock, newEpoch: () => 1 });
  await store.commit({ meter: '_', entryClass: 0, facts: [eventOfGateway(millis(Date.now()), 'TRIED', {})] });
  const command = () => Promise.resolve(undefined);
  const forwarder = forwarderOf({ store, url, tenant: 't', gateway: 'g', window: 4, protocol, command });
  const stop = new AbortController();
  const running = forwarder.run(stop.signal);
  try {
    await until(() => says.test(forwarder.trouble ?? ''), String(says));
  } finally {
    stop.abort();
    await running;
  }
}

/** A broker that takes everything but the subscriptions of these filters. */
async function refusing(filters: RegExp, protocol: 4 | 5) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    const send = (packet: mqttPacket.Packet) =>
      socket.write(mqttPacket.generate(packet, { protocolVersion: protocol }));
    const parser = mqttPacket.parser({ protocolVersion: protocol });
    parser.on('packet', (packet) => {
      const messageId = packet.messageId as number;
      if (packet.cmd === 'connect') send({ cmd: 'connack', sessionPresent: false, reasonCode: 0, returnCode: 0 });
      else if (packet.cmd === 'publish' && packet.qos === 1) send({ cmd: 'puback', messageId, reasonCode: 0 });
      else if (packet.cmd === 'pingreq') send({ cmd: 'pingresp' });
      else if (packet.cmd === 'subscribe') {
        const refusedWith = protocol === 5 ? 0x87 : 0x80;
        const granted = packet.subscriptions.map(({ topic }) => (filters.test(topic) ? refusedWith : 1));
        send({ cmd: 'suback', messageId, granted });
      }
    });
    socket.on('data', (octets) => parser.parse(octets));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe.each([5, 4] as const)('a subscription, MQTT protocol level %i', (protocol) => {
  test.each(['ack', 'again', 'cmd'])('%s', async (what) => {
    const broker = await refusing(new RegExp(`/${what}$`), protocol);
    await loggedAt(
      broker.url,
      protocol,
      new RegExp(`refuses the subscription of amr/v1/t/g/down/${what}: .*check the access rules`),
    );
    broker.close();
  });
});

describe('publishing, at a real broker', () => {
  const hear = 'topic read amr/v1/t/g/down/#';
  const write = (...topics: string[]) => topics.map((topic) => `topic write amr/v1/t/g/${topic}`);
  test.each([
    ['nothing', [hear], /refuses our birth: .*check the access rules/],
    ['only about itself', [hear, ...write('birth', 'state', 'health')], /refuses messages: .*check the access rules/],
  ] as const)('%s may be published', async (_, rules, says) => {
    const acl = join(folder, 'acl');
    writeFileSync(acl, `${rules.join('\n')}\n`, { mode: 0o644 });
    const broker = await realBroker([`acl_file ${acl}`]);
    await loggedAt(broker.url, 5, says);
    await broker.remove();
  });
});
