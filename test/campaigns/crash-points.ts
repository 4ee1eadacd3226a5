/**
 * Every crash point of a session with the store, from a recording of its file operations: what is on the disk when the power
 * fails between any two of them, with writes that were not synced applied, left out, torn, or out of order. Of each such
 * disk the store is opened: what was committed is there, and its numbers are not given again.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/line/system-clock.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import type { Fact } from '../../src/reading/facts.ts';
import { type Random, seeded } from '../../src/simulator/random.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const program = fileURLToPath(import.meta.url);
const sessionCommits = 60;

/** Why no session can be recorded here; undefined where it can. */
export function cannotRecord(): string | undefined {
  try {
    execFileSync('strace', ['-V'], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'no strace';
  }
}

type Operation =
  | { readonly kind: 'create' | 'unlink' | 'mkdir'; readonly path: string }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly octets: Buffer }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'sync'; readonly path: string }
  /** The caller was told that this entry is stored. */
  | { readonly kind: 'committed'; readonly sequence: number; readonly fact: string };

export interface Recording {
  readonly operations: readonly Operation[];
  readonly epoch: number;
}

const fact = (n: number): Fact => ({
  kind: 'reading',
  meter: 'm1',
  point: 'p1',
  serial: 's1',
  readAt: '2026-11-24T00:00:00Z',
  registers: { '1-0:1.8.0*255': { raw: n * 7919, scaler: 0, unit: 'x'.repeat(1 + ((n * 37) % 400)) } },
  clockDeviationS: 0,
});

/** In a process of its own: commits, an acknowledgement now and then, and a second start in the middle. */
async function session(folder: string, tellPath: string): Promise<void> {
  let sequence = 0;
  for (const part of [0, 1]) {
    const state = await stateDirectory(folder, Date.UTC(2026, 10, 24));
    const store = await Store.open({ ...state.store, clock: systemClock, packSize: 4 });
    for (let n = 0; n < sessionCommits / 2; n++) {
      const one = fact(part * 1000 + n);
      await store.commit({
        meter: `m${n % 5}`,
        series: storedSeriesKey('p'),
        state: { since: 0, coverage: [[0, n + 1]] },
        entryClass: n % 2 === 0 ? 0 : 1,
        facts: [one],
      });
      sequence++;
      // A line of the recording: from here on it must be there.
      writeFileSync(tellPath, JSON.stringify({ sequence, fact: JSON.stringify(one), epoch: store.epoch }));
      if (n % 10 === 9) await store.acknowledge(sequence - 5, new Set());
    }
    await store.close();
    state.settled();
  }
}

const unhex = (text: string): Buffer => Buffer.from(text.replaceAll(String.raw`\x`, ''), 'hex');

