/** More of what once came out wrong, each with a sibling: stamps, columns, bare values and blocks, lists that come again. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { concat } from '../../src/base/cursor.ts';
import { type RecordedLine } from '../../src/base/exchange-file.ts';
import { fromHex } from '../../src/base/hex.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { type Apdu, encodeApdu, valueList } from '../../src/dlms/xdlms/apdu.ts';
import { rowJson } from '../../src/reading/load-profile-row.ts';
import { explain } from '../../src/recording/reader.ts';

type Direction = RecordedLine['direction'];
const lines = (...pieces: readonly (readonly [Direction, Uint8Array])[]): RecordedLine[] =>
  pieces.map(([direction, octets], i) => ({ line: i + 1, time: '', direction, octets }));
const textOf = (found: ReturnType<typeof explain>): string => found.frames.flatMap(({ text }) => text).join('\n');
const structure = (...value: Data[]): Data => ({ type: 'structure', value });
const octets = (hex: string): Data => ({ type: 'octet-string', value: fromHex(hex) });
const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
const column = (classId: number, obis: string, attribute = 2, index = 0): Data =>
  structure(
    { type: 'long-unsigned', value: classId },
    octets(obis),
    { type: 'integer', value: attribute },
    { type: 'long-unsigned', value: index },
  );
const clockColumn = column(8, '0000010000ff');
const of = (attribute: number) => ({ classId: 7, logicalName: '1.0.99.1.0.255', attribute }) as const;
const wrapped = (direction: Direction, apdu: Apdu): readonly [Direction, Uint8Array] => [
  direction,
  encodeWrapper({
    ...(direction === 'to-meter' ? { source: 16, destination: 1 } : { source: 1, destination: 16 }),
    apdu: encodeApdu(apdu),
  }),
];
/** A read of the columns, and one of the rows. */
const session = (columns: readonly Data[], rows: readonly Data[]): RecordedLine[] =>
  lines(
    wrapped('to-meter', { kind: 'get-request-normal', invokeId: 0xc1, attribute: of(3) }),
    wrapped('from-meter', {
      kind: 'get-response-normal',
      invokeId: 0xc1,
      result: { data: { type: 'array', value: columns } },
    }),
    wrapped('to-meter', { kind: 'get-request-normal', invokeId: 0xc2, attribute: of(2) }),
    wrapped('from-meter', {
      kind: 'get-response-normal',
      invokeId: 0xc2,
      result: { data: { type: 'array', value: rows } },
    }),
  );

describe('stamps that the calendar does not have', () => {
  test.each([
    ['30 February', '07ea021eff0a000000000000'],
    ['hour 25', '07ea0b14ff19000000000000'],
    ['month 13', '07ea0d14ff0a000000000000'],
    ['minute 60', '07ea0b14ff0a3c0000000000'],
  ])('%s: a row without an instant, and why', (_, stamp) => {
    const good = '07ea0b14ff0b000000000000';
    const found = explain(
      session(
        [clockColumn, column(3, '0100010800ff')],
        [structure(octets(stamp), u32(7)), structure(octets(good), u32(8))],
      ),
    );
    expect(found.rows.map(({ end }) => end)).toEqual([null, Date.UTC(2026, 10, 20, 11)]);
    expect(rowJson(found.rows[0] as (typeof found.rows)[number])).toMatchObject({
      end: null,
      why: expect.any(String) as string,
    });
  });
});

describe('columns of one object', () => {
  test('two elements of one attribute are two values', () => {
    const twice = [clockColumn, column(3, '0100010800ff', 2, 1), column(3, '0100010800ff', 2, 2)];
    const found = explain(session(twice, [structure(octets('07ea0b14ff0b000000000000'), u32(7), u32(8))]));
    expect(found.rows.map((row) => Object.keys(rowJson(row)['values'] as object))).toEqual([
      ['1-0:1.8.0*255#1', '1-0:1.8.0*255#2'],
    ]);
  });
  test('a sibling: two attributes of one object', () => {
    const both = [clockColumn, column(4, '0100010600ff', 2), column(4, '0100010600ff', 4)];
    const found = explain(session(both, [structure(octets('07ea0b14ff0b000000000000'), u32(7), u32(8))]));
    expect(found.rows.map((row) => Object.keys(rowJson(row)['values'] as object))).toEqual([
      ['1-0:1.6.0*255', '1-0:1.6.0*255:4'],
    ]);
  });
});

describe('what stands alone', () => {
  test('a value without an APDU around it is shown', () => {
    const found = explain(lines(['unknown', encode(dataCodec, structure(u32(1234), octets('0100010800ff')))]));
    expect(textOf(found)).toContain('1234');
    expect(found.problems).toEqual([]);
  });
  test('a sibling: a block whose request is not in the recording is shown with its number and octets', () => {
    const block: Apdu = {
      kind: 'get-response-with-datablock',
      invokeId: 0xc1,
      last: true,
      number: 1,
      result: { raw: encode(dataCodec, u32(4321)) },
    };
    const found = explain(lines(['unknown', encodeApdu(block)]));
    expect(textOf(found)).toMatch(/block 1/);
    expect(textOf(found)).toContain('4321');
  });
});

