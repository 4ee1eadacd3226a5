/**
 * The store: what was read and is not yet acknowledged, and how far each series is accounted for. All of a poll goes in
 * one synchronous batch; from then on the rows are the gateway's responsibility. Keys:
 *   m/state                    epoch, next sequence, acknowledged up to
 *   e/<meter>                  how far its event logs were forwarded, spans without power
 *   s/<meter>/<series>         series state: since, coverage
 *   d/<meter>/<series>/<day>  what was said of each interval of a UTC day, and at which revision
 *   o/<class>/<sequence>       outbox entry, class 0 live, 1 back-fill; or a pack of those up to this number
 *   k/<meter>/<serial>/<time>  facts of a meter that answered where another one is configured, held back
 *   q/<key>                    damaged records, kept for inspection
 */
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, dayMs, hourMs, later, longAgo, type Millis, millis } from '../base/time.ts';
import { type Coverage, withoutRange } from '../reading/coverage.ts';
import {
  type EventFact,
  type Fact,
  type GapFact,
  gatewayFact,
  type Integer,
  type ProfileFact,
} from '../reading/facts.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { StoredLogCursor } from '../reading/log-ledger.ts';
import type { DarkSpan } from '../reading/meter-event.ts';
import type { VoidCause } from '../reading/quality.ts';
import { marksOf } from '../reading/interval-hash.ts';
import {
  decodePage,
  encodePage,
  type AccountedSwap,
  type Exceptions,
  type Mark,
  withExceptions,
} from '../reading/ledger.ts';
import type { Database, Operation } from './database.ts';
import { hasSuccessor } from './epoch.ts';
import {
  decodeOutbox,
  type Entry,
  type EntryClass,
  outboxEnd,
  outboxKey,
  putEntry,
  putPacks,
} from './outbox-record.ts';
import { decodeRecord, encodeRecord, sealed, unsealed } from './record.ts';

export interface SeriesState {
  readonly since: number;
  readonly periodMs?: number;
  /** Where it ended because the meter captures with another period since, or will. */
  readonly until?: number;
  /** Up to this UTC day sums were checked (R02), ms. */
  readonly summedTo?: number;
  readonly coverage: Coverage;
  /** Of what is covered: all that is not plainly measured. */
  readonly exceptions?: Exceptions;
  /** The meter whose rows these are, and its registers at the newest boundary that was read. */
  readonly serial?: string;
  readonly newest?: { readonly end: number; readonly registers: Readonly<Record<string, Integer>> };
  /** The change of the meter that the series goes across. */
  readonly swap?: AccountedSwap;
  /** Fingerprint of capture objects, scalers and period that the series was commissioned with (R13). */
  readonly layout?: string;
}
export interface OutboxEntry {
  readonly sequence: number;
  readonly entryClass: EntryClass;
  readonly storedAt: number;
  readonly kind: Fact['kind'];
  /** `_`: of the gateway itself. */
  readonly meter: string;
  /** Where the fact tells of intervals. */
  readonly series: SeriesKey | undefined;
  /** The fact as JSON: it is sent as it was stored. */
  readonly text: string;
}
export const factOf = ({ text }: { readonly text: string }): Fact => JSON.parse(text) as Fact;
export interface Commit {
  readonly meter: string;
  /** Left out where only facts are said. */
  readonly series?: SeriesKey;
  readonly state?: SeriesState;
  readonly entryClass: EntryClass;
  readonly facts: readonly Fact[];
  /** What is said of each interval with this commit. */
  readonly marks?: readonly Mark[];
  /** How far the logs of the meter are forwarded with this commit. */
  readonly logs?: MeterLogs;
  /** Nothing is stored, Failure `store-failed`, where another epoch has begun: what this was computed from is void. */
  readonly epoch?: number;
  /** Nothing is stored, Failure `busy`, where other marks were stored since this number of them. */
  readonly afterMarks?: number;
  /** The facts are held back, not delivered: this meter answered where another one is configured (R32). */
  readonly quarantine?: { readonly meter: string; readonly serial: string };
}
/** A fact of the outbox, and what it says of the intervals of its series. */
export interface Released {
  readonly meter: string;
  readonly series: SeriesKey;
  readonly fact: Fact;
  readonly marks: readonly Mark[];
}
/** Consecutive intervals that the head-end has not acknowledged, by their UTC instants in ms. */
export interface UnacknowledgedRun {
  readonly meter: string;
  readonly series: SeriesKey;
  readonly from: number;
  to: number;
}
export interface Quarantined {
  readonly key: string;
  readonly meter: string;
  readonly serial: string;
  readonly fact: Fact;
}
export interface MeterLogs {
  readonly cursors: Readonly<Record<string, StoredLogCursor>>;
  readonly dark: readonly DarkSpan[];
  /** What the last power event of the log was. */
  readonly lastPower?: 'down' | 'up' | undefined;
  /** The meter whose logs these are, and where it replaced another: what it logged before hung elsewhere. */
  readonly serial?: string;
  readonly hungSince?: number;
  /** Of the gateway itself (meter `_`): the last UTC day whose manifest was said, ms. */
  readonly manifestDay?: number;
  /** Of the gateway itself: earlier days of which something else was said since, ms. */
  readonly staleDays?: readonly number[];
  /** Stamps around which its clock was adjusted: what was read there is to be read again. */
  readonly adjusted?: readonly number[];
  /** When we set its clock, and whether the step was so large that its intervals are uncertain (1). */
  readonly clockSets?: readonly (readonly [at: number, flag: number])[];
}
export interface Damage {
  readonly quarantined: number;
  readonly missing: number;
  readonly log: readonly string[];
}
export interface StoreStatus {
  readonly epoch: number;
  readonly nextSequence: number;
  readonly acknowledged: number;
  readonly pending: number;
  readonly oldestStoredAt: Millis | undefined;
  readonly failure: string | undefined;
  readonly damage: Damage;
}
export interface StoreSettings {
  /** Opens the database; called again after an I/O error, and with what is broken where its files do not read. */
  readonly open: (broken?: string) => Promise<Database>;
  readonly clock: Clock;
  /** An epoch that cannot have been before, later than this one (epoch.ts). */
  readonly newEpoch: (after: number) => number;
  /** So many numbers are packed at once, and as many of the newest stay as they are: most are acknowledged before. */
  readonly packSize?: number;
  /** What is said instead of a fact that the contract cannot say; asked of each before it gets a number. */
  readonly fit?: (fact: Fact) => readonly Fact[];
  /** What was found damaged, or repaired, since the database was opened. */
  readonly damageFound?: () => readonly string[];
  /** What was stored last, kept outside of the database: tells a store that fell behind. */
  readonly checkpoint?: { read(): Checkpoint | undefined; write(checkpoint: Checkpoint): void; close(): void };
}
export interface Checkpoint {
  readonly epoch: number;
  readonly nextSequence: number;
  readonly format?: number;
}
interface Meta {
  /** Of all records; left out up to format 2. */
  readonly format?: number;
  readonly epoch: number;
  readonly nextSequence: number;
  /** The head-end has everything up to here, except `kept`. */
  readonly acknowledged: number;
  /** Entries up to `acknowledged` that the head-end refused: they stay and are sent again. */
  readonly kept: readonly number[];
  /** Damage was found and is being dealt with: a start after a crash in the middle begins with that again. */
  readonly mending?: true;
  /** Series and logs of meters: records that must be there. */
  readonly records?: number;
  /** This state came out of a backup: what was numbered since that was made is not known, so an epoch begins. */
  readonly restored?: true;
}

