/** A database that does not open is repaired on a copy, or put aside for a new one; the damaged one is kept. */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Database } from '../store/database.ts';
import { keyRanges, openLevel } from './level-database.ts';
import { runSalvage } from './salvage-process.ts';
import { giveUpBallast } from './space.ts';
import { syncDatabase, syncFile } from './sync.ts';

/** Copies that are kept. */
const maxDamagedCopies = 2;
/** So many ends in a row that nobody asked for: the databases are read through before they are opened. */
export const maxUnclean = 2;

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

export function damagedCopies(directory: string, name: string): string[] {
  const number = (one: string) => Number(one.split('-').at(-1));
  return readdirSync(directory)
    .filter((one) => one.startsWith(`${name}.damaged-`) || one.startsWith(`${name}.replaced-`))
    .toSorted((a, b) => number(a) - number(b))
    .map((one) => join(directory, one));
}

/** What LevelDB says in its LOG of what it did not read, since it was opened last. */
export function droppedBy(path: string): string[] {
  try {
    const lines = readFileSync(join(path, 'LOG'), 'utf8').split('\n');
    return lines.filter((line) => /dropping|Corruption|ignoring error/.test(line)).slice(0, 20);
  } catch (error) {
    // LevelDB works without its LOG as well; one that cannot be read may have had a loss in it.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? [] : [`LOG does not read: ${messageOf(error)}`];
  }
}

/** Puts the database aside under the next number; the oldest ones go. */
export function putAside(directory: string, name: string, why: 'damaged' | 'replaced' = 'damaged'): void {
  const before = damagedCopies(directory, name);
  const next = Number(before.at(-1)?.split('-').at(-1) ?? 0) + 1;
  renameSync(join(directory, name), join(directory, `${name}.${why}-${next}`));
  for (const old of before.slice(0, Math.max(0, before.length + 1 - maxDamagedCopies)))
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
  /** Called with what was done and why. */
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
  unclean < maxUnclean
    ? undefined
    : (await runSalvage(['check', path, unclean > maxUnclean ? 'compact' : ''], stop)).broken;

export async function openOrRecover(opening: Opening, broken: string | undefined): Promise<Database> {
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
    if (!/No space left/.test(error.message) || !giveUpBallast(directory)) throw error;
    return openLevel(path, false);
  }
}
