/** A buffer entry with meaning: what the house stores and delivers. Integers with scaler and unit; no floats. */
import { later, type Millis } from '../base/time.ts';
import { toHex } from '../base/hex.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import { type BufferEntry, type CaptureObject, isClockColumn } from '../dlms/cosem/profile-generic.ts';
import { iso } from '../base/time.ts';
import { unitName } from './unit.ts';

export interface ScalerUnit {
  readonly scaler: number;
  /** Enumeration of the Blue Book. */
  readonly unit: number;
}
export interface RowValue {
  /** The register as the meter gave it; text where it is no integer. */
  readonly raw: bigint | string;
  readonly scalerUnit: ScalerUnit | undefined;
}
export interface LoadProfileRow {
  /** UTC; null where the capture period is not known. */
  readonly start: Millis | null;
  /** The stamp of the row in UTC; null where it names no instant. */
  readonly end: Millis | null;
  /** The raw stamp; null where the meter left it out. */
  readonly clock: Uint8Array | null;
  readonly status: number | null;
  /** By OBIS code, in the order of the columns. */
  readonly values: ReadonlyMap<string, RowValue>;
}

const isStatusColumn = (column: CaptureObject): boolean =>
  column.classId === 1 && /^\d+\.\d+\.96\.10\.\d+\.255$/.test(column.logicalName);

/** The key of a column among the values: its OBIS code, and the attribute where it is not the value itself. */
export const columnKey = (column: CaptureObject): string =>
  column.attribute === 2 ? obis(column.logicalName) : `${obis(column.logicalName)}:${column.attribute}`;

function textOf(cell: Data): string {
  if (cell.type === 'octet-string' || cell.type === 'date-time') return toHex(cell.value);
  return 'value' in cell && typeof cell.value !== 'object' ? String(cell.value) : cell.type;
}

export function loadProfileRow(
  entry: BufferEntry,
  columns: readonly CaptureObject[],
  capturePeriodMs: number,
  scalers: ReadonlyMap<LogicalName, ScalerUnit>,
): LoadProfileRow {
  const values = new Map<string, RowValue>();
  let status: number | null = null;
  columns.forEach((column, i) => {
    const cell = entry.cells[i] as Data;
    if (isClockColumn(column)) return;
    const integer = integerOf(cell);
    if (isStatusColumn(column) && integer !== undefined && status === null) {
      status = Number(integer);
      return;
    }
    if (cell.type === 'null-data') return;
    values.set(columnKey(column), { raw: integer ?? textOf(cell), scalerUnit: scalers.get(column.logicalName) });
  });
  const end = entry.stamp ?? null;
  return {
    start: end !== null && capturePeriodMs > 0 ? later(end, -capturePeriodMs) : null,
    end,
    clock: entry.clock ?? null,
    status,
    values,
  };
}

/** The row as the command line prints it. */
export function rowJson(row: LoadProfileRow): Record<string, unknown> {
  return {
    start: row.start === null ? null : iso(row.start),
    end: row.end === null ? null : iso(row.end),
    clock: row.clock === null ? null : toHex(row.clock),
    status: row.status,
    values: Object.fromEntries(
      [...row.values].map(([key, { raw, scalerUnit }]) => [
        key,
        {
          raw: String(raw),
          scaler: scalerUnit?.scaler ?? null,
          unit: scalerUnit ? unitName(scalerUnit.unit) : null,
        },
      ]),
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
