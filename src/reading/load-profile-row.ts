/** A buffer entry with meaning: what the house stores and delivers. Integers with scaler and unit; no floats. */
import { iso, type Millis } from '../base/time.ts';
import { toHex } from '../base/hex.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { type StampDoubt, whyNoInstant } from '../dlms/cosem/date-time.ts';
import type { ColumnKind } from './column.ts';
import { unitName } from '../dlms/cosem/unit.ts';

export interface ScalerUnit {
  readonly scaler: number;
  /** Enumeration of the Blue Book. */
  readonly unit: number;
}
/** A column of values: its OBIS code, and the attribute where it is not the value itself. */
export interface ProfileChannel {
  readonly key: string;
  readonly scalerUnit: ScalerUnit | undefined;
  readonly kind: ColumnKind;
  /** The object has a scaler and unit, and the meter does not tell them: what a bill may come from is then uncertain. */
  readonly unscaled?: { readonly billable: boolean };
}
/** The register as the meter gave it: a number, a bigint beyond 2^53, text where it is no integer, null where it is absent. */
export type Cell = number | bigint | string | null;
export interface LoadProfileRow {
  /** UTC; null where the capture period is not known. */
  readonly start: Millis | null;
  /** The stamp of the row in UTC; null where it names no instant. */
  readonly end: Millis | null;
  /** The raw stamp; null where the meter left it out. */
  readonly clock: Uint8Array | null;
  readonly status: number | null;
  /** The status in the bits of the AMR profile status (statusBit), where the model says what the meter's own mean. */
  readonly bits?: number | null;
  /** What the meter's clock said of itself in the stamp; left out or null: nothing against it. */
  readonly doubt?: StampDoubt | null;
  /** How far beside the grid of the period the meter stamped it, where `end` is the grid's. */
  readonly besideMs?: number;
  /** The same array for all rows of one read. */
  readonly channels: readonly ProfileChannel[];
  /** In the order of the channels. */
  readonly cells: readonly Cell[];
}

/** The value of one channel; undefined where the row has none. */
export function cellOf(row: LoadProfileRow, key: string): bigint | string | undefined {
  const cell = row.cells[row.channels.findIndex((channel) => channel.key === key)];
  return cell === null || cell === undefined ? undefined : typeof cell === 'number' ? BigInt(cell) : cell;
}

/** The row as the command line prints it. */
export function rowJson(row: LoadProfileRow): Record<string, unknown> {
  return {
    start: row.start === null ? null : iso(row.start),
    end: row.end === null ? null : iso(row.end),
    clock: row.clock === null ? null : toHex(row.clock),
    ...(row.end === null && row.clock !== null && { why: whyNoInstant(row.clock) }),
    ...(row.besideMs !== undefined && { stampedOffS: row.besideMs / 1000 }),
    ...(row.doubt && { clockSays: row.doubt }),
    status: row.status,
    values: Object.fromEntries(
      row.channels.flatMap(({ key, scalerUnit }, i) => {
        const cell = row.cells[i];
        if (cell === null || cell === undefined) return [];
        const scaled = { scaler: scalerUnit?.scaler ?? null, unit: scalerUnit ? unitName(scalerUnit.unit) : null };
        return [[key, { raw: String(cell), ...scaled }]];
      }),
    ),
  };
}

/**
 * scaler_unit of registers (Blue Book 4.3.2): structure {integer, enum}. Meters write both in any integer type; a scaler in
 * an unsigned type that is too large for one is a negative number in the octets of that type.
 */
export function scalerUnitOf(data: Data): ScalerUnit | undefined {
  const [first, second] = data.type === 'structure' ? data.value : [];
  const [scaler, unit] = [first && integerOf(first), second && integerOf(second)];
  if (scaler === undefined || unit === undefined || unit < 0n || unit > 255n) return undefined;
  const width = unsignedOctets[(first as Data).type];
  const signed = width !== undefined && scaler > 127n ? scaler - (1n << BigInt(8 * width)) : scaler;
  return signed < -128n || signed > 127n ? undefined : { scaler: Number(signed), unit: Number(unit) };
}
const unsignedOctets: Partial<Record<Data['type'], number>> = {
  unsigned: 1,
  enum: 1,
  'long-unsigned': 2,
  'double-long-unsigned': 4,
  'long64-unsigned': 8,
};

/** Times the capture period once the meter tells it in seconds (Blue Book 4.3.6, attribute 4). */
export function capturePeriodMsOf(data: Data): number {
  return Number(integerOf(data) ?? 0n) * 1000;
}
