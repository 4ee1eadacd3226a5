/** Octets in strings of C and Python: `~\240\7\x21\n`. */
const simple: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  f: 12,
  b: 8,
  a: 7,
  e: 27,
  '0': 0,
  '\\': 92,
  '"': 34,
  "'": 39,
};
const parts = /\\x([0-9a-fA-F]{1,2})|\\([0-7]{1,3})|\\(.)|([^\\])/gsu;

/** Octets of what stands between the quotes; the offset of what is none. */
export function unescape(text: string): Uint8Array | { readonly offset: number } {
  const octets: number[] = [];
  let at = 0;
  for (const [whole, hex, octal, letter, character] of text.matchAll(parts)) {
    const octet =
      hex !== undefined
        ? Number.parseInt(hex, 16)
        : octal !== undefined
          ? Number.parseInt(octal, 8)
          : letter !== undefined
            ? simple[letter]
            : character?.codePointAt(0);
    if (octet === undefined || octet > 255) return { offset: at };
    octets.push(octet);
    at += whole.length;
  }
  return at === text.length ? Uint8Array.from(octets) : { offset: at };
}
