/**
 * The buffer measured against what it is built on, in one run: `npm run store-bench` (-- --json).
 *   drain   messages a second of the outbox (LevelDB, numbering, acknowledgements) and of bare mqtt.js, with the same
 *           payloads, window and mosquitto, in turns
 *   disk    octets that reach the disk for each poll: the store, and raw append with fdatasync of what it was given
 *           (needs root for a loop device; the device counts)
 *   size    octets on disk for each interval value, ledger included
 */
import { execFileSync, fork } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { iso, millis } from '../../src/base/time.ts';
import { fitFact } from '../../src/forward/fit.ts';
import { messageOfFact } from '../../src/forward/fact-message.ts';
import { topics } from '../../src/contract/topics.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { octetsOf } from '../../src/disk/space.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import type { ProfileFact } from '../../src/reading/facts.ts';
import { marksOf } from '../../src/reading/interval-hash.ts';
import type { Commit } from '../../src/store/commit.ts';
import { Store } from '../../src/store/store.ts';
import { realBroker } from '../support/broker.ts';
import { cannotCut, ext4Disk } from '../campaigns/cuts.ts';
import { forwarderOf } from '../support/forwarder.ts';
import { options } from '../campaigns/options.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const given = options('store-bench', {}, { flags: ['json'], texts: ['only'] });
const hour = 3_600_000;
const begin = Date.UTC(2026, 9, 1);
const window = 16;
const drained = 50_000;
const rounds = 5;

/** So many hours of a meter with two channels, as a poll delivers them. */
const fact = (meter: string, from: number, count: number): ProfileFact => ({
  kind: 'profile',
  meter,
  point: `6430069660227${meter.slice(1)}`,
  serial: meter.slice(1),
  series: '1-0:99.1.0*255',
  start: iso(millis(from)),
  periodS: 3600,
  count,
  channels: ['1-0:1.8.0*255', '1-0:2.8.0*255'].map((obis, channel) => {
    const register = (i: number) => 12_000_000 + channel * 1000 + Math.round(((from - begin) / hour + i) * 517.3);
    return {
      obis,
      unit: 'Wh',
      scaler: 0,
      register: Array.from({ length: count }, (_, i) => register(i + 1)),
      energy: Array.from({ length: count }, (_, i) => register(i + 1) - register(i)),
    };
  }),
  status: Array.from({ length: count }, () => 0),
  quality: Array.from({ length: count }, () => 'MEASURED' as const),
  rev: Array.from({ length: count }, () => 0),
  readAt: iso(millis(from + count * hour)),
  clockDeviationS: 0.4,
  clockTrust: 'kernel',
});
const commitOf = (meter: string, from: number, count: number): Commit => {
  const one = fact(meter, from, count);
  return {
    meter,
    series: storedSeriesKey('1.0.99.1.0.255'),
    state: {
      since: begin,
      periodMs: hour,
      coverage: [[begin, from + count * hour]],
      exceptions: [],
      layout: 'a1b2c3d4',
    },
    entryClass: 0,
    facts: [one],
    marks: marksOf(one, hour),
  };
};
const openStore = async (directory: string, now = Date.now()): Promise<Store> => {
  const folder = await stateDirectory(directory, now);
  return Store.open({
    ...folder.store,
    clock: systemClock,
    fit: (fact) => fitFact(fact, systemClock.wall()),
  });
};

/** A head-end that counts and acknowledges, in a process of its own; `all` resolves when it has everything. */
async function headEnd(url: string, tenant: string, gateway: string): Promise<{ all: Promise<void>; close(): void }> {
  const program = new URL('../support/head-end.ts', import.meta.url).pathname;
  const child = fork(program, [url, tenant, gateway, '500', String(drained)]);
  const message = (word: string) =>
    new Promise<void>((resolve) => {
      child.on('message', (message) => message === word && resolve());
    });
  const all = message('all');
  await message('ready');
  return { all, close: () => child.kill() };
}

async function drainOutbox(url: string, round: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'drain-'));
  // Of epoch 1, as the head-end expects.
  const store = await openStore(directory, 1000);
  const hourOf = (i: number) => fact(`m${60_120_001 + (i % 31)}`, begin + Math.floor(i / 31) * hour, 1);
  for (let i = 0; i < drained; i += 100)
    await store.commit({
      meter: '_',
      entryClass: 0,
      facts: Array.from({ length: Math.min(100, drained - i) }, (_, k) => hourOf(i + k)),
    });
  const gateway = `g${round}`;
  const central = await headEnd(url, 'bench', gateway);
  const from = performance.now();
  const forwarder = forwarderOf({ store, url, tenant: 'bench', gateway, window });
  const stopping = new AbortController();
  const running = forwarder.run(stopping.signal);
  await central.all;
  const seconds = (performance.now() - from) / 1000;
  // And the head-end has said so.
  while ((await store.status()).pending > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  stopping.abort();
  await running;
  central.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
  return drained / seconds;
}

/** The same messages by mqtt.js alone, to the same head-end. */
async function drainBare(url: string, round: number): Promise<number> {
  const gateway = `g${round}`;
  const own = topics('bare', gateway);
  const messages = Array.from({ length: drained }, (_, i) => {
    const one = fact(`m${60_120_001 + (i % 31)}`, begin + Math.floor(i / 31) * hour, 1);
    return messageOfFact({ ...one, text: JSON.stringify(one) }, { epoch: 1, seq: i + 1, gateway }, own);
  });
  const central = await headEnd(url, 'bare', gateway);
  const from = performance.now();
  const client = await connectAsync(url, { protocolVersion: 5, clientId: `bare-${round}` });
  let next = 0;
  const lane = async () => {
    for (let one = messages[next++]; one; one = messages[next++])
      await client.publishAsync(one.topic, one.payload, {
        qos: 1,
        properties: { contentType: 'application/json' },
      });
  };
  await Promise.all([...Array.from({ length: window }, lane), central.all]);
  const seconds = (performance.now() - from) / 1000;
  await client.endAsync(true);
  central.close();
  return drained / seconds;
}

