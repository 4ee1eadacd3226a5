/**
 * The state directory of the gateway:
 *   provisioned.json   written once and synced: the databases were created; from then on a missing one is a loss
 *   checkpoint*        what the store stored last, and the counters, told outside of them: one that fell behind is noticed
 *   store, counters    LevelDB
 *   *.damaged-N        what a repair started from, *.replaced-N what a backup was put in the place of; the newest two of each
 *   ballast            room that is given up when the disk is full
 *   on-turn, set-aside.json  which meter is on turn (not synced), and which were at unasked ends: they wait
 *   unclean            how often in a row the gateway ended without having been asked to
 * A database that does not open is repaired on a copy; where that does not help either it is put aside and a new one
 * begins, filled from the meters. The gateway starts unattended in every case but three: another process has the database,
 * the disk does not take or give, or the directory cannot be written.
 */
import {
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomBytes, randomInt } from 'node:crypto';
import { basename, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { Counters, type CountersSettings } from '../store/counters.ts';
import { laterEpoch } from '../store/epoch.ts';
import { decodeRecord, encodeRecord } from '../store/record.ts';
import type { Checkpoint } from '../store/records.ts';
import type { StoreSettings } from '../store/store.ts';
import type { Database } from '../store/database.ts';
import type { Disk } from '../schedule/storage.ts';
import { keyRanges, notTheFiles, openLevel } from './level-database.ts';
import { runSalvage } from './salvage-process.ts';

export interface StateFolder {
  readonly created: boolean;
  /** The gateway stopped as it should, or has been up for long: the next start need not look for damage. */
  settled(): void;
  /** This start ended before it could have done harm: it counts neither as an end nobody asked for nor as a good one. */
  notCounted(): void;
  /** For Store.open. */
  readonly store: Pick<StoreSettings, 'open' | 'newEpoch' | 'damageFound' | 'checkpoint'>;
  /** What the disk has left, less the ballast where it was given up; laid in again when there is room. */
  disk(): Disk;
  /** Deletes copies that were put aside, the oldest first, one at a time. */
  relieve(): { what: string; bytes: number }[];
  /** For Counters.open. */
  readonly counters: CountersSettings;
}
/** Of all files of a database. */
export const octetsOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

const damagedMost = 2;
const ballastName = 'ballast';
const ballastBytes = 6 * 2 ** 20;
/** So many ends in a row that nobody asked for: the databases are read through before they are opened. */
const uncleanMost = 2;
/** Longer than any record of the checkpoint. */
const checkpointOctets = 256;

/** Room that is given up when there is no other: what is stored can be read, delivered and deleted then. */
function diskOf(directory: string): Disk {
  const path = join(directory, ballastName);
  const { bavail, blocks, bsize } = statfsSync(directory);
  const totalBytes = blocks * bsize;
  if (existsSync(path)) return { freeBytes: bavail * bsize, totalBytes };
  const freeBytes = Math.max(0, bavail * bsize - ballastBytes);
  if (freeBytes > ballastBytes) writeFileSync(path, randomBytes(ballastBytes));
  return { freeBytes, totalBytes };
}

export function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** LevelDB does not sync its first MANIFEST: a power cut would leave a database that seems damaged. */
export function syncDatabase(path: string): void {
  for (const file of readdirSync(path)) syncFile(join(path, file));
  syncFile(path);
}

/** Failure `store-locked` where another process has the database at this path, if there is one. */
export async function notAnother(path: string): Promise<void> {
  if (!existsSync(path)) return;
  try {
    await (await openLevel(path, false)).close();
  } catch (error) {
    // Whatever else is wrong with it, it is being replaced.
    if (error instanceof Failure && error.code === 'store-locked') throw error;
  }
}

/** What a database consists of besides its tables; LevelDB opens without a log and says nothing. */
function missingPart(path: string): string | undefined {
  if (!existsSync(path)) return 'the folder is missing';
  const names = readdirSync(path);
  if (!names.includes('CURRENT')) return 'CURRENT is missing';
  if (!names.some((name) => name.startsWith('MANIFEST-'))) return 'its MANIFEST is missing';
  return names.some((name) => name.endsWith('.log')) ? undefined : 'its log is missing';
}

function damagedCopies(directory: string, name: string): string[] {
  const number = (one: string) => Number(one.split('-').at(-1));
  return readdirSync(directory)
    .filter((one) => one.startsWith(`${name}.damaged-`) || one.startsWith(`${name}.replaced-`))
    .toSorted((a, b) => number(a) - number(b))
    .map((one) => join(directory, one));
}

/** What LevelDB says in its LOG of what it did not read, since it was opened last. */
function droppedBy(path: string): string[] {
  try {
    const lines = readFileSync(join(path, 'LOG'), 'utf8').split('\n');
    return lines.filter((line) => /dropping|Corruption|ignoring error/.test(line)).slice(0, 20);
  } catch (error) {
    // Without its LOG LevelDB works as well; one that is there and does not read may have told of a loss.
    return codeOf(error) === 'ENOENT' ? [] : [`LOG does not read: ${messageOf(error)}`];
  }
}

/** Puts the database aside under the next number; the oldest ones go. */
export function putAside(directory: string, name: string, why: 'damaged' | 'replaced' = 'damaged'): void {
  const before = damagedCopies(directory, name);
  const next = Number(before.at(-1)?.split('-').at(-1) ?? 0) + 1;
  renameSync(join(directory, name), join(directory, `${name}.${why}-${next}`));
  for (const old of before.slice(0, Math.max(0, before.length + 1 - damagedMost)))
    rmSync(old, { recursive: true, force: true });
}

/** Copies what reads of the damaged database `from`, which is spoilt by it, to `to`; false where it was not all. */
async function salvaged(from: string, to: string, stop: AbortSignal): Promise<boolean> {
  const copy = async (...part: string[]) => {
    const done = await runSalvage(['copy', from, to, ...part], stop);
    // The damaged one stays where it is, and is mended when the disk takes it.
    if (done.hindered !== undefined) throw new Failure('store-failed', `${from} cannot be mended: ${done.hindered}`);
    return done;
  };
  const all = await copy();
  if (all.ended) return all.whole;
  // Something in it ends the process: everything else is read around it.
  for (const range of keyRanges.keys())
    for (const direction of ['forward', 'reverse']) if ((await copy(String(range), direction)).whole) break;
  return false;
}

/** Whether all of it reads. Failure `store-failed` where the disk does not tell. */
async function checked(path: string, stop: AbortSignal): Promise<boolean> {
  const { whole, hindered } = await runSalvage(['check', path], stop);
  if (hindered !== undefined) throw new Failure('store-failed', `${path} cannot be read: ${hindered}`);
  return whole;
}

/** How a database is opened. */
interface Opening {
  readonly directory: string;
  readonly name: string;
  readonly unclean: number;
  /** Told what was done and why. */
  readonly found: (what: string) => void;
  /** Whoever is asked to stop need not mend to the end. */
  readonly stop: AbortSignal;
}

/** A database that opens, whatever it takes. */
async function recover({ directory, name, found, stop }: Opening, why: string): Promise<Database> {
  const path = join(directory, name);
  const [work, fresh] = [`${path}.repair`, `${path}.salvaged`];
  const clear = () => {
    for (const one of [work, fresh]) rmSync(one, { recursive: true, force: true });
  };
  // Power may have failed between the two renames of an earlier recovery.
  const source = existsSync(path) ? path : damagedCopies(directory, name).at(-1);
  clear();
  try {
    let whole = false;
    if (source !== undefined) {
      // The damaged one stays as it is until there is another.
      cpSync(source, work, { recursive: true });
      whole = await salvaged(work, fresh, stop);
    }
    const usable = existsSync(join(fresh, 'CURRENT')) && (await checked(fresh, stop));
    if (!usable) rmSync(fresh, { recursive: true, force: true });
    await (await openLevel(fresh, !usable)).close();
    syncDatabase(fresh);
    if (existsSync(path)) putAside(directory, name);
    renameSync(fresh, path);
    clear();
    found(`${name}: ${why}; ${usable ? (whole ? 'repaired' : 'repaired in part') : 'lost, a new one begins'}`);
  } catch (error) {
    // The room is needed to open what there is.
    clear();
    if (stop.aborted) throw error;
    throw error instanceof Failure
      ? error
      : new Failure('store-failed', `${path} is damaged (${why}): ${messageOf(error)}`);
  }
  syncFile(directory);
  return openLevel(path, false);
}

/** After several ends that nobody asked for: whether it reads; after one more, whether it can be compacted. */
const doubt = async (path: string, { unclean, stop }: Opening): Promise<string | undefined> =>
  unclean < uncleanMost
    ? undefined
    : (await runSalvage(['check', path, unclean > uncleanMost ? 'compact' : ''], stop)).broken;

async function openOrRecover(opening: Opening, broken: string | undefined): Promise<Database> {
  const { directory, name } = opening;
  const path = join(directory, name);
  const why = broken ?? missingPart(path) ?? (await doubt(path, opening));
  if (why !== undefined) return recover(opening, why);
  try {
    return await openLevel(path, false);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code === 'store-damaged') return recover(opening, error.message);
    // LevelDB writes its log anew when it is opened, and a full disk has no room for that: now the ballast is needed.
    if (!/No space left/.test(error.message) || !existsSync(join(directory, ballastName))) throw error;
    rmSync(join(directory, ballastName));
    return openLevel(path, false);
  }
}

