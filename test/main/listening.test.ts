/**
 * A real daemon on which meters push: TCP, UDP and a line; octets of simulated meters over real sockets, a real broker, and
 * SIGKILL in the midst.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UpPayload } from '../../src/contract/payloads.ts';
import { openPty } from '../../src/simulator/pty.ts';
import { freePort, type RealBroker, realBroker, until } from '../support/broker.ts';
import { configuration } from '../support/configuration.ts';
import { children, folder, gateway, node, run } from '../support/programs.ts';
import { type PushingBus, pushingBus, pushingMeters } from '../support/pushing-meters.ts';

let broker: RealBroker;
let facts: UpPayload[] = [];
beforeAll(async () => {
  broker = await realBroker();
  const client = await connectAsync(broker.url);
  client.on('message', (_, payload) => void facts.push(JSON.parse(payload.toString()) as UpPayload));
  await client.subscribeAsync('amr/v1/t/g/up/#', { qos: 1 });
  afterAll(() => client.endAsync(true));
});
afterAll(() => broker.remove());

/** What a bus pushes at its next time, in the pieces that went out. */
function pushedOctets({ house }: PushingBus): Uint8Array[] {
  const { bus } = house;
  const deadline = bus.deadline();
  if (deadline !== undefined) bus.wake(deadline);
  const pieces: Uint8Array[] = [];
  for (;;) {
    for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit()) pieces.push(octets.slice());
    const next = bus.deadline();
    // Octets take their time on the line; the next push comes hours later.
    if (next === undefined || next > (deadline ?? 0) + 60_000) return pieces;
    bus.wake(next);
  }
}
const byTcp = (port: number, pieces: readonly Uint8Array[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.end(Buffer.concat(pieces)));
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
/** Wrapper frames, each of which is a datagram. */
function framesOf(octets: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < octets.length; ) {
    const end = at + 8 + octets.readUInt16BE(at + 6);
    frames.push(octets.subarray(at, end));
    at = end;
  }
  return frames;
}
const byUdp = async (port: number, pieces: readonly Uint8Array[]): Promise<void> => {
  const socket = createSocket('udp4');
  for (const piece of framesOf(Buffer.concat(pieces)))
    await new Promise<void>((resolve) => socket.send(piece, port, '127.0.0.1', () => resolve()));
  socket.close();
};
const measuredOf = (bus: PushingBus): Set<string> => {
  const meters = new Set(bus.house.meters.map(({ settings }) => `m${settings.serial}`));
  return new Set(
    facts.flatMap((fact) => (fact.kind === 'profile' && meters.has(fact.meter) ? [`${fact.meter} ${fact.start}`] : [])),
  );
};

test('by TCP, UDP and a line: rows at the head-end; after SIGKILL no recording counts, and what is new does', async () => {
  // Rows of yesterday: simulated time is behind, and no clock is asked.
  const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 26 * 3_600_000 + 1000;
  const buses = {
    tcp: pushingBus({ link: 'wrapper', ciphered: true, count: 3, firstSerial: 70_000_001 }, start),
    udp: pushingBus({ link: 'wrapper', ciphered: true, count: 3, firstSerial: 70_000_101 }, start),
    line: pushingBus({ link: 'hdlc', ciphered: true, count: 3, firstSerial: 70_000_201 }, start),
  };
  const keys = { ek: '000102030405060708090a0b0c0d0e0f', ak: 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf' };
  for (const [name, text] of Object.entries(keys)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  const metersOf = (bus: PushingBus) =>
    pushingMeters(bus).map((meter) => ({
      ...meter,
      encryption_key: `file:${join(folder, 'ek')}`,
      authentication_key: `file:${join(folder, 'ak')}`,
    }));
  const ports = { tcp: await freePort(), udp: await freePort() };
  const pty = openPty();
  const config = join(folder, 'listen.toml');
  const socket = join(folder, 'listen.sock');
  writeFileSync(
    config,
    configuration({
      gateway: { state_directory: join(folder, 'listen-state'), clock_trust: 'assume', status_socket: socket },
      mqtt: { url: broker.url },
      port: [],
      listen: [
        { name: 'tcp', device: `tcp://127.0.0.1:${ports.tcp}`, meter: metersOf(buses.tcp) },
        { name: 'udp', device: `udp://127.0.0.1:${ports.udp}`, meter: metersOf(buses.udp) },
        { name: 'line', device: `serial:${pty.path}`, link: 'hdlc', meter: metersOf(buses.line) },
      ],
    }),
  );
  const begin = async (): Promise<ChildProcess> => {
    const daemon = spawn(node, [gateway, 'run', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(daemon);
    let logged = '';
    daemon.stdout.on('data', (chunk: Buffer) => (logged += chunk.toString()));
    daemon.stderr.on('data', (chunk: Buffer) => (logged += chunk.toString()));
    await until(async () => {
      const { out } = await run(gateway, ['status', '--json', '--socket', socket]);
      const open = out === '' ? [] : (JSON.parse(out) as { ports: { open: boolean }[] }).ports;
      return open.length === 3 && open.every((port) => port.open);
    }, 'the daemon listens').catch((error: unknown) => {
      throw new Error(`${String(error)} ${logged}`);
    });
    return daemon;
  };
  const send = async (pieces: Readonly<Record<keyof typeof buses, readonly Uint8Array[]>>) => {
    await byTcp(ports.tcp, pieces.tcp);
    await byUdp(ports.udp, pieces.udp);
    for (const piece of pieces.line) pty.write(piece);
  };
  const next = () => ({
    tcp: pushedOctets(buses.tcp),
    udp: pushedOctets(buses.udp),
    line: pushedOctets(buses.line),
  });
  const all = Object.values(buses);
  const rows = () => all.map((bus) => measuredOf(bus).size);

  const daemon = await begin();
  const first = next();
  await send(first);
  await until(() => rows().every((count) => count === 3), `rows of all three roads (${rows().join()})`);
  daemon.kill('SIGKILL');
  const again = await begin();
  const before = rows();
  facts = facts.filter(({ kind }) => kind === 'profile');
  await send(first);
  const replays = () => facts.filter((fact) => fact.kind === 'event' && fact.name === 'PUSH_REFUSED');
  await until(
    () => new Set(replays().map((fact) => 'meter' in fact && fact.meter)).size === 9,
    'each replay is refused',
  );
  expect(rows()).toEqual(before);
  // Some later hours of theirs.
  next();
  await send(next());
  await until(() => rows().every((count, i) => count > (before[i] ?? 0)), `new rows of all (${rows().join()})`);
  const listed = await run(gateway, ['status', '--socket', socket]);
  expect(listed.out).toMatch(/pushes were refused, the last one/);
  again.kill('SIGTERM');
  pty.close();
}, 240_000);
