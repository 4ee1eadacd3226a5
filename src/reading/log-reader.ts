/**
 * Entries of an event log, from its octets as they arrive: the first stamp and the first integer of each row (Blue Book
 * 4.3.6, companion specifications). Holds one row, never the log.
 */
import { concat, Reader } from '../base/cursor.ts';
import { CodecError, Failure } from '../base/errors.ts';
import {
  type Data,
  dataEnd,
  dataTag,
  integerOf,
  lengthAt,
  readData,
  readDescribed,
  readDescription,
  type TypeDescription,
} from '../dlms/axdr/data.ts';
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

/** `take` gets each entry in the order of the log. Throws CodecError or Failure where the octets are no log. */
export function logReader(
  reading: StampReading,
  take: (at: number, code: number, doubt: StampDoubt | null) => void,
): LogReader {
  let carry: Uint8Array = nothing;
  let phase: 'head' | 'rows' | 'compact' | 'done' = 'head';
  let left = 0;
  let described: TypeDescription | undefined;
  let unreadable = 0;
  let why: string | undefined;

  const row = (data: Data): void => {
    const cells = data.type === 'structure' ? data.value : [];
    const stamp = cells.find(
      (cell) => (cell.type === 'octet-string' || cell.type === 'date-time') && cell.value.length === 12,
    );
    const read: Stamp =
      stamp && 'value' in stamp
        ? stampOf(stamp.value as Uint8Array, reading)
        : { instant: undefined, why: 'no stamp of 12 octets' };
    const code = cells.map(integerOf).find((value) => value !== undefined);
    const usable = code !== undefined && code >= 0n && code <= 0xffff_ffffn;
    if (read.instant !== undefined && usable) take(read.instant, Number(code), read.doubt);
    else {
      unreadable++;
      why ??= read.instant === undefined ? read.why : 'no code';
    }
  };
  const budget = () => ({ elements: rowElements, octets: rowOctets });

  /** Where the rows begin; `at` where the head is not complete. */
  const head = (octets: Uint8Array, at: number): number => {
    const tag = octets[at];
    if (tag === dataTag['null-data']) {
      phase = 'done';
      return at + 1;
    }
    if (tag === dataTag['compact-array']) {
      const r = new Reader(octets, at + 1, octets.length, budget());
      try {
        described = readDescription(r);
      } catch (error) {
        if (error instanceof CodecError) return at;
        throw error;
      }
      const length = lengthAt(octets, r.offset, octets.length);
      if (!length) return at;
      left = length.value;
      phase = left > 0 ? 'compact' : 'done';
      return length.next;
    }
    if (tag !== dataTag.array) throw new CodecError(`a log has tag ${tag}, not an array`, at);
    const length = lengthAt(octets, at + 1, octets.length);
    if (!length) return at;
    left = length.value;
    phase = left > 0 ? 'rows' : 'done';
    return length.next;
  };

  /** The offset after the next row; -1 where it is not complete. */
  const next = (octets: Uint8Array, at: number): number => {
    if (phase === 'rows') {
      const end = dataEnd(octets, at, octets.length);
      if (end < 0) return -1;
      row(readData(new Reader(octets, at, end, budget())));
      left--;
      return end;
    }
    const end = Math.min(octets.length, at + left);
    const r = new Reader(octets, at, end, budget());
    try {
      row(readDescribed(r, described as TypeDescription));
    } catch (error) {
      if (error instanceof CodecError && end < at + left) return -1;
      throw error;
    }
    if (r.offset === at) r.fail('compact-array of elements without octets');
    left -= r.offset - at;
    return r.offset;
  };

  const piece = (octets: Uint8Array): void => {
    const all = carry.length === 0 ? octets : concat([carry, octets]);
    let at = 0;
    if (phase === 'head') at = head(all, 0);
    while ((phase === 'rows' || phase === 'compact') && at < all.length) {
      const end = next(all, at);
      if (end < 0) break;
      at = end;
      if (left === 0) phase = 'done';
    }
    // Octets after the value are padding of some meters (meter-quirks 51).
    carry = phase === 'done' || at >= all.length ? nothing : all.slice(at);
    if (carry.length > rowOctets)
      throw new Failure('answer-too-long', `an entry of the log has no end after ${carry.length} octets`);
  };

  return {
    push(octets) {
      for (let at = 0; at < octets.length; at += pieceOctets) piece(octets.subarray(at, at + pieceOctets));
    },
    get complete() {
      return phase === 'done';
    },
    get unreadable() {
      return unreadable;
    },
    get why() {
      return why;
    },
  };
}