/**
 * Of the records, told in the state record and in the checkpoint. 1: entries of the outbox as one line of JSON. 2: entries in
 * two lines, packs; pages of marks with revisions up to 255. 3: pages that tell their epoch. Each is read by what it looks
 * like and written anew when it changes; the envelope of the state record never changes, so that every later program can
 * read from it what it has before it.
 */
export const storeFormat = 3;
/** A state of a later program is neither damage nor to be understood. */
export function refuseNewer(format = storeFormat): void {
  if (format > storeFormat)
    throw new Failure(
      'store-too-new',
      `the state directory was written by a later version (format ${format}; this one knows formats up to ${storeFormat})`,
    );
}

const metaKey = 'm/state';
const pageKey = (meter: string, series: SeriesKey, day: number): string =>
  `d/${meter}/${series}/${String(Math.floor(day / dayMs)).padStart(6, '0')}`;
/** A record of a backup as it is put back: the state record says that this state was restored, so that an epoch begins. */
export function restoredState(key: string, value: Uint8Array): Uint8Array {
  const record = key === metaKey ? decodeRecord(key, value) : undefined;
  if (!record) return value;
  return encodeRecord(key, { ...record, body: { ...(record.body as Meta), restored: true } satisfies Meta });
}
const stateKey = (meter: string, series: SeriesKey): string => `s/${meter}/${series}`;
/** LevelDB read something that cannot be right: opening once more does not mend it. */
const isCorruption = (error: unknown): boolean =>
  (error as { code?: unknown }).code === 'LEVEL_CORRUPTION' ||
  /corrupt|Invalid argument|No such file|truncated|bad block|not an sstable/i.test(messageOf(error));
const scanStep = 500;
const releaseStep = 100;
export const defaultPackSize = 128;
/** Marks and operations that are written at once while damage is mended. */
const mendStep = 10_000;
const reopenPauseMs = 2000;

/** Of a number whose entry is lost, or says what is not so any more. */
const voided: Fact = { kind: 'void', cause: 'STORE_DAMAGED' };
function entryOf(sequence: number, storedAt: number, fact: Fact, series?: SeriesKey): Entry {
  const meter = 'meter' in fact ? fact.meter : '_';
  const head = { storedAt, kind: fact.kind, meter, ...(series !== undefined && { profile: series }) };
  return { sequence, head, text: JSON.stringify(fact) };
}

/** All pairs from one key to another, a part at a time. */
async function* walk(database: Database, from: string, to: string): AsyncGenerator<[string, Uint8Array][]> {
  for (let after = from; ; ) {
    const pairs = await database.range(after, to, scanStep);
    const last = pairs.at(-1);
    if (!last) return;
    yield pairs;
    after = `${last[0]}\u0000`;
  }
}

export class Store {
  private readonly settings: StoreSettings;
  private readonly packSize: number;
  private database: Database | undefined;
  private meta: Meta = { epoch: 0, nextSequence: 1, acknowledged: 0, kept: [] };
  private series = new Map<string, SeriesState>();
  private logs = new Map<string, MeterLogs>();
  /** No entry has a lower number. LevelDB walks over everything that was deleted before the first that is there. */
  private lowest = 1;
  /** No pack holds a higher number. */
  private packedTo = 0;
  private writing: Promise<unknown> = Promise.resolve();
  private failure: string | undefined;
  /** The files themselves are broken: the next opening repairs them. */
  private broken: string | undefined;
  private reopenAt: Millis = longAgo;
  private damage: Damage = { quarantined: 0, missing: 0, log: [] };
  private committed: (() => void) | undefined;
  /** Counts commits with marks: what is computed from marks must know whether they are still the same. */
  marksVersion = 0;

  private constructor(settings: StoreSettings) {
    this.settings = settings;
    this.packSize = settings.packSize ?? defaultPackSize;
  }

  static async open(settings: StoreSettings): Promise<Store> {
    const store = new Store(settings);
    let broken: string | undefined;
    for (;;) {
      store.database = await settings.open(broken);
      try {
        await store.begin();
        store.unheardFrom = store.nextSequence;
        return store;
      } catch (error) {
        await store.database.close().catch(() => {});
        if (error instanceof Failure) throw error;
        // Files that open and do not read are repaired once.
        if (broken !== undefined || !isCorruption(error))
          throw new Failure('store-failed', `the store does not read: ${messageOf(error)}`);
        broken = messageOf(error);
      }
    }
  }

  /** Called after each commit, for the outbox. One listener. */
  onCommit(listener: () => void): void {
    this.committed = listener;
  }

