/**
 * Series in the form of the Datahub's portal: CSV with semicolons, decimal commas and instants of UTC. Written for a point; read as
 * history for estimates. And the feed: values that are new or changed, a change of status being a change.
 */
import { parse } from 'csv-parse/sync';
import { decimal } from '../base/words.ts';
import { isUtcInstant, utcText } from './instants.ts';
import type { SeriesInterval, Standing } from './point-series.ts';
import type { Channel, ImportedSeries } from './registry.ts';

const header = [
  'Mittauspisteen tunnus',
  'Tuotteen tyyppi',
  'Resoluutio',
  'Yksikkötyyppi',
  'Lukeman tyyppi',
  'Alkuaika',
  'Määrä',
  'Laatu',
] as const;
/** Active energy, of the product codes of ebIX. */
const activeEnergy = '8716867000030';
const readingTypes: Readonly<Record<Channel, string>> = { import: 'BN01', export: 'BN02' };
const resolutions: readonly (readonly [text: string, periodMs: number])[] = [
  ['PT15M', 900_000],
  ['PT1H', 3_600_000],
];
export const feedStatuses = ['measured', 'temporary', 'estimated-approved', 'missing'] as const;
export type FeedStatus = (typeof feedStatuses)[number];
/** temporary: an estimate that is to be corrected yet, or a value that its meter doubts. */
export const feedStatusOf: Readonly<Record<Standing, FeedStatus>> = {
  measured: 'measured',
  outage: 'measured',
  edited: 'estimated-approved',
  uncertain: 'temporary',
  estimated: 'temporary',
  final: 'estimated-approved',
  missing: 'missing',
};
const portalQuality: Readonly<Record<FeedStatus, string>> = {
  measured: 'OK',
  temporary: 'TEMPORARY',
  'estimated-approved': 'ESTIMATED',
  missing: 'MISSING',
};

export function portalCsv(
  { point, scaler }: { readonly point: string; readonly scaler: number },
  channel: Channel,
  intervals: readonly SeriesInterval[],
): string {
  const rows = intervals.map(({ start, end, energy, standing }) => {
    const resolution =
      resolutions.find(([, periodMs]) => periodMs === end - start)?.[0] ?? `PT${(end - start) / 60_000}M`;
    const amount = energy === null ? '' : sixDecimals(decimal(String(energy), scaler - 3));
    return [
      point,
      activeEnergy,
      resolution,
      'kWh',
      readingTypes[channel],
      utcText(start),
      amount,
      portalQuality[feedStatusOf[standing]],
    ].join(';');
  });
  return `${[header.join(';'), ...rows].join('\r\n')}\r\n`;
}
function sixDecimals(text: string): string {
  const [whole = '0', part = ''] = text.split('.');
  return `${whole},${part.padEnd(6, '0')}`;
}

export interface HistoryProblem {
  readonly line: number;
  readonly what: string;
}
export interface History {
  readonly series: readonly ImportedSeries[];
  readonly rows: number;
  readonly problems: readonly HistoryProblem[];
}
/** More lines than that are of no history. */
const problemLimit = 50;
/** Units of the point out of `0,510000` kWh; undefined where it is no such number. */
function unitsOfText(text: string, scaler: number): number | undefined {
  const [, whole, part = ''] = /^(\d{1,9})(?:,(\d{1,9}))?$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  // For estimates: what is finer than a unit is rounded.
  const units = Math.round(Number(`${whole}.${part || '0'}`) * 10 ** (3 - scaler));
  return Number.isSafeInteger(units) ? units : undefined;
}
interface Cells {
  readonly point: string;
  readonly product: string;
  readonly resolution: string;
  readonly unit: string;
  readonly type: string;
  readonly start: string;
  readonly amount: string;
  readonly quality: string;
}

/**
 * History of one point. Every line that cannot be taken is named, none is guessed at: local times have a doubled hour, points
 * for commas a thousandfold, and of two different values for one hour nobody knows which is right.
 */
