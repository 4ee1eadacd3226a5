/**
 * What a pushed list says of a meter's series: rows, registers and alarms. A buffer that was pushed names its profile. A list
 * of registers is a row of the series on whose grid its stamp lies, or shortly after: what was measured before a boundary says
 * nothing of it.
 */
import { iso, later, type Millis } from '../base/time.ts';
import { obis, type LogicalName } from '../dlms/cosem/logical-name.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { columnKind, isScaled, isStatusName, mayBeBilled } from './column.ts';
import { type EventFact, integerJson, type Origin, type ReadingFact } from './facts.ts';
import { onGrid, rowFields } from './grid.ts';
import type { LoadProfileRow, ProfileChannel } from './load-profile-row.ts';
import { eventName } from './meter-event.ts';
import type { PushedList, PushedReading } from './pushed-list.ts';
import type { SeriesKey } from './series-key.ts';

/** A series that rows may belong to. */
export interface PushedSeries {
  readonly series: SeriesKey;
  readonly profile: LogicalName;
  readonly periodMs: number;
}
export interface SeriesRows {
  readonly series: SeriesKey;
  /** With stamps that name an instant, oldest first. */
  readonly rows: readonly (LoadProfileRow & { readonly end: Millis })[];
}
export interface PushedMeaning {
  readonly rows: readonly SeriesRows[];
  /** Registers of the list, by OBIS code; undefined where it has none. */
  readonly registers: ReadingFact['registers'] | undefined;
  readonly alarms: readonly Pick<EventFact, 'log' | 'code' | 'name' | 'at' | 'detail'>[];
  /** Rows and lists that belong to no series, in words. */
  readonly leftOut: readonly string[];
}
export interface MeaningSettings {
  readonly series: readonly PushedSeries[];
  /** A list may come so long after the boundary that it is of. */
  readonly toleranceMs: number;
  readonly companion: 'idis' | 'dsmr';
}

/** Of a list that does not tell the class: a register is what has the OBIS code of one. */
const registerClass = 3;
const withClass = (of: CaptureObject): CaptureObject => (of.classId === 0 ? { ...of, classId: registerClass } : of);
const isAlarm = (name: LogicalName): boolean => /^0\.\d+\.97\.98\.\d+\.255$/.test(name);
/** Event code objects, and the log that each is of (Blue Book 7.4.2). */
const eventCode = /^0\.(\d+)\.96\.11\.(\d+)\.255$/;

interface Counted {
  readonly channel: ProfileChannel;
  readonly value: number | bigint;
}
const countedOf = (reading: PushedReading): Counted[] => {
  const { of, key, value, scalerUnit } = reading;
  if (of === undefined || key === undefined || (typeof value !== 'number' && typeof value !== 'bigint')) return [];
  const column = withClass(of);
  const kind = columnKind(column, scalerUnit?.unit);
  if (kind === 'value') return [];
  const unscaled = scalerUnit === undefined && isScaled(column) && { unscaled: { billable: mayBeBilled(column) } };
  return [{ channel: { key, scalerUnit, kind, ...unscaled }, value }];
};

/** The list as a row that ends when the meter's clock says. */
function rowOf(list: PushedList, counted: readonly Counted[]): LoadProfileRow {
  const status = list.readings.find(({ of }) => of !== undefined && isStatusName(of.logicalName));
  return {
    start: null,
    end: list.at,
    clock: null,
    status: typeof status?.value === 'number' ? status.value : null,
    doubt: list.clockSays,
    channels: counted.map(({ channel }) => channel),
    cells: counted.map(({ value }) => value),
  };
}

/** The series on whose grid the stamp lies: of several the one with the shortest period. */
const seriesOfList = (at: number, { series, toleranceMs }: MeaningSettings): PushedSeries | undefined =>
  series
    .filter(({ periodMs }) => at % periodMs <= Math.min(toleranceMs, periodMs / 4))
    .toSorted((a, b) => a.periodMs - b.periodMs)[0];

type Stamped = LoadProfileRow & { readonly end: Millis };
function stampedRows(rows: readonly LoadProfileRow[], periodMs: number, toleranceMs: number): Stamped[] {
  return rows
    .map((row) => onGrid(row, periodMs, toleranceMs))
    .filter((row): row is Stamped => row.end !== null)
    .map((row) => ({ ...rowFields(row), start: later(row.end, -periodMs), end: row.end }))
    .toSorted((a, b) => a.end - b.end);
}

function alarmsOf(list: PushedList, companion: MeaningSettings['companion']): PushedMeaning['alarms'] {
  const at = list.at === null ? null : iso(list.at);
  return list.readings.flatMap(({ of, value }) => {
    if (of === undefined || (of.attribute !== 2 && !(isAlarm(of.logicalName) && of.attribute <= 4))) return [];
    if (typeof value !== 'number' || value === 0) return [];
    if (isAlarm(of.logicalName))
      return [{ log: obis(of.logicalName), code: value, name: 'ALARM', at, detail: { pushed: true } }];
    const [, channel, log] = eventCode.exec(of.logicalName) ?? [];
    if (log === undefined) return [];
    const name = eventName(companion, value);
    return [{ log: `0-${channel}:99.98.${log}*255`, code: value, name, at, detail: { pushed: true } }];
  });
}

export function pushedMeaning(list: PushedList, settings: MeaningSettings): PushedMeaning {
  const { series, toleranceMs, companion } = settings;
  const rows: SeriesRows[] = [];
  const leftOut: string[] = [];
  for (const buffer of list.buffers) {
    const own = series.find(({ profile }) => profile === buffer.profile);
    if (!own) leftOut.push(`${buffer.rows.length} rows of ${obis(buffer.profile)}, which is not configured`);
    else {
      const stamped = stampedRows(buffer.rows, own.periodMs, toleranceMs);
      const without = buffer.rows.length - stamped.length;
      if (without > 0) leftOut.push(`${without} rows of ${obis(buffer.profile)} whose stamps name no instant`);
      if (stamped.length > 0) rows.push({ series: own.series, rows: stamped });
    }
  }
  const counted = list.readings.flatMap(countedOf);
  const own = counted.length > 0 && list.at !== null ? seriesOfList(list.at, settings) : undefined;
  // The rows of a buffer were captured at their stamps; the registers beside them are of the moment of the list.
  if (own && !rows.some((one) => one.series === own.series))
    rows.push({ series: own.series, rows: stampedRows([rowOf(list, counted)], own.periodMs, toleranceMs) });
  const registers = counted.filter(({ channel }) => channel.kind === 'register');
  return {
    rows,
    registers: registers.length === 0 ? undefined : Object.fromEntries(registers.map(registerJson)),
    alarms: alarmsOf(list, companion),
    leftOut,
  };
}
const registerJson = ({ channel: { key, scalerUnit }, value }: Counted) =>
  [
    key,
    {
      raw: integerJson(BigInt(value)),
      scaler: scalerUnit?.scaler ?? null,
      unit: scalerUnit ? unitName(scalerUnit.unit) : null,
    },
  ] as const;

/** An alarm as it leaves the house, by the meter that raised it. */
export const alarmFact = (alarm: PushedMeaning['alarms'][number], origin: Origin, readAt: Millis): EventFact => ({
  kind: 'event',
  ...origin,
  source: 'meter',
  occurrence: 0,
  ...alarm,
  readAt: iso(readAt),
});
