/**
 * Telegrams of the P1 port: `/` identification, an empty line, a line for each object, `!` and from DSMR 4 on a CRC-16. Some
 * meters send the telegram inside of a ciphered APDU (general-glo-ciphering), which stands on the line by itself.
 */
import { concat } from '../../base/cursor.ts';
import { crc16 } from './crc16.ts';

export interface P1Value {
  readonly text: string;
  /** As it stands behind the star. */
  readonly unit?: string;
}
export interface P1Entry {
  /** `1-0:1.8.1`, as the telegram writes it. */
  readonly obis: string;
  readonly values: readonly P1Value[];
}
export interface P1Telegram {
  /** Behind the slash: three letters of the maker, the speed, and the type. */
  readonly identification: string;
  readonly entries: readonly P1Entry[];
  /** `none`: DSMR 2 and 3 send none. */
  readonly check: 'correct' | 'none';
}
export type P1Found =
  | { readonly is: 'telegram'; readonly telegram: P1Telegram }
  /** An APDU that has to be deciphered; a telegram is what it holds. */
  | { readonly is: 'ciphered'; readonly apdu: Uint8Array }
  | { readonly is: 'damaged'; readonly why: string }
  /** Octets outside of telegrams. */
  | { readonly is: 'outside'; readonly octets: number };

const slash = 0x2f;
const exclamation = 0x21;
const lineFeed = 0x0a;
const generalGlo = 0xdb;
const titleOctets = 8;
/** No telegram is as long: a few thousand octets are usual. */
const maxTelegram = 1 << 14;
/** From the exclamation mark to the end of its line. */
const maxCheckLine = 16;

const heading = /^\/([A-Za-z]{3}[0-9A-Za-z][^\r\n]*)\r?\n/;
const object = /^(\d{1,3}-\d{1,3}:\d{1,3}(?:\.\d{1,3}){1,2}(?:\*\d{1,3})?)((?:\([^()]*\))*)$/;
const valuesOnly = /^(?:\([^()]*\))+$/;
const inBrackets = /\(([^()]*)\)/g;

const valuesOf = (text: string): P1Value[] =>
  [...text.matchAll(inBrackets)].map(([, inside = '']) => {
    const star = inside.lastIndexOf('*');
    return star < 0 ? { text: inside } : { text: inside.slice(0, star), unit: inside.slice(star + 1) };
  });

/** Whether an APDU that came deciphered is a telegram: each begins with a slash, and no APDU does. */
export const holdsTelegram = (plain: Uint8Array): boolean => plain[0] === slash;

/** A whole telegram from its slash to the line of the exclamation mark; why it is none. */
export function parseTelegram(octets: Uint8Array): P1Telegram | { readonly why: string } {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1');
  const head = heading.exec(text);
  if (!head) return { why: 'it does not begin with /, three letters and a speed' };
  const end = /\r?\n!([0-9A-Fa-f]{4})?\s*$/.exec(text);
  if (!end) return { why: 'it does not end with ! and a CRC' };
  const mark = text.indexOf('!', end.index);
  const [, given] = end;
  if (given !== undefined) {
    const computed = crc16(octets.subarray(0, mark + 1));
    if (computed !== Number.parseInt(given, 16))
      return {
        why: `CRC ${given.toUpperCase()} where ${computed.toString(16).toUpperCase().padStart(4, '0')} is computed`,
      };
  }
  const entries: P1Entry[] = [];
  for (const line of text.slice(head[0].length, end.index).split(/\r?\n/)) {
    if (line.trim() === '') continue;
    const found = object.exec(line.trim());
    const before = entries.at(-1);
    // DSMR 2 and 3 write the value of a gas meter on a line of its own.
    if (!found && before && valuesOnly.test(line.trim()))
      entries[entries.length - 1] = { ...before, values: [...before.values, ...valuesOf(line)] };
    else if (!found) return { why: `a line that is no object: ${JSON.stringify(line.slice(0, 40))}` };
    else entries.push({ obis: found[1] as string, values: valuesOf(found[2] as string) });
  }
  return { identification: head[1] as string, entries, check: given === undefined ? 'none' : 'correct' };
}