/** Octets that a loop device took, after everything of it was written back. */
async function written<T>(
  prepare: (folder: string) => Promise<T>,
  work: (prepared: T) => Promise<void>,
): Promise<number> {
  const disk = await ext4Disk(96);
  const device = /** mount */ (() => {
    const line = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .find((one) => one.split(' ')[1] === disk.path);
    return (line?.split(' ')[0] ?? '').replace('/dev/', '');
  })();
  const sectors = () => Number(readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/)[6]);
  try {
    const prepared = await prepare(disk.path);
    execFileSync('sync', ['-f', disk.path]);
    const before = sectors();
    await work(prepared);
    execFileSync('sync', ['-f', disk.path]);
    return (sectors() - before) * 512;
  } finally {
    await disk.remove();
  }
}

const polls = 31 * 48;
async function diskOfStore(count: number): Promise<{ device: number; given: Buffer[] }> {
  const given: Buffer[] = [];
  const device = await written(
    (folder) => openStore(join(folder, 'state')),
    async (store) => {
      for (let i = 0; i < polls; i++) {
        const commit = commitOf(`m${60_120_001 + (i % 31)}`, begin + Math.floor(i / 31) * count * hour, count);
        given.push(Buffer.from(JSON.stringify(commit)));
        await store.commit(commit);
        // The head-end acknowledges as it does: a second's worth at a time.
        if (i % 31 === 30) await store.acknowledge(i + 1, new Set());
      }
      await store.close();
    },
  );
  return { device, given };
}
const diskOfRaw = (given: readonly Buffer[]): Promise<number> =>
  written(
    (folder) => Promise.resolve(openSync(join(folder, 'log'), 'a')),
    (file) => {
      for (const octets of given) {
        writeSync(file, octets);
        fdatasyncSync(file);
      }
      closeSync(file);
      return Promise.resolve();
    },
  );

/** Octets on disk for each interval value, of messages of so many rows that all wait for the head-end. */
async function sizePerValue(rows: number, meters: number, days: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'size-'));
  let store = await openStore(directory);
  for (let from = 0; from < days * 24; from += rows)
    for (let meter = 0; meter < meters; meter++)
      await store.commit(commitOf(`m${60_120_001 + meter}`, begin + from * hour, rows));
  await store.close();
  store = await openStore(directory);
  await store.compact();
  await store.close();
  const folder = join(directory, 'store');
  const octets = octetsOf(folder);
  rmSync(directory, { recursive: true, force: true });
  return octets / (meters * days * 24 * 2);
}

const asked = (what: string) => given.only === undefined || given.only === what;
/** The middle one. */
const median = (all: readonly number[]) => all.toSorted((one, other) => one - other)[all.length >> 1] ?? Number.NaN;
// By default mosquitto drops for a subscriber who is a thousand messages behind: bare mqtt.js never sends those again.
const broker = await realBroker(['max_queued_messages 0']);
const [bare, outbox]: [number[], number[]] = [[], []];
for (let round = 0; round < rounds && asked('drain'); round++) {
  bare.push(await drainBare(broker.url, round));
  outbox.push(await drainOutbox(broker.url, round));
}
await broker.remove();
const why = cannotCut();
const disk: { rows: number; store: number; raw: number; ratio: number }[] = [];
for (const rows of why === undefined && asked('disk') ? [1, 24] : []) {
  const [ofStore, ofRaw]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const { device, given } = await diskOfStore(rows);
    ofStore.push(device / polls);
    ofRaw.push((await diskOfRaw(given)) / polls);
  }
  const ratio = median(ofStore.map((one, round) => one / (ofRaw[round] as number)));
  disk.push({ rows, store: median(ofStore), raw: median(ofRaw), ratio });
}
const size: { rows: number; octetsPerValue: number }[] = [];
if (asked('size'))
  for (const [rows, meters, days] of [
    [24, 50, 60],
    [1, 8, 20],
  ] as const)
    size.push({ rows, octetsPerValue: await sizePerValue(rows, meters, days) });
const result = {
  drain: {
    bare: median(bare),
    outbox: median(outbox),
    ratio: median(outbox.map((one, round) => one / (bare[round] as number))),
    ratios: outbox.map((one, round) => one / (bare[round] as number)),
  },
  disk,
  size,
};
if (given.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  const { drain } = result;
  if (asked('drain'))
    process.stdout.write(
      `drain: outbox ${drain.outbox.toFixed(0)} messages/s, bare mqtt.js ${drain.bare.toFixed(0)}, ratio ${drain.ratio.toFixed(2)} (rounds ${drain.ratios.map((one) => one.toFixed(2)).join(', ')}; aim 0.9)\n`,
    );
  for (const { rows, store, raw, ratio } of disk)
    process.stdout.write(
      `disk: a poll of ${rows} rows: store ${(store / 1024).toFixed(1)} KiB, raw append+fdatasync of the same ${(raw / 1024).toFixed(1)} KiB, ratio ${ratio.toFixed(2)} (aim 1.3)\n`,
    );
  if (why !== undefined) process.stdout.write(`disk: not measured here: ${why}\n`);
  for (const { rows, octetsPerValue } of size)
    process.stdout.write(
      `size: messages of ${rows} rows: ${octetsPerValue.toFixed(1)} octets on disk for each interval value that waits, ledger included (aim 24)\n`,
    );
}
process.exit();
