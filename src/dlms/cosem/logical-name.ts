import { type Codec, fixed, mapped } from '../../base/codec.ts';
import { Failure } from '../../base/errors.ts';

/** A logical name as six numbers with dots, e.g. `1.0.1.8.0.255`: the form used as key everywhere. */
export type LogicalName = string;

export const logicalNameOf = (octets: Uint8Array): LogicalName => octets.join('.');
export const logicalNameOctets = (name: LogicalName): Uint8Array => Uint8Array.from(name.split('.').map(Number));

/** OBIS notation for people and payloads: `1-0:1.8.0*255` (IEC 62056-61). */
export function obis(name: LogicalName): string {
  const [a, b, c, d, e, f] = name.split('.');
  return `${a}-${b}:${c}.${d}.${e}*${f}`;
}

/** Reads `1.0.1.8.0.255`, `1.0.1.8.0`, `1-0:1.8.0*255` and `1-0:1.8.0`. */
export function parseLogicalName(text: string): LogicalName {
  const match = /^(\d{1,3})[-.](\d{1,3})[:.](\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?$/.exec(text.trim());
  const groups = match?.slice(1, 7).map((group) => Number(group ?? 255));
  if (!groups || groups.some((group) => group > 255)) {
    throw new Failure('bad-argument', `'${text}' is no OBIS code; write 1-0:1.8.0*255 or 1.0.1.8.0.255`);
  }
  return groups.join('.');
}

export const logicalNameCodec: Codec<LogicalName> = mapped(fixed(6), logicalNameOf, logicalNameOctets);
