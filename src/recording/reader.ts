/**
 * Reads a recording as it comes: a line with two ends, where each pair of addresses has a conversation of its own. What a
 * session tells of a meter is forgotten with the session: the next one may be with another meter.
 */
import type { Recorded, RecordedLine } from '../base/exchange-file.ts';
import { dataWords } from '../dlms/cosem/value-names.ts';
import type { Frame } from '../dlms/hdlc/frame.ts';
import type { WrapperFrame } from '../dlms/wrapper/wrapper.ts';
import { genericModel, type MeterModel } from '../meter/model.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { frameWords, octetsShown, short } from './apdu-text.ts';
import {
  type DecodeKeys,
  type Explained,
  nothingRead,
  type Place,
  type Reading,
  type ReaderSettings,
} from './explained.ts';
import { HeardAssociation } from './heard-association.ts';
import { Knowledge, valueOf } from './knowledge.ts';
import { HeardLink } from './link.ts';
import { Medium, type Placed } from './medium.ts';
import { mayShow, withheld } from './withhold.ts';

type Direction = RecordedLine['direction'];
interface Conversation {
  readonly association: HeardAssociation;
  readonly meter: string;
  /** HDLC only. */
  readonly link?: HeardLink;
  heardAt: number;
}
/** A line, or a connection. */
interface Channel {
  readonly media: Map<Direction, Medium<Place>>;
  readonly conversations: Map<string, Conversation>;
  readonly links: Conversation[];
  readonly known: Map<string, Knowledge>;
  /** wPort of the client, by the pair of ports. */
  readonly clients: Map<string, number>;
  newest: Place;
}
/** Pairs of addresses and connections that are followed at one time; the one that was silent longest is given up. */
const maxConversations = 512;
const maxChannels = 512;
const newChannel = (newest: Place): Channel => ({
  media: new Map(),
  conversations: new Map(),
  links: [],
  known: new Map(),
  clients: new Map(),
  newest,
});

/** Tags of requests, plain and ciphered; what a client sends. */
const requestTags: ReadonlySet<number> = new Set([
  0x01, 0x05, 0x06, 0x16, 0x21, 0x25, 0x26, 0x36, 0x45, 0x46, 0x56, 0x60, 0x62, 0xc0, 0xc1, 0xc3, 0xc8, 0xc9, 0xcb,
  0xd0, 0xd1, 0xd3, 0xd9,
]);
/** What wraps requests as well as answers tells nothing. */
const eitherTags: ReadonlySet<number> = new Set([0xdb, 0xdc, 0xdd, 0xdf, 0xe0]);
/** Where the recording does not tell the direction, the APDU does. */
function directionOf([tag]: Uint8Array, given: Direction): Direction {
  if (given !== 'unknown' || tag === undefined || eitherTags.has(tag)) return given;
  return requestTags.has(tag) ? 'to-meter' : 'from-meter';
}

export class RecordingReader {
  private readonly settings: ReaderSettings;
  private readonly channels = new Map<string, Channel>();
  private reading = nothingRead();
  private count = 0;
  private readonly out = (): Reading => this.reading;

  constructor(settings: ReaderSettings) {
    this.settings = settings;
  }

  private taken(): Reading {
    const done = this.reading;
    this.reading = nothingRead();
    return done;
  }
  private problem(at: Place, message: string): void {
    this.reading.problems.push(`line ${at.line}, ${message}`);
  }
  private show({ line, time }: Place, direction: Direction, what: Omit<Explained, keyof Place>): void {
    this.reading.frames.push({ line, time, direction, ...what });
  }

