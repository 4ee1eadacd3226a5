/** Finds the format of a recording by its first octets and reads it. */
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { captureReader, isCapture } from './capture.ts';
import { type FormatName, type InputItem, type InputReader, type InputSettings } from './item.ts';
import type { Encoding } from './lines.ts';
import { rawReader } from './raw.ts';
import { TextReader } from './text.ts';

export interface OpenSettings extends InputSettings {
  /** Instead of what the octets look like. */
  readonly format?: FormatName;
}
/** Files that have nothing to do with a meter, by their first octets. */
const strangers: readonly (readonly [hex: string, what: string])[] = [
  ['1f8b', 'a gzip file: unpack it first (gunzip -c FILE | … decode -)'],
  ['504b0304', 'a ZIP file, or a document of an office program: unpack it first'],
  ['fd377a585a00', 'an xz file: unpack it first'],
  ['28b52ffd', 'a zstd file: unpack it first'],
  ['425a68', 'a bzip2 file: unpack it first'],
  ['377abcaf271c', 'a 7z file: unpack it first'],
  ['7f454c46', 'a program (ELF)'],
  ['4d5a', 'a program (Windows)'],
  ['89504e47', 'an image (PNG)'],
  ['ffd8ff', 'an image (JPEG)'],
  ['47494638', 'an image (GIF)'],
  ['255044462d', 'a PDF document'],
  ['53514c69746520666f726d6174', 'an SQLite database'],
  ['d0cf11e0', 'a document of an old office program'],
  ['a1b2cd34', 'a capture of a kind that is not read (modified pcap): write it anew as pcapng'],
  ['34cdb2a1', 'a capture of a kind that is not read (modified pcap): write it anew as pcapng'],
  ['736e6f6f70000000', 'a capture of a kind that is not read (snoop): write it anew as pcapng'],
];
const maxHead = 4096;

type Found =
  | { readonly is: 'capture' | 'raw' }
  | { readonly is: 'text'; readonly encoding: Encoding; readonly skip: number }
  | { readonly is: 'stranger'; readonly what: string };

const isText = (octet: number): boolean =>
  octet >= 0x20 ? octet !== 0x7f : (octet >= 7 && octet <= 13) || octet === 0x1b;
/** UTF-16 without a mark: every other octet is 0, and what stands beside is text. */
function wideEncoding(octets: Uint8Array): Encoding | undefined {
  if (octets.length < 6) return undefined;
  const even = octets.subarray(0, 64).filter((_, i) => i % 2 === 0);
  const odd = octets.subarray(0, 64).filter((_, i) => i % 2 === 1);
  const reads = (one: Uint8Array): boolean => one.every((octet) => octet !== 0 && octet < 0x80 && isText(octet));
  if (odd.every((octet) => octet === 0) && reads(even)) return 'utf-16le';
  return even.every((octet) => octet === 0) && reads(odd) ? 'utf-16be' : undefined;
}
const mayBegin = (octets: Uint8Array, hex: string): boolean =>
  octets.length * 2 < hex.length && hex.startsWith(Buffer.from(octets).toString('hex'));

