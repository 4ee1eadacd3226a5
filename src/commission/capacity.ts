/** How many meters a line bears, and how long a back-fill takes, by times that were measured on it. Pure. */

/** What was measured of one meter. */
export interface MeasuredMeter {
  readonly meter: string;
  /** A question and its answer, on average, ms; null: it never answered. */
  readonly exchangeMs: number | null;
  /** A row of its load profile when many are read at once, ms; null: none was read. */
  readonly rowMs: number | null;
  readonly periodS: number;
  /** Rows that its buffer holds. */
  readonly entries: number | null;
}
export interface CapacityWish {
  readonly meters: readonly MeasuredMeter[];
  /** Of meters that are to be added, s. */
  readonly periodS: number;
  /** Days that are to be fetched of each meter. */
  readonly backFillDays: number;
}
export interface Capacity {
  /** Meters that answered, and those that did not. */
  readonly answering: number;
  readonly silent: number;
  /** A poll of the newest row, on average, ms; null where nothing was measured. */
  readonly pollMs: number | null;
  /** Of the time of the line, by the polls of the meters that are there. */
  readonly busyShare: number | null;
  /** Meters like these, with this period, that fit in all. */
  readonly fits: number | null;
  /** Until all rows of the days are there, s; null where that is never. */
  readonly backFillS: number | null;
  /** Rows to be fetched; meters whose buffer holds less than the days are counted by their buffer. */
  readonly backFillRows: number;
  /** What was not measured, and stands in its place. */
  readonly assumed: readonly string[];
}

/**
 * Of a poll: SNRM, AARQ, proof, who it is, one row, logs, the end. A read at the desk took 9 of the simulated meter; capture
 * objects are asked for now and then, and logs answer in more than one piece.
 */
const exchangesOfPoll = 12;
/** Polls may take so much of the line; the rest is for back-fill, silent meters and people. */
const pollShare = 0.75;
/** Silent meters get a tenth of the line at most (src/schedule/plan.ts). */
const silentShare = 0.1;
const dayS = 86_400;

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, one) => sum + one, 0) / values.length;

export function capacityOf({ meters, periodS, backFillDays }: CapacityWish): Capacity {
  const answering = meters.filter(({ exchangeMs }) => exchangeMs !== null);
  const silent = meters.length - answering.length;
  const pollOf = ({ exchangeMs, rowMs }: MeasuredMeter): number => (exchangeMs ?? 0) * exchangesOfPoll + (rowMs ?? 0);
  const pollMs = mean(answering.map(pollOf));
  if (pollMs === null)
    return {
      answering: 0,
      silent,
      pollMs: null,
      busyShare: null,
      fits: null,
      backFillS: null,
      backFillRows: 0,
      assumed: ['nothing was measured on this line: commission a meter first'],
    };
  const busy = answering.reduce((sum, one) => sum + pollOf(one) / (one.periodS * 1000), 0);
  const silentCost = silent > 0 ? silentShare : 0;
  const rowMs = mean(answering.flatMap((one) => one.rowMs ?? []));
  const exchangeMs = mean(answering.map((one) => one.exchangeMs ?? 0)) ?? 0;
  const needed = answering.map((one) => {
    const rows = Math.round((backFillDays * dayS) / one.periodS);
    return one.entries === null ? rows : Math.min(rows, one.entries);
  });
  const backFillRows = needed.reduce((sum, one) => sum + one, 0);
  // Where no row was read, three of them are taken to come with an exchange, as with 128 octets.
  const perRow = rowMs ?? exchangeMs / 3;
  const free = 1 - busy - silentCost;
  return {
    answering: answering.length,
    silent,
    pollMs: Math.round(pollMs),
    busyShare: Math.round(busy * 1000) / 1000,
    fits: Math.floor(((pollShare - silentCost) * periodS * 1000) / pollMs),
    backFillS: free <= 0 ? null : Math.round((backFillRows * perRow) / 1000 / free),
    backFillRows,
    assumed: rowMs === null ? ['no row was timed: three rows are taken to come with each exchange'] : [],
  };
}
