import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../../src/base/codec.ts';
import { CodecError } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { type Data, dataCodec, integerOf } from '../../src/dlms/axdr/data.ts';

/** Octets by hand from the Green Book's table of tags and IEC 61334-6. */
const vectors: [string, Data][] = [
  ['00', { type: 'null-data' }],
  ['03 01', { type: 'boolean', value: true }],
  ['04 0b b5 60', { type: 'bit-string', value: '10110101011' }],
  ['05 ff ff ff fe', { type: 'double-long', value: -2 }],
  ['06 ff ff ff fe', { type: 'double-long-unsigned', value: 4294967294 }],
  ['09 06 01 00 01 08 00 ff', { type: 'octet-string', value: Uint8Array.of(1, 0, 1, 8, 0, 255) }],
  ['0a 03 41 42 43', { type: 'visible-string', value: 'ABC' }],
  ['0c 03 e2 82 ac', { type: 'utf8-string', value: '€' }],
  ['0d 12', { type: 'bcd', value: 0x12 }],
  ['0f 80', { type: 'integer', value: -128 }],
  ['10 ff 85', { type: 'long', value: -123 }],
  ['11 ff', { type: 'unsigned', value: 255 }],
  ['12 01 00', { type: 'long-unsigned', value: 256 }],
  ['14 ff ff ff ff ff ff ff ff', { type: 'long64', value: -1n }],
  ['15 ff ff ff ff ff ff ff ff', { type: 'long64-unsigned', value: 18446744073709551615n }],
  ['16 1e', { type: 'enum', value: 30 }],
  ['17 3f c0 00 00', { type: 'float32', value: 1.5 }],
  ['18 3f f8 00 00 00 00 00 00', { type: 'float64', value: 1.5 }],
  [
    '19 07 ea 0b 18 02 05 2c 00 00 00 00 00',
    { type: 'date-time', value: fromHex('07 ea 0b 18 02 05 2c 00 00 00 00 00') },
  ],
  ['1a 07 ea 0b 18 02', { type: 'date', value: fromHex('07 ea 0b 18 02') }],
  ['1b 05 2c 00 00', { type: 'time', value: fromHex('05 2c 00 00') }],
  ['1c ff', { type: 'delta-integer', value: -1 }],
  ['1d ff ff', { type: 'delta-long', value: -1 }],
  ['1e ff ff ff ff', { type: 'delta-double-long', value: -1 }],
  ['1f ff', { type: 'delta-unsigned', value: 255 }],
  ['20 ff ff', { type: 'delta-long-unsigned', value: 65535 }],
  ['21 ff ff ff ff', { type: 'delta-double-long-unsigned', value: 4294967295 }],
  ['ff', { type: 'dont-care' }],
  [
    '02 02 0f 00 16 1e',
    {
      type: 'structure',
      value: [
        { type: 'integer', value: 0 },
        { type: 'enum', value: 30 },
      ],
    },
  ],
  [
    '01 02 11 01 11 02',
    {
      type: 'array',
      value: [
        { type: 'unsigned', value: 1 },
        { type: 'unsigned', value: 2 },
      ],
    },
  ],
  // compact-array of structures {long-unsigned, unsigned}: description, length of contents, contents without tags
  [
    '13 02 02 12 11 06 00 01 02 00 03 04',
    {
      type: 'compact-array',
      description: { type: 'structure', elements: [{ type: 'long-unsigned' }, { type: 'unsigned' }] },
      value: [
        {
          type: 'structure',
          value: [
            { type: 'long-unsigned', value: 1 },
            { type: 'unsigned', value: 2 },
          ],
        },
        {
          type: 'structure',
          value: [
            { type: 'long-unsigned', value: 3 },
            { type: 'unsigned', value: 4 },
          ],
        },
      ],
    },
  ],
  [
    '13 01 00 02 11 04 01 02 03 04',
    {
      type: 'compact-array',
      description: { type: 'array', count: 2, element: { type: 'unsigned' } },
      value: [
        {
          type: 'array',
          value: [
            { type: 'unsigned', value: 1 },
            { type: 'unsigned', value: 2 },
          ],
        },
        {
          type: 'array',
          value: [
            { type: 'unsigned', value: 3 },
            { type: 'unsigned', value: 4 },
          ],
        },
      ],
    },
  ],
];

