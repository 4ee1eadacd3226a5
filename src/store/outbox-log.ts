/** The outbox in the database: entries and packs, read and written; what may be deleted. */
import type { Fact } from '../reading/facts.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { Database, Operation } from './database.ts';
import { type EntryClass, outboxEnd, outboxKey, spaceOf } from './keys.ts';
import { decodeOutbox, type Entry, entryOf, putEntry, putPacks } from './outbox-record.ts';

export const entryClasses: readonly EntryClass[] = [0, 1];
export interface Pair {
  readonly key: string;
  readonly value: Uint8Array;
}
/** Pairs that are read at once. */
const walkStep = 500;

/** All pairs from one key to another, a part at a time. */
export async function* walk(
  database: Database,
  [from, to]: readonly [from: string, to: string],
): AsyncGenerator<[string, Uint8Array][]> {
  for (let after = from; ; ) {
    const pairs = await database.range(after, to, walkStep);
    const last = pairs.at(-1);
    if (!last) return;
    yield pairs;
    after = `${last[0]}\u0000`;
  }
}

/** Facts under the numbers from `first` on. */
export const putFacts = (
  facts: readonly Fact[],
  entryClass: EntryClass,
  first: number,
  storedAt: number,
  series?: SeriesKey,
): Operation[] => facts.map((fact, i) => putEntry(entryClass, entryOf(first + i, storedAt, fact, series)));

export interface OutboxScan {
  /** The numbers of the entries that are whole. */
  readonly numbers: Set<number>;
  /** No pack holds a higher number. */
  readonly packedTo: number;
  /** What stands among them and is none. */
  readonly corrupt: readonly Pair[];
}
export async function scanOutbox(database: Database): Promise<OutboxScan> {
  const numbers = new Set<number>();
  const corrupt: Pair[] = [];
  let packedTo = 0;
  for await (const pairs of walk(database, spaceOf('o')))
    for (const [key, value] of pairs) {
      const record = decodeOutbox(key, value);
      if (!record) corrupt.push({ key, value });
      for (const { sequence } of record?.entries ?? []) {
        numbers.add(sequence);
        if (record?.packed) packedTo = Math.max(packedTo, sequence);
      }
    }
  return { numbers, packedTo, corrupt };
}

/** Puts the oldest of many entries that wait into packs of `size`, up to the number that comes back as `to`. */
export async function packOldest(
  database: Database,
  { from, nextSequence, size }: { readonly from: number; readonly nextSequence: number; readonly size: number },
): Promise<{ operations: Operation[]; to: number }> {
  const operations: Operation[] = [];
  let to = from;
  for (; to + 2 * size < nextSequence; to += size)
    for (const entryClass of entryClasses) {
      const pairs = await database.range(outboxKey(entryClass, to + 1), outboxKey(entryClass, to + size + 1), size);
      const records = pairs.map(([key, value]) => decodeOutbox(key, value));
      // Damage is found where the outbox is read.
      if (records.length < 2 || records.some((record) => !record || record.packed)) continue;
      const entries = records.flatMap((record) => record?.entries ?? []);
      operations.push(...pairs.map(([key]): Operation => ({ type: 'del', key })), ...putPacks(entryClass, entries));
    }
  return { operations, to };
}

interface Located {
  readonly entryClass: EntryClass;
  readonly packed: boolean;
  /** All that stand under one key with it. */
  readonly entries: readonly Entry[];
  readonly entry: Entry;
}
export async function locateEntry(database: Database, sequence: number): Promise<Located | undefined> {
  for (const entryClass of entryClasses) {
    const [pair] = await database.range(outboxKey(entryClass, sequence), outboxEnd(entryClass), 1);
    const record = pair && decodeOutbox(...pair);
    const entry = record?.entries.find((one) => one.sequence === sequence);
    if (record && entry) return { ...record, entry };
  }
  return undefined;
}

/** Takes entries out of packs: they stay when the packs go. */
export async function unpack(database: Database, sequences: readonly number[]): Promise<Operation[]> {
  const operations: Operation[] = [];
  for (const sequence of sequences) {
    const found = await locateEntry(database, sequence);
    if (found?.packed) operations.push(putEntry(found.entryClass, found.entry));
  }
  return operations;
}

/**
 * Deletes, without sync, the entries from `lowest` to `acknowledged` that the head-end did not refuse. Returns the lowest
 * number that may be there still.
 */
export async function removeAcknowledged(
  database: Database,
  { lowest, acknowledged, nacked }: { lowest: number; acknowledged: number; nacked: readonly number[] },
): Promise<number> {
  const stay = nacked.filter((sequence) => sequence <= acknowledged).toSorted((one, other) => one - other);
  let from = lowest;
  for (const end of [...stay, acknowledged + 1]) {
    if (end > from)
      for (const entryClass of entryClasses)
        await database.remove(outboxKey(entryClass, from), outboxKey(entryClass, end));
    from = end + 1;
  }
  return Math.max(lowest, stay[0] ?? acknowledged + 1);
}
