/** Connections that close at awkward moments, on real sockets of this machine: none of them costs the next session. */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { errorTable } from '../../src/base/errors.ts';
import { later, millis } from '../../src/base/time.ts';
import { openPort } from '../../src/line/open-port.ts';
import { PortOwner } from '../../src/line/port-owner.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { Session } from '../../src/meter/session.ts';
import { judge, type Observation } from '../../src/schedule/reachability.ts';
import { openPty } from '../../src/simulator/pty.ts';
import { until } from '../support/broker.ts';
import { acceptingAare } from '../support/accepting-aare.ts';
import { nobodyOverTcp } from '../support/meter-world.ts';
import { closeServers, tcpServer } from '../support/tcp-server.ts';

afterEach(closeServers);
interface Meter {
  readonly device: string;
  readonly sockets: Set<Socket>;
  /** Connections so far, and AARQs on each. */
  readonly associations: number[];
}
/** What the meter does with an APDU: its answer, and what becomes of the connection. */
type Behaviour = (apdu: Uint8Array, nth: number, socket: Socket) => Uint8Array | undefined;

async function meter(behaviour: Behaviour): Promise<Meter> {
  const sockets = new Set<Socket>();
  const associations: number[] = [];
  const device = await tcpServer((socket) => {
    sockets.add(socket);
    const index = associations.push(0) - 1;
    const unwrapper = new Unwrapper();
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (octets) => {
      for (const { apdu } of unwrapper.push(octets)) {
        if (apdu[0] === 0x60) associations[index] = (associations[index] as number) + 1;
        const answer = behaviour(apdu, associations[index] as number, socket);
        if (answer && !socket.destroyed) socket.write(encodeWrapper({ source: 1, destination: 16, apdu: answer }));
      }
    });
  });
  return { device, sockets, associations };
}
const aare = acceptingAare(1000);
const answerTo = (apdu: Uint8Array): Uint8Array =>
  apdu[0] === 0x60
    ? aare
    : apdu[0] === 0x62
      ? encodeAcse({ kind: 'rlre', reason: 0 })
      : encodeApdu({
          kind: 'get-response-normal',
          invokeId: apdu[2] as number,
          result: { data: { type: 'unsigned', value: 7 } },
        });

const access = nobodyOverTcp({ answerTimeoutMs: 100 });
const owned = (device: string): PortOwner =>
  new PortOwner({ device, open: () => openPort(device, 9600, systemClock), clock: systemClock, muteLimit: 3 });

/** One job as the runner does it: the value, or the code of what kept it. */
async function job(owner: PortOwner): Promise<unknown> {
  const session = new Session(await owner.acquire(), systemClock, access);
  let outcome: unknown;
  try {
    await session.connect();
    const value = await session.value({ classId: 1, logicalName: '0.0.96.1.0.255', attribute: 2 });
    outcome = value.type === 'unsigned' ? value.value : value;
  } catch (error) {
    outcome = (error as { code?: string }).code ?? error;
  }
  await session.close();
  await owner.report({ heard: session.heard, lost: session.lost, failed: outcome !== 7 });
  return outcome;
}

test('a connection that stays is used by one session after the other', async () => {
  const { device, associations } = await meter(answerTo);
  const owner = owned(device);
  expect([await job(owner), await job(owner), await job(owner)]).toEqual([7, 7, 7]);
  expect(associations).toEqual([3]);
  await owner.close();
});

test('incident: a socket that closed while idle was handed out, and the job ended as a fault of the bus', async () => {
  const { device, sockets, associations } = await meter(answerTo);
  const owner = owned(device);
  expect(await job(owner)).toBe(7);
  for (const socket of sockets) socket.end();
  await until(() => !owner.state.open, 'the close is seen');
  expect(await job(owner)).toBe(7);
  expect(associations).toEqual([1, 1]);
  await owner.close();
});

test.each(['end', 'destroy', 'reset'] as const)(
  'incident: a meter that closes TCP after RLRE (%s) cost each second job',
  async (how) => {
    const { device, associations } = await meter((apdu, _, socket) => {
      if (apdu[0] !== 0x62) return answerTo(apdu);
      socket.write(encodeWrapper({ source: 1, destination: 16, apdu: answerTo(apdu) }));
      if (how === 'end') socket.end();
      else if (how === 'destroy') socket.destroy();
      else setImmediate(() => socket.resetAndDestroy());
      return undefined;
    });
    const owner = owned(device);
    const outcomes = [];
    for (let i = 0; i < 12; i++) outcomes.push(await job(owner));
    // Where the close overtakes RLRE the value was read all the same.
    expect(outcomes).toEqual(outcomes.map(() => 7));
    expect(associations.length).toBe(12);
    await owner.close();
  },
);

test('sibling: it closes when the next AARQ comes on a used connection', async () => {
  const { device, associations } = await meter((apdu, nth, socket) => {
    if (apdu[0] === 0x60 && nth > 1) {
      socket.resetAndDestroy();
      return undefined;
    }
    return answerTo(apdu);
  });
  const owner = owned(device);
  expect([await job(owner), await job(owner), await job(owner)]).toEqual([7, 7, 7]);
  expect(associations.length).toBe(3);
  await owner.close();
});

