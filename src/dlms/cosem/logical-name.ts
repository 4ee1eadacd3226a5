import { type Codec, fixed, mapped } from '../../base/codec.ts';
import { Failure } from '../../base/errors.ts';

/** A logical name as six numbers with dots, e.g. `1.0.1.8.0.255`: the form used as key everywhere. */
export type LogicalName = `${number}.${number}.${number}.${number}.${number}.${number}`;
/** The same in OBIS notation for people and payloads, e.g. `1-0:1.8.0*255` (IEC 62056-61). */
export type ObisCode = `${number}-${number}:${number}.${number}.${number}*${number}`;

export const logicalNameOf = (octets: Uint8Array): LogicalName => octets.join('.') as LogicalName;
export const logicalNameOctets = (name: LogicalName): Uint8Array => Uint8Array.from(name.split('.').map(Number));

export function obis(name: LogicalName): ObisCode {
  const [a, b, c, d, e, f] = name.split('.').map(Number) as [number, number, number, number, number, number];
  return `${a}-${b}:${c}.${d}.${e}*${f}`;
}

/** Reads `1.0.1.8.0.255`, `1.0.1.8.0`, `1-0:1.8.0*255` and `1-0:1.8.0`. */
export function parseLogicalName(text: string): LogicalName {
  const match = /^(\d{1,3})[-.](\d{1,3})[:.](\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?$/.exec(text.trim());
  const groups = match?.slice(1, 7).map((group) => Number(group ?? 255));
  if (!groups || groups.some((group) => group > 255)) {
    throw new Failure('bad-argument', `'${text}' is no OBIS code; write 1-0:1.8.0*255 or 1.0.1.8.0.255`);
  }
  return groups.join('.') as LogicalName;
}

/** The same; undefined where the text is no OBIS code. */
export function logicalNameIn(text: string): LogicalName | undefined {
  try {
    return parseLogicalName(text);
  } catch {
    return undefined;
  }
}

export const logicalNameCodec: Codec<LogicalName> = mapped(fixed(6), logicalNameOf, logicalNameOctets);
