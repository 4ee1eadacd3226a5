/**
 * The octets that went one way over a line, cut into messages by the machines of the stack: frames of HDLC, of the wrapper
 * and of M-Bus, texts of a sign-on, or APDUs and values alone. What begins in the middle is said to be so and not guessed at.
 */
import { concat } from '../base/cursor.ts';
import { messageOf } from '../base/errors.ts';
import { decode } from '../base/codec.ts';
import { isAcse, decodeAcse } from '../dlms/acse/apdu.ts';
import { dataCodec } from '../dlms/axdr/data.ts';
import { Deframer } from '../dlms/hdlc/deframer.ts';
import type { Frame } from '../dlms/hdlc/frame.ts';
import { stripParity } from '../dlms/iec62056-21/parity.ts';
import { LongFrames } from '../dlms/mbus/long-frames.ts';
import { type P1Found, P1Telegrams, type P1Telegram } from '../dlms/p1/telegram.ts';
import { u16At, Unwrapper, type WrapperFrame, wrapperSize } from '../dlms/wrapper/wrapper.ts';
import { decodeApdu } from '../dlms/xdlms/apdu.ts';

export type Message =
  | { readonly is: 'hdlc'; readonly frame: Frame }
  | { readonly is: 'wrapper'; readonly frame: WrapperFrame }
  | { readonly is: 'mbus'; readonly from: string; readonly apdu: Uint8Array }
  | { readonly is: 'sign-on'; readonly text: string }
  | { readonly is: 'telegram'; readonly telegram: P1Telegram }
  /** An APDU without anything around it. */
  | { readonly is: 'apdu'; readonly octets: Uint8Array }
  /** One A-XDR value without an APDU around it. */
  | { readonly is: 'value'; readonly octets: Uint8Array }
  /** Neither a frame nor an APDU nor a value. */
  | { readonly is: 'unreadable'; readonly octets: Uint8Array; readonly why: string }
  | { readonly is: 'problem'; readonly message: string };

const flag = 0x7e;
const slash = 0x2f;
const acknowledge = 0x06;
const lineFeed = 0x0a;
const longStart = 0x68;
const maxSignOn = 80;
/** A message without a frame is no longer than this. */
const maxBare = 1 << 17;
const headOctets = 8;

const counted = (count: number): string => `${count} ${count === 1 ? 'octet' : 'octets'}`;
const problem = (message: string): Message => ({
  is: 'problem',
  message: message.startsWith('offset ') ? message : `offset 0: ${message}`,
});

/** Whether whole wrapper frames fill the octets to the end, one behind the other. */
function isChain(octets: Uint8Array, from: number): boolean {
  let at = from;
  while (octets.length - at >= headOctets && u16At(octets, at) === 1 && wrapperSize(octets, at) > headOctets)
    at += wrapperSize(octets, at);
  return at === octets.length && at > from;
}
/** The next place where whole wrapper frames go to the end. */
function nextChain(octets: Uint8Array, from: number): number | undefined {
  for (let at = from; at + headOctets < octets.length; at++) if (isChain(octets, at)) return at;
  return undefined;
}

type Bare = Extract<Message, { readonly is: 'apdu' | 'value' }>;
/** One APDU or one value, and nothing behind it; or why it is none. */
function bareMessage(octets: Uint8Array): Bare | { readonly why: string } {
  const first = octets[0] as number;
  try {
    if (first === 1 || first === 2) {
      try {
        decode(dataCodec, octets);
        return { is: 'value', octets };
      } catch {
        // Not alone: an APDU with that tag.
      }
    }
    if (isAcse(first)) decodeAcse(octets);
    else {
      const { trailing } = decodeApdu(octets);
      if (trailing > 0 && octets.subarray(-trailing).some((octet) => octet !== 0))
        return { why: `${trailing} octets after an APDU` };
    }
    return { is: 'apdu', octets };
  } catch (error) {
    return { why: messageOf(error) };
  }
}

interface Framing {
  push(octets: Uint8Array): Message[];
  end(): Message[];
}

