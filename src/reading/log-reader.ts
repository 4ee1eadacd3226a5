/**
 * Entries of an event log, from its octets as they arrive: the first stamp and the first integer of each row (Blue Book
 * 4.3.6, companion specifications). Holds one row, never the log.
 */
import { concat, Reader } from '../base/cursor.ts';
import { CodecError, Failure } from '../base/errors.ts';
import {
  type Data,
  dataEnd,
  integerOf,
  lengthAt,
  readData,
  readDescribed,
  readDescription,
  type TypeDescription,
} from '../dlms/axdr/data.ts';
import { dataTag } from '../dlms/axdr/data-types.ts';
import { type Stamp, type StampDoubt, type StampReading, stampOf } from '../dlms/cosem/date-time.ts';

/** Octets and elements of one entry: a stamp, a code and a few registers take less. */
const rowOctets = 2048;
const rowElements = 500;
/** Octets are taken apart in pieces of this size, so that what waits for its end is bounded. */
const pieceOctets = 4096;
const nothing = new Uint8Array(0);

export interface LogReader {
  push(octets: Uint8Array): void;
  /** Whether all entries that were announced came. */
  readonly complete: boolean;
  /** Entries without a stamp that names an instant, or without a code. */
  readonly unreadable: number;
  /** Why the first of them has none. */
  readonly why: string | undefined;
}

/** How the rows of a log come, and how many are left: entries, or octets of a compact-array. */
type Rows =
  | { readonly phase: 'head' | 'done' }
  | { readonly phase: 'rows'; left: number }
  | { readonly phase: 'compact'; left: number; readonly described: TypeDescription };
const done: Rows = { phase: 'done' };
const budget = () => ({ elements: rowElements, octets: rowOctets });

/** What comes after the head, and where; undefined where the head is not complete. */
function readHead(octets: Uint8Array): { rows: Rows; next: number } | undefined {
  const tag = octets[0];
  if (tag === dataTag['null-data']) return { rows: done, next: 1 };
  if (tag === dataTag['compact-array']) {
    const r = new Reader(octets, 1, octets.length, budget());
    let described: TypeDescription;
    try {
      described = readDescription(r);
    } catch (error) {
      if (error instanceof CodecError) return undefined;
      throw error;
    }
    const length = lengthAt(octets, r.offset, octets.length);
    return (
      length && {
        rows: length.value > 0 ? { phase: 'compact', left: length.value, described } : done,
        next: length.next,
      }
    );
  }
  if (tag !== dataTag.array) throw new CodecError(`a log has tag ${tag}, not an array`, 0);
  const length = lengthAt(octets, 1, octets.length);
  return length && { rows: length.value > 0 ? { phase: 'rows', left: length.value } : done, next: length.next };
}

/** The next row; undefined where it is not complete. */
function readRow(rows: Rows, octets: Uint8Array, at: number): { data: Data; next: number } | undefined {
  if (rows.phase === 'rows') {
    const next = dataEnd(octets, at, octets.length);
    if (next < 0) return undefined;
    rows.left--;
    return { data: readData(new Reader(octets, at, next, budget())), next };
  }
  if (rows.phase !== 'compact') return undefined;
  const end = Math.min(octets.length, at + rows.left);
  const r = new Reader(octets, at, end, budget());
  let data: Data;
  try {
    data = readDescribed(r, rows.described);
  } catch (error) {
    if (error instanceof CodecError && end < at + rows.left) return undefined;
    throw error;
  }
  if (r.offset === at) r.fail('compact-array of elements without octets');
  rows.left -= r.offset - at;
  return { data, next: r.offset };
}

/** Stamp and code of a row, or why it has none. */
function entryOf(
  data: Data,
  reading: StampReading,
): { readonly at: number; readonly code: number; readonly doubt: StampDoubt | null } | { readonly why: string } {
  const cells = data.type === 'structure' ? data.value : [];
  const stamp = cells.find(
    (cell) => (cell.type === 'octet-string' || cell.type === 'date-time') && cell.value.length === 12,
  );
  const read: Stamp =
    stamp && 'value' in stamp
      ? stampOf(stamp.value as Uint8Array, reading)
      : { instant: undefined, why: 'no stamp of 12 octets' };
  const code = cells.map(integerOf).find((value) => value !== undefined);
  if (read.instant === undefined) return { why: read.why };
  const usable = code !== undefined && code >= 0n && code <= 0xffff_ffffn;
  return usable ? { at: read.instant, code: Number(code), doubt: read.doubt } : { why: 'no code' };
}

/** `take` gets each entry in the order of the log. Throws CodecError or Failure where the octets are no log. */
export function logReader(
  reading: StampReading,
  take: (at: number, code: number, doubt: StampDoubt | null) => void,
): LogReader {
  let carry: Uint8Array = nothing;
  let rows: Rows = { phase: 'head' };
  let unreadable = 0;
  let why: string | undefined;

  const piece = (octets: Uint8Array): void => {
    const all = carry.length === 0 ? octets : concat([carry, octets]);
    let at = 0;
    if (rows.phase === 'head') {
      const head = readHead(all);
      if (head) ({ rows, next: at } = head);
    }
    while ((rows.phase === 'rows' || rows.phase === 'compact') && at < all.length) {
      const row = readRow(rows, all, at);
      if (!row) break;
      const entry = entryOf(row.data, reading);
      if ('why' in entry) {
        unreadable++;
        why ??= entry.why;
      } else take(entry.at, entry.code, entry.doubt);
      at = row.next;
      if (rows.left === 0) rows = done;
    }
    // Octets after the value are padding of some meters (meter-quirks 51).
    carry = rows.phase === 'done' || at >= all.length ? nothing : all.slice(at);
    if (carry.length > rowOctets)
      throw new Failure('answer-too-long', `an entry of the log has no end after ${carry.length} octets`);
  };

  return {
    push(octets) {
      for (let at = 0; at < octets.length; at += pieceOctets) piece(octets.subarray(at, at + pieceOctets));
    },
    get complete() {
      return rows.phase === 'done';
    },
    get unreadable() {
      return unreadable;
    },
    get why() {
      return why;
    },
  };
}
