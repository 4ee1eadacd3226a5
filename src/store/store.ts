/**
 * The store: what was read and is not yet acknowledged, and how far each series is accounted for. All of a poll goes in
 * one synchronous batch; from then on the rows are the gateway's responsibility. It alone decides to mend: whatever reads
 * gives a value or says what is damaged. Keys: keys.ts.
 */
import { Failure } from '../base/errors.ts';
import { hourMs, type Millis, millis } from '../base/time.ts';
import { coveredMs, withoutRange } from '../reading/coverage.ts';
import type { Fact } from '../reading/facts.ts';
import { marksOf } from '../reading/interval-hash.ts';
import { type Mark, withExceptions } from '../reading/ledger.ts';
import type { VoidCause } from '../reading/quality.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import { Connection } from './connection.ts';
import type { Database, Operation } from './database.ts';
import { hasSuccessor } from './epoch.ts';
import { putHeld, readHeld } from './held.ts';
import { type EntryClass, logsKey, outboxEnd, outboxKey, pushedKey, seriesStateKey } from './keys.ts';
import { changedPages, isCorrupt, readMarks, type PublishedMarks } from './marks.ts';
import {
  type Damage,
  loadStore,
  mendFallBack,
  mendPage,
  type MendingSettings,
  recordsAfter,
  type StoreMemory,
  writeCheckpoint,
} from './mending.ts';
import type { Commit, Quarantined, Released } from './commit.ts';
import { ledgerOf, ledgerOperations, type OrderLedger, rememberChange } from './order-ledger.ts';
import { entryClasses, locateEntry, packOldest, putFacts, removeAcknowledged, unpack } from './outbox-log.ts';
import { decodeOutbox, entryOf, type OutboxEntry, putEntry } from './outbox-record.ts';
import { type MeterLogs, type PushMark, type SeriesState, type StateRecord, withStaleDays } from './records.ts';
import { putRecord, putState } from './records.ts';

export interface StoreStatus {
  readonly epoch: number;
  readonly nextSequence: number;
  readonly acknowledged: number;
  readonly pending: number;
  readonly oldestStoredAt: Millis | undefined;
  readonly failure: string | undefined;
  readonly damage: Damage;
}
export interface StoreSettings extends MendingSettings {
  /** Opens the database; called again after an I/O error, and with what is broken where its files do not read. */
  readonly open: (broken?: string) => Promise<Database>;
  /** So many numbers are packed at once, and as many of the newest stay as they are: most are acknowledged before. */
  readonly packSize?: number;
  /** What is said instead of a fact that the contract cannot say; asked of each before it gets a number. */
  readonly fit?: (fact: Fact) => readonly Fact[];
  /** What is stored now and will be delivered, for whoever shows it on the spot. */
  readonly stored?: (facts: readonly Fact[]) => void;
  /** Why the time of day cannot be right: nothing gets a number then, for its stamp would stay for ever. */
  readonly timeImpossible?: () => string | undefined;
  /** What was found damaged, or repaired, since the database was opened. */
  readonly damageFound?: () => readonly string[];
}

const releaseStep = 100;
export const defaultPackSize = 128;
const mendedMeanwhile = () =>
  new Failure('store-damaged', 'the store was found damaged and mended meanwhile: read again');

export class Store {
  private readonly settings: StoreSettings;
  private readonly connection: Connection;
  private readonly packSize: number;
  private readonly memory: StoreMemory = {
    state: { epoch: 0, nextSequence: 1, acknowledged: 0, nacked: [] },
    series: new Map(),
    logs: new Map(),
    pushed: new Map(),
    orders: new Map(),
    lowest: 1,
    packedTo: 0,
    damage: { quarantined: 0, missing: 0, log: [] },
    marksVersion: 0,
  };
  private committed: (() => void) | undefined;
  /** Something was sent in this life of the process. */
  private contacted = false;

  private constructor(settings: StoreSettings) {
    this.settings = settings;
    this.packSize = settings.packSize ?? defaultPackSize;
    const begin = async (database: Database) => {
      const found = settings.damageFound?.() ?? [];
      this.memory.damage = { quarantined: 0, missing: 0, log: found };
      await this.load(database, found);
    };
    this.connection = new Connection({ open: settings.open, clock: settings.clock, begin });
  }

  static async open(settings: StoreSettings): Promise<Store> {
    const store = new Store(settings);
    await store.connection.connect();
    return store;
  }

