/** What a receiver makes of several transmitters that drive one line at once. */
import { type Millis, millis } from '../base/time.ts';

export interface Transmission {
  readonly octets: Uint8Array;
  /** When its first start bit begins. */
  readonly start: Millis;
  readonly octetMs: number;
}
/** Start bit, eight data bits, stop bit. */
const bitsOfOctet = 10;

/** The line, a cell for each bit: 1 is idle. Where two transmitters differ, 0 wins, as it does with most drivers. */
function levels(all: readonly Transmission[], from: number, bitMs: number): Uint8Array {
  const last = Math.max(...all.map(({ octets, start, octetMs }) => start + octets.length * octetMs));
  const line = new Uint8Array(Math.ceil((last - from) / bitMs) + 2 * bitsOfOctet).fill(1);
  for (const { octets, start } of all) {
    const offset = Math.round((start - from) / bitMs);
    octets.forEach((octet, i) => {
      const at = offset + i * bitsOfOctet;
      line[at] = 0;
      for (let bit = 0; bit < 8; bit++) line[at + 1 + bit] = (line[at + 1 + bit] as number) & ((octet >> bit) & 1);
    });
  }
  return line;
}

/** The octets that a receiver samples from it, each with the cell of its start bit. A missing stop bit is not reported. */
function sampled(line: Uint8Array): { readonly octet: number; readonly at: number }[] {
  const found: { octet: number; at: number }[] = [];
  for (let at = line.indexOf(0); at >= 0 && at + bitsOfOctet <= line.length; ) {
    let octet = 0;
    for (let bit = 0; bit < 8; bit++) octet |= (line[at + 1 + bit] as number) << bit;
    found.push({ octet, at });
    // After a break the line must be idle before an octet can begin.
    const idle = line.indexOf(1, at + bitsOfOctet - 1);
    at = idle < 0 ? -1 : line.indexOf(0, idle);
  }
  return found;
}

/** What is heard of all of them together; what does not overlap is heard as it was sent. One speed: that of the first. */
export function superposed(all: readonly Transmission[]): Transmission[] {
  const octetMs = all[0]?.octetMs ?? 0;
  const bitMs = octetMs / bitsOfOctet;
  const from = Math.min(...all.map(({ start }) => start));
  const heard: { octets: number[]; at: number }[] = [];
  for (const { octet, at } of sampled(levels(all, from, bitMs))) {
    const before = heard.at(-1);
    if (before && at <= before.at + before.octets.length * bitsOfOctet + bitsOfOctet) before.octets.push(octet);
    else heard.push({ octets: [octet], at });
  }
  return heard.map(({ octets, at }) => ({
    octets: Uint8Array.from(octets),
    start: millis(Math.round(from + at * bitMs)),
    octetMs,
  }));
}
