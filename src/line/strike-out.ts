/**
 * Secrets struck out of what a trace shows, whatever the line cut them into: chunks of a read, segments of an information
 * field, blocks of a value. What came is never touched; the trace holds copies.
 */
import { concat } from '../base/cursor.ts';
import type { Secret } from '../base/secret.ts';
import { fcs16 } from '../dlms/hdlc/fcs.ts';
import { cutFrame } from '../dlms/hdlc/frame.ts';
import { wrapperSize } from '../dlms/wrapper/wrapper.ts';

const asterisk = 0x2a;
/** A shorter secret stands in too many places by chance: it is struck out of AARQ only. */
const shortest = 4;
/** Where the rest of a value may begin in the next block: behind tags, descriptor and block number. */
const headOctets = 64;
/** Pieces that the rest of a secret is waited for: segments and blocks may be sent several times. */
const patience = 32;
const openTags: ReadonlySet<number> = new Set([0x05, 0x06, 0x0c, 0x0d, 0xe0]);
const servicesWithBlocks: ReadonlySet<number> = new Set([0xc1, 0xc3, 0xc4, 0xc7]);

/** Octets of the stream, [from, to); `frame`: the HDLC frame around them, whose check follows what is shown. */
interface Mark {
  readonly from: number;
  readonly to: number;
  readonly frame?: { readonly from: number; readonly to: number } | undefined;
}
interface Piece extends Mark {
  /** The information goes on in the next frame, or the value in the next block. */
  readonly goesOn: 'segment' | 'block' | undefined;
  readonly aarq: boolean;
}
/** The beginning of a secret at the end of a piece that goes on. */
interface Candidate {
  readonly secret: Uint8Array;
  readonly matched: number;
  readonly goesOn: 'segment' | 'block';
  readonly marks: readonly Mark[];
  age: number;
}
const permanent = 0x80;

function find(octets: Uint8Array, secret: Uint8Array, from: number, to: number, take: (at: number) => void): void {
  const within = Buffer.from(octets.buffer, octets.byteOffset, to);
  for (let at = within.indexOf(secret, from); at >= 0; at = within.indexOf(secret, at + 1)) take(at);
}
/** How many octets of the beginning of `secret` stand at `at`, up to `to`. */
function agreeing(octets: Uint8Array, at: number, to: number, secret: Uint8Array): number {
  let count = 0;
  while (count < secret.length && at + count < to && octets[at + count] === secret[count]) count++;
  return count;
}

/** One direction of a line. */
export class StrikeOut {
  /** Stream offset of the first octet that is still held; lines before it are final. */
  base = 0;
  private readonly secrets: readonly Uint8Array[];
  private octets: Uint8Array = new Uint8Array(0);
  private shown: Uint8Array = new Uint8Array(0);
  /** Permanent, or how many candidates hide the octet. */
  private hidden: Uint8Array = new Uint8Array(0);
  /** Up to here everything was cut into frames. */
  private cutTo = 0;
  private candidates: Candidate[] = [];
  private tail: Mark[] = [];
  private tag: readonly [number, number] = [0, 0];
  private inside = false;

  constructor(secrets: readonly Secret[]) {
    this.secrets = secrets.filter(({ length }) => length > 0).map((secret) => secret.reveal());
  }

  /** Adds a chunk; its stream offsets. `show` then tells how it, and what is still held before it, may be shown. */
  add(chunk: Uint8Array): { readonly from: number; readonly to: number } {
    this.forget();
    const from = this.base + this.octets.length;
    for (const mark of this.tail.splice(0)) this.hide(mark, -1);
    this.octets = concat([this.octets, chunk]);
    this.shown = concat([this.shown, chunk]);
    this.hidden = concat([this.hidden, new Uint8Array(chunk.length)]);
    this.cut();
    this.scanStream(from);
    return { from, to: from + chunk.length };
  }
  /** Up to here everything was cut into frames: what is shown of it hides no beginning of a secret. */
  get completeTo(): number {
    return this.cutTo;
  }
  show(from: number, to: number): Uint8Array {
    return this.shown.slice(from - this.base, to - this.base);
  }

  /** What can no longer change is let go. */
  private forget(): void {
    const longest = Math.max(0, ...this.secrets.map(({ length }) => length));
    let keep = this.cutTo - longest;
    for (const { marks } of this.candidates)
      for (const { from, frame } of marks) keep = Math.min(keep, frame?.from ?? from);
    const drop = Math.max(0, keep - this.base);
    if (drop < 4096) return;
    this.base += drop;
    this.octets = this.octets.slice(drop);
    this.shown = this.shown.slice(drop);
    this.hidden = this.hidden.slice(drop);
  }

