/**
 * IEC 62056-21 sign-on: request, identification, acknowledgement, then mode E (HDLC at the agreed speed) or mode C
 * read-out. Client and server; lines are 7E1 made in software (parity.ts).
 */
import { Failure } from '../../base/errors.ts';
import type { Machine } from '../../base/machine.ts';
import { later, type Millis } from '../../base/time.ts';
import { isDue, nextDeadline, type Timers } from '../../base/timers.ts';
import { stripParity, withEvenParity } from './parity.ts';

/** Baud rates by their identification character Z (6.3.14, mode C and E). */
export const baudByZ: Readonly<Record<string, number>> = {
  '0': 300,
  '1': 600,
  '2': 1200,
  '3': 2400,
  '4': 4800,
  '5': 9600,
  '6': 19200,
};
/** What is no speed of these is the one that every sign-on begins with. */
const baudOf = (z: string): number => baudByZ[z] ?? 300;
/** A read-out is a page of registers; this bounds a meter that never ends. */
const readOutLimit = 64 * 1024;
const lineLimit = 256;
/**
 * Octets that may stand before and in an identification, and the time that each of them has: one try of the sign-on ends when
 * they could have come, however many still do (a stray octet now and then on an optical head is no answer).
 */
const identificationOctets = 128;
const startOctetMs = 10_000 / 300;
const ascii = (text: string): Uint8Array => withEvenParity(Buffer.from(text, 'latin1'));

export interface SignOnSettings {
  readonly mode: 'E' | 'C';
  /** Device address between '/?' and '!'; empty for the only meter on the head. */
  readonly address: string;
  /** Use this speed, if the meter proposes a higher one. */
  readonly maxBaud: number;
  readonly answerTimeoutMs: number;
  readonly retries: number;
  /** Pause after the speed changed, before the first octet (meter-quirks 30). */
  readonly settleMs: number;
  /** NUL octets before the request, as battery devices want them (6.3.1, meter-quirks 33). */
  readonly wakeUp?: boolean;
}
/** NUL octets for 2.2 s at 300 Bd, then 1.6 s of silence (annex B). */
const wakeUpOctets = 66;
const wakeUpMs = 2200 + 1600;
export type SignOnEvent =
  /** To be done when the last octet has left the line. Sign-on itself begins at 300 Bd. */
  | { readonly kind: 'set-baud'; readonly baud: number }
  | { readonly kind: 'handed-over'; readonly identification: string; readonly baud: number }
  | { readonly kind: 'read-out'; readonly identification: string; readonly text: string; readonly parityErrors: number }
  | { readonly kind: 'failed'; readonly error: Failure };

type ClientState = 'idle' | 'waking' | 'identifying' | 'settling' | 'reading-out' | 'done';

const nothingAwaited: Timers<'next' | 'total'> = { next: undefined, total: undefined };

export class SignOn implements Machine<{ kind: 'sign-on' }, SignOnEvent> {
  private state: ClientState = 'idle';
  private readonly settings: SignOnSettings;
  private readonly out: Uint8Array[] = [];
  private readonly events: SignOnEvent[] = [];
  private text = '';
  /** What comes next, and the total of the try, or of the read-out as far as it came: silence ends either sooner. */
  private timers: Timers<'next' | 'total'> = nothingAwaited;
  /** Characters of all tries that were neither an identification nor the echo of our own octets. */
  private stray = 0;
  /** Our own question came back: the optical head, or its adapter, hears itself. */
  private echoed = false;
  private tries = 0;
  private parityErrors = 0;
  private identification = '';
  private baud = 300;

  constructor(settings: SignOnSettings) {
    this.settings = settings;
  }
  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  pollEvent(): SignOnEvent | undefined {
    return this.events.shift();
  }
  deadline(): Millis | undefined {
    return nextDeadline(this.timers);
  }

  request(_request: { kind: 'sign-on' }, now: Millis): void {
    if (this.state !== 'idle') throw new Failure('busy', 'sign-on is under way');
    if (this.settings.wakeUp === true) {
      this.state = 'waking';
      this.out.push(new Uint8Array(wakeUpOctets));
      this.timers = { next: later(now, wakeUpMs), total: undefined };
    } else this.ask(now);
  }

