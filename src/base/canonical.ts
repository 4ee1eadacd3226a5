/** One spelling of a JSON value (RFC 8785), and its digest: what is signed, and what a bill is known by. */
import { createHash } from 'node:crypto';

/** Keys in the order of their UTF-16 units, no blanks, numbers and texts as ECMAScript writes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    // A column of numbers is written as it is.
    if (value.every((one) => typeof one === 'number')) return JSON.stringify(value);
    return `[${value.map((one) => canonicalJson(one ?? null)).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`)
      .join(',')}}`;
  return JSON.stringify(value);
}
/** SHA-256, hex. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
