/**
 * Rows of dumps: xxd, hexdump, od, tcpdump -x, and the text of Wireshark. The rows of one dump belong together: they are octets
 * of a line, a packet of a network, or a whole capture.
 */
import type { RecordedLine } from '../../base/exchange-file.ts';
import { concat } from '../../base/cursor.ts';
import { captureReader, isCapture } from './capture.ts';
import type { FormatName, InputItem, InputReader, InputSettings } from './item.ts';
import { linkOf, type Network } from './network.ts';
import { RawPieces, type RawPlace } from './raw.ts';

export interface DumpRow {
  readonly format: FormatName;
  /** As it may be meant: hex, octal. */
  readonly offsets: readonly number[];
  readonly octets: Uint8Array;
  /** Of a text in which the two ways stand at different margins. */
  readonly direction?: RecordedLine['direction'];
}
const fromDigits = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const xxdRow = /^([0-9a-f]{4,16}): {1,2}((?:[0-9a-f]{2}){1,16}(?: (?:[0-9a-f]{2}){1,16})*)(?: {2,}.*| )?$/i;
const canonicalRow = /^([0-9a-f]{8,16}) {2}((?:[0-9a-f]{2} {1,2})+) *\|/i;
const odRow = /^([0-9a-f]{6,16})((?: [0-9a-f]{2})+)(?: *>.*<)?\s*$/i;
const wordRow = /^([0-9a-f]{6,16})((?: +[0-9a-f]{4})+)\s*$/i;
const wiresharkRow = /^( {4}|\t)?([0-9a-f]{4,8}) {2,3}((?:[0-9a-f]{2} {1,2}){0,15}[0-9a-f]{2})(?:\s{2,}.*|\s)?$/i;
const tcpdumpRow = /^\s+0x([0-9a-f]{4,8}): {2}((?:[0-9a-f]{2,4} ?){1,8})(?:\s.*)?$/i;

/** What a row of a dump says; nothing where the line is none. `open`: rows of that kind came before. */
export function dumpRow(text: string, open: FormatName | undefined): DumpRow | undefined {
  const first = text.charCodeAt(0);
  // Digits and blanks only, for speed.
  if (!((first >= 0x30 && first <= 0x39) || first === 0x20 || first === 9 || (first | 0x20) >= 0x61)) return undefined;
  const hex = (digits = ''): number => Number.parseInt(digits, 16);
  let row = xxdRow.exec(text);
  if (row) return { format: 'xxd', offsets: [hex(row[1])], octets: fromDigits(row[2] as string) };
  row = canonicalRow.exec(text);
  if (row) return { format: 'hexdump', offsets: [hex(row[1])], octets: fromDigits(row[2] as string) };
  row = tcpdumpRow.exec(text);
  if (row) return { format: 'tcpdump', offsets: [hex(row[1])], octets: fromDigits(row[2] as string) };
  // What follows has no mark of its own: its first row is at 0.
  const isBegin = /^\s{0,4}0{4,16} /.test(text);
  if (open === undefined && !isBegin) return undefined;
  row = wiresharkRow.exec(text);
  if (row && (open === 'wireshark' || isBegin)) {
    const [, margin, offset = '', octets = ''] = row;
    const direction = margin ? 'from-meter' : 'to-meter';
    return {
      format: 'wireshark',
      offsets: [hex(offset)],
      octets: fromDigits(octets),
      ...(offset.length === 8 && { direction }),
    };
  }
  row = odRow.exec(text);
  if (row && (open === 'od' || isBegin))
    return { format: 'od', offsets: bases(row[1] as string), octets: fromDigits(row[2] as string) };
  row = wordRow.exec(text);
  if (row && (open === 'od' || isBegin)) {
    const octets = fromDigits(row[2] as string);
    for (let at = 0; at + 1 < octets.length; at += 2)
      [octets[at], octets[at + 1]] = [octets[at + 1] as number, octets[at] as number];
    return { format: 'od', offsets: bases(row[1] as string), octets };
  }
  return undefined;
}
/** od counts in octal, decimal or hex. */
const bases = (offset: string): number[] =>
  [16, 10, 8]
    .filter((base) => base === 16 || (base === 10 ? /^\d+$/ : /^[0-7]+$/).test(offset))
    .map((base) => Number.parseInt(offset, base));

