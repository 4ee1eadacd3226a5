/** Our client on a real mosquitto, and on a scripted broker for what a real one does not do on demand. */
import { createServer, type Socket } from 'node:net';
import mqttPacket from 'mqtt-packet';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Log, silentLog } from '../../src/base/log.ts';
import { type Broker, type BrokerListener, type BrokerSettings, openBroker } from '../../src/forward/mqtt-client.ts';
import { type RealBroker, realBroker, sleep, until } from '../support/broker.ts';

const settings = (url: string, protocol: 5 | 4, clientId: string): BrokerSettings => ({
  url,
  protocol,
  clientId,
  keepaliveS: 30,
  will: { topic: `amr/${clientId}/state`, payload: '{"online":false}' },
  window: 16,
});
function listener() {
  const seen = { connected: 0, disconnected: 0, messages: [] as [string, string][] };
  const of: BrokerListener = {
    onConnected: () => void seen.connected++,
    onDisconnected: () => void seen.disconnected++,
    onMessage: (topic, payload) => void seen.messages.push([topic, Buffer.from(payload).toString()]),
  };
  return { seen, of };
}

describe.each([5, 4] as const)('mosquitto, MQTT protocol level %i', (protocol) => {
  let real: RealBroker;
  let watcher: MqttClient;
  const watched: { topic: string; payload: string; retain: boolean; properties: object | undefined }[] = [];
  let broker: Broker;
  const id = `gw${protocol}`;
  const { seen, of } = listener();
  beforeAll(async () => {
    real = await realBroker();
    watcher = await connectAsync(real.url, { protocolVersion: 5 });
    watcher.on('message', (topic, payload, packet) =>
      watched.push({ topic, payload: payload.toString(), retain: packet.retain, properties: packet.properties }),
    );
    await watcher.subscribeAsync('amr/#', { qos: 1, properties: {} });
    broker = openBroker(settings(real.url, protocol, id), of, silentLog, () => 0.5);
    await until(() => seen.connected === 1, 'connected');
  });
  afterAll(async () => {
    await broker.stop();
    await watcher.endAsync(true);
    await real.remove();
  });

  test('publishes with PUBACK, content type where the protocol has one, and hears what it subscribed', async () => {
    await broker.publish(`amr/${id}/up`, '{"a":1}', { qos: 1 });
    await until(() => watched.some(({ topic }) => topic === `amr/${id}/up`), 'message at the watcher');
    const message = watched.find(({ topic }) => topic === `amr/${id}/up`);
    expect(message?.payload).toBe('{"a":1}');
    if (protocol === 5) expect(message?.properties).toMatchObject({ contentType: 'application/json' });
    await broker.subscribe(`amr/${id}/down`);
    await watcher.publishAsync(`amr/${id}/down`, 'hello', { qos: 1 });
    await until(() => seen.messages.length > 0, 'message from the watcher');
    expect(seen.messages).toEqual([[`amr/${id}/down`, 'hello']]);
  });

  test('the window is the broker’s Receive Maximum where that is lower', () => {
    // mosquitto 2.0 tells 20 in CONNACK of MQTT 5; ours is 16.
    expect(broker.window()).toBe(16);
  });

  test('the broker stops: told once, publishing fails at once; it starts: connected again, subscription kept', async () => {
    await real.stop();
    await until(() => seen.disconnected === 1, 'disconnected');
    await expect(broker.publish(`amr/${id}/up`, 'x', { qos: 1 })).rejects.toThrow(/not connected/);
    expect(broker.connected()).toBe(false);
    await real.start();
    await until(() => seen.connected === 2 && watcher.connected, 'connected again');
    await broker.publish(`amr/${id}/up`, '{"a":2}', { qos: 1 });
    await watcher.subscribeAsync('amr/#', { qos: 1 });
    await watcher.publishAsync(`amr/${id}/down`, 'again', { qos: 1 });
    await until(() => seen.messages.some(([, text]) => text === 'again'), 'session kept by the broker');
  });

  test('a client that vanishes leaves its will', async () => {
    const other = listener();
    const vanishing = openBroker(settings(real.url, protocol, `${id}-gone`), other.of, silentLog, () => 0.5);
    await until(() => other.seen.connected === 1, 'connected');
    // Taken over by a second client of the same id: the broker closes the first and publishes its will.
    const thief = await connectAsync(real.url, {
      clientId: `${id}-gone`,
      protocolVersion: protocol,
      reconnectPeriod: 0,
    });
    await until(() => watched.some(({ topic }) => topic === `amr/${id}-gone/state`), 'the will');
    await vanishing.stop();
    await thief.endAsync(true);
  });
});

