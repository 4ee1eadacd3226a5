/** Elements of XML, and how they are written: two blanks for each depth, a blank before the end of a tag that has attributes. */

/** `children` undefined: an element without contents, in one tag. A function makes them one after the other while they are written. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children?: readonly Element[] | (() => Iterable<Element>);
  /** Lines of text as contents, instead of children. */
  readonly lines?: readonly string[];
  /** Its text stands between its tags. */
  readonly isFlat?: boolean;
  /** A type without a value has no blank before the end of its tag. */
  readonly isTight?: true;
}
export const empty = (name: string): Element => ({ name, attributes: {} });
export const valued = (name: string, value: string): Element => ({ name, attributes: { Value: value } });
export const group = (name: string, children: readonly Element[]): Element => ({ name, attributes: {}, children });
/** As many as there are, in hex; more than fit in two digits take four. */
export const list = (name: string, children: readonly Element[]): Element =>
  listOf(name, children.length, () => children);
export const listOf = (name: string, count: number, children: () => Iterable<Element>): Element => ({
  name,
  attributes: { Qty: hex(count, count > 255 ? 2 : 1) },
  children,
});

/** A number in so many octets, negative ones as two's complement. */
export const hex = (value: number | bigint, octets: number): string =>
  BigInt.asUintN(octets * 8, BigInt(value))
    .toString(16)
    .toUpperCase()
    .padStart(octets * 2, '0');
export const octets = (name: string, value: Uint8Array): Element => valued(name, upper(value));
export const upper = (value: Uint8Array): string => Buffer.from(value).toString('hex').toUpperCase();
export const number = (name: string, value: number, size: number): Element => valued(name, hex(value, size));
export const flag = (name: string, value: boolean): Element => valued(name, value ? '01' : '00');

export const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    // XML 1.0 has no way to write most control characters.
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
    // What a terminal would obey or hide has a way of writing in XML that keeps the value.
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, (one) => `&#x${(one.codePointAt(0) as number).toString(16)};`);

/** Lines so far, and those that came before, so that one that comes again and again is held once. */
interface Written {
  readonly lines: string[];
  readonly known: Map<string, string>;
}
const maxKnown = 2000;
function put({ lines, known }: Written, line: string): void {
  const before = known.get(line);
  if (before === undefined && known.size < maxKnown) known.set(line, line);
  lines.push(before ?? line);
}
function write({ name, attributes, children, lines, isFlat, isTight }: Element, depth: number, out: Written): void {
  const indent = '  '.repeat(depth);
  const head = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  if (!children && !lines) return put(out, `${indent}<${name}${head.join('')}${isTight ? '' : ' '}/>`);
  const start = `${indent}<${name}${head.length > 0 ? `${head.join('')} ` : ''}>`;
  const end = `</${name}>`;
  if (lines && isFlat === true) return put(out, `${start}${escaped(lines.join(''))}${end}`);
  put(out, start);
  if (lines) for (const line of lines) put(out, `${indent}  ${escaped(line)}`);
  else for (const child of typeof children === 'function' ? children() : (children ?? [])) write(child, depth + 1, out);
  put(out, `${indent}${end}`);
}
export function written(element: Element, depth: number): string[] {
  const lines: string[] = [];
  write(element, depth, { lines, known: new Map() });
  return lines;
}
