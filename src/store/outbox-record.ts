/**
 * What stands under a key of the outbox, `o/<class>/<sequence>`: an entry, or a pack of those that have waited for long,
 * under the number of its last. A pack is a tenth of its entries: LevelDB's own compression sees 16 KiB and spends two or
 * three octets on each 64 that it has seen before.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Fact } from '../reading/facts.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { Operation } from './database.ts';
import { type EntryClass, outboxKey, parseOutboxKey } from './keys.ts';
import { sealed, unsealed } from './record.ts';

/** What stands before the fact in an entry. */
export interface EntryHead {
  readonly storedAt: number;
  readonly kind: Fact['kind'];
  /** `_`: of the gateway itself. */
  readonly meter: string;
  /** The series, where the fact tells of intervals: this is its name in the record. */
  readonly profile?: SeriesKey;
}
export interface Entry {
  readonly sequence: number;
  readonly head: EntryHead;
  /** The fact as JSON: it is sent as it was stored. */
  readonly text: string;
}
/** An entry as the outbox of the gateway has it. */
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
export interface OutboxRecord {
  readonly entryClass: EntryClass;
  readonly packed: boolean;
  /** Entries of one class, in the order of their numbers. */
  readonly entries: readonly Entry[];
}

/** No JSON begins like this. */
const packMark = 0;
/** Text of the entries of a pack, octets: what is opened at once must be little for a small machine. */
const packOctets = 256 * 1024;

/** A fact under its number; `series`: where it tells of intervals. */
export function entryOf(sequence: number, storedAt: number, fact: Fact, series?: SeriesKey): Entry {
  const meter = 'meter' in fact ? fact.meter : '_';
  const head = { storedAt, kind: fact.kind, meter, ...(series !== undefined && { profile: series }) };
  return { sequence, head, text: JSON.stringify(fact) };
}
export const factOf = ({ text }: { readonly text: string }): Fact => JSON.parse(text) as Fact;

/** Two lines, for the second is sent without being read. */
export function putEntry(entryClass: EntryClass, { sequence, head, text }: Entry): Operation {
  const key = outboxKey(entryClass, sequence);
  return { type: 'put', key, value: sealed(key, sequence, Buffer.from(`${JSON.stringify(head)}\n${text}`)) };
}

/** Puts entries into as few packs as their size allows. */
export function putPacks(entryClass: EntryClass, entries: readonly Entry[]): Operation[] {
  const packs: { last: number; text: string }[] = [];
  for (const { sequence, head, text } of entries) {
    const lines = `${sequence}\n${JSON.stringify(head)}\n${text}\n`;
    const pack = packs.at(-1);
    if (pack && pack.text.length + lines.length <= packOctets) {
      pack.last = sequence;
      pack.text += lines;
    } else packs.push({ last: sequence, text: lines });
  }
  return packs.map(({ last, text }) => {
    const key = outboxKey(entryClass, last);
    return { type: 'put', key, value: sealed(key, last, Buffer.concat([Buffer.of(packMark), deflateRawSync(text)])) };
  });
}

/** undefined where it is damaged, or stands where it does not belong. */
export function decodeOutbox(key: string, octets: Uint8Array): OutboxRecord | undefined {
  const parsed = parseOutboxKey(key);
  const opened = unsealed(key, octets);
  if (!parsed || opened?.sequence !== parsed.sequence) return undefined;
  const { sequence, content } = opened;
  const packed = content[0] === packMark;
  try {
    const entries = packed ? unpacked(content) : [readEntry(sequence, content)];
    return entries.at(-1)?.sequence === sequence ? { entryClass: parsed.entryClass, packed, entries } : undefined;
  } catch {
    return undefined;
  }
}
function readEntry(sequence: number, content: Buffer): Entry {
  const end = content.indexOf('\n');
  // Format 1: all of it is one line of JSON.
  if (end < 0) return entryOfFormat1(sequence, content);
  const head = JSON.parse(content.toString('utf8', 0, end)) as EntryHead;
  return { sequence, head, text: content.toString('utf8', end + 1) };
}
function entryOfFormat1(sequence: number, content: Buffer): Entry {
  const { storedAt, fact, profile } = JSON.parse(content.toString('utf8')) as {
    storedAt: number;
    fact: Fact;
    profile?: SeriesKey;
  };
  return entryOf(sequence, storedAt, fact, profile);
}
function unpacked(content: Buffer): Entry[] {
  const lines = inflateRawSync(content.subarray(1)).toString('utf8').split('\n');
  return Array.from({ length: Math.floor(lines.length / 3) }, (_, i) => ({
    sequence: Number(lines[3 * i]),
    head: JSON.parse(lines[3 * i + 1] as string) as EntryHead,
    text: lines[3 * i + 2] as string,
  }));
}