/** A broker of a few lines: answers CONNECT as told and lets the test see every packet. */
async function scripted(
  connack: () => object,
  onPublish: (socket: Socket, packet: mqttPacket.IPublishPacket) => void,
  onConnect: (socket: Socket) => void = () => {},
) {
  const sockets: Socket[] = [];
  const connects: number[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        connects.push(Date.now());
        socket.write(
          mqttPacket.generate(
            { cmd: 'connack', sessionPresent: false, ...connack() },
            {
              protocolVersion: 5,
            },
          ),
        );
        onConnect(socket);
      } else if (packet.cmd === 'publish') onPublish(socket, packet);
      else if (packet.cmd === 'pingreq') socket.write(mqttPacket.generate({ cmd: 'pingresp' }));
    });
    socket.on('data', (octets) => parser.parse(octets));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`,
    connects,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
const puback = (socket: Socket, packet: mqttPacket.IPublishPacket, reasonCode = 0) =>
  socket.write(
    mqttPacket.generate({ cmd: 'puback', messageId: packet.messageId as number, reasonCode }, { protocolVersion: 5 }),
  );

describe('a scripted broker', () => {
  test('Receive Maximum 2 lowers the window; Maximum Packet Size refuses before sending', async () => {
    let published = 0;
    let hold = false;
    const held: (() => void)[] = [];
    const fake = await scripted(
      () => ({ reasonCode: 0, properties: { receiveMaximum: 2, maximumPacketSize: 500 } }),
      (socket, packet) => {
        published++;
        if (hold) held.push(() => void puback(socket, packet));
        else puback(socket, packet);
      },
    );
    const { seen, of } = listener();
    const broker = openBroker(settings(fake.url, 5, 'x'), of, silentLog, () => 0.5);
    await until(() => seen.connected === 1, 'connected');
    expect(broker.window()).toBe(2);
    await expect(broker.publish('t', 'x'.repeat(600), { qos: 1 })).rejects.toMatchObject({ code: 0x95 });
    await broker.publish('t', 'small', { qos: 1 });
    expect(published).toBe(1);
    hold = true;
    const five = Promise.all([1, 2, 3, 4, 5].map((n) => broker.publish('t', String(n), { qos: 1 })));
    await sleep(200);
    // Two are on the way, three wait for room.
    expect(published).toBe(3);
    hold = false;
    for (const release of held.splice(0)) release();
    await five;
    expect(published).toBe(6);
    await broker.stop();
    fake.close();
  });

  test('a refused CONNACK is not the end: it tries again, and says the reason once', async () => {
    let answers = 0;
    const fake = await scripted(() => ({ reasonCode: ++answers < 3 ? 136 : 0 }), puback);
    const warned: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => void warned.push(message) };
    const { seen, of } = listener();
    const broker = openBroker(settings(fake.url, 5, 'x'), of, log, () => 0);
    await until(() => seen.connected === 1, 'connected at last');
    expect(answers).toBe(3);
    expect(warned.filter((line) => /unavailable/i.test(line))).toHaveLength(1);
    await broker.stop();
    fake.close();
  });

  test('two gateways with one id throw each other out: told once, with what to do, whether the broker says why or not', async () => {
    for (const says of [true, false]) {
      const fake = await scripted(
        () => ({ reasonCode: 0 }),
        () => {},
        (socket) =>
          void sleep(30).then(() => {
            if (says)
              socket.write(mqttPacket.generate({ cmd: 'disconnect', reasonCode: 0x8e }, { protocolVersion: 5 }));
            socket.end();
          }),
      );
      const warned: string[] = [];
      const { seen, of } = listener();
      const log: Log = { ...silentLog, warn: (_, message) => void warned.push(message) };
      const broker = openBroker(settings(fake.url, 5, 'twin'), of, log, () => 0);
      for (let time = 1; time <= 4; time++) {
        await until(() => seen.connected >= time, `connected ${time} times`);
        await until(() => seen.disconnected >= time, 'thrown out');
      }
      const warnings = warned.filter((line) => line.includes('the id twin'));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('each gateway needs an id of its own');
      await broker.stop();
      fake.close();
    }
  });

  test('PUBACK with an error rejects the publish', async () => {
    const fake = await scripted(
      () => ({ reasonCode: 0 }),
      (socket, packet) => puback(socket, packet, 135),
    );
    const { seen, of } = listener();
    const broker = openBroker(settings(fake.url, 5, 'x'), of, silentLog, () => 0.5);
    await until(() => seen.connected === 1, 'connected');
    await expect(broker.publish('t', 'x', { qos: 1 })).rejects.toMatchObject({ code: 135 });
    await broker.stop();
    fake.close();
  });

  test('stop does not hang while PUBACKs are missing', async () => {
    const fake = await scripted(
      () => ({ reasonCode: 0 }),
      () => {},
    );
    const { seen, of } = listener();
    const broker = openBroker(settings(fake.url, 5, 'x'), of, silentLog, () => 0.5);
    await until(() => seen.connected === 1, 'connected');
    broker.publish('t', 'x', { qos: 1 }).catch(() => {});
    await sleep(50);
    await broker.stop({ topic: 'state', payload: '{}' });
    fake.close();
  });

  test('incident: a message of QoS 0 that waits for room when the connection ends held up the stop of the house', async () => {
    let socketOf: Socket | undefined;
    const fake = await scripted(
      () => ({ reasonCode: 0 }),
      () => {},
      (socket) => {
        // It reads no more: what we send fills the line.
        socketOf = socket;
        socket.pause();
      },
    );
    const { seen, of } = listener();
    const broker = openBroker(settings(fake.url, 5, 'x'), of, silentLog, () => 0.5);
    await until(() => seen.connected === 1, 'connected');
    const sent = Array.from({ length: 60 }, () =>
      broker.publish('t', 'x'.repeat(200_000), { qos: 0 }).then(
        () => 'sent',
        () => 'lost',
      ),
    );
    await sleep(100);
    socketOf?.destroy();
    expect(await Promise.all(sent)).toContain('lost');
    await broker.stop();
    fake.close();
  });

  test('a broker that nobody reaches is not one that does not answer CONNECT: status tells them apart', async () => {
    const deaf = createServer();
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const { port } = deaf.address() as { port: number };
    const fast = { timing: { connectMs: 300, stepMs: 300, firstPauseMs: 50, longestPauseMs: 50, lastingMs: 1000 } };
    const mute = openBroker(
      { ...settings(`mqtt://127.0.0.1:${port}`, 5, 'x'), ...fast },
      listener().of,
      silentLog,
      () => 0.5,
    );
    await until(() => mute.trouble() !== undefined, 'trouble');
    expect(mute.trouble()).toMatch(/takes the connection and does not answer CONNECT/);
    await mute.stop();
    deaf.close();
    // Of the documentation (RFC 5737): no machine has it.
    const away = openBroker(
      { ...settings('mqtt://192.0.2.1:1883', 5, 'x'), ...fast },
      listener().of,
      silentLog,
      () => 0.5,
    );
    await until(() => away.trouble() !== undefined, 'trouble');
    expect(away.trouble()).toMatch(/nobody answers at mqtt.url|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED|ETIMEDOUT/);
    await away.stop();
  });
});
