/**
 * A broker that means harm. What it does is a triple: from a *step* of the connection's life on, each *packet* of a type is
 * dealt with by an *act* (refused, delayed, dropped, repeated, enlarged, garbled, flooded); where that type answers nothing
 * at the step, one comes unasked. The matrix is generated and no pair is skipped. Behind the broker stands a head-end that
 * takes and acknowledges. The client, the outbox and the store are the real ones; the outbox's clock and all time-outs of
 * the client run `speed` times as fast, so that a minute is two and a half seconds.
 */
import { createServer, type Server, type Socket } from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Log } from '../../src/base/log.ts';
import { type Clock, iso, type Millis, millis } from '../../src/base/time.ts';
import { ackOf, greet, type Ingest, newIngest, take } from '../support/memory-central.ts';
import { fitFact } from '../../src/forward/fit.ts';
import { Forwarder } from '../../src/forward/forwarder.ts';
import { birthPayload, contractVersion } from '../../src/contract/payloads.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { topics } from '../../src/contract/topics.ts';
import { eventOfGateway } from '../../src/reading/facts.ts';
import { seeded } from '../../src/simulator/random.ts';
import { Store } from '../../src/store/store.ts';
import { forwarderSettings } from '../support/forwarder.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { type Harm, type PacketType, packetTypes, type Step } from './hostile-broker-matrix.ts';

export interface Outcome {
  readonly harm: Harm;
  readonly problems: readonly string[];
  /** What `status` said while nothing moved. */
  readonly trouble: string | undefined;
  /** All was delivered in spite of it, before it was well again. */
  readonly unharmed: boolean;
  /** From well again to all delivered, in the outbox's time. */
  readonly recoveredMs: number;
  /** Messages of the log, each once. */
  readonly logged: readonly string[];
  readonly logLines: number;
  readonly longestLine: number;
  readonly logOctets: number;
  readonly connections: number;
}

/** How much faster the time-outs run. */
const speed = 25;
const badMs = 60_000;
/** Real time, for a machine that has other things to do as well. */
const recoveryLimitMs = 60_000;
const fast = (ms: number) => ms / speed;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function fastClock(): Clock {
  const from = performance.now();
  const start = Date.UTC(2026, 10, 25);
  const now = (): Millis => millis(start + (performance.now() - from) * speed);
  return {
    now,
    wall: now,
    sleepUntil: (deadline, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const finish = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', finish);
          resolve();
        };
        const timer = setTimeout(finish, Math.min(2 ** 30, Math.max(0, Math.ceil((deadline - now()) / speed))));
        signal?.addEventListener('abort', finish);
      }),
  };
}

/** A packet of a type, as a broker could send it; of types that it never sends, too. */
function packetOf(type: PacketType, id: number): Packet {
  switch (type) {
    case 'connect':
      return { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, clientId: 'x', keepalive: 1 };
    case 'connack':
      return { cmd: 'connack', sessionPresent: false, reasonCode: 0, returnCode: 0 };
    case 'publish':
      return {
        cmd: 'publish',
        topic: 'amr/v1/t/g/down/ack',
        payload: '{"epoch":0,"upTo":0}',
        qos: 1,
        messageId: id,
        dup: false,
        retain: false,
      };
    case 'subscribe':
      return { cmd: 'subscribe', messageId: id, subscriptions: [{ topic: 'x', qos: 0 }] };
    case 'unsubscribe':
      return { cmd: 'unsubscribe', messageId: id, unsubscriptions: ['x'] };
    case 'suback':
      return { cmd: 'suback', messageId: id, granted: [1] };
    case 'unsuback':
      return { cmd: 'unsuback', messageId: id, granted: [0] };
    case 'auth':
      return { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'x' } };
    case 'disconnect':
      return { cmd: 'disconnect', reasonCode: 0 };
    case 'pingreq':
    case 'pingresp':
      return { cmd: type };
    default:
      return { cmd: type, messageId: id, reasonCode: 0 };
  }
}
const typeCodes: Readonly<Record<PacketType, number>> = Object.fromEntries(
  packetTypes.map((type, i) => [type, i + 1]),
) as Record<PacketType, number>;
/** A header that claims 200 MB, and some of them. */
const huge = (type: PacketType): Buffer =>
  Buffer.concat([
    Buffer.of(
      (typeCodes[type] << 4) |
        (type === 'publish' ? 0b010 : ['pubrel', 'subscribe', 'unsubscribe'].includes(type) ? 0b010 : 0),
      0x80,
      0x80,
      0x80,
      0x64,
    ),
    Buffer.alloc(256 * 1024),
  ]);
