/**
 * What meters send unasked (Green Book 4.6, 8.4.5.4.4, 9.4.6.8): data-notification, event-notification and
 * information-report, in UI or I frames, segmented or not, or in wrapper frames; as general blocks; ciphered; and telegrams of a P1 port. One
 * machine for one line, that only listens.
 */
import { concat } from '../../base/cursor.ts';
import { CodecError, Failure, messageOf } from '../../base/errors.ts';
import { toHex } from '../../base/hex.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import { earliest, isDue } from '../../base/timers.ts';
import { Ciphering, type CipheringSettings } from '../association/ciphering.ts';
import { Deframer } from '../hdlc/deframer.ts';
import { addressText, type Frame } from '../hdlc/frame.ts';
import { LongFrames } from '../mbus/long-frames.ts';
import { holdsTelegram, type P1Found, P1Telegrams, type P1Telegram, parseTelegram } from '../p1/telegram.ts';
import { Unwrapper, type WrapperFrame } from '../wrapper/wrapper.ts';
import { type Apdu, type ApduOf, decodeApdu } from '../xdlms/apdu.ts';

export type Notification = ApduOf<'data-notification' | 'event-notification' | 'information-report-request'>;
export interface NotificationSettings {
  readonly link: 'hdlc' | 'wrapper' | 'p1';
  /** Silence after which a frame that has begun is given up; meters pause for 3 s (meter-quirks 11). */
  readonly quietMs: number;
  /** How long segments and blocks wait for the rest of their list. */
  readonly patienceMs: number;
  /** The longest APDU that segments or blocks may build up, octets. */
  readonly reassemblyLimit: number;
  /** Senders with an unfinished list at one time; the eldest is given up for another. */
  readonly senderLimit: number;
  /** How a meter with this system title ciphers; undefined where there is no key for it. */
  readonly ciphering?: (systemTitle: Uint8Array) => Omit<CipheringSettings, 'nextCounter' | 'wrapping'> | undefined;
  /** The newest counter that was heard of a system title before; what comes with that or a lower one is refused. */
  readonly heard?: (systemTitle: Uint8Array) => number | undefined;
  /** The sender of APDUs that carry no system title. */
  readonly systemTitle?: Uint8Array;
  /** What is known of the counters of senders, kept by the caller: over connections that come and go, a push comes once. */
  readonly senders?: Map<string, Ciphering>;
  /** `06 09` for `09 06` before an OBIS code (meter-quirks 62). */
  readonly swappedObis?: boolean;
}
/** Of whoever listens to meters. */
export const listeningLimits = {
  quietMs: 5000,
  patienceMs: 30_000,
  reassemblyLimit: 1 << 16,
  senderLimit: 64,
} satisfies Partial<NotificationSettings>;
export type NotificationEvent =
  | {
      readonly kind: 'telegram';
      /** `p1`. */
      readonly from: string;
      readonly telegram: P1Telegram;
      /** As of a notification, where the telegram came ciphered. */
      readonly systemTitle?: Uint8Array;
      readonly authentic?: boolean;
      readonly counter?: number;
    }
  | {
      readonly kind: 'notification';
      /** HDLC address or wPort of the sender. */
      readonly from: string;
      readonly apdu: Notification;
      /** The APDU as it came, put together. */
      readonly octets: Uint8Array;
      /** Of the sender, where the APDU was ciphered or signed. */
      readonly systemTitle?: Uint8Array;
      /** A right tag or signature proves that it is the sender. */
      readonly authentic?: boolean;
      /** Its invocation counter, of the global key. */
      readonly counter?: number;
    }
  /** Something came that is no readable notification; the next one may be. */
  | {
      readonly kind: 'unreadable';
      readonly from: string;
      readonly error: Failure;
      /** Of whom it says that it comes. Nothing proves it. */
      readonly systemTitle?: Uint8Array;
      /** A whole APDU, where that is what could not be read. */
      readonly octets?: Uint8Array;
    };

interface Pending {
  readonly parts: Uint8Array[];
  length: number;
  /** General blocks: the number that comes next. */
  next: number;
  since: Millis;
}
const notifications: readonly string[] = ['data-notification', 'event-notification', 'information-report-request'];
export const isNotification = (apdu: Apdu): apdu is Notification => notifications.includes(apdu.kind);
const noOctets = new Uint8Array(0);
const lastBlock = 0x80;
/** System titles whose counters are remembered. */
const titleLimit = 4096;

