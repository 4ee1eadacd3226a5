/** Errors that the daemon tells of its meters: the whole house in virtual time, and what `meter-gateway status` prints of it. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { dayMs } from '../../src/base/time.ts';
import { Secret } from '../../src/base/secret.ts';
import { turnFile } from '../../src/disk/turn-file.ts';
import { keyPrint } from '../../src/meter/invocation-counter.ts';
import { serveStatus } from '../../src/desk/server.ts';
import type { LocalAnswers } from '../../src/desk/routes.ts';
import { Counters, type MeterMemory } from '../../src/store/counters.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { folder } from './programs.ts';
import { pushingBus, pushingLine } from './pushing-meters.ts';
import { type VirtualHouse, virtualHouse } from './virtual-house.ts';
import { meterAt, misbehave, type Odd, refuse } from './odd-meters.ts';
import { cli, type Provocations, type Screen, shown } from './screens.ts';
import { gmac } from './configuration.ts';

const minute = 60_000;
const key = '000102030405060708090a0b0c0d0e0f';
type Options = NonNullable<Parameters<typeof virtualHouse>[1]>;

interface Circumstances {
  readonly scenario?: ScenarioInput;
  readonly options?: Options;
  /** Of the configuration file, before the house begins with it. */
  readonly text?: (text: string) => string;
  readonly odd?: Odd;
  readonly minutes?: number;
}
async function begun({ scenario, options, text, odd, minutes = 5 }: Circumstances): Promise<VirtualHouse> {
  const it = await virtualHouse({ meters: { count: 1 }, ...scenario }, { days: 1, ...options });
  if (text) await restarted(it, () => void (it.configText = text(it.configText)));
  if (odd) misbehave(it.simulated.meters[0] as VirtualMeter, odd);
  it.broker.connect();
  await it.run(minutes * minute);
  return it;
}
async function restarted(it: VirtualHouse, meanwhile: () => unknown): Promise<void> {
  await it.clock.complete(it.house.stop());
  await meanwhile();
  await it.restart();
  it.broker.connect();
}
const status =
  (when: string, code: Parameters<typeof shown>[1], circumstances: Circumstances) => async (): Promise<Screen> => {
    const it = await begun(circumstances);
    const screen = shown(when, code, await it.house.snapshot());
    await it.clock.complete(it.house.stop());
    return screen;
  };
/** A command, as a process, at the door of a house. */
async function atDoor(
  when: string,
  answers: Partial<LocalAnswers>,
  args: readonly string[],
  env = {},
): Promise<Screen> {
  // Named by its circumstance: screens are made side by side, and none may hang on the order.
  const socket = join(folder, `${when.replaceAll(/[^a-z]+/g, '-').slice(0, 24)}.sock`);
  const close = await serveStatus(socket, () => answers as LocalAnswers);
  try {
    return await cli(when, [...args, '--socket', socket], env);
  } finally {
    await close();
  }
}
const readNow = (it: VirtualHouse): Partial<LocalAnswers> => ({
  readNow: (meter, force) => it.clock.complete(it.house.readNow(meter, force)),
});

