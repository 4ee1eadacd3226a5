/** Captures: pcap of either order of octets in micro- and nanoseconds, and pcapng (draft-ietf-opsawg-pcapng). */
import { concat } from '../../base/cursor.ts';
import type { InputItem, InputReader, InputSettings } from './item.ts';
import { Network } from './network.ts';

const sectionHeader = 0x0a0d0d0a;
const byteOrder = 0x1a2b3c4d;
/** Longer is no packet, and no block. */
const maxPacket = 1 << 18;
const maxBlock = 1 << 22;

/** Octets in the order of one machine. */
class Fields {
  readonly octets: Buffer;
  readonly isLittle: boolean;
  constructor(octets: Uint8Array, isLittle: boolean) {
    this.octets = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
    this.isLittle = isLittle;
  }
  u16(at: number): number {
    return this.isLittle ? this.octets.readUInt16LE(at) : this.octets.readUInt16BE(at);
  }
  u32(at: number): number {
    return this.isLittle ? this.octets.readUInt32LE(at) : this.octets.readUInt32BE(at);
  }
}
/** `at` in units of a second's part. */
function stampOf(units: bigint, perSecond: bigint): string {
  const seconds = units / perSecond;
  // Beyond what a calendar holds: the stamp of a damaged packet.
  if (seconds > 253_402_300_799n) return '';
  const digits = String(perSecond).length - 1;
  const isDecimal = perSecond === 10n ** BigInt(digits);
  const fraction = isDecimal
    ? String(units % perSecond).padStart(digits, '0')
    : String(((units % perSecond) * 1_000_000n) / perSecond).padStart(6, '0');
  const shown = isDecimal && digits === 0 ? '' : `.${fraction}`;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${shown}Z`;
}

interface Taken {
  /** Where the next begins; undefined where more must come. */
  readonly next: number | undefined;
  readonly items: InputItem[];
  /** It is none: what follows is looked for. */
  readonly damaged?: boolean;
}
const more: Taken = { next: undefined, items: [] };
const damaged: Taken = { next: undefined, items: [], damaged: true };

/** `take`: the record at a place. Behind a damage the next record is looked for, octet by octet. */
function recordReader(
  network: Network,
  take: (octets: Uint8Array, at: number) => Taken,
  counter: { number: number },
): InputReader {
  let held: Uint8Array = new Uint8Array(0);
  let position = 0;
  let lostFrom: number | undefined;
  const lost = (to: number, line: number): InputItem[] => {
    if (lostFrom === undefined) return [];
    const problem = `octets ${lostFrom} to ${to - 1} of the capture are none of its records`;
    const items: InputItem[] = [{ line, offset: lostFrom, problem }];
    lostFrom = undefined;
    return items;
  };
  /** `isEnd`: what is not whole will not be. */
  const read = (all: Uint8Array, isEnd: boolean): InputItem[] => {
    const items: InputItem[] = [];
    let at = 0;
    while (at < all.length) {
      const line = counter.number + 1;
      const taken = take(all, at);
      if (taken.damaged || (taken.next === undefined && isEnd)) {
        lostFrom ??= position + at;
        at++;
      } else if (taken.next === undefined) break;
      else {
        for (const item of lost(position + at, line)) items.push(item);
        for (const item of taken.items) items.push(item);
        at = taken.next;
      }
    }
    held = all.slice(at);
    position += at;
    return items;
  };
  return {
    push: (octets) => read(held.length > 0 ? concat([held, octets]) : octets, false),
    end: () => {
      const items = read(held, true);
      return [...items, ...lost(position, counter.number + 1), ...network.end()];
    },
  };
}

function pcapReader(isLittle: boolean, perSecond: bigint, settings: InputSettings): InputReader {
  const network = new Network(settings);
  const counter = { number: 0 };
  let link: number | undefined;
  let snapLength = maxPacket;
  let newest: number | undefined;
  const take = (all: Uint8Array, at: number): Taken => {
    const fields = new Fields(all.subarray(at, at + 24), isLittle);
    if (link === undefined) {
      if (all.length - at < 24) return more;
      link = fields.u32(20) & 0x0fff_ffff;
      const length = fields.u32(16);
      snapLength = length > 0 && length < maxPacket ? length : maxPacket;
      return { next: at + 24, items: [] };
    }
    if (all.length - at < 16) return more;
    const [seconds, fraction, captured, original] = [fields.u32(0), fields.u32(4), fields.u32(8), fields.u32(12)];
    const isRecord =
      captured <= Math.max(snapLength, 96) &&
      captured <= Math.max(original, 1) &&
      original <= maxPacket &&
      BigInt(fraction) < perSecond;
    // A capture of more than a year is none, or a damage.
    if (!isRecord || (newest !== undefined && Math.abs(seconds - newest) > 366 * 86_400)) return damaged;
    if (all.length - at < 16 + captured) return more;
    newest = seconds;
    counter.number++;
    const items = network.packet({
      line: counter.number,
      time: stampOf(BigInt(seconds) * perSecond + BigInt(fraction), perSecond),
      link,
      octets: all.subarray(at + 16, at + 16 + captured),
      missing: original - captured,
    });
    return { next: at + 16 + captured, items };
  };
  return recordReader(network, take, counter);
}

interface Interface {
  readonly link: number;
  readonly name: string;
  readonly perSecond: bigint;
  readonly offset: bigint;
}
function options(fields: Fields, from: number, end: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from; at + 4 <= end; ) {
    const code = fields.u16(at);
    const length = fields.u16(at + 2);
    if (code === 0 || at + 4 + length > end) break;
    found.set(code, fields.octets.subarray(at + 4, at + 4 + length));
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return found;
}
function interfaceOf(fields: Fields, end: number, number: number): Interface {
  const found = options(fields, 16, end);
  const [resolution = 6] = found.get(9) ?? [];
  const exponent = BigInt(resolution & 0x7f);
  const offset = found.get(14);
  const usable = offset?.length === 8 ? new Fields(offset, fields.isLittle) : undefined;
  const [high, low] = fields.isLittle ? [4, 0] : [0, 4];
  return {
    link: fields.u16(8),
    name: found.get(2)?.toString('utf8') ?? `interface ${number}`,
    perSecond:
      (resolution & 0x80) !== 0 ? 2n ** (exponent > 63n ? 63n : exponent) : 10n ** (exponent > 18n ? 18n : exponent),
    offset: usable ? BigInt.asIntN(64, (BigInt(usable.u32(high)) << 32n) | BigInt(usable.u32(low))) : 0n,
  };
}
const ways = ['unknown', 'from-meter', 'to-meter', 'unknown'] as const;

class PcapngBlocks {
  readonly counter = { number: 0 };
  readonly network: Network;
  private isLittle = true;
  private interfaces: Interface[] = [];

  constructor(network: Network) {
    this.network = network;
  }
  readonly take = (all: Uint8Array, at: number): Taken => {
    if (all.length - at < 12) return more;
    const little = new Fields(all.subarray(at, at + 12), true);
    let { isLittle } = this;
    if (little.u32(0) === sectionHeader) {
      if (little.u32(8) !== byteOrder && new Fields(little.octets, false).u32(8) !== byteOrder) return damaged;
      isLittle = little.u32(8) === byteOrder;
    }
    const head = new Fields(little.octets, isLittle);
    const type = head.u32(0);
    const length = head.u32(4);
    if (length < 12 || length % 4 !== 0 || length > maxBlock) return damaged;
    if (all.length - at < length) return more;
    const fields = new Fields(all.subarray(at, at + length), isLittle);
    if (fields.u32(length - 4) !== length) return damaged;
    this.isLittle = isLittle;
    return { next: at + length, items: this.block(type, fields, length - 4) };
  };

  private block(type: number, fields: Fields, end: number): InputItem[] {
    switch (type) {
      case sectionHeader:
        this.interfaces = [];
        return [];
      case 1:
        if (end >= 16) this.interfaces.push(interfaceOf(fields, end, this.interfaces.length));
        return [];
      case 2:
      case 6:
        if (end < 28) return [];
        return this.packet(fields, end, type === 6 ? fields.u32(8) : fields.u16(8), 28);
      case 3:
        this.counter.number++;
        if (end < 12) return [];
        return this.simple(fields, end);
      default:
        return [];
    }
  }
  private simple(fields: Fields, end: number): InputItem[] {
    const original = fields.u32(8);
    const captured = Math.min(original, end - 12);
    const found = this.interfaces[0];
    if (!found) return this.nowhere();
    return this.network.packet({
      line: this.counter.number,
      time: '',
      link: found.link,
      octets: fields.octets.subarray(12, 12 + captured),
      missing: Math.min(original - captured, maxPacket),
      channel: found.name,
    });
  }
  private nowhere(): InputItem[] {
    return [
      { line: this.counter.number, offset: 0, problem: 'a packet of an interface that the capture does not describe' },
    ];
  }
  private packet(fields: Fields, end: number, number: number, from: number): InputItem[] {
    this.counter.number++;
    const found = this.interfaces[number];
    const captured = fields.u32(20);
    const original = fields.u32(24);
    if (!found) return this.nowhere();
    if (captured > end - from)
      return [
        { line: this.counter.number, offset: 0, problem: `a packet of ${captured} octets in a block of ${end - from}` },
      ];
    const given = options(fields, from + captured + ((4 - (captured % 4)) % 4), end).get(2);
    const flags = given?.length === 4 ? new Fields(given, fields.isLittle).u32(0) : 0;
    const units = (BigInt(fields.u32(12)) << 32n) | BigInt(fields.u32(16));
    return this.network.packet({
      line: this.counter.number,
      time: stampOf(units + found.offset * found.perSecond, found.perSecond),
      link: found.link,
      octets: fields.octets.subarray(from, from + captured),
      missing: Math.max(0, Math.min(original - captured, maxPacket)),
      direction: ways[flags & 3] as (typeof ways)[number],
      channel: found.name,
    });
  }
}

/** By the first four octets. */
const captures: ReadonlyMap<number, (settings: InputSettings) => InputReader> = new Map([
  [0xa1b2c3d4, (settings) => pcapReader(false, 1_000_000n, settings)],
  [0xd4c3b2a1, (settings) => pcapReader(true, 1_000_000n, settings)],
  [0xa1b23c4d, (settings) => pcapReader(false, 1_000_000_000n, settings)],
  [0x4d3cb2a1, (settings) => pcapReader(true, 1_000_000_000n, settings)],
  [
    sectionHeader,
    (settings) => {
      const { network, take, counter } = new PcapngBlocks(new Network(settings));
      return recordReader(network, take, counter);
    },
  ],
]);
const captureOf = (octets: Uint8Array) =>
  octets.length < 4 ? undefined : captures.get(new Fields(octets, false).u32(0));
export const isCapture = (octets: Uint8Array): boolean => captureOf(octets) !== undefined;
/** Nothing where the octets begin no capture. */
export const captureReader = (octets: Uint8Array, settings: InputSettings): InputReader | undefined =>
  captureOf(octets)?.(settings);
