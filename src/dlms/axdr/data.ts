/**
 * The choice Data of xDLMS in A-XDR (Green Book 9.5, Blue Book 4.1.5): values that hold others, around the types that stand
 * by themselves (data-types.ts). An unknown tag is a CodecError at its offset.
 */
import type { Codec } from '../../base/codec.ts';
import { newBudget, Reader, Writer } from '../../base/cursor.ts';
import { CodecError, Failure } from '../../base/errors.ts';
import {
  type DataType,
  dataTag,
  fixedSize,
  integerSize,
  leafByTag,
  leafByType,
  type LeafType,
  typeByTag,
  type ValueOf,
} from './data-types.ts';
import { octetString, readLength, writeLength } from './length.ts';

/** A value whose contents hold no others. */
type Leaf = { readonly [Type in LeafType]: { readonly type: Type; readonly value: ValueOf<Type> } }[LeafType];
export type Data =
  | { readonly type: 'null-data' | 'dont-care' }
  | { readonly type: 'array' | 'structure'; readonly value: readonly Data[] }
  | { readonly type: 'compact-array'; readonly description: TypeDescription; readonly value: readonly Data[] }
  | Leaf;

/** What the contents of a compact-array are made of (Green Book 9.5, TypeDescription). */
export type TypeDescription =
  | { readonly type: 'array'; readonly count: number; readonly element: TypeDescription }
  | { readonly type: 'structure'; readonly elements: readonly TypeDescription[] }
  | { readonly type: Exclude<DataType, 'array' | 'structure' | 'compact-array'> };

const { array, structure } = dataTag;
/** Deeper nesting than this is no object of the Blue Book. */
const depthLimit = 16;
export const nullData: Data = { type: 'null-data' };

export function readData(r: Reader, depth = 0): Data {
  const tag = r.u8();
  r.spend(1);
  return readContents(r, tag, depth);
}

function readContents(r: Reader, tag: number, depth: number): Data {
  const leaf = leafByTag[tag];
  // The row makes a value of its own type.
  if (leaf) return { type: leaf.type, value: leaf.read(r) } as Leaf;
  switch (tag) {
    case structure:
      return { type: 'structure', value: readElements(r, depth) };
    case array:
      return { type: 'array', value: readElements(r, depth) };
    case dataTag['null-data']:
      return nullData;
    case dataTag['dont-care']:
      return { type: 'dont-care' };
    case dataTag['compact-array']:
      return readCompactArray(r, depth);
    default:
      r.offset -= 1;
      return r.fail(`tag 0x${tag.toString(16).padStart(2, '0')} is no Data`);
  }
}

/** An array that grows by itself has room for seventeen from its first element on: structures of one would be five times as large. */
const roomOfItself = 17;
// oxlint-disable-next-line unicorn/no-new-array -- Array.from takes three times as long for the rows of a profile
const roomFor = (count: number): Data[] => (count < roomOfItself ? new Array<Data>(count) : []);

function readElements(r: Reader, depth: number): Data[] {
  if (depth >= depthLimit) r.fail(`nested deeper than ${depthLimit}`);
  const count = readLength(r);
  if (count > r.remaining) r.fail(`${count} elements announced, ${r.remaining} octets left`);
  const value = roomFor(count);
  for (let i = 0; i < count; i++) value[i] = readData(r, depth + 1);
  return value;
}

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
  if (tag === dataTag.array) return { type: 'array', count: r.u16(), element: readDescription(r, depth + 1) };
  if (tag === dataTag.structure) {
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
    const value = roomFor(description.count);
    for (let i = 0; i < description.count; i++) value[i] = readDescribed(r, description.element);
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
      return octetString.write(w, contents.octets());
    }
    default:
      return leafByType.get(data.type)?.write(w, data.value, data.type);
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
    for (const [i, element] of description.elements.entries()) writeDescribed(w, data.value[i] ?? nullData, element);
  } else writeContents(w, data);
}

export const dataCodec: Codec<Data> = { read: (r) => readData(r), write: writeData };

/** An integer of any width as bigint; undefined for everything that is no exact integer by itself. */
export function integerOf(data: Data): bigint | undefined {
  if (!('value' in data) || integerSize[dataTag[data.type]] === undefined) return undefined;
  return typeof data.value === 'number' || typeof data.value === 'bigint' || typeof data.value === 'boolean'
    ? BigInt(data.value)
    : undefined;
}
