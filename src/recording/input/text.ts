/**
 * Recordings as text, line by line: each line is read for itself, so that formats may be mixed and a bad line ends nothing. What
 * belongs together over several lines (dumps, arrays) has a state of its own.
 */
import type { RecordedLine } from '../../base/exchange-file.ts';
import { Dumps, dumpRow } from './dump.ts';
import { unescape } from './escapes.ts';
import { looksLikeDlms } from './framing.ts';
import type { FormatName, InputItem, InputReader, InputSettings } from './item.ts';
import { type Encoding, type TextLine, TextLines } from './lines.ts';
import { Network } from './network.ts';
import { binaryReader } from './binary.ts';
import { isCapture } from './capture.ts';
import { directionIn, octetRun } from './octet-run.ts';
import { takeStamps } from './stamp.ts';
import { SystemCalls } from './system-calls.ts';

type Direction = RecordedLine['direction'];
/** Nothing: the line is none of this format. */
type Understood = InputItem[] | undefined;

const tapLine = /^(\S{1,64})\s+(->|<-|\?\?)\s+(\d{1,9})\s+(.*)$/;
const pushLine = /^(push)\s+()(\d{1,9})\s+(.*)$/;
const hexLine = /^[0-9a-fA-F\s]+$/;
const colour = /\u001b\[[0-9;]*[A-Za-z]/g;
const ansiLeft = /(?<=^|\s)\[[0-9;]{1,8}m|\[0m/g;
const bytesText = /\bb(['"])((?:\\.|(?!\1)[^\\])*)\1/su;
const numberArray = /[[{(]\s*(-?\d{1,3}(?:\s*,\s*-?\d{1,3})+)\s*(?:,\s*)?([\]})]|$)/;
const numbersOnly = /^[\s,]*((?:-?\d{1,3}\s*,\s*)*-?\d{1,3})\s*,?\s*([\]})]?[\s;,\]})]*)$/;
const arrayHead = /(?:peer([01])_\d+|(?:char|byte|uint8_t|int|u8|data|\w+)\s*)\s*\[\d*\]\s*=\s*\{|[[{(]\s*$/;
const base64Line = /^[A-Za-z0-9+/_-]{8,}={0,2}$/;
const base64Payload = /(?<![A-Za-z0-9+/])(?:fq[A-Za-z0-9+/]|AAEA)[A-Za-z0-9+/]{9,}={0,2}/;
/** Frame 12: 60 bytes …; No. Time Source …: a row of a list of packets. */
const packetRow = /^\s*\d{1,9}\s+(\d+\.\d+|\S+ \d{2}:\d{2}:\d{2}\.\d+)\s+\S+\s+\S+\s+[A-Z][\w./-]*\s+\d+(?:\s|$)/;

const fromDigits = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits.replaceAll(/\s+/g, ''), 'hex'));
function octetsOfNumbers(text: string): Uint8Array | undefined {
  const numbers = text.split(',').map((word) => Number(word.trim()));
  // Java writes octets with a sign.
  return numbers.every((one) => one >= -128 && one <= 255) ? Uint8Array.from(numbers, (one) => one & 0xff) : undefined;
}

export class TextReader implements InputReader {
  private readonly lines: TextLines;
  private readonly settings: InputSettings;
  private readonly forced: FormatName | undefined;
  private readonly network: Network;
  private readonly dumps: Dumps;
  private readonly calls = new SystemCalls();
  private readonly found = new Set<FormatName>();
  /** Lines without octets. */
  private ignored = 0;
  private firstIgnored = 0;
  private channel: string | undefined;
  /** Inside of an array over several lines: of decimal numbers, or of octets of one side. */
  private array: { readonly direction: Direction; readonly time: string; isDecimal: boolean } | undefined;
  private base64: InputReader | undefined;
  /** Of the line that announced a dump. */
  private dumpTime = '';

  constructor(encoding: Encoding, settings: InputSettings, forced?: FormatName) {
    this.lines = new TextLines(encoding);
    this.settings = settings;
    this.forced = forced;
    this.network = new Network(settings);
    this.dumps = new Dumps(this.network, settings);
  }

  push(octets: Uint8Array): InputItem[] {
    return this.read(this.lines.push(octets));
  }
  end(): InputItem[] {
    const items = this.read(this.lines.end());
    for (const item of [...this.dumps.end(), ...(this.base64?.end() ?? []), ...this.network.end()]) items.push(item);
    if (this.ignored > 0) {
      const lines = this.ignored === 1 ? '1 line holds' : `${this.ignored} lines hold`;
      items.push({ line: this.firstIgnored, ignored: `${lines} no octets, the first is line ${this.firstIgnored}` });
      this.ignored = 0;
    }
    return items;
  }
  private read(lines: readonly TextLine[]): InputItem[] {
    const items: InputItem[] = [];
    for (const line of lines) for (const item of this.one(line)) items.push(item);
    return items;
  }
  private may(format: FormatName): boolean {
    return this.forced === undefined || this.forced === format;
  }
  private is(format: FormatName, line: number, items: InputItem[]): InputItem[] {
    if (this.found.has(format)) return items;
    this.found.add(format);
    return [{ line, format }, ...items];
  }
  private data(line: number, time: string, direction: Direction, octets: Uint8Array): InputItem {
    const { channel } = this;
    return { line, time, direction, octets, ...(channel !== undefined && { channel }) };
  }

  private one({ line, text: given, offset }: TextLine): InputItem[] {
    const text =
      given.includes('\u001b') || given.includes('[0;') ? given.replace(colour, '').replace(ansiLeft, '') : given;
    const dump = offset === 0 ? this.dumpLine(text, line) : undefined;
    if (dump) return dump;
    const ended = this.dumps.open ? this.dumps.end() : [];
    if (text.trim() === '') {
      this.array = undefined;
      return ended;
    }
    const understood =
      this.comment(text, line) ??
      this.tap(text, line) ??
      this.hex(text, line, offset) ??
      this.inArray(text, line) ??
      this.systemCall(text, line) ??
      this.bytes(text, line) ??
      this.numbers(text, line) ??
      this.base64Text(text, line) ??
      this.log(text, line, offset) ??
      this.nothing(text, line);
    return ended.length > 0 ? [...ended, ...understood] : understood;
  }

  private comment(text: string, line: number): Understood {
    const trimmed = text.trimStart();
    if (!trimmed.startsWith('#')) return /^\s*(?:\/\/|;)/.test(text) ? [] : undefined;
    if (/^#[0-9a-f]{2}\b/i.test(trimmed)) return undefined;
    if (trimmed.startsWith('# channel ')) this.channel = trimmed.slice(10).trim();
    if (!trimmed.startsWith('# connect')) return [];
    const { channel } = this;
    return [{ line, session: trimmed.slice(2), ...(channel !== undefined && { channel }) }];
  }
  private tap(text: string, line: number): Understood {
    if (!this.may('tap')) return undefined;
    const found = tapLine.exec(text) ?? pushLine.exec(text);
    if (!found) return undefined;
    const [, time = '', arrow, count, hex = ''] = found;
    // An arrow of another log, and an octet behind it.
    if (count?.startsWith('0') || (this.found.has('log') && !this.found.has('tap'))) return undefined;
    const from = text.length - hex.length;
    const bad = hex.search(/[^0-9a-fA-F\s]/);
    const problem = (offset: number, message: string): InputItem[] =>
      this.is('tap', line, [{ line, offset, problem: message }]);
    if (bad >= 0) return problem(from + bad, `'${hex.charAt(bad)}' is not a hex digit`);
    const digits = hex.replaceAll(/\s+/g, '');
    if (digits.length % 2 !== 0) return problem(text.length, 'odd number of hex digits');
    if (digits.length !== 2 * Number(count))
      return problem(from, `${digits.length / 2} octets where the line says ${count}`);
    const direction = arrow === '->' ? 'to-meter' : arrow === '??' ? 'unknown' : 'from-meter';
    return this.is('tap', line, [this.data(line, time, direction, fromDigits(digits))]);
  }
  private hex(text: string, line: number, offset: number): Understood {
    if (!hexLine.test(text) || this.base64 || !(this.may('hex') || this.may('log'))) return undefined;
    // An array of decimal numbers has such lines as well.
    if (this.array?.isDecimal) return undefined;
    const digits = text.replaceAll(/\s+/g, '');
    if (digits.length % 2 !== 0)
      return this.is('hex', line, [
        { line, offset: offset + text.trimEnd().length, problem: 'odd number of hex digits' },
      ]);
    return this.is('hex', line, [this.data(line, '', 'unknown', fromDigits(digits))]);
  }

  private dumpLine(text: string, line: number): Understood {
    const { open } = this.dumps;
    if (open && /^\*\s*$/.test(text)) {
      this.dumps.repeat();
      return [];
    }
    if (open && this.dumps.endsWith(text)) return this.dumps.end();
    const row = dumpRow(text, open);
    if (row && this.may(row.format)) return this.is(row.format, line, this.dumps.push(row, line, this.dumpTime));
    if (open === undefined && text.trim() !== '') {
      const packet = packetRow.exec(text);
      if (packet) {
        this.dumpTime = packet[1] as string;
        return [];
      }
      if (/^\S+ (?:IP6?|ARP|Out|In) /.test(text)) {
        this.dumpTime = takeStamps(text).time;
        return [];
      }
    }
    return undefined;
  }

  private systemCall(text: string, line: number): Understood {
    if (!this.may('strace')) return undefined;
    const items = this.calls.line(text, line);
    if (items === undefined) return undefined;
    if (items.length === 0) return this.skip(line);
    return this.is('strace', line, items);
  }
  private bytes(text: string, line: number): Understood {
    if (!this.may('python')) return undefined;
    const found = bytesText.exec(text);
    if (!found) return undefined;
    const octets = unescape(found[2] as string);
    const { time, rest } = takeStamps(text.replace(found[0], ' '));
    if ('offset' in octets)
      return this.is('python', line, [
        { line, offset: found.index + 2 + octets.offset, problem: 'no character of an octet' },
      ]);
    if (octets.length === 0) return this.skip(line);
    return this.is('python', line, [this.data(line, time, directionIn(rest), octets)]);
  }
  private numbers(text: string, line: number): Understood {
    if (!/[[{(]/.test(text)) return undefined;
    const head = arrayHead.exec(text);
    if (head) {
      const [, peer] = head;
      const { time, rest } = takeStamps(text);
      const direction = peer === '0' ? 'to-meter' : peer === '1' ? 'from-meter' : directionIn(rest);
      this.array = { direction, time, isDecimal: !/0x/i.test(text.slice(head.index)) };
      // What stands behind the bracket is read as octets; a head alone says no more.
      if (
        head[0].length + head.index >= text.trimEnd().length ||
        /^\s*\/\*[^*]*\*\/\s*$/.test(text.slice(head.index + head[0].length))
      )
        return [];
    }
    if (!this.may('numbers')) return undefined;
    const found = numberArray.exec(text);
    const octets = found ? octetsOfNumbers(found[1] as string) : undefined;
    if (!found || !octets) return undefined;
    const { time, rest } = takeStamps(text.replace(found[0], ' '));
    const direction = directionIn(rest);
    this.array = found[2] === '' ? { direction, time, isDecimal: true } : undefined;
    return this.is('numbers', line, [this.data(line, time, direction, octets)]);
  }
  private inArray(text: string, line: number): Understood {
    const { array } = this;
    if (!array) return undefined;
    if (/^[\s\]});,]+$/.test(text)) {
      this.array = undefined;
      return [];
    }
    const found = array.isDecimal && this.may('numbers') ? numbersOnly.exec(text) : undefined;
    const octets = found ? octetsOfNumbers(found[1] as string) : undefined;
    if (found && octets) {
      if (found[2] !== '') this.array = undefined;
      return this.is('numbers', line, [this.data(line, array.time, array.direction, octets)]);
    }
    if (!/0x/i.test(text)) {
      this.array = undefined;
      return undefined;
    }
    array.isDecimal = false;
    const run = octetRun(text);
    if (/[\]})]/.test(text)) this.array = undefined;
    if (!run || !('octets' in run)) return undefined;
    return this.is('hex', line, [this.data(line, array.time, array.direction, run.octets)]);
  }
  private base64Text(text: string, line: number): Understood {
    if (!this.may('base64')) return undefined;
    const trimmed = text.trim();
    if (base64Line.test(trimmed) && (this.base64 || this.forced || isBase64(trimmed))) {
      this.base64 ??= binaryReader(Buffer.from(trimmed, 'base64'), this.settings);
      const items = this.base64.push(Buffer.from(trimmed, 'base64'));
      return this.is('base64', line, atLine(items, line));
    }
    if (this.base64 && /^[A-Za-z0-9+/_-]{2,7}={0,2}$/.test(trimmed))
      return atLine(this.base64.push(Buffer.from(trimmed, 'base64')), line);
    const payload = base64Payload.exec(text);
    if (!payload) return undefined;
    const octets = new Uint8Array(Buffer.from(payload[0], 'base64'));
    const { time, rest } = takeStamps(text.replace(payload[0], ' '));
    return this.is('base64', line, [this.data(line, time, directionIn(rest), octets)]);
  }

  private log(text: string, line: number, offset: number): Understood {
    if (!this.may('log') && !this.may('hex')) return undefined;
    const { time, rest } = takeStamps(text);
    const csv = /^[\s,;\t]*0x([0-9a-f]{2})\b/i.exec(rest);
    if (csv && time !== '')
      return this.is('log', line, [this.data(line, time, directionIn(rest), fromDigits(csv[1] as string))]);
    const run = octetRun(rest);
    if (!run) return undefined;
    if ('problem' in run) {
      return this.is('log', line, [{ line, offset: offset + run.offset, problem: run.problem }]);
    }
    const array = this.array;
    const direction = run.direction === 'unknown' ? (array?.direction ?? 'unknown') : run.direction;
    if (array && /[\]})]\s*;?\s*$/.test(text)) this.array = undefined;
    const format = run.single && time === '' ? 'hex' : 'log';
    if (/<Buffer .*\.\.\. \d+ more bytes>/.test(text)) {
      const problem = 'only the beginning of these octets was written';
      return this.is('log', line, [
        this.data(line, time, direction, run.octets),
        { line, offset: text.indexOf('...'), problem },
      ]);
    }
    return this.is(format, line, [this.data(line, time, direction, run.octets)]);
  }
  private skip(line: number): InputItem[] {
    if (this.ignored === 0) this.firstIgnored = line;
    this.ignored++;
    return [];
  }
  /** In a file of octets alone every other line is a fault; a log has many that are none. */
  private nothing(text: string, line: number): InputItem[] {
    const isPlain = this.found.size > 0 && [...this.found].every((format) => format === 'tap' || format === 'hex');
    if (!isPlain || this.array || isProgram.test(text)) return this.skip(line);
    const bad = text.search(/[^0-9a-fA-F\s]/);
    if (bad < 0) return this.skip(line);
    return [
      { line, offset: bad, problem: `'${String.fromCodePoint(text.codePointAt(bad) as number)}' is not a hex digit` },
    ];
  }
}

/** A line of a program, or of what is left of an array. */
const isProgram = /^[\s\]});,]+$|[;{}]\s*$/;
/** Text that might be base64 of anything is it where it begins as DLMS does, or as a capture. */
function isBase64(text: string): boolean {
  const octets = Buffer.from(text, 'base64');
  return text.length >= 12 && (looksLikeDlms(octets) || isCapture(octets));
}
const atLine = (items: readonly InputItem[], line: number): InputItem[] =>
  items.filter((item) => !('format' in item)).map((item) => ('octets' in item ? { ...item, line } : item));
