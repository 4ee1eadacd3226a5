/** The bench: ports, faults, time, power and swaps at run time, and what it says of what it really injected. */
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import {
  type Bench,
  type FaultInput,
  type InjectedFault,
  type ScenarioInput,
  startBench,
} from '../../src/simulator/bench.ts';
import { readOf } from '../support/bench-read.ts';
import { until } from '../support/broker.ts';

let bench: Bench | undefined;
let injected: InjectedFault[] = [];
afterEach(async () => {
  await bench?.close();
  bench = undefined;
  injected = [];
});
async function start(scenario: ScenarioInput): Promise<Bench> {
  bench = await startBench(
    { ...scenario, bus: { kind: 'tcp', turnaround_ms: 0, ...scenario.bus } },
    { injected: (fault) => injected.push(fault) },
  );
  return bench;
}
const first = ({ devices }: Bench): string => devices[0] as string;
const kinds = () => injected.map(({ kind }) => kind);

test('300 meters, each alone on a port of its own, from one process', async () => {
  const count = 300;
  const it = await start({ bus: { port_per_meter: true }, meters: { count, history_days: 1 } });
  const { devices } = it;
  expect(new Set(devices).size).toBe(count);
  expect(devices.every((device) => device.startsWith('tcp://127.0.0.1:'))).toBe(true);
  const found: string[] = [];
  const lanes = Array.from({ length: 20 }, async (_, lane) => {
    for (let i = lane; i < count; i += 20) {
      const text = await readOf(devices[i] as string, { timeout: '20000' });
      found[i] = /SIM0*(\d+)/.exec(text)?.[1] ?? text;
    }
  });
  await Promise.all(lanes);
  expect(found).toEqual(it.meters().map(({ serial }) => String(serial)));
});
test('ports follow from the one that is named; one that is taken closes the others again', async () => {
  // Nobody else on this machine listens there.
  const bind = '127.0.0.3';
  const one = await start({ bus: { bind } });
  const port = Number(new URL(first(one)).port);
  const before = { kind: 'tcp', bind, port: port - 1, port_per_meter: true } as const;
  await expect(startBench({ bus: before, meters: { count: 2 } })).rejects.toThrow(String(port));
  await expect(startBench({ bus: { ...before, port_per_meter: false } }).then((it) => it.close())).resolves.toBe(
    undefined,
  );
});
test.each([
  [undefined, 'refused'],
  ['0.0.0.0', 'open'],
])('bound to %s, another address than 127.0.0.1 is %s', async (bind, outcome) => {
  const { port } = new URL(first(await start({ bus: bind === undefined ? {} : { bind } })));
  const seen = await new Promise<string>((resolve) => {
    const socket = connect({ host: '127.0.0.2', port: Number(port) });
    socket.on('connect', () => resolve('open'));
    socket.on('error', () => resolve('refused'));
    socket.on('connect', () => socket.destroy());
  });
  expect(seen).toBe(outcome);
});

