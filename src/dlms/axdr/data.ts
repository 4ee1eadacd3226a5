/**
 * The Data type of xDLMS in A-XDR (Green Book 9.5, Blue Book 4.1.5). 64-bit integers are bigint, all other integers
 * number; strings of octets are views into the message. An unknown tag is a CodecError at its offset.
 */
import type { Codec } from '../../base/codec.ts';
import { newBudget, Reader, Writer } from '../../base/cursor.ts';
import { CodecError, Failure } from '../../base/errors.ts';
import { octetString, readLength, writeLength } from './length.ts';

/** Tag octets of the choice Data. */
export const dataTag = {
  'null-data': 0,
  array: 1,
  structure: 2,
  boolean: 3,
  'bit-string': 4,
  'double-long': 5,
  'double-long-unsigned': 6,
  'octet-string': 9,
  'visible-string': 10,
  'utf8-string': 12,
  bcd: 13,
  integer: 15,
  long: 16,
  unsigned: 17,
  'long-unsigned': 18,
  'compact-array': 19,
  long64: 20,
  'long64-unsigned': 21,
  enum: 22,
  float32: 23,
  float64: 24,
  'date-time': 25,
  date: 26,
  time: 27,
  'delta-integer': 28,
  'delta-long': 29,
  'delta-double-long': 30,
  'delta-unsigned': 31,
  'delta-long-unsigned': 32,
  'delta-double-long-unsigned': 33,
  'dont-care': 255,
} as const;

export type DataType = keyof typeof dataTag;
export type SmallIntegerType =
  | 'double-long'
  | 'double-long-unsigned'
  | 'bcd'
  | 'integer'
  | 'long'
  | 'unsigned'
  | 'long-unsigned'
  | 'enum'
  | 'delta-integer'
  | 'delta-long'
  | 'delta-double-long'
  | 'delta-unsigned'
  | 'delta-long-unsigned'
  | 'delta-double-long-unsigned';
export type Data =
  | { readonly type: 'null-data' | 'dont-care' }
  | { readonly type: 'array' | 'structure'; readonly value: readonly Data[] }
  | { readonly type: 'compact-array'; readonly description: TypeDescription; readonly value: readonly Data[] }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'bit-string'; readonly value: string }
  | { readonly type: SmallIntegerType; readonly value: number }
  | { readonly type: 'long64' | 'long64-unsigned'; readonly value: bigint }
  | { readonly type: 'float32' | 'float64'; readonly value: number }
  | { readonly type: 'octet-string' | 'date-time' | 'date' | 'time'; readonly value: Uint8Array }
  | { readonly type: 'visible-string' | 'utf8-string'; readonly value: string };

/** What the contents of a compact-array are made of (Green Book 9.5, TypeDescription). */
export type TypeDescription =
  | { readonly type: 'array'; readonly count: number; readonly element: TypeDescription }
  | { readonly type: 'structure'; readonly elements: readonly TypeDescription[] }
  | { readonly type: Exclude<DataType, 'array' | 'structure' | 'compact-array'> };

/** Octets of a string, and bits of a bit-string, that count as one element more. */
const stringOctets = 16;
/** Deeper nesting than this is no object of the Blue Book. */
const depthLimit = 16;
const typeByTag = new Map<number, DataType>(Object.entries(dataTag).map(([type, tag]) => [tag, type as DataType]));
const utf8 = new TextDecoder('utf-8', { fatal: true });

export const nullData: Data = { type: 'null-data' };

export function readData(r: Reader, depth = 0): Data {
  const tag = r.u8();
  r.spend(1);
  return readContents(r, tag, depth);
}