/** Length by the rules of A-XDR, and how many octets it takes; 'partial' where they are not all there. */
function lengthAt(
  octets: Uint8Array,
  at: number,
): { readonly value: number; readonly size: number } | 'partial' | undefined {
  const first = octets[at];
  if (first === undefined) return 'partial';
  if (first < 0x80) return { value: first, size: 1 };
  const count = first & 0x7f;
  if (count < 1 || count > 2) return undefined;
  if (octets.length < at + 1 + count) return 'partial';
  return {
    value: octets.subarray(at + 1, at + 1 + count).reduce((all, octet) => all * 256 + octet, 0),
    size: 1 + count,
  };
}
/** Where a ciphered APDU that begins here ends. */
function endOfCiphered(octets: Uint8Array): number | 'partial' | undefined {
  if (octets.length > 1 && octets[1] !== titleOctets) return undefined;
  const length = octets.length < 2 + titleOctets ? 'partial' : lengthAt(octets, 2 + titleOctets);
  if (length === 'partial' || length === undefined) return length;
  // Security control and counter at least.
  if (length.value < 5 || length.value > maxTelegram) return undefined;
  const end = 2 + titleOctets + length.size + length.value;
  return octets.length < end ? 'partial' : end;
}
/** Where the telegram that begins here ends: behind the line of its exclamation mark. */
function endOfTelegram(octets: Uint8Array): number | 'partial' | undefined {
  for (let at = 1; at < octets.length && at <= maxTelegram; at++) {
    const isBegin = octets[at - 1] === lineFeed;
    // Another telegram begins: this one was cut.
    if (isBegin && octets[at] === slash) return undefined;
    if (!isBegin || octets[at] !== exclamation) continue;
    const end = octets.indexOf(lineFeed, at);
    if (end >= 0 && end - at <= maxCheckLine) return end + 1;
    return octets.length - at > maxCheckLine ? undefined : 'partial';
  }
  return octets.length > maxTelegram ? undefined : 'partial';
}

/** Octets of a P1 port in any pieces; what is found comes in its order. */
export class P1Telegrams {
  private rest: Uint8Array = new Uint8Array(0);
  private outside = 0;

  get pendingOctets(): number {
    return this.rest.length;
  }
  push(octets: Uint8Array): P1Found[] {
    const all = this.rest.length > 0 ? concat([this.rest, octets]) : octets;
    const found: P1Found[] = [];
    let at = 0;
    while (at < all.length) {
      const first = all[at];
      const begins = first === slash || first === generalGlo;
      const rest = all.subarray(at);
      const end = !begins ? undefined : first === slash ? endOfTelegram(rest) : endOfCiphered(rest);
      if (end === 'partial') break;
      if (end === undefined) {
        if (first === slash && rest.length > 8) found.push(...this.strayed(), { is: 'damaged', why: 'it is cut off' });
        else if (!isBlank(first as number)) this.outside++;
        at += first === slash ? nextBegin(rest) : 1;
        continue;
      }
      const item = itemOf(rest.slice(0, end));
      // One that was cut within a line has the next one in it.
      const inner = item.is === 'damaged' ? innerHeading(rest.subarray(0, end)) : undefined;
      const taken = inner ?? end;
      found.push(
        ...this.strayed(),
        inner === undefined ? item : { is: 'damaged', why: `it is cut off after ${inner} octets` },
      );
      at += taken;
    }
    this.rest = all.slice(at);
    return found;
  }
  /** Nothing more comes. */
  end(): P1Found[] {
    const { rest } = this;
    this.rest = new Uint8Array(0);
    const found = this.strayed();
    return rest.length > 0 ? [...found, { is: 'damaged', why: `it is cut off after ${rest.length} octets` }] : found;
  }
  private strayed(): P1Found[] {
    const octets = this.outside;
    this.outside = 0;
    return octets > 0 ? [{ is: 'outside', octets }] : [];
  }
}
/** Where another telegram begins within this one; undefined where none does. */
function innerHeading(octets: Uint8Array): number | undefined {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1');
  const at = text.slice(1).search(/\/[A-Za-z]{3}[0-9][^\r\n]*\r?\n\r?\n/);
  return at < 0 ? undefined : at + 1;
}
const isBlank = (octet: number): boolean => octet === 0x0d || octet === lineFeed || octet === 0;
function nextBegin(octets: Uint8Array): number {
  for (let at = 1; at < octets.length; at++) if (octets[at] === slash || octets[at] === generalGlo) return at;
  return octets.length;
}
function itemOf(octets: Uint8Array): P1Found {
  if (octets[0] === generalGlo) return { is: 'ciphered', apdu: octets };
  const telegram = parseTelegram(octets);
  return 'why' in telegram ? { is: 'damaged', why: telegram.why } : { is: 'telegram', telegram };
}
