/**
 * The main job with nothing but this machine: a broker, a bus of simulated meters on a real pty, the daemon as its own
 * process, and a central system that acknowledges. Compares what was delivered with the oracle.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newIngest, valueKey } from '../src/central/ingest.ts';
import { subscribe } from '../src/central/subscriber.ts';
import { dayMs, hourMs, millis } from '../src/base/time.ts';
import { obis } from '../src/dlms/cosem/logical-name.ts';
import { octetsOf } from '../src/disk/space.ts';
import { buildBus, parseScenario, readScenario, type Scenario } from '../src/simulator/scenario.ts';
import { servePty } from '../src/simulator/serve.ts';
import { loadProfileName } from '../src/simulator/objects.ts';
import { visible } from '../src/base/visible.ts';
import { askStatus } from '../src/status/local-client.ts';
import type { Snapshot } from '../src/status/snapshot.ts';

const root = new URL('..', import.meta.url).pathname;
const usage = `scripts/run [--meters N] [--days N] [--for SECONDS] [--broker URL] [--seed N] [--state DIR] [--kills N] [--outage] [--scenario FILE]
scripts/run --config FILE        the real thing
  --kills N    kill the daemon N times at random moments (needs --for)
  --outage     stop the broker for the middle third (needs --for)
  --scenario F faults of line and meters from a simulator's scenario file; meters that a fault names are counted apart`;

function numberOf(name: string, text: string | undefined, fallback: number, low: number, high: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    process.stderr.write(`--${name} takes a whole number from ${low} to ${high}, not '${text}'\n${usage}\n`);
    process.exit(2);
  }
  return value;
}

let values: Record<string, string | boolean | undefined>;
try {
  ({ values } = parseArgs({
    options: {
      meters: { type: 'string' },
      days: { type: 'string' },
      for: { type: 'string' },
      broker: { type: 'string' },
      seed: { type: 'string' },
      state: { type: 'string' },
      kills: { type: 'string' },
      outage: { type: 'boolean' },
      scenario: { type: 'string' },
      help: { type: 'boolean' },
    },
  }));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  process.exit(2);
}
if (values['help']) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}
const text = (name: string) => values[name] as string | undefined;
const meterCount = numberOf('meters', text('meters'), 8, 1, 32);
const days = numberOf('days', text('days'), 3, 1, 60);
const forS = text('for') === undefined ? undefined : numberOf('for', text('for'), 0, 5, 86_400);
const seed = numberOf('seed', text('seed'), 1, 0, 2 ** 31 - 1);
const kills = numberOf('kills', text('kills'), 0, 0, 1000);
const pollOffsetS = 2;

let faults: Scenario['fault'] = [];
if (text('scenario') !== undefined) {
  try {
    faults = readScenario(readFileSync(text('scenario') as string, 'utf8')).fault;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

const stateDirectory = text('state') ?? mkdtempSync(join(tmpdir(), 'meter-gateway-demo-'));
mkdirSync(stateDirectory, { recursive: true });
const cleanUp: (() => unknown)[] = [];
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** mosquitto on a free port of the loopback, with its own folder for persistence. */
async function startBroker(port: number): Promise<ChildProcess> {
  const folder = join(stateDirectory, 'broker');
  mkdirSync(folder, { recursive: true });
  const configuration = join(folder, 'mosquitto.conf');
  writeFileSync(
    configuration,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\nautosave_interval 1\nlog_type error\nuser root\n`,
  );
  const child = spawn('mosquitto', ['-c', configuration], { stdio: 'ignore' });
  child.on('error', (error) => {
    process.stderr.write(`mosquitto does not start: ${error.message}; scripts/setup installs it\n`);
    process.exit(1);
  });
  await sleep(300);
  return child;
}

let brokerUrl = text('broker');
let broker: ChildProcess | undefined;
let brokerPort = 0;
if (brokerUrl === undefined) {
  brokerPort = await freePort();
  broker = await startBroker(brokerPort);
  brokerUrl = `mqtt://127.0.0.1:${brokerPort}`;
}
cleanUp.push(() => broker?.kill());
// However this ends, no broker is left behind.
process.on('exit', () => broker?.kill('SIGKILL'));

const start = millis(Date.now());
const since = millis(Math.floor(start / dayMs) * dayMs - days * dayMs);
/** Meters that a fault names: what they deliver must be right, but they owe nothing. */
const faulty = new Set(faults.flatMap((fault) => ('meter' in fault && fault.meter !== undefined ? [fault.meter] : [])));
const scenario = parseScenario({
  fault: faults,
  seed,
  bus: { turnaround_ms: 20 },
  meters: { count: meterCount, history_days: days + 2, depth_days: days + 30 },
});
const simulated = buildBus(scenario, start);
const served = servePty(simulated.bus);
cleanUp.push(() => served.close());

const secretPath = join(stateDirectory, 'meter-password');
writeFileSync(secretPath, 'meter\n', { mode: 0o600 });
const configPath = join(stateDirectory, 'gateway.toml');
const socketPath = join(stateDirectory, 'status.sock');
writeFileSync(
  configPath,
  [
    '[gateway]',
    'id = "demo"',
    'tenant = "demo"',
    'clock_trust = "assume"',
    `state_directory = ${JSON.stringify(join(stateDirectory, 'state'))}`,
    `status_socket = ${JSON.stringify(socketPath)}`,
    `poll_offset_s = ${pollOffsetS}`,
    '[mqtt]',
    `url = ${JSON.stringify(brokerUrl)}`,
    '[log]',
    'level = "info"',
    '[[port]]',
    'name = "bus-1"',
    `device = "serial:${served.device}"`,
    'baud = 9600',
    ...simulated.meters.flatMap(({ settings }) => [
      '[[port.meter]]',
      `id = "m${settings.serial}"`,
      `point = "point-${settings.serial}"`,
      `serial = "${settings.serial}"`,
      'client = 17',
      `server = ${settings.logical}`,
      `physical = ${settings.physical}`,
      'auth = "lls"',
      `secret = "file:${secretPath}"`,
      `since = "${new Date(since).toISOString()}"`,
    ]),
  ].join('\n'),
);

const ingest = newIngest();
const subscriber = await subscribe(brokerUrl, 'demo', ingest);
cleanUp.push(() => subscriber.close());

const node = join(root, 'node_modules/.bin/node');
const built = join(root, 'dist/main/main.js');
const entry = existsSync(built) ? built : join(root, 'src/main/main.ts');
const logPath = join(stateDirectory, 'gateway.log');
let daemon!: ChildProcess;
let expectedExit = false;
function startDaemon(): void {
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      `exec "$0" "$@" >> '${logPath}' 2>&1`,
      node,
      '--max-old-space-size=64',
      '--max-semi-space-size=2',
      entry,
      'run',
      '--config',
      configPath,
    ],
    {
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
      stdio: 'ignore',
    },
  );
  daemon = child;
  child.on('exit', (code, signal) => {
    if (expectedExit || child !== daemon) return;
    process.stderr.write(`the daemon ended by itself (${code ?? signal}); its log is ${logPath}\n`);
    void finish(1);
  });
}
startDaemon();
cleanUp.push(() => daemon.kill('SIGKILL'));

