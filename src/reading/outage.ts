/**
 * When rows that are not there were an outage: nothing was counted because there were no mains (R06, R07). It must be proven,
 * by the rows at both edges or by the meter's log of the power; what is not proven is missing.
 */
import type { LoadProfileRow } from './load-profile-row.ts';
import { statusBit } from './quality.ts';
import { registersOf, sameValues } from './row-values.ts';

const hasPowerDown = (row: LoadProfileRow): boolean => ((row.bits ?? row.status ?? 0) & statusBit.PDN) !== 0;

/** Without a register nothing proves that nothing was counted. */
function registersEqual(first: LoadProfileRow, second: LoadProfileRow): boolean {
  const registers = registersOf(first);
  return registers.size > 0 && sameValues(registers, registersOf(second));
}

/** The row before or behind says that the power was down, and the registers of both are equal. */
export const provenByEdges = (first: LoadProfileRow, second: LoadProfileRow): boolean =>
  (hasPowerDown(first) || hasPowerDown(second)) && registersEqual(first, second);

/** The interval from `start` lies wholly in an outage of the log: [from, until), ms. */
export const provenByLog = (
  outages: readonly (readonly [from: number, until: number])[],
  start: number,
  periodMs: number,
): boolean => outages.some(([from, until]) => from <= start && until >= start + periodMs);