  get epoch(): number {
    return this.meta.epoch;
  }
  /** As long as nothing was sent in this life of the process: nobody has heard of this number and those after it. */
  unheardFrom: number | undefined;
  /** Something is being sent. */
  heard(): void {
    this.unheardFrom = undefined;
  }
  get acknowledged(): number {
    return this.meta.acknowledged;
  }
  /** No entry has this number, or a later one. */
  get nextSequence(): number {
    return this.meta.nextSequence;
  }
  /** Entries up to the acknowledged number that the head-end refused: they are sent again. */
  get refused(): readonly number[] {
    return this.meta.kept.filter((sequence) => sequence <= this.meta.acknowledged);
  }
  /** Entries that the head-end does not have: no number between is missing, or a void one has its place. */
  private get pending(): number {
    const { acknowledged, nextSequence, kept } = this.meta;
    return nextSequence - 1 - acknowledged + kept.filter((sequence) => sequence <= acknowledged).length;
  }
  seriesState(meter: string, series: SeriesKey): SeriesState | undefined {
    return this.series.get(stateKey(meter, series));
  }

  meterLogs(meter: string): MeterLogs {
    return this.logs.get(meter) ?? { cursors: {}, dark: [] };
  }

  async status(): Promise<StoreStatus> {
    // A store that has failed must still be able to say so.
    const oldest = this.pending > 0 ? await this.oldest().catch(() => undefined) : undefined;
    return {
      epoch: this.meta.epoch,
      nextSequence: this.meta.nextSequence,
      acknowledged: this.meta.acknowledged,
      pending: this.pending,
      oldestStoredAt: oldest === undefined ? undefined : millis(oldest),
      failure: this.failure,
      damage: this.damage,
    };
  }

  private async oldest(): Promise<number | undefined> {
    let oldest: number | undefined;
    for (const entryClass of [0, 1] as const) {
      const [entry] = await this.outbox(entryClass, 0, 1);
      if (entry && (oldest === undefined || entry.storedAt < oldest)) oldest = entry.storedAt;
    }
    return oldest;
  }

  /** Stores all of a poll, durably, or nothing of it. */
  async commit(commit: Commit): Promise<void> {
    await this.exclusive(async (database) => {
      if (commit.afterMarks !== undefined && commit.afterMarks !== this.marksVersion)
        throw new Failure('busy', 'other intervals were stored meanwhile');
      if (commit.epoch !== undefined && commit.epoch !== this.meta.epoch)
        throw new Failure('store-damaged', 'the store was found damaged and mended meanwhile: read again');
      const first = this.meta.nextSequence;
      const facts = commit.quarantine ? commit.facts : this.fitted(commit.facts);
      const said = commit.quarantine ? 0 : facts.length;
      const { meter, series, state, marks = [], quarantine } = commit;
      const stale = quarantine ? undefined : this.stale(marks);
      const logs = [...(commit.logs ? [[meter, commit.logs] as const] : []), ...(stale ? [['_', stale] as const] : [])];
      const accounted = series !== undefined && state ? { series, state, key: stateKey(meter, series) } : undefined;
      const records =
        this.series.size +
        this.logs.size +
        (!accounted || this.series.has(accounted.key) ? 0 : 1) +
        logs.filter(([name]) => !this.logs.has(name)).length;
      const meta: Meta = { ...this.meta, nextSequence: first + said, records };
      const storedAt = this.settings.clock.wall();
      const held = quarantine
        ? facts.map((fact, i): Operation => {
            const key = `k/${quarantine.meter}/${quarantine.serial}/${storedAt}-${String(i).padStart(4, '0')}`;
            return this.put(key, first, fact);
          })
        : [];
      const operations = quarantine ? held : this.entries(facts, commit.entryClass, first, storedAt, series);
      const packs = await this.packs(database);
      operations.push(...packs.operations);
      if (accounted) {
        operations.push(...(await this.pages(database, meter, accounted.series, marks)));
        operations.push(this.put(accounted.key, meta.nextSequence, accounted.state));
      }
      for (const [name, one] of logs) operations.push(this.put(`e/${name}`, meta.nextSequence, one));
      operations.push(this.put(metaKey, meta.nextSequence, meta));
      await database.batch(operations, { sync: true });
      for (const [name, one] of logs) this.logs.set(name, one);
      if (marks.length > 0) this.marksVersion++;
      this.meta = meta;
      this.packedTo = packs.to;
      if (accounted) this.series.set(accounted.key, accounted.state);
      this.tellCheckpoint();
    });
    this.committed?.();
  }

  /** What is known of the gateway itself, where these marks change days whose manifest was said. */
  private stale(marks: readonly Mark[]): MeterLogs | undefined {
    const own = this.meterLogs('_');
    const days = new Set(marks.map(({ start }) => Math.floor(start / dayMs) * dayMs));
    const fresh = [...days].filter((day) => day <= (own.manifestDay ?? 0) && !own.staleDays?.includes(day));
    return fresh.length > 0 ? { ...own, staleDays: [...(own.staleDays ?? []), ...fresh] } : undefined;
  }

