/**
 * Invocation counters, in a database of their own: reserved ahead in blocks and synced before use, so that after any
 * power cut the next value is above every value ever sent with that key (R37). A block that was not used up is skipped.
 */
import { Failure } from '../base/errors.ts';
import type { Database } from './database.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const blockSize = 1000;
const counterLimit = 0xffff_ffff;
/** From here on the key should be changed (R37): half of what a counter can be is left for that. */
export const counterAlarm = 2_000_000_000;

export class Counters {
  private readonly database: Database;
  private readonly leases = new Map<string, { next: number; end: number }>();

  constructor(database: Database) {
    this.database = database;
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
      const raw = await this.database.get(`c/${key}`);
      const record = raw && decodeRecord(raw);
      // A counter of unknown value must not be used: a repeated one gives the key away.
      if (raw && !record) {
        throw new Failure('store-damaged', `invocation counter ${key} is damaged; read the meter's own and raise it`);
      }
      const stored = record ? (record.body as { reserved: number }).reserved : 0;
      const start = Math.max(lease?.next ?? stored, atLeast);
      const end = Math.max(stored, start + Math.max(blockSize, count));
      if (end > counterLimit) throw new Failure('store-failed', `invocation counter ${key} is used up: change the key`);
      const value = encodeRecord({ sequence: end, body: { reserved: end } });
      await this.database.batch([{ type: 'put', key: `c/${key}`, value }], { sync: true });
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
