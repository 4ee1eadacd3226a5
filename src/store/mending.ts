/**
 * What a start finds in the database, whether anything of it is missing, and how damage is mended: only where nobody else
 * writes, and so that a crash in the middle begins with it again.
 */
import { type Clock, hourMs, type Millis } from '../base/time.ts';
import { marksOf } from '../reading/interval-hash.ts';
import { type EventFact, type Fact, gatewayFact } from '../reading/facts.ts';
import type { Database, Operation } from './database.ts';
import {
  corruptKey,
  type EntryClass,
  idOfOrder,
  logsKey,
  meterOfKey,
  seriesStateKey,
  spaceOf,
  stateKey,
} from './keys.ts';
import { changedPages, type PublishedMarks } from './marks.ts';
import type { OrderEntry } from './order-ledger.ts';
import { type Pair, putFacts, removeAcknowledged, scanOutbox, walk } from './outbox-log.ts';
import { decodeOutbox, type Entry, entryOf, factOf, putEntry, putPacks } from './outbox-record.ts';
import { decodeRecord } from './record.ts';
import {
  type Checkpoint,
  type MeterLogs,
  meterLogsOf,
  type PushMark,
  putRecord,
  putState,
  refuseNewer,
  type SeriesState,
  type StateRecord,
  stateRecordOf,
  storeFormat,
} from './records.ts';

/** Operations that are written at once. */
const mendStep = 500;
/** Marks and operations that are written at once. */
const markStep = 10_000;
const maxRecords = 100_000;

/** In an event. */
const maxWords = 500;

export interface Damage {
  /** Records that were damaged and are kept for inspection. */
  readonly quarantined: number;
  /** Entries whose numbers became void. */
  readonly missing: number;
  readonly log: readonly string[];
}
/** What the store has in memory of what is on the disk. */
export interface StoreMemory {
  state: StateRecord;
  series: Map<string, SeriesState>;
  logs: Map<string, MeterLogs>;
  /** How far pushes were heard, by meter. */
  pushed: Map<string, PushMark>;
  /** What is remembered of orders, by their id. */
  orders: Map<string, OrderEntry>;
  /** No entry has a lower number. LevelDB walks over everything that was deleted before the first that is there. */
  lowest: number;
  /** No pack holds a higher number. */
  packedTo: number;
  damage: Damage;
  /** Counts commits with marks: what is computed from marks must know whether they are still the same. */
  marksVersion: number;
}
/** Records that must be there after a commit of these. */
export const recordsAfter = (
  { series, logs, pushed }: StoreMemory,
  written: {
    readonly series: string | undefined;
    readonly logs: readonly string[];
    readonly pushed: string | undefined;
    readonly orders: number;
  },
): number =>
  series.size +
  (written.series !== undefined && !series.has(written.series) ? 1 : 0) +
  logs.size +
  written.logs.filter((meter) => !logs.has(meter)).length +
  pushed.size +
  (written.pushed !== undefined && !pushed.has(written.pushed) ? 1 : 0) +
  written.orders;
export interface MendingSettings {
  readonly clock: Clock;
  /** An epoch that cannot have been before, later than this one (epoch.ts). */
  readonly newEpoch: (after: number) => number;
  /** What was stored last, kept outside of the database: reveals a store that fell behind. */
  readonly checkpoint?: { read(): Checkpoint | undefined; write(checkpoint: Checkpoint): void; close(): void };
}

interface Found {
  /** The state with which the store goes on. */
  readonly state: StateRecord;
  /** The state record as it was read. */
  readonly before: StateRecord | undefined;
  /** Which numbers were given is not known: `state` has begun an epoch. */
  readonly numbersLost: boolean;
  readonly series: Map<string, SeriesState>;
  readonly logs: Map<string, MeterLogs>;
  readonly pushed: Map<string, PushMark>;
  readonly orders: Map<string, OrderEntry>;
  readonly packedTo: number;
  readonly lowest: number;
  /** Entries that the head-end has, left by a crash. */
  readonly leftovers: boolean;
  /** Numbers without an entry. */
  readonly absent: readonly number[];
  readonly corrupt: readonly Pair[];
  /** Records of series and logs that are damaged or have vanished, in words. */
  readonly unreadable: readonly string[];
}

/**
 * Reads all state and finds what of it is missing: every sequence after the acknowledged one must be there, and what the
 * checkpoint tells. Throws Failure `store-too-new`.
 */
