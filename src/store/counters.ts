/**
 * Invocation counters, in a database of their own: reserved ahead in blocks and synced before use, so that after any
 * power cut the next value is above every value ever sent with that key (R37). A block that was not used up is skipped. Keys
 * of the database:
 *   c/<key>   reserved up to here; `doubtful`: perhaps more was used, the meter must be asked first; `claims`: stretches above
 *             it that sessions used on the word of a meter that had not authenticated itself
 *   h/<meter> what is remembered of a meter: who it was, what it was heard to count, what it refused
 *   w         how many keys there are, how many blocks were ever reserved, and whether something was lost once: then a key
 *             without a counter may have had one
 * Where the database may have lost something, no counter in it counts until its meter was asked, at this start or a later one.
 */
import { Failure, messageOf } from '../base/errors.ts';
import type { Database, Operation } from './database.ts';
import { decodeRecord, encodeRecord } from './record.ts';

const blockSize = 1000;
const counterLimit = 0xffff_ffff;
/** Claims above a counter that may stand beside each other: a meter that names ever new counters and never authenticates is not followed further. */
const maxClaims = 16;
const wholeKey = 'w';

export interface CountersSettings {
  /** Opens the database; called again after an I/O error. `doubtful`: it may have lost something. */
  readonly open: () => Promise<{ readonly database: Database; readonly doubtful?: boolean }>;
  /** The database was just created. */
  readonly fresh?: boolean;
  /** How many blocks were ever reserved, kept outside of the database: tells one that fell behind. */
  readonly checkpoint?: { read(): number | undefined; write(blocks: number): void; close(): void };
}
/** Counters from the first value on, up to and without the second. */
type Stretch = readonly [from: number, to: number];
interface Reserved {
  readonly reserved: number;
  readonly doubtful?: true;
  readonly claims?: readonly Stretch[];
  /** By how much meters have raised it lately, and when (wall). */
  readonly raised?: Raised;
}
/** Up to format 3 of the store `claims` were called `apart`. */
function reservedOf(body: unknown): Reserved {
  const { ['apart']: claims, ...reserved } = body as Reserved & Partial<Record<'apart', readonly Stretch[]>>;
  return claims === undefined ? reserved : { claims, ...reserved };
}
export interface Raised {
  readonly by: number;
  readonly at: number;
}
/** What is known of the counter of a key. */
export interface Standing {
  readonly reserved: number;
  readonly doubtful: boolean;
  /** There is no record of it. */
  readonly absent: boolean;
  readonly raised: Raised | undefined;
}
/** Counters of one session on the word of a meter that has yet to authenticate itself. */
export interface Claim {
  readonly next: () => number;
  /** The meter authenticated itself: from now on the counter stands there. `raised`: what is remembered of raises. */
  readonly confirm: (raised: Raised) => Promise<void>;
}
/** What is remembered of a meter between sessions and starts. */
export interface MeterMemory {
  /** The meter that this is remembered of: another serial number is another meter. */
  readonly serial: string;
  /** Its system title, in hex, and the highest counter heard with it, as it authenticated itself last. */
  readonly title?: string;
  readonly heard?: number;
  /** The key that `heard` was counted with. */
  readonly keyName?: string;
  /** What the meter said of our counter and was not believed; up to `accepted` the operator believes it. */
  readonly claimed?: number;
  readonly accepted?: number;
  /** It authenticated itself as somebody else, or with a counter that was heard before: refused until the operator's word. */
  readonly strange?: 'title-changed' | 'replayed-counter';
  /**
   * The keys that it was given by an order, by their print; and those of which nobody knows yet whether it took them.
   */
  readonly keyInUse?: string;
  readonly keyChange?: string;
  /** What it mishandles and is not asked for any more, why, and since when. */
  readonly fallbacks?: Readonly<Record<string, { readonly reason: string; readonly at: number }>>;
  /** Entries that were refused in a row, those that ended in silence or a hang-up, and until when it is left alone. */
  readonly refusal?: {
    readonly count: number;
    readonly silent: number;
    readonly until: number;
    readonly code: string;
    readonly message: string;
  };
}
/** Where values begin that touch no stretch. */
function clearOf(claims: readonly Stretch[], from: number, count: number): number {
  let start = from;
  for (const [low, high] of claims.toSorted((a, b) => a[0] - b[0]))
    if (start < high && start + count > low) start = high;
  return start;
}
/** The stretches with another one; those that touch become one. */
function joined(claims: readonly Stretch[], added: Stretch): Stretch[] {
  const all: Stretch[] = [];
  for (const one of [...claims, added].toSorted((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last && one[0] <= last[1]) all[all.length - 1] = [last[0], Math.max(last[1], one[1])];
    else all.push(one);
  }
  return all;
}
interface Whole {
  readonly keys: number;
  readonly blocks: number;
  /** Something was lost once. */
  readonly lost?: true;
}
const put = (key: string, sequence: number, body: Reserved | Whole | MeterMemory): Operation => ({
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

  /** Every record as it is at this instant, for a backup. */
  async *records(): AsyncGenerator<[string, Uint8Array][]> {
    yield* await this.using((database) => Promise.resolve(database.all()));
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
    const stored = raw && (decodeRecord(wholeKey, raw)?.body as Whole | undefined);
    const blocks = this.settings.checkpoint?.read() ?? 0;
    const { fresh } = this;
    this.fresh = false;
    if (!doubtful && stored?.keys === pairs.length && stored.blocks >= blocks) {
      this.whole = stored;
      return database;
    }
    if (!doubtful && fresh && !raw && pairs.length === 0 && blocks === 0) {
      this.whole = { keys: 0, blocks: 0 };
      await database.batch([put(wholeKey, 0, this.whole)], { sync: true });
      return database;
    }
    // Nothing in it counts until its meter was asked. What this process leased is above all that it used.
    this.foundDoubtful = true;
    this.whole = { keys: pairs.length, blocks: Math.max(stored?.blocks ?? 0, blocks), lost: true };
    const operations = pairs.map(([key, value]) => {
      const before = reservedOf(decodeRecord(key, value)?.body ?? { reserved: 0 });
      return put(key, before.reserved, { ...before, doubtful: true });
    });
    await database.batch([...operations, put(wholeKey, this.whole.blocks, this.whole)], { sync: true });
    return database;
  }

  /** The state is not what it was (restored, copied, made anew): no counter counts until its meter was asked. */
  doubt(): Promise<void> {
    return this.using(async (database) => {
      this.foundDoubtful = true;
      this.leases.clear();
      const pairs = await database.range('c/', 'c/~', 100_000);
      const whole: Whole = { ...this.whole, lost: true };
      const operations = pairs.map(([key, value]) => {
        const before = reservedOf(decodeRecord(key, value)?.body ?? { reserved: 0 });
        return put(key, before.reserved, { ...before, doubtful: true });
      });
      await database.batch([...operations, put(wholeKey, whole.blocks, whole)], { sync: true });
      this.whole = whole;
    });
  }

  /** What is remembered of every meter. */
  remembered(): Promise<Map<string, MeterMemory>> {
    return this.using(async (database) => {
      const all = new Map<string, MeterMemory>();
      for (const [key, value] of await database.range('h/', 'h/~', 100_000)) {
        const record = decodeRecord(key, value);
        if (record) all.set(key.slice(2), record.body as MeterMemory);
      }
      return all;
    });
  }
  remember(meter: string, memory: MeterMemory): Promise<void> {
    return this.using((database) => database.batch([put(`h/${meter}`, 0, memory)], { sync: true }));
  }

  private async reserved(database: Database, key: string): Promise<Reserved & { readonly absent?: true }> {
    const raw = await database.get(`c/${key}`);
    if (!raw) return { reserved: 0, absent: true, ...(this.whole.lost && { doubtful: true }) };
    return reservedOf(decodeRecord(`c/${key}`, raw)?.body ?? { reserved: 0, doubtful: true });
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

  standing(key: string): Promise<Standing> {
    return this.using(async (database) => {
      const stored = await this.reserved(database, key);
      return {
        reserved: stored.reserved,
        doubtful: stored.doubtful === true && !this.leases.has(key),
        absent: stored.absent === true,
        raised: stored.raised,
      };
    });
  }

  /**
   * Values for one session, durable before the first is used: `next` needs no disk. `minimum` raises the counter, nothing
   * lowers it; above 0 the meter was asked. What a session does not use is given to the next one.
   */
  lease(key: string, count: number, minimum = 0): Promise<() => number> {
    return this.using(async (database) => {
      let lease = this.leases.get(key);
      if (!lease || lease.end - lease.next < count || lease.next < minimum) {
        const stored = await this.reserved(database, key);
        // A counter of unknown value must not be used: a repeated one gives the key away.
        if (stored.doubtful && !lease && minimum === 0)
          throw new Failure(
            'counter-unknown',
            `invocation counter ${key} is not known; the meter's own must be read first`,
          );
        const block = Math.max(blockSize, count);
        const start = clearOf(stored.claims ?? [], Math.max(lease?.next ?? stored.reserved, minimum), block);
        const end = Math.max(stored.reserved, start + block);
        if (end > counterLimit) throw usedUp(key);
        const { raised, claims } = stored;
        await this.reserve(database, key, stored.absent === true, {
          reserved: end,
          ...(raised && { raised }),
          ...above(claims, end),
        });
        lease = { next: start, end };
        this.leases.set(key, lease);
      }
      return taking(key, lease);
    });
  }

  /**
   * Values for one session from a number on that the meter named before it authenticated itself. They are durable before
   * use, so that none is ever given twice, but as a claim: the counter itself stays where it is until `confirm`.
   */
  claim(key: string, count: number, from: number): Promise<Claim> {
    return this.using(async (database) => {
      const stored = await this.reserved(database, key);
      const { claims = [], absent, ...rest } = stored;
      const start = clearOf(claims, Math.max(from, stored.reserved), count);
      const end = start + count;
      if (end > counterLimit) throw usedUp(key);
      const all = joined(claims, [start, end]);
      if (all.length > maxClaims)
        throw new Failure(
          'counter-implausible',
          `the meter named ${all.length} different counters and never authenticated itself`,
        );
      await this.reserve(database, key, absent === true, { ...rest, claims: all });
      const own = { next: start, end };
      return { next: taking(key, own), confirm: (raised) => this.confirm(key, own, raised) };
    });
  }

  private confirm(key: string, own: { next: number; end: number }, raised: Raised): Promise<void> {
    return this.using(async (database) => {
      const stored = await this.reserved(database, key);
      const reserved = Math.max(stored.reserved, own.end);
      await this.reserve(database, key, stored.absent === true, {
        reserved,
        raised,
        ...above(stored.claims, reserved),
      });
      // What the session leaves is given to the next, where nobody went further meanwhile.
      if (reserved === own.end) this.leases.set(key, own);
      else this.leases.delete(key);
    });
  }

  private async reserve(database: Database, key: string, absent: boolean, body: Reserved): Promise<void> {
    const whole = { ...this.whole, keys: this.whole.keys + (absent ? 1 : 0), blocks: this.whole.blocks + 1 };
    await database.batch([put(`c/${key}`, body.reserved, body), put(wholeKey, whole.blocks, whole)], { sync: true });
    this.whole = whole;
    this.settings.checkpoint?.write(whole.blocks);
  }
}

const usedUp = (key: string): Failure =>
  new Failure('counter-used-up', `invocation counter ${key} is used up: the encryption key must be changed`);
/** The stretches that lie above what is reserved now. */
function above(claims: readonly Stretch[] = [], reserved: number): Pick<Reserved, 'claims'> {
  const left = claims.filter(([, to]) => to > reserved);
  return left.length > 0 ? { claims: left } : {};
}
const taking = (key: string, held: { next: number; end: number }) => (): number => {
  if (held.next >= held.end) throw new Failure('counters-spent', `the counters of this session (${key}) are spent`);
  return held.next++;
};
