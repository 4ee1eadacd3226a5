/**
 * Invocation counters, in a database of their own: reserved ahead in blocks and synced before use, so that after any
 * power cut the next value is above every value ever sent with that key (R37). A block that was not used up is skipped. Keys
 * of the database:
 *   c/<key>   reserved up to here; `doubtful`: perhaps more was used, the meter must be asked first
 *   w         how many keys there are, how many blocks were ever reserved, and whether something was lost once: then a key
 *             without a counter may have had one
 * Where the database may have lost something, no counter in it counts until its meter was asked, at this start or a later one.
 */
import { Failure, messageOf } from '../base/errors.ts';
import type { Database, Operation } from './database.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const blockSize = 1000;
const counterLimit = 0xffff_ffff;
/** From here on the key should be changed (R37): half of what a counter can be is left for that. */
export const counterAlarm = 2_000_000_000;
const wholeKey = 'w';

export interface CountersSettings {
  /** Opens the database; called again after an I/O error. `doubtful`: it may have lost something. */
  readonly open: () => Promise<{ readonly database: Database; readonly doubtful?: boolean }>;
  /** The database was just created. */
  readonly fresh?: boolean;
  /** How many blocks were ever reserved, kept outside of the database: tells one that fell behind. */
  readonly checkpoint?: { read(): number | undefined; write(blocks: number): void; close(): void };
}
interface Reserved {
  readonly reserved: number;
  readonly doubtful?: true;
}
interface Whole {
  readonly keys: number;
  readonly blocks: number;
  /** Something was lost once. */
  readonly lost?: true;
}
const put = (key: string, sequence: number, body: Reserved | Whole): Operation => ({
  type: 'put',
  key,
  value: encodeRecord(key, { sequence, body }),
});

export class Counters {
  private readonly settings: CountersSettings;
  private readonly leases = new Map<string, { next: number; end: number }>();
  private database: Database | undefined;
  private whole: Whole = { keys: 0, blocks: 0, lost: true };
  /** Since it was opened first the database was found to have lost something. */
  foundDoubtful = false;
  private fresh: boolean;
  private working: Promise<unknown> = Promise.resolve();

  private constructor(settings: CountersSettings) {
    this.settings = settings;
    this.fresh = settings.fresh ?? false;
  }

  static async open(settings: CountersSettings): Promise<Counters> {
    const counters = new Counters(settings);
    await counters.using(() => Promise.resolve());
    return counters;
  }

  async close(): Promise<void> {
    await this.working.catch(() => {});
    await this.database?.close();
    this.database = undefined;
    this.settings.checkpoint?.close();
  }

  /** One at a time; after an I/O error the database is closed, and opened again by the next. */
  private using<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const next = this.working
      .catch(() => {})
      .then(async () => {
        try {
          return await work(this.database ?? (await this.opened()));
        } catch (error) {
          if (error instanceof Failure) throw error;
          await this.database?.close().catch(() => {});
          this.database = undefined;
          throw new Failure('store-failed', `invocation counters: ${messageOf(error)}`);
        }
      });
    this.working = next;
    return next;
  }

  private async opened(): Promise<Database> {
    const { database, doubtful = false } = await this.settings.open();
    this.database = database;
    const pairs = await database.range('c/', 'c/~', 100_000);
    const raw = await database.get(wholeKey);
    const told = raw && (decodeRecord(wholeKey, raw)?.body as Whole | undefined);
    const blocks = this.settings.checkpoint?.read() ?? 0;
    const { fresh } = this;
    this.fresh = false;
    if (!doubtful && told?.keys === pairs.length && told.blocks >= blocks) {
      this.whole = told;
      return database;
    }
    if (!doubtful && fresh && !raw && pairs.length === 0 && blocks === 0) {
      this.whole = { keys: 0, blocks: 0 };
      await database.batch([put(wholeKey, 0, this.whole)], { sync: true });
      return database;
    }
    // Nothing in it counts until its meter was asked. What this process leased is above all that it used.
    this.foundDoubtful = true;
    this.whole = { keys: pairs.length, blocks: Math.max(told?.blocks ?? 0, blocks), lost: true };
    const operations = pairs.map(([key, value]) => {
      const { reserved } = (decodeRecord(key, value)?.body ?? { reserved: 0 }) as Reserved;
      return put(key, reserved, { reserved, doubtful: true });
    });
    await database.batch([...operations, put(wholeKey, this.whole.blocks, this.whole)], { sync: true });
    return database;
  }

  private async reserved(database: Database, key: string): Promise<Reserved & { readonly absent?: true }> {
    const raw = await database.get(`c/${key}`);
    if (!raw) return { reserved: 0, absent: true, ...(this.whole.lost && { doubtful: true }) };
    return (decodeRecord(`c/${key}`, raw)?.body as Reserved | undefined) ?? { reserved: 0, doubtful: true };
  }

  /** Whether it is known which values were used: where not, the meter must be asked first. */
  known(key: string): Promise<boolean> {
    if (this.leases.has(key)) return Promise.resolve(true);
    return this.using(async (database) => (await this.reserved(database, key)).doubtful !== true);
  }

  /** The next value that a lease will give; undefined where none was leased since the start. */
  next(key: string): number | undefined {
    return this.leases.get(key)?.next;
  }

  /**
   * Values for one session, durable before the first is used: `next` needs no disk. `atLeast` raises the counter, nothing
   * lowers it; above 0 the meter was asked. What a session does not use is given to the next one.
   */
  lease(key: string, count: number, atLeast = 0): Promise<() => number> {
    return this.using(async (database) => {
      let lease = this.leases.get(key);
      if (!lease || lease.end - lease.next < count || lease.next < atLeast) {
        const stored = await this.reserved(database, key);
        // A counter of unknown value must not be used: a repeated one gives the key away.
        if (stored.doubtful && !lease && atLeast === 0)
          throw new Failure(
            'store-damaged',
            `invocation counter ${key} is not known; the meter's own must be read first`,
          );
        const start = Math.max(lease?.next ?? stored.reserved, atLeast);
        const end = Math.max(stored.reserved, start + Math.max(blockSize, count));
        if (end > counterLimit)
          throw new Failure('store-failed', `invocation counter ${key} is used up: change the key`);
        const whole = { ...this.whole, keys: this.whole.keys + (stored.absent ? 1 : 0), blocks: this.whole.blocks + 1 };
        await database.batch([put(`c/${key}`, end, { reserved: end }), put(wholeKey, whole.blocks, whole)], {
          sync: true,
        });
        this.whole = whole;
        this.settings.checkpoint?.write(whole.blocks);
        lease = { next: start, end };
        this.leases.set(key, lease);
      }
      const held = lease;
      return () => {
        if (held.next >= held.end)
          throw new Failure('store-failed', `the lease of invocation counter ${key} is used up`);
        return held.next++;
      };
    });
  }
}
