/**
 * The built daemon, cut off again and again at random moments, with real TCP, a real LevelDB and a real mosquitto. `power`:
 * its state lies on an ext4 that is shut down without flushing (EXT4_IOC_SHUTDOWN), as when the power fails, and mounted
 * again; `kill`: SIGKILL. In the end everything must be there, once, and no number may mean two things.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { connectAsync } from 'mqtt';
import { dayMs, hourMs, millis } from '../../src/base/time.ts';
import { ackOf, greet, newIngest, take, valueKey } from '../support/memory-central.ts';
import { obis } from '../../src/dlms/cosem/logical-name.ts';
import { birthFilter, topics, upFilter } from '../../src/contract/topics.ts';
import { birthPayload } from '../../src/contract/payloads.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { seeded } from '../../src/simulator/random.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { servePty, serveTcp } from '../../src/simulator/serve.ts';
import { loadProfileName } from '../../src/simulator/objects.ts';
import { sleep, until } from '../support/broker.ts';
import { configuration, gmac, lls, meterOf } from '../support/configuration.ts';

const root = new URL('../../', import.meta.url).pathname;
const channels = [obis('1.0.1.8.0.255'), obis('1.0.2.8.0.255')] as const;
const series = obis(loadProfileName);
const meterCount = 6;
/** Of the daemon, from its start to the cut: some before it has opened its store, most while it reads and sends. */
const shortestMs = 150;
const longestMs = { power: 1400, kill: 800 };
/** So long a history of its meters for each cut: it takes longer than that to read. */
const daysPerCut = { power: 4, kill: 1.5 };
const finishLimitMs = 120_000;

