/** Values as XML: numbers in hex of the size of their type, octets in hex, bits as digits, text as it is. */
import type { Data, TypeDescription } from '../dlms/axdr/data.ts';
import { type Element, empty, group, hex, list, listOf, upper, valued } from './xml-element.ts';

type ValueOf<T extends Data['type']> =
  Extract<Data, { readonly type: T }> extends { readonly value: infer V } ? V : null;
interface Row<T extends Data['type']> {
  readonly name: string;
  /** Of a type that holds others there is none. */
  readonly text?: (value: ValueOf<T>) => string;
}
const sized = (octets: number) => (value: number | bigint) => hex(value, octets);
const float = (size: 4 | 8) => (value: number) => {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return upper(new Uint8Array(view.buffer));
};
const itself = (value: string) => value;

const types: { readonly [T in Data['type']]: Row<T> } = {
  'null-data': { name: 'None' },
  'dont-care': { name: 'DontCare' },
  array: { name: 'Array' },
  structure: { name: 'Structure' },
  'compact-array': { name: 'CompactArray' },
  boolean: { name: 'Boolean', text: (value) => String(value) },
  'bit-string': { name: 'BitString', text: itself },
  'double-long': { name: 'Int32', text: sized(4) },
  'double-long-unsigned': { name: 'UInt32', text: sized(4) },
  'octet-string': { name: 'OctetString', text: upper },
  'visible-string': { name: 'String', text: itself },
  'utf8-string': { name: 'StringUTF8', text: itself },
  bcd: { name: 'BCD', text: sized(1) },
  integer: { name: 'Int8', text: sized(1) },
  long: { name: 'Int16', text: sized(2) },
  unsigned: { name: 'UInt8', text: sized(1) },
  'long-unsigned': { name: 'UInt16', text: sized(2) },
  long64: { name: 'Int64', text: sized(8) },
  'long64-unsigned': { name: 'UInt64', text: sized(8) },
  enum: { name: 'Enum', text: sized(1) },
  float32: { name: 'Float32', text: float(4) },
  float64: { name: 'Float64', text: float(8) },
  'date-time': { name: 'DateTime', text: upper },
  date: { name: 'Date', text: upper },
  time: { name: 'Time', text: upper },
  'delta-integer': { name: 'DeltaInt8', text: sized(1) },
  'delta-long': { name: 'DeltaInt16', text: sized(2) },
  'delta-double-long': { name: 'DeltaInt32', text: sized(4) },
  'delta-unsigned': { name: 'DeltaUInt8', text: sized(1) },
  'delta-long-unsigned': { name: 'DeltaUInt16', text: sized(2) },
  'delta-double-long-unsigned': { name: 'DeltaUInt32', text: sized(4) },
};

/** What the contents of a compact-array are made of. */
function description(of: TypeDescription): Element {
  const { name } = types[of.type];
  if (of.type === 'structure') return group(name, of.elements.map(description));
  if (of.type === 'array') return { ...list(name, [description(of.element)]), attributes: { Qty: hex(of.count, 2) } };
  return { ...empty(name), isTight: true };
}
/** A cell of a compact-array: numbers in decimal, octets in hex with blanks, what holds others flat. */
function cell(data: Data): string {
  switch (data.type) {
    case 'array':
    case 'structure':
    case 'compact-array':
      return data.value.map(cell).join(';');
    case 'null-data':
    case 'dont-care':
      return '';
    default:
      return data.value instanceof Uint8Array
        ? Array.from(data.value, (octet) => hex(octet, 1)).join(' ')
        : String(data.value);
  }
}
/** A structure is a line of cells; of any other type all stand in one line. */
function compact({ value, description: of }: Extract<Data, { readonly type: 'compact-array' }>): Element {
  const isFlat = of.type !== 'structure' && of.type !== 'array';
  const lines = isFlat ? [value.map(cell).join(';')] : value.map(cell);
  return group('CompactArray', [
    group('ContentsDescription', [description(of)]),
    { name: 'ArrayContents', attributes: {}, lines, isFlat },
  ]);
}

/** A value of many small elements would be a hundred times as large as a tree. */
function* elementsOf(all: readonly Data[]): Generator<Element> {
  for (const one of all) yield dataElement(one);
}

export function dataElement(data: Data): Element {
  const { name, text } = types[data.type];
  if (data.type === 'compact-array') return compact(data);
  if (data.type === 'array' || data.type === 'structure')
    return listOf(name, data.value.length, () => elementsOf(data.value));
  // The row is the one of the type.
  return text && 'value' in data ? valued(name, (text as (value: unknown) => string)(data.value)) : empty(name);
}