function hdlcFraming(): Framing {
  const deframer = new Deframer();
  let frames = 0;
  let signOn: number[] | undefined;
  const found = (run: () => Frame[]): Message[] => {
    const { damaged, dropped } = deframer;
    const messages = run().map((frame): Message => ({ is: 'hdlc', frame }));
    const lost = deframer.dropped - dropped;
    const problems: Message[] = [];
    if (deframer.damaged > damaged) problems.push(problem(`damaged frame (${deframer.lastDamage})`));
    if (lost > 0)
      problems.push(
        problem(
          `${counted(lost)} ${frames === 0 && messages.length > 0 ? 'before the first good frame' : 'outside of frames'}`,
        ),
      );
    frames += messages.length;
    return [...messages, ...problems];
  };
  /** The sign-on stands between frames, where no flag is. */
  const takeSignOn = (octets: Uint8Array): { readonly messages: Message[]; readonly rest: Uint8Array } => {
    const messages: Message[] = [];
    let at = 0;
    for (; at < octets.length; at++) {
      const octet = octets[at] as number;
      const letter = octet & 0x7f;
      if (signOn === undefined) {
        if (letter !== slash && octet !== acknowledge) break;
        signOn = [];
      }
      if (octet === flag || signOn.length >= maxSignOn) break;
      signOn.push(letter);
      if (letter !== lineFeed) continue;
      messages.push({ is: 'sign-on', text: Buffer.from(signOn).toString('latin1') });
      signOn = undefined;
    }
    if (signOn && at < octets.length) {
      messages.push(problem(`${counted(signOn.length)} outside of frames`));
      signOn = undefined;
    }
    return { messages, rest: octets.subarray(at) };
  };
  return {
    push(octets) {
      if (deframer.pending) return found(() => deframer.push(octets));
      const { messages, rest } = takeSignOn(octets);
      return rest.length === 0 ? messages : [...messages, ...found(() => deframer.push(rest))];
    },
    end() {
      const { pendingOctets: there, missingOctets: missing } = deframer;
      if (there === 0) return [];
      const cut = problem(
        `the recording ends inside a frame: ${there} octets are there, ${missing > 0 ? missing : 'an unknown number'} missing`,
      );
      const hidden = deframer.flush().map((frame): Message => ({ is: 'hdlc', frame }));
      return [...hidden, cut];
    },
  };
}

function wrapperFraming(): Framing {
  let unwrapper = new Unwrapper();
  const cutOff = (): Message =>
    problem(
      `a frame is cut off: ${unwrapper.pendingOctets} of ${unwrapper.pendingOctets + unwrapper.missingOctets} octets are there`,
    );
  /** Text before a header is none of it (meter-quirks 92); a recording says that it is there. */
  const framesOf = (octets: Uint8Array): Message[] => {
    const there = unwrapper.pendingOctets + octets.length;
    const frames = unwrapper.push(octets);
    const taken = frames.reduce((sum, { apdu }) => sum + headOctets + apdu.length, unwrapper.pendingOctets);
    const messages = frames.map((frame): Message => ({ is: 'wrapper', frame }));
    return there > taken ? [problem(`${counted(there - taken)} of text outside of frames`), ...messages] : messages;
  };
  return {
    push(octets) {
      const messages: Message[] = [];
      // What begins like whole frames and fills its piece is none of the frame before, which ends without its tail.
      if (unwrapper.pending && isChain(octets, 0)) {
        messages.push(cutOff());
        unwrapper = new Unwrapper();
      }
      try {
        return [...messages, ...framesOf(octets)];
      } catch (error) {
        unwrapper = new Unwrapper();
        const at = nextChain(octets, 0);
        if (at === undefined)
          return [...messages, problem(`${messageOf(error)}; ${octets.length} octets are left out`)];
        return [
          ...messages,
          problem(`${messageOf(error)}; ${at} octets are left out`),
          ...framesOf(octets.subarray(at)),
        ];
      }
    },
    end() {
      if (!unwrapper.pending) return [];
      const { pendingOctets: there, missingOctets: missing } = unwrapper;
      return [problem(`the recording ends inside a frame: ${there} octets are there, ${missing} missing`)];
    },
  };
}

function mbusFraming(): Framing {
  const frames = new LongFrames();
  return {
    push: (octets) => frames.push(octets).apdus.map(({ from, apdu }): Message => ({ is: 'mbus', from, apdu })),
    end: () => (frames.clear() ? [problem('the recording ends inside a frame of M-Bus')] : []),
  };
}

function telegramFraming(): Framing {
  const telegrams = new P1Telegrams();
  const messages = (found: readonly P1Found[]): Message[] =>
    found.map((one): Message => {
      switch (one.is) {
        case 'telegram':
          return one;
        case 'ciphered':
          return { is: 'apdu', octets: one.apdu };
        case 'damaged':
          return problem(`a telegram is damaged: ${one.why}`);
        case 'outside':
          return problem(`${counted(one.octets)} outside of telegrams`);
      }
    });
  return { push: (octets) => messages(telegrams.push(octets)), end: () => messages(telegrams.end()) };
}
/** A heading with an empty line behind it: a sign-on has none. */
const telegramHead = /^\/[A-Za-z]{3}[0-9A-Za-z][^\r\n]*\r?\n\r?\n/;
const beginsTelegram = (octets: Uint8Array): boolean =>
  octets[0] === slash && telegramHead.test(Buffer.from(octets.subarray(0, 2 * maxSignOn)).toString('latin1'));

interface Found {
  readonly medium: Framing;
  readonly from: number;
}
/** By what these octets begin with, or what stands in them: how the line is framed, and where that begins. */
function framingOf(octets: Uint8Array): Found | undefined {
  const [first = 0, second, third, fourth] = octets;
  if (first === flag) return { medium: hdlcFraming(), from: 0 };
  if (first === 0 && second === 1) return { medium: wrapperFraming(), from: 0 };
  if (first === longStart && fourth === longStart && second === third) return { medium: mbusFraming(), from: 0 };
  if (beginsTelegram(octets)) return { medium: telegramFraming(), from: 0 };
  if (new Deframer().push(octets).length > 0) return { medium: hdlcFraming(), from: 0 };
  const from = nextChain(octets, 1);
  return from === undefined ? undefined : { medium: wrapperFraming(), from };
}