/** Why cuts of this kind cannot be made here; undefined where they can. */
export function cannotCut(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root: no loop device can be mounted';
  try {
    execFileSync('losetup', ['--find'], { stdio: 'pipe' });
    execFileSync('mkfs.ext4', ['-V'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `no loop device or no mkfs.ext4: ${String(error)}`;
  }
}

/** Makes the syncs of a process do nothing, for the negative control; undefined where the package eatmydata is not there. */
export const noSyncLibrary = (): string | undefined =>
  ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/libeatmydata.so`).find((path) => existsSync(path));

export type DiskFailure = 'input/output error' | 'read-only';
export interface Disk {
  readonly path: string;
  /**
   * Power fails; afterwards the disk is there again, as it was. `freeze`: nobody does anything any more, for processors stop
   * with the disk; `dead`: nobody has it open any more.
   */
  cut(freeze: () => Promise<void>, dead: () => Promise<void>): Promise<void>;
  /** It fails under a program that goes on: every access is an I/O error, or every write, for it is read-only now. */
  fail(how: DiskFailure): void;
  /** Another one, with what was synced, takes its place; the program need not let go of the first. */
  replace(): Promise<void>;
  remove(): Promise<void>;
}

/** An ext4 in a file. Shut down it keeps what was synced and loses the rest. */
export async function ext4Disk(megabytes: number): Promise<Disk> {
  const folder = mkdtempSync(join(tmpdir(), 'disk-'));
  const path = join(folder, 'mount');
  let image = join(folder, 'image');
  let replaced = 0;
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });
  mkdirSync(path);
  run('truncate', '-s', `${megabytes}M`, image);
  run('mkfs.ext4', '-q', '-F', image);
  const mount = () => run('mount', '-o', 'loop', image, path);
  const unmount = async () => {
    for (let tries = 0; ; tries++) {
      try {
        run('umount', path);
        return;
      } catch (error) {
        if (tries === 100) throw error;
        await sleep(20);
      }
    }
  };
  mount();
  return {
    path,
    async cut(freeze, dead) {
      await freeze();
      shutDown(path);
      await dead();
      for (let tries = 0; ; tries++) {
        await unmount();
        mount();
        if (!isShutDown(path)) return;
        if (tries === 600) throw new Error(`${path} stays shut down`);
        await sleep(100);
      }
    },
    fail(how) {
      if (how === 'read-only') run('mount', '-o', 'remount,abort', path);
      else shutDown(path);
    },
    async replace() {
      run('umount', '-l', path);
      const copy = `${image}.${++replaced}`;
      copyFileSync(image, copy);
      image = copy;
      mount();
    },
    async remove() {
      await unmount();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where a process with mounts of its own began meanwhile, it still holds the old one, and that is what is mounted again. */
function isShutDown(path: string): boolean {
  const probe = join(path, '.probe');
  try {
    writeFileSync(probe, '');
    rmSync(probe);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EIO';
  }
}
/** EXT4_IOC_SHUTDOWN without flushing the log. Only ever on a file system of its own: anything else would be the machine's. */
function shutDown(path: string): void {
  const own = statSync(path).dev;
  if (own === statSync(join(path, '..')).dev || own === statSync('/').dev)
    throw new Error(`${path} is no mount of its own`);
  const ioctl = koffi.load('libc.so.6').func('int ioctl(int, unsigned long, uint32_t *)');
  const file = openSync(path, 'r');
  const result = ioctl(file, 0x80_04_58_7d, [2]) as number;
  closeSync(file);
  if (result !== 0) throw new Error(`${path} could not be shut down`);
}

async function folderDisk(): Promise<Disk> {
  const path = mkdtempSync(join(tmpdir(), 'kills-'));
  return {
    path,
    cut: (_, dead) => dead(),
    fail: () => {},
    replace: () => Promise.resolve(),
    remove: () => Promise.resolve(rmSync(path, { recursive: true, force: true })),
  };
}

export interface LifeSettings {
  readonly seed: number;
  readonly kind: 'power' | 'kill';
  readonly cuts: number;
  readonly brokerUrl: string;
  /** The daemon lives in another network: how it is started there, and what the broker is called there. */
  readonly elsewhere?: { readonly command: readonly string[]; readonly brokerUrl: string };
  /** On a pty at 9600 Bd instead of TCP: the back-fill takes its time. */
  readonly paced?: boolean;
  /** What happens to it while it reads and sends. */
  readonly meanwhile?: () => Promise<void>;
  /** Instead of cuts: somebody else fills the disk, for so long, and goes away. */
  readonly fullForMs?: number;
  /** Instead of cuts: the disk fails in the middle of it, for so long. */
  readonly failing?: { readonly how: DiskFailure; readonly forMs: number };
  /** The negative control: the daemon's syncs are made to do nothing by this library. */
  readonly preload?: string;
}
export interface LifeResult {
  readonly cuts: number;
  /** Cuts while there was something to read or to send. */
  readonly busy: number;
  readonly intervals: number;
  readonly messages: number;
  readonly duplicates: number;
  /** What the gateway said of its disk. */
  readonly storage: readonly string[];
  readonly problems: readonly string[];
}

/** One gateway from its first start: cut so often, then left alone until everything is delivered. */
export async function life({
  seed,
  kind,
  cuts,
  brokerUrl,
  elsewhere,
  paced = false,
  meanwhile,
  fullForMs,
  failing,
  preload,
}: LifeSettings): Promise<LifeResult> {
  const random = seeded(seed);
  const tenant = `life-${process.pid}-${seed}`;
  const problems: string[] = [];
  const start = millis(Date.now());
  // So much that most cuts come while there is something to read.
  const days = paced ? 4 : Math.max(16, Math.ceil(daysPerCut[kind] * cuts));
  const since = Math.floor(start / dayMs) * dayMs - days * dayMs;
  const simulated = buildBus(
    parseScenario({
      seed,
      bus: { kind: paced ? 'pty' : 'tcp', turnaround_ms: paced ? 50 : 1 },
      meters: { count: meterCount, history_days: days + 2, depth_days: days + 30 },
    }),
    start,
  );
  const served = paced ? servePty(simulated.bus) : await serveTcp(simulated.bus, 0);
  const disk = kind === 'power' ? await ext4Disk(fullForMs === undefined ? 48 : 40) : await folderDisk();
  const outside = mkdtempSync(join(tmpdir(), 'life-'));
  const configPath = join(outside, 'gateway.toml');
  const logPath = join(outside, 'log');
  writeFileSync(join(outside, 'secret'), 'meter\n', { mode: 0o600 });
  // The simulated meters' own keys. Every third meter is ciphered: then the invocation counters are on the disk as well.
  writeFileSync(join(outside, 'ek'), '000102030405060708090a0b0c0d0e0f\n', { mode: 0o600 });
  writeFileSync(join(outside, 'ak'), 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf\n', { mode: 0o600 });
  const entered = (index: number) =>
    index % 3 === 2
      ? { ...gmac, encryption_key: `file:${join(outside, 'ek')}`, authentication_key: `file:${join(outside, 'ak')}` }
      : { ...lls, secret: `file:${join(outside, 'secret')}` };
  const text = configuration({
    gateway: {
      tenant,
      clock_trust: 'assume',
      poll_offset_s: 1,
      state_directory: join(disk.path, 'state'),
      status_socket: join(outside, 'status.sock'),
    },
    mqtt: { url: elsewhere?.brokerUrl ?? brokerUrl, keepalive_s: 5 },
    log: { level: 'warn' },
    port: [
      {
        device: served.device,
        meter: simulated.meters.map(({ settings: { serial, physical } }, index) =>
          meterOf(serial, { physical, ...entered(index), since: new Date(since).toISOString() }),
        ),
      },
    ],
  });
  writeFileSync(configPath, text);

  const ingest = newIngest();
  const meaning = new Map<string, string>();
  const epochs = new Set<number>();
  const storage = new Set<string>();
  const central = await connectAsync(brokerUrl, { protocolVersion: 5, clientId: `central-${tenant}` });
  central.on('error', () => {});
  central.on('message', (topic, octets) => {
    if (topic.endsWith('/birth')) {
      const birth = parsePayload(birthPayload, octets);
      if (isUnfit(birth)) return;
      const answer = greet(ingest, birth);
      central.publish(topics(tenant, birth.gateway).ack, JSON.stringify(answer), { qos: 1 });
      // It was on the disk before it was told; whoever begins another one has lost it.
      epochs.add(birth.epoch);
      return;
    }
    const text = octets.toString();
    const { epoch, seq, name } = JSON.parse(text) as { epoch: number; seq: number; name?: string };
    const key = `${epoch}/${seq}`;
    const before = meaning.get(key);
    if (before !== undefined && before !== text && problems.length < 20)
      problems.push(`number ${key} means two things: ${before.slice(0, 700)} and ${text.slice(0, 700)}`);
    meaning.set(key, text);
    if (name?.startsWith('STORAGE')) storage.add(name);
    if (name === 'STORE_DAMAGED') problems.push(`the store was damaged: ${text.slice(0, 400)}`);
    take(ingest, topic, octets);
  });
  await central.subscribeAsync([birthFilter(tenant), upFilter(tenant)], { qos: 1 });
  const acknowledging = setInterval(() => {
    for (const [gateway, received] of ingest.received)
      central.publish(topics(tenant, gateway).ack, JSON.stringify(ackOf(received)), { qos: 1 });
  }, 100);

  let busy = 0;
  const endedByItself: string[] = [];
  let cutting = false;
  let daemon: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  const startDaemon = () => {
    const command = [
      ...(elsewhere?.command ?? []),
      join(root, 'node_modules/.bin/node'),
      '--max-old-space-size=64',
      join(root, 'dist/main/main.js'),
      'run',
      '--config',
      configPath,
    ];
    const log = openSync(logPath, 'w');
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', log, log],
      // What it has started goes with it, as when the power fails, and as systemd does it.
      detached: true,
      env: { ...process.env, UV_THREADPOOL_SIZE: '16', ...(preload !== undefined && { LD_PRELOAD: preload }) },
    });
    closeSync(log);
    daemon = child;
    ended = new Promise((resolve) =>
      child.once('exit', (code) => {
        // Not by us: systemd would start it again, here it is a finding.
        // Between the failure of its disk and its own end it may find the first.
        if (code !== null && !cutting)
          endedByItself.push(`the daemon ended by itself, ${code}: ${readFileSync(logPath, 'utf8').slice(-600)}`);
        resolve(code);
      }),
    );
  };
  const signal = (name: 'SIGSTOP' | 'SIGKILL') => {
    try {
      if (daemon?.pid !== undefined) process.kill(-daemon.pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  // Of a disk that is shut down a sync may say that it was done: nobody is there to believe it when the power fails.
  const freeze = async () => {
    signal('SIGSTOP');
    await sleep(3);
  };
  const dead = async () => {
    signal('SIGKILL');
    await ended;
  };
  /** Of every interval that ended before the life began. */
  const compare = () => {
    let expected = 0;
    let right = 0;
    const wrong: string[] = [];
    const last = Math.floor(start / hourMs) * hourMs;
    for (const { settings, curve } of simulated.meters)
      for (let end = since + hourMs; end <= last; end += hourMs)
        for (const [i, channel] of channels.entries()) {
          expected++;
          const value = ingest.values.get(valueKey(`m${settings.serial}`, series, channel, end - hourMs));
          const register = curve.register(i as 0 | 1, millis(end));
          const energy = register - curve.register(i as 0 | 1, millis(end - hourMs));
          if (!value) continue;
          if (value.register === register && value.energy === energy) right++;
          else wrong.push(`m${settings.serial} ${new Date(end).toISOString()}: ${JSON.stringify(value)}`);
        }
    return { expected, right, wrong };
  };

  // Without syncs the loss is what is to be seen: once it is, nothing is waited for any more.
  const lostAsMeant = () => preload !== undefined && epochs.size > 1;
  /** Something has been delivered, and more is to come. */
  const atWork = () => until(() => ingest.values.size > 0, 'the first values', finishLimitMs);

  try {
    for (let cut = 0; cut < cuts; cut++) {
      startDaemon();
      // Whoever was never heard of cannot be seen to have lost anything.
      if (preload !== undefined) await atWork();
      await sleep(shortestMs + random() * (longestMs[kind] - shortestMs));
      cutting = true;
      await disk.cut(freeze, dead);
      cutting = false;
      const { expected, right } = compare();
      if (right < expected) busy++;
    }
    startDaemon();
    await meanwhile?.();
    if (fullForMs !== undefined) {
      // Until not one octet more fits: LevelDB fails in the middle of its work.
      await atWork();
      const other = join(disk.path, 'somebody-else');
      const file = openSync(other, 'w');
      try {
        for (let size = 2 ** 20; size >= 512; )
          try {
            writeSync(file, randomBytes(size));
          } catch {
            size /= 2;
          }
      } finally {
        closeSync(file);
      }
      await sleep(fullForMs);
      rmSync(other);
    }
    if (failing) {
      await atWork();
      disk.fail(failing.how);
      await sleep(failing.forMs);
      await disk.replace();
    }
    const received = () => [...ingest.received.values()][0];
    const whole = () => {
      const { expected, right, wrong } = compare();
      const now = received();
      const reported = fullForMs === undefined || storage.has('STORAGE_OK');
      return (right === expected && now !== undefined && now.beyond.size === 0 && reported) || wrong.length > 0;
    };
    const over = () => whole() || lostAsMeant() || endedByItself.length > 0;
    for (const limit = Date.now() + finishLimitMs; !over() && Date.now() < limit; ) await sleep(50);
    const { expected, right, wrong } = compare();
    problems.push(...endedByItself, ...wrong.slice(0, 5));
    if (right !== expected) problems.push(`${right} of ${expected} values delivered`);
    if (epochs.size !== 1) problems.push(`the store was lost: ${epochs.size} epochs`);
    const numbers = received();
    if (!numbers || numbers.beyond.size > 0)
      problems.push(
        `numbers are missing after ${numbers?.upTo} of epoch ${numbers?.epoch}; there are ${[...(numbers?.beyond ?? [])].slice(0, 5).join(', ')}`,
      );
    if (ingest.counters.conflicts > 0) problems.push(`two values at one revision: ${ingest.conflicts[0]}`);
    if (ingest.counters.unfit > 0) problems.push(`${ingest.counters.unfit} payloads outside of the contract`);
    if (ingest.counters.gaps > 0) problems.push(`${ingest.counters.gaps} gaps, and no meter had one`);
    const { messages, duplicates } = ingest.counters;
    return { cuts, busy, intervals: expected / channels.length, messages, duplicates, storage: [...storage], problems };
  } finally {
    clearInterval(acknowledging);
    cutting = true;
    await dead();
    await central.endAsync(true);
    await served.close();
    await disk.remove();
    rmSync(outside, { recursive: true, force: true });
  }
}
