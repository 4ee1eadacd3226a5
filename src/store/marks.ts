/** Pages of marks: what was said of each interval of a UTC day, by series. A damaged page is a finding, not an empty one. */
import { dayMs } from '../base/time.ts';
import { decodePage, encodePage, type Mark } from '../reading/ledger.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { Database, Operation } from './database.ts';
import { pageKey } from './keys.ts';
import { sealed, unsealed } from './record.ts';
import type { SeriesState } from './records.ts';

/** What is said of intervals of a series. */
export interface PublishedMarks {
  readonly meter: string;
  readonly series: SeriesKey;
  readonly marks: readonly Mark[];
}
/** A page that is damaged, or lacks what must stand in it. */
export interface Corrupt {
  readonly corrupt: string;
}
export const isCorrupt = (found: object): found is Corrupt => 'corrupt' in found;

async function readPage(database: Database, key: string, day: number, epoch: number): Promise<Mark[] | Corrupt> {
  const raw = await database.get(key);
  if (!raw) return [];
  const opened = unsealed(key, raw);
  if (!opened) return { corrupt: key };
  const page = decodePage(opened.content, day, opened.sequence);
  // Marks of an epoch before: what they stand for may have been lost since.
  return page.epoch === epoch ? page.marks : page.marks.map((mark) => ({ ...mark, hash: 0 }));
}

/** The marks of the intervals that begin in [from, to), by their start; `state`: as it is before the pages are read. */
export async function readMarks(
  database: Database,
  { meter, series, state, epoch }: { meter: string; series: SeriesKey; state: SeriesState | undefined; epoch: number },
  from: number,
  to: number,
): Promise<Map<number, Mark> | Corrupt> {
  const marks = new Map<number, Mark>();
  for (let day = Math.floor(from / dayMs) * dayMs; day < to; day += dayMs) {
    const page = await readPage(database, pageKey(meter, series, day), day, epoch);
    if (isCorrupt(page)) return page;
    for (const mark of page) if (mark.start >= from && mark.start < to) marks.set(mark.start, mark);
  }
  // Of whatever is accounted for something was said. A commit may cover more meanwhile: the pages need not have that.
  const { coverage = [], periodMs } = state ?? {};
  for (const [low, high] of periodMs === undefined ? [] : coverage)
    for (let at = Math.max(low, from); at < Math.min(high, to); at += periodMs as number)
      if (!marks.has(at)) return { corrupt: pageKey(meter, series, at) };
  return marks;
}

/** The pages that these marks change, with what else stands in them; while the store is mended a damaged one counts as empty. */
export async function changedPages(
  database: Database,
  published: readonly PublishedMarks[],
  epoch: number,
  mending: 'mending',
): Promise<Operation[]>;
export async function changedPages(
  database: Database,
  published: readonly PublishedMarks[],
  epoch: number,
): Promise<Operation[] | Corrupt>;
export async function changedPages(
  database: Database,
  published: readonly PublishedMarks[],
  epoch: number,
  mending?: 'mending',
): Promise<Operation[] | Corrupt> {
  const pages = new Map<string, { readonly day: number; readonly marks: Mark[] }>();
  for (const { meter, series, marks } of published)
    for (const mark of marks) {
      const day = Math.floor(mark.start / dayMs) * dayMs;
      const key = pageKey(meter, series, day);
      const page = pages.get(key) ?? { day, marks: [] };
      page.marks.push(mark);
      pages.set(key, page);
    }
  const operations: Operation[] = [];
  for (const [key, { day, marks }] of pages) {
    const before = await readPage(database, key, day, epoch);
    if (isCorrupt(before) && !mending) return before;
    const all = new Map((isCorrupt(before) ? [] : before).map((mark) => [mark.start, mark]));
    // The later one of several that wait counts: entries of a class come in their order, and a revision only rises.
    for (const mark of marks) {
      const known = all.get(mark.start);
      if (!known || known.hash === 0 || mark.rev >= known.rev) all.set(mark.start, mark);
    }
    const sorted = [...all.values()].toSorted((a, b) => a.start - b.start);
    operations.push({ type: 'put', key, value: sealed(key, 0, encodePage(sorted, day, epoch)) });
  }
  return operations;
}
