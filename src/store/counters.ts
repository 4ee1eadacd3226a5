/**
 * Invocation counters, in a database of their own: reserved ahead in blocks and synced before use, so that after any
 * power cut the next value is above every value ever sent with that key (R37). A block that was not used up is skipped.
 */
import { Failure } from '../base/errors.ts';
import type { Database } from './database.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const blockSize = 1000;

export class Counters {
  private readonly database: Database;
  private readonly leases = new Map<string, { next: number; end: number }>();

  constructor(database: Database) {
    this.database = database;
  }

  /** The next value for a key; never given twice. `atLeast` raises it, nothing lowers it. */
  async next(key: string, atLeast = 0): Promise<number> {
    let lease = this.leases.get(key);
    if (!lease || lease.next >= lease.end || lease.next < atLeast) {
      const raw = await this.database.get(`c/${key}`);
      const record = raw && decodeRecord(raw);
      // A counter of unknown value must not be used: a repeated one gives the key away.
      if (raw && !record)
        throw new Failure('store-damaged', `invocation counter ${key} is damaged; read the meter's own and raise it`);
      const stored = record ? (record.body as { reserved: number }).reserved : 0;
      const start = Math.max(stored, lease?.next ?? 0, atLeast);
      const end = start + blockSize;
      await this.database.batch(
        [{ type: 'put', key: `c/${key}`, value: encodeRecord({ sequence: end, body: { reserved: end } }) }],
        { sync: true },
      );
      lease = { next: start, end };
      this.leases.set(key, lease);
    }
    return lease.next++;
  }
}