/** By the first octets of a file; nothing where more are needed. */
function formatOf(octets: Uint8Array, isEnd: boolean): Found | undefined {
  const [a, b, c] = octets;
  if (octets.length < 4 && !isEnd) return undefined;
  if (a === 0xef && b === 0xbb && c === 0xbf) return { is: 'text', encoding: 'utf-8', skip: 3 };
  if (a === 0xff && b === 0xfe) return { is: 'text', encoding: 'utf-16le', skip: 2 };
  if (a === 0xfe && b === 0xff) return { is: 'text', encoding: 'utf-16be', skip: 2 };
  if (isCapture(octets)) return { is: 'capture' };
  const head = Buffer.from(octets.subarray(0, 16)).toString('hex');
  const stranger = strangers.find(([hex]) => head.startsWith(hex));
  if (stranger) return { is: 'stranger', what: stranger[1] };
  if (!isEnd && octets.length < 16 && strangers.some(([hex]) => mayBegin(octets, hex))) return undefined;
  const wide = wideEncoding(octets);
  if (wide) return { is: 'text', encoding: wide, skip: 0 };
  if (a === 0x68 && b === c && octets[3] === 0x68 && (octets.length < 5 || !(octets[4] === 0x0a || octets[4] === 0x20)))
    return { is: 'raw' };
  return textOrRaw(octets, isEnd);
}
function textOrRaw(octets: Uint8Array, isEnd: boolean): Found | undefined {
  const [first = 0, second = 0] = octets;
  const none = octets.subarray(0, maxHead).filter((octet) => !isText(octet) || octet >= 0x80);
  const noText = none.filter((octet) => octet < 0x80).length;
  // A sign-on, a telegram: octets of the line that are text.
  if (
    first === 0x2f &&
    (second === 0x3f || /^\/[A-Za-z]{3}[0-9]/.test(Buffer.from(octets.subarray(0, 5)).toString('latin1')))
  )
    return { is: 'raw' };
  if (first === 0x7e && (second & 0xf0) === 0xa0) return { is: 'raw' };
  if (octets.includes(0) && !(octets.length < 6 && !isEnd && noText < octets.length && first !== 0))
    return { is: 'raw' };
  const seen = Math.min(octets.length, maxHead);
  const isWhole = isEnd || octets.length >= maxHead || octets.includes(0x0a);
  if (none.length > seen * 0.3 || noText > seen * 0.1) return seen >= 16 || isWhole ? { is: 'raw' } : undefined;
  return isWhole ? { is: 'text', encoding: 'utf-8', skip: 0 } : undefined;
}

/** Throws `Failure` where the input is something else altogether. */
export function openInput(settings: OpenSettings): InputReader {
  let reader: InputReader | undefined;
  let head: Uint8Array = new Uint8Array(0);
  const open = (isEnd: boolean): InputItem[] => {
    const found = forcedFormat(settings.format, head, isEnd) ?? formatOf(head, isEnd);
    if (!found) return [];
    if (found.is === 'stranger') throw new Failure('input-unreadable', `offset 0: this is ${found.what}`);
    if (found.is === 'text') {
      reader = new TextReader(found.encoding, settings, settings.format);
      return reader.push(head.subarray(found.skip));
    }
    const capture = found.is === 'capture' ? captureReader(head, settings) : undefined;
    if (found.is === 'capture' && !capture)
      throw new Failure('input-unreadable', 'offset 0: this is no capture: it begins neither as pcap nor as pcapng');
    reader = capture ?? rawReader();
    const format: FormatName = !capture ? 'raw' : head[0] === 0x0a ? 'pcapng' : 'pcap';
    return [{ line: 0, format }, ...reader.push(head)];
  };
  return {
    push(octets) {
      if (reader) return reader.push(octets);
      head = head.length > 0 ? concat([head, octets]) : octets;
      const items = open(false);
      if (reader) head = new Uint8Array(0);
      return items;
    },
    end() {
      if (reader) return reader.end();
      if (head.length === 0) throw new Failure('input-unreadable', 'offset 0: the input is empty');
      const items = open(true);
      const opened = reader as InputReader | undefined;
      return opened ? [...items, ...opened.end()] : items;
    },
  };
}
function forcedFormat(format: FormatName | undefined, head: Uint8Array, isEnd: boolean): Found | undefined {
  if (format === undefined) return undefined;
  if (format === 'raw') return { is: 'raw' };
  if (format === 'pcap' || format === 'pcapng') return head.length < 4 && !isEnd ? undefined : { is: 'capture' };
  const found = formatOf(head, isEnd);
  return !found || found.is === 'text' ? found : { is: 'text', encoding: 'utf-8', skip: 0 };
}