  private async load(database: Database, found: readonly string[]): Promise<void> {
    await loadStore(database, this.memory, this.settings, found);
    const { unheardFrom = this.memory.state.nextSequence, ...state } = this.memory.state;
    // It goes to the disk with the first number that is given; what could not be taken away there counts no more.
    this.memory.state = this.contacted ? state : { ...state, unheardFrom };
  }

  /** Called after each commit, for the outbox. One listener. */
  onCommit(listener: () => void): void {
    this.committed = listener;
  }

  /** What is computed from marks must know whether they are still the same. */
  get marksVersion(): number {
    return this.memory.marksVersion;
  }
  get epoch(): number {
    return this.memory.state.epoch;
  }
  /** As long as nothing was sent, through all starts since: nobody has heard of this number and those after it. */
  get unheardFrom(): number | undefined {
    return this.memory.state.unheardFrom;
  }
  /** Called before the first message of a life is sent: from then on numbers may be heard. Never rejects. */
  async contact(): Promise<void> {
    if (this.contacted) return;
    this.contacted = true;
    const written = this.connection.exclusive(async (database) => {
      const { unheardFrom, ...state } = this.memory.state;
      this.memory.state = state;
      // Not there as long as this life has given no number.
      if (unheardFrom !== state.nextSequence) await database.batch([putState(state)], { sync: true });
    });
    // A disk that takes nothing must not keep back what would make room on it: the next commit writes it.
    await written.catch(() => {});
  }
  get acknowledged(): number {
    return this.memory.state.acknowledged;
  }
  /** No entry has this number, or a later one. */
  get nextSequence(): number {
    return this.memory.state.nextSequence;
  }
  /** Entries up to the acknowledged number that the head-end refused: they are sent again. */
  get refused(): readonly number[] {
    return this.memory.state.nacked.filter((sequence) => sequence <= this.memory.state.acknowledged);
  }
  /** Entries that the head-end does not have: no number between is missing, or a void one has its place. */
  private get pending(): number {
    return this.memory.state.nextSequence - 1 - this.memory.state.acknowledged + this.refused.length;
  }
  seriesState(meter: string, series: SeriesKey): SeriesState | undefined {
    return this.memory.series.get(seriesStateKey(meter, series));
  }
  meterLogs(meter: string): MeterLogs {
    return this.memory.logs.get(meter) ?? { cursors: {}, dark: [] };
  }
  /** How far the pushes of a meter were heard. */
  pushMark(meter: string): PushMark | undefined {
    return this.memory.pushed.get(meter);
  }
  /** What is remembered of orders. */
  get ledger(): OrderLedger {
    return ledgerOf(this.memory);
  }

  async status(): Promise<StoreStatus> {
    // A store that has failed must still be able to say so.
    const oldest = this.pending > 0 ? await this.oldest().catch(() => undefined) : undefined;
    const { epoch, nextSequence, acknowledged } = this.memory.state;
    return {
      epoch,
      nextSequence,
      acknowledged,
      pending: this.pending,
      oldestStoredAt: oldest === undefined ? undefined : millis(oldest),
      failure: this.connection.failure,
      damage: this.memory.damage,
    };
  }

