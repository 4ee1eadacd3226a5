/**
 * Connections of TCP in a capture: octets in their order, each once. What the capture lacks is said with its length as soon as
 * an answer shows that it was sent; a capture may begin in the middle of a connection.
 */
import type { RecordedLine } from '../../base/exchange-file.ts';
import type { InputItem, InputSettings } from './item.ts';
import { looksLikeDlms } from './framing.ts';

interface End {
  readonly address: string;
  readonly port: number;
}
export interface Segment {
  readonly line: number;
  readonly time: string;
  readonly source: End;
  readonly destination: End;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
  readonly octets: Uint8Array;
  /** Octets of it that were not recorded. */
  readonly missing: number;
}
interface Held {
  readonly sequence: number;
  readonly octets: Uint8Array;
  readonly missing: number;
  readonly line: number;
  readonly time: string;
}
/** What one side sends. */
interface Way {
  /** Sequence number of what comes next; nothing before the first segment. */
  next: number | undefined;
  held: Held[];
  heldOctets: number;
}
interface Connection {
  readonly key: string;
  readonly ways: Map<string, Way>;
  /** The side that a meter has. */
  meter: string | undefined;
  /** Nothing before octets show whether it is of DLMS. */
  isChosen: boolean | undefined;
  /** What waits for that. */
  waiting: InputItem[];
  waitingOctets: number;
  begun: boolean;
}

const fin = 0x01;
const syn = 0x02;
const rst = 0x04;
const ack = 0x10;
const maxConnections = 4096;
const maxHeldSegments = 256;
const maxHeldOctets = 1 << 18;
/** Of a connection that nobody knows yet. */
const maxWaiting = 1 << 12;

/** Behind `offset` octets of a packet that the capture does not have whole. */
export const cut = (line: number, offset: number, missing: number): InputItem => ({
  line,
  offset,
  problem: `the capture holds only the beginning of this packet: ${missing} octets are missing`,
});

const nameOf = ({ address, port }: End): string => `${address}:${port}`;
/** How far b is behind a, in the circle of 2^32. */
const distance = (a: number, b: number): number => (b - a) | 0;
const later = (sequence: number, octets: number): number => (sequence + octets) >>> 0;

/** A meter that opens the connection itself pushes as soon as it may. */
function isPush(octets: Uint8Array): boolean {
  if (octets[0] === 0x7e) {
    // Destination, source, then control: UI.
    let at = 3;
    for (let address = 0; address < 2; address++) {
      while (at < octets.length && ((octets[at] as number) & 1) === 0) at++;
      at++;
    }
    return ((octets[at] ?? 0) & 0xef) === 0x03;
  }
  return octets[0] === 0 && octets.length > 8 && [0x0f, 0xc2, 0x61, 0x63].includes(octets[8] as number);
}

export class Connections {
  private readonly settings: InputSettings;
  private readonly open = new Map<string, Connection>();
  private ignored = 0;
  private lastLine = 0;

  constructor(settings: InputSettings) {
    this.settings = settings;
  }

  segment(segment: Segment): InputItem[] {
    const { source, destination, flags } = segment;
    this.lastLine = segment.line;
    const [from, to] = [nameOf(source), nameOf(destination)];
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    const before = this.open.get(key);
    const isFirst = (flags & (syn | ack)) === syn;
    const repeated = before?.ways.get(from)?.next === later(segment.sequence, 1);
    const items: InputItem[] = [];
    let connection = before;
    if (connection && isFirst && !repeated) {
      items.push(...this.finish(connection));
      connection = undefined;
    }
    if (!connection) {
      if ((flags & rst) !== 0) return items;
      connection = this.begin(key, segment);
      if (flags & syn) items.push(...this.announce(connection, segment));
    }
    // The one heard last stands last.
    this.open.delete(key);
    this.open.set(key, connection);
    items.push(...this.hear(connection, segment));
    if ((flags & rst) !== 0) items.push(...this.finish(connection));
    return items;
  }
  end(): InputItem[] {
    const items = [...this.open.values()].flatMap((connection) => this.finish(connection));
    if (this.ignored > 0) {
      const many = this.ignored === 1 ? '1 connection holds' : `${this.ignored} connections hold`;
      items.push({ line: this.lastLine, ignored: `${many} nothing that looks like DLMS` });
      this.ignored = 0;
    }
    return items;
  }

  private begin(key: string, { source, destination, flags }: Segment): Connection {
    const isServer = ({ port }: End): boolean =>
      this.settings.ports.size > 0 ? this.settings.ports.has(port) : port === 4059;
    const chosen = isServer(source) || isServer(destination);
    const server = (flags & syn) !== 0 ? ((flags & ack) !== 0 ? source : destination) : undefined;
    const meter = server ?? [source, destination].find(isServer);
    const connection: Connection = {
      key,
      ways: new Map(),
      meter: meter && nameOf(meter),
      isChosen: chosen ? true : this.settings.ports.size > 0 ? false : undefined,
      waiting: [],
      waitingOctets: 0,
      begun: false,
    };
    const [eldest] = this.open.values();
    if (eldest && this.open.size >= maxConnections) this.open.delete(eldest.key);
    this.open.set(key, connection);
    return connection;
  }
  private announce(connection: Connection, { line, source, destination }: Segment): InputItem[] {
    const item: InputItem = {
      line,
      session: `connect ${nameOf(source)} -> ${nameOf(destination)}`,
      channel: `tcp ${connection.key}`,
    };
    return this.pass(connection, [item], 0);
  }
  /** What is not known to be of DLMS waits until its octets show it. */
  private pass(connection: Connection, items: InputItem[], octets: number): InputItem[] {
    if (connection.isChosen) return items;
    if (connection.isChosen === undefined) {
      connection.waiting.push(...items);
      connection.waitingOctets += octets;
    }
    return [];
  }

