/** Which intervals of a series are accounted for: disjoint ranges [from, to) in order. Small, because time runs on. */
import { type Millis, millis } from '../base/time.ts';

export type Range = readonly [from: number, to: number];
export type Coverage = readonly Range[];

export function withRange(coverage: Coverage, from: number, to: number): Coverage {
  if (to <= from) return coverage;
  const before = coverage.filter(([, end]) => end < from);
  const after = coverage.filter(([start]) => start > to);
  const touching = coverage.filter(([start, end]) => end >= from && start <= to);
  const start = Math.min(from, ...touching.map(([first]) => first));
  const end = Math.max(to, ...touching.map(([, last]) => last));
  return [...before, [start, end], ...after];
}

export function withoutRange(coverage: Coverage, from: number, to: number): Coverage {
  return coverage.flatMap(([start, end]): Range[] =>
    end <= from || start >= to
      ? [[start, end]]
      : [...(start < from ? [[start, from] as const] : []), ...(end > to ? [[to, end] as const] : [])],
  );
}

/** The parts of [from, to) that are not covered. */
export function missing(coverage: Coverage, from: Millis, to: Millis): Range[] {
  const holes: Range[] = [];
  let at: number = from;
  for (const [start, end] of coverage) {
    if (end <= at) continue;
    if (start >= to) break;
    if (start > at) holes.push([at, start]);
    at = end;
  }
  if (at < to) holes.push([millis(at), to]);
  return holes;
}

/** How much of [from, to) is covered, ms. */
export const coveredMs = (coverage: Coverage, from: number, to: number): number =>
  coverage.reduce((sum, [start, end]) => sum + Math.max(0, Math.min(end, to) - Math.max(start, from)), 0);