  /**
   * The pages that these marks change, with what else stands in them. Where one of them is damaged the store is mended and
   * `store-failed` thrown; while it is being mended, such a page counts as empty.
   */
  private async pages(
    database: Database,
    meter: string,
    series: SeriesKey,
    marks: readonly Mark[],
    isMending = false,
  ): Promise<Operation[]> {
    const byDay = new Map<number, Mark[]>();
    for (const mark of marks) {
      const day = Math.floor(mark.start / dayMs) * dayMs;
      byDay.set(day, [...(byDay.get(day) ?? []), mark]);
    }
    const operations: Operation[] = [];
    for (const [day, fresh] of byDay) {
      const key = pageKey(meter, series, day);
      const page = await this.page(database, key, day);
      if (page === 'damaged' && !isMending) {
        await this.mendPage(database, key);
        throw new Failure('store-damaged', 'the store was found damaged and mended meanwhile: read again');
      }
      const all = new Map((page === 'damaged' ? [] : page).map((mark) => [mark.start, mark]));
      // Of several that wait, the later one: entries of a class come in their order, a revision only rises.
      for (const mark of fresh) {
        const before = all.get(mark.start);
        if (!before || before.hash === 0 || mark.rev >= before.rev) all.set(mark.start, mark);
      }
      const sorted = [...all.values()].toSorted((a, b) => a.start - b.start);
      operations.push({ type: 'put', key, value: sealed(key, 0, encodePage(sorted, day, this.meta.epoch)) });
    }
    return operations;
  }
  /** Of several series. */
  private async pagesOf(
    database: Database,
    said: readonly Pick<Released, 'meter' | 'series' | 'marks'>[],
    isMending = false,
  ): Promise<Operation[]> {
    const operations: Operation[] = [];
    for (const [meter, ofMeter] of Map.groupBy(said, (one) => one.meter))
      for (const [series, ofSeries] of Map.groupBy(ofMeter, (one) => one.series)) {
        const marks = ofSeries.flatMap((one) => one.marks);
        operations.push(...(await this.pages(database, meter, series, marks, isMending)));
      }
    return operations;
  }
  private async page(database: Database, key: string, day: number): Promise<Mark[] | 'damaged'> {
    const raw = await database.get(key);
    if (!raw) return [];
    const opened = unsealed(key, raw);
    if (!opened) return 'damaged';
    const { epoch, marks } = decodePage(opened.content, day, opened.sequence);
    // Of an epoch before: what they tell of may have been lost since.
    return epoch === this.meta.epoch ? marks : marks.map((mark) => ({ ...mark, hash: 0 }));
  }

  /** What was said of the intervals that begin in [from, to), by their start. */
  async marks(meter: string, series: SeriesKey, from: number, to: number): Promise<Map<number, Mark>> {
    const database = await this.opened();
    const found = await this.guarded(() => this.readMarks(database, meter, series, from, to));
    if (found.lost === undefined) return found.marks;
    // Asked once more where nobody writes: another reader may have mended it, or a commit come between.
    await this.exclusive(async (open) => {
      const { lost } = await this.readMarks(open, meter, series, from, to);
      if (lost !== undefined) await this.mendPage(open, lost);
    });
    return this.marks(meter, series, from, to);
  }

  /** `lost`: the key of a page that is damaged, or lacks what must stand in it. */
  private async readMarks(
    database: Database,
    meter: string,
    series: SeriesKey,
    from: number,
    to: number,
  ): Promise<{ marks: Map<number, Mark>; lost?: string }> {
    // As it is before the pages are read: they need not have what a commit covers meanwhile.
    const { coverage = [], periodMs } = this.seriesState(meter, series) ?? {};
    const marks = new Map<number, Mark>();
    for (let day = Math.floor(from / dayMs) * dayMs; day < to; day += dayMs) {
      const key = pageKey(meter, series, day);
      const page = await this.page(database, key, day);
      if (page === 'damaged') return { marks, lost: key };
      for (const mark of page) if (mark.start >= from && mark.start < to) marks.set(mark.start, mark);
    }
    // Of whatever is accounted for something was said.
    for (const [low, high] of periodMs === undefined ? [] : coverage)
      for (let at = Math.max(low, from); at < Math.min(high, to); at += periodMs as number)
        if (!marks.has(at)) return { marks, lost: pageKey(meter, series, at) };
    return { marks };
  }

  /**
   * A page of marks is damaged or has vanished: which revisions were given is not known any more, so the series are said
   * anew, in an epoch of their own. Only where nobody else writes.
   */
  private async mendPage(database: Database, key: string): Promise<void> {
    const { meta } = this;
    await this.beginMending(meta);
    const value = await database.get(key);
    if (value) await this.replaceDamaged([], [{ key, value }]);
    this.meta = { ...meta, epoch: this.settings.newEpoch(meta.epoch) };
    this.marksVersion++;
    await this.readAgain('STORE_DAMAGED', {
      found: `${key}: damaged or lost`,
      damagedRecords: 1,
      missingRecords: 0,
      epochBefore: meta.epoch,
      lostFrom: null,
      lostTo: null,
    });
    this.tellCheckpoint();
  }

  /**
   * The head-end holds more than this state has ever given numbers to, or a later epoch: the state fell back (a card was
   * copied or restored). What was numbered meanwhile is not known, so everything is said anew in an epoch of its own.
   */
  async fellBack(theirs: { readonly epoch: number; readonly upTo: number }): Promise<void> {
    if (!hasSuccessor(theirs.epoch))
      throw new Failure('bad-argument', `the head-end tells an epoch that cannot be: ${theirs.epoch}`);
    await this.exclusive(async () => {
      const { meta } = this;
      await this.beginMending(meta);
      this.meta = { ...meta, epoch: this.settings.newEpoch(Math.max(meta.epoch, theirs.epoch)) };
      this.marksVersion++;
      await this.readAgain('STATE_FELL_BACK', {
        epochBefore: meta.epoch,
        nextSequence: meta.nextSequence,
        headEndEpoch: theirs.epoch,
        headEndUpTo: theirs.upTo,
      });
      this.tellCheckpoint();
    });
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
    const intervals = state.coverage.reduce(
      (sum, [start, end]) => sum + Math.max(0, Math.min(end, high) - Math.max(start, low)) / periodMs,
      0,
    );
    if (intervals === 0) return 0;
    const marks = [...(await this.marks(meter, series, low, high)).values()];
    await this.exclusive(async (database) => {
      const key = stateKey(meter, series);
      const now = this.series.get(key) ?? state;
      const opened: SeriesState = {
        ...now,
        coverage: withoutRange(now.coverage, low, high),
        exceptions: withExceptions(now.exceptions ?? [], low, high, []),
      };
      const again = marks.map((mark): Mark => ({ ...mark, again: true }));
      await database.batch(
        [...(await this.pages(database, meter, series, again)), this.put(key, this.meta.nextSequence, opened)],
        { sync: true },
      );
      this.series.set(key, opened);
      this.marksVersion++;
    });
    return intervals;
  }

