/** A buffer entry with meaning: what the house stores and delivers. Integers with scaler and unit; no floats. */
import { iso, type Millis } from '../base/time.ts';
import { toHex } from '../base/hex.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import type { StampDoubt } from '../dlms/cosem/date-time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import { unitName } from './unit.ts';

export interface ScalerUnit {
  readonly scaler: number;
  /** Enumeration of the Blue Book. */
  readonly unit: number;
}
/** A column of values: its OBIS code, and the attribute where it is not the value itself. */
export interface ProfileChannel {
  readonly key: string;
  readonly scalerUnit: ScalerUnit | undefined;
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
  /** What the meter's clock said of itself in the stamp; left out or null: nothing against it. */
  readonly doubt?: StampDoubt | null;
  /** The same array for all rows of one read. */
  readonly channels: readonly ProfileChannel[];
  /** In the order of the channels. */
  readonly cells: readonly Cell[];
}

export const isStatusColumn = (column: CaptureObject): boolean =>
  column.classId === 1 && /^\d+\.\d+\.96\.10\.\d+\.255$/.test(column.logicalName);

/** The key of a column among the values: its OBIS code, and the attribute where it is not the value itself. */
export const columnKey = (column: CaptureObject): string =>
  column.attribute === 2 || column.attribute === 0
    ? obis(column.logicalName)
    : `${obis(column.logicalName)}:${column.attribute}`;

/**
 * What the values of a column are (Blue Book, value group D of electricity): `register`, counted since the meter began (time
 * integral 1); `interval`, what was counted in the interval of the row (time integrals 5 and 6); `value`, anything else: a
 * demand, a voltage. Other media count with every D.
 */
export function channelKind(key: string): 'register' | 'interval' | 'value' {
  const [, medium, d] = /^(\d+)-\d+:\d+\.(\d+)\./.exec(key) ?? [];
  if (medium !== '1' || d === '8') return 'register';
  return d === '29' || d === '30' ? 'interval' : 'value';
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

/** Reads scaler_unit of registers (Blue Book 4.3.2): structure {integer, enum}. */
export function scalerUnitOf(data: Data): ScalerUnit | undefined {
  const [scaler, unit] = data.type === 'structure' ? data.value : [];
  if (scaler?.type !== 'integer' || unit?.type !== 'enum') return undefined;
  return { scaler: scaler.value, unit: unit.value };
}

/** Times the capture period once the meter tells it in seconds (Blue Book 4.3.6, attribute 4). */
export function capturePeriodMsOf(data: Data): number {
  return Number(integerOf(data) ?? 0n) * 1000;
}