  private knownOf(channel: Channel, meter: string): Knowledge {
    let known = channel.known.get(meter);
    if (!known) channel.known.set(meter, (known = new Knowledge(meter, this.settings.model, this.out)));
    return known;
  }
  private begin(channel: Channel, meter: string, link?: HeardLink): Conversation {
    const known = this.knownOf(channel, meter);
    const association = new HeardAssociation(known, this.settings, this.out, meter);
    return { association, meter, heardAt: ++this.count, ...(link && { link }) };
  }
  private close(conversation: Conversation, at: Place): void {
    conversation.association.end(at);
    const left = conversation.link?.unfinished() ?? 0;
    if (left > 0) this.problem(at, `offset 0: the recording ends inside an APDU: ${left} octets of it are there`);
  }
  private longestSilent(all: Iterable<Conversation>): Conversation | undefined {
    return [...all].reduce<Conversation | undefined>((a, b) => (a && a.heardAt < b.heardAt ? a : b), undefined);
  }

  private conversationOf(channel: Channel, key: string, meter: string): Conversation {
    let found = channel.conversations.get(key);
    if (!found) {
      const eldest =
        channel.conversations.size >= maxConversations && this.longestSilent(channel.conversations.values());
      if (eldest)
        for (const [name, one] of channel.conversations) if (one === eldest) channel.conversations.delete(name);
      channel.conversations.set(key, (found = this.begin(channel, meter)));
    }
    found.heardAt = ++this.count;
    return found;
  }

  private onFrame(channel: Channel, frame: Frame, at: Place): void {
    let found =
      channel.links.find(({ link }) => link?.isOf(frame)) ?? channel.links.find(({ link }) => link?.mayBeOf(frame));
    const link = found?.link ?? new HeardLink(frame);
    const heard = link.hear(frame, at.direction);
    if (!found) {
      const eldest = channel.links.length >= maxConversations ? this.longestSilent(channel.links) : undefined;
      if (eldest) channel.links.splice(channel.links.indexOf(eldest), 1);
      channel.links.push((found = this.begin(channel, link.meter(), link)));
    }
    found.heardAt = ++this.count;
    const { direction, notes, problems, information, turned } = heard;
    const place: Place = { ...at, direction };
    const { text, trouble } = frameWords(frame);
    if (trouble !== undefined) this.problem(at, trouble);
    for (const message of problems) this.problem(at, `offset 0: ${message}`);
    if (turned === 'opened') found.association.restart(place);
    if (turned === 'closed') this.knownOf(channel, found.meter).flush();
    const { meter } = found;
    if (information === undefined || information.length === 0)
      return this.show(at, direction, { text: [text, ...notes, ...problems], meter });
    // LLC: E6 E6 00 or E6 E7 00 by the standard; some leave it out of pushes and later blocks.
    const bare = information[0] !== 0xe6;
    const understood = found.association.hear(bare ? information : information.subarray(3), place);
    this.show(at, direction, {
      ...understood,
      text: [text, ...notes, ...(bare ? ['no LLC header'] : []), ...understood.text],
      meter,
    });
  }

  private onMessage(channel: Channel, { at, message }: Placed<Place>): void {
    switch (message.is) {
      case 'problem':
        return this.problem(at, message.message);
      case 'unreadable': {
        const { octets, why } = message;
        this.problem(at, why.startsWith('offset ') ? why : `offset 0: ${why}`);
        const all = [...channel.conversations.values(), ...channel.links];
        const isOpen = mayShow(octets) && all.every(({ association }) => association.mayShow(octets));
        const shown = isOpen ? octetsShown(octets) : `${octets.length} octets, ${withheld}`;
        return this.show(at, at.direction, { text: [`unreadable: ${why}: ${shown}`] });
      }
      case 'sign-on':
        return this.show(at, at.direction, { text: [`sign-on ${JSON.stringify(message.text)}`] });
      case 'hdlc':
        return this.onFrame(channel, message.frame, at);
      case 'wrapper': {
        const { source, destination, apdu } = message.frame;
        const direction = this.wrapperDirection(channel, message.frame, at.direction);
        const [client, server] = direction === 'from-meter' ? [destination, source] : [source, destination];
        const { association, meter } = this.conversationOf(channel, `wrapper ${client}-${server}`, String(server));
        const { text, ...understood } = association.hear(apdu, { ...at, direction });
        const head = `wrapper ${source} → ${destination}, ${apdu.length} octets`;
        return this.show(at, direction, { ...understood, text: [head, ...text], meter });
      }
      case 'mbus': {
        const { association } = this.conversationOf(channel, message.from, message.from);
        const { text, ...understood } = association.hear(message.apdu, { ...at, direction: 'from-meter' });
        return this.show(at, at.direction, { ...understood, text: [message.from, ...text], meter: message.from });
      }
      case 'telegram': {
        const { association } = this.conversationOf(channel, 'p1', '');
        return this.show(at, at.direction, association.telegram(message.telegram, { ...at, direction: 'from-meter' }));
      }
      case 'apdu': {
        const { association } = this.conversationOf(channel, 'apdu', '');
        const direction = directionOf(message.octets, at.direction);
        return this.show(at, at.direction, association.hear(message.octets, { ...at, direction }));
      }
      case 'value': {
        this.knownOf(channel, '').learn(undefined, message.octets, at.line);
        const data = valueOf(message.octets);
        return this.show(at, at.direction, {
          text: [`value ${short(data ? dataWords(data) : 'too large to be shown')}`],
        });
      }
    }
  }

