/**
 * Octets as they went over a line, without anything around them. They are cut where a message may end, so that a message is
 * shown as soon as it is whole; how they came in pieces makes no difference.
 */
import type { RecordedLine } from '../../base/exchange-file.ts';
import { concat } from '../../base/cursor.ts';
import { wrapperSize } from '../../dlms/wrapper/wrapper.ts';
import type { InputItem, InputReader } from './item.ts';

const flag = 0x7e;
const longStart = 0x68;
const lineFeed = 0x0a;
const maxPiece = 1 << 16;

const isText = (octet: number): boolean => (octet >= 0x20 && octet < 0x7f) || (octet >= 9 && octet <= 13);

/** What the frame itself says that it has, of the wrapper or of M-Bus, once its head is there. */
function frameLength(octets: Uint8Array): number | undefined {
  const [first, second = 0, third, fourth] = octets;
  if (first === 0 && second === 1) return wrapperSize(octets);
  return first === longStart && second === third && fourth === longStart ? second + 6 : undefined;
}
/** How many octets belong together at the beginning; nothing where more must come. */
function pieceLength(octets: Uint8Array): number | undefined {
  const [first = 0, second] = octets;
  if (first === 0 && (second === undefined || second === 1)) {
    if (octets.length < 8) return undefined;
  } else if (first === longStart && octets.length < 4 && (octets.length < 3 || second === octets[2])) return undefined;
  const length = frameLength(octets);
  if (length !== undefined) return octets.length < length ? undefined : length;
  let allText = true;
  const end = Math.min(octets.length, maxPiece);
  for (let at = 0; at < end; at++) {
    const octet = octets[at] as number;
    if (octet === flag) return at + 1;
    // A line of a sign-on or of a telegram; with parity in bit 7 it is none that this sees, and goes on to the next flag.
    if (allText && octet === lineFeed) return at + 1;
    allText &&= isText(octet);
  }
  return end === maxPiece ? maxPiece : undefined;
}

/** What its octets do not say of a piece. */
export type RawPlace = Pick<RecordedLine, 'time' | 'direction' | 'channel'>;
const nowhere: RawPlace = { time: '', direction: 'unknown' };

export class RawPieces {
  private held: Uint8Array = new Uint8Array(0);
  /** Of the first octet that is held. */
  private place: RawPlace = nowhere;
  private line = 0;
  /** How many octets were looked at without an end of a piece: they are looked at again only when they have doubled. */
  private next = 0;

  /** `lineOf`: the line of the recording for an offset into these octets. */
  push(octets: Uint8Array, lineOf: (offset: number) => number, place: RawPlace = nowhere): InputItem[] {
    if (octets.length === 0) return [];
    if (this.held.length === 0) {
      this.line = lineOf(0);
      this.place = place;
    }
    const before = this.held.length;
    let all = before === 0 ? octets : concat([this.held, octets]);
    const items: InputItem[] = [];
    let at = 0;
    if (all.length >= this.next || octets.includes(flag) || octets.includes(lineFeed)) {
      for (;;) {
        const length = pieceLength(all.subarray(at));
        if (length === undefined) break;
        items.push(this.item(all.slice(at, at + length)));
        at += length;
        this.line = lineOf(Math.max(0, at - before));
        this.place = place;
        if (at === all.length) break;
      }
      all = all.slice(at);
      this.next = all.length > 64 ? lookAgainAt(all) : 0;
    }
    this.held = all;
    return items;
  }
  end(): InputItem[] {
    const { held } = this;
    this.held = new Uint8Array(0);
    this.next = 0;
    return held.length > 0 ? [this.item(held)] : [];
  }
  private item(octets: Uint8Array): RecordedLine {
    return { line: this.line, ...this.place, octets };
  }
}
/** Frames with a length are looked at again when they are whole; anything else where it has doubled. */
function lookAgainAt(octets: Uint8Array): number {
  return frameLength(octets) ?? Math.min(octets.length * 2, maxPiece);
}

/** A file of octets: the line of a piece is the offset of its first octet. */
export function rawReader(): InputReader {
  const pieces = new RawPieces();
  let offset = 0;
  return {
    push(octets) {
      const base = offset;
      offset += octets.length;
      return pieces.push(octets, (at) => base + at);
    },
    end: () => pieces.end(),
  };
}