function readString(r: Reader): Uint8Array {
  const octets = r.take(readLength(r));
  r.spend(Math.floor(octets.length / stringOctets));
  return octets;
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

function readContents(r: Reader, tag: number, depth: number): Data {
  switch (tag) {
    case 0:
      return nullData;
    case 1:
    case 2: {
      if (depth >= depthLimit) r.fail(`nested deeper than ${depthLimit}`);
      const count = readLength(r);
      if (count > r.remaining) r.fail(`${count} elements announced, ${r.remaining} octets left`);
      const value: Data[] = [];
      for (let i = 0; i < count; i++) value.push(readData(r, depth + 1));
      return { type: tag === 1 ? 'array' : 'structure', value };
    }
    case 3:
      return { type: 'boolean', value: r.u8() !== 0 };
    case 4:
      return { type: 'bit-string', value: readBits(r) };
    case 5:
      return { type: 'double-long', value: r.i32() };
    case 6:
      return { type: 'double-long-unsigned', value: r.u32() };
    case 9:
      return { type: 'octet-string', value: readString(r) };
    case 10:
      return { type: 'visible-string', value: Buffer.from(readString(r)).toString('latin1') };
    case 12: {
      const octets = readString(r);
      try {
        return { type: 'utf8-string', value: utf8.decode(octets) };
      } catch {
        return r.fail('octets are no UTF-8');
      }
    }
    case 13:
      return { type: 'bcd', value: r.i8() };
    case 15:
      return { type: 'integer', value: r.i8() };
    case 16:
      return { type: 'long', value: r.i16() };
    case 17:
      return { type: 'unsigned', value: r.u8() };
    case 18:
      return { type: 'long-unsigned', value: r.u16() };
    case 19:
      return readCompactArray(r, depth);
    case 20:
      return { type: 'long64', value: r.i64() };
    case 21:
      return { type: 'long64-unsigned', value: r.u64() };
    case 22:
      return { type: 'enum', value: r.u8() };
    case 23:
      return { type: 'float32', value: r.view(4).getFloat32(0) };
    case 24:
      return { type: 'float64', value: r.view(8).getFloat64(0) };
    case 25:
      return { type: 'date-time', value: r.take(12) };
    case 26:
      return { type: 'date', value: r.take(5) };
    case 27:
      return { type: 'time', value: r.take(4) };
    case 28:
      return { type: 'delta-integer', value: r.i8() };
    case 29:
      return { type: 'delta-long', value: r.i16() };
    case 30:
      return { type: 'delta-double-long', value: r.i32() };
    case 31:
      return { type: 'delta-unsigned', value: r.u8() };
    case 32:
      return { type: 'delta-long-unsigned', value: r.u16() };
    case 33:
      return { type: 'delta-double-long-unsigned', value: r.u32() };
    case 255:
      return { type: 'dont-care' };
    default:
      r.offset -= 1;
      return r.fail(`tag 0x${tag.toString(16).padStart(2, '0')} is no Data`);
  }
}

/** Octets of the contents of each fixed-size type, by tag; absent for the others. */
export const fixedSize: readonly (number | undefined)[] = (() => {
  const sizes: (number | undefined)[] = [];
  const put = (size: number, ...types: DataType[]) => {
    for (const type of types) sizes[dataTag[type]] = size;
  };
  put(0, 'null-data', 'dont-care');
  put(1, 'boolean', 'bcd', 'integer', 'unsigned', 'enum', 'delta-integer', 'delta-unsigned');
  put(2, 'long', 'long-unsigned', 'delta-long', 'delta-long-unsigned');
  put(4, 'double-long', 'double-long-unsigned', 'float32', 'time', 'delta-double-long', 'delta-double-long-unsigned');
  put(5, 'date');
  put(8, 'long64', 'long64-unsigned', 'float64');
  put(12, 'date-time');
  return sizes;
})();

/** A length at `at`: its value and the offset after it; undefined where it is not complete. */
export function lengthAt(octets: Uint8Array, at: number, end: number): { value: number; next: number } | undefined {
  const first = octets[at] as number;
  if (at >= end) return undefined;
  if (first < 0x80) return { value: first, next: at + 1 };
  const next = at + 1 + (first & 0x7f);
  if (next > end) return undefined;
  const r = new Reader(octets, at, end);
  return { value: readLength(r), next };
}

/** The offset after the value that begins at `at`, or -1 where the value is not complete. Unknown tags are a CodecError. */
export function dataEnd(octets: Uint8Array, at: number, end: number, depth = 0): number {
  if (at >= end) return -1;
  const tag = octets[at] as number;
  const size = fixedSize[tag];
  if (size !== undefined) return at + 1 + size <= end ? at + 1 + size : -1;
  if (!typeByTag.has(tag)) {
    throw new CodecError(`tag 0x${tag.toString(16).padStart(2, '0')} is no Data`, at);
  }
  if (depth >= depthLimit) throw new CodecError(`nested deeper than ${depthLimit}`, at);
  let from = at + 1;
  if (tag === dataTag['compact-array']) {
    const description = new Reader(octets, from, end);
    try {
      readDescription(description, depth);
    } catch (error) {
      if (error instanceof Failure) throw error;
      return -1;
    }
    from = description.offset;
  }
  const length = lengthAt(octets, from, end);
  if (!length) return -1;
  const { value, next } = length;
  if (tag === dataTag.array || tag === dataTag.structure) {
    let offset = next;
    for (let i = 0; i < value; i++) {
      offset = dataEnd(octets, offset, end, depth + 1);
      if (offset < 0) return -1;
    }
    return offset;
  }
  const count = tag === dataTag['bit-string'] ? Math.ceil(value / 8) : value;
  return next + count <= end ? next + count : -1;
}

export function readDescription(r: Reader, depth = 0): TypeDescription {
  r.spend(1);
  if (depth >= depthLimit) r.fail(`nested deeper than ${depthLimit}`);
  const tag = r.u8();
  if (tag === 1) return { type: 'array', count: r.u16(), element: readDescription(r, depth + 1) };
  if (tag === 2) {
    const count = readLength(r);
    if (count > r.remaining) r.fail(`${count} elements announced, ${r.remaining} octets left`);
    const elements: TypeDescription[] = [];
    for (let i = 0; i < count; i++) elements.push(readDescription(r, depth + 1));
    return { type: 'structure', elements };
  }
  const type = typeByTag.get(tag);
  if (type === undefined || type === 'array' || type === 'structure' || type === 'compact-array') {
    r.offset -= 1;
    return r.fail(`tag 0x${tag.toString(16).padStart(2, '0')} is no type of a compact-array`);
  }
  return { type };
}

/** The next element of a compact-array. Elements without octets (null-data) are counted like others. */
export function readDescribed(r: Reader, description: TypeDescription): Data {
  r.spend(1);
  if (description.type === 'array') {
    const value: Data[] = [];
    for (let i = 0; i < description.count; i++) value.push(readDescribed(r, description.element));
    return { type: 'array', value };
  }
  if (description.type === 'structure') {
    return { type: 'structure', value: description.elements.map((element) => readDescribed(r, element)) };
  }
  return readContents(r, dataTag[description.type], 0);
}

function readCompactArray(r: Reader, depth: number): Data {
  const description = readDescription(r, depth);
  const length = readLength(r);
  r.need(length);
  r.budget ??= newBudget();
  const contents = new Reader(r.octets, r.offset, r.offset + length, r.budget);
  const value: Data[] = [];
  while (contents.remaining > 0) {
    const start = contents.offset;
    value.push(readDescribed(contents, description));
    if (contents.offset === start) contents.fail('compact-array of elements without octets');
  }
  r.offset = contents.end;
  return { type: 'compact-array', description, value };
}

export function writeData(w: Writer, data: Data): void {
  w.u8(dataTag[data.type]);
  writeContents(w, data);
}

function inRange(value: number, low: number, high: number, type: string): number {
  if (!Number.isInteger(value) || value < low || value > high) throw new RangeError(`${value} is no ${type}`);
  return value;
}

function writeContents(w: Writer, data: Data): void {
  switch (data.type) {
    case 'null-data':
    case 'dont-care':
      return;
    case 'array':
    case 'structure':
      writeLength(w, data.value.length);
      for (const element of data.value) writeData(w, element);
      return;
    case 'compact-array': {
      writeDescription(w, data.description);
      const contents = new Writer();
      for (const element of data.value) writeDescribed(contents, element, data.description);
      octetString.write(w, contents.octets());
      return;
    }
    case 'boolean':
      return w.u8(data.value ? 1 : 0);
    case 'bit-string': {
      writeLength(w, data.value.length);
      for (let at = 0; at < data.value.length; at += 8)
        w.u8(Number.parseInt(data.value.slice(at, at + 8).padEnd(8, '0'), 2));
      return;
    }
    case 'octet-string':
      return octetString.write(w, data.value);
    case 'visible-string':
      return octetString.write(w, Buffer.from(data.value, 'latin1'));
    case 'utf8-string':
      return octetString.write(w, Buffer.from(data.value, 'utf8'));
    case 'integer':
    case 'bcd':
    case 'delta-integer':
      return w.u8(inRange(data.value, -128, 127, data.type));
    case 'unsigned':
    case 'enum':
    case 'delta-unsigned':
      return w.u8(inRange(data.value, 0, 255, data.type));
    case 'long':
    case 'delta-long':
      return w.u16(inRange(data.value, -32768, 32767, data.type));
    case 'long-unsigned':
    case 'delta-long-unsigned':
      return w.u16(inRange(data.value, 0, 65535, data.type));
    case 'double-long':
    case 'delta-double-long':
      return w.u32(inRange(data.value, -(2 ** 31), 2 ** 31 - 1, data.type));
    case 'double-long-unsigned':
    case 'delta-double-long-unsigned':
      return w.u32(inRange(data.value, 0, 2 ** 32 - 1, data.type));
    case 'long64':
    case 'long64-unsigned': {
      const fits = data.type === 'long64' ? BigInt.asIntN(64, data.value) : BigInt.asUintN(64, data.value);
      if (fits !== data.value) throw new RangeError(`${data.value} is no ${data.type}`);
      return w.u64(data.value);
    }
    case 'float32':
    case 'float64': {
      const octets = new Uint8Array(data.type === 'float32' ? 4 : 8);
      const view = new DataView(octets.buffer);
      if (data.type === 'float32') view.setFloat32(0, data.value);
      else view.setFloat64(0, data.value);
      return w.put(octets);
    }
    case 'date-time':
    case 'date':
    case 'time': {
      const size = data.type === 'date-time' ? 12 : data.type === 'date' ? 5 : 4;
      if (data.value.length !== size) throw new RangeError(`${data.value.length} octets are no ${data.type}`);
      return w.put(data.value);
    }
  }
}

function writeDescription(w: Writer, description: TypeDescription): void {
  w.u8(dataTag[description.type]);
  if (description.type === 'array') {
    w.u16(description.count);
    writeDescription(w, description.element);
  } else if (description.type === 'structure') {
    writeLength(w, description.elements.length);
    for (const element of description.elements) writeDescription(w, element);
  }
}

function writeDescribed(w: Writer, data: Data, description: TypeDescription): void {
  if (data.type !== description.type)
    throw new RangeError(`${data.type} where the compact-array says ${description.type}`);
  if (description.type === 'array' && data.type === 'array') {
    if (data.value.length !== description.count) throw new RangeError('array of another length than described');
    for (const element of data.value) writeDescribed(w, element, description.element);
  } else if (description.type === 'structure' && data.type === 'structure') {
    if (data.value.length !== description.elements.length)
      throw new RangeError('structure of another length than described');
    data.value.forEach((element, i) => writeDescribed(w, element, description.elements[i] as TypeDescription));
  } else writeContents(w, data);
}

export const dataCodec: Codec<Data> = { read: (r) => readData(r), write: writeData };

/** An integer of any width as bigint; undefined for everything that is no exact integer. */
export function integerOf(data: Data): bigint | undefined {
  switch (data.type) {
    case 'long64':
    case 'long64-unsigned':
      return data.value;
    case 'double-long':
    case 'double-long-unsigned':
    case 'integer':
    case 'long':
    case 'unsigned':
    case 'long-unsigned':
    case 'enum':
    case 'bcd':
      return BigInt(data.value);
    case 'boolean':
      return data.value ? 1n : 0n;
    default:
      return undefined;
  }
}