const isSignOn = (octets: Uint8Array): boolean => ((octets[0] as number) & 0x7f) === slash || octets[0] === acknowledge;

/** After so many pieces without a message in them it is looked for only where they have doubled, and at the end. */
const maxTries = 64;

export interface Placed<P> {
  readonly at: P;
  readonly message: Message;
}

const placed = <P>(messages: readonly Message[], at: P): Placed<P>[] => messages.map((message) => ({ at, message }));
const messageOrNot = (octets: Uint8Array): Message => {
  const message = bareMessage(octets);
  return 'is' in message ? message : { is: 'unreadable', octets, why: message.why };
};

/** What waits until it is a message, or until what follows shows what it is. */
interface Waiting<P> {
  readonly octets: Uint8Array;
  /** Where the first of it stood. */
  readonly at: P;
  readonly pieces: number;
  /** Octets from which on it is looked at again. */
  readonly tryFrom: number;
}

/**
 * One way of a line. Before its framing is known, a message without a frame waits for the next piece: it may be the tail of
 * a frame. `P`: where a piece stands in the recording; it comes back with the messages.
 */
export class Medium<P> {
  private framing: Framing | undefined;
  private waiting: Waiting<P> | undefined;
  /** A line that may be the heading of a telegram. */
  private heading: Uint8Array | undefined;
  private bare: { readonly at: P; readonly message: Bare } | undefined;

  /** One piece of what went this way. */
  push(octets: Uint8Array, at: P): Placed<P>[] {
    if (octets.length === 0) return [];
    return this.framing ? placed(this.framing.push(octets), at) : this.undecided(octets, at);
  }
  /** Nothing more comes this way. */
  end(at: P): Placed<P>[] {
    if (this.framing) return placed(this.framing.end(), at);
    const messages = this.takeBare();
    const { waiting } = this;
    if (!waiting) return messages;
    this.waiting = undefined;
    return [...messages, ...placed([messageOrNot(waiting.octets)], waiting.at)];
  }

  private takeBare(): Placed<P>[] {
    const taken = this.bare ? [this.bare] : [];
    this.bare = undefined;
    return taken;
  }
  /** `begun`: where the oldest of these octets stood; what became whole did so with the newest. */
  private begin({ medium, from }: Found, octets: Uint8Array, [begun, at]: readonly [P, P]): Placed<P>[] {
    this.framing = medium;
    const lost = (this.bare?.message.octets.length ?? 0) + from;
    const first = this.bare?.at ?? begun;
    this.bare = undefined;
    const before = lost > 0 ? [problem(`${counted(lost)} before the first good frame`)] : [];
    return [...placed(before, first), ...placed(medium.push(octets.subarray(from)), at)];
  }
  private undecided(octets: Uint8Array, at: P): Placed<P>[] {
    const before = this.waiting;
    const all = before ? concat([before.octets, octets]) : octets;
    const first = before?.at ?? at;
    const pieces = (before?.pieces ?? 0) + 1;
    if (before && all.length < before.tryFrom) {
      this.waiting = { octets: all, at: first, pieces, tryFrom: before.tryFrom };
      return [];
    }
    this.waiting = undefined;
    const { heading } = this;
    this.heading = undefined;
    // What stood like a sign-on was the heading of a telegram that came line by line.
    if (heading && beginsTelegram(concat([heading, all])))
      return this.begin({ medium: telegramFraming(), from: 0 }, concat([heading, all]), [first, at]);
    const found = framingOf(all);
    if (found) return this.begin(found, all, [first, at]);
    if (isSignOn(all)) {
      const text = stripParity(all).octets;
      if (text.at(-1) === lineFeed || text.length >= maxSignOn) {
        this.heading = all;
        return [...this.takeBare(), ...placed([{ is: 'sign-on', text: Buffer.from(text).toString('latin1') }], first)];
      }
    } else {
      const whole = bareMessage(all);
      if ('is' in whole) return this.takeMessage(whole, first);
      const single = before ? bareMessage(octets) : whole;
      // What waited is no message, and the newest piece alone is one.
      if (before && 'is' in single)
        return [
          ...this.takeBare(),
          ...placed([messageOrNot(before.octets)], before.at),
          ...this.takeMessage(single, at),
        ];
      if (all.length > maxBare) return [...this.takeBare(), ...placed([messageOrNot(all)], first)];
    }
    this.waiting = { octets: all, at: first, pieces, tryFrom: pieces > maxTries ? 2 * all.length : 0 };
    return [];
  }
  private takeMessage(message: Bare, at: P): Placed<P>[] {
    const before = this.takeBare();
    this.bare = { at, message };
    return before;
  }
}