  /** Every record as it is at this instant, for a backup. */
  async *records(): AsyncGenerator<[string, Uint8Array][]> {
    await this.writing.catch(() => {});
    yield* (await this.opened()).all();
  }

  /** What waits for the head-end's acknowledgement, by series, as runs; found by walking through the outbox. */
  async unacknowledged(): Promise<UnacknowledgedRun[]> {
    const runs = new Map<string, UnacknowledgedRun[]>();
    for (const entryClass of [1, 0] as const) {
      for (let after = 0; ; ) {
        const entries = await this.outbox(entryClass, after, scanStep);
        if (entries.length === 0) break;
        after = (entries.at(-1) as OutboxEntry).sequence;
        for (const entry of entries) {
          const { meter, series } = entry;
          if (series === undefined || (entry.kind !== 'profile' && entry.kind !== 'gap')) continue;
          const fact = factOf(entry) as ProfileFact | GapFact;
          const from = Date.parse(fact.start);
          const to = fact.kind === 'gap' ? Date.parse(fact.end) : from + fact.periodS * fact.count * 1000;
          const key = stateKey(meter, series);
          const own = runs.get(key) ?? [];
          const last = own.at(-1);
          if (last?.to === from) last.to = to;
          else own.push({ meter, series, from, to });
          runs.set(key, own);
        }
      }
    }
    return [...runs.values()].flat().toSorted((a, b) => a.from - b.from);
  }

  /** What is held back of meters that answered where others are configured, oldest first. */
  async quarantined(): Promise<Quarantined[]> {
    const database = await this.opened();
    return this.guarded(async () => {
      const held: Quarantined[] = [];
      for await (const pairs of walk(database, 'k/', 'k/~'))
        for (const [key, value] of pairs) {
          const record = decodeRecord(key, value);
          const [, meter = '', serial = ''] = key.split('/');
          // A damaged one was of no point, and the meter has it still.
          if (record) held.push({ key, meter, serial, fact: record.body as Fact });
        }
      return held;
    });
  }

  /**
   * Held facts become entries of the outbox, changed as given and with their marks, or are dropped; a part at a time, each
   * part at once.
   */
  async release(held: readonly Quarantined[], change: (fact: Fact) => Released | undefined): Promise<number> {
    let released = 0;
    for (let at = 0; at < held.length; at += releaseStep) {
      const part = held.slice(at, at + releaseStep);
      await this.exclusive(async (database) => {
        const first = this.meta.nextSequence;
        const changed = part.flatMap(({ fact }) => change(fact) ?? []);
        const facts = changed.flatMap(({ fact, series }) => this.fitted([fact]).map((one) => ({ one, series })));
        const meta: Meta = { ...this.meta, nextSequence: first + facts.length };
        const storedAt = this.settings.clock.wall();
        const operations: Operation[] = [
          ...facts.flatMap(({ one, series }, i) => this.entries([one], 1, first + i, storedAt, series)),
          ...part.map(({ key }): Operation => ({ type: 'del', key })),
          this.put(metaKey, meta.nextSequence, meta),
        ];
        operations.push(...(await this.pagesOf(database, changed)));
        const stale = this.stale(changed.flatMap(({ marks }) => marks));
        if (stale) operations.push(this.put('e/_', meta.nextSequence, stale));
        await database.batch(operations, { sync: true });
        if (stale) this.logs.set('_', stale);
        this.marksVersion++;
        this.meta = meta;
        released += facts.length;
        this.tellCheckpoint();
      });
    }
    if (released > 0) this.committed?.();
    return released;
  }
  /** As they can be said. */
  private fitted(facts: readonly Fact[]): readonly Fact[] {
    const { fit } = this.settings;
    return fit ? facts.flatMap(fit) : facts;
  }
  private entries(
    facts: readonly Fact[],
    entryClass: EntryClass,
    first: number,
    storedAt: number,
    series?: SeriesKey,
  ): Operation[] {
    return facts.map((fact, i) => putEntry(entryClass, entryOf(first + i, storedAt, fact, series)));
  }
  /** Puts the oldest of many entries that wait into packs, up to the number `to`. */
  private async packs(database: Database): Promise<{ operations: Operation[]; to: number }> {
    const operations: Operation[] = [];
    let to = Math.max(this.packedTo, this.meta.acknowledged);
    for (; to + 2 * this.packSize < this.meta.nextSequence; to += this.packSize)
      for (const entryClass of [0, 1] as const) {
        const from = outboxKey(entryClass, to + 1);
        const pairs = await database.range(from, outboxKey(entryClass, to + this.packSize + 1), this.packSize);
        const records = pairs.map(([key, value]) => decodeOutbox(key, value));
        // Damage is found where the outbox is read.
        if (records.length < 2 || records.some((record) => !record || record.packed)) continue;
        const entries = records.flatMap((record) => record?.entries ?? []);
        operations.push(...pairs.map(([key]): Operation => ({ type: 'del', key })), ...putPacks(entryClass, entries));
      }
    return { operations, to };
  }

  /** Entries of a class after a sequence, in order: all, or `limit` and what else is in the pack of the last. */
  async outbox(entryClass: EntryClass, after: number, limit: number): Promise<OutboxEntry[]> {
    const database = await this.opened();
    const entries: OutboxEntry[] = [];
    let last = Math.max(after, this.lowest - 1);
    while (entries.length < limit) {
      const missing = limit - entries.length;
      const records = last < this.packedTo ? Math.ceil(missing / this.packSize) : missing;
      const from = outboxKey(entryClass, last + 1);
      const pairs = await this.guarded(() => database.range(from, outboxEnd(entryClass), records));
      for (const [key, value] of pairs) {
        const record = decodeOutbox(key, value);
        if (!record) {
          // Mended, and delivered as void; others may have come upon the same.
          await this.exclusive(async (open) => {
            const still = await open.get(key);
            if (!still || decodeOutbox(key, still)) return;
            this.marksVersion++;
            await this.load([]);
          });
          return this.outbox(entryClass, after, limit);
        }
        for (const { sequence, head, text } of record.entries)
          if (sequence > after && !(record.packed && sequence <= this.meta.acknowledged)) {
            const { storedAt, kind, meter, profile: series } = head;
            entries.push({ sequence, entryClass, storedAt, kind, meter, series, text });
          }
        last = record.entries.at(-1)?.sequence ?? last;
      }
      if (pairs.length === 0) break;
    }
    return entries;
  }

