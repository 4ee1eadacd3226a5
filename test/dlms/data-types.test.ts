/** The rows of the types of Data: tags as the Green Book has them, and sizes as reading and writing take them. */
import { expect, test } from 'vitest';
import { Reader, Writer } from '../../src/base/cursor.ts';
import { dataTag, dataTypes, fixedSize, integerSize, leafByTag, typeByTag } from '../../src/dlms/axdr/data-types.ts';

test('tags (Green Book 9.5): none twice, and each leads back to its type', () => {
  const tags = Object.values(dataTag);
  const known = [0, 1, 2, 3, 4, 5, 6, 9, 10, 12, 13, ...Array.from({ length: 19 }, (_, i) => 15 + i), 255];
  expect(tags.toSorted((a, b) => a - b)).toEqual(known);
  for (const [type, tag] of Object.entries(dataTag)) expect(typeByTag.get(tag)).toBe(type);
});

test.each(Object.entries(dataTypes).map(([type, { tag }]) => [type, tag] as const))(
  '%s: what it writes it reads again, in as many octets as its row says',
  (type, tag) => {
    const row = leafByTag[tag];
    expect(row?.type).toBe(type);
    // Zeros are a value of every type: a number, the empty string, a date that leaves nothing open.
    const zeros = new Reader(new Uint8Array(fixedSize[tag] ?? 1));
    const value = row?.read(zeros);
    expect(zeros.remaining).toBe(0);
    const w = new Writer();
    row?.write(w, value, type);
    expect([...w.octets()]).toEqual(Array.from({ length: fixedSize[tag] ?? 1 }, () => 0));
  },
);

test('an exact integer by itself has a size; a difference to the row before and a float are none', () => {
  const integers = Object.entries(dataTag).flatMap(([type, tag]) => (integerSize[tag] === undefined ? [] : [type]));
  expect(integers).toEqual([
    'boolean',
    'double-long',
    'double-long-unsigned',
    'bcd',
    'integer',
    'long',
    'unsigned',
    'long-unsigned',
    'long64',
    'long64-unsigned',
    'enum',
  ]);
});
