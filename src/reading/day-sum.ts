/**
 * Energies that a meter captures interval by interval, coarser than its register: their sum beside the advance of the
 * register, and how far the two may lie apart (R02).
 */
import { type Integer, integerJson } from './facts.ts';
import { cellOf, type LoadProfileRow } from './load-profile-row.ts';

export interface DaySum {
  /** OBIS codes of the energies and of the register that counts the same. */
  readonly energies: string;
  readonly register: string | null;
  /** Sum of the captured energies in units of 10^energyScaler. */
  readonly sum: Integer;
  readonly energyScaler: number;
  /** Advance of the register in units of 10^registerScaler; null where a row at an edge does not tell it. */
  readonly advance: Integer | null;
  readonly registerScaler: number | null;
  /** Intervals that were summed, of those that the day has. */
  readonly intervals: number;
  readonly expected: number;
  /** Whether they lie within N·q_i/2 + q_r of each other; null where that is not known. */
  readonly agrees: boolean | null;
}

const pairOf = (key: string): string => key.replace(/^(\d+-\d+:\d+)\.(?:29|30)\./, '$1.8.');
const abs = (value: bigint): bigint => (value < 0n ? -value : value);

/** The sum of each channel of interval energies, over the rows stamped in (from, to]; the row stamped `from` gives the register. */
export function daySums(
  rows: readonly LoadProfileRow[],
  from: number,
  to: number,
  periodMs: number,
  modulus = 1n << 32n,
): DaySum[] {
  const byEnd = new Map(rows.flatMap((row) => (row.end === null ? [] : [[row.end as number, row] as const])));
  const channels = rows[0]?.channels ?? [];
  const valueAt = (end: number, key: string): bigint | undefined => {
    const row = byEnd.get(end);
    const cell = row && cellOf(row, key);
    return typeof cell === 'bigint' ? cell : undefined;
  };
  const expected = Math.round((to - from) / periodMs);
  return channels.flatMap(({ key, kind, scalerUnit, unscaled }): DaySum[] => {
    if (kind !== 'interval') return [];
    let sum = 0n;
    let intervals = 0;
    for (let end = from + periodMs; end <= to; end += periodMs) {
      const value = valueAt(end, key);
      if (value === undefined) continue;
      sum += value;
      intervals++;
    }
    const register = channels.find((channel) => channel.key === pairOf(key));
    const [first, last] = register ? [valueAt(from, register.key), valueAt(to, register.key)] : [];
    const stepped = first === undefined || last === undefined ? undefined : last - first;
    const advance = stepped !== undefined && stepped < 0n ? stepped + modulus : stepped;
    const energyScaler = scalerUnit?.scaler ?? 0;
    const registerScaler = register?.scalerUnit?.scaler ?? 0;
    // Twice everything, in units of the finer of the two, so that the half of a quantum is an integer.
    const finest = Math.min(energyScaler, registerScaler);
    const [q, r] = [energyScaler, registerScaler].map((scaler) => 10n ** BigInt(scaler - finest)) as [bigint, bigint];
    const known = !unscaled && !register?.unscaled;
    const sameUnit = known && scalerUnit?.unit === register?.scalerUnit?.unit;
    return [
      {
        energies: key,
        register: register?.key ?? null,
        sum: integerJson(sum),
        energyScaler,
        advance: advance === undefined ? null : integerJson(advance),
        registerScaler: register ? registerScaler : null,
        intervals,
        expected,
        agrees:
          advance === undefined || intervals < expected || !sameUnit
            ? null
            : abs(2n * (sum * q - advance * r)) <= BigInt(intervals) * q + 2n * r,
      },
    ];
  });
}