async function readStore(
  database: Database,
  checkpoint: Checkpoint | undefined,
  newEpoch: (after: number) => number,
): Promise<Found> {
  const raw = await database.get(stateKey);
  const record = raw && decodeRecord(stateKey, raw);
  const before = record && stateRecordOf(record.body);
  refuseNewer(before?.format ?? checkpoint?.format);
  const { numbers, packedTo, corrupt: corruptEntries } = await scanOutbox(database);
  const corrupt = [...corruptEntries];
  const sequences = [...numbers].toSorted((one, other) => one - other);
  const [lowest, highest] = [sequences[0], sequences.at(-1) ?? 0];
  const fresh = raw === undefined && checkpoint === undefined && sequences.length === 0;
  const fellBehind = before !== undefined && (before.nextSequence <= highest || isBehind(before, checkpoint));
  const begun = (): StateRecord => {
    const nextSequence = highest + 1;
    const acknowledged = (lowest ?? nextSequence) - 1;
    const epoch = newEpoch(Math.max(before?.epoch ?? 0, checkpoint?.epoch ?? 0));
    return { format: storeFormat, epoch, nextSequence, acknowledged, nacked: [] };
  };
  const state = before && !fellBehind ? before : begun();
  const unreadable: string[] = [];
  const bodies = async <T>(
    space: 's' | 'e' | 'c' | 'u',
    name: (key: string) => string,
    read: (body: unknown) => T,
  ): Promise<Map<string, T>> => {
    const found = new Map<string, T>();
    for (const [key, value] of await database.range(...spaceOf(space), maxRecords)) {
      const record = decodeRecord(key, value);
      if (record) found.set(name(key), read(record.body));
      else {
        unreadable.push(key);
        // Nothing writes it anew: it would be found damaged at each start.
        if (space === 'c' || space === 'u') corrupt.push({ key, value });
      }
    }
    return found;
  };
  const series = await bodies('s', String, (body) => body as SeriesState);
  // Damaged: the logs are read from their beginning; the head-end knows an event by log, stamp, code and occurrence.
  const logs = await bodies('e', meterOfKey, meterLogsOf);
  const pushed = await bodies('u', meterOfKey, (body) => body as PushMark);
  const orders = await bodies('c', idOfOrder, (body) => body as OrderEntry);
  const vanished = (state.records ?? 0) - series.size - logs.size - pushed.size - orders.size - unreadable.length;
  if (vanished > 0) unreadable.push(`${vanished} records of series, logs, pushes and orders`);
  const { acknowledged, nextSequence, nacked } = state;
  const absent: number[] = [];
  for (let sequence = acknowledged + 1; sequence < nextSequence; sequence++)
    if (!numbers.has(sequence)) absent.push(sequence);
  absent.push(...nacked.filter((sequence) => sequence <= acknowledged && !numbers.has(sequence)));
  return {
    state,
    before,
    numbersLost: before === undefined ? !fresh : fellBehind,
    series,
    logs,
    pushed,
    orders,
    packedTo,
    lowest: lowest ?? nextSequence,
    leftovers: sequences.some((sequence) => sequence <= acknowledged && !nacked.includes(sequence)),
    absent,
    corrupt,
    unreadable,
  };
}
function isBehind(state: StateRecord, checkpoint: Checkpoint | undefined): boolean {
  if (!checkpoint) return false;
  const { epoch, nextSequence } = checkpoint;
  return epoch > state.epoch || (epoch === state.epoch && nextSequence > state.nextSequence);
}

/** Takes the place of an entry that is lost, or that says what is not so any more. */
const voided: Fact = { kind: 'void', cause: 'STORE_DAMAGED' };

/**
 * Damaged records are kept for inspection; a number whose entry is damaged or has vanished keeps a place, so that the
 * head-end can acknowledge past it.
 */
async function replaceDamaged(
  database: Database,
  { absent, corrupt }: Pick<Found, 'absent' | 'corrupt'>,
  storedAt: number,
): Promise<void> {
  const operations = corrupt.flatMap(({ key, value }): Operation[] => [
    { type: 'put', key: corruptKey(key), value },
    { type: 'del', key },
  ]);
  for (const sequence of absent) operations.push(putEntry(1, entryOf(sequence, storedAt, voided)));
  for (let at = 0; at < operations.length; at += mendStep)
    await database.batch(operations.slice(at, at + mendStep), { sync: true });
}

/**
 * What is not acknowledged is delivered in the new epoch: it counts as said in it. The accounts of days are of the epoch
 * before, and are made again. Returns their days.
 */
