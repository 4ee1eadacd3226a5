/**
 * Invocation counters, in a database of their own: reserved ahead in blocks and synced before use, so that after any
 * power cut the next value is above every value ever sent with that key (R37). A block that was not used up is skipped.
 * `w` says that nothing was lost since the database was new, and how many keys there are: only then is a key without a
 * counter one that was never used.
 */
import { Failure } from '../base/errors.ts';
import type { Database, Operation } from './database.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const blockSize = 1000;
const counterLimit = 0xffff_ffff;
/** From here on the key should be changed (R37): half of what a counter can be is left for that. */
export const counterAlarm = 2_000_000_000;
const wholeKey = 'w';
const wholeOperation = (keys: number): Operation => ({
  type: 'put',
  key: wholeKey,
  value: encodeRecord(wholeKey, { sequence: keys, body: {} }),
});

export class Counters {
  private readonly database: Database;
  private readonly leases = new Map<string, { next: number; end: number }>();
  /** How many keys there are; undefined: counters may have been used of which the database no longer tells. */
  private keys: number | undefined;

  private constructor(database: Database) {
    this.database = database;
  }

  /** `fresh`: the database was just created. `doubtful`: it may have lost something. */
  static async open(
    database: Database,
    { fresh = false, doubtful = false }: { readonly fresh?: boolean; readonly doubtful?: boolean } = {},
  ): Promise<Counters> {
    const counters = new Counters(database);
    const found = (await database.range('c/', 'c/~', 100_000)).length;
    const raw = await database.get(wholeKey);
    const told = raw && decodeRecord(wholeKey, raw)?.sequence;
    if (!doubtful && (told === found || (fresh && found === 0))) counters.keys = found;
    if (counters.keys === undefined && raw) await database.batch([{ type: 'del', key: wholeKey }], { sync: true });
    else if (counters.keys !== undefined && !raw) await database.batch([wholeOperation(0)], { sync: true });
    return counters;
  }

  /** Whether nothing was lost since the database was new. */
  get whole(): boolean {
    return this.keys !== undefined;
  }

  private async reserved(key: string): Promise<number | undefined> {
    const raw = await this.database.get(`c/${key}`);
    const record = raw && decodeRecord(`c/${key}`, raw);
    if (record) return (record.body as { reserved: number }).reserved;
    return raw || this.keys === undefined ? undefined : 0;
  }

  /** Whether it is known which values were used: where not, the meter must be asked first. */
  async known(key: string): Promise<boolean> {
    return this.leases.has(key) || (await this.reserved(key)) !== undefined;
  }

  /** The next value that a lease will give; undefined where none was leased since the start. */
  next(key: string): number | undefined {
    return this.leases.get(key)?.next;
  }

  /**
   * Values for one session, durable before the first is used: `next` needs no disk. `atLeast` raises the counter, nothing
   * lowers it. What a session does not use is given to the next one.
   */
  async lease(key: string, count: number, atLeast = 0): Promise<() => number> {
    let lease = this.leases.get(key);
    if (!lease || lease.end - lease.next < count || lease.next < atLeast) {
      const stored = lease || atLeast > 0 ? ((await this.reserved(key)) ?? 0) : await this.reserved(key);
      // A counter of unknown value must not be used: a repeated one gives the key away.
      if (stored === undefined)
        throw new Failure(
          'store-damaged',
          `invocation counter ${key} is not known; the meter's own must be read first`,
        );
      const start = Math.max(lease?.next ?? stored, atLeast);
      const end = Math.max(stored, start + Math.max(blockSize, count));
      if (end > counterLimit) throw new Failure('store-failed', `invocation counter ${key} is used up: change the key`);
      const value = encodeRecord(`c/${key}`, { sequence: end, body: { reserved: end } });
      const operations: Operation[] = [{ type: 'put', key: `c/${key}`, value }];
      const keys = this.keys === undefined || (await this.database.get(`c/${key}`)) ? this.keys : this.keys + 1;
      if (keys !== undefined && keys !== this.keys) operations.push(wholeOperation(keys));
      await this.database.batch(operations, { sync: true });
      this.keys = keys;
      lease = { next: start, end };
      this.leases.set(key, lease);
    }
    const held = lease;
    return () => {
      if (held.next >= held.end) throw new Failure('store-failed', `the lease of invocation counter ${key} is used up`);
      return held.next++;
    };
  }
}