  /**
   * The head-end has everything up to `upTo`, except `nack`. Deleted without sync: a loss of the deletion only sends
   * again. Returns how many entries went.
   */
  async acknowledge(upTo: number, nack: ReadonlySet<number>): Promise<number> {
    // An acknowledgement of what was never sent is the head-end's mistake; it must not delete what comes later.
    if (!Number.isSafeInteger(upTo) || upTo < 0 || upTo >= this.meta.nextSequence) return 0;
    if (upTo < this.lowest && nack.size === 0) return 0;
    return this.exclusive(async (database) => {
      const { pending } = this;
      const acknowledged = Math.max(this.meta.acknowledged, upTo);
      // What it had before and wants no more is gone.
      const refused = [...nack].filter((sequence) => this.meta.kept.includes(sequence) || this.holds(sequence));
      const kept = [...new Set([...this.meta.kept.filter((sequence) => sequence > upTo), ...refused])];
      const meta: Meta = { ...this.meta, acknowledged, kept };
      const apart = await this.apart(
        database,
        kept.filter((sequence) => this.holds(sequence) && sequence <= acknowledged),
      );
      // First, so that no entry looks lost that was only deleted; leftovers of a crash go at the next start.
      await database.batch([...apart, this.put(metaKey, meta.nextSequence, meta)], { sync: false });
      this.meta = meta;
      await this.removeAcknowledged(database);
      return pending - this.pending;
    });
  }
  /** Whether an entry has this number and was never acknowledged. */
  private holds(sequence: number): boolean {
    return sequence > this.meta.acknowledged && sequence < this.meta.nextSequence;
  }

  /** Takes entries out of packs: they stay when the packs go. */
  private async apart(database: Database, sequences: readonly number[]): Promise<Operation[]> {
    const operations: Operation[] = [];
    for (const sequence of sequences)
      for (const entryClass of [0, 1] as const) {
        const [pair] = await database.range(outboxKey(entryClass, sequence), outboxEnd(entryClass), 1);
        const record = pair && decodeOutbox(...pair);
        const entry = record?.packed ? record.entries.find((one) => one.sequence === sequence) : undefined;
        if (entry) operations.push(putEntry(entryClass, entry));
      }
    return operations;
  }

  /** An entry that waits; undefined where none has this number. */
  async entry(sequence: number): Promise<OutboxEntry | undefined> {
    for (const entryClass of [0, 1] as const) {
      const [found] = await this.outbox(entryClass, sequence - 1, 1);
      if (found?.sequence === sequence) return found;
    }
    return undefined;
  }

  /**
   * An entry that cannot be sent as it is becomes void; what is said instead gets numbers of its own, at once. False where
   * none has this number.
   */
  async replace(sequence: number, facts: readonly Fact[], cause: VoidCause): Promise<boolean> {
    const replaced = await this.exclusive(async (database) => {
      for (const entryClass of [0, 1] as const) {
        const [pair] = await database.range(outboxKey(entryClass, sequence), outboxEnd(entryClass), 1);
        const record = pair && decodeOutbox(...pair);
        const entry = record?.entries.find((one) => one.sequence === sequence);
        if (!record || !entry) continue;
        const { acknowledged, nextSequence: first } = this.meta;
        const { storedAt, profile: series } = entry.head;
        // A number of its own has no place within a pack: the others of it get theirs back, the last under the pack's key.
        const operations = record.entries
          .filter((one) => one.sequence === sequence || one.sequence > acknowledged)
          .map((one) =>
            putEntry(entryClass, one === entry ? entryOf(sequence, storedAt, { kind: 'void', cause }) : one),
          );
        const said = this.fitted(facts);
        operations.push(...this.entries(said, entryClass, first, storedAt, series));
        const periodMs = (series === undefined ? undefined : this.series.get(stateKey(entry.head.meter, series)))
          ?.periodMs;
        // A manifest that was said before these numbers does not account for them.
        const marks = said.flatMap((fact) =>
          fact.kind === 'profile' || fact.kind === 'gap' ? marksOf(fact, periodMs ?? hourMs) : [],
        );
        const stale = this.stale(marks);
        const meta: Meta = { ...this.meta, nextSequence: first + said.length };
        if (stale) operations.push(this.put('e/_', meta.nextSequence, stale));
        operations.push(this.put(metaKey, meta.nextSequence, meta));
        await database.batch(operations, { sync: true });
        if (stale) this.logs.set('_', stale);
        this.meta = meta;
        this.tellCheckpoint();
        return true;
      }
      return false;
    });
    if (replaced) this.committed?.();
    return replaced;
  }

  private async removeAcknowledged(database: Database): Promise<void> {
    const { acknowledged, kept } = this.meta;
    const stay = kept.filter((sequence) => sequence <= acknowledged).toSorted((one, other) => one - other);
    let from = this.lowest;
    for (const end of [...stay, acknowledged + 1]) {
      if (end > from)
        for (const entryClass of [0, 1] as const)
          await database.remove(outboxKey(entryClass, from), outboxKey(entryClass, end));
      from = end + 1;
    }
    this.lowest = Math.max(this.lowest, stay[0] ?? acknowledged + 1);
  }

  /** Gives the room of deleted entries back to the disk. */
  async compact(): Promise<void> {
    const database = await this.opened();
    await this.guarded(() => database.compact());
  }

  async close(): Promise<void> {
    await this.writing.catch(() => {});
    const { database } = this;
    this.database = undefined;
    await database?.close();
    this.settings.checkpoint?.close();
  }

  private put(key: string, sequence: number, body: unknown): Operation {
    return { type: 'put', key, value: encodeRecord(key, { sequence, body }) };
  }

