/** Stamps: what they say of themselves is heard, and what names no instant is none. */
import { assert, constantFrom, integer, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { iso, millis } from '../../src/base/time.ts';
import { dataCodec } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets, stampOf, type StampReading, utcOf } from '../../src/dlms/cosem/date-time.ts';
import { clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../../src/dlms/cosem/server-object.ts';
import { logReader } from '../../src/reading/log-reader.ts';
import { darkSpans } from '../../src/reading/meter-event.ts';
import { ProfileReader } from '../../src/reading/profile-reader.ts';

const stamp = (...fields: number[]) => {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, deviation = 0, status = 0] = fields;
  const field = deviation & 0xffff;
  return Uint8Array.of(
    year >> 8,
    year & 255,
    month,
    day,
    255,
    hour,
    minute,
    second,
    0,
    field >> 8,
    field & 255,
    status,
  );
};
const open = -0x8000;
const helsinki: StampReading = { deviationMin: -120 };
const read = (octets: Uint8Array, reading?: StampReading) => {
  const at = stampOf(octets, reading);
  return at.instant === undefined ? at.why : iso(at.instant);
};

describe('incident: 31 February became 3 March', () => {
  test.each([
    [[2026, 2, 31, 1], 'no day of the calendar: 2026-2-31'],
    [[2026, 2, 29, 1], 'no day of the calendar: 2026-2-29'],
    [[2026, 4, 31, 1], 'no day of the calendar: 2026-4-31'],
    [[2100, 2, 29, 1], 'no day of the calendar: 2100-2-29'],
    [[2026, 13, 1, 1], 'no day of the calendar: 2026-13-1'],
    [[2026, 0, 1, 1], 'no day of the calendar: 2026-0-1'],
    [[2026, 1, 0, 1], 'no day of the calendar: 2026-1-0'],
    [[2026, 1, 1, 24], 'hour 24'],
    [[2026, 1, 1, 1, 61], 'minute 61'],
    [[2026, 1, 1, 1, 0, 60], 'second 60'],
    [[65_534, 1, 1, 1], 'the year 65534'],
    [[2026, 1, 1, 0xff], 'year, month, day or hour is not specified'],
    [[0xffff, 1, 1, 1], 'year, month, day or hour is not specified'],
    [[2026, 1, 1, 1, 0, 0, 900], 'the deviation 900 min'],
    [[2026, 1, 1, 1, 0, 0, open], 'the deviation is left open, and the model has no stamp_deviation_min'],
  ])('%j', (fields, why) => {
    expect(read(stamp(...fields))).toBe(why);
  });
  test('29 February of a leap year, and what is not specified below the hour', () => {
    expect(read(stamp(2024, 2, 29, 23))).toBe('2024-02-29T23:00:00Z');
    expect(read(stamp(2000, 2, 29, 23))).toBe('2000-02-29T23:00:00Z');
    expect(read(stamp(2026, 2, 28, 23, 0xff, 0xff))).toBe('2026-02-28T23:00:00Z');
  });
  test('whatever the octets: an instant that reads back as the same fields, or a reason', () => {
    assert(
      property(uint8Array({ minLength: 12, maxLength: 12 }), (octets) => {
        octets[0] = 7;
        const at = stampOf(octets, helsinki);
        if (at.instant === undefined) {
          expect(at.why).not.toBe('');
          return;
        }
        const min = -(((((octets[9] as number) << 8) | (octets[10] as number)) << 16) >> 16);
        const back = dateTimeOctets(at.instant, -min);
        if (min !== 0x8000) expect([...back.subarray(0, 4)]).toEqual([...octets.subarray(0, 4)]);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('incident: rows of seven months came an hour late, because summer time stood only in the clock status', () => {
  test('the deviation is open: bit 7 is an hour more than standard time', () => {
    expect(read(stamp(2026, 7, 1, 12, 0, 0, open, 0x80), helsinki)).toBe('2026-07-01T09:00:00Z');
    expect(read(stamp(2026, 1, 1, 12, 0, 0, open, 0x00), helsinki)).toBe('2026-01-01T10:00:00Z');
  });
  test('FF says nothing, and a deviation that is written holds', () => {
    expect(read(stamp(2026, 7, 1, 12, 0, 0, open, 0xff), helsinki)).toBe('2026-07-01T10:00:00Z');
    expect(read(stamp(2026, 7, 1, 12, 0, 0, -180, 0x80), helsinki)).toBe('2026-07-01T09:00:00Z');
  });
  test('rows with deviation 0 that mean local time (R10), and half an hour of summer time', () => {
    expect(read(stamp(2026, 7, 1, 12, 0, 0, 0, 0x80), { deviationMin: -120, overridden: true })).toBe(
      '2026-07-01T09:00:00Z',
    );
    expect(read(stamp(2026, 1, 1, 12, 0, 0, open, 0x80), { deviationMin: -630, summerShiftMin: 30 })).toBe(
      '2026-01-01T01:00:00Z',
    );
    expect(read(stamp(2026, 7, 1, 12, 0, 0, open, 0x80), { deviationMin: -120, summerShiftMin: 0 })).toBe(
      '2026-07-01T10:00:00Z',
    );
  });
  test('the doubled hour is two hours', () => {
    expect(read(stamp(2026, 10, 25, 3, 30, 0, open, 0x80), helsinki)).toBe('2026-10-25T00:30:00Z');
    expect(read(stamp(2026, 10, 25, 3, 30, 0, open, 0x00), helsinki)).toBe('2026-10-25T01:30:00Z');
  });
});

const layout = {
  columns: [
    clockColumn,
    { classId: 1, logicalName: '0.0.96.10.1.255', attribute: 2, dataIndex: 0 },
    { classId: 3, logicalName: '1.0.1.8.0.255', attribute: 2, dataIndex: 0 },
  ],
  capturePeriodMs: 3_600_000,
  scalers: new Map(),
} as const;
const rows = (...all: (readonly [stamp: Uint8Array | null, status: number])[]) => {
  const reader = new ProfileReader({ ...layout }, helsinki);
  const data = array(
    ...all.map(([at, status], i) =>
      structure(
        at ? octets(at) : { type: 'null-data' },
        { type: 'unsigned', value: status },
        { type: 'double-long-unsigned', value: i },
      ),
    ),
  );
  const read = reader.push(encode(dataCodec, data));
  reader.end();
  return read.map(({ end, doubt }) => [end && iso(end), doubt]);
};

describe('rows', () => {
  test('in full and by their places the same rule, also where a stamp is left out', () => {
    const bad = stamp(2026, 2, 31, 1, 0, 0, open, 0);
    const invalid = stamp(2026, 7, 1, 12, 0, 0, open, 0x81);
    expect(rows([bad, 0], [bad, 0], [invalid, 0], [invalid, 0], [null, 0])).toEqual([
      [null, null],
      [null, null],
      ['2026-07-01T09:00:00Z', 'invalid'],
      ['2026-07-01T09:00:00Z', 'invalid'],
      ['2026-07-01T10:00:00Z', 'invalid'],
    ]);
    const doubtful = stamp(2026, 7, 1, 12, 0, 0, open, 0x02);
    const unsure = stamp(2026, 7, 1, 12, 0, 0, open, 0x08);
    const other = stamp(2026, 7, 1, 12, 0, 0, open, 0x04);
    expect(
      rows([doubtful, 0], [unsure, 0], [other, 0], [stamp(2026, 7, 1, 12, 0, 0, open, 0xff), 0]).map(([, d]) => d),
    ).toEqual(['doubtful', 'status-invalid', null, null]);
  });
  test('whatever a stamp and a status say: the short way over the places gives what the full one gives', () => {
    assert(
      property(
        uint8Array({ minLength: 12, maxLength: 12 }),
        integer({ min: 0, max: 255 }),
        constantFrom(null, 0x80, 0xff, 0x08),
        (octets, status, clockStatus) => {
          octets.set([0x07, 0xea], 0);
          octets[2] = 1 + ((octets[2] as number) % 13);
          octets[5] = (octets[5] as number) % 25;
          octets[6] = (octets[6] as number) % 61;
          octets[7] = (octets[7] as number) % 61;
          octets.set([0x80, 0x00], 9);
          if (clockStatus !== null) octets[11] = clockStatus;
          const [full, fast] = rows([octets, status], [octets, status]);
          expect(fast).toEqual(full);
        },
      ),
      { numRuns: 3000 },
    );
  });
  test('deviation and clock status are open: the status of the row tells which hour of the two it is', () => {
    const third = stamp(2026, 10, 25, 3, 0, 0, open, 0xff);
    expect(rows([third, 0x08], [third, 0x08], [third, 0x00])).toEqual([
      ['2026-10-25T00:00:00Z', null],
      ['2026-10-25T00:00:00Z', null],
      ['2026-10-25T01:00:00Z', null],
    ]);
  });
});

test('an entry of a log that names no instant is counted, with its reason; a doubtful one says so', () => {
  const taken: unknown[] = [];
  const reader = logReader(helsinki, (at, code, doubt) => taken.push([iso(millis(at)), code, doubt]));
  const entry = (at: Uint8Array) => structure(octets(at), { type: 'unsigned', value: 1 });
  reader.push(
    encode(
      dataCodec,
      array(
        entry(stamp(2026, 7, 1, 12, 0, 0, open, 0x81)),
        entry(stamp(2026, 2, 31, 12, 0, 0, open)),
        entry(stamp(65_534, 2, 1, 12, 0, 0, open)),
      ),
    ),
  );
  expect(taken).toEqual([['2026-07-01T09:00:00Z', 1, 'invalid']]);
  expect([reader.unreadable, reader.why]).toEqual([2, 'no day of the calendar: 2026-2-31']);
});

test('a power failure by a doubtful clock proves no interval dark, and pairs with no other', () => {
  const entry = (at: number, code: number, doubt?: 'doubtful') => ({
    at,
    code,
    occurrence: 0,
    ...(doubt && { doubt }),
  });
  expect(
    darkSpans([], [entry(1, 1), entry(2, 2), entry(3, 1), entry(4, 2, 'doubtful'), entry(5, 1), entry(6, 2)]),
  ).toEqual([
    [1, 2],
    [5, 6],
  ]);
  expect(darkSpans([], [entry(1, 1), entry(2, 2, 'doubtful'), entry(3, 1, 'doubtful'), entry(4, 2)])).toEqual([]);
});

test('what is written is read back, in every deviation', () => {
  assert(
    property(integer({ min: 0, max: 4_000_000_000 }), integer({ min: -840, max: 840 }), (s, min) => {
      expect(utcOf(dateTimeOctets(millis(s * 1000), min))).toBe(s * 1000);
    }),
  );
});