  private hear(connection: Connection, segment: Segment): InputItem[] {
    const { sequence, octets, missing, flags, line, time, source, destination } = segment;
    const items: InputItem[] = [];
    const from = nameOf(source);
    const to = nameOf(destination);
    const way = wayOf(connection, from);
    const other = wayOf(connection, to);
    // It answers what this capture did not see: that will not come any more.
    if ((flags & ack) !== 0 && octets.length > 0 && other.next !== undefined) {
      const gap = distance(other.next, segment.acknowledged);
      if (gap > 0 && gap < 1 << 30) items.push(...this.giveUp(connection, to, other, segment));
    }
    if ((flags & syn) !== 0) way.next = later(sequence, 1);
    way.next ??= sequence;
    if (octets.length > 0 || missing > 0) {
      way.held.push({
        sequence: (flags & syn) !== 0 ? later(sequence, 1) : sequence,
        octets: octets.slice(),
        missing,
        line,
        time,
      });
      way.heldOctets += octets.length;
      if (way.held.length > 1) way.held.sort((a, b) => distance(b.sequence, a.sequence));
      items.push(...this.take(connection, from, way));
      while (way.held.length > maxHeldSegments || way.heldOctets > maxHeldOctets)
        items.push(...this.skip(connection, from, way));
    }
    if ((flags & fin) !== 0) items.push(...this.flush(connection, from, way));
    return items;
  }
  /** What follows on what came, in order. */
  private take(connection: Connection, from: string, way: Way): InputItem[] {
    const items: InputItem[] = [];
    for (;;) {
      const [first] = way.held;
      if (!first || way.next === undefined || distance(way.next, first.sequence) > 0) return items;
      way.held.shift();
      way.heldOctets -= first.octets.length;
      const repeated = -distance(way.next, first.sequence);
      if (repeated >= first.octets.length + first.missing) continue;
      const fresh = first.octets.subarray(Math.min(repeated, first.octets.length));
      way.next = later(first.sequence, first.octets.length + first.missing);
      if (fresh.length > 0) items.push(...this.octets(connection, from, first, fresh));
      if (first.missing > 0)
        items.push(...this.pass(connection, [cut(first.line, first.octets.length, first.missing)], 0));
    }
  }
  /** Over a gap to what is held behind it. */
  private skip(connection: Connection, from: string, way: Way): InputItem[] {
    const [first] = way.held;
    if (!first || way.next === undefined) return [];
    const gap = distance(way.next, first.sequence);
    way.next = first.sequence;
    return [...this.lost(connection, from, gap, first.line), ...this.take(connection, from, way)];
  }
  private flush(connection: Connection, from: string, way: Way): InputItem[] {
    const items: InputItem[] = [];
    while (way.held.length > 0) items.push(...this.skip(connection, from, way));
    return items;
  }
  /** The other side has got it all; this capture has not. */
  private giveUp(connection: Connection, from: string, way: Way, { acknowledged, line }: Segment): InputItem[] {
    const items: InputItem[] = [];
    while (way.held[0] && distance(way.held[0].sequence, acknowledged) > 0)
      items.push(...this.skip(connection, from, way));
    const gap = distance(way.next as number, acknowledged);
    if (gap > 0) {
      way.next = acknowledged;
      items.push(...this.lost(connection, from, gap, line));
    }
    return items;
  }
  private lost(connection: Connection, from: string, gap: number, line: number): InputItem[] {
    if (gap <= 0) return [];
    const problem = `${gap} ${gap === 1 ? 'octet' : 'octets'} from ${from} are missing in the capture`;
    return this.pass(connection, [{ line, offset: 0, problem }], 0);
  }
  private octets(connection: Connection, from: string, { line, time }: Held, octets: Uint8Array): InputItem[] {
    const isFirst = !connection.begun;
    connection.begun = true;
    if (connection.isChosen === undefined && looksLikeDlms(octets)) connection.isChosen = true;
    if (isFirst && connection.meter !== undefined && connection.meter !== from && isPush(octets))
      connection.meter = from;
    if (connection.meter === undefined) {
      const [a = '', b = ''] = connection.key.split(' ');
      const port = (name: string): number => Number(name.slice(name.lastIndexOf(':') + 1));
      connection.meter = isPush(octets) ? from : port(a) < port(b) ? a : b;
    }
    const direction: RecordedLine['direction'] = from === connection.meter ? 'from-meter' : 'to-meter';
    const item: RecordedLine = { line, time, direction, octets, channel: `tcp ${connection.key}` };
    const before = connection.isChosen ? connection.waiting : [];
    if (connection.isChosen) connection.waiting = [];
    const items = [...before, ...this.pass(connection, [item], octets.length)];
    if (connection.isChosen === undefined && connection.waitingOctets > maxWaiting) {
      connection.isChosen = false;
      connection.waiting = [];
    }
    return items;
  }
  private finish(connection: Connection): InputItem[] {
    this.open.delete(connection.key);
    const items = [...connection.ways].flatMap(([from, way]) => this.flush(connection, from, way));
    if (!connection.isChosen && connection.begun) this.ignored++;
    return items;
  }
}
function wayOf({ ways }: Connection, name: string): Way {
  let way = ways.get(name);
  if (!way) ways.set(name, (way = { next: undefined, held: [], heldOctets: 0 }));
  return way;
}
