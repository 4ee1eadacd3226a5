/** What a line has to carry, and whether it can: by its speed at first, by what rows took once they were read. */
import { hourMs, minuteMs } from '../base/time.ts';
import { type LineSpeed, octetMsOf } from '../meter/patience.ts';

/** Octets of a row of two registers with its stamp and status, framing included. */
const rowOctets = 48;
/** Octets of a session besides its rows: link, association, identity, logs, request, and the end. */
const sessionOctets = 330;
/** The rest is for what is sent again. */
const maxShare = 0.95;

/** No further slice is begun when a turn has read rows for so long. */
export const turnShareMs = 120_000;

/** A series on a line: the time of one of its rows. */
export interface LoadedSeries {
  readonly periodMs: number;
  readonly rowMs: number;
}
/** Share of the line that the rows of all series take. */
const rowShare = (series: readonly LoadedSeries[]): number =>
  series.reduce((sum, { periodMs, rowMs }) => sum + rowMs / periodMs, 0);

export const estimatedRowMs = (line: LineSpeed): number => octetMsOf(line) * rowOctets;

/** That the line cannot carry what it has to; undefined where it can. */
export function cannotCarry(series: readonly LoadedSeries[]): string | undefined {
  const share = rowShare(series);
  const slowest = Math.max(0, ...series.map(({ rowMs }) => rowMs));
  const sessionMs = (slowest / rowOctets) * sessionOctets;
  if (share <= (maxShare * turnShareMs) / (turnShareMs + sessionMs)) return undefined;
  return `this line cannot carry its rows: they take ${Math.round(share * 100)} % of it. The newest come first, the oldest are overwritten in the meters; raise the speed, lengthen the periods or move meters to another line`;
}

/** What the configuration alone shows of a line: more rows than it carries, or rounds longer than a period. */
export function expectedTrouble(line: LineSpeed, meters: readonly (readonly number[])[]): string | undefined {
  const rowMs = estimatedRowMs(line);
  const periods = meters.flat();
  const impossible = cannotCarry(periods.map((periodMs) => ({ periodMs, rowMs })));
  if (impossible !== undefined || periods.length === 0) return impossible;
  const roundMs = meters.reduce((sum, each) => sum + (sessionOctets + each.length * rowOctets) * octetMsOf(line), 0);
  const shortest = Math.min(...periods);
  if (roundMs <= shortest) return undefined;
  const duration = (ms: number) => (ms < hourMs ? `${Math.round(ms / minuteMs)} min` : `${(ms / hourMs).toFixed(1)} h`);
  return `a round of its ${meters.length} meters takes about ${duration(roundMs)}, longer than the shortest period of ${duration(shortest)}: rows come up to that much later, several in one session`;
}