/** Every interval of every meter that had ended some seconds before `at`. */
const channels = [obis('1.0.1.8.0.255'), obis('1.0.2.8.0.255')] as const;
const series = obis(loadProfileName);
function compareWithOracle(at: number, which: (index: number) => boolean = (index) => !faulty.has(index)) {
  let expected = 0;
  let delivered = 0;
  let wrong = 0;
  const sums = { delivered: 0, oracle: 0 };
  const lastEnd = Math.floor((at - (pollOffsetS + 60) * 1000) / hourMs) * hourMs;
  for (const { settings, curve } of simulated.meters.filter((_, index) => which(index))) {
    for (let end = since + hourMs; end <= lastEnd; end += hourMs) {
      expected++;
      let right = true;
      channels.forEach((channel, i) => {
        const value = ingest.values.get(valueKey(`m${settings.serial}`, series, channel, end - hourMs));
        const register = curve.register(i as 0 | 1, millis(end));
        const energy = register - curve.register(i as 0 | 1, millis(end - hourMs));
        if (value === undefined) right = false;
        else if (value.register !== register || value.energy !== energy) {
          wrong++;
          right = false;
        }
        if (i === 0) {
          sums.oracle += energy;
          sums.delivered += Number(value?.energy ?? 0);
        }
      });
      if (right) delivered++;
    }
  }
  return { expected, delivered, wrong, sums };
}

