/**
 * A trace as pcapng (draft-ietf-opsawg-pcapng), one packet for each HDLC frame or wrapper message. The link type is USER0:
 * a dissector of DLMS/COSEM is chosen for it by "DLT_USER" in the preferences.
 */
import { concat } from '../base/cursor.ts';
import { cutFrame } from '../dlms/hdlc/frame.ts';
import { wrapperSize } from '../dlms/wrapper/wrapper.ts';

/** `??`: nobody knows which way it went. */
type Direction = '->' | '<-' | '??';
export interface Captured {
  /** ms since 1970. */
  readonly at: number;
  readonly port: string;
  readonly direction: Direction;
  readonly octets: Uint8Array;
}
export interface PcapngWriter {
  add(captured: Captured): void;
  /** What is not whole is a packet as it is. */
  end(): void;
}

/** LINKTYPE_USER0: what it holds is agreed between those who write and read it. */
const linkType = 147;
const sectionHeaderType = 0x0a0d0d0a;
const interfaceDescriptionType = 1;
const enhancedPacketType = 6;
const interfaceName = 2;
const packetFlags = 2;
const inbound = 1;
const outbound = 2;

const padded = (octets: Uint8Array): Uint8Array => concat([octets, new Uint8Array((4 - (octets.length % 4)) % 4)]);
const option = (code: number, value: Uint8Array): Uint8Array => {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return concat([head, padded(value)]);
};
const endOfOptions = option(0, new Uint8Array(0));

function block(type: number, body: Uint8Array): Uint8Array {
  const length = 12 + body.length;
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(length, 0);
  return concat([head, body, tail]);
}

export function sectionHeader(): Uint8Array {
  const body = Buffer.alloc(16);
  body.writeUInt32LE(0x1a2b3c4d, 0);
  body.writeUInt16LE(1, 4);
  // How long the section is, nobody knows beforehand.
  body.fill(0xff, 8);
  return block(sectionHeaderType, body);
}
export function interfaceBlock(name: string): Uint8Array {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(linkType, 0);
  return block(interfaceDescriptionType, concat([body, option(interfaceName, Buffer.from(name)), endOfOptions]));
}
/** `at`: ms since 1970; pcapng counts microseconds where nothing else is said. */
export function packetBlock(line: number, at: number, direction: Direction, octets: Uint8Array): Uint8Array {
  const body = Buffer.alloc(20);
  const us = BigInt(Math.round(at * 1000));
  body.writeUInt32LE(line, 0);
  body.writeUInt32LE(Number(us >> 32n), 4);
  body.writeUInt32LE(Number(us & 0xffff_ffffn), 8);
  body.writeUInt32LE(octets.length, 12);
  body.writeUInt32LE(octets.length, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(direction === '->' ? outbound : direction === '<-' ? inbound : 0, 0);
  return block(enhancedPacketType, concat([body, padded(octets), option(packetFlags, flags), endOfOptions]));
}

/** What is whole at the beginning of the octets: where it ends, and where the next begins. Nothing where more must come. */
function wholeOf(octets: Uint8Array): readonly [end: number, next: number] | undefined {
  if (octets[0] === 0x7e) {
    const cut = cutFrame(octets, 1, octets.length);
    if (cut.is === 'frame') {
      const end = cut.next + 1;
      // The closing flag opens the next frame where that has none of its own.
      return [end, end < octets.length && octets[end] !== 0x7e ? cut.next : end];
    }
    if (cut.is === 'partial') return undefined;
    const flag = octets.indexOf(0x7e, 1);
    return flag < 0 ? undefined : [flag, flag];
  }
  if (octets[0] === 0 && (octets.length < 2 || octets[1] === 1)) {
    if (octets.length < 8) return undefined;
    const length = wrapperSize(octets);
    return octets.length < length ? undefined : [length, length];
  }
  const flag = octets.indexOf(0x7e);
  const end = flag < 0 ? octets.length : flag;
  return [end, end];
}

interface Line {
  readonly number: number;
  direction: Direction;
  at: number;
  held: Uint8Array;
}
/** Longer is no frame: what is held goes as it is. */
const maxHeld = 1 << 17;

/** Turns what is recorded into blocks; what is not whole when the other side speaks is a packet as it is. */
export function pcapngWriter(write: (octets: Uint8Array) => void): PcapngWriter {
  write(sectionHeader());
  const lines = new Map<string, Line>();
  const flush = (line: Line): void => {
    if (line.held.length > 0) write(packetBlock(line.number, line.at, line.direction, line.held));
    line.held = new Uint8Array(0);
  };
  return {
    add({ at, port, direction, octets }) {
      let line = lines.get(port);
      if (!line) {
        lines.set(port, (line = { number: lines.size, direction, at: 0, held: new Uint8Array(0) }));
        write(interfaceBlock(port));
      }
      if (line.direction !== direction || line.held.length > maxHeld) flush(line);
      if (line.held.length === 0) line.at = at;
      line.direction = direction;
      line.held = line.held.length === 0 ? octets : concat([line.held, octets]);
      while (line.held.length > 0) {
        const whole = wholeOf(line.held);
        if (!whole) break;
        write(packetBlock(line.number, line.at, direction, line.held.subarray(0, whole[0])));
        line.held = line.held.slice(whole[1]);
      }
    },
    end() {
      for (const line of lines.values()) flush(line);
    },
  };
}
