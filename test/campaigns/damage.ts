/**
 * Damage to the files of a store: flipped bits, cut ends, zeroed pages, files that vanished. Whatever it is, the store opens
 * by itself, delivers nothing that was not stored, and what is lost is told and read from the meters again.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { later, millis, type Clock } from '../../src/base/time.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import type { Fact, ProfileFact } from '../../src/reading/facts.ts';
import { marksOf } from '../../src/reading/interval-hash.ts';
import { type Random, seeded } from '../../src/simulator/random.ts';
import { Counters } from '../../src/store/counters.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const program = fileURLToPath(import.meta.url);
const hour = 3_600_000;
const meters = Array.from({ length: 12 }, (_, i) => `m${i}`);
const begin = Date.UTC(2026, 10, 1);

export interface Template {
  readonly folder: string;
  readonly facts: readonly (readonly [sequence: number, json: string])[];
  readonly marks: readonly (readonly [at: string, mark: string])[];
  readonly acknowledged: number;
  readonly nextSequence: number;
  readonly epoch: number;
  /** The highest invocation counter that was used of each key. */
  readonly used: readonly (readonly [key: string, counter: number])[];
}
const fact = (meter: string, hours: number): ProfileFact => ({
  kind: 'profile',
  meter,
  point: `p-${meter}`,
  serial: meter,
  series: '1-0:99.1.0*255',
  start: new Date(begin + hours * hour).toISOString(),
  periodS: 3600,
  count: 1,
  channels: [{ obis: '1-0:1.8.0*255', unit: 'Wh', scaler: 0, register: [1_000_000 + hours * 731], energy: [731] }],
  status: [0],
  quality: ['MEASURED'],
  rev: [0],
  readAt: new Date(begin).toISOString(),
  clockDeviationS: 0,
  clockTrust: 'system',
});
/** Goes on by itself, so that a store that waits before it opens its database anew need not be waited for. */
let now = 0;
const clock: Clock = {
  now: () => millis((now += 3000)),
  wall: () => later(millis(begin), now),
  sleepUntil: () => Promise.resolve(),
};
const open = async (folder: string): Promise<Store & { end: () => Promise<void> }> => {
  const state = await stateDirectory(folder, begin);
  const store = await Store.open({ ...state.store, clock, packSize: 4 });
  const end = async () => {
    await store.close();
    state.settled();
  };
  return Object.assign(store, { end });
};
/** A store whose files turn out to be broken mends itself at the next try. */
async function tried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}
const outboxOf = async (store: Store): Promise<Map<number, Fact>> => {
  const found = new Map<number, Fact>();
  for (const entryClass of [0, 1] as const)
    for (let after = 0; ; ) {
      const from = after;
      const entries = await tried(() => store.outbox(entryClass, from, 500));
      if (entries.length === 0) break;
      for (const entry of entries) found.set(entry.sequence, factOf(entry));
      after = (entries.at(-1) as (typeof entries)[0]).sequence;
    }
  return found;
};
const marksIn = async (store: Store): Promise<Map<string, string>> => {
  const found = new Map<string, string>();
  for (const meter of meters)
    for (const [start, { rev, hash, gap }] of await tried(() =>
      store.marks(meter, storedSeriesKey('p'), begin, begin + 200 * hour),
    ))
      found.set(`${meter}/${start}`, `${rev}/${hash}/${gap}`);
  return found;
};

const keys = ['key-a', 'key-b', 'key-c'];
/** Uses counters of each key over several starts, so that they lie in tables and in a log. */
async function useCounters(folder: string): Promise<Map<string, number>> {
  const used = new Map<string, number>();
  for (let start = 0; start < 4; start++) {
    const state = await stateDirectory(folder, begin);
    const counters = await Counters.open(state.counters);
    for (const [i, key] of keys.entries())
      for (let leases = start === 0 ? 3 : 3 - i; leases > 0; leases--) {
        const next = await counters.lease(key, 900);
        for (let n = 0; n < 900; n++) used.set(key, next());
      }
    await counters.close();
    state.settled();
  }
  return used;
}
/** Counters that are given although they were used. */
async function reusedCounters(
  folder: string,
  used: ReadonlyMap<string, number>,
): Promise<{ problems: string[]; doubtful: boolean }> {
  const state = await stateDirectory(folder, begin);
  const counters = await Counters.open(state.counters);
  const problems: string[] = [];
  for (const [key, highest] of used) {
    if (!(await counters.known(key))) continue;
    const value = (await counters.lease(key, 1))();
    if (value <= highest) problems.push(`counter ${value} of ${key} was used, up to ${highest}`);
  }
  await counters.close();
  state.settled();
  return { problems, doubtful: counters.foundDoubtful };
}