/** A record of its own file, overwritten in place; what is half written is no record. */
function checkpointFile<T>(
  path: string,
  tell: (trouble: string) => void,
): { read(): T | undefined; write(checkpoint: T): void; close(): void } {
  let file: number | undefined;
  let troubled = false;
  return {
    read() {
      try {
        const record = decodeRecord('checkpoint', Buffer.from(readFileSync(path, 'latin1').trimEnd(), 'latin1'));
        return record?.body as T | undefined;
      } catch (error) {
        // At the first start there is none.
        if (codeOf(error) !== 'ENOENT')
          tell(`${path} is not read, a store that fell behind it would not be noticed: ${messageOf(error)}`);
        return undefined;
      }
    },
    write(checkpoint) {
      try {
        file ??= openSync(path, existsSync(path) ? 'r+' : 'w+');
        const record = encodeRecord('checkpoint', { sequence: 0, body: checkpoint });
        // Spaces up to a fixed length, so that nothing of a longer one stays behind it.
        const octets = Buffer.alloc(checkpointOctets, ' ');
        record.copy(octets);
        writeSync(file, octets, 0, checkpointOctets, 0);
        troubled = false;
      } catch (error) {
        // It only tells more; the store is complete without it. Said once.
        if (!troubled)
          tell(`${path} is not kept, a store that falls behind it will not be noticed: ${messageOf(error)}`);
        troubled = true;
        this.close();
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

const never = new AbortController().signal;
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** `stop`: mending may be given up, which rejects with its reason. `tell`: what works without, but should not have to. */
export async function stateFolder(
  directory: string,
  now: number,
  stop: AbortSignal = never,
  tell: (trouble: string) => void = () => {},
): Promise<StateFolder> {
  const marker = join(directory, 'provisioned.json');
  let created = false;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (!existsSync(marker)) {
      for (const name of ['store', 'counters']) {
        const path = join(directory, name);
        if (existsSync(path)) continue;
        // Under another name until it is whole: the power may fail at any moment.
        const fresh = `${path}.new`;
        rmSync(fresh, { recursive: true, force: true });
        const open = async () => ({ database: await openLevel(fresh, true) });
        if (name === 'counters') await (await Counters.open({ open, fresh: true })).close();
        else await (await open()).database.close();
        syncDatabase(fresh);
        renameSync(fresh, path);
      }
      writeFileSync(marker, `${JSON.stringify({ created: new Date(now).toISOString() })}\n`, { mode: 0o640 });
      for (const path of [marker, directory]) syncFile(path);
      created = true;
    }
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('store-failed', messageOf(error));
  }
  // LevelDB ends the process on some damages: then it is not opened a third time without a look.
  const uncleanPath = join(directory, 'unclean');
  let unclean = 0;
  try {
    diskOf(directory);
    unclean = existsSync(uncleanPath) ? Number(readFileSync(uncleanPath, 'utf8')) || uncleanMost : 0;
    writeFileSync(uncleanPath, String(unclean + 1));
  } catch (error) {
    // A disk that takes nothing is told once more when the database is opened.
    tell(
      `${uncleanPath} or the ballast is not kept, a store that ends the gateway is not noticed: ${messageOf(error)}`,
    );
  }
  const damage: string[] = [];
  return {
    created,
    settled: () => rmSync(uncleanPath, { force: true }),
    notCounted: () =>
      unclean === 0 ? rmSync(uncleanPath, { force: true }) : writeFileSync(uncleanPath, String(unclean)),
    store: {
      newEpoch: (after) => laterEpoch(after, Date.now(), randomInt(2 ** 26)),
      open: (broken) =>
        openOrRecover({ directory, name: 'store', unclean, found: (what) => damage.push(what), stop }, broken),
      damageFound: () => {
        return [...damage.splice(0), ...droppedBy(join(directory, 'store'))];
      },
      checkpoint: checkpointFile<Checkpoint>(join(directory, 'checkpoint'), tell),
    },
    disk: () => diskOf(directory),
    relieve: () => {
      const [oldest] = ['store', 'counters'].flatMap((name) => damagedCopies(directory, name));
      if (oldest === undefined) return [];
      const bytes = octetsOf(oldest);
      rmSync(oldest, { recursive: true, force: true });
      return [{ what: basename(oldest), bytes }];
    },
    counters: {
      open: async () => {
        const lost: string[] = [];
        const open = (broken?: string) =>
          openOrRecover({ directory, name: 'counters', unclean, found: (what) => lost.push(what), stop }, broken);
        let database = await open();
        try {
          // LevelDB opens with tables that do not read.
          await database.range('', '\u{10ffff}', 100_000);
        } catch (error) {
          await database.close();
          if (notTheFiles.test(messageOf(error))) throw error;
          database = await open(messageOf(error));
        }
        return { database, doubtful: lost.length + droppedBy(join(directory, 'counters')).length > 0 };
      },
      checkpoint: checkpointFile<number>(join(directory, 'checkpoint-counters'), tell),
    },
  };
}
