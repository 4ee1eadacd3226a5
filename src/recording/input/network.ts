/** Packets of a capture: link layers, IPv4 and IPv6, TCP in order, UDP; and serial lines that were captured as they are. */
import type { RecordedLine } from '../../base/exchange-file.ts';
import type { InputItem, InputSettings } from './item.ts';
import { looksLikeDlms, u16 } from './framing.ts';
import { Connections, cut } from './tcp.ts';

export interface Packet {
  /** Number of the packet, or its first line. */
  readonly line: number;
  readonly time: string;
  /** LINKTYPE of the registry of libpcap. */
  readonly link: number;
  readonly octets: Uint8Array;
  /** How many octets of the packet were not recorded. */
  readonly missing: number;
  /** Where the capture itself tells the way, and which interface it was. */
  readonly direction?: RecordedLine['direction'];
  readonly channel?: string;
}
const ipv4 = 0x0800;
const ipv6 = 0x86dd;
const vlanTags: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
const pppoe = 0x8864;

const u32 = (octets: Uint8Array, at: number): number => u16(octets, at) * 0x1_0000 + u16(octets, at + 2);

const isIp = (octets: Uint8Array, at: number): boolean => {
  const first = octets[at] ?? 0;
  return (first >= 0x45 && first <= 0x4f) || first >> 4 === 6;
};
/** Which link layer octets without a head of a capture have; nothing where they are none. */
export function linkOf(octets: Uint8Array): number | undefined {
  if (octets.length < 16) return undefined;
  if (isIp(octets, 0) && (octets[0] !== 0x45 || u16(octets, 2) >= 28) && u16(octets, 6) % 0x2000 === 0) return 101;
  const type = u16(octets, 12);
  if ((type === ipv4 || type === ipv6) && isIp(octets, 14)) return 1;
  if (vlanTags.has(type)) return 1;
  return u16(octets, 14) === ipv4 && octets[0] === 0 && u16(octets, 4) <= 8 ? 113 : undefined;
}

/** Where IP begins in an Ethernet frame; nothing where it holds none. */
function afterEthernet(octets: Uint8Array): number | undefined {
  let at = 12;
  while (vlanTags.has(u16(octets, at))) at += 4;
  const type = u16(octets, at);
  if (type === ipv4 || type === ipv6) return at + 2;
  return type === pppoe && [0x0021, 0x0057].includes(u16(octets, at + 8)) ? at + 10 : undefined;
}
const loopback = (octets: Uint8Array): number | undefined => (isIp(octets, 4) ? 4 : undefined);
const rawIp = (octets: Uint8Array): number | undefined => (isIp(octets, 0) ? 0 : undefined);
/** By LINKTYPE: where IP begins. */
const links: ReadonlyMap<number, (octets: Uint8Array) => number | undefined> = new Map([
  [0, loopback],
  [108, loopback],
  [1, afterEthernet],
  [9, (octets) => (isIp(octets, 4) ? 4 : isIp(octets, 2) ? 2 : undefined)],
  [12, rawIp],
  [14, rawIp],
  [101, rawIp],
  [228, rawIp],
  [229, rawIp],
  [113, (octets) => ([ipv4, ipv6].includes(u16(octets, 14)) ? 16 : vlanTags.has(u16(octets, 14)) ? 20 : undefined)],
  [276, (octets) => ([ipv4, ipv6].includes(u16(octets, 0)) ? 20 : vlanTags.has(u16(octets, 0)) ? 24 : undefined)],
]);
/** USER0 to USER15: what goes over a line, as it is; dissectors of DLMS are chosen for them. */
const isUser = (link: number): boolean => link >= 147 && link <= 162;
/** A serial line as relays record it: 12 octets in front, whose ninth says what happened. */
const serial = 250;

const protocolTcp = 6;
const protocolUdp = 17;
const headersBefore: ReadonlySet<number> = new Set([0, 43, 60, 51, 135]);

