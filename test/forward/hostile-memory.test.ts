/** What a broker or a head-end can do to the memory and the log of the process: a real one, with the daemon's heap. */
import { type ChildProcess, fork } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { afterEach, expect, test } from 'vitest';
import { until } from '../support/broker.ts';

interface Report {
  readonly maxMiB: number;
  readonly pending: number;
  readonly trouble: string | null;
  readonly unfit: number;
}
const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const one of cleanUp.splice(0)) one();
});

/** A broker that is as it should be, until a row came: then `harm`, once for each connection while `bad()`. */
async function world(
  protocol: 4 | 5,
  harm: (socket: Socket, send: (packet: Packet) => void, connection: number) => void,
) {
  let connection = 0;
  const seen = new Set<number>();
  const server = createServer((socket) => {
    const own = ++connection;
    let harmed = false;
    const send = (packet: Packet) => {
      if (!socket.destroyed) socket.write(mqttPacket.generate(packet, { protocolVersion: protocol }));
    };
    const parser = mqttPacket.parser({ protocolVersion: protocol });
    socket.on('error', () => {});
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') send({ cmd: 'connack', sessionPresent: false, reasonCode: 0, returnCode: 0 });
      else if (packet.cmd === 'subscribe') send({ cmd: 'suback', messageId: packet.messageId as number, granted: [1] });
      else if (packet.cmd === 'pingreq') send({ cmd: 'pingresp' });
      else if (packet.cmd === 'publish') {
        if (packet.qos > 0) send({ cmd: 'puback', messageId: packet.messageId as number, reasonCode: 0 });
        if (packet.topic.endsWith('/birth'))
          send(ack({ epoch: (JSON.parse(packet.payload.toString()) as { epoch: number }).epoch, upTo: 0 }, 1));
        if (!packet.topic.includes('/up/')) return;
        seen.add((JSON.parse(packet.payload.toString()) as { seq: number }).seq);
        if (seen.size < 900 || harmed) return;
        harmed = true;
        harm(socket, send, own);
      }
    });
    socket.on('data', (octets) => parser.parse(octets));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`;
  const child: ChildProcess = fork(
    new URL('../support/forwarder-process.ts', import.meta.url).pathname,
    [url, String(protocol)],
    {
      execArgv: ['--max-old-space-size=64', '--max-semi-space-size=2'],
      silent: true,
    },
  );
  let report: Report = { maxMiB: 0, pending: 1000, trouble: null, unfit: 0 };
  let ended = false;
  let log = '';
  child.on('message', (message) => (report = message as Report));
  child.on('exit', () => (ended = true));
  child.stdout?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  cleanUp.push(() => {
    child.kill('SIGKILL');
    server.close();
  });
  return { report: () => report, ended: () => ended, log: () => log, connections: () => connection };
}
const ack = (body: object, messageId: number): Packet => ({
  cmd: 'publish',
  topic: 'amr/v1/t/g/down/ack',
  payload: JSON.stringify(body),
  qos: 1,
  messageId,
  dup: false,
  retain: false,
});

test.each([5, 4] as const)(
  'incident, MQTT level %i: a PUBLISH of 200 MB took 496 MiB: it ends the connection, and nothing else',
  async (protocol) => {
    const it = await world(protocol, (socket, send, connection) => {
      if (connection > 2) return send(ack({ epoch: 1, upTo: 1000 }, 7));
      const length = 200 * 1024 * 1024;
      socket.write(
        Buffer.of(
          0x32,
          (length & 0x7f) | 0x80,
          ((length >> 7) & 0x7f) | 0x80,
          ((length >> 14) & 0x7f) | 0x80,
          length >> 21,
        ),
      );
      const part = Buffer.alloc(1024 * 1024);
      let left = 200;
      const more = () => {
        while (left-- > 0 && !socket.destroyed) if (!socket.write(part)) return void socket.once('drain', more);
      };
      more();
    });
    await until(() => it.connections() > 2 && it.report().pending === 0, 'all is delivered afterwards');
    expect(it.ended()).toBe(false);
    expect(it.log()).toMatch(/a packet of more than \d+ octets \(head-end\)/);
    // Of which node itself takes about 70.
    expect(it.report().maxMiB).toBeLessThan(200);
  },
);

test('incident: 5 000 acknowledgements with 1 000 nacks each: memory does not grow, what was taken is acknowledged', async () => {
  const nack = Array.from({ length: 1000 }, (_, n) => n + 1);
  const it = await world(5, (socket, send) => {
    const many = Buffer.concat(
      Array.from({ length: 50 }, (_, n) =>
        mqttPacket.generate(ack({ epoch: 1, upTo: 900, nack }, n + 1), { protocolVersion: 5 }),
      ),
    );
    let left = 100;
    const more = () => {
      while (left-- > 0) if (!socket.write(many)) return void socket.once('drain', more);
      send(ack({ epoch: 1, upTo: 1000 }, 999));
      setInterval(() => send(ack({ epoch: 1, upTo: 1000 }, 999)), 500).unref();
    };
    more();
  });
  await until(() => it.report().pending === 0, 'all is acknowledged');
  expect(it.ended()).toBe(false);
  expect(it.report().maxMiB).toBeLessThan(220);
  expect(it.log().length).toBeLessThan(20_000);
});

test('incident: 120 messages of the head-end wrote 21.8 MB into the log: misfits are counted, named once, and cut', async () => {
  const it = await world(5, (_, send) => {
    for (let n = 0; n < 120; n++) send(ack({ epoch: 'x'.repeat(200_000) + n, upTo: 5, [`k${n}`]: 1 }, n + 1));
    for (let n = 0; n < 2000; n++) send(ack({ epoch: 1, upTo: -n, nack: [{ [`${n}`]: 'y'.repeat(50) }] }, 500 + n));
    for (let n = 0; n < 500; n++)
      send({ ...ack({}, 3000 + n), topic: `amr/v1/t/g/down/${n}${'z'.repeat(500)}` } as Packet);
    send(ack({ epoch: 1, upTo: 1000 }, 9000));
    setInterval(() => send(ack({ epoch: 1, upTo: 1000 }, 9001)), 500).unref();
  });
  await until(() => it.report().pending === 0 && it.report().unfit >= 2620, 'all is counted');
  expect(it.report().trouble).toMatch(/2620 payloads of the head-end did not fit the contract/);
  expect(it.log().length).toBeLessThan(20_000);
  expect(it.report().maxMiB).toBeLessThan(220);
});
