/**
 * The types of the choice Data, one row each (Green Book 9.5, Blue Book 4.1.5): its tag, the octets of its contents where they
 * are always as many, how they are read and written, and whether they are an exact integer by themselves. 64-bit integers are
 * bigint, all others number; strings of octets are views into the message.
 */
import type { Reader, Writer } from '../../base/cursor.ts';
import { octetString, readLength, writeLength } from './length.ts';

interface Contents<V> {
  /** Octets; undefined where a length stands before them. */
  readonly size?: number;
  /** A difference to the row before is none by itself. */
  readonly integer?: true;
  readonly read: (r: Reader) => V;
  /** A value that the type cannot hold is a RangeError. */
  readonly write: (w: Writer, value: V, type: string) => void;
}
type Row<Tag extends number, V> = Contents<V> & { readonly tag: Tag };
const row = <Tag extends number, V>(tag: Tag, contents: Contents<V>): Row<Tag, V> => ({ tag, ...contents });

function inRange(value: number, low: number, high: number, type: string): number {
  if (!Number.isInteger(value) || value < low || value > high) throw new RangeError(`${value} is no ${type}`);
  return value;
}
const int8: Contents<number> = {
  size: 1,
  read: (r) => r.i8(),
  write: (w, value, type) => w.u8(inRange(value, -128, 127, type)),
};
const uint8: Contents<number> = {
  size: 1,
  read: (r) => r.u8(),
  write: (w, value, type) => w.u8(inRange(value, 0, 255, type)),
};
const int16: Contents<number> = {
  size: 2,
  read: (r) => r.i16(),
  write: (w, value, type) => w.u16(inRange(value, -32768, 32767, type)),
};
const uint16: Contents<number> = {
  size: 2,
  read: (r) => r.u16(),
  write: (w, value, type) => w.u16(inRange(value, 0, 65535, type)),
};
const int32: Contents<number> = {
  size: 4,
  read: (r) => r.i32(),
  write: (w, value, type) => w.u32(inRange(value, -(2 ** 31), 2 ** 31 - 1, type)),
};
const uint32: Contents<number> = {
  size: 4,
  read: (r) => r.u32(),
  write: (w, value, type) => w.u32(inRange(value, 0, 2 ** 32 - 1, type)),
};
function fits64(value: bigint, fits: bigint, type: string): bigint {
  if (fits !== value) throw new RangeError(`${value} is no ${type}`);
  return value;
}
const int64: Contents<bigint> = {
  size: 8,
  read: (r) => r.i64(),
  write: (w, value, type) => w.u64(fits64(value, BigInt.asIntN(64, value), type)),
};
const uint64: Contents<bigint> = {
  size: 8,
  read: (r) => r.u64(),
  write: (w, value, type) => w.u64(fits64(value, BigInt.asUintN(64, value), type)),
};
/** As many octets as the type has, and no length before them. */
const fixedOctets = (size: number): Contents<Uint8Array> => ({
  size,
  read: (r) => r.take(size),
  write: (w, value, type) => {
    if (value.length !== size) throw new RangeError(`${value.length} octets are no ${type}`);
    w.put(value);
  },
});
const float = (size: 4 | 8): Contents<number> => ({
  size,
  read: (r) => (size === 4 ? r.view(4).getFloat32(0) : r.view(8).getFloat64(0)),
  write: (w, value) => {
    const view = new DataView(new ArrayBuffer(size));
    if (size === 4) view.setFloat32(0, value);
    else view.setFloat64(0, value);
    w.put(new Uint8Array(view.buffer));
  },
});

/** Octets of a string, and bits of a bit-string, that count as one element more. */
const stringOctets = 16;
function readString(r: Reader): Uint8Array {
  const octets = r.take(readLength(r));
  r.spend(Math.floor(octets.length / stringOctets));
  return octets;
}
const utf8 = new TextDecoder('utf-8', { fatal: true });
function readUtf8(r: Reader): string {
  const octets = readString(r);
  try {
    return utf8.decode(octets);
  } catch {
    return r.fail('octets are no UTF-8');
  }
}
/** Bits as digits. Each counts as an element: no object has that many. */
function readBits(r: Reader): string {
  const bits = readLength(r);
  const octets = r.take(Math.ceil(bits / 8));
  r.spend(bits);
  return Array.from(octets, (octet) => octet.toString(2).padStart(8, '0'))
    .join('')
    .slice(0, bits);
}
function writeBits(w: Writer, value: string): void {
  writeLength(w, value.length);
  for (let at = 0; at < value.length; at += 8) w.u8(Number.parseInt(value.slice(at, at + 8).padEnd(8, '0'), 2));
}