test('sibling: a connection that breaks at once, new as it is, is not opened again and again', async () => {
  const { device, associations } = await meter((_, __, socket) => {
    socket.destroy();
    return undefined;
  });
  const owner = owned(device);
  expect(await job(owner)).toBe('connection-lost');
  expect(associations.length).toBe(1);
  expect(await job(owner)).toBe('connection-lost');
  expect(associations.length).toBe(2);
  await owner.close();
});

test('incident: after a failed session the old connection was kept, and the next AARQ on it never answered', async () => {
  let broken = true;
  const { device, associations } = await meter((apdu, nth) => {
    if (apdu[0] === 0xc0 && broken) {
      broken = false;
      return undefined;
    }
    return nth > 1 ? undefined : answerTo(apdu);
  });
  const owner = owned(device);
  expect(await job(owner)).toBe('fell-silent');
  expect(await job(owner)).toBe(7);
  expect(associations).toEqual([1, 1]);
  await owner.close();
});

test('sibling: a meter that never answers a second AARQ on one connection costs no job', async () => {
  const { device, associations } = await meter((apdu, nth) => (nth > 1 ? undefined : answerTo(apdu)));
  const owner = owned(device);
  expect([await job(owner), await job(owner), await job(owner), await job(owner)]).toEqual([7, 7, 7, 7]);
  expect(owner.state.oneSession).toBe(true);
  // Between two of its sessions the line is well.
  expect(owner.state).toMatchObject({ open: true, lastError: undefined });
  expect(associations.length).toBe(4);
  await owner.close();
});

test('sibling: the public client is asked first over one connection, the session gets another where it must', async () => {
  const { device, associations } = await meter(answerTo);
  const owner = owned(device);
  const first = await owner.acquire();
  expect(await owner.again(first)).toBe(first);
  const asking = new Session(first, systemClock, access);
  await asking.connect();
  await asking.close();
  const second = await owner.again(first);
  expect(second).not.toBe(first);
  const session = new Session(second, systemClock, access);
  await session.connect();
  await session.close();
  expect(associations).toEqual([2]);
  await owner.close();
});

describe('words', () => {
  test('a connection is no adapter', async () => {
    const { device, sockets } = await meter((_, __, socket) => {
      socket.destroy();
      return undefined;
    });
    await expect(
      (async () => {
        const port = await openPort(device, 9600, systemClock);
        await port.write(encodeWrapper({ source: 16, destination: 1, apdu: Uint8Array.of(0x60, 0) }));
        await port.read(later(systemClock.now(), 5000));
      })(),
    ).rejects.toMatchObject({ code: 'connection-lost', fault: 'meter' });
    expect(sockets.size).toBe(0);
    expect(errorTable['connection-lost'].nextStep).not.toMatch(/adapter|cable/);
    await expect(openPort('tcp://127.0.0.1:1', 9600, systemClock)).rejects.toMatchObject({ code: 'host-missing' });
    expect(errorTable['host-missing'].nextStep).not.toMatch(/adapter|cable|serial/);
  });
  test('one meter that hangs up is that meter; where every connection breaks off it is the line', () => {
    const broken: Observation = {
      lastSuccess: undefined,
      failures: 2,
      lastError: 'connection-lost',
      damaged: 0,
      sessions: 5,
    };
    const good: Observation = { ...broken, failures: 0, lastError: undefined, lastSuccess: millis(1) };
    expect([...judge(new Map([['a', broken]])).values()]).toEqual(['METER_FAULT']);
    expect([
      ...judge(
        new Map([
          ['a', broken],
          ['b', good],
        ]),
      ).values(),
    ]).toEqual(['METER_FAULT', 'REACHABLE']);
    expect([
      ...judge(
        new Map([
          ['a', broken],
          ['b', broken],
        ]),
      ).values(),
    ]).toEqual(['BUS_FAULT', 'BUS_FAULT']);
  });
});

describe('a device that is lost between two sessions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'port-owner-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  test('incident: unplugged and plugged in again between two polls, and the port was "not open" until the next one', async () => {
    const link = join(folder, 'adapter');
    const first = openPty(link);
    const owner = owned(link);
    expect(await owner.tend()).toBe(false);
    expect(owner.state.open).toBe(true);
    await owner.acquire();
    await owner.report({ heard: true, lost: false, failed: false });
    expect(await owner.tend()).toBe(false);
    expect(owner.state).toMatchObject({ open: true, opened: 1 });
    first.close();
    await until(() => !owner.state.open, 'the loss is noticed');
    expect(await owner.tend()).toBe(true);
    expect(owner.state.lastError).toMatch(/No such file/);
    const second = openPty(link);
    await until(async () => !(await owner.tend()), 'it is opened again');
    expect(owner.state).toMatchObject({ open: true, opened: 2, lastError: undefined });
    await owner.close();
    second.close();
  });
  test('a connection is left alone: meters close them when they like', async () => {
    const { device, sockets } = await meter(answerTo);
    const owner = owned(device);
    expect(await job(owner)).toBe(7);
    for (const socket of sockets) socket.destroy();
    await until(() => sockets.size === 0, 'closed');
    expect(await owner.tend()).toBe(false);
    expect(owner.state.opened).toBe(1);
    await owner.close();
  });
});
