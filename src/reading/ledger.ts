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
  const kept = exceptions.flatMap(([start, end, state]): Exception[] => {
    const before: Exception[] = start < from ? [[start, Math.min(end, from), state]] : [];
    const after: Exception[] = end > to ? [[Math.max(start, to), end, state]] : [];
    return end <= from || start >= to ? [[start, end, state]] : [...before, ...after];
  });
  const joined: [number, number, ExceptionState][] = [];
  for (const [start, end, state] of [...kept, ...runs].toSorted(([a], [b]) => a - b)) {
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

/** What was said last of an interval. */
export interface Mark {
  /** Start of the interval, ms. */
  readonly start: number;
  readonly rev: number;
  /** Of everything that was said; 0 where it must be said again at the same revision, because it may have been lost. */
  readonly hash: number;
  /** No row was there. */
  readonly gap: boolean;
}
export function hashOf(...parts: readonly unknown[]): number {
  const text = JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return crc32(text) || 1;
}

/** A page of marks, one UTC day of a series: minute of the day 2, revision 1, kind 1, hash 4 octets each. */
const markOctets = 8;
const minuteMs = 60_000;
export function encodeMarks(marks: readonly Mark[], day: number): Uint8Array {
  const octets = Buffer.alloc(marks.length * markOctets);
  marks.forEach(({ start, rev, hash, gap }, i) => {
    octets.writeUInt16BE(Math.round((start - day) / minuteMs), i * markOctets);
    octets.writeUInt8(Math.min(rev, 255), i * markOctets + 2);
    octets.writeUInt8(gap ? 1 : 0, i * markOctets + 3);
    octets.writeUInt32BE(hash, i * markOctets + 4);
  });
  return octets;
}
export function decodeMarks(octets: Uint8Array, day: number): Mark[] {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  return Array.from({ length: Math.floor(buffer.length / markOctets) }, (_, i) => ({
    start: day + buffer.readUInt16BE(i * markOctets) * minuteMs,
    rev: buffer.readUInt8(i * markOctets + 2),
    gap: buffer.readUInt8(i * markOctets + 3) === 1,
    hash: buffer.readUInt32BE(i * markOctets + 4),
  }));
}