describe('a list whose first part comes again', () => {
  const name = (code: string) => octets(code);
  const apdu = encodeApdu({
    kind: 'data-notification',
    longInvokeId: 1,
    dateTime: new Uint8Array(0),
    body: structure(name('0100010800ff'), u32(1111), name('0100020800ff'), u32(2222)),
  });
  const ui = (information: Uint8Array, segmented: boolean): readonly [Direction, Uint8Array] => [
    'from-meter',
    encodeFrame({
      destination: { logical: 16, size: 1 },
      source: { logical: 1, size: 1 },
      control: { kind: 'UI', pollFinal: false },
      segmented,
      information,
    }),
  ];
  test('in general blocks: it counts once', () => {
    const part = (number: number, content: Uint8Array, last: boolean): Uint8Array =>
      encodeApdu({ kind: 'general-block-transfer', control: last ? 0x80 : 0x40, number, acknowledged: 0, content });
    const [one, two] = [apdu.subarray(0, 20), apdu.subarray(20)];
    const sent = (octetsOf: Uint8Array): readonly [Direction, Uint8Array] => [
      'from-meter',
      encodeWrapper({ source: 1, destination: 16, apdu: octetsOf }),
    ];
    const found = explain(lines(sent(part(1, one, false)), sent(part(1, one, false)), sent(part(2, two, true))));
    expect(textOf(found).match(/1-0:1\.8\.0\*255 +1111/g)).toHaveLength(1);
    expect(textOf(found).match(/1-0:2\.8\.0\*255 +2222/g)).toHaveLength(1);
  });
  test('a sibling: in segments of HDLC, begun anew: what was begun is named, and the list is read once', () => {
    const whole = concat([fromHex('e6e700'), apdu]);
    const found = explain(
      lines(ui(whole.subarray(0, 18), true), ui(whole.subarray(0, 18), true), ui(whole.subarray(18), false)),
    );
    expect(found.problems).toEqual([expect.stringContaining('a list begins anew: the 18 octets before are left out')]);
    expect(textOf(found).match(/1-0:2\.8\.0\*255 +2222/g)).toHaveLength(1);
    expect(textOf(found)).not.toMatch(/1-0:1\.8\.0\*255 +(?!1111)\d/);
  });
});

describe('lists that are written in blocks', () => {
  const values: Data[] = [octets('07ea0b14ff0b000000000000'), u32(77_777)];
  const raw = encode(valueList, values);
  const block = (number: number) => ({
    last: number === 2,
    number,
    raw: number === 1 ? raw.subarray(0, 9) : raw.subarray(9),
  });
  const attributes = [
    { classId: 8, logicalName: '0.0.1.0.0.255', attribute: 2 },
    { classId: 3, logicalName: '1.0.1.8.0.255', attribute: 2 },
  ] as const;
  const session = (members: readonly (typeof attributes)[number][]) =>
    explain(
      lines(
        wrapped('to-meter', {
          kind: 'set-request-with-list-and-first-datablock',
          invokeId: 0xc1,
          attributes: [...members],
          block: block(1),
        }),
        wrapped('from-meter', { kind: 'set-response-datablock', invokeId: 0xc1, number: 1 }),
        wrapped('to-meter', { kind: 'set-request-with-datablock', invokeId: 0xc1, block: block(2) }),
        wrapped('from-meter', {
          kind: 'set-response-last-datablock-with-list',
          invokeId: 0xc1,
          results: [0, 3],
          number: 2,
        }),
      ),
    );
  test('SET: each value stands by its attribute, each result by its name', () => {
    const found = session(attributes);
    expect(found.problems).toEqual([]);
    expect(textOf(found)).toMatch(/1: .*0-0:1\.0\.0\*255.* = .*2026-11-20/);
    expect(textOf(found)).toMatch(/2: .*1-0:1\.8\.0\*255.* = double-long-unsigned 77777/);
    expect(textOf(found)).toMatch(/block 2 taken: success; read-write-denied/);
  });
  test('a sibling: fewer attributes than values: it is said, and none of them is given to another', () => {
    const found = session([attributes[0]]);
    expect(found.problems).toEqual([expect.stringContaining('2 values for 1 members of the list')]);
    expect(textOf(found)).toMatch(/2: nobody knows what = double-long-unsigned 77777/);
  });
  test('a sibling: ACTION', () => {
    const methods = [
      { classId: 70, logicalName: '0.0.96.3.10.255', method: 1 },
      { classId: 3, logicalName: '1.0.1.8.0.255', method: 1 },
    ] as const;
    const found = explain(
      lines(
        wrapped('to-meter', {
          kind: 'action-request-with-list-and-first-pblock',
          invokeId: 0xc1,
          methods: [...methods],
          block: block(1),
        }),
        wrapped('from-meter', { kind: 'action-response-next-pblock', invokeId: 0xc1, number: 1 }),
        wrapped('to-meter', { kind: 'action-request-with-pblock', invokeId: 0xc1, block: block(2) }),
      ),
    );
    expect(found.problems).toEqual([]);
    expect(textOf(found)).toMatch(/2: .*1-0:1\.8\.0\*255.*reset.* = double-long-unsigned 77777/);
  });
});

test('a push that asks to be confirmed, and its confirmation', () => {
  const body: Data = structure(octets('0000010000ff'), u32(7));
  const found = explain(
    lines(
      wrapped('from-meter', {
        kind: 'data-notification',
        longInvokeId: 0x4000_0001,
        dateTime: new Uint8Array(0),
        body,
      }),
      wrapped('to-meter', {
        kind: 'data-notification-confirm',
        longInvokeId: 0x4000_0001,
        dateTime: new Uint8Array(0),
      }),
      wrapped('from-meter', { kind: 'data-notification', longInvokeId: 2, dateTime: new Uint8Array(0), body }),
    ),
  );
  expect(found.problems).toEqual([]);
  expect(textOf(found).match(/to be confirmed/g)).toHaveLength(1);
  expect(textOf(found)).toMatch(/data-notification-confirm .*a push was taken/);
});
