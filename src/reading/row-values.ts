/** Values of a load profile row by OBIS code. */
import type { LoadProfileRow } from './load-profile-row.ts';

/** Channels of a row: values that are integers, by OBIS code. */
export function valuesOf(row: LoadProfileRow): Map<string, bigint> {
  const values = new Map<string, bigint>();
  row.channels.forEach(({ key }, i) => {
    const cell = row.cells[i];
    if (typeof cell === 'number' || typeof cell === 'bigint') values.set(key, BigInt(cell));
  });
  return values;
}

/** The values of a row that are registers: only those have a before and an after. */
export function registersOf(row: LoadProfileRow): Map<string, bigint> {
  const registers = new Set(row.channels.flatMap(({ key, kind }) => (kind === 'register' ? [key] : [])));
  return new Map([...valuesOf(row)].filter(([key]) => registers.has(key)));
}

export const sameValues = (a: ReadonlyMap<string, bigint>, b: ReadonlyMap<string, bigint>): boolean =>
  a.size === b.size && [...a].every(([key, raw]) => b.get(key) === raw);
