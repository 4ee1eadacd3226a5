/**
 * What is known of every interval of a series. Intervals that are accounted for stand in the coverage; of those, all that
 * are not plainly measured stand here as runs with their state. What was said of an interval last, and at which revision,
 * is its mark: it decides whether something is said again (R17, R18).
 */
import { crc32 } from 'node:zlib';
import type { Integer } from './facts.ts';
import type { GapCause, Quality } from './quality.ts';

/** State of an interval that is accounted for and not plainly measured. */
export type ExceptionState = Exclude<Quality, 'MEASURED'> | GapCause;
/** Disjoint, in order, neighbours of one state joined. */
export type Exception = readonly [from: number, to: number, state: ExceptionState];
export type Exceptions = readonly Exception[];

/** Replaces what was known of [from, to) by these runs inside of it; what is left out is plainly measured. */
export function withExceptions(exceptions: Exceptions, from: number, to: number, runs: Exceptions): Exceptions {
  const outside = exceptions.flatMap(([start, end, state]): Exception[] => {
    const before: Exception[] = start < from ? [[start, Math.min(end, from), state]] : [];
    const after: Exception[] = end > to ? [[Math.max(start, to), end, state]] : [];
    return end <= from || start >= to ? [[start, end, state]] : [...before, ...after];
  });
  const joined: [number, number, ExceptionState][] = [];
  for (const [start, end, state] of [...outside, ...runs].toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1);
    if (last && last[1] === start && last[2] === state) last[1] = end;
    else joined.push([start, end, state]);
  }
  return joined;
}

/** The runs of missing rows that touch [from, to): more may be known of them once their edges are read. */
export function adjoining(exceptions: Exceptions, from: number, to: number): readonly [from: number, to: number] {
  let [low, high] = [from, to];
  for (const [start, end, state] of exceptions) {
    if (state !== 'MISSING' || end < low || start > high) continue;
    low = Math.min(low, start);
    high = Math.max(high, end);
  }
  return [low, high];
}

/** The meter of a point was replaced by another one (R33). Registers by OBIS code, as they stand on the display. */
export interface Swap {
  readonly at: number;
  /** Serial number of the meter that was taken down, and of the one that hangs there now. */
  readonly from: string;
  readonly final: Readonly<Record<string, Integer>>;
  readonly first: Readonly<Record<string, Integer>>;
}
/** The change as a series goes across it. */
export interface AccountedSwap extends Swap {
  /** Registers of the old meter at the boundary before the change. */
  readonly before: Readonly<Record<string, Integer>> | undefined;
  /** The change was configured otherwise afterwards: what was published of these intervals was counted elsewhere. */
  readonly revoked?: readonly [from: number, to: number];
}

/** What was said last of an interval. */
export interface Mark {
  /** Start of the interval, ms. */
  readonly start: number;
  readonly rev: number;
  /** The hash of what was published; 0 where it must be said again at the same revision, because it may have been lost. */
  readonly hash: number;
  /** No row was there. */
  readonly gap: boolean;
  /** The head-end asked for it again: it is said once more although it is the same, at the same revision. */
  readonly again?: true;
}
export function hashOf(...parts: readonly unknown[]): number {
  const text = JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return crc32(text) || 1;
}

/**
 * A page of marks, one UTC day of a series: its version 1, the epoch in which its marks were said 7, then for each interval
 * minute of the day 2, kind 1, revision 3, hash 4 octets.
 */
const pageVersion = 0x21;
const headOctets = 8;
const markOctets = 10;
const highestRevision = 0xff_ffff;
/** The bit of the kind that says that an interval is a gap. */
const gapBit = 1;
const againBit = 2;
const minuteMs = 60_000;
export function encodePage(marks: readonly Mark[], day: number, epoch: number): Uint8Array {
  const octets = Buffer.alloc(headOctets + marks.length * markOctets);
  octets.writeBigUInt64BE((BigInt(pageVersion) << 56n) | BigInt(epoch));
  marks.forEach(({ start, rev, hash, gap, again }, i) => {
    const at = headOctets + i * markOctets;
    octets.writeUInt16BE(Math.round((start - day) / minuteMs), at);
    octets.writeUInt8((gap ? gapBit : 0) | (again ? againBit : 0), at + 2);
    octets.writeUIntBE(Math.min(rev, highestRevision), at + 3, 3);
    octets.writeUInt32BE(hash, at + 6);
  });
  return octets;
}
/** Pages of formats before 3 tell their epoch outside of themselves. */
export function decodePage(octets: Uint8Array, day: number, outerEpoch: number): { epoch: number; marks: Mark[] } {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (buffer[0] !== pageVersion) return { epoch: outerEpoch, marks: earlierMarks(buffer, day) };
  const marks = Array.from({ length: Math.floor((buffer.length - headOctets) / markOctets) }, (_, i): Mark => {
    const at = headOctets + i * markOctets;
    return {
      start: day + buffer.readUInt16BE(at) * minuteMs,
      gap: (buffer.readUInt8(at + 2) & gapBit) !== 0,
      ...((buffer.readUInt8(at + 2) & againBit) !== 0 && { again: true }),
      rev: buffer.readUIntBE(at + 3, 3),
      hash: buffer.readUInt32BE(at + 6),
    };
  });
  return { epoch: Number(buffer.readBigUInt64BE() & 0xff_ffff_ffff_ffffn), marks };
}
/** Minute of the day 2, at most 1439: its first octet is never the version above. Revision 1, kind 1, hash 4. */
const earlierOctets = 8;
const earlierMarks = (buffer: Buffer, day: number): Mark[] =>
  Array.from({ length: Math.floor(buffer.length / earlierOctets) }, (_, i) => ({
    start: day + buffer.readUInt16BE(i * earlierOctets) * minuteMs,
    rev: buffer.readUInt8(i * earlierOctets + 2),
    gap: buffer.readUInt8(i * earlierOctets + 3) === 1,
    hash: buffer.readUInt32BE(i * earlierOctets + 4),
  }));
