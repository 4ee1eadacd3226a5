/**
 * R37, over all ways into the stack: a counter is used once with a key and a system title. Every protection of both sides is
 * recorded, the meters' too; the same counter may come again only with the same octets, as a frame that is sent again.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { millis } from '../../src/base/time.ts';
import { browse } from '../../src/cli/browse.ts';
import type { ConnectionOptions } from '../../src/cli/connection.ts';
import { reserve } from '../../src/cli/nonces.ts';
import { read } from '../../src/cli/read.ts';
import type { protect } from '../../src/dlms/security/protection.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import type { PolledMeter } from '../../src/schedule/meter-state.ts';
import { technicianLease } from '../../src/schedule/technician-lease.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { serveTcp, type ServedBus } from '../../src/simulator/serve.ts';
import { serveStatus } from '../../src/desk/server.ts';
import type { LocalAnswers } from '../../src/desk/routes.ts';
import { Counters } from '../../src/store/counters.ts';
import { decodeRecord } from '../../src/store/record.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';
import { gmac } from '../support/configuration.ts';

const seen = new Map<string, string>();
const repeated: string[] = [];
let uses = 0;
vi.mock('../../src/dlms/security/protection.ts', async (original) => {
  const real: { protect: typeof protect } & Record<string, unknown> = await original();
  return {
    ...real,
    protect: (...given: Parameters<typeof protect>) => {
      const [text, { control, counter, systemTitle: title }, keys, header] = given;
      const name = `${toHex(keys.encryption.reveal())} ${toHex(title)} ${counter}`;
      const content = `${control} ${toHex(text)} ${header ? toHex(header) : ''}`;
      const before = seen.get(name);
      if (before !== undefined) repeated.push(`${name.slice(33)}${before === content ? ' (same content)' : ''}`);
      seen.set(name, content);
      uses++;
      return real.protect(...given);
    },
  };
});

const folder = mkdtempSync(join(tmpdir(), 'nonces-'));
const ek = '000102030405060708090A0B0C0D0E0F';
const ending: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  seen.clear();
  repeated.length = 0;
  uses = 0;
  vi.stubEnv('XDG_STATE_HOME', mkdtempSync(join(folder, 'state-')));
  vi.stubEnv('METER_EK', ek);
  vi.stubEnv('METER_AK', 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF');
});
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  vi.unstubAllEnvs();
  expect(repeated).toEqual([]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Once, at its second ciphered GET, a meter says that it has no association: the session opens anew (meter-quirks 47). */
function forgets(meter: unknown): () => number {
  let gets = 0;
  const answer = (apdu: Uint8Array, request: Uint8Array) =>
    (request[0] === 0xc8 || request[0] === 0xd0) && ++gets === 2 ? Uint8Array.of(0xd8, 1, 1) : apdu;
  (meter as { quirks: unknown[] }).quirks.push({ answer });
  return () => gets;
}
const simulate = async (scenario: ScenarioInput = {}, start = Date.now(), forgetful = false): Promise<ServedBus> => {
  const { bus, meters } = buildBus(parseScenario({ ...scenario, bus: { kind: 'tcp', baud: 0 } }), millis(start));
  if (forgetful) forgets(meters[0]);
  const served = await serveTcp(bus, 0);
  ending.push(() => served.close());
  return served;
};
const options: ConnectionOptions = {
  direction: 'auto',
  link: 'hdlc',
  client: '5',
  server: '1',
  auth: 'hls-gmac',
  suite: '0',
  wrapping: 'service',
  counterObject: '0-0:43.1.0*255',
  socket: join(folder, 'nobody.sock'),
  baud: '9600',
  maxInfo: '1024',
  window: '1',
  timeout: '2000',
  retries: '2',
};
const pinned = { systemTitle: '4d47570000000001' };
async function identity(device: string, more: Partial<ConnectionOptions> = {}): Promise<string> {
  const lines: string[] = [];
  await read(device, { ...options, ...more }, systemClock, (line) => void lines.push(line));
  return lines.join('\n');
}
/** System titles that were used with the global key, beside those of meters. */
const titles = () => [
  ...new Set([...seen.keys()].map((name) => name.split(' ')[1]).filter((one) => one?.startsWith('4d4757'))),
];

