import { CodecError } from './errors.ts';

/** Lower-case hex; with a separator for people. */
export function toHex(octets: Uint8Array, separator = ''): string {
  const hex = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex');
  return separator === '' ? hex : (hex.match(/../g) ?? []).join(separator);
}

/** Accepts white space between octets; anything else that is not a hex digit is a CodecError at its offset. */
export function fromHex(text: string): Uint8Array {
  const bad = /[^0-9a-fA-F\s]/.exec(text);
  if (bad) throw new CodecError(`'${bad[0]}' is not a hex digit`, bad.index);
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0) throw new CodecError('odd number of hex digits', text.length);
  return new Uint8Array(Buffer.from(digits, 'hex'));
}
