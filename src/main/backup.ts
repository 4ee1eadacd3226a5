/**
 * A backup of the state: what `meter-gateway backup` writes and `restore` reads. Gzip of lines of JSON: a head, a record of
 * either database a line (`s` store, `c` counters; key, value in base64), and a foot with the number of records and their
 * SHA-256, so that one that was cut off is none. No secrets are in it, nor the configuration; readings of people's homes are.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { Failure, messageOf } from '../base/errors.ts';
import { iso } from '../base/time.ts';
import { systemClock } from '../line/system-clock.ts';
import { Counters } from '../store/counters.ts';
import type { Operation } from '../store/database.ts';
import type { Config } from '../config/schema.ts';
import { askBackup } from '../desk/client.ts';
import { refuseNewer, restoredState, storeFormat } from '../store/records.ts';
import { Store } from '../store/store.ts';
import { asOwner } from './as-owner.ts';
import { openLevel } from '../disk/level-database.ts';
import { notAnother, putAside } from '../disk/recovery.ts';
import { syncDatabase, syncFile } from '../disk/sync.ts';
import { withStoppedState } from './stopped-state.ts';

const kind = 'meter-gateway backup';
const backupVersion = 1;
interface Head {
  readonly kind: typeof kind;
  readonly v: number;
  readonly madeAt: string;
  readonly version: string;
  readonly storeFormat: number;
  readonly epoch: number;
}
interface Foot {
  readonly records: number;
  readonly sha256: string;
}
const databases = { s: 'store', c: 'counters' } as const;
type Letter = keyof typeof databases;

async function* linesOf(
  store: Pick<Store, 'records' | 'epoch'>,
  counters: Pick<Counters, 'records'>,
  madeAt: string,
  version: string,
): AsyncGenerator<string> {
  const head: Head = { kind, v: backupVersion, madeAt, version, storeFormat, epoch: store.epoch };
  yield `${JSON.stringify(head)}\n`;
  const digest = createHash('sha256');
  let records = 0;
  for (const [letter, all] of [['s', store.records()] as const, ['c', counters.records()] as const])
    for await (const pairs of all) {
      let text = '';
      for (const [key, value] of pairs) {
        const line = `${JSON.stringify([letter, key, Buffer.from(value).toString('base64')])}\n`;
        digest.update(line);
        text += line;
        records++;
      }
      yield text;
    }
  yield `${JSON.stringify({ records, sha256: digest.digest('hex') } satisfies Foot)}\n`;
}

/** The octets of a backup, as the store is when the first of them is taken; the gateway goes on meanwhile. */
export const backupOf = (...what: Parameters<typeof linesOf>): AsyncIterable<Uint8Array> =>
  Readable.from(linesOf(...what)).pipe(createGzip({ level: 6 }));