describe('commands that stand alone', () => {
  test('incident: read --auth hls-gmac --dedicated three times: counter 42, 42, 42 under one title', async () => {
    // A meter that forgets what it heard tells the same counter each time.
    for (let i = 0; i < 3; i++) {
      const meter = await simulate({}, Date.now() + i * 60_000);
      expect(await identity(meter.device, { dedicated: true })).toContain('60120001');
      expect(await identity(meter.device, { dedicated: true, invocationCounter: '5000' })).toContain('60120001');
    }
    expect(titles()).toHaveLength(6);
    expect(uses).toBeGreaterThan(30);
  });
  test('sibling: the title is pinned: what was used is known on disk, 0600, by key and title', async () => {
    for (let i = 0; i < 3; i++) {
      const meter = await simulate({}, Date.now() + i * 60_000);
      expect(await identity(meter.device, pinned)).toContain('60120001');
      expect(await identity(meter.device, { ...pinned, dedicated: true, wrapping: 'general' })).toContain('60120001');
    }
    const counters = join(process.env['XDG_STATE_HOME'] as string, 'meter-gateway', 'counters');
    const [name = ''] = readdirSync(counters);
    const marks = readdirSync(join(counters, name));
    expect(marks).toHaveLength(1);
    expect(statSync(join(counters, name, marks[0] as string)).mode & 0o777).toBe(0o600);
    expect(titles()).toEqual(['4d47570000000001']);
    const meter = await simulate();
    await expect(identity(meter.device, { ...pinned, invocationCounter: '42' })).rejects.toThrow(
      /counters below \d+ were used/,
    );
  });
  test('sibling: two at once, alone and with a pinned title', async () => {
    const [a, b] = [await simulate(), await simulate({ meters: { first_serial: 60_120_002 } })];
    await Promise.all([identity(a.device), identity(b.device)]);
    await Promise.all([identity(a.device, pinned), identity(b.device, pinned)]);
    expect(titles()).toHaveLength(3);
  });
  test('sibling: browse, general-ciphering and a session that opens anew in the middle', async () => {
    const meter = await simulate({}, Date.now(), true);
    const lines: string[] = [];
    await browse(
      meter.device,
      { ...options, dedicated: true, rows: '0', only: ['0-0:42.0.0*255', '0-0:96.1.0*255', '0-0:1.0.0*255'] },
      systemClock,
      (line) => void lines.push(line),
    );
    expect(lines.join('\n')).toContain('0-0:96.1.0*255');
    const other = await simulate({ meters: { first_serial: 60_120_002 } });
    await identity(other.device, { wrapping: 'general-ciphering' });
  });
  test('sibling: a session that failed half-way leaves nothing that the next would use again', async () => {
    const meter = await simulate({ meters: { quirks: ['counter-behind-drops'] } });
    await identity(meter.device, pinned);
    vi.stubEnv('METER_AK', 'FFD1D2D3D4D5D6D7D8D9DADBDCDDDEDF');
    await expect(identity(meter.device, { ...pinned, retries: '0', timeout: '100' })).rejects.toThrow();
    await expect(identity(meter.device, { ...pinned, retries: '0', timeout: '100' })).rejects.toThrow();
    vi.stubEnv('METER_AK', 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF');
    await identity(meter.device, pinned);
  });
  test('sibling: processes that reserve at once never share a value', async () => {
    const directory = join(folder, 'together', 'key');
    const script = new URL('../../src/cli/nonces.ts', import.meta.url).href;
    const program = `const { reserve } = await import(${JSON.stringify(script)});
      for (let i = 0; i < 15; i++) console.log(await reserve(${JSON.stringify(directory)}, Number(process.argv[1]) * 7 * i, 10));`;
    const started = [0, 1, 2, 3].map((n) =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, String(n)]),
    );
    const firsts = (await Promise.all(started)).flatMap(({ stdout }) => stdout.trim().split('\n').map(Number));
    expect(firsts).toHaveLength(60);
    const sorted = firsts.toSorted((a, b) => a - b);
    for (const [i, first] of sorted.entries())
      if (i > 0) expect(first - (sorted[i - 1] as number)).toBeGreaterThanOrEqual(10);
    expect(await reserve(directory, 0, 10)).toBeGreaterThan(sorted.at(-1) as number);
  });
});

describe('through the gateway', () => {
  async function door(counters: Counters): Promise<string> {
    const title = Uint8Array.from(Buffer.from('4d47571122334455', 'hex'));
    const encryption = new Secret(Buffer.from(ek, 'hex'));
    const meters = [
      {
        security: { counterName: 'k', settings: { ownTitle: title, keys: { encryption, authentication: encryption } } },
      },
    ] as unknown as PolledMeter[];
    const path = join(folder, `door-${ending.length}.sock`);
    const house = { leaseCounters: (key: string) => technicianLease(counters, meters, key) } as LocalAnswers;
    const end = await serveStatus(path, () => house);
    ending.push(end);
    return path;
  }
  const opened = (database: MemoryDatabase, doubtful = false) =>
    Counters.open({ open: () => Promise.resolve({ database, doubtful }), fresh: database.data.size === 0 });

  test('a session from the command line takes counters that the gateway gives to nobody else', async () => {
    const database = new MemoryDatabase();
    const counters = await opened(database);
    const socket = await door(counters);
    const meter = await simulate();
    const own = await counters.lease('k', 100, 1000);
    const first = own();
    await identity(meter.device, { socket, dedicated: true });
    expect(titles()).toEqual(['4d47571122334455']);
    const used = [...seen.keys()].filter(
      (name) => name.includes(' 4d47571122334455 ') && name.startsWith(ek.toLowerCase()),
    );
    expect(used.length).toBeGreaterThan(1);
    for (const name of used) expect(Number(name.split(' ')[2])).toBeGreaterThan(first);
    const next = (await counters.lease('k', 1))();
    for (const name of used) expect(Number(name.split(' ')[2])).toBeLessThan(next);
    // After a power cut of the gateway as well.
    database.powerCut();
    await identity(meter.device, { socket: await door(await opened(database)) });
  });
  test('sibling: a gateway whose counters are in doubt, or behind, or that has not the key, gives none: a title of its own', async () => {
    const meter = await simulate();
    await identity(meter.device, { invocationCounter: '9000' });
    const database = new MemoryDatabase();
    await (await opened(database)).lease('k', 1);
    // Behind what the meter heard.
    await identity(meter.device, { socket: await door(await opened(database)) });
    await identity(meter.device, { socket: await door(await opened(database, true)) });
    vi.stubEnv('METER_EK', ek.replace('0F', '1F'));
    const others = await simulate({ meters: { encryption_key: ek.replace('0F', '1F') } });
    await identity(others.device, { socket: await door(await opened(new MemoryDatabase())) });
    expect(titles().filter((title) => title === '4d47571122334455')).toEqual([]);
    expect(titles()).toHaveLength(4);
  });
});

