/** What columns are: only what is known to count is taken for a register. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { fromHex } from '../../src/base/hex.ts';
import { dataCodec } from '../../src/dlms/axdr/data.ts';
import { parseLogicalName } from '../../src/dlms/cosem/logical-name.ts';
import { type CaptureObject, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../../src/dlms/cosem/server-object.ts';
import { columnKeys, columnKind, columnRoles, mayBeBilled } from '../../src/reading/column.ts';
import { scalerUnitOf } from '../../src/reading/load-profile-row.ts';
import { ProfileReader, type RowLayout } from '../../src/reading/profile-reader.ts';
import { standardBits } from '../../src/reading/quality.ts';

const column = (classId: number, obis: string, attribute = 2, dataIndex = 0): CaptureObject => ({
  classId,
  logicalName: parseLogicalName(obis),
  attribute,
  dataIndex,
});
const [Wh, m3, W, V, kelvin, perHour] = [30, 13, 27, 35, 9, 15];

describe('kinds', () => {
  test.each([
    [3, '1-0:1.8.0*255', 2, Wh, 'register'],
    [3, '1-0:2.8.1*255', 2, Wh, 'register'],
    [4, '1-0:1.8.0*255', 2, Wh, 'register'],
    [3, '1-0:1.8.0*255', 0, Wh, 'register'],
    // Its scaler refused: electricity is told by its groups.
    [3, '1-0:1.8.0*255', 2, undefined, 'register'],
    [1, '1-0:1.8.0*255', 2, undefined, 'register'],
    [3, '1-0:128.8.0*255', 2, Wh, 'register'],
    [3, '1-1:1.29.0*255', 2, Wh, 'interval'],
    [3, '1-0:3.30.0*255', 2, Wh, 'interval'],
    // Water, gas, heat and M-Bus devices count with other groups: their units tell.
    [3, '8-0:1.0.0*255', 2, m3, 'register'],
    [3, '7-0:3.0.0*255', 2, m3, 'register'],
    [4, '0-1:24.2.1*255', 2, m3, 'register'],
    [3, '6-0:1.0.0*255', 2, 25, 'register'],
    [3, '6-0:10.0.0*255', 2, kelvin, 'value'],
    [3, '8-0:2.0.0*255', 2, perHour, 'value'],
    [4, '0-1:24.2.1*255', 2, undefined, 'value'],
    [3, '1-0:1.7.0*255', 2, W, 'value'],
    [3, '1-0:32.24.0*255', 2, V, 'value'],
    [5, '1-0:1.4.0*255', 3, W, 'value'],
    [4, '1-0:1.6.0*255', 2, W, 'value'],
    // Import less export may fall.
    [3, '1-0:16.8.0*255', 2, Wh, 'value'],
    [3, '1-0:15.8.0*255', 2, Wh, 'register'],
    // Incident: a power-failure counter was an energy, and its neighbours fell back when it was set to zero.
    [1, '0-0:96.7.21*255', 2, undefined, 'value'],
    [3, '0-0:96.7.9*255', 2, 255, 'value'],
    // Siblings: a status word under another code, a counter of events, a measurement period, a status of a register.
    [3, '0-0:96.240.12*255', 18, undefined, 'value'],
    [63, '0-0:96.5.0*255', 2, undefined, 'value'],
    [1, '0-0:96.15.1*255', 2, undefined, 'value'],
    [1, '0-0:96.20.0*255', 2, undefined, 'value'],
    [1, '1-0:0.8.4*255', 2, undefined, 'value'],
    [4, '1-0:1.8.0*255', 4, Wh, 'value'],
    [3, '1-0:199.8.0*255', 2, undefined, 'value'],
    [3, '0-0:128.8.0*255', 2, Wh, 'value'],
  ] as const)('class %i %s:%i, unit %s: %s', (classId, obis, attribute, unit, kind) =>
    expect(columnKind(column(classId, obis, attribute), unit)).toBe(kind),
  );
  test('what a bill may come from', () => {
    expect(mayBeBilled(column(3, '1-0:1.8.0*255'))).toBe(true);
    expect(mayBeBilled(column(3, '1-0:1.29.0*255'))).toBe(true);
    expect(mayBeBilled(column(4, '0-1:24.2.1*255'))).toBe(true);
    expect(mayBeBilled(column(3, '1-0:1.7.0*255'))).toBe(false);
    expect(mayBeBilled(column(4, '1-0:1.8.0*255', 5))).toBe(false);
    expect(mayBeBilled(column(1, '0-0:96.7.21*255'))).toBe(false);
  });
});

describe('roles and keys', () => {
  const columns = [
    clockColumn,
    column(63, '0-0:96.5.0*255'),
    column(3, '0-0:96.240.12*255', 18),
    column(1, '0-0:96.10.1*255'),
    column(4, '1-0:1.6.0*255'),
    column(4, '1-0:1.6.0*255', 5),
    column(5, '1-0:1.4.0*255', 6),
    column(8, '0-1:1.0.0*255'),
  ];
  test('the status is where the model says, else under 0-0:96.10.x; times and further clocks are left out', () => {
    expect(columnRoles(columns)).toEqual([
      'clock',
      'channel',
      'channel',
      'status',
      'channel',
      'left out',
      'left out',
      'left out',
    ]);
    const configured = { logicalName: '0.0.96.240.12.255' as const, attribute: 18 };
    expect(columnRoles(columns, configured).slice(0, 4)).toEqual(['clock', 'channel', 'status', 'channel']);
    expect(columnRoles(columns, { ...configured, attribute: 2 })).not.toContain('status');
  });
  test('incident: two columns of one object were one channel, told by data_index only', () => {
    const two = [column(3, '1-0:1.8.0*255', 2, 1), column(3, '1-0:1.8.0*255', 2, 2), column(1, '0-0:96.1.0*255', 2, 3)];
    expect(columnKeys(two)).toEqual(['1-0:1.8.0*255#1', '1-0:1.8.0*255#2', '0-0:96.1.0*255']);
    expect(columnKeys([column(3, '1-0:1.8.0*255'), column(3, '1-0:1.8.0*255', 2, 1)])).toEqual([
      '1-0:1.8.0*255',
      '1-0:1.8.0*255#1',
    ]);
    expect(columnKeys([column(4, '1-0:1.6.0*255'), column(4, '1-0:1.6.0*255', 4)])).toEqual([
      '1-0:1.6.0*255',
      '1-0:1.6.0*255:4',
    ]);
  });
  test('a capture time is no value with the scaler of its register, and both ways of reading a row agree', () => {
    const layout: RowLayout = {
      columns: [
        clockColumn,
        column(4, '1-0:1.6.0*255'),
        column(4, '1-0:1.6.0*255', 4),
        column(3, '0-0:96.240.12*255', 18),
      ],
      capturePeriodMs: 900_000,
      scalers: new Map([['1.0.1.6.0.255', { scaler: 1, unit: 27 }]]),
      statusColumn: { logicalName: '0.0.96.240.12.255' as const, attribute: 18 },
      statusMeaning: { power_down: [20, 31], clock_invalid: [3] },
    };
    const reader = new ProfileReader(layout);
    const row = (status: number) =>
      structure(
        octets(fromHex('07ea0b1701010000000000 00'.replaceAll(' ', ''))),
        { type: 'double-long-unsigned', value: 5 },
        { type: 'unsigned', value: 1 },
        { type: 'double-long-unsigned', value: status },
      );
    const rows = reader.push(encode(dataCodec, array(row(0x8010_0008), row(0x8010_0008), row(0x11))));
    reader.end();
    expect(rows.map(({ status, bits }) => [status, bits])).toEqual([
      [0x8010_0008, 0x82],
      [0x8010_0008, 0x82],
      [0x11, 0],
    ]);
    expect(rows[0]?.channels).toEqual([
      { key: '1-0:1.6.0*255', scalerUnit: { scaler: 1, unit: 27 }, kind: 'value' },
      { key: '1-0:1.6.0*255:4', scalerUnit: undefined, kind: 'value' },
    ]);
  });
  test('bits of a status word, up to the highest that an integer holds', () => {
    expect(standardBits(2 ** 40 + 1, { power_down: [40] })).toBe(0x80);
    expect(standardBits(0x80, { power_down: [40] })).toBe(0);
    expect(standardBits(0xff, {})).toBe(0);
  });
});

describe('scaler and unit', () => {
  const integer = (type: 'integer' | 'unsigned' | 'long' | 'long-unsigned' | 'double-long' | 'enum', value: number) =>
    ({ type, value }) as const;
  test.each([
    ['integer', -3, 'enum', 30],
    ['unsigned', 253, 'unsigned', 30],
    ['long', -3, 'long-unsigned', 30],
    ['long-unsigned', 0xfffd, 'unsigned', 30],
    ['double-long', -3, 'integer', 30],
  ] as const)('incident: a scaler as %s %i and a unit as %s %i were silently unknown', (one, scaler, two, unit) => {
    expect(scalerUnitOf(structure(integer(one, scaler), integer(two, unit)))).toEqual({ scaler: -3, unit: 30 });
  });
  test('what is no scaler and unit is unknown', () => {
    expect(scalerUnitOf({ type: 'null-data' })).toBeUndefined();
    expect(scalerUnitOf(structure(integer('long', 300), integer('enum', 30)))).toBeUndefined();
    expect(scalerUnitOf(structure(integer('integer', 0), integer('long', -1)))).toBeUndefined();
    expect(scalerUnitOf(structure(integer('integer', 0)))).toBeUndefined();
  });
});
