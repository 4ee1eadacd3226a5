/** Captures made by hand: packets of TCP and UDP with the heads that a network card sees, in pcap and pcapng. */
import { concat } from '../../src/base/cursor.ts';

export interface Spoken {
  readonly direction: 'to-meter' | 'from-meter';
  readonly octets: Uint8Array;
  /** Since the beginning. */
  readonly ms: number;
}
export interface CaptureForm {
  readonly format: 'pcap' | 'pcapng';
  readonly isBig?: boolean;
  readonly nanoseconds?: boolean;
  readonly link?: number;
  readonly isV6?: boolean;
  readonly isUdp?: boolean;
}
export interface TcpPacket {
  readonly from: 'client' | 'meter';
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
  readonly octets: Uint8Array;
  readonly ms: number;
  /** Octets that the capture left out at the end. */
  readonly cut?: number;
}
const u16 = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 0xff, value & 0xff);
const u32 = (value: number): Uint8Array =>
  Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
const empty = new Uint8Array(0);

const ports = { client: 51_000, meter: 4059 };
const other = { client: 'meter', meter: 'client' } as const;
const last = { client: 7, meter: 9 };

const tcpSegment = ({ from, sequence, acknowledged, flags, octets }: TcpPacket, at = ports): Uint8Array =>
  concat([
    u16(at[from]),
    u16(at[other[from]]),
    u32(sequence),
    u32(acknowledged),
    Uint8Array.of(0x50, flags),
    u16(65_535),
    u16(0),
    u16(0),
    octets,
  ]);
const ip = (from: 'client' | 'meter', protocol: number, payload: Uint8Array, isV6: boolean): Uint8Array => {
  if (isV6) {
    const address = (side: 'client' | 'meter') =>
      concat([Uint8Array.of(0xfd), new Uint8Array(14), Uint8Array.of(last[side])]);
    return concat([
      u32(0x6000_0000),
      u16(payload.length),
      Uint8Array.of(protocol, 64),
      address(from),
      address(other[from]),
      payload,
    ]);
  }
  const head = concat([
    u16(0x4500),
    u16(20 + payload.length),
    u16(1),
    u16(0x4000),
    Uint8Array.of(64, protocol),
    u16(0),
  ]);
  return concat([head, Uint8Array.of(10, 0, 0, last[from], 10, 0, 0, last[other[from]]), payload]);
};
const ethernet = (packet: Uint8Array, type: number): Uint8Array => {
  const frame = concat([new Uint8Array(12).fill(2), u16(type), packet]);
  // Short frames are filled up on the wire.
  return frame.length < 60 ? concat([frame, new Uint8Array(60 - frame.length)]) : frame;
};
function linked(packet: Uint8Array, link: number, isV6: boolean, isBig: boolean): Uint8Array {
  const type = isV6 ? 0x86dd : 0x0800;
  switch (link) {
    case 0:
      return concat([isBig ? u32(2) : Uint8Array.of(2, 0, 0, 0), packet]);
    case 113:
      return concat([u16(0), u16(1), u16(6), new Uint8Array(8), u16(type), packet]);
    case 276:
      return concat([u16(type), u16(0), u32(1), u16(1), Uint8Array.of(0, 6), new Uint8Array(8), packet]);
    case 101:
      return packet;
    default:
      return ethernet(packet, type);
  }
}