/** Writes octets to a new file of mode 0600, whole and synced, or not at all. Returns how many. */
async function writeBackup(path: string, octets: AsyncIterable<Uint8Array>): Promise<number> {
  if (existsSync(path)) throw new Failure('file-unusable', `${path} exists already; a backup replaces nothing`);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`);
  let length = 0;
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      for await (const part of octets) {
        writeSync(file, part);
        length += part.length;
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // What did not come whole has no foot.
    await readBackup(temporary, () => {});
    renameSync(temporary, path);
    syncFile(dirname(path));
    return length;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error instanceof Failure ? error : new Failure('file-unusable', `${path}: ${messageOf(error)}`);
  }
}

/** Reads a backup from its head to its foot. Failure `backup-unfit` where it is none, or not whole. */
async function readBackup(
  path: string,
  take: (letter: Letter, key: string, value: Uint8Array) => void | Promise<void>,
): Promise<Head> {
  const no = (why: string) => new Failure('backup-unfit', `${path} is no whole backup: ${why}`);
  const source = createReadStream(path);
  const unzipped = source.pipe(createGunzip());
  source.on('error', (error) => unzipped.destroy(error));
  let head: Head | undefined;
  let foot: Foot | undefined;
  let records = 0;
  const digest = createHash('sha256');
  try {
    for await (const line of createInterface({ input: unzipped, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (foot) throw no('something comes after its end');
      const parsed = JSON.parse(line) as unknown;
      if (!head) {
        head = parsed as Head;
        if (head.kind !== kind) throw no('it does not begin as one');
        if (head.v !== backupVersion) throw no(`it is of version ${head.v}, this program reads ${backupVersion}`);
        refuseNewer(head.storeFormat, path);
      } else if (Array.isArray(parsed)) {
        const [letter, key, value] = parsed as [Letter, string, string];
        if (!(letter in databases)) throw no(`a record of no database: ${letter as string}`);
        digest.update(`${line}\n`);
        records++;
        await take(letter, key, Buffer.from(value, 'base64'));
      } else foot = parsed as Foot;
    }
  } catch (error) {
    throw error instanceof Failure ? error : no(messageOf(error));
  }
  if (!head || !foot) throw no('its end is missing');
  if (foot.records !== records || foot.sha256 !== digest.digest('hex'))
    throw no('its records are not those it tells of');
  return head;
}

/** Through the running gateway, or on its state while it is stopped. Returns how many octets the file has. */
export async function backUp(
  path: string,
  socket: string,
  config: Config | '' | undefined,
  version: string,
): Promise<number> {
  try {
    return await writeBackup(path, await askBackup(socket));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'no-gateway' || !config) throw error;
  }
  return writeStoppedBackup(path, config.gateway.state_directory, version);
}

/** The same while no gateway runs. The file is written by whoever asks, the state is read by its owner. */
async function writeStoppedBackup(path: string, directory: string, version: string): Promise<number> {
  async function* octets(): AsyncGenerator<Uint8Array> {
    const all = await withStoppedState(directory, async (folder) => {
      const store = await Store.open({ ...folder.store, clock: systemClock });
      const counters = await Counters.open(folder.counters);
      try {
        const found: Uint8Array[] = [];
        for await (const part of backupOf(store, counters, iso(systemClock.wall()), version)) found.push(part);
        return found;
      } finally {
        await store.close();
        await counters.close();
      }
    });
    yield* all;
  }
  return writeBackup(path, octets());
}

/** What a whole backup is of; Failure `backup-unfit`. */
export async function inspectBackup(path: string): Promise<{ madeAt: string; records: number }> {
  let records = 0;
  const { madeAt } = await readBackup(path, () => void records++);
  return { madeAt, records };
}

const batchSize = 500;

/**
 * Puts the state of a backup in the place of what is in the directory, which is kept beside it as `store.replaced-N`. The
 * next start begins an epoch, and asks each meter with keys for its invocation counter first. Failure `store-locked` while
 * a gateway runs there.
 */
export async function restoreBackup(path: string, directory: string): Promise<{ madeAt: string; records: number }> {
  // Read once to its end before anything is touched.
  const { madeAt, records } = await inspectBackup(path);
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  const fresh = (name: string) => join(directory, `${name}.restored`);
  const names = Object.values(databases);
  try {
    for (const name of names) {
      await asOwner(directory, () => notAnother(join(directory, name)));
      rmSync(fresh(name), { recursive: true, force: true });
    }
    const open = { s: await openLevel(fresh('store'), true), c: await openLevel(fresh('counters'), true) };
    const waiting: Record<Letter, Operation[]> = { s: [], c: [] };
    const flush = async (letter: Letter) => {
      await open[letter].batch(waiting[letter].splice(0), { sync: true });
    };
    try {
      await readBackup(path, async (letter, key, value) => {
        waiting[letter].push({ type: 'put', key, value: letter === 's' ? restoredState(key, value) : value });
        if (waiting[letter].length >= batchSize) await flush(letter);
      });
      await flush('s');
      await flush('c');
    } finally {
      await open.s.close();
      // What was used since the backup is not known: no counter counts until its meter was asked.
      const doubtful = () => Promise.resolve({ database: open.c, doubtful: true });
      await (await Counters.open({ open: doubtful })).close();
    }
    for (const name of names) syncDatabase(fresh(name));
    takeOwner(directory, names.map(fresh));
    for (const name of names) {
      if (existsSync(join(directory, name))) putAside(directory, name, 'replaced');
      renameSync(fresh(name), join(directory, name));
    }
    // These files belong to the state that was replaced.
    for (const name of ['checkpoint', 'checkpoint-counters', 'unclean']) rmSync(join(directory, name), { force: true });
    syncFile(directory);
  } catch (error) {
    for (const name of names) rmSync(fresh(name), { recursive: true, force: true });
    throw error instanceof Failure ? error : new Failure('store-failed', `${directory}: ${messageOf(error)}`);
  }
  return { madeAt, records };
}

/** Whoever restores may be root; the gateway is not. */
function takeOwner(directory: string, folders: readonly string[]): void {
  const { uid, gid } = statSync(directory);
  for (const folder of folders) {
    chmodSync(folder, 0o750);
    for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) chownSync(path, uid, gid);
  }
}
