/**
 * DLMS in long frames of M-Bus (EN 13757-2: 68 L L 68, control, address, CI, data, checksum, 16), as customer interfaces send
 * it: CI counts the frames of one APDU, its bit 4 marks the last, and two transport access points stand before each part
 * (EN 13757-1).
 */
import { concat } from '../../base/cursor.ts';

export interface MbusApdu {
  /** Address of the M-Bus, and transport access point of the sender. */
  readonly from: string;
  readonly apdu: Uint8Array;
}
const start = 0x68;
const stop = 0x16;
/** Before L begins to count, and after it ended. */
const headOctets = 4;
const tailOctets = 2;
/** Control, address, CI, two access points. */
const minLength = 5;
const nothing = new Uint8Array(0);

interface LongFrame {
  readonly address: number;
  readonly number: number;
  readonly last: boolean;
  readonly source: number;
  readonly part: Uint8Array;
}
/** A whole frame at this place; 'partial' where octets of it are missing. */
function frameAt(octets: Uint8Array, at: number): LongFrame | 'partial' | undefined {
  const length = octets[at + 1];
  const left = octets.length - at;
  if (left > 2 && length !== octets[at + 2]) return undefined;
  if (left > 3 && octets[at + 3] !== start) return undefined;
  if (length !== undefined && length < minLength) return undefined;
  if (length === undefined || left < length + headOctets + tailOctets) return 'partial';
  const body = octets.subarray(at + headOctets, at + headOctets + length);
  const sum = body.reduce((all, octet) => (all + octet) & 0xff, 0);
  const [check, end] = octets.subarray(at + headOctets + length);
  const [, address = 0, ci = 0, source = 0] = body;
  // CI 00 to 1F: transport layer of DLMS; anything else is M-Bus of its own.
  if (check !== sum || end !== stop || ci > 0x1f) return undefined;
  return { address, number: ci & 0x0f, last: (ci & 0x10) !== 0, source, part: body.subarray(minLength) };
}

export class LongFrames {
  private rest: Uint8Array = nothing;
  /** One APDU in parts, and whose. */
  private parts: { readonly from: string; readonly octets: Uint8Array[] } | undefined;

  /** Octets of a frame, or frames of an APDU, that are not whole yet. */
  get pending(): boolean {
    return this.rest.length > 0 || this.parts !== undefined;
  }
  /** What was begun is given up; whether a frame was cut, or an APDU. */
  clear(): boolean {
    const { pending } = this;
    this.rest = nothing;
    this.parts = undefined;
    return pending;
  }

  /** The APDUs that became whole, and how many frames they came in. */
  push(octets: Uint8Array): { readonly apdus: MbusApdu[]; readonly frames: number } {
    const all = concat([this.rest, octets]);
    const apdus: MbusApdu[] = [];
    let frames = 0;
    let at = 0;
    while (at < all.length) {
      const frame = all[at] === start ? frameAt(all, at) : undefined;
      if (frame === 'partial') break;
      if (!frame) {
        at++;
        continue;
      }
      frames++;
      at += frame.part.length + minLength + headOctets + tailOctets;
      const whole = this.add(frame);
      if (whole) apdus.push(whole);
    }
    this.rest = all.slice(at);
    return { apdus, frames };
  }

  private add({ address, number, last, source, part }: LongFrame): MbusApdu | undefined {
    const from = `M-Bus ${address}/${source}`;
    if (number === 0) this.parts = { from, octets: [] };
    const { parts } = this;
    if (!parts || parts.from !== from || parts.octets.length !== number) {
      this.parts = undefined;
      return undefined;
    }
    parts.octets.push(part);
    if (!last) return undefined;
    this.parts = undefined;
    return { from, apdu: concat(parts.octets) };
  }
}
