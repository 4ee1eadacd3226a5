/**
 * The main job with nothing but this machine: a broker, a bus of simulated meters on a real pty, the daemon as its own
 * process, and a central system that acknowledges. Compares what was delivered with the oracle.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { dayMs, hourMs, millis } from '../src/base/time.ts';
import { obis } from '../src/dlms/cosem/logical-name.ts';
import { octetsOf } from '../src/disk/space.ts';
import { buildBus } from '../src/simulator/build-bus.ts';
import { parseScenario, readScenario, type Scenario } from '../src/simulator/scenario.ts';
import { servePty } from '../src/simulator/serve.ts';
import { visible } from '../src/base/visible.ts';
import { askPage, askStatus } from '../src/desk/client.ts';
import type { Snapshot } from '../src/status/snapshot.ts';
import { type DemoCentral, startCentral, writeBooks } from './demo-central.ts';
import { fitWindow, idleOption, verdictOf } from './demo-report.ts';

const root = new URL('..', import.meta.url).pathname;
const usage = `scripts/run [--meters N] [--days N] [--for SECONDS] [--broker URL] [--seed N] [--state DIR] [--kills N] [--outage] [--scenario FILE] [--healthy] [--postgres]
scripts/run --config FILE        the real thing
scripts/run --bills              from the outage of a link to the correction on a bill, step by step in virtual time
  --for N      end after N seconds and compare with the oracle; without it Ctrl-C ends it, and sums up
  --kills N    kill the daemon N times at random moments (needs --for)
  --outage     stop the broker for the middle third (needs --for, and the broker of the demonstration)
  --postgres   the central system keeps its facts in a PostgreSQL of its own, instead of in one file
  --scenario F faults of line and meters from a simulator's scenario file; meters that a fault names are counted apart
  --healthy    all meters are well; without it, and without a scenario, one of eight or more is planted that is ill`;

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
      healthy: { type: 'boolean' },
      scenario: { type: 'string' },
      postgres: { type: 'boolean' },
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
const idle = idleOption({
  kills: kills > 0,
  outage: values['outage'] === true,
  for: forS !== undefined,
  broker: text('broker') !== undefined,
});
if (idle !== undefined) {
  process.stderr.write(`${idle}\n${usage}\n`);
  process.exit(2);
}

let faults: Scenario['fault'] = [];
if (text('scenario') !== undefined) {
  try {
    faults = readScenario(readFileSync(text('scenario') as string, 'utf8')).fault;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

/** What the page is there to show: which one it is, and why. */
const planted = 5;
if (text('scenario') === undefined && values['healthy'] !== true && meterCount >= 8)
  faults = [{ kind: 'power-cut', meter: planted, from_s: -600, to_s: 1_000_000 }];

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
  // In a group of its own: Ctrl-C is for us, and we end it.
  const child = spawn('mosquitto', ['-c', configuration], { stdio: 'ignore', detached: true });
  child.on('error', (error) => {
    process.stderr.write(`mosquitto does not start: ${error.message}; scripts/setup installs it\n`);
    process.exit(1);
  });
  await sleep(300);
  return child;
}

/** The customary port where it is free. */
async function portOfPage(): Promise<number> {
  const customary = 8080;
  const isFree = await new Promise<boolean>((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(customary, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return isFree ? customary : freePort();
}
const pagePort = await portOfPage();

let brokerUrl = text('broker');
let broker: ChildProcess | undefined;
let brokerPort = 0;
if (brokerUrl === undefined) {
  brokerPort = await freePort();
  broker = await startBroker(brokerPort);
  brokerUrl = `mqtt://127.0.0.1:${brokerPort}`;
}
// It writes its persistence at its end: its folder is deleted behind that.
cleanUp.push(
  () =>
    new Promise<void>((resolve) => {
      if (!broker || broker.exitCode !== null || broker.signalCode !== null) return resolve();
      broker.once('exit', () => resolve());
      broker.kill();
    }),
);

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
    '[page]',
    `listen = "127.0.0.1:${pagePort}"`,
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

/** A link opens once: whoever looks at the page of the demonstration gets a fresh one when it stands. */
async function showPage(): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    try {
      const { url } = await askPage(socketPath);
      process.stdout.write(`the page of the gateway (opens once, within 10 minutes): ${url}\n`);
      process.stdout.write(`another link: scripts/meter-gateway page --socket ${socketPath}\n`);
      return;
    } catch {
      await sleep(200);
    }
  }
  process.stdout.write(`the page does not stand; the log says why: ${logPath}\n`);
}

/** What the utility knows: so that its hours can be estimated, judged and billed. */
const books = writeBooks(
  stateDirectory,
  since,
  simulated.meters.map(({ settings }) => String(settings.serial)),
);
const central: DemoCentral = await startCentral({
  root,
  folder: stateDirectory,
  broker: brokerUrl,
  tenant: 'demo',
  postgres: values['postgres'] === true,
  onEnd: (output) => {
    process.stderr.write(`the central system ended by itself: ${output}\n`);
    void finish(1);
  },
}).catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  broker?.kill('SIGKILL');
  process.exit(1);
});
cleanUp.push(() => central.close());