async function turnedDevice(): Promise<Screen> {
  const when = 'another device with the keys of the meter';
  const it = await begun({ options: { meter: gmac }, minutes: 30 });
  await restarted(it, async () => {
    const counters = await Counters.open({ open: () => Promise.resolve({ database: it.counters }) });
    const memory = (await counters.remembered()).get('m60120001') as MeterMemory;
    await counters.remember('m60120001', { ...memory, title: '4f54480000000001' });
  });
  await it.run(30 * minute);
  const screen = shown(when, 'title-changed', await it.house.snapshot());
  await it.clock.complete(it.house.stop());
  return screen;
}
/** The gateway's counters are lost and the meter cannot be asked: a technician's session takes a title of its own. */
async function lostCounters(): Promise<Screen> {
  const it = await begun({ options: { meter: gmac } });
  it.simulated.bus.receive = () => {};
  await restarted(it, () => it.counters.data.clear());
  const { device } = await meterAt(undefined);
  const screen = await atDoor(
    'read with a key of the gateway, whose counter is lost',
    { leaseCounters: (print) => it.house.leaseCounters(print) },
    ['read', device, '--client', '5', '--auth', 'hls-gmac'],
    { METER_EK: key, METER_AK: 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf' },
  );
  await expectKey(it);
  await it.clock.complete(it.house.stop());
  return { ...screen, exit: undefined };
}
const expectKey = (it: VirtualHouse) =>
  it.house.leaseCounters(keyPrint(new Secret(Buffer.from(key, 'hex')))).then(
    () => Promise.reject(new Error('counters were leased')),
    () => undefined,
  );
async function suspected(): Promise<Screen> {
  const path = mkdtempSync(join(folder, 'turns-'));
  for (let i = 0; i < 5; i++) turnFile(path, silentLog).begin('bus', 'm60120001');
  return status('the gateway ended unasked, again and again, in the turn of this meter', 'meter-set-aside', {
    scenario: { meters: { count: 2 } },
    options: { turns: () => turnFile(path, silentLog) },
  })();
}
async function damagedStore(): Promise<Screen> {
  const it = await begun({});
  // Every page of marks, as a disk that returns other octets.
  for (const [name, octets] of it.database.data)
    if (name.startsWith('d/'))
      it.database.data.set(
        name,
        octets.map((octet) => octet ^ 0xff),
      );
  // It is mended, and stands there until the meter is read again.
  await it.run(34 * minute);
  let screen: Screen;
  let seconds = 0;
  do {
    await it.run(1000);
    screen = shown('a page of the store did not read', 'store-damaged', await it.house.snapshot());
  } while (!screen.lines[0]?.startsWith('store-damaged') && ++seconds < 600);
  await it.clock.complete(it.house.stop());
  return screen;
}
async function impossibleTime(): Promise<Screen> {
  const it = await virtualHouse({ meters: { count: 1 } });
  it.clock.wallOffsetMs = -56 * 365 * dayMs;
  it.timeIsKnown = false;
  await it.run(5 * minute);
  const when = 'the clock of the gateway cannot be right';
  const screen = await atDoor(when, readNow(it), ['poll', 'm60120001']);
  await it.clock.complete(it.house.stop());
  return screen;
}
async function fullDisk(): Promise<Screen> {
  const it = await virtualHouse({ meters: { count: 1 } });
  it.disk = { freeBytes: 1, totalBytes: 1e9 };
  await it.run(5 * minute);
  const screen = await atDoor('the disk is full', readNow(it), ['poll', 'm60120001']);
  it.disk = null;
  await it.clock.complete(it.house.stop());
  return screen;
}
/** Somebody waits for a meter while the gateway is stopped. */
async function stopped(): Promise<Screen> {
  const it = await begun({ scenario: { fault: [{ kind: 'silence' }] } });
  const asked = it.house.readNow('m60120001').then(
    () => new Error('it was read'),
    (error: unknown) => error as Failure,
  );
  await it.clock.complete(it.house.stop());
  const why = await it.clock.complete(asked);
  return atDoor('the gateway is stopped meanwhile', { readNow: () => Promise.reject(why) }, ['poll', 'm60120001']);
}
/** A line that nobody configured is asked for. */
async function unknownPort(): Promise<Screen> {
  const it = await begun({});
  const why = (await it.house.lend('bus-9', () => Promise.resolve()).catch((error: unknown) => error)) as Failure;
  await it.clock.complete(it.house.stop());
  const readNow = () => Promise.reject(why);
  return atDoor('a port is asked for that is not configured', { readNow }, ['poll', 'm60120001']);
}
/** A listener with a meter that only pushes, and what a test says on it. */
const pushed = async (perMinute = 600) => {
  const bus = pushingBus({ link: 'wrapper', count: 1, firstSerial: 70_000_001 }, pushStart);
  const line = pushingLine([bus]);
  const listeners = line.listeners.map((listener) => ({ ...listener, per_minute: perMinute }));
  return { ...line, it: await begun({ options: { start: pushStart, ...line, listeners } }) };
};
const pushStart = Date.UTC(2026, 10, 24, 12, 20);
const plainPush = encodeWrapper({
  source: 16,
  destination: 103,
  apdu: encodeApdu({
    kind: 'data-notification',
    longInvokeId: 1,
    dateTime: new Uint8Array(0),
    body: {
      type: 'structure',
      value: [
        { type: 'octet-string', value: Uint8Array.of(0, 0, 96, 1, 0, 255) },
        { type: 'octet-string', value: Buffer.from('71234567') },
      ],
    },
  }),
});
const refusedPush =
  (when: string, code: Parameters<typeof shown>[1], times: number, perMinute?: number) => async () => {
    const { it, open } = await pushed(perMinute);
    for (let i = 0; i < times; i++) open[0]?.hear(plainPush);
    await it.run(minute);
    const screen = shown(when, code, await it.house.snapshot());
    await it.clock.complete(it.house.stop());
    return screen;
  };
async function silentPusher(): Promise<Screen> {
  const { it, deaf } = await pushed();
  deaf.add(0);
  await it.run(5 * 60 * minute);
  const screen = shown('a meter has pushed nothing for hours', 'no-push', await it.house.snapshot());
  await it.clock.complete(it.house.stop());
  return screen;
}
async function askedPusher(): Promise<Screen> {
  const { it } = await pushed();
  const why = (await it.house.readNow('m70000001').catch((error: unknown) => error)) as Failure;
  await it.clock.complete(it.house.stop());
  return atDoor('a meter that only pushes is asked', { readNow: () => Promise.reject(why) }, ['poll', 'm70000001']);
}
/** As many acts as the door lets in, and one more. */
async function crowded(): Promise<Screen> {
  let release = (): void => {};
  const held = new Promise<never>((_, reject) => (release = () => reject(new Error('released'))));
  held.catch(() => {});
  const socket = join(folder, 'crowded.sock');
  let asked = 0;
  const house = { readNow: () => (asked++, held) } as unknown as LocalAnswers;
  const close = await serveStatus(socket, () => house);
  const { request } = await import('node:http');
  const others = Array.from({ length: 6 }, () =>
    request({
      socketPath: socket,
      path: '/v1/read',
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json' },
    })
      .on('error', () => {})
      .end('{"meter":"m1"}'),
  );
  while (asked < others.length) await new Promise((resolve) => setTimeout(resolve, 5));
  try {
    return await cli('six others are being answered', ['poll', 'm1', '--socket', socket]);
  } finally {
    release();
    for (const other of others) other.destroy();
    await close();
  }
}

export const ofTheHouse = {
  'meter-set-aside': suspected,
  'counter-unknown': lostCounters,
  'title-changed': turnedDevice,
  'identity-mismatch': status('another meter answers at the address', 'identity-mismatch', {
    text: (text) => text.replace(/serial = "\d+"/, 'serial = "1"'),
  }),
  'identity-unknown': status('the client may not read which meter it is', 'identity-unknown', { odd: refuse(3) }),
  'period-mismatch': status('period_s is not what the meter captures', 'period-mismatch', {
    scenario: { meters: { count: 1, period_s: 900 } },
    text: (text) => text.replace('period_s = 900', 'period_s = 3600'),
  }),
  'bus-silent': status('all meters of a line are silent', 'bus-silent', {
    scenario: { meters: { count: 3 }, fault: [{ kind: 'silence' }] },
    minutes: 30,
  }),
  'turn-stuck': status('an adapter whose driver never comes back', 'turn-stuck', {
    options: { port: (port) => ({ ...port, read: () => new Promise(() => {}) }) },
    minutes: 60,
  }),
  busy: crowded,
  'push-stranger': refusedPush('somebody pushes whom nobody configured', 'push-stranger', 1),
  'push-flood': refusedPush('a peer sends more than it may', 'push-flood', 100, 5),
  'no-push': silentPusher,
  'push-only': askedPusher,
  'unknown-port': unknownPort,
  'gateway-stops': stopped,
  'time-unknown': impossibleTime,
  'store-damaged': damagedStore,
  'store-failed': fullDisk,
} satisfies Provocations;