  /** What wraps requests as well as answers goes as the pair of ports was known to; unasked, from the meter. */
  private wrapperDirection(
    { clients }: Channel,
    { source, destination, apdu }: WrapperFrame,
    given: Direction,
  ): Direction {
    const pair = [source, destination].toSorted((a, b) => a - b).join('-');
    const direction = directionOf(apdu, given);
    if (direction === 'unknown') return clients.get(pair) === source ? 'to-meter' : 'from-meter';
    clients.set(pair, direction === 'to-meter' ? source : destination);
    return direction;
  }

  private endChannel(channel: Channel): void {
    for (const medium of channel.media.values())
      for (const placed of medium.end(channel.newest)) this.onMessage(channel, placed);
    for (const conversation of [...channel.conversations.values(), ...channel.links])
      this.close(conversation, channel.newest);
    for (const known of channel.known.values()) known.flush();
  }
  private channelOf(name: string, at: Place): Channel {
    let channel = this.channels.get(name);
    if (!channel) {
      const [eldest] = this.channels.keys();
      if (eldest !== undefined && this.channels.size >= maxChannels) {
        this.endChannel(this.channels.get(eldest) as Channel);
        this.channels.delete(eldest);
      }
      this.channels.set(name, (channel = newChannel(at)));
    }
    channel.newest = at;
    return channel;
  }

  push(item: Recorded): Reading {
    const name = item.channel ?? '';
    if ('session' in item) {
      const before = this.channels.get(name);
      if (before) this.endChannel(before);
      this.channels.delete(name);
      return this.taken();
    }
    const { line, time, direction, octets } = item;
    const at: Place = { line, time, direction };
    const channel = this.channelOf(name, at);
    let medium = channel.media.get(direction);
    if (!medium) channel.media.set(direction, (medium = new Medium<Place>()));
    for (const placed of medium.push(octets, at)) this.onMessage(channel, placed);
    return this.taken();
  }
  /** Nothing more comes: what waited is shown, what is cut is named. */
  end(): Reading {
    for (const channel of this.channels.values()) this.endChannel(channel);
    this.channels.clear();
    return this.taken();
  }
}

export interface Explanation {
  readonly frames: readonly Explained[];
  readonly rows: readonly LoadProfileRow[];
  readonly problems: readonly string[];
}
/** A whole recording at once. */
export function explain(
  recorded: Iterable<Recorded>,
  keys: DecodeKeys = {},
  model: MeterModel = genericModel,
): Explanation {
  const reader = new RecordingReader({ keys, model });
  const all = nothingRead();
  const add = ({ frames, rows, problems }: Reading): void => {
    for (const one of frames) all.frames.push(one);
    for (const one of rows) all.rows.push(one);
    for (const one of problems) all.problems.push(one);
  };
  for (const item of recorded) add(reader.push(item));
  add(reader.end());
  return { ...all, rows: all.rows.map(({ row }) => row) };
}