const node = join(root, 'node_modules/.bin/node');
const built = join(root, 'dist/main/main.js');
const entry = existsSync(built) ? built : join(root, 'src/main/main.ts');
const logPath = join(stateDirectory, 'gateway.log');
/** Room that the daemon keeps for a full disk; it writes that once, and it belongs to no interval. */
const ballastPath = join(stateDirectory, 'state/ballast');
const ballastOctets = (): number => statSync(ballastPath, { throwIfNoEntry: false })?.size ?? 0;
let ballastBefore = 0;
let daemon: ChildProcess | undefined;
let expectedExit = false;
// However this ends, nobody is left behind.
process.on('exit', () => {
  daemon?.kill('SIGKILL');
  broker?.kill('SIGKILL');
});
function startDaemon(): void {
  ballastBefore = ballastOctets();
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
      detached: true,
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
cleanUp.push(() => daemon?.kill('SIGKILL'));
await showPage();

/** Every interval of every meter that had ended some seconds before `at`. */
const channels = [obis('1.0.1.8.0.255'), obis('1.0.2.8.0.255')] as const;
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
        const version = central.newest.get(`m${settings.serial}|${end - hourMs}`);
        const value = version?.kind === 'row' ? version.channels.find(({ obis }) => obis === channel) : undefined;
        const register = curve.register(i as 0 | 1, millis(end));
        const energy = register - curve.register(i as 0 | 1, millis(end - hourMs));
        if (value === undefined) right = false;
        else if (value.register !== BigInt(register) || value.energy !== BigInt(energy)) {
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
let last = { line: '', at: 0 };
let rss = 0;
let progress = { delivered: 0, at: start };
/** How much of what a meter owes is accounted for, as 24 signs, or fewer in a narrow window. */
function barOf(share: number): string {
  const width = Math.max(8, Math.min(24, (process.stdout.columns || 80) - 56));
  return '█'.repeat(Math.max(0, Math.round(share * width))).padEnd(width, '·');
}
async function show(): Promise<void> {
  let snapshot: Snapshot | undefined;
  try {
    snapshot = await askStatus(socketPath);
    rss = Math.max(rss, snapshot.rssBytes);
  } catch {
    // Between a kill and the start after it nobody answers.
  }
  await central.refresh();
  const { expected, delivered } = compareWithOracle(Date.now());
  if (delivered > progress.delivered) progress = { delivered, at: millis(Date.now()) };
  const backlog = snapshot?.store.pending ?? 0;
  const summary = `delivered ${delivered} of ${expected} meter-hours, backlog ${backlog} messages, broker ${broker || text('broker') ? 'up' : 'stopped'}`;
  if (!terminal) {
    // Also where nothing changes: so it is noticed that nobody reads any more.
    if (summary !== last.line || Date.now() - last.at > 30_000) {
      process.stdout.write(`${Math.round((Date.now() - start) / 1000)} s  ${summary}\n`);
      last = { line: summary, at: Date.now() };
    }
    return;
  }
  if (ending.finishing) return;
  const lines = [summary];
  for (const port of snapshot?.ports ?? []) {
    for (const meter of port.meters) {
      const total = meter.intervalsRead + meter.intervalsMissing;
      const share = total === 0 ? 0 : 1 - meter.intervalsMissing / Math.max(1, expected / meterCount);
      lines.push(`${port.activity === meter.meter ? '»' : ' '} ${meter.meter}  ${barOf(share)}  ${meter.verdict}`);
    }
  }
  const fitting = fitWindow(lines.map(visible), {
    rows: process.stdout.rows || 24,
    columns: process.stdout.columns || 80,
  });
  // Up to the first of our lines, and nothing of the last picture below the new one.
  const up = drawn > 0 ? `\x1b[${drawn}A` : '';
  process.stdout.write(`${up}${fitting.map((line) => `\x1b[2K${line}\n`).join('')}\x1b[J`);
  drawn = fitting.length;
}
// Lines of the old picture may have been wrapped: begin below it.
process.stdout.on('resize', () => {
  drawn = 0;
});

function print(lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${visible(line)}\n`);
}
let killed = 0;
/** What was done so far, compared with the oracle. */
async function sumUp(): Promise<'good' | 'too short' | 'not good'> {
  // Measured at one instant; the last acknowledgements may take a moment to come home.
  const at = Date.now();
  let snapshot: Snapshot | undefined;
  for (let i = 0; i < 20 && snapshot?.store.pending !== 0; i++) {
    if (i > 0) await sleep(250);
    snapshot = await askStatus(socketPath).catch(() => undefined);
  }
  await central.refresh();
  const result = compareWithOracle(at);
  const states = snapshot?.ports.flatMap(({ meters }) => meters) ?? [];
  const odd = [...faulty].map((index) => ({
    own: compareWithOracle(at, (other) => other === index),
    state: states[index],
  }));
  // Octets that the daemon caused to be written (Linux counts them per process), log included; and what lies on disk.
  const io = daemon?.pid === undefined ? '' : readIfThere(`/proc/${daemon.pid}/io`);
  const written = Number(/write_bytes: (\d+)/.exec(io)?.[1] ?? 0) - Math.max(0, ballastOctets() - ballastBefore);
  const { counters } = central;
  const verdict = verdictOf({
    ...result,
    wrong: result.wrong + odd.reduce((sum, { own }) => sum + own.wrong, 0),
    ...counters,
    pending: snapshot?.store.pending,
    stillForS: (at - progress.at) / 1000,
  });
  const each =
    killed > 0
      ? ' since its last start'
      : `, ${(written / Math.max(1, result.delivered)).toFixed(0)} for each delivered interval`;
  print([
    `expected     ${result.expected} meter-hours (ended more than ${pollOffsetS + 60} s before the end of the run)`,
    `delivered    ${result.delivered} equal to the oracle, ${result.wrong} wrong, ${counters.conflicts} keys with two values, ${counters.gaps} gaps`,
    `messages     ${counters.messages}, of them ${counters.duplicates} duplicates, ${counters.unfit} outside of the contract`,
    `backlog      ${snapshot?.store.pending ?? 'unknown:'} messages not acknowledged`,
    `import sum   ${result.sums.delivered} Wh delivered, ${result.sums.oracle} Wh by the oracle`,
    `daemon       killed ${killed} times, ${Math.round(rss / 2 ** 20)} MiB resident at most`,
    `disk         ${written} octets written by the daemon${each}; the store folder holds ${octetsOf(join(stateDirectory, 'state/store'))}; ballast not counted`,
    ...odd.map(
      ({ own, state }) =>
        `faulty       ${state?.meter} is shown as ${state?.verdict} (${state?.lastError ?? 'no error'}), ${own.delivered} of ${own.expected} delivered, ${own.wrong} wrong`,
    ),
    `line         ${simulated.bus.octetsIn} octets to the meters, ${simulated.bus.octetsOut} from them`,
    ...[...central.unfit].map((why) => `quarantine: ${why}`),
  ]);
  return verdict;
}
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** How it ends. */
const ending = { finishing: false, interrupted: false };
/** Ends everything that was started. The state goes too, where it is ours and nobody needs it to find out what went wrong. */
async function finish(code: number, removeState = code === 0): Promise<never> {
  if (ending.finishing) return new Promise(() => {});
  ending.finishing = true;
  clearInterval(refresh);
  expectedExit = true;
  if (daemon && daemon.exitCode === null && daemon.signalCode === null) {
    const ended = new Promise((resolve) => daemon?.once('exit', resolve));
    daemon.kill('SIGTERM');
    // It drains in less, and on a busy machine in more; what still writes would make the folder anew that is deleted below.
    if ((await Promise.race([ended.then(() => 'ended'), sleep(12_000)])) !== 'ended') daemon.kill('SIGKILL');
    await Promise.race([ended, sleep(5000)]);
  }
  // A timer beside each: without anything to wait for the process would end before it has cleaned up.
  for (const task of cleanUp.toReversed()) await Promise.race([task(), sleep(10_000)]);
  if (removeState && text('state') === undefined) rmSync(stateDirectory, { recursive: true, force: true });
  process.exit(code);
}
async function interrupt(): Promise<void> {
  // The second one does not wait.
  if (ending.interrupted) process.exit(130);
  ending.interrupted = true;
  clearInterval(refresh);
  process.stdout.write('\nstopping; this was delivered so far:\n');
  const verdict = await sumUp();
  await finish(verdict === 'not good' ? 1 : 0);
}
process.on('SIGINT', () => void interrupt());
process.on('SIGTERM', () => void interrupt());
// The terminal is gone, or nobody reads what we write: there is nobody to sum up for.
process.on('SIGHUP', () => void finish(0));
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => void finish(0));

process.stdout.write(
  `broker ${brokerUrl}, bus ${served.device}, ${meterCount} meters, ${days} days, state ${stateDirectory}\n`,
);
print([
  'from another terminal:',
  `  scripts/meter-central status --store '${central.store}'`,
  `  scripts/meter-central estimate --point point-${(simulated.meters[planted] ?? simulated.meters[0])?.settings.serial} --from ${new Date(since).toISOString().slice(0, 10)} --store '${central.store}' --books ${books}`,
  `  scripts/meter-gateway status --socket ${socketPath}`,
  `  scripts/meter-gateway poll m${simulated.meters[0]?.settings.serial} --socket ${socketPath}`,
]);
const refresh = setInterval(() => void show(), terminal ? 500 : 5000);

if (forS === undefined) {
  process.stdout.write('Ctrl-C stops, sums up and cleans up\n');
} else {
  const end = start + forS * 1000;
  const killAt = Array.from(
    { length: kills },
    () => start + 3000 + Math.random() * Math.max(0, forS * 1000 * 0.8 - 3000),
  ).sort((a, b) => a - b);
  const third = (forS * 1000) / 3;
  let outage: 'before' | 'during' | 'after' = values['outage'] && broker ? 'before' : 'after';
  while (Date.now() < end && !ending.finishing && !ending.interrupted) {
    await sleep(50);
    if (outage === 'before' && Date.now() > start + third) {
      outage = 'during';
      broker?.kill('SIGTERM');
      broker = undefined;
      process.stdout.write('broker stopped\n');
      drawn = 0;
    }
    if (outage === 'during' && Date.now() > start + 2 * third) {
      outage = 'after';
      broker = await startBroker(brokerPort);
      process.stdout.write('broker started again\n');
      drawn = 0;
    }
    const next = killAt[0];
    if (next !== undefined && Date.now() >= next && daemon) {
      killAt.shift();
      expectedExit = true;
      const dead = new Promise((resolve) => daemon?.once('exit', resolve));
      daemon.kill('SIGKILL');
      await dead;
      killed++;
      expectedExit = false;
      startDaemon();
    }
  }
  if (!ending.finishing && !ending.interrupted) {
    clearInterval(refresh);
    await show();
    const verdict = await sumUp();
    const words = {
      good: 'GOOD: everything expected is delivered, acknowledged and equal to the oracle',
      'too short': `TOO SHORT: what was delivered is right, and more was still coming; try --for ${Math.max(60, 2 * forS)}`,
      'not good': `NOT GOOD: see ${logPath}`,
    };
    print([words[verdict]]);
    await finish(verdict === 'good' ? 0 : 1, verdict !== 'not good');
  }
}