export class NotificationReceiver implements Machine<never, NotificationEvent> {
  private readonly settings: NotificationSettings;
  private readonly deframer = new Deframer();
  private readonly longFrames = new LongFrames();
  /** What the line carries, once a whole frame showed it: HDLC, or DLMS in frames of M-Bus (meter-quirks 96). */
  private carries: 'hdlc' | 'mbus' | undefined;
  private readonly unwrapper = new Unwrapper();
  private readonly telegrams = new P1Telegrams();
  private readonly events: NotificationEvent[] = [];
  private readonly segments = new Map<string, Pending>();
  private readonly blocks = new Map<string, Pending>();
  /** What is known of each sender's counter. Only an APDU that is protected as the policy wants it makes an entry. */
  private readonly senders: Map<string, Ciphering>;
  private quietAt: Millis | undefined;

  constructor(settings: NotificationSettings) {
    this.settings = settings;
    this.senders = settings.senders ?? new Map();
  }
  get damaged(): number {
    return this.deframer.damaged;
  }

  request(): void {}
  /** It only listens. */
  pollTransmit(): undefined {
    return undefined;
  }
  pollEvent(): NotificationEvent | undefined {
    return this.events.shift();
  }
  deadline(): Millis | undefined {
    const unfinished = [...this.segments.values(), ...this.blocks.values()];
    return earliest([this.quietAt, ...unfinished.map(({ since }) => later(since, this.settings.patienceMs))]);
  }

  receive(octets: Uint8Array, now: Millis): void {
    if (this.settings.link === 'p1') return this.port(octets, now);
    if (this.settings.link === 'hdlc') {
      this.serial(octets, now);
      this.quietAt = this.deframer.pending || this.longFrames.pending ? later(now, this.settings.quietMs) : undefined;
      return;
    }
    let frames: WrapperFrame[];
    try {
      frames = this.unwrapper.push(octets);
    } catch (error) {
      return this.unreadable('wrapper', error);
    }
    for (const { source, apdu } of frames) this.apdu(apdu, String(source), now);
  }

  wake(now: Millis): void {
    if (isDue(this.quietAt, now)) {
      this.quietAt = undefined;
      if (this.settings.link === 'p1') return this.found(this.telegrams.end(), now);
      const damaged = this.deframer.damaged;
      for (const frame of this.deframer.flush()) this.frame(frame, now);
      const cut = this.longFrames.clear() && this.carries === 'mbus';
      if (cut || (this.deframer.damaged > damaged && this.carries !== 'mbus'))
        this.unreadable('the line', new Failure('damaged-answer', 'a frame came cut or damaged'));
    }
    for (const pending of [this.segments, this.blocks]) {
      for (const [from, { since, length }] of pending) {
        if (!isDue(later(since, this.settings.patienceMs), now)) continue;
        pending.delete(from);
        this.unreadable(from, new Failure('fell-silent', `the rest of a list did not come after ${length} octets`));
      }
    }
  }

  /** A datagram ended: a frame that is not whole in it never will be. Segments and blocks go on in the next one. */
  endOfDatagram(now: Millis): void {
    if (this.settings.link === 'wrapper') {
      const octets = this.unwrapper.pendingOctets;
      if (octets === 0) return;
      this.unwrapper.clear();
      this.unreadable(
        'wrapper',
        new Failure('damaged-answer', `a datagram ended within a frame, after ${octets} octets of it`),
      );
      return;
    }
    if (this.quietAt === undefined) return;
    this.quietAt = now;
    this.wake(now);
  }

  /** A P1 port: telegrams, and APDUs that hold one. */
  private port(octets: Uint8Array, now: Millis): void {
    this.found(this.telegrams.push(octets), now);
    this.quietAt = this.telegrams.pendingOctets > 0 ? later(now, this.settings.quietMs) : undefined;
  }
  private found(all: readonly P1Found[], now: Millis): void {
    for (const one of all) {
      if (one.is === 'telegram') this.events.push({ kind: 'telegram', from: 'p1', telegram: one.telegram });
      else if (one.is === 'ciphered') this.apdu(one.apdu, 'p1', now);
      else if (one.is === 'damaged') this.unreadable('p1', new Failure('damaged-answer', one.why));
      // Octets before the first telegram are the rest of one that began before somebody listened.
    }
  }

