import { CodecError, Failure } from './errors.ts';

/**
 * What one answer may be built up to in memory. A value of small elements takes a hundred times its octets as a tree, so
 * elements are counted besides octets. The budget is shared by all messages of one answer.
 */
export interface Budget {
  elements: number;
  /** Octets that are held until the value is whole. */
  octets: number;
}
const elementLimit = 40_000;
const octetLimit = 1 << 20;
export const newBudget = (): Budget => ({ elements: elementLimit, octets: octetLimit });

/** Reads octets in order; reading past the end is a CodecError with the offset. Big-endian, as all of DLMS/COSEM. */
export class Reader {
  readonly octets: Uint8Array;
  readonly end: number;
  offset: number;
  /** Made with the first element where none is given: most readers build nothing. */
  budget: Budget | undefined;
  constructor(octets: Uint8Array, offset = 0, end: number = octets.length, budget?: Budget) {
    this.octets = octets;
    this.offset = offset;
    this.end = end;
    this.budget = budget;
  }
  /** Takes so many elements from the budget, before they are made. */
  spend(elements: number): void {
    this.budget ??= newBudget();
    this.budget.elements -= elements;
    if (this.budget.elements < 0)
      throw new Failure('too-many-elements', 'more elements in one answer than any object has');
  }
  get remaining(): number {
    return this.end - this.offset;
  }
  fail(message: string): never {
    throw new CodecError(message, this.offset);
  }
  need(count: number): void {
    if (this.end - this.offset < count) {
      this.fail(`${count} octet${count === 1 ? '' : 's'} expected, ${this.end - this.offset} left`);
    }
  }
  peek(): number {
    this.need(1);
    return this.octets[this.offset] as number;
  }
  u8(): number {
    if (this.offset >= this.end) this.need(1);
    return this.octets[this.offset++] as number;
  }
  u16(): number {
    this.need(2);
    const at = this.offset;
    this.offset = at + 2;
    return ((this.octets[at] as number) << 8) | (this.octets[at + 1] as number);
  }
  u32(): number {
    this.need(4);
    const o = this.octets;
    const at = this.offset;
    this.offset = at + 4;
    return (
      (((o[at] as number) << 24) |
        ((o[at + 1] as number) << 16) |
        ((o[at + 2] as number) << 8) |
        (o[at + 3] as number)) >>>
      0
    );
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  i16(): number {
    return (this.u16() << 16) >> 16;
  }
  i32(): number {
    return this.u32() | 0;
  }
  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }
  i64(): bigint {
    return BigInt.asIntN(64, this.u64());
  }
  /** A view, not a copy. */
  take(count: number): Uint8Array {
    this.need(count);
    const part = this.octets.subarray(this.offset, this.offset + count);
    this.offset += count;
    return part;
  }
  rest(): Uint8Array {
    return this.take(this.end - this.offset);
  }
  view(count: number): DataView {
    const part = this.take(count);
    return new DataView(part.buffer, part.byteOffset, part.byteLength);
  }
}

/** Writes octets in order into a buffer that grows. */
export class Writer {
  private buffer: Uint8Array;
  length = 0;
  constructor(capacity = 128) {
    this.buffer = new Uint8Array(capacity);
  }
  private room(count: number): number {
    const at = this.length;
    const need = at + count;
    if (need > this.buffer.length) {
      const grown = new Uint8Array(Math.max(need, this.buffer.length * 2));
      grown.set(this.buffer);
      this.buffer = grown;
    }
    this.length = need;
    return at;
  }
  u8(value: number): void {
    const at = this.room(1);
    this.buffer[at] = value;
  }
  u16(value: number): void {
    const at = this.room(2);
    this.buffer[at] = value >>> 8;
    this.buffer[at + 1] = value;
  }
  u32(value: number): void {
    const at = this.room(4);
    this.buffer[at] = value >>> 24;
    this.buffer[at + 1] = value >>> 16;
    this.buffer[at + 2] = value >>> 8;
    this.buffer[at + 3] = value;
  }
  u64(value: bigint): void {
    const unsigned = BigInt.asUintN(64, value);
    this.u32(Number(unsigned >> 32n));
    this.u32(Number(unsigned & 0xffff_ffffn));
  }
  put(octets: Uint8Array): void {
    const at = this.room(octets.length);
    this.buffer.set(octets, at);
  }
  octets(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
