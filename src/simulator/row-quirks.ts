/** What meters do otherwise than the books with the rows of their profile, its columns, its stamps and selections (59, 63 to 81, 94, 95). */
import { encode } from '../base/codec.ts';
import { millis } from '../base/time.ts';
import { type Data, dataCodec, integerOf } from '../dlms/axdr/data.ts';
import { dateTimeOctets, deviationOf, deviationUnspecified, utcOf } from '../dlms/cosem/date-time.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import { octets as octetString, readable, structure } from '../dlms/cosem/server-object.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import { cellsOf, type Quirk } from './quirk.ts';

const eachRow =
  (change: (cells: readonly Data[], i: number, all: readonly Data[]) => readonly Data[]) =>
  (buffer: Data): Data =>
    buffer.type === 'array'
      ? {
          ...buffer,
          value: buffer.value.map((row, i) =>
            row.type === 'structure' ? { ...row, value: change(row.value, i, buffer.value) } : row,
          ),
        }
      : buffer;
const nothing: Data = { type: 'null-data' };
const sameCell = (a: Data | undefined, b: Data | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(encode(dataCodec, a), encode(dataCodec, b)) === 0;
/** The stamps of all rows written anew. */
const restamped = (change: (octets: Uint8Array) => Uint8Array) =>
  eachRow(([stamp, ...rest]) =>
    stamp?.type === 'octet-string' ? [{ ...stamp, value: change(stamp.value) }, ...rest] : [stamp as Data, ...rest],
  );
const withoutDeviation = (octets: Uint8Array): Uint8Array => {
  const changed = octets.slice();
  changed.set([0x80, 0x00], 9);
  return changed;
};
const withStatus = (octets: Uint8Array, status: number): Uint8Array => {
  const changed = octets.slice();
  changed[11] = status;
  return changed;
};
const bounds = (selection: Selection): Uint8Array[] =>
  selection.selector === 1 && selection.parameters.type === 'structure'
    ? selection.parameters.value.slice(1, 3).flatMap((bound) => (bound.type === 'octet-string' ? [bound.value] : []))
    : [];
function withBounds(selection: Selection, change: (octets: Uint8Array, i: number) => Uint8Array): Selection {
  if (selection.selector !== 1 || selection.parameters.type !== 'structure') return selection;
  const value = selection.parameters.value.map(
    (part, i): Data =>
      (i === 1 || i === 2) && part.type === 'octet-string' ? { ...part, value: change(part.value, i) } : part,
  );
  return { ...selection, parameters: { type: 'structure', value } };
}
const moved = (octets: Uint8Array, ms: number): Uint8Array => {
  const at = utcOf(octets, { deviationMin: 0 });
  return at === undefined ? octets : dateTimeOctets(millis(at + ms));
};
/** The status of the rows in another column, as a word of 32 bits: power-down 20, summer time 1, clock adjusted 2. */
const statusAs = (column: CaptureObject): NonNullable<Quirk['profile']> => ({
  columns: (columns) => columns.map((one) => (one.logicalName.startsWith('0.0.96.10.') ? column : one)),
  cells: ([stamp, , ...rest], { status }) => [
    stamp as Data,
    {
      type: 'double-long-unsigned',
      // Bit 31 is of the maker's own, and always there.
      value: ((status & 0x80 ? 2 ** 20 : 0) | (status & 0x08 ? 2 : 0) | (status & 0x20 ? 4 : 0)) + 2 ** 31,
    },
    ...rest,
  ],
});
const oddColumns: readonly CaptureObject[] = [
  { classId: 1, logicalName: '0.0.96.7.21.255', attribute: 2, dataIndex: 0 },
  { classId: 4, logicalName: '1.0.1.6.0.255', attribute: 2, dataIndex: 0 },
  { classId: 4, logicalName: '1.0.1.6.0.255', attribute: 5, dataIndex: 0 },
  { classId: 1, logicalName: '0.0.96.8.0.255', attribute: 2, dataIndex: 1 },
  { classId: 1, logicalName: '0.0.96.8.0.255', attribute: 2, dataIndex: 2 },
];

export const rowQuirks = {
  'first-stamp-only': {
    number: 63,
    what: 'only the first row has a stamp',
    client: 'counts on by the capture period',
    buffer: eachRow((cells, i) => (i === 0 ? cells : [nothing, ...cells.slice(1)])),
  },
  'first-stamp-only-descending': {
    number: 63,
    what: 'only the first row has a stamp, newest first',
    client: 'counts back by the capture period: sort_method says so',
    sent: (rows) => rows.toReversed(),
    buffer: eachRow((cells, i) => (i === 0 ? cells : [nothing, ...cells.slice(1)])),
  },
  'null-as-before': {
    number: 64,
    what: 'null in any column that has the value of the row before',
    client: 'takes the value of the row before',
    buffer: eachRow((cells, i, all) =>
      cells.map((cell, at) => (i > 0 && at > 0 && sameCell(cell, cellsOf(all[i - 1])[at]) ? nothing : cell)),
    ),
  },
  'compact-array': {
    number: 65,
    what: 'the buffer as a compact-array',
    client: 'decodes it by its type description',
    buffer: (buffer) =>
      buffer.type === 'array' && buffer.value[0]
        ? {
            type: 'compact-array',
            description: {
              type: 'structure',
              elements: cellsOf(buffer.value[0]).map(({ type }) => ({ type }) as { type: 'unsigned' }),
            },
            value: buffer.value,
          }
        : buffer,
  },
  'delta-values': {
    number: 65,
    what: 'registers as differences to the row before',
    client: 'adds them up, from a row that has the whole value',
    buffer: eachRow((cells, i, all) =>
      cells.map((cell, at): Data => {
        if (i === 0 || at < 2) return cell;
        const difference = Number((integerOf(cell) ?? 0n) - (integerOf(cellsOf(all[i - 1])[at] as Data) ?? 0n));
        return { type: 'delta-double-long', value: difference };
      }),
    ),
  },
  'duplicate-rows': {
    number: 67,
    what: 'rows come twice',
    client: 'keys rows by stamp, status and content, never by order',
    sent: (rows) => rows.flatMap((row, i) => (i % 4 === 1 ? [row, row] : [row])),
  },
  'ring-wrap': {
    number: 67,
    what: 'the ring begins in the middle: stamps jump back',
    client: 'keys rows by stamp, never by order',
    sent: (rows) => [...rows.slice(rows.length >> 1), ...rows.slice(0, rows.length >> 1)],
  },
  lifo: {
    number: 67,
    what: 'newest row first',
    client: 'keys rows by stamp, never by order',
    sent: (rows) => rows.toReversed(),
  },
  'missing-row': {
    number: 68,
    what: 'a row is missing in a day that is regular otherwise',
    client: 'a gap with both edge registers, never a value',
    rows: (rows) => rows.filter(({ end }) => new Date(end).getUTCHours() !== 7),
  },
  'deviation-zero': {
    number: 69,
    what: 'rows say deviation 0, the clock −120: local time is meant',
    client: 'model fields stamp_deviation_min and stamp_deviation_overridden',
    buffer: restamped((octets) => {
      const at = utcOf(octets);
      return at === undefined ? octets : dateTimeOctets(millis(at + 7_200_000), 0);
    }),
  },
  'deviation-inverted': {
    number: 69,
    what: 'the deviation has the wrong sign (+180)',
    client: 'model field deviation_inverted',
    buffer: restamped((octets) => {
      const at = utcOf(octets);
      if (at === undefined) return octets;
      const changed = dateTimeOctets(at, -180);
      changed[9] = 0;
      changed[10] = 180;
      return changed;
    }),
  },
  'deviation-unspecified': {
    number: 69,
    what: 'standard time all year, the deviation not specified',
    client: 'model field stamp_deviation_min',
    buffer: restamped((octets) => {
      const at = utcOf(octets);
      return at === undefined ? octets : dateTimeOctets(at, { min: -120, written: false });
    }),
  },
  'summer-in-status': {
    number: 77,
    what: 'the deviation is open, and summer time stands only in bit 7 of the clock status',
    client: 'model field stamp_deviation_min tells standard time, bit 7 is an hour more: the doubled hour is two hours',
    stamp: withoutDeviation,
  },
  'summer-in-row-status': {
    number: 77,
    what: 'deviation and clock status are open (8000, FF); summer time stands only in the status of the row',
    client: 'bit 3 of the row status is an hour more than stamp_deviation_min',
    buffer: restamped((octets) => withStatus(withoutDeviation(octets), 0xff)),
  },
  'doubtful-stamps': {
    number: 77,
    what: 'the clock status calls some stamps invalid, doubtful or of an invalid status, others FF',
    client: 'such rows are UNCERTAIN/clock and say why; FF says nothing; a doubtful clock is an alarm',
    stamp: (octets) => withStatus(octets, [0, 0x01, 0x02, 0x08, 0xff, 0x04][(octets[5] as number) % 6] as number),
  },
  'stamps-of-no-date': {
    number: 78,
    what: 'rows stamped 31 February, hour 24 or minute 61 among good ones',
    client: 'such a stamp names no instant and is never rolled over; the event ROWS_WITHOUT_STAMP says why',
    buffer: (buffer) => {
      if (buffer.type !== 'array') return buffer;
      const bad: readonly ((octets: Uint8Array) => void)[] = [
        (octets) => octets.set([2, 31], 2),
        (octets) => octets.set([24], 5),
        (octets) => octets.set([61], 6),
        (octets) => octets.set([0xff, 0xfe]),
      ];
      const value = buffer.value.flatMap((row, i) => {
        const [stamp, ...rest] = cellsOf(row);
        if (i % 3 !== 1 || stamp?.type !== 'octet-string') return [row];
        const changed = stamp.value.slice();
        bad[(i >> 1) % bad.length]?.(changed);
        return [{ type: 'structure', value: [{ ...stamp, value: changed }, ...rest] } as const, row];
      });
      return { ...buffer, value };
    },
  },
  'status-elsewhere': {
    number: 79,
    what: 'the status stands under 0-0:96.240.12, attribute 18 of a class 3, 32 bits, power-down in bit 20',
    client: 'model fields status_column and status_bits; without them it is a value, never an energy',
    profile: statusAs({ classId: 3, logicalName: '0.0.96.240.12.255', attribute: 18, dataIndex: 0 }),
  },
  'status-mapping': {
    number: 79,
    what: 'the status is the word of a status mapping (class 63) under 0-0:96.5.1',
    client: 'model fields status_column and status_bits; without them it is a value, never an energy',
    profile: statusAs({ classId: 63, logicalName: '0.0.96.5.1.255', attribute: 2, dataIndex: 0 }),
  },
  'odd-columns': {
    number: 80,
    what: 'a counter of power failures, a demand with its capture time, and one object twice, by data_index',
    client: 'only what counts is a register; times are left out and that is said; data_index tells columns apart',
    profile: {
      columns: (columns) => [...columns, ...oddColumns],
      cells: (cells, { end }) => [
        ...cells,
        // It is set to zero every night.
        { type: 'long-unsigned', value: new Date(end).getUTCHours() },
        { type: 'double-long-unsigned', value: 3000 },
        { type: 'octet-string', value: dateTimeOctets(end) },
        { type: 'unsigned', value: 1 },
        { type: 'unsigned', value: 2 },
      ],
    },
    objects: [
      {
        classId: 4,
        version: 0,
        logicalName: '1.0.1.6.0.255',
        attributes: [
          readable(2, { type: 'double-long-unsigned', value: 3000 }),
          readable(3, structure({ type: 'integer', value: 0 }, { type: 'enum', value: 27 })),
          readable(5, octetString(dateTimeOctets(millis(0)))),
        ],
      },
    ],
  },
  'stamps-beside-grid': {
    number: 81,
    what: 'rows are stamped a second or two beside the grid of the period',
    client: 'model field stamp_tolerance_s (30): the row is the grid’s, and says how far beside it was stamped',
    buffer: restamped((octets) => moved(octets, (octets[5] as number) % 2 === 0 ? 1000 : -2000)),
    select: (selection) => withBounds(selection, (octets, i) => moved(octets, i === 1 ? 2000 : -2000)),
  },
  'scaler-refused': {
    number: 94,
    what: 'scaler and unit of the registers are refused',
    client: 'asked for alone once more; then SCALER_UNKNOWN, and the values are UNCERTAIN/device',
    scalerUnit: () => ({ refused: 3 }),
  },
  'scaler-unsigned': {
    number: 94,
    what: 'scaler and unit come as unsigned, −3 as 253',
    client: 'takes them in every integer type',
    scalerUnit: () => structure({ type: 'unsigned', value: 253 }, { type: 'unsigned', value: 30 }),
  },
  'scaler-long': {
    number: 94,
    what: 'scaler and unit come as long',
    client: 'takes them in every integer type',
    scalerUnit: () => structure({ type: 'long', value: -3 }, { type: 'long', value: 30 }),
  },
  'clock-without-deviation': {
    number: 69,
    what: 'the clock leaves its deviation open',
    client: 'model field stamp_deviation_min; without it the clock tells no instant and is not set',
    clock: withoutDeviation,
  },
  'exclusive-bounds': {
    number: 70,
    what: 'range bounds are exclusive',
    client: 'asks for a second more on both sides',
    select: (selection) => withBounds(selection, (octets, i) => moved(octets, i === 1 ? 500 : -500)),
  },
  'rows-outside': {
    number: 70,
    what: 'rows outside of the range come too',
    client: 'leaves them out',
    select: (selection) => withBounds(selection, (octets, i) => moved(octets, i === 1 ? -10_800_000 : 10_800_000)),
  },
  'range-without-deviation': {
    number: 71,
    what: 'a range whose bounds say their deviation is refused; bounds are local time',
    client: 'model fields range_deviation_min and range_deviation_written',
    select: (selection) =>
      bounds(selection).some((octets) => deviationOf(octets) !== deviationUnspecified)
        ? { refused: 12 }
        : withBounds(selection, (octets) => dateTimeOctets(utcOf(octets, { deviationMin: -120 }) ?? millis(0))),
  },
  'range-with-deviation': {
    number: 71,
    what: 'a range whose bounds leave their deviation open is refused',
    client: 'bounds are written with deviation 0 where the model does not say otherwise',
    select: (selection) =>
      bounds(selection).some((octets) => deviationOf(octets) === deviationUnspecified) ? { refused: 12 } : selection,
  },
  'error-when-empty': {
    number: 72,
    what: 'an error instead of an empty array',
    client: 'model field refusal_when_empty: no rows; without it the numbers of entries tell',
    buffer: (buffer) => (buffer.type === 'array' && buffer.value.length === 0 ? { refused: 250 } : buffer),
  },
  'no-column-selection': {
    number: 73,
    what: 'column selection is refused',
    client: 'access-refused; all columns are asked for by default',
    select: (selection) => {
      const columns = selection.parameters.type === 'structure' ? selection.parameters.value[3] : undefined;
      return columns?.type === 'array' && columns.value.length > 0 ? { refused: 13 } : selection;
    },
  },
  'same-values': {
    number: 76,
    what: 'the same registers in consecutive hours',
    client: 'zero consumption, measured',
    rows: (rows) => rows.map((row) => ({ ...row, registers: [4711, 0] })),
  },
  'range-refused': {
    number: 95,
    what: 'a selection by range is refused',
    client: 'by number, and remembered',
    select: (selection) => (selection.selector === 1 ? { refused: 13 } : selection),
  },
  'selection-refused': {
    number: 95,
    what: 'every selection is refused',
    client: 'the buffer is read whole, and remembered',
    select: () => ({ refused: 250 }),
  },
  'whole-object-column': {
    number: 59,
    what: 'attribute index 0 in the capture objects: the column holds the whole object',
    client: 'takes attribute 2 out of the structure',
    buffer: eachRow(([stamp, status, one1, two]) => [
      stamp as Data,
      status as Data,
      { type: 'structure', value: [{ type: 'octet-string', value: Uint8Array.of(1, 0, 1, 8, 0, 255) }, one1 as Data] },
      two as Data,
    ]),
  },
} as const satisfies Record<string, Quirk>;
