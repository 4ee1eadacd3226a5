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

  /** Counters may have been used of which the database no longer tells. */
  private readonly lost: boolean;

  constructor(database: Database, { lost = false }: { readonly lost?: boolean } = {}) {
    this.database = database;
    this.lost = lost;
  }

  private async reserved(key: string): Promise<number | undefined> {
    const raw = await this.database.get(`c/${key}`);
    const record = raw && decodeRecord(`c/${key}`, raw);
    if (record) return (record.body as { reserved: number }).reserved;
    return raw || this.lost ? undefined : 0;
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