export function readHistory(
  text: string,
  { point, scaler }: { readonly point: string; readonly scaler: number },
): History {
  const problems: HistoryProblem[] = [];
  const note = (line: number, what: string) => {
    if (problems.length < problemLimit) problems.push({ line, what });
  };
  let records: string[][];
  try {
    records = parse(text, { delimiter: ';', bom: true, relax_column_count: true, skip_empty_lines: true });
  } catch (error) {
    return { series: [], rows: 0, problems: [{ line: 1, what: (error as Error).message }] };
  }
  const [first = [], ...rows] = records;
  if (first.length !== header.length || first.some((cell, i) => cell.trim() !== header[i])) {
    const hint =
      first.length === 1 && /[,\t]/.test(first[0] ?? '')
        ? 'cells are not separated by semicolons'
        : 'the header is another';
    return { series: [], rows: 0, problems: [{ line: 1, what: `${hint}: ${header.join(';')} is expected` }] };
  }
  const values: Record<Channel, Map<number, { periodMs: number; value: number }>> = {
    import: new Map(),
    export: new Map(),
  };
  const doubtful = new Set<string>();
  for (const [i, record] of rows.entries()) {
    const line = i + 2;
    const cells = cellsOf(record);
    const row = cells ? rowOf(cells, point, scaler) : `${record.length} cells, ${header.length} are expected`;
    if (row === undefined) continue;
    if (typeof row === 'string') {
      note(line, row);
      continue;
    }
    const own = values[row.channel];
    const [before, key] = [own.get(row.start), `${row.channel}|${row.start}`];
    if (doubtful.has(key) || (before !== undefined && before.value !== row.value)) {
      note(line, `${utcText(row.start)} came before with another value: neither is taken`);
      doubtful.add(key);
      own.delete(row.start);
      continue;
    }
    own.set(row.start, { periodMs: row.periodMs, value: row.value });
  }
  const series = (['import', 'export'] as const)
    .filter((channel) => values[channel].size > 0)
    .map((channel): ImportedSeries => ({ channel, values: values[channel] }));
  return { series, rows: values.import.size + values.export.size, problems };
}
function cellsOf(record: readonly string[]): Cells | undefined {
  const [point, product, resolution, unit, type, start, amount, quality] = record.map((cell) => cell.trim());
  if (record.length !== header.length) return undefined;
  return {
    point: point ?? '',
    product: product ?? '',
    resolution: resolution ?? '',
    unit: unit ?? '',
    type: type ?? '',
    start: start ?? '',
    amount: amount ?? '',
    quality: quality ?? '',
  };
}
type HistoryRow = {
  readonly channel: Channel;
  readonly start: number;
  readonly periodMs: number;
  readonly value: number;
};
/** The row, why it is not taken, or undefined where it says itself that there is no value. */
function rowOf(cells: Cells, point: string, scaler: number): HistoryRow | string | undefined {
  if (cells.point !== point) return `of another point, ${JSON.stringify(cells.point.slice(0, 40))}`;
  if (cells.product !== activeEnergy)
    return `product ${JSON.stringify(cells.product.slice(0, 20))} is not active energy`;
  const periodMs = resolutions.find(([text]) => text === cells.resolution)?.[1];
  if (periodMs === undefined)
    return `resolution ${JSON.stringify(cells.resolution.slice(0, 20))}: PT15M and PT1H are taken`;
  if (cells.unit !== 'kWh') return `unit ${JSON.stringify(cells.unit.slice(0, 20))}: kWh is taken`;
  const channel =
    cells.type === readingTypes.import ? 'import' : cells.type === readingTypes.export ? 'export' : undefined;
  if (channel === undefined) return `reading type ${JSON.stringify(cells.type.slice(0, 20))}: BN01 and BN02 are taken`;
  if (!isUtcInstant(cells.start))
    return `${JSON.stringify(cells.start.slice(0, 40))} is no instant of UTC: a local time has two meanings in the doubled hour`;
  const start = Date.parse(cells.start);
  if (start % periodMs !== 0) return `${cells.start} is not on the grid of ${cells.resolution}`;
  if (cells.quality === portalQuality.missing) return undefined;
  if (cells.amount.includes('.')) return `${JSON.stringify(cells.amount.slice(0, 20))}: the decimal sign is a comma`;
  const value = unitsOfText(cells.amount, scaler);
  if (value === undefined) return `${JSON.stringify(cells.amount.slice(0, 20))} is no amount`;
  return { channel, start, periodMs, value };
}

/** One value as it goes to the Datahub. */
export interface FeedValue {
  readonly start: number;
  readonly end: number;
  readonly energy: number | null;
  readonly status: FeedStatus;
}
export const feedKey = ({ start, end }: { readonly start: number; readonly end: number }): string => `${start}/${end}`;
/** What is new or changed since it was sent last; a change of status is a change. */
export function feedChanges(intervals: readonly SeriesInterval[], sent: ReadonlyMap<string, FeedValue>): FeedValue[] {
  return intervals.flatMap((one): FeedValue[] => {
    const value = { start: one.start, end: one.end, energy: one.energy, status: feedStatusOf[one.standing] };
    const before = sent.get(feedKey(one));
    return before?.energy === value.energy && before.status === value.status ? [] : [value];
  });
}
