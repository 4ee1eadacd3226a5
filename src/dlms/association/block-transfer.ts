/**
 * General block transfer (Green Book 9.4.6.13): any APDU in numbered blocks, several in one window, lost ones sent again.
 * The same for both roles; the association decides when to use it and keeps the time.
 */
import { Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { type ApduOf, encodeApdu } from '../xdlms/apdu.ts';

type Block = ApduOf<'general-block-transfer'>;
/** Block-Control: last block, streaming, window of the sender's receiver in the low six bits. */
const lastBlock = 0x80;
const streaming = 0x40;
/**
 * Answers to blocks that gain nothing (a number that was not expected, an acknowledgement of nothing new), until something
 * is gained again. A client with a clock gives one and then waits; a server has no clock and gives a few.
 */
const freeAnswers = { client: 1, server: 3 } as const;
/** Tag, control, two numbers and a length of three octets. */
const headOctets = 9;

export class BlockTransfer {
  private readonly window: number;
  private readonly limit: number;
  private readonly free: number;
  private fruitless = 0;
  private outgoing: Uint8Array[] = [];
  /** Number of the first block of `outgoing`. */
  private firstNumber = 1;
  private nextNumber = 1;
  private peerWindow = 1;
  private expected = 1;
  /** Octets, not blocks: a block of one octet takes a hundred in memory. */
  private parts = new Writer();
  /** Blocks that came again or out of order, for the line's quality. */
  lost = 0;

  /** `window`: blocks that we take in one go, 1 to 63. `limit`: octets of the longest APDU that may be built up. */
  constructor(role: keyof typeof freeAnswers, window: number, limit: number) {
    this.free = freeAnswers[role];
    this.window = window;
    this.limit = limit;
  }

  /** A new exchange: numbers begin at 1 on both sides. */
  restart(): void {
    this.outgoing = [];
    this.parts = new Writer();
    this.firstNumber = this.nextNumber = this.expected = 1;
    this.peerWindow = 1;
    this.fruitless = 0;
  }
  /** Part of an APDU has come and more of it must follow. */
  get receiving(): boolean {
    return this.parts.length > 0;
  }

  /** The first blocks of an APDU; the rest follows what the peer acknowledges. */
  send(apdu: Uint8Array, maxPdu: number): Uint8Array[] {
    const size = Math.max(1, maxPdu - headOctets);
    this.outgoing = [];
    for (let at = 0; at < apdu.length; at += size) this.outgoing.push(apdu.subarray(at, at + size));
    this.firstNumber = this.nextNumber;
    return this.burst();
  }

  private burst(): Uint8Array[] {
    const { outgoing } = this;
    const burst = outgoing.slice(0, this.peerWindow).map((content, i) => {
      const last = i === outgoing.length - 1;
      const more = i < Math.min(this.peerWindow, outgoing.length) - 1;
      return this.block(this.firstNumber + i, content, (last ? lastBlock : 0) | (more ? streaming : 0));
    });
    this.nextNumber = Math.max(this.nextNumber, this.firstNumber + burst.length);
    return burst;
  }

  private block(number: number, content: Uint8Array, control: number): Uint8Array {
    const acknowledged = this.expected - 1;
    return encodeApdu({
      kind: 'general-block-transfer',
      control: control | this.window,
      number: number & 0xffff,
      acknowledged: acknowledged & 0xffff,
      content,
    });
  }

  /** An empty block: it only acknowledges. */
  private acknowledgement(): Uint8Array {
    return this.block(this.nextNumber++, new Uint8Array(0), lastBlock);
  }

  /** Nothing came in time: asks for the blocks after the last good one, or sends what was not acknowledged. */
  again(): Uint8Array[] {
    this.lost++;
    return this.outgoing.length > 0 && !this.receiving ? this.burst() : [this.acknowledgement()];
  }

  /**
   * The APDU that became whole, what must be sent now, and whether anything was gained: content in order, or blocks of
   * ours acknowledged.
   */
  receive(block: Block): { whole?: Uint8Array; out: Uint8Array[]; gained: boolean } {
    this.peerWindow = Math.max(1, block.control & 0x3f);
    const acknowledged = this.acknowledged(block.acknowledged);
    const last = (block.control & lastBlock) !== 0;
    const empty = block.content.length === 0;
    // While an answer comes in, an empty last block in order is its end; otherwise it only acknowledges.
    const ends =
      empty && last && this.receiving && this.outgoing.length === 0 && block.number === (this.expected & 0xffff);
    if (empty && !ends) {
      if (!this.receiving || block.number === (this.expected & 0xffff))
        this.expected = (block.number + 1) & 0xffff || 1;
      const out = this.outgoing.length > 0 ? this.answered(acknowledged, () => this.burst()) : [];
      return { out, gained: acknowledged };
    }
    // A first block while nothing is half done: the peer begins a new exchange.
    if (block.number === 1 && this.expected !== 1 && !this.receiving) this.restart();
    const atWindowEnd = (block.control & streaming) === 0;
    if (block.number !== (this.expected & 0xffff)) {
      // Lost or repeated: the peer learns at the end of its window from where to go on.
      this.lost++;
      return {
        out: atWindowEnd ? this.answered(acknowledged, () => [this.acknowledgement()]) : [],
        gained: acknowledged,
      };
    }
    this.fruitless = 0;
    this.expected++;
    this.parts.put(block.content);
    if (this.parts.length > this.limit) {
      this.restart();
      throw new Failure('answer-too-long', `more than ${this.limit} octets in blocks`);
    }
    if (last) {
      const whole = this.parts.octets();
      this.parts = new Writer();
      return { whole, out: [], gained: true };
    }
    return { out: atWindowEnd ? [this.acknowledgement()] : [], gained: true };
  }

  /** Whether blocks of ours were acknowledged that were not before. */
  private acknowledged(number: number): boolean {
    const done = (number - this.firstNumber + 1) & 0xffff;
    if (done === 0 || done > this.outgoing.length) return false;
    this.outgoing.splice(0, done);
    this.firstNumber += done;
    return true;
  }

  /** An answer to a block without content for us: always where something was gained, else only so often. */
  private answered(gained: boolean, answer: () => Uint8Array[]): Uint8Array[] {
    this.fruitless = gained ? 0 : this.fruitless + 1;
    return this.fruitless > this.free ? [] : answer();
  }
}
