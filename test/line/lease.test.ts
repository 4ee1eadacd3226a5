/** What a device or a peer does not do in time fails, on real sockets and on ports that never call back. */
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { millis } from '../../src/base/time.ts';
import { inTime, leased } from '../../src/line/lease.ts';
import { listenTcp, openPort } from '../../src/line/open-port.ts';
import type { Port } from '../../src/line/port.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { until } from '../support/broker.ts';
import { gateway, run } from '../support/programs.ts';
import { closeServers, tcpServer } from '../support/tcp-server.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const never = <T>() => new Promise<T>(() => {});
const hung: Port = {
  device: '/dev/hung',
  connection: false,
  closed: false,
  read: () => never(),
  write: () => never(),
  setBaud: () => never(),
  close: () => never(),
};

describe('incident: a port that never called back held whoever used it', () => {
  test('each of its works fails in time; a long write at 300 Bd is given what it needs', async () => {
    const clock = new VirtualClock(0);
    const port = leased(hung, clock);
    for (const [work, minS, maxS] of [
      [() => port.write(new Uint8Array(10)), 30, 32],
      [() => port.write(new Uint8Array(2000)), 2000 / 30, 170],
      [() => port.setBaud(300), 10, 10],
      [() => port.close(), 10, 10],
    ] as const) {
      const began = clock.now();
      await expect(clock.complete(work())).rejects.toMatchObject({ code: 'port-lost' });
      const seconds = (clock.now() - began) / 1000;
      expect(seconds).toBeGreaterThanOrEqual(minS);
      expect(seconds).toBeLessThanOrEqual(maxS);
    }
    expect(clock.sleeping).toBe(0);
  });
  test('a connection fails in its own words', async () => {
    const clock = new VirtualClock(0);
    const port = leased({ ...hung, connection: true }, clock);
    await expect(clock.complete(port.write(new Uint8Array(1)))).rejects.toMatchObject({ code: 'connection-lost' });
  });
  test('what is revoked fails at once, and so does what comes later', async () => {
    const port = leased(hung, new VirtualClock(0));
    const all = [port.read(millis(1)), port.write(new Uint8Array(1)), port.setBaud(300)];
    const why = new Failure('turn-stuck', 'taken back');
    port.revoke(why);
    for (const one of all) await expect(one).rejects.toBe(why);
    await expect(port.read(millis(1))).rejects.toBe(why);
    expect(port.closed).toBe(true);
  });
  test('a result that comes too late is handed over, not lost: a device that opened after all is closed', async () => {
    const clock = new VirtualClock(0);
    let resolveWork: (text: string) => void = () => {};
    const late: string[] = [];
    const work = new Promise<string>((resolve) => {
      resolveWork = resolve;
    });
    const failing = inTime(
      clock,
      1000,
      work,
      () => new Failure('port-missing', 'late'),
      (text) => late.push(text),
    );
    await expect(clock.complete(failing)).rejects.toMatchObject({ message: 'late' });
    resolveWork('open');
    await clock.run(2000);
    expect(late).toEqual(['open']);
  });
});

describe('TCP peers that say nothing', () => {
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await closeServers();
  });
  const quick = ['--timeout', '100', '--retries', '1'];
  for (const link of ['hdlc', 'wrapper'])
    test(`a gateway that accepts and is silent, ${link}: the command ends and says whose fault it may be`, async () => {
      const device = await tcpServer(() => {});
      const result = await run(gateway, ['read', device, '--link', link, ...quick]);
      expect(result.code).toBe(3);
      expect(result.err).toContain('no answer');
    });
  test('one that sends flags for ever', async () => {
    const device = await tcpServer((socket) => {
      const timer = setInterval(() => socket.write(Uint8Array.of(0x7e, 0xa0)), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const result = await run(gateway, ['read', device, ...quick]);
    expect([3, 4]).toContain(result.code);
    expect(result.err).not.toContain('    at ');
  });
  test('incident: silent connections to a listener kept meters out; now the most silent one makes room', async () => {
    const listening = await listenTcp('127.0.0.1', 0, systemClock, 3);
    const closed: number[] = [];
    const dial = (name: number) =>
      new Promise<Socket>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: listening.port }, () => resolve(socket));
        sockets.push(socket);
        socket.on('error', () => {});
        socket.on('close', () => closed.push(name));
      });
    const accepted: Port[] = [];
    const take = async () => accepted.push((await listening.accept()) as Port);
    const first = await dial(0);
    await take();
    await systemClock.sleepUntil(millis(systemClock.now() + 5));
    for (const name of [1, 2]) {
      await dial(name);
      await take();
    }
    await systemClock.sleepUntil(millis(systemClock.now() + 5));
    first.write('x');
    expect(await (accepted[0] as Port).read(undefined)).toBeDefined();
    const fourth = await dial(3);
    await take();
    await until(() => closed.length > 0, 'one connection is closed');
    expect(closed).toEqual([1]);
    fourth.write('y');
    expect(await (accepted[3] as Port).read(undefined)).toBeDefined();
    await listening.close();
  });
  test('a port that was opened is given back when nobody listens any more', async () => {
    const device = await tcpServer(() => {});
    const port = await openPort(device, 9600, systemClock);
    expect(port.connection).toBe(true);
    await port.close();
    expect(port.closed).toBe(true);
  });
});