const fields = (isBig: boolean) => ({
  u16: (value: number) => (isBig ? u16(value) : u16(value).toReversed()),
  u32: (value: number) => (isBig ? u32(value) : u32(value).toReversed()),
});
export interface Recordable {
  readonly ms: number;
  readonly octets: Uint8Array;
  readonly cut?: number;
  readonly isInbound?: boolean;
}
export function fileOf(
  packets: readonly Recordable[],
  { format, isBig = false, nanoseconds = false, link = 1 }: CaptureForm,
): Uint8Array {
  const of = fields(isBig);
  const start = Date.UTC(2026, 10, 28, 12);
  if (format === 'pcap') {
    const head = concat([
      of.u32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4),
      of.u16(2),
      of.u16(4),
      of.u32(0),
      of.u32(0),
      of.u32(65_535),
      of.u32(link),
    ]);
    return concat([
      head,
      ...packets.map(({ ms, octets, cut = 0 }) => {
        const at = start + ms;
        const part = (at % 1000) * (nanoseconds ? 1_000_000 : 1000);
        const there = octets.subarray(0, octets.length - cut);
        return concat([
          of.u32(Math.floor(at / 1000)),
          of.u32(Math.round(part)),
          of.u32(there.length),
          of.u32(octets.length),
          there,
        ]);
      }),
    ]);
  }
  const block = (type: number, body: Uint8Array): Uint8Array =>
    concat([of.u32(type), of.u32(12 + body.length), body, of.u32(12 + body.length)]);
  return concat([
    block(0x0a0d0d0a, concat([of.u32(0x1a2b3c4d), of.u16(1), of.u16(0), of.u32(0xffffffff), of.u32(0xffffffff)])),
    block(1, concat([of.u16(link), of.u16(0), of.u32(0)])),
    ...packets.map(({ ms, octets, cut = 0, isInbound }) => {
      const at = BigInt(start + ms) * 1000n;
      const there = octets.subarray(0, octets.length - cut);
      const pad = new Uint8Array((4 - (there.length % 4)) % 4);
      const flags =
        isInbound === undefined ? empty : concat([of.u16(2), of.u16(4), of.u32(isInbound ? 1 : 2), of.u32(0)]);
      const time = concat([of.u32(Number(at >> 32n)), of.u32(Number(at & 0xffff_ffffn))]);
      return block(6, concat([of.u32(0), time, of.u32(there.length), of.u32(octets.length), there, pad, flags]));
    }),
  ]);
}

/** The packets of a connection: opened, each message in parts of so many octets, acknowledged, closed. */
export function tcpPackets(session: readonly Spoken[], maxPart = 100, first = 0xffff_ff00): TcpPacket[] {
  const next = { client: first, meter: 5000 };
  const packets: TcpPacket[] = [];
  const add = (from: 'client' | 'meter', flags: number, octets: Uint8Array, ms: number): void => {
    packets.push({
      from,
      sequence: next[from] >>> 0,
      acknowledged: flags === 2 ? 0 : next[other[from]] >>> 0,
      flags,
      octets,
      ms,
    });
    next[from] += octets.length + (flags & 3 ? 1 : 0);
  };
  add('client', 0x02, empty, 0);
  add('meter', 0x12, empty, 0);
  add('client', 0x10, empty, 0);
  for (const { direction, octets, ms } of session) {
    const from = direction === 'to-meter' ? 'client' : 'meter';
    for (let at = 0; at < octets.length; at += maxPart) add(from, 0x18, octets.subarray(at, at + maxPart), ms);
    add(other[from], 0x10, empty, ms);
  }
  add('client', 0x11, empty, session.at(-1)?.ms ?? 0);
  add('meter', 0x11, empty, session.at(-1)?.ms ?? 0);
  return packets;
}
export function tcpCapture(packets: readonly TcpPacket[], form: CaptureForm, at = ports): Uint8Array {
  const { link = 1, isV6 = false, isBig = false } = form;
  const recorded = packets.map((packet) => ({
    ms: packet.ms,
    octets: linked(ip(packet.from, 6, tcpSegment(packet, at), isV6), link, isV6, isBig),
    ...(packet.cut !== undefined && { cut: packet.cut }),
  }));
  return fileOf(recorded, form);
}
export function captureOf(session: readonly Spoken[], form: CaptureForm): Uint8Array {
  const { link = 1, isV6 = false, isBig = false, isUdp } = form;
  if (link === 147)
    return fileOf(
      session.map(({ ms, octets, direction }) => ({ ms, octets, isInbound: direction === 'from-meter' })),
      form,
    );
  if (!isUdp) return tcpCapture(tcpPackets(session), form);
  const datagrams = session.map(({ ms, octets, direction }) => {
    const from = direction === 'to-meter' ? 'client' : 'meter';
    const datagram = concat([u16(ports[from]), u16(ports[other[from]]), u16(8 + octets.length), u16(0), octets]);
    return { ms, octets: linked(ip(from, 17, datagram, isV6), link, isV6, isBig) };
  });
  return fileOf(datagrams, form);
}