const terminal = process.stdout.isTTY;
let drawn = 0;
let lastLine = '';
let rss = 0;
async function show(): Promise<void> {
  let snapshot: Snapshot | undefined;
  try {
    snapshot = await askStatus(socketPath);
    rss = Math.max(rss, snapshot.rssBytes);
  } catch {
    // Between a kill and the start after it nobody answers.
  }
  const { expected, delivered } = compareWithOracle(Date.now());
  const backlog = snapshot?.store.pending ?? 0;
  const summary = `delivered ${delivered} of ${expected} meter-hours, backlog ${backlog} messages, broker ${broker || text('broker') ? 'up' : 'stopped'}`;
  if (!terminal) {
    const line = `${Math.round((Date.now() - start) / 1000)} s  ${summary}`;
    if (line.replace(/^\d+ s/, '') !== lastLine) process.stdout.write(`${line}\n`);
    lastLine = line.replace(/^\d+ s/, '');
    return;
  }
  const lines = [`bus ${served.device} 9600 Bd  ${summary}`];
  for (const port of snapshot?.ports ?? []) {
    for (const meter of port.meters) {
      const total = meter.intervalsRead + meter.intervalsMissing;
      const share = total === 0 ? 0 : 1 - meter.intervalsMissing / Math.max(1, expected / meterCount);
      const bar = '█'.repeat(Math.max(0, Math.round(share * 24))).padEnd(24, '·');
      lines.push(`${port.activity === meter.meter ? '»' : ' '} ${meter.meter}  ${bar}  ${meter.verdict}`);
    }
  }
  if (drawn > 0) process.stdout.write(`\x1b[${drawn}A`);
  for (const line of lines) process.stdout.write(`\x1b[2K${visible(line)}\n`);
  drawn = lines.length;
}

let finishing = false;
async function finish(code: number): Promise<never> {
  if (finishing) return new Promise(() => {});
  finishing = true;
  expectedExit = true;
  if (code === 0) {
    daemon.kill('SIGTERM');
    await Promise.race([new Promise((resolve) => daemon.once('exit', resolve)), sleep(6000)]);
  }
  for (const task of cleanUp.toReversed()) await task();
  process.exit(code);
}
process.on('SIGINT', () => void finish(0));
process.on('SIGTERM', () => void finish(0));

process.stdout.write(
  `broker ${brokerUrl}, bus ${served.device}, ${meterCount} meters, ${days} days, state ${stateDirectory}\n`,
);
const refresh = setInterval(() => void show(), terminal ? 500 : 5000);