  /** Frames of HDLC and of the wrapper; anything else is passed over octet by octet. */
  private cut(): void {
    const { octets, base } = this;
    for (;;) {
      const at = this.cutTo - base;
      if (at >= octets.length) return;
      if (octets[at] === 0x7e) {
        const cut = cutFrame(octets, at + 1, octets.length);
        if (cut.is === 'partial') return;
        if (cut.is === 'frame') {
          const { information, segmented } = cut.frame;
          const from = information.length === 0 ? at : information.byteOffset - octets.byteOffset;
          const frame = { from: this.cutTo, to: base + cut.next };
          this.cutTo = base + cut.next;
          if (information.length > 0) this.piece(base + from, information.length, segmented, frame);
          continue;
        }
      } else if (octets[at] === 0x00 && (at + 1 >= octets.length || octets[at + 1] === 0x01)) {
        if (octets.length - at < 8) return;
        const size = wrapperSize(octets, at);
        if (octets.length - at < size) return;
        this.cutTo += size;
        this.piece(base + at + 8, size - 8, false, undefined);
        continue;
      }
      this.cutTo++;
    }
  }

  private piece(from: number, length: number, segmented: boolean, frame: Mark['frame']): void {
    const at = from - this.base;
    const octet = (i: number) => this.octets[at + i] ?? 0;
    if (!this.inside) this.tag = octet(0) === 0xe6 ? [octet(3), octet(4)] : [octet(0), octet(1)];
    this.inside = segmented;
    const [tag, choice] = this.tag;
    const block = openTags.has(tag) || (servicesWithBlocks.has(tag) && choice !== 1);
    const goesOn = segmented ? 'segment' : block ? 'block' : undefined;
    this.scan({ from, to: from + length, frame, goesOn, aarq: tag === 0x60 });
  }

  private scan(piece: Piece): void {
    const { base, octets } = this;
    const from = piece.from - base;
    const to = piece.to - base;
    const mark = (at: number, end: number): Mark => ({ from: at + base, to: end + base, frame: piece.frame });
    this.goOn(piece, mark);
    for (const secret of this.secrets) {
      if (secret.length < shortest && !piece.aarq) continue;
      find(octets, secret, from, to, (at) => this.hide(mark(at, at + secret.length), permanent));
      if (!piece.goesOn) continue;
      for (let at = Math.max(from, to - secret.length + 1); at < to; at++)
        if (agreeing(octets, at, to, secret) === to - at)
          this.propose({ secret, matched: to - at, goesOn: piece.goesOn, marks: [mark(at, to)], age: 0 });
    }
    this.candidates = this.candidates.filter((candidate) => {
      if (++candidate.age <= patience) return true;
      for (const one of candidate.marks) this.hide(one, -1);
      return false;
    });
  }

  /** Whether secrets that began in earlier pieces go on in this one. */
  private goOn(piece: Piece, mark: (at: number, end: number) => Mark): void {
    const { base, octets } = this;
    const to = piece.to - base;
    for (const candidate of this.candidates.slice()) {
      const rest = candidate.secret.subarray(candidate.matched);
      const first = piece.from - base;
      const last = candidate.goesOn === 'segment' ? first : Math.min(to - 1, first + headOctets);
      for (let at = first; at <= last; at++) {
        const count = agreeing(octets, at, to, rest);
        if (count === 0) continue;
        if (count === rest.length) {
          for (const one of [...candidate.marks, mark(at, at + count)]) this.hide(one, permanent);
        } else if (at + count === to && piece.goesOn) {
          const marks = [...candidate.marks, mark(at, to)];
          this.propose({ ...candidate, matched: candidate.matched + count, goesOn: piece.goesOn, marks, age: 0 });
        }
      }
    }
  }

  private propose(candidate: Candidate): void {
    this.candidates.push(candidate);
    for (const mark of candidate.marks) this.hide(mark, 1);
  }

  /** Across chunks and outside of frames, and what a chunk ends with while its frame is not complete. */
  private scanStream(from: number): void {
    const { base, octets } = this;
    const end = octets.length;
    for (const secret of this.secrets) {
      if (secret.length < shortest) continue;
      const first = Math.max(0, from - base - secret.length + 1);
      find(octets, secret, first, end, (at) =>
        this.hide({ from: at + base, to: at + secret.length + base }, permanent),
      );
      for (let at = Math.max(this.cutTo - base, end - secret.length + 1); at < end; at++) {
        if (agreeing(octets, at, end, secret) !== end - at) continue;
        const mark = { from: at + base, to: end + base };
        this.tail.push(mark);
        this.hide(mark, 1);
      }
    }
  }

  /** Hides octets for good, hides them for a candidate (1) or gives them back (-1); the frame's check follows. */
  private hide({ from, to, frame }: Mark, how: typeof permanent | 1 | -1): void {
    const { base, hidden, shown, octets } = this;
    for (let at = from - base; at < to - base; at++) {
      const was = hidden[at] as number;
      hidden[at] = how === permanent ? was | permanent : (was & permanent) | (((was & 0x7f) + how) & 0x7f);
      shown[at] = hidden[at] === 0 ? (octets[at] as number) : asterisk;
    }
    if (!frame) return;
    const check = fcs16(shown, frame.from - base + 1, frame.to - base - 2);
    shown[frame.to - base - 2] = check & 0xff;
    shown[frame.to - base - 1] = check >> 8;
  }
}