  private async oldest(): Promise<number | undefined> {
    const times: number[] = [];
    for (const entryClass of entryClasses)
      times.push(...(await this.outbox(entryClass, 0, 1)).map(({ storedAt }) => storedAt));
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** Stores all of a poll, durably, or nothing of it. */
  async commit(commit: Commit): Promise<void> {
    await this.connection.exclusive(async (database) => {
      const { meter, entryClass, epoch, series } = commit;
      if (commit.afterMarks !== undefined && commit.afterMarks !== this.memory.marksVersion)
        throw new Failure('busy', 'other intervals were stored meanwhile');
      if (epoch !== undefined && epoch !== this.memory.state.epoch) throw mendedMeanwhile();
      const first = this.memory.state.nextSequence;
      const storedAt = this.settings.clock.wall();
      const slice = series === undefined ? undefined : { ...commit, key: seriesStateKey(meter, series) };
      const { quarantine, marks = [] } = slice ?? {};
      if (!quarantine) this.requirePossibleTime();
      const facts = quarantine ? commit.facts : this.fitted(commit.facts);
      const nextSequence = quarantine ? first : first + facts.length;
      const operations = quarantine
        ? putHeld(facts, quarantine, first, storedAt)
        : putFacts(facts, entryClass, first, storedAt, series);
      const packs = await packOldest(database, {
        from: Math.max(this.memory.packedTo, this.memory.state.acknowledged),
        nextSequence: first,
        size: this.packSize,
      });
      operations.push(...packs.operations);
      if (slice) {
        operations.push(...(await this.pagesOf(database, [{ meter, series: slice.series, marks }])));
        operations.push(putRecord(slice.key, nextSequence, slice.state));
      }
      const stale = quarantine ? undefined : withStaleDays(this.meterLogs('_'), marks);
      const logs = new Map([
        ...(commit.logs ? [[meter, commit.logs] as const] : []),
        ...(stale ? [['_', stale] as const] : []),
      ]);
      for (const [name, one] of logs) operations.push(putRecord(logsKey(name), nextSequence, one));
      if (commit.pushed) operations.push(putRecord(pushedKey(meter), nextSequence, commit.pushed));
      const ledger = ledgerOperations(this.memory.orders, commit.orders ?? {}, nextSequence);
      operations.push(...ledger.operations);
      const pushed = commit.pushed && meter;
      const own = { series: slice?.key, logs: [...logs.keys()], pushed, orders: ledger.size };
      const records = recordsAfter(this.memory, own);
      const { floor: orderFloor } = commit.orders ?? {};
      const state: StateRecord = { ...this.memory.state, nextSequence, records, ...(orderFloor && { orderFloor }) };
      operations.push(putState(state));
      await database.batch(operations, { sync: true });
      rememberChange(this.memory.orders, commit.orders ?? {});
      for (const [name, one] of logs) this.memory.logs.set(name, one);
      if (commit.pushed) this.memory.pushed.set(meter, commit.pushed);
      if (slice) this.memory.series.set(slice.key, slice.state);
      if (marks.length > 0) this.memory.marksVersion++;
      this.memory.state = state;
      this.memory.packedTo = packs.to;
      writeCheckpoint(this.memory.state, this.settings);
    });
    this.committed?.();
    if (commit.quarantine === undefined) this.settings.stored?.(commit.facts);
  }

  /** The pages that these marks change. Where one of them is damaged the store is mended, and Failure `store-damaged` thrown. */
  private async pagesOf(database: Database, published: readonly PublishedMarks[]): Promise<Operation[]> {
    const pages = await changedPages(database, published, this.memory.state.epoch);
    if (!isCorrupt(pages)) return pages;
    await mendPage(database, this.memory, this.settings, pages.corrupt);
    throw mendedMeanwhile();
  }

  /** What was said of the intervals that begin in [from, to), by their start. */
  async marks(meter: string, series: SeriesKey, from: number, to: number): Promise<Map<number, Mark>> {
    const read = (database: Database) => {
      const state = this.seriesState(meter, series);
      return readMarks(database, { meter, series, state, epoch: this.memory.state.epoch }, from, to);
    };
    const found = await this.connection.read(read);
    if (!isCorrupt(found)) return found;
    // Asked once more where nobody writes: another reader may have mended it, or a commit come between.
    await this.connection.exclusive(async (database) => {
      const again = await read(database);
      if (isCorrupt(again)) await mendPage(database, this.memory, this.settings, again.corrupt);
    });
    return this.marks(meter, series, from, to);
  }

  /**
   * The head-end holds more than this state has ever given numbers to, or a later epoch: the state fell back (a card was
   * copied or restored). What was numbered meanwhile is not known, so everything is said anew in an epoch of its own.
   */
  async fellBack(theirs: { readonly epoch: number; readonly upTo: number }): Promise<void> {
    if (!hasSuccessor(theirs.epoch)) throw new RangeError(`no epoch comes after ${theirs.epoch}`);
    await this.connection.exclusive((database) => mendFallBack(database, this.memory, this.settings, theirs));
    this.committed?.();
  }

  /**
   * What was said of the intervals in [from, to) is read from the meter and said once more, at the same revision where it is
   * the same: the head-end lost it. Returns how many intervals; 0 where nothing of them was accounted for.
   */
  async sayAgain(meter: string, series: SeriesKey, from: number, to: number): Promise<number> {
    const state = this.seriesState(meter, series);
    if (!state) return 0;
    const { periodMs = hourMs } = state;
    const low = Math.floor(from / periodMs) * periodMs;
    const high = Math.ceil(to / periodMs) * periodMs;
    const intervals = coveredMs(state.coverage, low, high) / periodMs;
    if (intervals === 0) return 0;
    const marks = [...(await this.marks(meter, series, low, high)).values()].map(
      (mark): Mark => ({ ...mark, again: true }),
    );
    await this.connection.exclusive(async (database) => {
      const key = seriesStateKey(meter, series);
      const now = this.memory.series.get(key) ?? state;
      const opened: SeriesState = {
        ...now,
        coverage: withoutRange(now.coverage, low, high),
        exceptions: withExceptions(now.exceptions ?? [], low, high, []),
      };
      const pages = await this.pagesOf(database, [{ meter, series, marks }]);
      await database.batch([...pages, putRecord(key, this.memory.state.nextSequence, opened)], { sync: true });
      this.memory.series.set(key, opened);
      this.memory.marksVersion++;
    });
    return intervals;
  }

  /** Every record as it is at this instant, for a backup. */
  async *records(): AsyncGenerator<[string, Uint8Array][]> {
    await this.connection.settled();
    yield* await this.connection.read((database) => Promise.resolve(database.all()));
  }

  /** Work beside the entries, of whoever keeps something here; nobody writes meanwhile. */
  aside<T>(work: (database: Database) => Promise<T>): Promise<T> {
    return this.connection.exclusive(work);
  }

  /** What is held back of meters that answered where others are configured, oldest first. */
  quarantined(): Promise<Quarantined[]> {
    return this.connection.read(readHeld);
  }

  /**
   * Held facts become entries of the outbox, changed as given and with their marks, or are dropped; a part at a time, each
   * part at once.
   */
  async release(held: readonly Quarantined[], change: (fact: Fact) => Released | undefined): Promise<number> {
    let released = 0;
    for (let at = 0; at < held.length; at += releaseStep) {
      const part = held.slice(at, at + releaseStep);
      await this.connection.exclusive(async (database) => {
        const changed = part.flatMap(({ fact }) => change(fact) ?? []);
        const facts = changed.flatMap(({ fact, series }) => this.fitted([fact]).map((one) => ({ one, series })));
        const first = this.memory.state.nextSequence;
        const storedAt = this.settings.clock.wall();
        await this.writeNumbered(
          database,
          facts.length,
          [
            ...facts.flatMap(({ one, series }, i) => putFacts([one], 1, first + i, storedAt, series)),
            ...part.map(({ key }): Operation => ({ type: 'del', key })),
            ...(await this.pagesOf(database, changed)),
          ],
          changed.flatMap(({ marks }) => marks),
        );
        this.memory.marksVersion++;
        released += facts.length;
      });
    }
    if (released > 0) this.committed?.();
    return released;
  }
  /** Writes what gives `count` numbers; days of these marks whose manifest was said are accounted for again. */
  private async writeNumbered(
    database: Database,
    count: number,
    operations: readonly Operation[],
    marks: readonly Mark[],
  ): Promise<void> {
    this.requirePossibleTime();
    const state: StateRecord = { ...this.memory.state, nextSequence: this.memory.state.nextSequence + count };
    const stale = withStaleDays(this.meterLogs('_'), marks);
    const logs = stale ? [putRecord(logsKey('_'), state.nextSequence, stale)] : [];
    await database.batch([...operations, ...logs, putState(state)], { sync: true });
    if (stale) this.memory.logs.set('_', stale);
    this.memory.state = state;
    writeCheckpoint(this.memory.state, this.settings);
  }
  private requirePossibleTime(): void {
    const impossible = this.settings.timeImpossible?.();
    if (impossible !== undefined) throw new Failure('time-unknown', impossible);
  }
  /** The facts in words that fit the contract. */
  private fitted(facts: readonly Fact[]): readonly Fact[] {
    const { fit } = this.settings;
    return fit ? facts.flatMap(fit) : facts;
  }

  /** Entries of a class after a sequence, in order: all, or `limit` and what else is in the pack of the last. */
  async outbox(entryClass: EntryClass, after: number, limit: number): Promise<OutboxEntry[]> {
    const entries: OutboxEntry[] = [];
    let last = Math.max(after, this.memory.lowest - 1);
    while (entries.length < limit) {
      const missing = limit - entries.length;
      const records = last < this.memory.packedTo ? Math.ceil(missing / this.packSize) : missing;
      const from = outboxKey(entryClass, last + 1);
      const pairs = await this.connection.read((database) => database.range(from, outboxEnd(entryClass), records));
      for (const [key, value] of pairs) {
        const record = decodeOutbox(key, value);
        if (!record) {
          await this.mendEntry(key);
          return this.outbox(entryClass, after, limit);
        }
        for (const { sequence, head, text } of record.entries)
          if (sequence > after && !(record.packed && sequence <= this.memory.state.acknowledged)) {
            const { storedAt, kind, meter, profile: series } = head;
            entries.push({ sequence, entryClass, storedAt, kind, meter, series, text });
          }
        last = record.entries.at(-1)?.sequence ?? last;
      }
      if (pairs.length === 0) break;
    }
    return entries;
  }
  /** An entry of the outbox is damaged: mended, and delivered as void. */
  private async mendEntry(key: string): Promise<void> {
    await this.connection.exclusive(async (database) => {
      const still = await database.get(key);
      // Others may have come upon the same.
      if (!still || decodeOutbox(key, still)) return;
      this.memory.marksVersion++;
      await this.load(database, []);
    });
  }
  /** An entry that waits; undefined where none has this number. */
  async entry(sequence: number): Promise<OutboxEntry | undefined> {
    const found = await Promise.all(entryClasses.map((entryClass) => this.outbox(entryClass, sequence - 1, 1)));
    return found.flat().find((one) => one.sequence === sequence);
  }

  /**
   * The head-end has everything up to `upTo`, except `nack`. Deleted without sync: a loss of the deletion only sends
   * again. Returns how many entries went.
   */
  async acknowledge(upTo: number, nack: ReadonlySet<number>): Promise<number> {
    // An acknowledgement of what was never sent is the head-end's mistake; it must not delete what comes later.
    if (!Number.isSafeInteger(upTo) || upTo < 0 || upTo >= this.memory.state.nextSequence) return 0;
    if (upTo < this.memory.lowest && nack.size === 0) return 0;
    return this.connection.exclusive(async (database) => {
      const { pending } = this;
      const acknowledged = Math.max(this.memory.state.acknowledged, upTo);
      // What it had before and wants no more is gone.
      const refused = [...nack].filter(
        (sequence) => this.memory.state.nacked.includes(sequence) || this.holds(sequence),
      );
      const nacked = [...new Set([...this.memory.state.nacked.filter((sequence) => sequence > upTo), ...refused])];
      const unpacked = await unpack(
        database,
        nacked.filter((sequence) => this.holds(sequence) && sequence <= acknowledged),
      );
      const state: StateRecord = { ...this.memory.state, acknowledged, nacked };
      // First, so that no entry looks lost that was only deleted; leftovers of a crash go at the next start.
      await database.batch([...unpacked, putState(state)], { sync: false });
      this.memory.state = state;
      this.memory.lowest = await removeAcknowledged(database, { lowest: this.memory.lowest, acknowledged, nacked });
      return pending - this.pending;
    });
  }
  /** Whether an entry has this number and was never acknowledged. */
  private holds(sequence: number): boolean {
    return sequence > this.memory.state.acknowledged && sequence < this.memory.state.nextSequence;
  }

  /**
   * An entry that cannot be sent as it is becomes void; what is said instead gets numbers of its own, at once. False where
   * none has this number.
   */
  async replace(sequence: number, facts: readonly Fact[], cause: VoidCause): Promise<boolean> {
    const replaced = await this.connection.exclusive(async (database) => {
      const found = await locateEntry(database, sequence);
      if (!found) return false;
      const { entryClass, entry, entries } = found;
      const { acknowledged, nextSequence: first } = this.memory.state;
      const { meter, storedAt, profile: series } = entry.head;
      // A number of its own has no place within a pack: the others of it get theirs back, the last under the pack's key.
      const operations = entries
        .filter((one) => one === entry || one.sequence > acknowledged)
        .map((one) => putEntry(entryClass, one === entry ? entryOf(sequence, storedAt, { kind: 'void', cause }) : one));
      const fittedFacts = this.fitted(facts);
      operations.push(...putFacts(fittedFacts, entryClass, first, storedAt, series));
      const { periodMs = hourMs } = (series === undefined ? undefined : this.seriesState(meter, series)) ?? {};
      // A manifest that was said before these numbers does not account for them.
      const marks = fittedFacts.flatMap((fact) =>
        fact.kind === 'profile' || fact.kind === 'gap' ? marksOf(fact, periodMs) : [],
      );
      await this.writeNumbered(database, fittedFacts.length, operations, marks);
      return true;
    });
    if (replaced) this.committed?.();
    return replaced;
  }

  /** Gives the room of deleted entries back to the disk. */
  async compact(): Promise<void> {
    await this.connection.read((database) => database.compact());
  }

  async close(): Promise<void> {
    await this.connection.close();
    this.settings.checkpoint?.close();
  }
}