if (forS === undefined) {
  process.stdout.write('Ctrl-C stops\n');
} else {
  const end = start + forS * 1000;
  const killAt = Array.from(
    { length: kills },
    () => start + 3000 + Math.random() * Math.max(0, forS * 1000 * 0.8 - 3000),
  ).sort((a, b) => a - b);
  let killed = 0;
  const third = (forS * 1000) / 3;
  let outage: 'before' | 'during' | 'after' = values['outage'] && broker ? 'before' : 'after';
  while (Date.now() < end) {
    await sleep(50);
    if (outage === 'before' && Date.now() > start + third) {
      outage = 'during';
      broker?.kill('SIGTERM');
      broker = undefined;
      process.stdout.write('broker stopped\n');
    }
    if (outage === 'during' && Date.now() > start + 2 * third) {
      outage = 'after';
      broker = await startBroker(brokerPort);
      process.stdout.write('broker started again\n');
    }
    const next = killAt[0];
    if (next !== undefined && Date.now() >= next) {
      killAt.shift();
      expectedExit = true;
      const dead = new Promise((resolve) => daemon.once('exit', resolve));
      daemon.kill('SIGKILL');
      await dead;
      killed++;
      expectedExit = false;
      startDaemon();
    }
  }
  // The end is measured at one instant; the last acknowledgements may take a moment to come home.
  const at = Date.now();
  let pending = -1;
  for (let i = 0; i < 20 && pending !== 0; i++) {
    pending = await askStatus(socketPath)
      .then((snapshot) => snapshot.store.pending)
      .catch(() => -1);
    if (pending !== 0) await sleep(250);
  }
  clearInterval(refresh);
  await show();
  const result = compareWithOracle(at);
  const snapshot = await askStatus(socketPath).catch(() => undefined);
  const states = snapshot?.ports.flatMap(({ meters }) => meters) ?? [];
  const odd = [...faulty].map((index) => {
    const own = compareWithOracle(at, (other) => other === index);
    return { own, state: states[index] };
  });
  // Octets that the daemon caused to be written (Linux counts them per process), log included; and what lies on disk.
  const written = /write_bytes: (\d+)/.exec(readFileSync(`/proc/${daemon.pid}/io`, 'utf8'))?.[1] ?? '0';
  const onDisk = octetsOf(join(stateDirectory, 'state/store'));
  const { counters } = ingest;
  const good =
    result.delivered === result.expected &&
    result.wrong === 0 &&
    odd.every(({ own }) => own.wrong === 0) &&
    counters.conflicts === 0 &&
    counters.gaps === 0 &&
    counters.unfit === 0 &&
    pending === 0;
  const lines = [
    `expected     ${result.expected} meter-hours (ended more than ${pollOffsetS + 60} s before the end of the run)`,
    `delivered    ${result.delivered} equal to the oracle, ${result.wrong} wrong, ${counters.conflicts} keys with two values, ${counters.gaps} gaps`,
    `messages     ${counters.messages}, of them ${counters.duplicates} duplicates, ${counters.unfit} outside of the contract`,
    `backlog      ${pending === -1 ? 'unknown' : pending} messages not acknowledged`,
    `import sum   ${result.sums.delivered} Wh delivered, ${result.sums.oracle} Wh by the oracle`,
    `daemon       killed ${killed} times, ${Math.round(rss / 2 ** 20)} MiB resident at most`,
    `disk         ${written} octets written by the daemon${killed > 0 ? ' since its last start' : `, ${(Number(written) / Math.max(1, result.delivered)).toFixed(0)} for each delivered interval`}; the store folder holds ${onDisk}`,
    ...odd.map(
      ({ own, state }) =>
        `faulty       ${state?.meter} is shown as ${state?.verdict} (${state?.lastError ?? 'no error'}), ${own.delivered} of ${own.expected} delivered, ${own.wrong} wrong`,
    ),
    `line         ${simulated.bus.octetsIn} octets to the meters, ${simulated.bus.octetsOut} from them`,
    good ? 'GOOD: everything expected is delivered, acknowledged and equal to the oracle' : `NOT GOOD: see ${logPath}`,
  ];
  for (const line of lines) process.stdout.write(`${visible(line)}\n`);
  for (const conflict of ingest.conflicts) process.stdout.write(`conflict: ${visible(conflict)}\n`);
  for (const [unfit, count] of ingest.unfit) process.stdout.write(`unfit: ${visible(unfit)} × ${count}\n`);
  if (good && text('state') === undefined)
    cleanUp.unshift(() => rmSync(stateDirectory, { recursive: true, force: true }));
  await finish(good ? 0 : 1);
}
