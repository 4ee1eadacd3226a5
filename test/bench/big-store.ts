/**
 * How a store of many meters answers: `node test/bench/big-store.ts [meters] [days]` fills one through the store's own
 * commits, then runs the daemon on it (no line, no broker) and asks it for gaps and status. Prints times and memory.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dayMs, iso, millis } from '../../src/base/time.ts';
import { octetsOf } from '../../src/disk/space.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { hashOf, type Exception } from '../../src/reading/ledger.ts';
import { hashed } from '../../src/simulator/random.ts';
import { Store } from '../../src/store/store.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';
import { configuration, meterOf } from '../support/configuration.ts';

const [meters, days] = [Number(process.argv[2] ?? 500), Number(process.argv[3] ?? 400)];
const hour = 3_600_000;
const end = Math.floor(Date.now() / dayMs) * dayMs;
const since = end - days * dayMs;
const directory = mkdtempSync(join(tmpdir(), 'big-store-'));
const gateway = new URL('../../dist/main/main.js', import.meta.url).pathname;
const state = join(directory, 'state');

const folder = await stateDirectory(state, Date.now());
const store = await Store.open({ ...folder.store, clock: systemClock });
const fillFrom = performance.now();
for (let i = 0; i < meters; i++) {
  // Some outages, some missing rows, some uncertain hours, as the field has them.
  const exceptions: Exception[] = Array.from({ length: 12 }, (_, k): Exception => {
    const from = since + Math.floor(((k + hashed(i, k)) / 12) * days * 24 - 30) * hour;
    const to = from + Math.ceil(hashed(i, k, 1) * 20) * hour;
    return [
      Math.max(since, from),
      Math.max(since + hour, to),
      k % 3 === 0 ? 'OUTAGE' : k % 3 === 1 ? 'MISSING' : 'UNCERTAIN/clock',
    ];
  });
  const marks = Array.from({ length: days * 24 }, (_, k) => ({
    start: since + k * hour,
    rev: 0,
    hash: hashOf(i, k),
    gap: false,
  }));
  await store.commit({
    meter: `m${i}`,
    series: storedSeriesKey('1.0.99.1.0.255'),
    state: { since, periodMs: hour, coverage: [[since, end]], exceptions, layout: 'x' },
    entryClass: 1,
    facts: [],
    marks,
  });
}
// A thousand messages that the head-end has not acknowledged.
for (let i = 0; i < Math.min(meters, 1000); i++) {
  const origin = { meter: `m${i}`, point: `p${i}`, serial: `s${i}` };
  await store.commit({
    meter: `m${i}`,
    entryClass: 0,
    facts: [
      {
        kind: 'gap',
        ...origin,
        series: '1-0:99.1.0*255',
        start: iso(millis(end - 2 * hour)),
        end: iso(millis(end - hour)),
        cause: 'MISSING',
        before: null,
        after: null,
        rev: 0,
        readAt: iso(millis(end)),
      },
    ],
  });
}
const fillMs = performance.now() - fillFrom;
await store.close();

// Meters behind this port hear the first frame and say nothing.
let firstFrame: (at: number) => void = () => {};
const heard = new Promise<number>((resolve) => {
  firstFrame = resolve;
});
const line = createServer((socket) => socket.once('data', () => firstFrame(performance.now())).on('error', () => {}));
await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
const { port: linePort } = line.address() as { port: number };
const config = join(directory, 'gateway.toml');
writeFileSync(
  config,
  configuration({
    gateway: { clock_trust: 'assume', state_directory: state, status_socket: `${directory}/s.sock` },
    mqtt: { url: 'mqtt://127.0.0.1:1' },
    port: Array.from({ length: Math.ceil(meters / 31) }, (_, port) => ({
      name: `bus-${port}`,
      device: port === 0 ? `tcp://127.0.0.1:${linePort}` : `/dev/none-${port}`,
      meter: Array.from({ length: Math.min(31, meters - port * 31) }, (__, k) => {
        const i = port * 31 + k;
        return meterOf(i, { serial: `s${i}`, physical: k + 16, since: iso(millis(since)) });
      }),
    })),
  }),
);
const started = performance.now();
const daemon = spawn(process.execPath, [gateway, 'run', '--config', config], {
  env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ready = new Promise<number>((resolve) => {
  let text = '';
  daemon.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes('gateway runs')) resolve(performance.now() - started);
  });
});
const startMs = await ready;
const frameMs = (await heard) - started;
const ask = (command: string): Promise<{ ms: number; out: string }> =>
  new Promise((resolve, reject) => {
    const from = performance.now();
    execFile(
      process.execPath,
      [gateway, command, '--json', '--config', config],
      { maxBuffer: 1 << 28 },
      (error, out) => (error ? reject(error) : resolve({ ms: performance.now() - from, out })),
    );
  });
const bare = await new Promise<number>((resolve) => {
  const from = performance.now();
  execFile(process.execPath, [gateway, '--version'], () => resolve(performance.now() - from));
});
const gaps = await ask('gaps');
const status = await ask('status');
const rss = (JSON.parse(status.out) as { rssBytes: number }).rssBytes;
const ended = new Promise((resolve) => daemon.once('exit', resolve));
daemon.kill('SIGTERM');
await ended;
const octets = octetsOf(join(state, 'store'));
const lines = gaps.out.trim().split('\n').length;
rmSync(directory, { recursive: true, force: true });
process.stdout.write(
  `${meters} meters x ${days} days: filled in ${(fillMs / 1000).toFixed(1)} s, ${(octets / 2 ** 20).toFixed(0)} MiB on disk, ${(octets / (meters * days * 24)).toFixed(1)} octets an interval; daemon ready after ${startMs.toFixed(0)} ms, first frame on the wire after ${frameMs.toFixed(0)} ms, ${Math.round(rss / 2 ** 20)} MiB resident; gaps --json ${gaps.ms.toFixed(0)} ms for ${lines} runs, status ${status.ms.toFixed(0)} ms (of each ${bare.toFixed(0)} ms are the start of the command)\n`,
);
line.close();
process.exitCode = gaps.ms - bare < 1000 && lines > meters ? 0 : 1;