/** The same packet as a refusal, where its type can refuse; undefined: hanging up is all that is left. */
function refusal(packet: Packet, protocol: 4 | 5): Packet | undefined {
  const five = protocol === 5;
  switch (packet.cmd) {
    case 'connack':
      return { ...packet, reasonCode: 0x88, returnCode: 3 };
    case 'suback':
      return { ...packet, granted: [five ? 0x87 : 0x80] };
    case 'unsuback':
      return { ...packet, granted: [0x87] };
    case 'puback':
    case 'pubrec':
      return five ? { ...packet, reasonCode: 0x97 } : undefined;
    case 'pubrel':
    case 'pubcomp':
      return five ? { ...packet, reasonCode: 0x92 } : undefined;
    case 'disconnect':
      return five ? { ...packet, reasonCode: 0x8b } : undefined;
    case 'publish':
      return { ...packet, payload: `{"epoch":${'9'.repeat(400)},"upTo":-1}` };
    default:
      return undefined;
  }
}

class HostileBroker {
  readonly ingest: Ingest = newIngest();
  private readonly harm: Harm;
  private readonly random: () => number;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private bad = true;
  private harmed = new Set<Socket>();
  reached = false;
  private hungUp = false;
  connections = 0;
  private nextId = 1;

  constructor(harm: Harm, seed: number) {
    this.harm = harm;
    this.random = seeded(seed);
    this.server = createServer((socket) => this.serve(socket));
  }
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `mqtt://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }
  /** From here on it does everything as it should. */
  recover(): void {
    this.bad = false;
    // What it says of itself it says anew.
    if (this.harm.terms) for (const socket of this.sockets) socket.destroy();
  }
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    this.connections++;
    let rows = 0;
    const acknowledging = setInterval(() => this.acknowledge(socket), fast(1000));
    socket.on('close', () => {
      clearInterval(acknowledging);
      this.sockets.delete(socket);
      this.harmed.delete(socket);
    });
    socket.on('error', () => {});
    const parser = mqttPacket.parser({ protocolVersion: this.harm.protocol });
    parser.on('error', () => socket.destroy());
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        this.step(socket, 'connect');
        if (this.hungUp) this.step(socket, 'reconnect');
        this.answer(socket, {
          ...packetOf('connack', 0),
          ...(this.harm.terms && this.bad && { properties: this.harm.terms }),
        });
      } else if (packet.cmd === 'subscribe') {
        const [filter] = packet.subscriptions;
        this.step(socket, filter?.topic.endsWith('again') ? 'again' : 'subscribe');
        this.answer(socket, packetOf('suback', packet.messageId as number));
      } else if (packet.cmd === 'publish') {
        if (packet.topic.endsWith('/birth')) this.step(socket, 'birth');
        if (packet.topic.includes('/up/')) {
          rows++;
          this.step(socket, rows > 10 ? 'flow' : 'row');
          // For a harm that begins with the second connection, the first one ends.
          if (this.harm.step === 'reconnect' && !this.hungUp && rows === 5) {
            this.hungUp = true;
            socket.destroy();
            return;
          }
        }
        this.received(socket, packet);
        if (packet.qos > 0) this.answer(socket, packetOf('puback', packet.messageId as number));
      } else if (packet.cmd === 'pingreq') {
        this.step(socket, 'ping');
        this.answer(socket, packetOf('pingresp', 0));
      } else if (packet.cmd === 'disconnect') socket.end();
    });
    socket.on('data', (octets) => parser.parse(octets));
  }

  private received(socket: Socket, packet: mqttPacket.IPublishPacket): void {
    const octets = Buffer.from(packet.payload);
    if (packet.topic.endsWith('/birth')) {
      const birth = parsePayload(birthPayload, octets);
      if (!isUnfit(birth)) this.publish(socket, greet(this.ingest, birth));
    } else if (packet.topic.includes('/up/')) take(this.ingest, packet.topic, octets);
  }
  private acknowledge(socket: Socket): void {
    const received = this.ingest.received.get('g');
    if (received) this.publish(socket, ackOf(received));
  }
  private publish(socket: Socket, ack: object): void {
    this.nextId = (this.nextId % 60_000) + 1;
    this.answer(socket, { ...packetOf('publish', this.nextId), payload: JSON.stringify(ack) } as Packet);
  }

  /** A step of the life of a connection was reached. */
  private step(socket: Socket, step: Step): void {
    const { harm } = this;
    if (!this.bad || harm.terms || step !== harm.step || this.harmed.has(socket)) return;
    this.harmed.add(socket);
    this.reached = true;
    // Unasked, whether or not it answers something here.
    if (harm.act !== 'drop' && harm.act !== 'delay') this.act(socket, packetOf(harm.packet, 1));
  }
  private answer(socket: Socket, packet: Packet): void {
    if (this.harm.terms) this.reached = true;
    const concerned = this.bad && !this.harm.terms && this.harmed.has(socket) && packet.cmd === this.harm.packet;
    if (concerned) this.act(socket, packet);
    else this.write(socket, this.octets(packet));
  }
  private octets(packet: Packet): Buffer {
    const { protocol } = this.harm;
    try {
      return mqttPacket.generate(packet, { protocolVersion: protocol });
    } catch {
      // A type that this version does not have.
      return Buffer.of(typeCodes[packet.cmd] << 4, 2, 0, 1);
    }
  }
  private write(socket: Socket, octets: Buffer): void {
    if (!socket.destroyed) socket.write(octets);
  }
  private act(socket: Socket, packet: Packet): void {
    const { act, packet: type, protocol } = this.harm;
    const plain = this.octets(packet);
    switch (act) {
      case 'drop':
        return;
      case 'refuse': {
        const refused = refusal(packet, protocol);
        if (refused) this.write(socket, this.octets(refused));
        else socket.destroy();
        return;
      }
      case 'delay':
        setTimeout(() => this.write(socket, plain), fast(90_000));
        return;
      case 'repeat':
        this.write(socket, Buffer.concat([plain, plain, plain]));
        return;
      case 'enlarge':
        this.write(socket, huge(type));
        return;
      case 'garble': {
        const octets = Buffer.from(plain);
        for (let n = 0; n < 3; n++) octets[Math.floor(this.random() * octets.length)] = Math.floor(this.random() * 256);
        this.write(socket, octets);
        return;
      }
      case 'flood': {
        const many = type === 'publish' ? this.octets({ ...packet, payload: this.longAck() } as Packet) : plain;
        for (let n = 0; n < 20; n++) this.write(socket, Buffer.concat(Array.from({ length: 10 }, () => many)));
      }
    }
  }
  /** With as many nacks as one may have, of numbers that exist and do not. */
  private longAck(): string {
    const received = this.ingest.received.get('g');
    const nack = Array.from({ length: 1000 }, (_, n) => n + 1);
    return JSON.stringify({ epoch: received?.epoch ?? 1, upTo: received?.upTo ?? 0, nack });
  }
}

/** One harm from beginning to end. */
export async function suffer(harm: Harm, seed: number, reported?: RegExp): Promise<Outcome> {
  const clock = fastClock();
  const broker = new HostileBroker(harm, seed);
  const url = await broker.listen();
  const database = new MemoryDatabase();
  const store = await Store.open({
    open: () => Promise.resolve(database),
    clock,
    fit: (fact) => fitFact(fact, clock.wall()),
    newEpoch: (after) => after + 1,
  });
  let [logLines, logOctets, longestLine] = [0, 0, 0];
  const messages = new Set<string>();
  const line = (fields: object, message: string) => {
    messages.add(message);
    const { length } = JSON.stringify(fields) + message;
    [logLines, logOctets, longestLine] = [logLines + 1, logOctets + length, Math.max(longestLine, length)];
  };
  const log: Log = { info: line, warn: line, error: line };
  let committed = 0;
  const commitEvents = async (count: number) => {
    const facts = Array.from({ length: count }, () => eventOfGateway(clock.wall(), 'TRIED', { n: committed++ }));
    await store.commit({ meter: '_', entryClass: committed % 2 === 0 ? 0 : 1, facts });
  };
  await commitEvents(30);
  const forwarder = new Forwarder(
    forwarderSettings({
      store,
      clock,
      log,
      topics: topics('t', 'g'),
      broker: {
        url,
        protocol: harm.protocol,
        clientId: 'g',
        keepaliveS: 1,
        window: 16,
        timing: {
          connectMs: fast(15_000),
          stepMs: fast(20_000),
          firstPauseMs: fast(500),
          longestPauseMs: fast(20_000),
          lastingMs: fast(30_000),
        },
      },
      health: () =>
        Promise.resolve({
          v: contractVersion,
          at: iso(clock.wall()),
          boot: 'b',
          epoch: store.epoch,
          pending: 0,
          oldestUnacknowledgedS: null,
          clockTrust: 'kernel',
          disk: null,
          ports: [],
          meters: [],
          store: { failure: null, quarantined: 0, missing: 0 },
        }),
      random: seeded(seed),
    }),
  );
  const stopping = new AbortController();
  const running = forwarder.run(stopping.signal);
  const problems: string[] = [];
  const pending = async () => (await store.status()).pending;
  const until = async (limitMs: number, done: () => boolean | Promise<boolean>) => {
    const end = performance.now() + limitMs;
    while (performance.now() < end) {
      if (await done()) return true;
      await sleep(10);
    }
    return false;
  };
  // Until its step is reached the broker is as it should be. A ping comes when nothing else does.
  const filling = setInterval(() => {
    if (!broker.reached && harm.step === 'flow') void commitEvents(3);
  }, 100);
  if (!(await until(recoveryLimitMs, () => broker.reached))) problems.push(`the step ${harm.step} was never reached`);
  clearInterval(filling);
  const from = performance.now();
  await sleep(fast(badMs / 4));
  await commitEvents(10);
  await sleep(Math.max(0, fast(badMs) - (performance.now() - from)));
  // On a busy machine it may come to light later; the harm goes on until then.
  if (reported) await until(recoveryLimitMs, () => reported.test([forwarder.trouble ?? '', ...messages].join('\n')));
  const left = await pending();
  // Trouble that comes and goes with the attempts counts while nothing moves.
  let trouble: string | undefined;
  if (left > 0)
    await until(fast(30_000), async () => {
      trouble ??= forwarder.trouble;
      return trouble !== undefined || (await pending()) < left;
    });
  const unharmed = left === 0 || (trouble === undefined && (await pending()) < left);
  if (!unharmed && trouble === undefined) problems.push(`${left} messages wait and status says nothing`);
  broker.recover();
  const well = clock.now();
  await commitEvents(5);
  if (!(await until(recoveryLimitMs, async () => (await pending()) === 0)))
    problems.push(`${await pending()} messages are not delivered; status: ${forwarder.trouble ?? 'nothing'}`);
  const recoveredMs = clock.now() - well;
  const received = broker.ingest.received.get('g');
  if (received?.epoch !== store.epoch || received.upTo < store.acknowledged)
    problems.push(`the head-end has ${received?.upTo}, acknowledged is ${store.acknowledged}`);
  stopping.abort();
  // A part of the house that cannot be stopped holds up the stop of the whole.
  const ended = (task: Promise<unknown>) => Promise.race([task.then(() => true), sleep(20_000).then(() => false)]);
  if (!(await ended(running))) problems.push('the forwarder does not stop');
  if (!(await ended(broker.close()))) problems.push('the connection is still open after the stop');
  await store.close();
  return {
    harm,
    problems,
    trouble,
    unharmed,
    recoveredMs,
    logged: [...messages],
    logLines,
    logOctets,
    longestLine,
    connections: broker.connections,
  };
}

export interface Campaign {
  readonly outcomes: readonly Outcome[];
  readonly peakRssMiB: number;
}
/** Many harms, so many at once. */
export async function sufferAll(
  harms: readonly Harm[],
  seed: number,
  atOnce: number,
  each: (outcome: Outcome) => void = () => {},
): Promise<Campaign> {
  const outcomes: Outcome[] = [];
  let peak = 0;
  let next = 0;
  const watching = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 100);
  const lane = async () => {
    for (let at = next++; at < harms.length; at = next++) {
      const outcome = await suffer(harms[at] as Harm, seed + at);
      outcomes.push(outcome);
      each(outcome);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  clearInterval(watching);
  return { outcomes, peakRssMiB: peak / 2 ** 20 };
}
