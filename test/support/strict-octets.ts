/** Octets read as the books have them, and not otherwise: minimal lengths, known tags, nothing left over. No code of src/ reads here. */
import { createDecipheriv } from 'node:crypto';

/** A fault of the one that sent the octets. */
export class Strictness extends Error {}

export class Octets {
  at = 0;
  readonly all: Uint8Array;
  constructor(all: Uint8Array) {
    this.all = all;
  }
  get left(): number {
    return this.all.length - this.at;
  }
  fail(what: string): never {
    throw new Strictness(`${what} at octet ${this.at} of ${Buffer.from(this.all).toString('hex').slice(0, 120)}`);
  }
  take(count: number): Uint8Array {
    if (count > this.left) this.fail(`${count} octets announced, ${this.left} there`);
    this.at += count;
    return this.all.subarray(this.at - count, this.at);
  }
  number(size: number): number {
    return this.take(size).reduce((value, octet) => value * 256 + octet, 0);
  }
  u8(): number {
    return this.number(1);
  }
  expect(octet: number, what: string): void {
    const got = this.u8();
    if (got !== octet) this.fail(`${what}: ${octet.toString(16)} expected, ${got.toString(16)} found`);
  }
  /** A length or a count, on as few octets as it needs (X.690 8.1.3, the same in A-XDR). */
  length(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    const size = first & 0x7f;
    if (size === 0 || size > 4) this.fail(`length on ${size} octets`);
    const value = this.number(size);
    if (value < 0x80 || value < 256 ** (size - 1)) this.fail(`length ${value} on ${size + 1} octets`);
    return value;
  }
  string(): Uint8Array {
    return this.take(this.length());
  }
  /** A boolean or a presence flag. */
  flag(what: string): boolean {
    const octet = this.u8();
    if (octet > 1 && octet !== 0xff) this.fail(`${what} is ${octet}`);
    return octet !== 0;
  }
  list<T>(item: () => T): T[] {
    return Array.from({ length: this.length() }, item);
  }
  end(what: string): void {
    if (this.left > 0) this.fail(`${this.left} octets after ${what}`);
  }
}

/** Octets of the types of Data that have a fixed size (Green Book 9.5). */
const sizes: ReadonlyMap<number, number> = new Map([
  [0, 0],
  ...[13, 15, 17, 22, 28, 31].map((tag): [number, number] => [tag, 1]),
  ...[16, 18, 29, 32].map((tag): [number, number] => [tag, 2]),
  ...[5, 6, 23, 27, 30, 33].map((tag): [number, number] => [tag, 4]),
  ...[20, 21, 24].map((tag): [number, number] => [tag, 8]),
  [25, 12],
  [26, 5],
]);
export interface Datum {
  readonly tag: number;
  readonly items?: readonly Datum[];
  readonly octets?: Uint8Array;
}
/** One value of the choice Data. */
export function datum(o: Octets): Datum {
  const tag = o.u8();
  if (tag === 1 || tag === 2) return { tag, items: o.list(() => datum(o)) };
  if (tag === 3) return { tag, octets: Uint8Array.of(Number(o.flag('boolean'))) };
  if (tag === 4) {
    const bits = o.length();
    return { tag, octets: o.take(Math.ceil(bits / 8)) };
  }
  if (tag === 9 || tag === 10 || tag === 12) return { tag, octets: o.string() };
  const size = sizes.get(tag);
  if (size === undefined) return o.fail(`no type of Data has tag ${tag}`);
  return { tag, octets: o.take(size) };
}
/** Get-Data-Result; undefined = refused. */
export function dataResult(o: Octets): Datum | undefined {
  const choice = o.u8();
  if (choice === 0) return datum(o);
  if (choice !== 1) o.fail(`choice ${choice} of a result`);
  if (o.u8() === 0) o.fail('refused with success');
  return undefined;
}

export interface Keys {
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
}
/** Security header, content and tag (Green Book 9.2.7); the plain octets. */
export function opened(
  content: Uint8Array,
  title: Uint8Array,
  keys: Keys,
): { readonly control: number; readonly counter: number; readonly plain: Uint8Array } {
  const o = new Octets(content);
  const control = o.u8();
  const counter = o.number(4);
  const tagged = (control & 0x10) !== 0;
  const ciphered = (control & 0x20) !== 0;
  const body = o.take(o.left - (tagged ? 12 : 0));
  const tag = o.take(o.left);
  const nonce = Buffer.alloc(12);
  nonce.set(title);
  nonce.writeUInt32BE(counter, 8);
  if (!tagged && !ciphered) throw new Strictness(`security control ${control.toString(16)} protects nothing`);
  const cipher = createDecipheriv(
    keys.encryption.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm',
    keys.encryption,
    nonce,
    {
      authTagLength: 12,
    },
  );
  if (tagged) {
    const aad = [Uint8Array.of(control), keys.authentication, ...(ciphered ? [] : [body])];
    cipher.setAAD(Buffer.concat(aad));
    cipher.setAuthTag(tag);
  }
  const plain = ciphered ? cipher.update(body) : body;
  if (tagged) {
    try {
      cipher.final();
    } catch {
      throw new Strictness('the authentication tag is wrong');
    }
  }
  return { control, counter, plain };
}