  private serial(octets: Uint8Array, now: Millis): void {
    if (this.carries !== 'mbus')
      for (const frame of this.deframer.push(octets)) {
        this.carries = 'hdlc';
        this.frame(frame, now);
      }
    if (this.carries === 'hdlc') {
      this.longFrames.clear();
      return;
    }
    const { apdus, frames } = this.longFrames.push(octets);
    if (frames > 0) this.carries = 'mbus';
    for (const { from, apdu } of apdus) this.apdu(apdu, from, now);
  }

  private unreadable(from: string, error: unknown): void {
    const failure = error instanceof Failure ? error : new Failure('malformed-octets', messageOf(error));
    const { claimed, whole: octets } = this;
    const more = { ...(claimed && { systemTitle: claimed }), ...(octets && { octets }) };
    this.events.push({ kind: 'unreadable', from, error: failure, ...more });
  }
  /** The system title in the APDU that is looked at. */
  private claimed: Uint8Array | undefined;
  /** That APDU. */
  private whole: Uint8Array | undefined;

  /** Adds a part of a sender's list; undefined where it has become too long. */
  private add(all: Map<string, Pending>, from: string, part: Uint8Array, now: Millis): Pending | undefined {
    let pending = all.get(from);
    if (!pending) {
      const [eldest] = all.keys();
      if (eldest !== undefined && all.size >= this.settings.senderLimit) {
        all.delete(eldest);
        this.unreadable(eldest, new Failure('answer-too-long', 'too many unfinished lists at one time'));
      }
      pending = { parts: [], length: 0, next: 0, since: now };
      all.set(from, pending);
    }
    // A part without content is none: a sender of nothing else neither fills the memory nor renews the patience.
    if (part.length === 0) return pending;
    pending.parts.push(part);
    pending.length += part.length;
    pending.since = now;
    if (pending.length <= this.settings.reassemblyLimit) return pending;
    all.delete(from);
    this.unreadable(from, new Failure('answer-too-long', `more than ${this.settings.reassemblyLimit} octets`));
    return undefined;
  }

  private frame(frame: Frame, now: Millis): void {
    const { kind } = frame.control;
    if (kind !== 'UI' && kind !== 'I') return;
    const from = addressText(frame.source);
    // UI frames have no numbers: one that begins like a list while another is unfinished begins it anew.
    const begun = this.segments.get(from);
    if (begun && begun.length > 0 && beginsList(frame.information)) {
      this.segments.delete(from);
      this.unreadable(from, new Failure('fell-silent', `a list began anew after ${begun.length} octets of one before`));
    }
    const pending = this.add(this.segments, from, frame.information, now);
    if (!pending || frame.segmented) return;
    this.segments.delete(from);
    const information = concat(pending.parts);
    // LLC: E6 E7 00 by the standard, E6 E6 00 in the pushes of some, none at all in those of others.
    this.apdu(information[0] === 0xe6 ? information.subarray(3) : information, from, now);
  }

  /** An APDU that somebody kept: it is read as if it came now. */
  receiveApdu(octets: Uint8Array, from: string, now: Millis): void {
    this.apdu(octets, from, now);
  }

  private apdu(octets: Uint8Array, from: string, now: Millis): void {
    this.whole = octets;
    try {
      const apdu = this.decoded(octets);
      if (apdu.kind === 'general-block-transfer') this.block(apdu, from, now);
      else this.notification(apdu, from);
    } catch (error) {
      this.unreadable(from, error);
    }
    this.claimed = this.whole = undefined;
  }

  private decoded(octets: Uint8Array): Apdu {
    return decodeUnasked(octets, this.settings.swappedObis === true);
  }

  /** Blocks nobody asked for: they are only counted, nothing is acknowledged (meter-quirks 55). */
  private block(apdu: ApduOf<'general-block-transfer'>, from: string, now: Millis): void {
    const before = this.blocks.get(from);
    if (before && apdu.number === before.next - 1) return;
    if (before && apdu.number !== before.next) {
      this.blocks.delete(from);
      throw new Failure('block-out-of-order', `block ${apdu.number} where ${before.next} is expected`);
    }
    if (!before && apdu.number > 1)
      throw new Failure('block-out-of-order', `the list begins with block ${apdu.number}`);
    const pending = this.add(this.blocks, from, apdu.content, now);
    if (!pending) return;
    pending.next = apdu.number + 1;
    if ((apdu.control & lastBlock) === 0) return;
    this.blocks.delete(from);
    const octets = concat(pending.parts);
    this.whole = octets;
    const whole = this.decoded(octets);
    if (whole.kind === 'general-block-transfer')
      throw new Failure('unexpected-apdu', 'general blocks inside of blocks');
    this.notification(whole, from);
  }

