/** LevelDB behind the store's Database. */
import { Level } from 'level';
import { Failure, messageOf } from '../base/errors.ts';
import type { Database } from '../store/database.ts';

interface LevelError extends Error {
  readonly code?: string;
  readonly cause?: LevelError;
}
/** The disk or the machine, not the files: nothing is to be repaired, and a repair would make it worse. */
export const notTheFiles =
  /No space left|Input\/output error|Read-only file system|Permission denied|Too many open files|Cannot allocate|quota/i;
/** Entries of one series are alike: in blocks of this size they take three fifths of what they take in LevelDB's own 4 KiB. */
const blockOctets = 1 << 14;
const options = { keyEncoding: 'utf8', valueEncoding: 'view', blockSize: blockOctets } as const;
/** What one step of a range may hold in memory: a read of 200 entries is one trip to LevelDB's thread. */
const rangeOctets = 1 << 18;

/** Level's types leave it out. */
const compactAll = (level: Level<string, Uint8Array>): Promise<void> =>
  (level as unknown as { compactRange(from: string, to: string): Promise<void> }).compactRange('', '\u{10ffff}');

/** Failures: `store-locked`, `store-failed` (the disk), `store-damaged` (the files). */
async function opened(path: string, createIfMissing: boolean): Promise<Level<string, Uint8Array>> {
  const level = new Level<string, Uint8Array>(path, { createIfMissing, ...options });
  try {
    await level.open();
    return level;
  } catch (error) {
    const { cause } = error as LevelError;
    const why = messageOf(cause ?? error);
    if (cause?.code === 'LEVEL_LOCKED') throw new Failure('store-locked', `${path} is open in another process`);
    if (notTheFiles.test(why)) throw new Failure('store-failed', `${path} does not open: ${why}`);
    throw new Failure('store-damaged', `${path} does not open: ${why}`);
  }
}

/** Failures: `store-locked`, `store-failed` (the disk), `store-damaged` (the files). */
export async function openLevel(path: string, createIfMissing: boolean): Promise<Database> {
  const level = await opened(path, createIfMissing);
  return {
    get: (key) => level.get(key),
    batch: (operations, settings) => level.batch([...operations], settings),
    range: async (gte, lt, limit) => {
      const iterator = level.iterator({ gte, lt, limit, highWaterMarkBytes: rangeOctets } as object);
      try {
        // One nextv gives what fits into the room above, not what was asked for.
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
    remove: (gte, lt) => level.clear({ gte, lt }),
    async *all() {
      // An iterator reads what was there when it was made.
      const iterator = level.iterator({ highWaterMarkBytes: rangeOctets } as object);
      try {
        for (let pairs = await iterator.nextv(step); pairs.length > 0; pairs = await iterator.nextv(step)) yield pairs;
      } finally {
        await iterator.close();
      }
    },
    compact: () => compactAll(level),
    close: () => level.close(),
  };
}

export interface Range {
  readonly gte: string;
  readonly lt: string;
}
/** All keys, cut where their beginnings change: damage in one range leaves the others whole. */
export const keyRanges: readonly Range[] = ['', 'c/', 'd/', 'e/', 'k/', 'm/', 'o/0', 'o/1', 'q/', 's/'].map(
  (gte, i, all) => ({ gte, lt: all[i + 1] ?? '\u{10ffff}' }),
);
const step = 500;

/** Hands over what reads, from one end up to what does not. Returns whether that was all. Failure `store-failed`: the disk. */
async function walk(
  level: Level<string, Uint8Array>,
  range: Range,
  direction: 'forward' | 'reverse',
  take: (pairs: [string, Uint8Array][]) => Promise<void>,
): Promise<boolean> {
  const iterator = level.iterator({ ...range, reverse: direction === 'reverse' });
  try {
    for (let pairs = await iterator.nextv(step); pairs.length > 0; pairs = await iterator.nextv(step))
      await take(pairs);
    return true;
  } catch (error) {
    if (error instanceof Failure) throw error;
    // A disk that fails or is full says nothing of the files: what it does not take or give is not lost.
    if (notTheFiles.test(messageOf(error))) throw new Failure('store-failed', messageOf(error));
    return false;
  } finally {
    await iterator.close();
  }
}

/** Whether everything reads, in the order of its keys, and, where that is asked for, can be written anew. */
export async function readAll(path: string, compact: boolean): Promise<boolean> {
  let last = '';
  let ordered = true;
  const level = await opened(path, false);
  try {
    const whole = await walk(level, { gte: '', lt: '\u{10ffff}' }, 'forward', (pairs) => {
      for (const [key] of pairs) {
        if (key <= last) ordered = false;
        last = key;
      }
      return Promise.resolve();
    });
    if (!whole || !ordered) return false;
    if (compact) await compactAll(level);
    return true;
  } finally {
    await level.close();
  }
}

/** Repairs `from` by LevelDB's own means and copies into `to` what can be read of it then. Returns whether that was all. */
export async function salvage(
  from: string,
  to: string,
  ranges: readonly Range[],
  directions: readonly ('forward' | 'reverse')[],
): Promise<boolean> {
  // Level's types leave it out.
  const repairing = (Level as unknown as { repair(location: string): Promise<void> }).repair(from);
  await repairing.catch((error: unknown) => {
    throw notTheFiles.test(messageOf(error)) ? new Failure('store-failed', messageOf(error)) : error;
  });
  const source = new Level<string, Uint8Array>(from, { createIfMissing: false, ...options });
  const target = new Level<string, Uint8Array>(to, options);
  const write = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => {
      throw new Failure('store-failed', `${to} does not take what was read: ${messageOf(error)}`);
    });
  let whole = true;
  await source.open();
  try {
    await write(target.open());
    for (const range of ranges) {
      let read = false;
      for (const direction of directions) {
        if (read) break;
        read = await walk(source, range, direction, (pairs) =>
          write(target.batch(pairs.map(([key, value]) => ({ type: 'put', key, value })))),
        );
        if (!read) whole = false;
      }
    }
    // The last write brings all before it to the disk.
    await write(target.batch([{ type: 'del', key: ' ' }], { sync: true }));
  } finally {
    await source.close();
    await target.close();
  }
  return whole;
}
