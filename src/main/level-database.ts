/** LevelDB behind the store's Database, with the rules that its failures taught us (see README, durability). */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { Failure, messageOf } from '../base/errors.ts';
import type { Database } from '../store/database.ts';

interface LevelError extends Error {
  readonly code?: string;
  readonly cause?: LevelError;
}

async function openLevel(path: string, createIfMissing: boolean): Promise<Database> {
  const level = new Level<string, Uint8Array>(path, { createIfMissing, keyEncoding: 'utf8', valueEncoding: 'view' });
  try {
    await level.open();
  } catch (error) {
    const { cause } = error as LevelError;
    const why = messageOf(cause ?? error);
    if (cause?.code === 'LEVEL_LOCKED') throw new Failure('store-locked', `${path} is open in another process`);
    if (/does not exist|No such file/.test(why)) throw new Failure('store-missing', `${path}: ${why}`);
    throw new Failure('store-damaged', `${path} does not open: ${why}`);
  }
  return {
    get: (key) => level.get(key),
    batch: (operations, options) => level.batch([...operations], options),
    range: async (gte, lt, limit) => {
      const iterator = level.iterator({ gte, lt, limit });
      try {
        // One nextv gives what fits LevelDB's read-ahead (16 KiB), not what was asked for.
        const pairs: [string, Uint8Array][] = [];
        for (;;) {
          const more = await iterator.nextv(limit - pairs.length);
          pairs.push(...more);
          if (more.length === 0 || pairs.length >= limit) return pairs;
        }
      } finally {
        await iterator.close();
      }
    },
    close: () => level.close(),
  };
}

export interface Folder {
  readonly epoch: number;
  readonly created: boolean;
  open(): Promise<Database>;
  openCounters(): Promise<Database>;
  logDamage(): readonly string[];
}

/**
 * The state directory. A marker file, written once and synced, says that the store was created; from then on LevelDB is
 * never allowed to create one, because it would replace a damaged store by an empty one without a word.
 */
export async function stateFolder(directory: string, now: number): Promise<Folder> {
  const marker = join(directory, 'provisioned.json');
  const paths = { store: join(directory, 'store'), counters: join(directory, 'counters') };
  let created = false;
  let epoch = Math.floor(now / 1000);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (existsSync(marker)) {
      epoch = (JSON.parse(readFileSync(marker, 'utf8')) as { epoch: number }).epoch;
      if (!Number.isSafeInteger(epoch)) throw new Error(`${marker} holds no epoch`);
    }
  } catch (error) {
    throw new Failure('store-failed', messageOf(error));
  }
  if (existsSync(marker)) {
    for (const path of Object.values(paths)) {
      if (!existsSync(join(path, 'CURRENT'))) {
        throw new Failure(
          'store-missing',
          `${path} has no CURRENT, although ${marker} says that the store was created`,
        );
      }
    }
  } else {
    for (const path of Object.values(paths)) {
      if (existsSync(path) && existsSync(join(path, 'CURRENT'))) continue;
      await (await openLevel(path, true)).close();
    }
    writeFileSync(marker, `${JSON.stringify({ epoch, created: new Date(now).toISOString() })}\n`, { mode: 0o640 });
    for (const path of [marker, directory]) {
      const file = openSync(path, 'r');
      fsyncSync(file);
      closeSync(file);
    }
    created = true;
  }
  return {
    epoch,
    created,
    open: () => openLevel(paths.store, false),
    openCounters: () => openLevel(paths.counters, false),
    logDamage: () => {
      try {
        const lines = readFileSync(join(paths.store, 'LOG'), 'utf8').split('\n');
        return lines.filter((line) => /dropping|Corruption|ignoring error/.test(line)).slice(0, 20);
      } catch {
        return [];
      }
    },
  };
}