  private notification(apdu: Apdu, from: string): void {
    const octets = this.whole ?? noOctets;
    if (isNotification(apdu)) {
      this.events.push({ kind: 'notification', from, apdu, octets });
      return;
    }
    if (!Ciphering.isCiphered(apdu)) throw new Failure('unexpected-apdu', `${apdu.kind} is no notification`);
    const given = 'systemTitle' in apdu ? apdu.systemTitle : 'originator' in apdu ? apdu.originator : undefined;
    const title = given?.length === 8 ? given : this.settings.systemTitle;
    if (!title)
      throw new Failure('deciphering-failed', `${apdu.kind} does not tell whose it is: give the system title`);
    this.claimed = title;
    const name = toHex(title);
    const ciphering = this.senders.get(name) ?? this.newSender(title, `${apdu.kind} of ${name}`);
    const plain = ciphering.unwrap(apdu);
    this.remember(name, ciphering);
    const sender = { from, systemTitle: title, authentic: ciphering.authentic, counter: ciphering.heardGlobal };
    if (holdsTelegram(plain)) {
      const telegram = parseTelegram(plain);
      if ('why' in telegram)
        throw new Failure('unexpected-apdu', `${apdu.kind} holds a telegram that is none: ${telegram.why}`);
      this.events.push({ kind: 'telegram', telegram, ...sender });
      return;
    }
    const inside = this.decoded(plain);
    if (!isNotification(inside)) throw new Failure('unexpected-apdu', `${apdu.kind} holds ${inside.kind}`);
    this.events.push({ kind: 'notification', apdu: inside, octets, ...sender });
  }

  /** The key of a sender that was not heard yet. */
  private newSender(title: Uint8Array, what: string): Ciphering {
    const settings = this.settings.ciphering?.(title);
    if (!settings) throw new Failure('secret-missing', `${what} is ciphered, and there is no key for it`);
    const ciphering = listening(settings, title);
    ciphering.startAfter(this.settings.heard?.(title) ?? -1);
    return ciphering;
  }
  private remember(name: string, ciphering: Ciphering): void {
    if (this.senders.has(name)) return;
    const [eldest] = this.senders.keys();
    if (eldest !== undefined && this.senders.size >= titleLimit) this.senders.delete(eldest);
    this.senders.set(name, ciphering);
  }
}

/** LLC header of what a server sends, and a notification or what wraps one behind it. */
const firstTags: ReadonlySet<number> = new Set([0x0f, 0xc2, 0x18, 0xdb, 0xdc, 0xdd, 0xdf, 0xe0]);
export const beginsList = ([llc, , quality, tag]: Uint8Array): boolean =>
  llc === 0xe6 && quality === 0 && tag !== undefined && firstTags.has(tag);

function listening(settings: Omit<CipheringSettings, 'nextCounter' | 'wrapping'>, title: Uint8Array): Ciphering {
  const ciphering = new Ciphering({
    ...settings,
    wrapping: 'general',
    nextCounter: () => {
      throw new Failure('busy', 'a listener sends nothing');
    },
  });
  ciphering.peerTitle = title;
  return ciphering;
}

/** `swappedObis`: `06 09` may stand for `09 06` before an OBIS code (meter-quirks 62). */
export function decodeUnasked(octets: Uint8Array, swappedObis: boolean): Apdu {
  if (!swappedObis) return decodeApdu(octets).apdu;
  // As it stands, a swapped tag is a number and rubbish behind it: what is left over tells.
  const mended = withObisMended(octets);
  try {
    const { apdu, trailing } = decodeApdu(octets);
    return trailing === 0 ? apdu : decodeApdu(mended).apdu;
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return decodeApdu(mended).apdu;
  }
}

/** `06 09` before six octets that end like an OBIS code, turned round. Only where the octets make no sense as they are. */
function withObisMended(octets: Uint8Array): Uint8Array {
  const mended = octets.slice();
  for (let at = 0; at + 8 <= mended.length; at++) {
    if (mended[at] !== 0x06 || mended[at + 1] !== 0x09 || mended[at + 7] !== 0xff) continue;
    mended[at] = 0x09;
    mended[at + 1] = 0x06;
    at += 7;
  }
  return mended;
}
