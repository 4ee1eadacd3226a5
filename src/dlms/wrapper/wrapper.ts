/** The TCP/UDP wrapper (Green Book 7.3.3): version 1, source and destination wPort, length, then the APDU. */
import { Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';

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

/** Cuts a TCP stream into wrapper frames. A wrong version ends the stream: there is no way to find the next header. */
export class Unwrapper {
  private parts: Uint8Array[] = [];
  private length = 0;
  private need = 8;

  push(octets: Uint8Array): WrapperFrame[] {
    const frames: WrapperFrame[] = [];
    this.parts.push(octets.slice());
    this.length += octets.length;
    while (this.length >= this.need) {
      const all = this.parts.length === 1 ? (this.parts[0] as Uint8Array) : Buffer.concat(this.parts);
      const u16 = (at: number) => ((all[at] as number) << 8) | (all[at + 1] as number);
      if (u16(0) !== 1) {
        this.clear();
        throw new Failure('malformed-octets', `wrapper version ${u16(0)} where 1 is expected`);
      }
      const end = 8 + u16(6);
      if (this.length < end) {
        this.parts = [all];
        this.need = end;
        break;
      }
      frames.push({ source: u16(2), destination: u16(4), apdu: all.subarray(8, end) });
      const rest = all.subarray(end);
      this.parts = rest.length > 0 ? [rest] : [];
      this.length = rest.length;
      this.need = 8;
    }
    return frames;
  }

  get pending(): boolean {
    return this.length > 0;
  }
  clear(): void {
    this.parts = [];
    this.length = 0;
    this.need = 8;
  }
}