/** A store with several tables, a log, and a third of its entries acknowledged. */
export async function damageTemplate(): Promise<Template> {
  const folder = mkdtempSync(join(tmpdir(), 'damage-template-'));
  // First, while the state is new.
  const used = [...(await useCounters(folder))];
  let store = await open(folder);
  for (let hours = 0; hours < 160; hours++) {
    for (const meter of meters) {
      const one = fact(meter, hours);
      await store.commit({
        meter,
        series: storedSeriesKey('p'),
        state: { since: begin, periodMs: hour, coverage: [[begin, begin + (hours + 1) * hour]] },
        entryClass: hours % 3 === 0 ? 1 : 0,
        facts: [one],
        marks: marksOf(one, hour),
      });
    }
    // Opened anew now and then, so that logs become tables.
    if (hours % 30 === 29) {
      await store.acknowledge(hours * 4, new Set());
      await store.end();
      store = await open(folder);
    }
  }
  const facts = new Map([...(await outboxOf(store))].map(([sequence, one]) => [sequence, JSON.stringify(one)]));
  const marks = await marksIn(store);
  const { nextSequence, acknowledged, epoch } = await store.status();
  await store.end();
  return { folder, facts: [...facts], marks: [...marks], acknowledged, nextSequence, epoch, used };
}

export const damageKinds = ['flip', 'cut', 'zero', 'remove'] as const;
export interface DamageResult {
  readonly what: string;
  /** How often LevelDB ended the process before the store was there. */
  readonly aborts: number;
  /** Whether something was lost of what was not acknowledged: then it must have been told. */
  readonly lost: boolean;
  /** STORE_DAMAGED, or that the counters are in doubt. */
  readonly reported: boolean;
  readonly newEpoch: boolean;
  readonly problems: readonly string[];
}

/** Files of the database that matter; LOG and LOCK are for people and processes. */
const filesOf = (folder: string): string[] =>
  ['store', 'counters'].flatMap((name) =>
    readdirSync(join(folder, name))
      .filter((file) => !/^(LOG|LOG\.old|LOCK)$/.test(file))
      .map((file) => join(name, file)),
  );

function hurt(path: string, kind: (typeof damageKinds)[number], random: Random): string {
  if (kind === 'remove') {
    rmSync(path);
    return 'removed';
  }
  const octets = Buffer.from(readFileSync(path));
  const at = Math.floor(random() * octets.length);
  if (kind === 'flip' && octets.length > 0) octets[at] = (octets[at] as number) ^ (1 << Math.floor(random() * 8));
  if (kind === 'zero') octets.fill(0, at - (at % 4096), Math.min(octets.length, at - (at % 4096) + 4096));
  writeFileSync(path, kind === 'cut' ? octets.subarray(0, at) : octets);
  return `${kind} at ${at} of ${octets.length}`;
}