/** Runs a session under strace and reads what it did to its files. */
export function record(): Recording {
  const outside = mkdtempSync(join(tmpdir(), 'crash-record-'));
  const folder = join(outside, 'state');
  const [log, tellPath] = [join(outside, 'strace.log'), join(outside, 'told')];
  const calls =
    'openat,write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,mkdir,mkdirat';
  try {
    const args = ['-f', '-y', '-xx', '-s', '8000000', '-o', log, '-e', `trace=${calls}`];
    const { status, stderr } = spawnSync('strace', [...args, process.execPath, program, 'session', folder, tellPath], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`the session did not end well: ${stderr.slice(0, 500)}`);
    return parse(readFileSync(log, 'latin1'), folder, tellPath);
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
}

/** Lines of several threads; one that was interrupted comes in two halves. */
function joined(log: string): string[] {
  const open = new Map<string, string>();
  const lines: string[] = [];
  for (const line of log.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const begun = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (begun) open.set(thread, begun[1] as string);
    else if (resumed) {
      lines.push(`${open.get(thread) ?? ''}${resumed[1]}`);
      open.delete(thread);
    } else lines.push(rest);
  }
  return lines;
}

function parse(log: string, folder: string, tellPath: string): Recording {
  const operations: Operation[] = [];
  /** Where the next write of a descriptor goes. */
  const positions = new Map<string, number>();
  const known = new Set<string>();
  let epoch = 0;
  const inside = (path: string): string | undefined =>
    path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
  for (const line of joined(log)) {
    const [, call = '', rest = ''] = /^(\w+)\((.*)$/.exec(line) ?? [];
    const failed = / = -1 /.test(rest);
    if (failed) continue;
    const strings = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => unhex(hex));
    const [, descriptor = '', hexPath = ''] = /^(\d+)<([^>]*)>/.exec(rest) ?? [];
    const path = hexPath.includes(String.raw`\x`) ? unhex(hexPath).toString() : hexPath;
    if (call === 'openat') {
      const name = inside(strings[0]?.toString() ?? '');
      const fd = / = (\d+)/.exec(rest)?.[1] ?? '';
      if (name === undefined) continue;
      positions.set(`${fd} ${name}`, 0);
      if (/O_CREAT/.test(rest) && !known.has(name)) {
        operations.push({ kind: 'create', path: name });
        known.add(name);
      } else if (/O_TRUNC/.test(rest)) operations.push({ kind: 'truncate', path: name, length: 0 });
    } else if (call === 'write' || call === 'pwrite64') {
      const octets = strings[0] ?? Buffer.alloc(0);
      if (path === tellPath) {
        const committed = JSON.parse(octets.toString()) as { sequence: number; fact: string; epoch: number };
        ({ epoch } = committed);
        operations.push({ kind: 'committed', sequence: committed.sequence, fact: committed.fact });
      }
      const name = inside(path);
      if (name === undefined) continue;
      const at = `${descriptor} ${name}`;
      const offset = call === 'pwrite64' ? Number(/, (\d+)\) = /.exec(rest)?.[1] ?? 0) : (positions.get(at) ?? 0);
      if (call === 'write') positions.set(at, offset + octets.length);
      operations.push({ kind: 'write', path: name, offset, octets });
    } else if (call === 'fsync' || call === 'fdatasync') {
      const name = path === folder ? '' : inside(path);
      if (name !== undefined) operations.push({ kind: 'sync', path: name });
    } else if (call.startsWith('rename')) {
      const [from, to] = strings.map((one) => inside(one.toString()));
      if (from === undefined || to === undefined) continue;
      operations.push({ kind: 'rename', path: from, to });
      known.delete(from);
      known.add(to);
    } else if (call.startsWith('unlink')) {
      const name = inside(strings[0]?.toString() ?? '');
      if (name === undefined) continue;
      operations.push({ kind: 'unlink', path: name });
      known.delete(name);
    } else if (call === 'ftruncate') {
      const name = inside(path);
      if (name !== undefined)
        operations.push({ kind: 'truncate', path: name, length: Number(/, (\d+)\)/.exec(rest)?.[1] ?? 0) });
    } else if (call.startsWith('mkdir')) {
      const name = inside(strings[0]?.toString() ?? '');
      if (name !== undefined) operations.push({ kind: 'mkdir', path: name });
    } else if (call.includes('writev') && (inside(path) !== undefined || path === tellPath))
      throw new Error(`${call} of ${path}: not recorded`);
  }
  return { operations, epoch };
}

interface File {
  /** As synced. */
  durable: Buffer;
  /** Since then, in order. */
  pending: Extract<Operation, { kind: 'write' | 'truncate' }>[];
}
type NameOperation = { readonly name: string; readonly file: File | undefined };

const applied = (content: Buffer, operation: File['pending'][number]): Buffer => {
  if (operation.kind === 'truncate')
    return Buffer.concat([content, Buffer.alloc(operation.length)]).subarray(0, operation.length);
  const { offset, octets } = operation;
  const grown = Buffer.alloc(Math.max(content.length, offset + octets.length));
  content.copy(grown);
  octets.copy(grown, offset);
  return grown;
};

/** Ways in which what was not synced may be on the disk. */
export const crashVariants = ['all', 'none', 'torn', 'mixed', 'reordered'] as const;
export type CrashVariant = (typeof crashVariants)[number];