  private get question(): string {
    return `/?${this.settings.address}!\r\n`;
  }
  private ask(now: Millis): void {
    this.state = 'identifying';
    this.text = '';
    const request = this.question;
    this.out.push(ascii(request));
    const next = later(now, this.settings.answerTimeoutMs + request.length * startOctetMs);
    this.timers = { next, total: later(next, identificationOctets * startOctetMs) };
  }

  receive(octets: Uint8Array, now: Millis): void {
    if (this.state !== 'identifying' && this.state !== 'reading-out') return;
    const plain = stripParity(octets);
    this.parityErrors += plain.errors;
    this.text += Buffer.from(plain.octets).toString('latin1');
    // A read-out earns twice the time that its octets need.
    const { total } = this.timers;
    const earned = this.state === 'reading-out' ? (2 * octets.length * 10_000) / this.baud : 0;
    this.timers = {
      next: later(now, this.settings.answerTimeoutMs),
      total: total === undefined ? undefined : later(total, earned),
    };
    if (this.state === 'identifying') this.identify(now);
    else this.readOut();
  }

  private identify(now: Millis): void {
    // Echo of our own request and stray characters stand before the identification (meter-quirks 5, 32).
    const match = /\/([A-Za-z]{3})([0-9A-I])([^\r\n/?!]*)\r?\n/.exec(this.text);
    if (!match) {
      if (this.text.length > lineLimit) this.text = this.text.slice(-lineLimit);
      return;
    }
    const [, maker = '', proposed = '', model = ''] = match;
    this.identification = `${maker}${proposed}${model}`;
    let z = proposed;
    if (baudByZ[z] === undefined) {
      return this.fail('sign-on-malformed', `the meter proposes speed '${z}', which is no mode C or E speed`);
    }
    while (z > '0' && baudOf(z) > this.settings.maxBaud) z = String(Number(z) - 1);
    this.baud = baudOf(z);
    const y = this.settings.mode === 'E' ? '2' : '0';
    this.out.push(ascii(`\x06${y}${z}${y}\r\n`));
    this.events.push({ kind: 'set-baud', baud: this.baud });
    this.text = '';
    const acknowledgementMs = (6 * 10_000) / 300;
    if (this.settings.mode === 'C') {
      this.state = 'reading-out';
      const next = later(now, acknowledgementMs + this.settings.answerTimeoutMs);
      this.timers = { next, total: later(next, this.settings.answerTimeoutMs) };
    } else {
      this.state = 'settling';
      this.timers = { next: later(now, acknowledgementMs + this.settings.settleMs), total: undefined };
    }
  }

  private readOut(): void {
    const start = this.text.indexOf('\x02');
    const end = this.text.indexOf('\x03', start + 1);
    if (start < 0 || end < 0 || this.text.length < end + 2) {
      if (this.text.length > readOutLimit)
        this.fail('answer-too-long', `read-out of more than ${readOutLimit} characters`);
      return;
    }
    let bcc = 0;
    for (let i = start + 1; i <= end; i++) bcc ^= this.text.charCodeAt(i);
    if (bcc !== this.text.charCodeAt(end + 1))
      return this.fail('damaged-answer', 'block check of the read-out is wrong');
    this.state = 'done';
    this.timers = nothingAwaited;
    this.events.push({
      kind: 'read-out',
      identification: this.identification,
      text: this.text.slice(start + 1, end).replace(/!\r\n$/, ''),
      parityErrors: this.parityErrors,
    });
  }

  wake(now: Millis): void {
    if (!isDue(nextDeadline(this.timers), now)) return;
    const late = isDue(this.timers.total, now);
    this.timers = nothingAwaited;
    if (this.state === 'settling') {
      this.state = 'done';
      this.events.push({ kind: 'handed-over', identification: this.identification, baud: this.baud });
      return;
    }
    if (this.state === 'waking') return this.ask(now);
    if (this.state === 'identifying' && this.text.includes(this.question)) this.echoed = true;
    if (this.state === 'identifying') this.stray += this.text.split(this.question).join('').replaceAll('\0', '').length;
    if (this.state === 'identifying' && this.tries < this.settings.retries) {
      this.tries++;
      this.ask(now);
    } else this.giveUp(late);
  }