/** Longer is no packet. */
const maxPacket = 1 << 16;

/** Dumps that follow each other in a text. */
export class Dumps {
  private readonly network: Network;
  private readonly settings: InputSettings;
  private format: FormatName | undefined;
  /** Of each way. */
  private readonly ways = new Map<string, { expected: number; readonly pieces: RawPieces }>();
  private packet: { readonly line: number; readonly time: string; octets: Uint8Array[]; length: number } | undefined;
  private capture: InputReader | undefined;
  private row: DumpRow | undefined;
  private repeats = false;

  constructor(network: Network, settings: InputSettings) {
    this.network = network;
    this.settings = settings;
  }
  get open(): FormatName | undefined {
    return this.format;
  }
  /** `*`: the row before is repeated up to the next offset. */
  repeat(): void {
    this.repeats = true;
  }
  /** A line that is an offset alone ends hexdump and od. */
  endsWith(text: string): boolean {
    const way = this.ways.get('');
    if (!this.format || !way || !/^[0-9a-f]{6,16}$/i.test(text)) return false;
    return bases(text).some((offset) => offset === way.expected || offset === way.expected - 1 || this.repeats);
  }

  push(row: DumpRow, line: number, time: string): InputItem[] {
    const key = row.direction ?? '';
    const items: InputItem[] = [];
    let way = this.ways.get(key);
    if (way && row.offsets[0] === 0 && way.expected > 0) {
      items.push(...(row.direction === undefined ? this.end() : way.pieces.end()));
      way = undefined;
    }
    if (!way) this.ways.set(key, (way = { expected: row.offsets[0] as number, pieces: new RawPieces() }));
    const { expected } = way;
    if (!row.offsets.includes(expected)) {
      const [next = 0] = row.offsets.filter((offset) => offset > expected).toSorted((a, b) => a - b);
      const gap = next - expected;
      const before = this.row;
      if (this.repeats && before && gap > 0 && gap % before.octets.length === 0 && gap <= maxRepeat) {
        for (let i = 0; i < gap / before.octets.length; i++) items.push(...this.add(before, line, time, way.pieces));
      } else {
        items.push({
          line,
          offset: 0,
          problem: gap > 0 ? `rows are missing before this one: ${gap} octets` : 'the offset of this row goes back',
        });
      }
      way.expected = gap > 0 ? next : (row.offsets[0] as number);
    }
    this.repeats = false;
    this.format = row.format;
    this.row = row;
    way.expected += row.octets.length;
    return [...items, ...this.add(row, line, time, way.pieces)];
  }

  private add({ octets, direction }: DumpRow, line: number, time: string, pieces: RawPieces): InputItem[] {
    const { capture, packet } = this;
    if (capture) return capture.push(octets);
    if (packet) {
      packet.octets.push(octets);
      packet.length += octets.length;
      if (packet.length <= maxPacket) return [];
      this.packet = undefined;
      return [{ line: packet.line, offset: 0, problem: `a packet of more than ${maxPacket} octets` }];
    }
    const place: RawPlace = { time, direction: direction ?? 'unknown' };
    if (
      this.row &&
      this.format &&
      this.ways.get(direction ?? '')?.expected === octets.length &&
      direction === undefined
    ) {
      if (isCapture(octets)) {
        this.capture = captureReader(octets, this.settings);
        return this.capture?.push(octets) ?? [];
      }
      if (linkOf(octets) !== undefined) {
        this.packet = { line, time, octets: [octets], length: octets.length };
        return [];
      }
    }
    return pieces.push(octets, () => line, place);
  }
  /** No row follows: an empty line, another text, the end of the file. */
  end(): InputItem[] {
    const { packet, capture } = this;
    const items = [...this.ways.values()].flatMap(({ pieces }) => pieces.end());
    if (capture) items.push(...capture.end());
    if (packet) {
      const octets = concat(packet.octets);
      items.push(
        ...this.network.packet({
          line: packet.line,
          time: packet.time,
          link: linkOf(octets) ?? 1,
          octets,
          missing: 0,
        }),
      );
    }
    this.packet = undefined;
    this.capture = undefined;
    this.ways.clear();
    this.row = undefined;
    this.format = undefined;
    this.repeats = false;
    return items;
  }
}
const maxRepeat = 1 << 20;
