/** Rows from octets: in any chunking the same, by their places or in full, with everything that meters leave out. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { CodecError, type Failure } from '../../src/base/errors.ts';
import { fromHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { type Data, dataCodec, integerOf } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets, utcOf } from '../../src/dlms/cosem/date-time.ts';
import { type CaptureObject, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../../src/dlms/cosem/server-object.ts';
import { ProfileReader, type RowLayout, type RowReading } from '../../src/reading/profile-reader.ts';
import { seeded } from '../../src/simulator/random.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';

const hour = 3_600_000;
const start = Date.UTC(2026, 10, 23);
const column = (classId: number, logicalName: LogicalName): CaptureObject => ({
  classId,
  logicalName,
  attribute: 2,
  dataIndex: 0,
});
const layout: RowLayout = {
  columns: [clockColumn, column(1, '0.0.96.10.1.255'), column(3, '1.0.1.8.0.255'), column(3, '1.0.2.8.0.255')],
  capturePeriodMs: hour,
  scalers: new Map([['1.0.1.8.0.255', { scaler: 0, unit: 30 }]]),
};
const nothing: Data = { type: 'null-data' };
const u8 = (value: number): Data => ({ type: 'unsigned', value });
const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
const stamp = (i: number): Data => octets(dateTimeOctets(millis(start + i * hour)));
const row = (
  i: number,
  one: Data = u32(1000 + i),
  two: Data = u32(i),
  when: Data = stamp(i),
  status: Data = u8(0),
): Data => structure(when, status, one, two);
const read = (data: Data, more: Partial<RowLayout> = {}, reading: RowReading = {}) => {
  const reader = new ProfileReader({ ...layout, ...more }, reading);
  const rows = reader.push(encode(dataCodec, data));
  reader.end();
  return rows.map(({ end, status, cells }) => [end === null ? null : (end - start) / hour, status, ...cells]);
};

test('plain rows: stamps, status, cells, channels; the raw stamp is at hand', () => {
  const reader = new ProfileReader(layout);
  const rows = reader.push(encode(dataCodec, array(row(0), row(1), row(2))));
  expect(rows.map(({ end, start: from }) => [from, end])).toEqual(
    [0, 1, 2].map((i) => [start + (i - 1) * hour, start + i * hour]),
  );
  expect(rows[2]?.cells).toEqual([1002, 2]);
  expect(rows[2]?.channels).toEqual([
    { key: '1-0:1.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' },
    { key: '1-0:2.8.0*255', scalerUnit: undefined, kind: 'register' },
  ]);
  expect(rows[2]?.clock).toEqual(dateTimeOctets(millis(start + 2 * hour)));
});

test('in any chunking the same rows, and never more than a row held', () => {
  const kinds: Data[] = [
    u32(5),
    { type: 'long64-unsigned', value: 2n ** 60n },
    nothing,
    { type: 'long', value: -3 },
    { type: 'visible-string', value: 'x' },
  ];
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const rows = Array.from({ length: 40 }, (_, i) =>
      random() < 0.7 ? row(i) : row(i, pick(kinds), pick(kinds), pick([stamp(i), nothing])),
    );
    const whole = encode(dataCodec, array(...rows));
    const expected = read(array(...rows));
    const reader = new ProfileReader({ ...layout });
    const got: ReturnType<typeof reader.push> = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + Math.floor(random() * pick([2, 9, 40, 200]));
      reader.push(whole.slice(at, at + size), got);
      expect(reader.held).toBeLessThan(64);
      at += size;
    }
    reader.end();
    expect(got.map(({ end, status, cells }) => [end === null ? null : (end - start) / hour, status, ...cells])).toEqual(
      expected,
    );
  }
});

test('the short way over the places gives what the value tree gives, for every integer type and its bounds', () => {
  const integers: Data[] = [
    ...[0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1].map(u32),
    ...[-(2 ** 31), -1, 0, 2 ** 31 - 1].map((value): Data => ({ type: 'double-long', value })),
    ...[0, 127, 128, 255].map(u8),
    ...[-128, -1, 127].map((value): Data => ({ type: 'integer', value })),
    ...[-32768, -1, 32767].map((value): Data => ({ type: 'long', value })),
    ...[0, 32768, 65535].map((value): Data => ({ type: 'long-unsigned', value })),
    ...[0n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n].map(
      (value): Data => ({ type: 'long64-unsigned', value }),
    ),
    ...[-(2n ** 63n), -(2n ** 53n), -1n, 0n, 2n ** 63n - 1n].map((value): Data => ({ type: 'long64', value })),
    { type: 'boolean', value: true },
    { type: 'enum', value: 200 },
    { type: 'bcd', value: 0x45 },
  ];
  for (const value of integers) {
    // The first row is read in full, the second by its places.
    const [full, fast] = read(array(row(0, value), row(1, value)));
    expect(fast?.[2]).toBe(full?.[2]);
    expect(BigInt(fast?.[2] as number)).toBe(integerOf(value));
  }
});

test('stamps by calculation are those of the calendar, from 1970 to 2099', () => {
  const random = seeded(7);
  for (let i = 0; i < 20_000; i++) {
    const at = millis(Math.floor((random() * 4.1e12) / 1000) * 1000);
    const deviation = Math.floor(random() * 1681) - 840;
    expect(utcOf(dateTimeOctets(at, deviation))).toBe(at);
  }
});

describe('what meters leave out', () => {
  test('quirks 63, 64: null is as in the row before; a stamp counts on by the period', () => {
    expect(
      read(array(row(0), row(1, nothing, u32(9), nothing, nothing), row(2, u32(7), nothing, nothing, u8(4)), row(5))),
    ).toEqual([
      [0, 0, 1000, 0],
      [1, 0, 1000, 9],
      [2, 4, 7, 9],
      [5, 0, 1005, 5],
    ]);
  });
  test('newest row first: the stamp counts back', () => {
    expect(
      read(array(row(9), row(8, nothing, nothing, nothing), row(7, nothing, nothing, nothing)), { descending: true }),
    ).toEqual([
      [9, 0, 1009, 9],
      [8, 0, 1009, 9],
      [7, 0, 1009, 9],
    ]);
  });
  test('null without a row before: no value, no stamp; nothing is made up', () => {
    expect(read(array(row(0, nothing, nothing, nothing)))).toEqual([[null, 0, null, null]]);
    expect(read(array(row(0), row(0, u32(1), u32(2), nothing)), { capturePeriodMs: 0 })[1]).toEqual([null, 0, 1, 2]);
  });
  test('quirk 65: differences count from the row before; without one they mean nothing', () => {
    const delta = (value: number): Data => ({ type: 'delta-integer', value });
    expect(
      read(
        array(row(0), row(1, delta(5), { type: 'delta-long-unsigned', value: 40_000 }), row(2, delta(-6), delta(1))),
      ),
    ).toEqual([
      [0, 0, 1000, 0],
      [1, 0, 1005, 40_000],
      [2, 0, 999, 40_001],
    ]);
    expect(read(array(row(0, delta(1), delta(1))))).toEqual([[0, 0, null, null]]);
  });
  test('quirk 65: compact-array', () => {
    const data: Data = {
      type: 'compact-array',
      description: {
        type: 'structure',
        elements: [
          { type: 'octet-string' },
          { type: 'unsigned' },
          { type: 'double-long-unsigned' },
          { type: 'double-long-unsigned' },
        ],
      },
      value: [row(0), row(1), row(2)],
    };
    expect(read(data)).toEqual([0, 1, 2].map((i) => [i, 0, 1000 + i, i]));
    const raw = encode(dataCodec, data);
    const reader = new ProfileReader(layout);
    const rows = [...raw].flatMap((octet) => reader.push(Uint8Array.of(octet)));
    reader.end();
    expect(rows).toHaveLength(3);
  });
  test('quirk 62: a stamp without tag', () => {
    const untagged = (i: number) =>
      Buffer.concat([
        Uint8Array.of(2, 4, 12),
        dateTimeOctets(millis(start + i * hour)),
        fromHex('11 00 06 00 00 00 07 06 00 00 00 08'),
      ]);
    const reader = new ProfileReader(layout, { untaggedStamps: true });
    const rows = reader.push(Buffer.concat([Uint8Array.of(1, 2), untagged(0), untagged(1)]));
    reader.end();
    expect(rows.map(({ end, cells }) => [end, cells])).toEqual([0, 1].map((i) => [start + i * hour, [7, 8]]));
  });
  test('quirk 69: deviation inverted, unspecified, overridden', () => {
    const local = (min: number | undefined): Data =>
      array(
        row(0, u32(1), u32(2), octets(dateTimeOctets(millis(start), { min: min ?? 0, written: min !== undefined }))),
      );
    expect(read(local(-120))[0]?.[0]).toBe(0);
    expect(read(local(180), {}, { inverted: true })[0]?.[0]).toBe(-6);
    expect(read(local(undefined))[0]?.[0]).toBeNull();
    expect(read(local(undefined), {}, { deviationMin: -120 })[0]?.[0]).toBe(-2);
    expect(read(local(0), {}, { deviationMin: -120, overridden: true })[0]?.[0]).toBe(-2);
  });
});

describe('what is no buffer', () => {
  const good = encode(dataCodec, array(row(0), row(1), row(2)));
  test('cut off at any octet: CodecError at the end, whole rows before it', () => {
    for (let end = 0; end < good.length; end++) {
      const reader = new ProfileReader({ ...layout });
      const rows = reader.push(good.slice(0, end));
      expect(rows.length).toBe(Math.max(0, Math.floor((end - 2) / 28)));
      expect(() => reader.end(), `cut at ${end}`).toThrow(CodecError);
    }
  });
  test('any flipped bit: rows, CodecError or too many rows', () => {
    for (let bit = 0; bit < good.length * 8; bit++) {
      const damaged = good.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        const reader = new ProfileReader({ ...layout });
        reader.push(damaged);
        reader.end();
      } catch (error) {
        // A flipped length may announce more rows than any buffer has.
        expect(error instanceof CodecError || (error as Failure).code === 'answer-too-long').toBe(true);
      }
    }
  });
  test('another width, an integer, rows that are no structures', () => {
    expect(() => read(array(structure(stamp(0), u8(0), u32(1))))).toThrow(/3 columns, the capture objects 4/);
    expect(() => read(u32(5))).toThrow(/not an array/);
    expect(() => read(array(u32(5)))).toThrow(/not a structure/);
  });
  test('padding after the value is counted, null-data is an empty profile', () => {
    const reader = new ProfileReader({ ...layout });
    reader.push(Buffer.concat([good, new Uint8Array(11)]));
    reader.end();
    expect(reader.trailing).toBe(11);
    expect(read(nothing)).toEqual([]);
    expect(read(array())).toEqual([]);
  });
});
