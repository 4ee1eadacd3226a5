/** Sets of whole numbers as ranges, both ends in it; disjoint, in order, neighbours joined. Pure. */
export type Range = readonly [from: number, to: number];
export type Ranges = readonly Range[];

/** The ranges and one more; the same list where nothing is new. */
export function withRange(ranges: Ranges, [from, to]: Range): Ranges {
  if (to < from) return ranges;
  const last = ranges.at(-1);
  // As they mostly come: the next one, or one of before.
  if (!last || from > last[1] + 1) return [...ranges, [from, to]];
  if (from === last[1] + 1) return [...ranges.slice(0, -1), [last[0], to]];
  if (ranges.some(([low, high]) => low <= from && to <= high)) return ranges;
  const joined: [number, number][] = [];
  for (const [low, high] of [...ranges, [from, to] as const].toSorted(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before && low <= before[1] + 1) before[1] = Math.max(before[1], high);
    else joined.push([low, high]);
  }
  return joined;
}
export const withAll = (ranges: Ranges, more: Ranges): Ranges => more.reduce(withRange, ranges);
export function without(ranges: Ranges, taken: Ranges): Ranges {
  let rest: Range[] = [...ranges];
  for (const [from, to] of taken)
    rest = rest.flatMap(([low, high]): Range[] => {
      if (high < from || low > to) return [[low, high]];
      return [...(low < from ? [[low, from - 1] as const] : []), ...(high > to ? [[to + 1, high] as const] : [])];
    });
  return rest;
}
/** Ranges may be many where numbers came in any order: halved again and again. */
export function has(ranges: Ranges, number: number): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as Range)[1] < number) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found[0] <= number;
}
/** The end of the run that begins with 1; 0 where there is none. */
export const runOf = (ranges: Ranges): number => (ranges[0]?.[0] === 1 ? ranges[0][1] : 0);
export const highestOf = (ranges: Ranges): number => ranges.at(-1)?.[1] ?? 0;
export const sizeOf = (ranges: Ranges): number => ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
/** The numbers themselves, so many at most. */
export function numbersOf(ranges: Ranges, limit: number): number[] {
  const numbers: number[] = [];
  for (const [from, to] of ranges)
    for (let number = from; number <= to && numbers.length < limit; number++) numbers.push(number);
  return numbers;
}
