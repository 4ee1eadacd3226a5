/** The TCP/UDP wrapper (Green Book 7.3.3): version 1, source and destination wPort, length, then the APDU. */
import { concat, Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { endOfText } from '../plain-text.ts';

export interface WrapperFrame {
  readonly source: number;
  readonly destination: number;
  readonly apdu: Uint8Array;
}
export const wrapperLimit = 0xffff;

export function encodeWrapper(frame: WrapperFrame): Uint8Array {
  if (frame.apdu.length > wrapperLimit) throw new Failure('request-too-long', `APDU of ${frame.apdu.length} octets`);
  const w = new Writer(frame.apdu.length + 8);
  w.u16(1);
  w.u16(frame.source);
  w.u16(frame.destination);
  w.u16(frame.apdu.length);
  w.put(frame.apdu);
  return w.octets();
}

/** Octets of the frame whose header, all of it, begins at `at`. */
export const wrapperSize = (octets: Uint8Array, at = 0): number => 8 + u16At(octets, at + 6);

/**
 * Cuts a TCP stream into wrapper frames. A wrong version ends the stream: there is no way to find the next header, unless it
 * is text that stands before one, for a header begins with 0 and no text has that (meter-quirks 92). APDUs are views of the
 * octets that came; whoever pushes octets does not change them afterwards.
 */
export class Unwrapper {
  private parts: Uint8Array[] = [];
  private length = 0;
  private need = 8;
  private text: Uint8Array[] = [];

  push(octets: Uint8Array): WrapperFrame[] {
    const frames: WrapperFrame[] = [];
    let all = octets;
    if (this.length > 0) {
      this.parts.push(octets);
      this.length += octets.length;
      if (this.length < this.need) return frames;
      all = concat(this.parts);
    }
    let at = 0;
    for (;;) {
      const textEnd = endOfText(all, at);
      if (textEnd > at) {
        this.text.push(all.subarray(at, textEnd));
        at = textEnd;
      }
      const left = all.length - at;
      if (left < 8) {
        this.need = 8;
        break;
      }
      const version = u16At(all, at);
      if (version !== 1) {
        this.clear();
        throw new Failure('malformed-octets', `wrapper version ${version} where 1 is expected`);
      }
      const size = wrapperSize(all, at);
      if (left < size) {
        this.need = size;
        break;
      }
      const apdu = all.subarray(at + 8, at + size);
      this.text = [];
      frames.push({ source: u16At(all, at + 2), destination: u16At(all, at + 4), apdu });
      at += size;
    }
    this.length = all.length - at;
    this.parts = this.length === 0 ? [] : [at === 0 ? all : all.subarray(at)];
    return frames;
  }

  /** Text that came last, and no frame behind it. */
  takeText(): Uint8Array | undefined {
    if (this.text.length === 0 || this.pending) return undefined;
    const text = concat(this.text);
    this.text = [];
    return text;
  }
  get pending(): boolean {
    return this.length > 0;
  }
  /** Octets of a frame that is not whole yet. */
  get pendingOctets(): number {
    return this.length;
  }
  /** Octets that this frame lacks, at least. */
  get missingOctets(): number {
    return this.pending ? this.need - this.length : 0;
  }
  clear(): void {
    this.parts = [];
    this.length = 0;
    this.need = 8;
  }
}
export const u16At = (octets: Uint8Array, at: number): number =>
  ((octets[at] as number) << 8) | (octets[at + 1] as number);