async function republishPending(
  database: Database,
  { acknowledged, nacked, epoch }: StateRecord,
  series: ReadonlyMap<string, SeriesState>,
): Promise<number[]> {
  const days: number[] = [];
  /** The last number of each class that has a record of its own. */
  const lastUnpacked: Record<EntryClass, number> = { 0: 0, 1: 0 };
  let operations: Operation[] = [];
  let published: PublishedMarks[] = [];
  let marked = 0;
  const flush = async () => {
    operations.push(...(await changedPages(database, published, epoch, 'mending')));
    if (operations.length > 0) await database.batch(operations, { sync: true });
    [operations, published, marked] = [[], [], 0];
  };
  const republished = (entry: Entry): Entry => {
    const { sequence, head } = entry;
    const fact = factOf(entry);
    if (head.profile !== undefined && (fact.kind === 'profile' || fact.kind === 'gap')) {
      const { periodMs = hourMs } = series.get(seriesStateKey(fact.meter, head.profile)) ?? {};
      const marks = marksOf(fact, periodMs);
      published.push({ meter: fact.meter, series: head.profile, marks });
      marked += marks.length;
    }
    if (fact.kind !== 'manifest') return entry;
    days.push(Date.parse(`${fact.day}T00:00:00Z`));
    return entryOf(sequence, head.storedAt, voided);
  };
  for await (const pairs of walk(database, spaceOf('o')))
    for (const [key, value] of pairs) {
      const record = decodeOutbox(key, value);
      if (!record) continue;
      const { entryClass, packed } = record;
      const entries = record.entries.filter(
        ({ sequence }) => sequence > acknowledged || (!packed && nacked.includes(sequence)),
      );
      const replaced = entries.map(republished);
      // Read in the order of their keys: where a number got a place within a pack, the others of it get theirs back.
      const dissolved = packed && (entries[0]?.sequence ?? 0) < lastUnpacked[entryClass];
      if (!packed) lastUnpacked[entryClass] = entries.at(-1)?.sequence ?? 0;
      const changed = replaced.some((entry, i) => entry !== entries[i]);
      if (packed && changed && !dissolved) operations.push(...putPacks(entryClass, replaced));
      else if (changed || dissolved) operations.push(...replaced.map((entry) => putEntry(entryClass, entry)));
      if (marked + operations.length > markStep) await flush();
    }
  await flush();
  return days;
}

/** Takes what is there. After damage a new epoch begins: neither a number nor a revision means two things in one. */
export async function loadStore(
  database: Database,
  memory: StoreMemory,
  settings: MendingSettings,
  repaired: readonly string[],
): Promise<void> {
  const { newEpoch, checkpoint } = settings;
  const last = checkpoint?.read();
  const found = await readStore(database, last, newEpoch);
  const { before, numbersLost, absent, corrupt, unreadable } = found;
  // From here on it is written as this program writes it: an earlier one must refuse it.
  memory.state = { ...found.state, format: storeFormat };
  memory.series = found.series;
  memory.logs = found.logs;
  memory.pushed = found.pushed;
  memory.orders = found.orders;
  memory.packedTo = found.packedTo;
  memory.lowest = found.lowest;
  if (found.leftovers) memory.lowest = await removeAcknowledged(database, { lowest: memory.lowest, ...memory.state });
  const unfinished = before?.mending === true;
  const restored = before?.restored === true;
  const isDamaged =
    absent.length + corrupt.length + unreadable.length + repaired.length > 0 || numbersLost || unfinished;
  if (isDamaged || restored) {
    if (before) await beginMending(database, before);
    // What is said again must not be taken for what was said: some of it may be known less well than before.
    if (!numbersLost) memory.state = { ...memory.state, epoch: newEpoch(memory.state.epoch) };
    await keepCorrupt(database, memory, settings, found);
    const words = [
      ...repaired,
      ...(restored ? ['restored from a backup'] : []),
      ...(unfinished ? ['a crash while damage was mended'] : []),
      ...unreadable.map((key) => `${key}: damaged or lost`),
    ];
    const name = isDamaged ? 'STORE_DAMAGED' : 'STATE_RESTORED';
    await resetCoverage(database, memory, settings, (wall, epoch) =>
      gatewayFact(wall, name, {
        epoch,
        found: words.join('; ').slice(0, maxWords) || null,
        damagedRecords: corrupt.length,
        missingRecords: absent.length,
        epochBefore: before?.epoch ?? last?.epoch ?? null,
        lostFrom: numbersLost ? (before?.nextSequence ?? null) : (absent[0] ?? null),
        lostTo: numbersLost && last ? last.nextSequence - 1 : (absent.at(-1) ?? null),
      }),
    );
  } else if (before?.format !== storeFormat) await database.batch([putState(memory.state)], { sync: true });
  writeCheckpoint(memory.state, settings);
}