  private giveUp(late: boolean): void {
    if (this.state === 'reading-out') {
      if (late) return this.fail('answer-too-slow', `the read-out came too slowly: ${this.text.length} characters`);
      return this.fail(this.parityErrors > 0 ? 'damaged-answer' : 'fell-silent', 'the read-out stopped');
    }
    const asked = `asked ${this.tries + 1} times`;
    if (this.parityErrors > 0) return this.fail('damaged-answer', `no answer to sign-on, ${asked}`);
    if (this.stray > 0)
      return this.fail('sign-on-malformed', `${this.stray} octets came, and no identification: ${asked}`);
    if (this.echoed) return this.fail('echo-only', `only our own octets came back for the sign-on, ${asked}`);
    this.fail('no-answer', `no answer to sign-on, ${asked}`);
  }

  private fail(
    code:
      | 'sign-on-malformed'
      | 'answer-too-long'
      | 'answer-too-slow'
      | 'damaged-answer'
      | 'echo-only'
      | 'fell-silent'
      | 'no-answer',
    message: string,
  ): void {
    this.state = 'idle';
    this.tries = this.stray = 0;
    this.echoed = false;
    this.timers = nothingAwaited;
    this.events.push({ kind: 'failed', error: new Failure(code, message) });
  }
}

export interface SignOnServerSettings {
  /** Three letters of the manufacturer, without the speed character. */
  readonly manufacturer: string;
  readonly model: string;
  readonly address: string;
  readonly z: string;
  readonly readOut: () => string;
}
export type SignOnServerEvent =
  | { readonly kind: 'set-baud'; readonly baud: number }
  | { readonly kind: 'handed-over'; readonly baud: number };

/** What the stack of a meter needs of a sign-on; a simulated meter that deviates stands around the one below. */
export type SignOnServing = Pick<SignOnServer, 'handedOver' | 'receive' | 'restart' | 'pollTransmit' | 'pollEvent'>;

/** The meter's side. After `handed-over` the octets belong to HDLC, until the meter closes and this starts anew. */
export class SignOnServer {
  handedOver = false;
  private readonly settings: SignOnServerSettings;
  private readonly out: Uint8Array[] = [];
  private readonly events: SignOnServerEvent[] = [];
  private text = '';

  constructor(settings: SignOnServerSettings) {
    this.settings = settings;
  }
  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  pollEvent(): SignOnServerEvent | undefined {
    return this.events.shift();
  }
  restart(): void {
    this.handedOver = false;
    this.text = '';
    this.events.push({ kind: 'set-baud', baud: 300 });
  }

  receive(octets: Uint8Array): void {
    this.text = (this.text + Buffer.from(stripParity(octets).octets).toString('latin1')).slice(-lineLimit);
    const { settings } = this;
    const request = /\/\?([^!]*)!\r\n/.exec(this.text);
    if (request) {
      this.text = this.text.slice(request.index + request[0].length);
      if (request[1] === '' || request[1] === settings.address) {
        // \2 says that the meter can change to HDLC (mode E).
        this.out.push(ascii(`/${settings.manufacturer}${settings.z}\\2${settings.model}\r\n`));
      }
      return;
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ACK is part of the protocol
    const acknowledgement = /\x06([0-9])([0-9])([0-9])\r\n/.exec(this.text);
    if (!acknowledgement) return;
    this.text = '';
    const baud = baudOf(acknowledgement[2] ?? '');
    this.events.push({ kind: 'set-baud', baud });
    if (acknowledgement[3] === '2') {
      this.handedOver = true;
      this.events.push({ kind: 'handed-over', baud });
      return;
    }
    const block = `${settings.readOut()}!\r\n\x03`;
    let bcc = 0;
    for (let i = 0; i < block.length; i++) bcc ^= block.charCodeAt(i);
    this.out.push(ascii(`\x02${block}${String.fromCharCode(bcc)}`));
  }
}