/** Types whose contents hold other values, read and written by data.ts: their tags only. */
export const nestedTag = { array: 1, structure: 2, 'compact-array': 19 } as const;
/** Types that say everything by their tag. */
export const emptyTag = { 'null-data': 0, 'dont-care': 255 } as const;
export const dataTypes = {
  boolean: row(3, {
    size: 1,
    integer: true,
    read: (r) => r.u8() !== 0,
    write: (w, value: boolean) => w.u8(value ? 1 : 0),
  }),
  'bit-string': row(4, { read: readBits, write: writeBits }),
  'double-long': row(5, { ...int32, integer: true }),
  'double-long-unsigned': row(6, { ...uint32, integer: true }),
  'octet-string': row(9, { read: readString, write: (w, value: Uint8Array) => octetString.write(w, value) }),
  'visible-string': row(10, {
    read: (r) => Buffer.from(readString(r)).toString('latin1'),
    write: (w, value: string) => octetString.write(w, Buffer.from(value, 'latin1')),
  }),
  'utf8-string': row(12, {
    read: readUtf8,
    write: (w, value: string) => octetString.write(w, Buffer.from(value, 'utf8')),
  }),
  bcd: row(13, { ...int8, integer: true }),
  integer: row(15, { ...int8, integer: true }),
  long: row(16, { ...int16, integer: true }),
  unsigned: row(17, { ...uint8, integer: true }),
  'long-unsigned': row(18, { ...uint16, integer: true }),
  long64: row(20, { ...int64, integer: true }),
  'long64-unsigned': row(21, { ...uint64, integer: true }),
  enum: row(22, { ...uint8, integer: true }),
  float32: row(23, float(4)),
  float64: row(24, float(8)),
  'date-time': row(25, fixedOctets(12)),
  date: row(26, fixedOctets(5)),
  time: row(27, fixedOctets(4)),
  'delta-integer': row(28, int8),
  'delta-long': row(29, int16),
  'delta-double-long': row(30, int32),
  'delta-unsigned': row(31, uint8),
  'delta-long-unsigned': row(32, uint16),
  'delta-double-long-unsigned': row(33, uint32),
} as const;
export type LeafType = keyof typeof dataTypes;
export type DataType = LeafType | keyof typeof nestedTag | keyof typeof emptyTag;
/** What a type is read as. */
export type ValueOf<Type extends LeafType> = ReturnType<(typeof dataTypes)[Type]['read']>;
type LeafTags = { readonly [Type in LeafType]: (typeof dataTypes)[Type]['tag'] };

// Of the rows, by type and by tag. What Object.entries forgets of the types is said once more here.
const leaves = Object.entries(dataTypes) as [LeafType, Row<number, unknown>][];
export const dataTag = {
  ...emptyTag,
  ...nestedTag,
  ...(Object.fromEntries(leaves.map(([type, { tag }]) => [type, tag])) as LeafTags),
} as const;
export const typeByTag: ReadonlyMap<number, DataType> = new Map(
  (Object.entries(dataTag) as [DataType, number][]).map(([type, tag]) => [tag, type]),
);
export interface Leaf {
  readonly type: LeafType;
  readonly tag: number;
  readonly read: (r: Reader) => unknown;
  readonly write: (w: Writer, value: unknown, type: string) => void;
}
/** The rows once more, all of one shape: what reads or writes a value of any type looks its row up in one step. */
const sameShape = leaves.map(([type, { tag, read, write }]): Leaf => ({ type, tag, read, write }));
export const leafByTag: readonly (Leaf | undefined)[] = Array.from({ length: 0x100 }, (_, at) =>
  sameShape.find(({ tag }) => tag === at),
);
export const leafByType: ReadonlyMap<string, Leaf> = new Map(sameShape.map((leaf) => [leaf.type, leaf]));
/** Octets of the contents of each fixed-size type, by tag; absent for the others. */
export const fixedSize: readonly (number | undefined)[] = (() => {
  const sizes: (number | undefined)[] = [];
  for (const tag of Object.values(emptyTag)) sizes[tag] = 0;
  for (const [, { tag, size }] of leaves) sizes[tag] = size;
  return sizes;
})();
/** The same of those types only that are an exact integer by themselves. */
export const integerSize: readonly (number | undefined)[] = (() => {
  const sizes: (number | undefined)[] = [];
  for (const [, { tag, size, integer }] of leaves) if (integer === true) sizes[tag] = size;
  return sizes;
})();