describe('the daemon', () => {
  const dedicated = { ...gmac, dedicated_key: true };
  const minute = 60_000;
  const again = async (it: VirtualHouse, between: () => void = () => {}) => {
    await it.clock.complete(it.house.stop());
    between();
    await it.restart();
    it.broker.connect();
  };
  test('restarts, power cuts, polls, and a counters database that was put back', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { meter: dedicated });
    it.broker.connect();
    await it.run(20 * minute);
    const old = new Map(it.counters.data);
    for (let i = 0; i < 6; i++) {
      await again(it, () => it.counters.powerCut());
      await it.run(7 * minute);
      await it.clock.complete(it.house.readNow('m60120002'));
    }
    await again(it, () => it.counters.replace(old));
    await it.run(90 * minute);
    await again(it, () => it.counters.replace(new Map()));
    await it.run(90 * minute);
    expect((await it.house.snapshot()).ports[0]?.meters.map(({ verdict }) => verdict)).toEqual([
      'REACHABLE',
      'REACHABLE',
    ]);
    expect(uses).toBeGreaterThan(200);
  });
  test('sibling: the whole state is put back, and somebody says so', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: dedicated });
    it.broker.connect();
    await it.run(20 * minute);
    const [old, checkpoint] = [new Map(it.counters.data), it.countersCheckpoint];
    await it.run(10 * 60 * minute);
    await it.clock.complete(it.house.stop());
    it.counters.replace(old);
    it.countersCheckpoint = checkpoint;
    const database = it.counters;
    const counters = await Counters.open({ open: () => Promise.resolve({ database }) });
    await counters.doubt();
    await it.restart();
    it.broker.connect();
    await it.run(90 * minute);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.verdict).toBe('REACHABLE');
    expect(it.reused).toEqual([]);
  });
  test('incident: a session that opened anew used its dedicated key from counter 0 again', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: dedicated });
    const gets = forgets(it.simulated.meters[0]);
    it.broker.connect();
    await it.run(10 * minute);
    expect(gets()).toBeGreaterThan(2);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.verdict).toBe('REACHABLE');
  });
  test('sibling: a meter whose answers never come, while it is asked again and again', async () => {
    const it = await virtualHouse(
      { meters: { count: 1 }, fault: [{ kind: 'drop', meter: 0, rate: 0.01, from_s: 0, to_s: 4 * 3600 }] },
      { meter: dedicated },
    );
    it.broker.connect();
    for (let i = 0; i < 30; i++) {
      await it.run(8 * minute);
      await it.clock.complete(it.house.readNow('m60120001', true).catch(() => {}));
    }
    expect(uses).toBeGreaterThan(50);
  });
  test('sibling: counters that are lost, of a meter that keeps its own to itself: a title that nobody used', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: dedicated });
    it.broker.connect();
    await it.run(20 * minute);
    const meter = it.simulated.meters[0] as unknown as { quirks: unknown[] };
    // A plain GET is the public client's.
    meter.quirks.push({
      answer: (apdu: Uint8Array, request: Uint8Array) =>
        request[0] === 0xc0 ? Uint8Array.of(0xc4, 1, request[2] as number, 1, 3) : apdu,
    });
    await again(it, () => it.counters.replace(new Map()));
    await it.run(90 * minute);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.verdict).toBe('REACHABLE');
    // Of two lives, and of the session after the loss.
    expect(titles()).toHaveLength(3);
    expect(it.reused).toEqual([]);
  });
  test('sibling: the head-end proves that the state fell back: no counter counts before its meter was asked', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: dedicated });
    it.broker.connect();
    await it.run(20 * minute);
    it.broker.send(it.broker.ackTopic, JSON.stringify({ v: 1, epoch: it.store.epoch + 2 ** 26, upTo: 3 }));
    await it.run(90 * minute);
    const [key, value] = [...it.counters.data].find(([name]) => name.startsWith('c/')) as [string, Uint8Array];
    // Above what anybody may have used meanwhile.
    expect((decodeRecord(key, value)?.body as { reserved: number } | undefined)?.reserved).toBeGreaterThan(2_000_000);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.verdict).toBe('REACHABLE');
  });
});