/** One damage, from a seed; the same seed, the same damage. */
export async function damage(template: Template, seed: number): Promise<DamageResult> {
  const random = seeded(seed);
  const folder = mkdtempSync(join(tmpdir(), 'damage-'));
  try {
    cpSync(template.folder, folder, { recursive: true });
    const files = filesOf(folder);
    const name = files[Math.floor(random() * files.length)] as string;
    const kind = damageKinds[Math.floor(random() * damageKinds.length)] as (typeof damageKinds)[number];
    const what = `seed ${seed}: ${name} ${hurt(join(folder, name), kind, random)}`;
    const templateFile = join(folder, 'template.json');
    writeFileSync(templateFile, JSON.stringify(template));
    // In a process of its own, because LevelDB ends the process on some damages; then it is started again, as systemd does.
    for (let aborts = 0; ; aborts++) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [program, folder, templateFile], {
        encoding: 'utf8',
      });
      if (status === 0) return { what, aborts, ...(JSON.parse(stdout) as Verdict) };
      if (status !== null || aborts === 4) {
        const problems = [`the process ended: ${stderr.slice(0, 300)}`];
        return { what, aborts, lost: true, reported: false, newEpoch: false, problems };
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Verdict = Omit<DamageResult, 'what' | 'aborts'>;
async function verdict(template: Template, folder: string): Promise<Verdict> {
  const [storedFacts, storedMarks] = [new Map(template.facts), new Map(template.marks)];
  const problems: string[] = [];
  let store: Awaited<ReturnType<typeof open>>;
  try {
    store = await open(folder);
  } catch (error) {
    return { lost: true, reported: false, newEpoch: false, problems: [`it does not open: ${String(error)}`] };
  }
  let found = await outboxOf(store);
  // Damage that shows while it is read mends the store: then it is another one.
  for (let before = -1; before !== (await store.status()).nextSequence; ) {
    before = (await store.status()).nextSequence;
    await marksIn(store);
    found = await outboxOf(store);
  }
  const events = [...found.values()].filter((one) => one.kind === 'event' && one.name === 'STORE_DAMAGED');
  const reported = events.length > 0;
  for (const [sequence, one] of found) {
    if (one.kind === 'void' || one.kind === 'event') continue;
    // An acknowledged entry may come back; it is only sent again.
    const stored = storedFacts.get(sequence) ?? (sequence <= template.acknowledged ? JSON.stringify(one) : undefined);
    if (stored !== JSON.stringify(one)) problems.push(`entry ${sequence} is not what was stored`);
  }
  const missing = [...storedFacts.keys()].filter(
    (sequence) => !found.has(sequence) || found.get(sequence)?.kind === 'void',
  );
  const forgotten = meters.every(
    (meter) => (store.seriesState(meter, storedSeriesKey('p'))?.coverage ?? []).length === 0,
  );
  if (missing.length > 0 && !reported) problems.push(`${missing.length} entries are gone and nothing is told`);
  if (missing.length > 0 && !forgotten) problems.push(`${missing.length} entries are gone and are not read again`);
  const newEpoch = store.epoch !== template.epoch;
  // A number means one thing for ever: the next one was never given in this epoch.
  const { nextSequence } = await store.status();
  if (!newEpoch && nextSequence < template.nextSequence) problems.push(`number ${nextSequence} is given twice`);
  if (!newEpoch)
    for (let sequence = store.acknowledged + 1; sequence < nextSequence; sequence++)
      if (!found.has(sequence)) problems.push(`number ${sequence} keeps no place`);
  for (const [at, mark] of await marksIn(store)) {
    const before = storedMarks.get(at);
    const [rev, hash, gap] = (before ?? '').split('/');
    if (mark !== before && mark !== `${rev}/0/${gap}`) problems.push(`mark ${at} is ${mark}, it was ${rev}/${hash}`);
  }
  // It goes on: what is stored now is there after the next start.
  await tried(() => store.commit({ meter: 'm0', entryClass: 0, facts: [fact('m0', 999)] }));
  const last = (await store.status()).nextSequence - 1;
  await store.end();
  const again = await open(folder);
  if ((await outboxOf(again)).get(last)?.kind !== 'profile') problems.push('what was stored afterwards is gone');
  if (again.epoch !== store.epoch) problems.push('another epoch after the next start');
  await again.end();
  const reused = await reusedCounters(folder, new Map(template.used));
  problems.push(...reused.problems);
  return { lost: missing.length > 0, reported: reported || reused.doubtful, newEpoch, problems };
}

if (process.argv[1] === program) {
  const [, , folder = '', templateFile = ''] = process.argv;
  const template = JSON.parse(readFileSync(templateFile, 'utf8')) as Template;
  process.stdout.write(JSON.stringify(await verdict(template, folder)));
}
