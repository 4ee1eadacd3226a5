import { toHex } from '../../base/hex.ts';
import type { Data } from './data.ts';

/** Data as plain JSON: 64-bit integers as strings, octets as hex. For people and tools; not meant to be read back. */
export function dataJson(data: Data): unknown {
  switch (data.type) {
    case 'null-data':
      return null;
    case 'dont-care':
      return { 'dont-care': true };
    case 'array':
    case 'structure':
    case 'compact-array':
      return { [data.type]: data.value.map(dataJson) };
    case 'octet-string':
    case 'date-time':
    case 'date':
    case 'time':
      return { [data.type]: toHex(data.value) };
    case 'long64':
    case 'long64-unsigned':
      return { [data.type]: data.value.toString() };
    default:
      return { [data.type]: data.value };
  }
}

/** Octets that are printable as text, others in hex. */
export function octetsText(octets: Uint8Array): string {
  const printable = octets.length > 0 && octets.every((octet) => octet >= 0x20 && octet < 0x7f);
  return printable ? `'${Buffer.from(octets).toString('latin1')}'` : `0x${toHex(octets)}`;
}

/** Data on one line. `octets`: how octet strings are written. */
export function dataText(data: Data, octets: (value: Uint8Array) => string = octetsText): string {
  switch (data.type) {
    case 'null-data':
    case 'dont-care':
      return data.type;
    case 'array':
    case 'compact-array':
      return `[${data.value.map((one) => dataText(one, octets)).join(', ')}]`;
    case 'structure':
      return `{${data.value.map((one) => dataText(one, octets)).join(', ')}}`;
    case 'octet-string':
    case 'date-time':
    case 'date':
    case 'time':
      return octets(data.value);
    case 'visible-string':
    case 'utf8-string':
      return JSON.stringify(data.value);
    default:
      return `${data.type} ${data.value}`;
  }
}
