/** The one table that leads from evidence to quality (after the AMR profile status byte and CIM IEC 61968-9 reading qualities). */
export const statusBit = { ERR: 0x01, CIV: 0x02, DNV: 0x04, DST: 0x08, CAD: 0x20, PDN: 0x80 } as const;

/** The AMR profile status, bit by bit; bits 4 and 6 are the maker's. */
const statusNames: readonly (readonly [bit: number, name: string])[] = [
  [0, 'ERR critical error'],
  [1, 'CIV clock invalid'],
  [2, 'DNV data not valid'],
  [3, 'DST daylight saving'],
  [5, 'CAD clock adjusted'],
  [7, 'PDN power down'],
];
const hasBit = (status: number, bit: number): boolean => Math.floor(status / 2 ** bit) % 2 === 1;
/** The bits of a status by name. */
export function statusWords(status: number): string {
  const names = new Map(statusNames);
  const set = Array.from({ length: 53 }, (_, bit) => bit).filter((bit) => hasBit(status, bit));
  return set.length === 0
    ? 'nothing to tell'
    : set.map((bit) => names.get(bit) ?? `bit ${bit} of the maker's`).join(', ');
}

/** Which bits of a meter's own status word mean what; several of them may. A meaning that no bit has is never said. */
export interface StatusMeaning {
  readonly critical_error?: readonly number[] | undefined;
  readonly clock_invalid?: readonly number[] | undefined;
  readonly data_not_valid?: readonly number[] | undefined;
  readonly daylight_saving?: readonly number[] | undefined;
  readonly clock_adjusted?: readonly number[] | undefined;
  readonly power_down?: readonly number[] | undefined;
}
const meanings = [
  ['critical_error', statusBit.ERR],
  ['clock_invalid', statusBit.CIV],
  ['data_not_valid', statusBit.DNV],
  ['daylight_saving', statusBit.DST],
  ['clock_adjusted', statusBit.CAD],
  ['power_down', statusBit.PDN],
] as const;
/** A meter's own status word in the bits above. Of words with more than 53 bits the lowest may be wrong. */
export function standardBits(status: number, meaning: StatusMeaning): number {
  return meanings.reduce(
    (bits, [name, one]) => (meaning[name]?.some((bit) => hasBit(status, bit)) ? bits | one : bits),
    0,
  );
}

export const qualities = [
  'MEASURED',
  'UNCERTAIN/device',
  'UNCERTAIN/clock',
  /** The register fell: no energy across this interval. */
  'REGISTER_BACKWARD',
] as const;
export type Quality = (typeof qualities)[number];
/** LOST: the meter's buffer no longer held the row when it was asked for, or the meter that had it is gone. */
export const gapCauses = ['MISSING', 'OUTAGE', 'LOST', 'STORE_DAMAGED'] as const;
/** Why nothing is said under a number (any more). */
export const voidCauses = ['STORE_DAMAGED', 'SPLIT', 'TOO_LARGE'] as const;
export type VoidCause = (typeof voidCauses)[number];
/** Why something is said again: the row came late, it changed, or an edge of a gap became known. */
export const reasons = ['LATE', 'CHANGED', 'EDGE_KNOWN'] as const;
export type Reason = (typeof reasons)[number];
/**
 * WRAP: the register passed its modulus, energy is computed across (R08). IMPOSSIBLE: more than the fuses let through
 * (R12). PARTIAL: the row lacks a channel of its series (R14). SWAP: the meter was replaced in this interval (R33).
 * TIME_UNTRUSTED: read while the gateway did not know the
 * time (R29).
 */
export const flags = ['WRAP', 'IMPOSSIBLE', 'PARTIAL', 'SWAP', 'TIME_UNTRUSTED'] as const;
export type Flag = (typeof flags)[number];
export type GapCause = (typeof gapCauses)[number];

/** Quality of a row that is there. Daylight saving and power down leave the value valid (R03). */
export function rowQuality(
  status: number | null,
  evidence: {
    readonly irregular: boolean;
    readonly backward: boolean;
    readonly clockDoubt?: boolean;
    readonly unscaled?: boolean;
  },
): Quality {
  if (evidence.backward) return 'REGISTER_BACKWARD';
  const bits = status ?? 0;
  if ((bits & (statusBit.ERR | statusBit.CIV | statusBit.DNV)) !== 0 || evidence.unscaled === true)
    return 'UNCERTAIN/device';
  if ((bits & statusBit.CAD) !== 0 || evidence.irregular || evidence.clockDoubt === true) return 'UNCERTAIN/clock';
  return 'MEASURED';
}