/** The files on the disk when the power fails before operation `point`. */
function disk(
  operations: readonly Operation[],
  point: number,
  variant: CrashVariant,
  random: Random,
): Map<string, Buffer> {
  const live = new Map<string, File>();
  const durable = new Map<string, File>();
  /** Names since the folder was synced, in order. */
  let names: (readonly NameOperation[])[] = [];
  let last: File | undefined;
  /** All of it or nothing. */
  const rename = (...changes: readonly NameOperation[]) => {
    for (const { name, file } of changes)
      if (file) live.set(name, file);
      else live.delete(name);
    names.push(changes);
  };
  for (const operation of operations.slice(0, point)) {
    if (operation.kind === 'committed' || operation.kind === 'mkdir') continue;
    const file = live.get(operation.path);
    if (operation.kind === 'create') rename({ name: operation.path, file: { durable: Buffer.alloc(0), pending: [] } });
    else if (operation.kind === 'unlink') rename({ name: operation.path, file: undefined });
    else if (operation.kind === 'rename') {
      // A folder takes its files along.
      const { path, to } = operation;
      const moved: readonly (readonly [string, File])[] = file
        ? [[path, file]]
        : [...live].filter(([name]) => name.startsWith(`${path}/`));
      rename(
        ...moved.flatMap(([name, one]) => [
          { name, file: undefined },
          { name: `${to}${name.slice(path.length)}`, file: one },
        ]),
      );
    } else if (operation.kind === 'sync') {
      if (file) {
        for (const one of file.pending) file.durable = applied(file.durable, one);
        file.pending = [];
        // ext4 writes the name of a new file with it.
        for (const [name, one] of live) if (one === file) durable.set(name, file);
      } else {
        for (const one of names.flat())
          if (one.file) durable.set(one.name, one.file);
          else durable.delete(one.name);
        names = [];
      }
    } else if (file && (operation.kind === 'write' || operation.kind === 'truncate')) {
      file.pending.push(operation);
      last = file;
    }
  }
  const upTo = (length: number): number =>
    variant === 'all' ? length : variant === 'none' ? 0 : Math.floor(random() * (length + 1));
  const durableNames = variant === 'torn' || variant === 'reordered' ? names.length : upTo(names.length);
  const files = new Map(durable);
  for (const one of names.slice(0, durableNames).flat())
    if (one.file) files.set(one.name, one.file);
    else files.delete(one.name);
  const contents = new Map<string, Buffer>();
  for (const [name, file] of files) {
    let content = file.durable;
    const { pending } = file;
    if (variant === 'reordered') {
      // Pages reach the disk in any order; what did not is zero where the file grew.
      const whole = pending.reduce(applied, content);
      const pages = Buffer.alloc(whole.length);
      content.copy(pages);
      for (let at = 0; at < whole.length; at += 4096) if (random() < 0.5) whole.copy(pages, at, at, at + 4096);
      content = pending.length > 0 ? pages : content;
    } else if (variant === 'torn') {
      const count = file === last ? pending.length : 0;
      for (const [i, one] of pending.slice(0, count).entries())
        content = applied(
          content,
          one.kind === 'write' && i === count - 1
            ? { ...one, octets: one.octets.subarray(0, Math.floor(random() * one.octets.length)) }
            : one,
        );
    } else for (const one of pending.slice(0, upTo(pending.length))) content = applied(content, one);
    contents.set(name, content);
  }
  return contents;
}

export interface CrashResult {
  readonly problems: readonly string[];
  /** Entries that were committed before. */
  readonly committed: number;
  /** The store told of damage, although only the power had failed. */
  readonly reported: boolean;
}

/** The store opened on the disk of one crash point. */
export async function crash(
  { operations, epoch }: Recording,
  point: number,
  variant: CrashVariant,
  seed: number,
): Promise<CrashResult> {
  const folder = mkdtempSync(join(tmpdir(), 'crash-'));
  try {
    for (const [name, content] of disk(operations, point, variant, seeded(seed))) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const committed = operations.slice(0, point).flatMap((one) => (one.kind === 'committed' ? [one] : []));
    const problems: string[] = [];
    const state = await stateDirectory(folder, Date.UTC(2026, 10, 25));
    const store = await Store.open({ ...state.store, clock: systemClock, packSize: 4 });
    const found = new Map<number, Fact>();
    for (const entryClass of [0, 1] as const)
      for (const entry of await store.outbox(entryClass, 0, 10_000)) found.set(entry.sequence, factOf(entry));
    const reported = [...found.values()].some((one) => one.kind === 'event' && one.name === 'STORE_DAMAGED');
    for (const { sequence, fact: one } of committed) {
      // What the head-end had acknowledged may be gone, or still there.
      const now = found.get(sequence);
      if (now ? JSON.stringify(now) !== one : sequence > store.acknowledged)
        problems.push(`entry ${sequence} is ${now ? 'another one' : 'gone'}`);
    }
    const { nextSequence } = await store.status();
    if (committed.length > 0 && store.epoch === epoch && nextSequence <= (committed.at(-1)?.sequence ?? 0))
      problems.push(`number ${nextSequence} is given twice`);
    // Pages out of order look like damage, though only of what was not committed: then it is told, and an epoch begins.
    if (committed.length > 0 && store.epoch !== epoch && !reported) problems.push('the epoch is another one');
    await store.close();
    return { problems, committed: committed.length, reported };
  } catch (error) {
    return { problems: [`it does not open: ${String(error)}`], committed: 0, reported: false };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === program && process.argv[2] === 'session')
  await session(process.argv[3] as string, process.argv[4] as string);
