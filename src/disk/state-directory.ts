/**
 * The state directory of the gateway:
 *   provisioned.json   written once and synced: the databases were created; from then on a missing one is a loss
 *   checkpoint*        what the store, and the counters, stored last, noted outside of them: one that fell behind is noticed
 *   store, counters    LevelDB
 *   *.damaged-N        what a repair started from, *.replaced-N what a backup was put in the place of; the newest two of each
 *   ballast            room that is given up when the disk is full
 *   on-turn, set-aside.json  which meter is on turn (not synced), and which were at unasked ends: they wait
 *   unclean            how often in a row the gateway ended without having been asked to
 * A database that does not open is repaired on a copy; where that does not help either it is put aside and a new one
 * begins, filled from the meters. The gateway starts unattended in every case but three: another process has the database,
 * the disk does not take or give, or the directory cannot be written.
 */
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Disk } from '../schedule/storage.ts';
import { Counters, type CountersSettings } from '../store/counters.ts';
import { laterEpoch } from '../store/epoch.ts';
import type { Database } from '../store/database.ts';
import type { Checkpoint } from '../store/records.ts';
import type { StoreSettings } from '../store/store.ts';
import { checkpointFile } from './checkpoint-file.ts';
import { notTheFiles, openLevel } from './level-database.ts';
import { damagedCopies, droppedBy, openOrRecover, maxUnclean } from './recovery.ts';
import { diskOf, octetsOf } from './space.ts';
import { syncDatabase, syncFile } from './sync.ts';

export interface StateDirectory {
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

const never = new AbortController().signal;
const uncleanName = 'unclean';

/** Makes the databases where they never were; false where they were. Failure `store-failed`. */
async function provision(directory: string, now: number): Promise<boolean> {
  const marker = join(directory, 'provisioned.json');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (existsSync(marker)) return false;
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
    return true;
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('store-failed', messageOf(error));
  }
}

/** LevelDB ends the process on some damages: how often in a row that may have been, this start counted already. */
function countUnclean(directory: string, tell: (trouble: string) => void): number {
  const path = join(directory, uncleanName);
  try {
    diskOf(directory);
    const unclean = existsSync(path) ? Number(readFileSync(path, 'utf8')) || maxUnclean : 0;
    writeFileSync(path, String(unclean + 1));
    return unclean;
  } catch (error) {
    // A disk that takes nothing is reported once more when the database is opened.
    tell(`${path} or the ballast is not kept, a store that ends the gateway is not noticed: ${messageOf(error)}`);
    return 0;
  }
}

/** LevelDB opens with tables that do not read. */
async function openCounters(open: (broken?: string) => Promise<Database>): Promise<Database> {
  const database = await open();
  try {
    await database.range('', '\u{10ffff}', 100_000);
    return database;
  } catch (error) {
    await database.close();
    if (notTheFiles.test(messageOf(error))) throw error;
    return open(messageOf(error));
  }
}

/** `stop`: mending may be given up, which rejects with its reason. `tell`: what works without, but should not have to. */
export async function stateDirectory(
  directory: string,
  now: number,
  stop: AbortSignal = never,
  tell: (trouble: string) => void = () => {},
): Promise<StateDirectory> {
  const created = await provision(directory, now);
  const unclean = countUnclean(directory, tell);
  const uncleanPath = join(directory, uncleanName);
  const damage: string[] = [];
  const opening = (name: string, found: string[]) => (broken?: string) =>
    openOrRecover({ directory, name, unclean, found: (what) => found.push(what), stop }, broken);
  return {
    created,
    settled: () => rmSync(uncleanPath, { force: true }),
    notCounted: () =>
      unclean === 0 ? rmSync(uncleanPath, { force: true }) : writeFileSync(uncleanPath, String(unclean)),
    store: {
      newEpoch: (after) => laterEpoch(after, Date.now(), randomInt(2 ** 26)),
      open: opening('store', damage),
      damageFound: () => [...damage.splice(0), ...droppedBy(join(directory, 'store'))],
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
        const database = await openCounters(opening('counters', lost));
        return { database, doubtful: lost.length + droppedBy(join(directory, 'counters')).length > 0 };
      },
      checkpoint: checkpointFile<number>(join(directory, 'checkpoint-counters'), tell),
    },
  };
}
