/**
 * `npm run central-bench`: what the central system costs on PostgreSQL, in CPU seconds of node and database together. Ratios of
 * one run are worth more than rates: machines differ.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startPostgres } from '../../scripts/private-postgres.ts';
import { millis } from '../../src/base/time.ts';
import { judge, type Received } from '../../src/central/arrival.ts';
import { ingest } from '../../src/central/ingest.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { openPostgres } from '../../src/central/postgres.ts';
import { intervalFacts } from '../../src/central/read-store.ts';
import type { Message } from '../../src/contract/payloads.ts';
import { realBroker, until } from '../support/broker.ts';
import { startFleet } from '../support/central-fleet.ts';
import { block, importRegister, loadProfile } from '../support/central-messages.ts';

const root = new URL('../..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'central-bench-'));
chmodSync(folder, 0o711);
const server = await startPostgres(join(folder, 'pg'));
const ticksPerSecond = 100;

/** CPU seconds of a process, of those below it, and of those of them that ended. */
function cpuOf(pid: number): number {
  const own = (one: number): { readonly ticks: number; readonly parent: number } => {
    try {
      const fields = readFileSync(`/proc/${one}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ')
        .map(Number);
      const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
      return { ticks: user + system + childUser + childSystem, parent: fields[1] ?? 0 };
    } catch {
      return { ticks: 0, parent: 0 };
    }
  };
  const all = readdirSync('/proc')
    .map(Number)
    .filter((one) => one > 0);
  return (
    [pid, ...all.filter((one) => own(one).parent === pid)].reduce((sum, one) => sum + own(one).ticks, 0) /
    ticksPerSecond
  );
}
const database = server.process.pid as number;
const ours = (): number => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;
async function costOf(work: () => Promise<void>): Promise<number> {
  const before = ours() + cpuOf(database);
  await work();
  return ours() + cpuOf(database) - before;
}

const dayMs = 86_400_000;
const first = Date.parse('2026-10-01T00:00:00Z');
/** A day of a meter: 24 hours, import and export. */
function dayOf(gateway: string, day: number): Message<'profile'> {
  const column = (of: (hour: number) => number) => Array.from({ length: 24 }, (_, hour) => of(hour));
  const channel = (obis: string, base: number) => ({
    obis,
    unit: 'Wh',
    scaler: 0,
    register: column((hour) => base + day * 24_000 + hour * 1000),
    energy: column((hour) => 700 + ((hour * 37) % 600)),
  });
  return block(day + 1, {
    gateway,
    point: `p-${gateway}`,
    start: new Date(first + day * dayMs).toISOString().replace('.000Z', 'Z'),
    count: 24,
    channels: [channel(importRegister, 1e7), channel('1-0:2.8.0*255', 1e6)],
    status: column(() => 0),
    quality: Array.from({ length: 24 }, () => 'MEASURED' as const),
    rev: column(() => 0),
  });
}
const receivedOf = (message: Message<'profile'>): Received => {
  const arrival = judge(`amr/v1/t/${message.gateway}/up/m1/profile`, Buffer.from(JSON.stringify(message)));
  if (!arrival) throw new Error('nothing');
  return { at: millis(Date.now()), arrival };
};
const days = 30;
const meters = 40;
const all = Array.from({ length: meters }, (_, meter) =>
  Array.from({ length: days }, (_, day) => dayOf(`g${meter}`, day)),
).flat();
const values = all.length * 48;

// As delivered, in batches.
const engine = await openPostgres(server.url);
const batches = await costOf(async () => {
  for (let at = 0; at < all.length; at += 500) await ingest(engine, all.slice(at, at + 500).map(receivedOf));
});
// The same, a transaction a message; and a row a value, upserted one by one: each message is judged all the same, and is one
// transaction. In turns, so that both have the same company on this machine.
const singly = all.map((message) => ({ ...message, gateway: `s${message.gateway}` }));
const client = new Client({ connectionString: server.url });
await client.connect();
await client.query(
  'CREATE TABLE value (point text, series text, obis text, start_ms bigint, rev bigint, energy bigint, register bigint, quality text, PRIMARY KEY (point, series, obis, start_ms))',
);
async function upsertRows(message: Message<'profile'>): Promise<void> {
  receivedOf(message);
  await client.query('BEGIN');
  for (const { obis, energy, register } of message.channels)
    for (let hour = 0; hour < message.count; hour++)
      await client.query(
        `INSERT INTO value VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (point, series, obis, start_ms)
         DO UPDATE SET rev = excluded.rev, energy = excluded.energy, register = excluded.register, quality = excluded.quality WHERE excluded.rev > value.rev`,
        [
          message.point,
          message.series,
          obis,
          Date.parse(message.start) + hour * 3_600_000,
          0,
          energy?.[hour],
          register?.[hour],
          'MEASURED',
        ],
      );
  await client.query('COMMIT');
}
const turns = 12;
let [one, rows] = [0, 0];
for (let turn = 0; turn < turns; turn++) {
  const portion = singly.slice((turn * singly.length) / turns, ((turn + 1) * singly.length) / turns);
  one += await costOf(async () => {
    for (const message of portion) await ingest(engine, [receivedOf(message)]);
  });
  rows += await costOf(async () => {
    for (const message of portion.slice(0, portion.length / 4)) await upsertRows(message);
  });
}
await client.end();
const perSecond = { batches: values / batches, one: values / one, rows: values / 4 / rows };

const span = { from: first, to: first + days * dayMs };
const read = async (point: string) =>
  newestVersions(await intervalFacts(engine, { point, series: loadProfile }, span), 3_600_000).size;
for (let meter = 0; meter < meters; meter++) await read(`p-g${meter}`);
const rounds = 5;
const reading = await costOf(async () => {
  for (let meter = 0; meter < meters * rounds; meter++)
    if ((await read(`p-g${meter % meters}`)) !== days * 24) throw new Error('not all');
});
const monthMs = (reading * 1000) / meters / rounds;
const [size] = await engine.all(
  "SELECT sum(pg_total_relation_size(inhrelid)) AS octets FROM pg_inherits WHERE inhparent = 'fact'::regclass",
);
const [stored] = await engine.all('SELECT count(*) AS n FROM fact');
await engine.close();

// The whole chain: broker, one worker, database, acknowledgement; live rows, one a message.
const broker = await realBroker(['max_queued_messages 100000']);
const clean = await startPostgres(join(folder, 'chain'));
const worker = spawn(
  process.execPath,
  [
    join(root, 'dist/central/main.js'),
    'ingest',
    '--broker',
    broker.url,
    '--tenant',
    'bench',
    '--store',
    clean.url,
    '--group',
    'w',
  ],
  { stdio: ['ignore', 'pipe', 'ignore'] },
);
let output = '';
worker.stdout.on('data', (text: Buffer) => {
  output += text.toString();
});
await until(() => output.includes('connected'), 'the worker is there');
const fleetOptions = { url: broker.url, tenant: 'bench', gateways: 100, days: 10, window: 250, silenceMs: 20_000 };
const chainBefore = cpuOf(worker.pid as number) + cpuOf(clean.process.pid as number);
const wall = Date.now();
const fleet = await startFleet(fleetOptions);
const messages = fleet.open();
await until(() => fleet.open() === 0, 'everything acknowledged', 300_000);
const chain = cpuOf(worker.pid as number) + cpuOf(clean.process.pid as number) - chainBefore;
const seconds = (Date.now() - wall) / 1000;
const resident = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8'))?.[1]) / 1024;
await fleet.stop();
worker.kill('SIGKILL');
await broker.remove();
await clean.stop();
await server.stop();
rmSync(folder, { recursive: true, force: true });

const round = (value: number) => Math.round(value).toLocaleString('en');
process.stdout.write(
  [
    `values per CPU second   ${round(perSecond.batches)} as delivered in batches; ${round(perSecond.one)} a transaction a message; ${round(perSecond.rows)} a row a value, upserted one by one`,
    `ratio                   batches ${(perSecond.batches / perSecond.rows).toFixed(1)} × row by row; a day as delivered by itself ${(perSecond.one / perSecond.rows).toFixed(1)} ×`,
    `octets a value          ${(Number(size?.['octets']) / (Number(stored?.['n']) * 48)).toFixed(1)}, indexes included`,
    `a point-month           ${monthMs.toFixed(1)} ms of CPU from the store to the newest versions`,
    `chain                   ${messages} live messages of ${fleetOptions.gateways} gateways, ${round(messages / chain)} per CPU second of worker and database, ${seconds.toFixed(1)} s, worker ${resident.toFixed(0)} MiB resident at most`,
    '',
  ].join('\n'),
);
process.exit(0);