interface Ip {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly fragment: boolean;
  /** Octets that its length counts and the capture does not have. */
  readonly missing: number;
}
function ipv4Of(octets: Uint8Array): Ip | undefined {
  const head = ((octets[0] as number) & 0x0f) * 4;
  if (head < 20 || octets.length < head) return undefined;
  // 0 where the network card divides what is sent.
  const total = u16(octets, 2) || octets.length;
  if (total < head) return undefined;
  const address = (at: number): string => octets.subarray(at, at + 4).join('.');
  return {
    source: address(12),
    destination: address(16),
    protocol: octets[9] as number,
    payload: octets.subarray(head, total),
    fragment: (u16(octets, 6) & 0x3fff) !== 0,
    missing: Math.max(0, total - octets.length),
  };
}
function ipv6Of(octets: Uint8Array): Ip | undefined {
  if (octets.length < 40) return undefined;
  const length = u16(octets, 4) || octets.length - 40;
  const address = (at: number): string =>
    `[${Array.from({ length: 8 }, (_, i) => u16(octets, at + 2 * i).toString(16)).join(':')}]`;
  let protocol = octets[6] as number;
  let at = 40;
  let fragment = false;
  while ((headersBefore.has(protocol) || protocol === 44) && at + 8 <= octets.length) {
    if (protocol === 44) fragment ||= (u16(octets, at + 2) & 0xfff9) !== 0;
    const size =
      protocol === 44
        ? 8
        : protocol === 51
          ? ((octets[at + 1] as number) + 2) * 4
          : ((octets[at + 1] as number) + 1) * 8;
    protocol = octets[at] as number;
    at += size;
  }
  return {
    source: address(8),
    destination: address(24),
    protocol,
    payload: octets.subarray(at, 40 + length),
    fragment,
    missing: Math.max(0, 40 + length - octets.length),
  };
}

export class Network {
  private readonly settings: InputSettings;
  private readonly tcp: Connections;
  /** Kinds of trouble that were named already: the hundred packets after it have it too. */
  private readonly named = new Set<string>();

  constructor(settings: InputSettings) {
    this.settings = settings;
    this.tcp = new Connections(settings);
  }

  packet(packet: Packet): InputItem[] {
    const { link, octets, line, time, missing } = packet;
    if (isUser(link)) return this.line(packet, octets);
    if (link === serial) return octets.length > 12 ? this.line(packet, octets.subarray(12)) : [];
    const start = links.get(link);
    if (!start) return this.once(line, `link-layer type ${link} is not read`, false);
    const from = start(octets);
    if (from === undefined || octets.length - from < 20) return [];
    const ip = isIp(octets, from) ? ipOf(octets.subarray(from)) : undefined;
    if (!ip) return [];
    if (ip.fragment) return this.once(line, 'fragments of IP are not put together', true);
    const lacks = Math.max(missing, ip.missing);
    if (ip.protocol === protocolUdp) return this.udp(packet, ip, lacks);
    if (ip.protocol !== protocolTcp || ip.payload.length < 20) return [];
    const { payload } = ip;
    const head = ((payload[12] as number) >> 4) * 4;
    if (head < 20 || head > payload.length) return [];
    return this.tcp.segment({
      line,
      time,
      source: { address: ip.source, port: u16(payload, 0) },
      destination: { address: ip.destination, port: u16(payload, 2) },
      sequence: u32(payload, 4),
      acknowledged: u32(payload, 8),
      flags: payload[13] as number,
      octets: payload.subarray(head),
      missing: lacks,
    });
  }
  end(): InputItem[] {
    return this.tcp.end();
  }

  private once(line: number, text: string, isProblem: boolean): InputItem[] {
    if (this.named.has(text)) return [];
    this.named.add(text);
    return [isProblem ? { line, offset: 0, problem: text } : { line, ignored: text }];
  }
  private line({ line, time, direction, channel, missing }: Packet, octets: Uint8Array): InputItem[] {
    const item: RecordedLine = {
      line,
      time,
      direction: direction ?? 'unknown',
      octets: octets.slice(),
      ...(channel !== undefined && { channel }),
    };
    return missing > 0 ? [item, cut(line, octets.length, missing)] : [item];
  }
  private udp({ line, time }: Packet, ip: Ip, missing: number): InputItem[] {
    const { ports } = this.settings;
    const { payload } = ip;
    const octets = payload.subarray(8, Math.max(8, u16(payload, 4) || payload.length));
    if (payload.length < 9) return [];
    const [from, to] = [u16(payload, 0), u16(payload, 2)];
    const isChosen = (port: number): boolean => (ports.size > 0 ? ports.has(port) : port === 4059);
    if (!isChosen(from) && !isChosen(to) && (ports.size > 0 || !looksLikeDlms(octets))) return [];
    const ends = [`${ip.source}:${from}`, `${ip.destination}:${to}`];
    const direction = isChosen(to) === isChosen(from) ? 'unknown' : isChosen(to) ? 'to-meter' : 'from-meter';
    const channel = `udp ${ends.toSorted().join(' ')}`;
    const item: RecordedLine = { line, time, direction, octets: octets.slice(), channel };
    return missing > 0 ? [item, cut(line, octets.length, missing)] : [item];
  }
}
const ipOf = (octets: Uint8Array): Ip | undefined =>
  (octets[0] as number) >> 4 === 4 ? ipv4Of(octets) : ipv6Of(octets);