describe('A-XDR Data by hand', () => {
  test.each(vectors)('%s', (hex, value) => {
    const octets = fromHex(hex);
    expect(decode(dataCodec, octets)).toEqual(value);
    expect(toHex(encode(dataCodec, value))).toBe(toHex(octets));
    for (let end = 0; end < octets.length; end++) {
      expect(() => decode(dataCodec, octets.subarray(0, end)), `cut at ${end}`).toThrow(CodecError);
    }
    for (let bit = 0; bit < octets.length * 8; bit++) {
      const damaged = octets.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      valueOrCodecError(damaged);
    }
  });
});

function valueOrCodecError(octets: Uint8Array): void {
  try {
    decode(dataCodec, octets);
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
  }
}

test('lengths that are not minimal are read (meter-quirks 9)', () => {
  expect(decode(dataCodec, fromHex('09 82 00 02 aa bb'))).toEqual({
    type: 'octet-string',
    value: Uint8Array.of(0xaa, 0xbb),
  });
});

test('an unknown tag is an error with its offset', () => {
  try {
    decode(dataCodec, fromHex('02 02 11 05 08 00'));
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    expect((error as CodecError).offset).toBe(4);
    expect((error as CodecError).message).toContain('0x08');
  }
});

test('counts beyond the octets, deep nesting and elements without octets are refused, not obeyed', () => {
  for (const hex of [
    '01 84 ff ff ff ff',
    '02 84 7f ff ff ff 00',
    '09 84 ff ff ff ff 00',
    '04 84 ff ff ff ff 00',
    '13 00 02 01 02',
  ]) {
    expect(() => decode(dataCodec, fromHex(hex)), hex).toThrow(CodecError);
  }
  expect(() => decode(dataCodec, fromHex('02 01 '.repeat(50_000)))).toThrow(CodecError);
  // 65 535 times nothing.
  expect(() => decode(dataCodec, fromHex('13 01 ff ff 00 01 00'))).toThrow(/more elements/);
});

test('values outside of their type are our mistake: RangeError', () => {
  const wrong: Data[] = [
    { type: 'unsigned', value: 256 },
    { type: 'integer', value: -129 },
    { type: 'long-unsigned', value: -1 },
    { type: 'double-long', value: 2 ** 31 },
    { type: 'double-long-unsigned', value: 0.5 },
    { type: 'long64-unsigned', value: -1n },
    { type: 'date', value: new Uint8Array(4) },
  ];
  for (const data of wrong) expect(() => encode(dataCodec, data)).toThrow(RangeError);
});

test('integerOf: all integers as bigint, nothing else', () => {
  expect(integerOf({ type: 'long64', value: -5n })).toBe(-5n);
  expect(integerOf({ type: 'double-long-unsigned', value: 4294967295 })).toBe(4294967295n);
  expect(integerOf({ type: 'float32', value: 1 })).toBeUndefined();
  expect(integerOf({ type: 'octet-string', value: Uint8Array.of(1) })).toBeUndefined();
});

const leaf: fc.Arbitrary<Data> = fc.oneof(
  fc.constant<Data>({ type: 'null-data' }),
  fc.integer({ min: 0, max: 255 }).map((value): Data => ({ type: 'unsigned', value })),
  fc.integer({ min: -32768, max: 32767 }).map((value): Data => ({ type: 'long', value })),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((value): Data => ({ type: 'double-long', value })),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Data => ({ type: 'long64-unsigned', value })),
  fc.uint8Array({ maxLength: 300 }).map((value): Data => ({ type: 'octet-string', value })),
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((value): Data => ({ type: 'utf8-string', value })),
  fc
    .array(fc.boolean(), { maxLength: 40 })
    .map((bits): Data => ({ type: 'bit-string', value: bits.map((bit) => (bit ? '1' : '0')).join('') })),
  fc.double({ noNaN: true }).map((value): Data => ({ type: 'float64', value })),
);
const tree = fc.letrec<{ data: Data }>((tie) => ({
  data: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('data'), { maxLength: 5 }).map((value): Data => ({ type: 'structure', value })),
    fc.array(tie('data'), { maxLength: 5 }).map((value): Data => ({ type: 'array', value })),
  ),
})).data;

test('property: decode of encode is the same', () => {
  fc.assert(
    fc.property(tree, (data) => {
      expect(decode(dataCodec, encode(dataCodec, data))).toEqual(data);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test('property: any octets give a value or a CodecError', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), valueOrCodecError), { seed: 43, numRuns: 3000 });
});
