/**
 * The [[port.meter]] blocks within the text of a configuration: put in, taken out, found. Everything else of the text stays
 * as a person wrote it, and what came of it is proven by reading both texts.
 */
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/errors.ts';
import { readToml } from '../base/toml.ts';

/** Keys of a meter as they are to stand in the file. */
export type MeterKeys = Readonly<Record<string, unknown>>;

const portHead = /^\s*\[\[\s*port\s*\]\]\s*(#.*)?$/s;
const meterHead = /^\s*\[\[\s*port\s*\.\s*meter\s*\]\]\s*(#.*)?$/s;
/** Of a meter that is asked, or only heard. */
const eitherHead = /^\s*\[\[\s*(port|listen)\s*\.\s*meter\s*\]\]\s*(#.*)?$/s;
const anyHead = /^\s*\[/;
const comment = /^\s*#/;

/** Lines of the block of a meter, [[port.meter]] or [[listen.meter]], with this id: its first and the one after its last. */
export function blockOf(lines: readonly string[], meter: string): readonly [number, number] | undefined {
  const escaped = meter.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const id = new RegExp(`^\\s*id\\s*=\\s*["']${escaped}["']\\s*(#.*)?$`, 's');
  for (let start = 0; start < lines.length; start++) {
    if (!eitherHead.test(lines[start] as string)) continue;
    const end = nextHead(lines, start);
    if (lines.slice(start, end).some((line) => id.test(line))) return [start, end];
  }
  return undefined;
}
function nextHead(lines: readonly string[], start: number, head = anyHead): number {
  const after = lines.findIndex((line, i) => i > start && head.test(line));
  return after < 0 ? lines.length : after;
}

/** Behind the last key between the two lines; comments that follow it at once belong to it, unless they lead up to the next head. */
function endOfKeys(lines: readonly string[], start: number, end: number): number {
  let last = start;
  for (let i = start; i < end; i++) {
    const line = lines[i] as string;
    if (line.trim() !== '' && !comment.test(line)) last = i;
  }
  let own = last + 1;
  while (own < end && comment.test(lines[own] as string)) own++;
  return own === end && end < lines.length ? last + 1 : own;
}

/** A TOML basic string is a JSON string, for what may stand in names, numbers and references. */
const bareKey = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key));
function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${bareKey(key)} = ${valueText(one)}`)
      .join(', ')} }`;
  return JSON.stringify(value);
}
const blockText = (keys: MeterKeys, remark: string): string[] => [
  ...(remark === '' ? [] : [`# ${remark.replaceAll(/[\p{Cc}]/gu, ' ')}`]),
  '[[port.meter]]',
  ...Object.entries(keys).flatMap(([key, value]) =>
    value === undefined ? [] : [`${bareKey(key)} = ${valueText(value)}`],
  ),
];

type Value = Record<string, unknown>;
interface PortValue {
  readonly name?: unknown;
  readonly meter?: readonly { readonly id?: unknown }[];
}
const portsOf = (text: string): PortValue[] => {
  const { value, problems } = readToml(text);
  const [first] = problems;
  if (first) throw new Failure('config-invalid', `line ${first.line}: is no TOML: ${first.message}`);
  return (Array.isArray(value['port']) ? value['port'] : []) as PortValue[];
};
const byHand = (what: string): never => {
  throw new Failure(
    'config-invalid',
    `${what} is not written as a block with lines of its own ([[port]], [[port.meter]]): edit the file by hand`,
  );
};
/** The text is only written where it says what it should, and nothing else. */
function proven(text: string, written: string, change: (ports: PortValue[]) => PortValue[], what: string): string {
  const { value: before } = readToml(text);
  const { value: after, problems } = readToml(written);
  const expected: Value = { ...before, port: change((before['port'] ?? []) as PortValue[]) };
  return problems.length === 0 && isDeepStrictEqual(after, expected) ? written : byHand(what);
}

/** The text with one more meter at the port of this name. */
export function withMeter(text: string, port: string, keys: MeterKeys, remark = ''): string {
  const ports = portsOf(text);
  const index = ports.findIndex(({ name }) => name === port);
  if (index < 0)
    throw new Failure(
      'unknown-port',
      `no port '${port}' in the configuration; there are ${ports.map(({ name }) => String(name)).join(', ')}`,
    );
  const lines = text.split('\n');
  const heads = lines.flatMap((line, i) => (portHead.test(line) ? [i] : []));
  const start = heads.length === ports.length ? heads[index] : undefined;
  if (start === undefined) return byHand(`the port ${port}`);
  // The port ends where another table begins that is none of its own.
  let end = nextHead(lines, start);
  while (end < lines.length && meterHead.test(lines[end] as string)) end = nextHead(lines, end);
  const at = endOfKeys(lines, start, end);
  const lineEnd = (lines[start] as string).endsWith('\r') ? '\r' : '';
  const block = ['', ...blockText(keys, remark)].map((line) => `${line}${lineEnd}`);
  const isLast = at >= lines.length;
  lines.splice(at, 0, ...block, ...(isLast || (lines[at] ?? '').trim() !== '' ? [lineEnd] : []));
  return proven(
    text,
    lines.join('\n'),
    (all) =>
      all.map((one, i) => (i === index ? { ...one, meter: [...(one.meter ?? []), { ...definedOf(keys) }] } : one)),
    `the port ${port}`,
  );
}
const definedOf = (keys: MeterKeys): MeterKeys =>
  Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));

/** The text without this meter; a comment stays in its place. */
export function withoutMeter(text: string, meter: string, remark: string): string {
  const ports = portsOf(text);
  if (!ports.some((port) => port.meter?.some(({ id }) => id === meter)))
    throw new Failure('unknown-meter', `the configuration has no meter '${meter}'`);
  const lines = text.split('\n');
  const block = blockOf(lines, meter);
  if (!block) return byHand(meter);
  const [start, end] = block;
  const lineEnd = (lines[start] as string).endsWith('\r') ? '\r' : '';
  lines.splice(start, endOfKeys(lines, start, end) - start, `# ${remark.replaceAll(/[\p{Cc}]/gu, ' ')}${lineEnd}`);
  const left = (port: PortValue): PortValue => {
    if (!port.meter?.some(({ id }) => id === meter)) return port;
    const { meter: all = [], ...rest } = port;
    const others = all.filter(({ id }) => id !== meter);
    return others.length === 0 ? rest : { ...rest, meter: others };
  };
  return proven(text, lines.join('\n'), (all) => all.map(left), meter);
}