/**
 * A page of marks is damaged or has vanished: which revisions were given is not known any more, so the series are said
 * anew, in an epoch of their own. Only where nobody else writes.
 */
export async function mendPage(
  database: Database,
  memory: StoreMemory,
  settings: MendingSettings,
  key: string,
): Promise<void> {
  const { state } = memory;
  await beginMending(database, state);
  const value = await database.get(key);
  if (value) await keepCorrupt(database, memory, settings, { absent: [], corrupt: [{ key, value }] });
  memory.state = { ...state, epoch: settings.newEpoch(state.epoch) };
  memory.marksVersion++;
  await resetCoverage(database, memory, settings, (wall, epoch) =>
    gatewayFact(wall, 'STORE_DAMAGED', {
      epoch,
      found: `${key}: damaged or lost`,
      damagedRecords: 1,
      missingRecords: 0,
      epochBefore: state.epoch,
      lostFrom: null,
      lostTo: null,
    }),
  );
}
async function keepCorrupt(
  database: Database,
  memory: StoreMemory,
  { clock }: MendingSettings,
  found: Pick<Found, 'absent' | 'corrupt'>,
): Promise<void> {
  const { absent, corrupt } = found;
  await replaceDamaged(database, found, clock.wall());
  memory.lowest = absent.reduce((low, sequence) => Math.min(low, sequence), memory.lowest);
  memory.damage = {
    ...memory.damage,
    quarantined: memory.damage.quarantined + corrupt.length,
    missing: memory.damage.missing + absent.length,
  };
}
/** From here on until the last batch of resetCoverage every start finds the damage, though parts of it are mended. */
async function beginMending(database: Database, state: StateRecord): Promise<void> {
  await database.batch([putState({ ...state, mending: true })], { sync: true });
}
/**
 * What was lost is in the meters still: forget how far the series were read. Values that are the same do no harm. Why is
 * said by an event.
 */
async function resetCoverage(
  database: Database,
  memory: StoreMemory,
  settings: MendingSettings,
  eventOf: (wall: Millis, epoch: number) => EventFact,
): Promise<void> {
  const wall = settings.clock.wall();
  const first = memory.state.nextSequence;
  const operations = putFacts([eventOf(wall, memory.state.epoch)], 0, first, wall);
  for (const [key, state] of memory.series) {
    const emptied: SeriesState = { ...state, coverage: [], exceptions: [] };
    memory.series.set(key, emptied);
    operations.push(putRecord(key, first + 1, emptied));
  }
  const staleDays = await republishPending(database, memory.state, memory.series);
  const own: MeterLogs = memory.logs.get('_') ?? { cursors: {}, dark: [] };
  const stale: MeterLogs = { ...own, staleDays: [...new Set([...(own.staleDays ?? []), ...staleDays])] };
  memory.logs.set('_', stale);
  operations.push(putRecord(logsKey('_'), first + 1, stale));
  const { mending: _, restored: __, ...state } = memory.state;
  const records = memory.series.size + memory.logs.size + memory.pushed.size + memory.orders.size;
  memory.state = { ...state, nextSequence: first + 1, format: storeFormat, records };
  operations.push(putState(memory.state));
  await database.batch(operations, { sync: true });
  writeCheckpoint(memory.state, settings);
}

/** The head-end proved that this state fell back: everything is said anew, in an epoch after both. */
export async function mendFallBack(
  database: Database,
  memory: StoreMemory,
  settings: MendingSettings,
  theirs: { readonly epoch: number; readonly upTo: number },
): Promise<void> {
  const { state } = memory;
  await beginMending(database, state);
  memory.state = { ...state, epoch: settings.newEpoch(Math.max(state.epoch, theirs.epoch)) };
  memory.marksVersion++;
  await resetCoverage(database, memory, settings, (wall, epoch) =>
    gatewayFact(wall, 'STATE_FELL_BACK', {
      epoch,
      epochBefore: state.epoch,
      nextSequence: state.nextSequence,
      headEndEpoch: theirs.epoch,
      headEndUpTo: theirs.upTo,
    }),
  );
}
export const writeCheckpoint = ({ epoch, nextSequence }: StateRecord, { checkpoint }: MendingSettings): void =>
  checkpoint?.write({ epoch, nextSequence, format: storeFormat });