  /** One writer at a time, in order of the calls. */
  private exclusive<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const next = this.writing
      .catch(() => {})
      .then(async () => {
        const database = await this.opened();
        return this.guarded(() => work(database));
      });
    this.writing = next;
    return next;
  }

  /** After an I/O error LevelDB stays failed until it is closed and opened again. */
  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.failure = undefined;
      return result;
    } catch (error) {
      if (error instanceof Failure) throw error;
      this.failure = messageOf(error);
      this.broken = isCorruption(error) ? this.failure : undefined;
      this.reopenAt = later(this.settings.clock.now(), reopenPauseMs);
      const { database } = this;
      this.database = undefined;
      await database?.close().catch(() => {});
      throw new Failure('store-failed', `store: ${this.failure}`);
    }
  }

  private async opened(): Promise<Database> {
    if (this.database) return this.database;
    if (this.settings.clock.now() < this.reopenAt)
      throw new Failure('store-failed', `store: ${this.failure ?? 'closed'}`);
    this.reopenAt = later(this.settings.clock.now(), reopenPauseMs);
    try {
      this.database = await this.settings.open(this.broken);
      await this.begin();
      this.broken = undefined;
      return this.database;
    } catch (error) {
      this.failure = messageOf(error);
      if (isCorruption(error)) this.broken = this.failure;
      const { database } = this;
      this.database = undefined;
      await database?.close().catch(() => {});
      throw error instanceof Failure ? error : new Failure('store-failed', `store: ${this.failure}`);
    }
  }

  /** The database was opened. */
  private async begin(): Promise<void> {
    const found = this.settings.damageFound?.() ?? [];
    this.damage = { quarantined: 0, missing: 0, log: found };
    await this.load(found);
  }

  /**
   * Reads all state and checks that nothing of it is missing: every sequence after the acknowledged one must be there, and
   * what the checkpoint tells. After damage a new epoch begins: neither a number nor a revision means two things in one.
   */
  private async load(found: readonly string[]): Promise<void> {
    const database = this.database as Database;
    const raw = await database.get(metaKey);
    const known = raw && (decodeRecord(metaKey, raw)?.body as Meta | undefined);
    const told = this.settings.checkpoint?.read();
    refuseNewer(known?.format ?? told?.format);
    const { numbers, packedTo, strays } = await this.scanOutbox(database);
    this.packedTo = packedTo;
    const sequences = [...numbers].toSorted((one, other) => one - other);
    const [lowest, highest] = [sequences[0], sequences.at(-1) ?? 0];
    const fresh = raw === undefined && told === undefined && sequences.length === 0;
    const numbersLost =
      known === undefined
        ? !fresh
        : known.nextSequence <= highest ||
          (told !== undefined &&
            (told.epoch > known.epoch || (told.epoch === known.epoch && told.nextSequence > known.nextSequence)));
    if (known && !numbersLost) this.meta = known;
    else {
      const earlier = Math.max(known?.epoch ?? 0, told?.epoch ?? 0);
      const nextSequence = highest + 1;
      const acknowledged = (lowest ?? nextSequence) - 1;
      const epoch = this.settings.newEpoch(earlier);
      this.meta = { format: storeFormat, epoch, nextSequence, acknowledged, kept: [] };
    }
    this.series = new Map();
    const unreadable: string[] = [];
    for (const [key, value] of await database.range('s/', 's/~', 100_000)) {
      const record = decodeRecord(key, value);
      if (record) this.series.set(key, record.body as SeriesState);
      else unreadable.push(key);
    }
    this.logs = new Map();
    for (const [key, value] of await database.range('e/', 'e/~', 100_000)) {
      const record = decodeRecord(key, value);
      // Damaged: the logs are read from their beginning; the head-end knows an event by log, stamp, code and occurrence.
      if (record) this.logs.set(key.slice(2), record.body as MeterLogs);
      else unreadable.push(key);
    }
    const { acknowledged, nextSequence, kept } = this.meta;
    const absent: number[] = [];
    for (let sequence = acknowledged + 1; sequence < nextSequence; sequence++)
      if (!numbers.has(sequence)) absent.push(sequence);
    absent.push(...kept.filter((sequence) => sequence <= acknowledged && !numbers.has(sequence)));
    this.lowest = lowest ?? nextSequence;
    if (sequences.some((sequence) => sequence <= acknowledged && !kept.includes(sequence)))
      await this.removeAcknowledged(database);
    const vanished = (this.meta.records ?? 0) - this.series.size - this.logs.size - unreadable.length;
    if (vanished > 0) unreadable.push(`${vanished} records of series and logs`);
    const unfinished = known?.mending === true;
    const restored = known?.restored === true;
    const damaged =
      absent.length + strays.length + unreadable.length + found.length > 0 || (numbersLost && !fresh) || unfinished;
    if (damaged || restored) {
      if (known) await this.beginMending(known);
      // What is said again must not be taken for what was said: some of it may be known less well than before.
      if (!numbersLost) this.meta = { ...this.meta, epoch: this.settings.newEpoch(this.meta.epoch) };
      await this.replaceDamaged(absent, strays);
      await this.readAgain(damaged ? 'STORE_DAMAGED' : 'STATE_RESTORED', {
        found:
          [
            ...found,
            ...(restored ? ['restored from a backup'] : []),
            ...(unfinished ? ['a crash while damage was mended'] : []),
            ...unreadable.map((key) => `${key}: damaged or lost`),
          ]
            .join('; ')
            .slice(0, 500) || null,
        damagedRecords: strays.length,
        missingRecords: absent.length,
        epochBefore: known?.epoch ?? told?.epoch ?? null,
        lostFrom: numbersLost ? (known?.nextSequence ?? null) : (absent[0] ?? null),
        lostTo: numbersLost && told ? told.nextSequence - 1 : (absent.at(-1) ?? null),
      });
    } else if (known?.format !== storeFormat)
      await database.batch([this.put(metaKey, nextSequence, this.meta)], { sync: true });
    this.tellCheckpoint();
  }

  /** Numbers of the entries that are whole, and what stands among them and is none. */
  private async scanOutbox(
    database: Database,
  ): Promise<{ numbers: Set<number>; packedTo: number; strays: { key: string; value: Uint8Array }[] }> {
    const numbers = new Set<number>();
    let packedTo = 0;
    const strays: { key: string; value: Uint8Array }[] = [];
    for await (const pairs of walk(database, 'o/', 'o/~'))
      for (const [key, value] of pairs) {
        const record = decodeOutbox(key, value);
        if (!record) strays.push({ key, value });
        for (const { sequence } of record?.entries ?? []) {
          numbers.add(sequence);
          if (record?.packed) packedTo = Math.max(packedTo, sequence);
        }
      }
    return { numbers, packedTo, strays };
  }

  private tellCheckpoint(): void {
    const { epoch, nextSequence } = this.meta;
    this.settings.checkpoint?.write({ epoch, nextSequence, format: storeFormat });
  }

  /**
   * Damaged records are kept for inspection; a number whose entry is damaged or has vanished keeps a place, so that the
   * head-end can acknowledge past it.
   */
  private async replaceDamaged(
    absent: readonly number[],
    strays: readonly { key: string; value: Uint8Array }[],
  ): Promise<void> {
    const database = this.database as Database;
    const storedAt = this.settings.clock.wall();
    const operations = strays.flatMap(({ key, value }): Operation[] => [
      { type: 'put', key: `q/${key}`, value },
      { type: 'del', key },
    ]);
    for (const sequence of absent) operations.push(putEntry(1, entryOf(sequence, storedAt, voided)));
    this.lowest = absent.reduce((low, sequence) => Math.min(low, sequence), this.lowest);
    for (let at = 0; at < operations.length; at += scanStep)
      await database.batch(operations.slice(at, at + scanStep), { sync: true });
    this.damage = {
      ...this.damage,
      quarantined: this.damage.quarantined + strays.length,
      missing: this.damage.missing + absent.length,
    };
  }

  /**
   * What was lost is in the meters still: forget how far the series were read. Values that are the same do no harm. Why is
   * told as an event.
   */
  private async readAgain(
    name: 'STORE_DAMAGED' | 'STATE_RESTORED' | 'STATE_FELL_BACK',
    damage: NonNullable<EventFact['detail']>,
  ): Promise<void> {
    const detail = { ...damage, epoch: this.meta.epoch };
    const event = gatewayFact(this.settings.clock.wall(), name, detail);
    const first = this.meta.nextSequence;
    const operations = this.entries([event], 0, first, this.settings.clock.wall());
    this.meta = { ...this.meta, nextSequence: first + 1 };
    for (const [key, state] of this.series) {
      const emptied: SeriesState = { ...state, coverage: [], exceptions: [] };
      this.series.set(key, emptied);
      operations.push(this.put(key, this.meta.nextSequence, emptied));
    }
    const staleDays = await this.keepPending();
    const own = this.meterLogs('_');
    const told: MeterLogs = { ...own, staleDays: [...new Set([...(own.staleDays ?? []), ...staleDays])] };
    this.logs.set('_', told);
    operations.push(this.put('e/_', this.meta.nextSequence, told));
    const { mending: _, restored: __, ...meta } = this.meta;
    this.meta = { ...meta, format: storeFormat, records: this.series.size + this.logs.size };
    operations.push(this.put(metaKey, this.meta.nextSequence, this.meta));
    await (this.database as Database).batch(operations, { sync: true });
  }

  /** From here on until the last batch of readAgain every start finds the damage, though parts of it are mended. */
  private async beginMending(meta: Meta): Promise<void> {
    const begun: Meta = { ...meta, mending: true };
    await (this.database as Database).batch([this.put(metaKey, meta.nextSequence, begun)], { sync: true });
  }

  /**
   * What is not acknowledged is delivered in the new epoch: it counts as said in it. The accounts of days are of the epoch
   * before, and are made again. Returns their days.
   */
  private async keepPending(): Promise<number[]> {
    const database = this.database as Database;
    const { acknowledged, kept } = this.meta;
    const days: number[] = [];
    /** The last number of each class that has a record of its own. */
    const alone: Record<EntryClass, number> = { 0: 0, 1: 0 };
    let operations: Operation[] = [];
    let said: { meter: string; series: SeriesKey; marks: Mark[] }[] = [];
    let marked = 0;
    const flush = async () => {
      operations.push(...(await this.pagesOf(database, said, true)));
      if (operations.length > 0) await database.batch(operations, { sync: true });
      [operations, said, marked] = [[], [], 0];
    };
    for await (const pairs of walk(database, 'o/', 'o/~'))
      for (const [key, value] of pairs) {
        const record = decodeOutbox(key, value);
        if (!record) continue;
        const { entryClass, packed } = record;
        const entries = record.entries.filter(
          ({ sequence }) => sequence > acknowledged || (!packed && kept.includes(sequence)),
        );
        const replaced: Entry[] = [];
        for (const entry of entries) {
          const { sequence, head } = entry;
          const { profile: series, storedAt } = head;
          const fact = factOf(entry);
          if (series !== undefined && (fact.kind === 'profile' || fact.kind === 'gap')) {
            const { meter } = fact;
            const { periodMs = 3_600_000 } = this.series.get(stateKey(meter, series)) ?? {};
            const marks = marksOf(fact, periodMs);
            said.push({ meter, series, marks });
            marked += marks.length;
          }
          if (fact.kind === 'manifest') days.push(Date.parse(`${fact.day}T00:00:00Z`));
          replaced.push(fact.kind === 'manifest' ? entryOf(sequence, storedAt, voided) : entry);
        }
        // Read in the order of their keys: where a number got a place within a pack, the others of it get theirs back.
        const dissolved = packed && (entries[0]?.sequence ?? 0) < alone[entryClass];
        if (!packed) alone[entryClass] = entries.at(-1)?.sequence ?? 0;
        const changed = replaced.some((entry, i) => entry !== entries[i]);
        if (packed && changed && !dissolved) operations.push(...putPacks(entryClass, replaced));
        else if (changed || dissolved) operations.push(...replaced.map((entry) => putEntry(entryClass, entry)));
        if (marked + operations.length > mendStep) await flush();
      }
    await flush();
    return days;
  }
}
