/** What no schema of one field can say of an interval block: lengths that go together, the grid, each channel once. */
type Column = readonly unknown[] | undefined;
interface Block {
  readonly start: string;
  readonly periodS: number;
  readonly count: number;
  readonly channels: readonly {
    readonly obis: string;
    readonly register?: Column;
    readonly energy?: Column;
    readonly value?: Column;
  }[];
  readonly status: readonly unknown[];
  readonly quality: readonly string[];
  readonly rev: readonly unknown[];
  readonly reason?: Column;
  readonly flags?: Column;
  readonly clockSays?: Column;
  readonly stampedOffS?: Column;
}
const hasColumns = ({ count, channels, ...block }: Block): boolean =>
  [
    block.status,
    block.quality,
    block.rev,
    block.reason,
    block.flags,
    block.clockSays,
    block.stampedOffS,
    ...channels.flatMap(({ register, energy, value }) => [register, energy, value]),
  ].every((column) => column === undefined || column.length === count);
/** A capture beside the grid is delivered with its own bounds, and never as plainly measured (R05, R11). */
const liesOnGrid = ({ start, periodS, quality }: Block): boolean =>
  Number.isInteger(Date.parse(start) / 1000 / periodS) || !quality.includes('MEASURED');
const nameOnce = ({ channels }: Block): boolean => new Set(channels.map(({ obis }) => obis)).size === channels.length;
const endsInCentury = ({ start, periodS, count }: Block): boolean =>
  Date.parse(start) + count * periodS * 1000 <= Date.parse('2100-01-01T00:00:00Z');

/** Each is a check at run time, and stands in the published schema as a sentence. */
export const blockRules = {
  columns: [hasColumns, 'count: a column of another length (every column has as many values as count)'],
  grid: [liesOnGrid, 'start: beside the grid of the period (such an interval is never MEASURED)'],
  channels: [nameOnce, 'channels: one of them twice (each OBIS code stands once)'],
  century: [endsInCentury, 'count: intervals beyond the year 2099'],
} as const;
export const endRule = [
  ({ start, end }: { readonly start: string; readonly end: string }): boolean => Date.parse(end) > Date.parse(start),
  'end: not after start',
] as const;
interface Account {
  readonly day: string;
  readonly series: readonly { readonly from?: string | undefined; readonly to?: string | undefined }[];
}
export const accountRule = [
  ({ day, series }: Account): boolean => {
    const begin = Date.parse(`${day}T00:00:00Z`);
    const end = begin + 86_400_000;
    return series.every((one) => {
      const [from, to] = [
        one.from === undefined ? begin : Date.parse(one.from),
        one.to === undefined ? end : Date.parse(one.to),
      ];
      return from >= begin && to <= end && from < to;
    });
  },
  'series: from and to lie within the day, in this order',
] as const;
