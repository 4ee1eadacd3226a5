/** Rows that a meter stamps a second or two beside the grid of its period: they are the grid's, and say what they were. */
import { later } from '../base/time.ts';
import type { LoadProfileRow } from './load-profile-row.ts';

/** No tolerance reaches further into a period: such a row would be the next one's as well. */
const maxShare = 0.25;

/** The row on the grid where it lies within the tolerance; as it is where it lies on it, or further off (R11). */
export function onGrid(row: LoadProfileRow, periodMs: number, toleranceMs: number): LoadProfileRow {
  const { end } = row;
  if (end === null || periodMs <= 0 || end % periodMs === 0) return row;
  const into = ((end % periodMs) + periodMs) % periodMs;
  const besideMs = into > periodMs / 2 ? into - periodMs : into;
  if (Math.abs(besideMs) > Math.min(toleranceMs, periodMs * maxShare)) return row;
  const grid = later(end, -besideMs);
  return { ...rowFields(row), start: later(grid, -periodMs), end: grid, besideMs };
}
/** A row of a buffer has accessors, which a copy by spread would leave behind. */
export const rowFields = (row: LoadProfileRow): LoadProfileRow => ({
  start: row.start,
  end: row.end,
  clock: row.clock,
  status: row.status,
  ...(row.bits !== undefined && { bits: row.bits }),
  doubt: row.doubt ?? null,
  ...(row.besideMs !== undefined && { besideMs: row.besideMs }),
  channels: row.channels,
  cells: row.cells,
});