test('a fault is switched on and off; each answer that it swallows is an event', async () => {
  const it = await start({ meters: { count: 2, logical: 1 } });
  // Whoever is to answer may take his time on a busy machine; silence is told apart soon.
  const ask = (physical: number, options: Parameters<typeof readOf>[1] = { timeout: '20000' }) =>
    readOf(first(it), { server: `1/${physical}`, ...options });
  expect(await ask(1001)).toContain('SIM0000060120001');
  expect(kinds()).toEqual([]);
  const number = it.fault({ kind: 'silence', meter: 0 });
  expect(await ask(1001, { timeout: '200', retries: '0' })).toBe('no-answer');
  expect(await ask(1002)).toContain('SIM0000060120002');
  it.faultOff(number);
  expect(await ask(1001)).toContain('SIM0000060120001');
  expect(injected[0]).toEqual({ time: expect.any(String), kind: 'fault-on', meter: 0, serial: null, fault: number });
  const swallowed = injected.filter(({ kind }) => kind === 'silence');
  expect(swallowed.length).toBeGreaterThan(0);
  for (const one of swallowed)
    expect(one).toMatchObject({ meter: 0, serial: 60_120_001, fault: number, octets: expect.any(Number) });
  expect(kinds().at(-1)).toBe('fault-off');
  expect(it.faults()).toEqual([]);
});
test('a fault that begins later or ends by itself counts its seconds from now', async () => {
  const it = await start({});
  it.fault({ kind: 'silence', from_s: 3600 });
  it.fault({ kind: 'silence', to_s: -1 });
  expect(await readOf(first(it))).toContain('SIM0000060120001');
  expect(kinds()).toEqual(['fault-on', 'fault-on']);
});
test('an octet with a flipped bit is said once for each request and answer, with how many', async () => {
  const it = await start({ fault: [{ kind: 'flip', rate: 1 }] });
  expect(await readOf(first(it), { timeout: '200', retries: '0' })).toBe('no-answer');
  expect(injected[0]).toMatchObject({ kind: 'flip', meter: null, fault: 0 });
  expect(injected[0]?.octets).toBeGreaterThan(9);
});
test.each<[FaultInput, string]>([
  [{ kind: 'drop', rate: 1 }, 'no-answer'],
  [{ kind: 'flip', rate: 1 }, 'no-answer'],
  [{ kind: 'silence' }, 'no-answer'],
  [{ kind: 'echo' }, 'SIM0000060120001'],
  [{ kind: 'stray', every_s: 0.05 }, 'SIM0000060120001'],
])('%j begins while it runs, is said when it strikes, and ends', async (fault, outcome) => {
  const it = await start({});
  const number = it.fault(fault);
  expect(await readOf(first(it), { timeout: '300', retries: outcome === 'no-answer' ? '0' : '3' })).toContain(outcome);
  await until(() => kinds().includes(fault.kind), 'it strikes');
  const struck = injected.filter(({ kind }) => kind === fault.kind);
  expect(struck.every((one) => one.fault === number && (one.octets ?? 0) > 0)).toBe(true);
  it.faultOff(number);
  const before = injected.length;
  expect(await readOf(first(it))).toContain('SIM0000060120001');
  expect(injected.length).toBe(before);
});
test('power of one meter, then of all', async () => {
  const it = await start({ bus: { port_per_meter: true }, meters: { count: 2 } });
  const [one, two] = it.devices as [string, string];
  const impatient = { timeout: '200', retries: '0' };
  it.power(false, 0);
  expect(it.meters().map(({ powered }) => powered)).toEqual([false, true]);
  expect(await readOf(one, impatient)).toBe('no-answer');
  expect(await readOf(two)).toContain('SIM0000060120002');
  it.power(false);
  expect(await readOf(two, impatient)).toBe('no-answer');
  it.power(true);
  expect(await readOf(one)).toContain('SIM0000060120001');
  expect(injected.map(({ kind, meter }) => `${kind} ${meter}`)).toEqual(['power-off 0', 'power-off 1', 'power-on 0']);
});
test('time is set and runs faster: clocks, rows and registers follow, the line does not', async () => {
  const it = await start({ meters: { history_days: 1 } });
  const to = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 + 90.5 * 86_400_000);
  const before = it.time().now;
  it.setTime({ to, speed: 1000 });
  const { now, speed } = it.time();
  expect([now >= to, speed]).toEqual([true, 1000]);
  expect(await readOf(first(it))).toMatch(/ 9\d days ahead/);
  const rows = it.rows(0, before, to);
  expect(rows.at(-1)?.end).toEqual(to);
  expect(rows.length).toBeGreaterThan(24 * 59);
  expect(rows.at(-1)?.imported).toBeGreaterThan(rows[0]?.imported ?? 0);
  expect(() => it.setTime({ speed: 0 })).toThrow('speed');
});
test('another meter hangs in the place of one: its serial number, address and registers, since now', async () => {
  const it = await start({});
  const day = 86_400_000;
  const yesterday = new Date(Date.now() - day);
  expect(it.rows(0, yesterday, new Date()).length).toBeGreaterThan(22);
  it.swap(0, { serial: 70_000_007, physical: 1001 });
  expect(await readOf(first(it))).toContain('SIM0000070000007');
  expect(it.meters()[0]).toMatchObject({ serial: 70_000_007, physical: 1001 });
  expect(it.rows(0, yesterday, new Date()).length).toBeLessThan(2);
  expect(injected[0]).toMatchObject({ kind: 'swap', meter: 0, serial: 70_000_007 });
});
test.each([
  ['a fault that nobody knows', (it: Bench) => it.fault({ kind: 'earthquake' } as never), /kind/],
  [
    'a fault of a meter, not of the line',
    (it: Bench) => it.fault({ kind: 'drift', meter: 0, ppm: 5 } as never),
    /no "drift"/,
  ],
  ['a meter that is not there', (it: Bench) => it.fault({ kind: 'silence', meter: 7 }), /no meter 7/],
  ['a number that nobody gave', (it: Bench) => it.faultOff(7), /fault 7/],
  ['a year that no meter lives to see', (it: Bench) => it.setTime({ to: new Date('9999-01-01T00:00:00Z') }), /2099/],
  ['no instant', (it: Bench) => it.setTime({ to: new Date(Number.NaN) }), /instant/],
  ['power of nobody', (it: Bench) => it.power(false, 7), /no meter 7/],
  ['a meter without a serial number', (it: Bench) => it.swap(0, {} as never), /serial/],
])('%s is refused, and nothing changes', async (_, act, words) => {
  const it = await start({});
  expect(() => act(it)).toThrow(words);
  expect(injected).toEqual([]);
});
test.each<[string, ScenarioInput, RegExp]>([
  ['a meter beyond the last', { meter: [{ index: 1 }] }, /meter\[0\]\.index: there is no meter 1/],
  ['a fault of nobody', { fault: [{ kind: 'silence', meter: 5 }] }, /fault\[0\]\.meter: there is no meter 5/],
  ['one meter twice', { meters: { count: 2 }, meter: [{ index: 1 }, { index: 1 }] }, /stands twice/],
  ['ports of a pseudo-terminal', { bus: { port_per_meter: true } }, /only where kind is "tcp"/],
  ['an address of a pseudo-terminal', { bus: { bind: '0.0.0.0' } }, /only where kind is "tcp"/],
  [
    'more ports than there are',
    { bus: { kind: 'tcp', port: 65_500, port_per_meter: true }, meters: { count: 100 } },
    /more than there are/,
  ],
])('a scenario that does not fit together is refused: %s', async (_, scenario, words) => {
  await expect(startBench(scenario)).rejects.toThrow(words);
});
