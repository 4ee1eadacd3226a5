/** Text where an APDU or a frame should stand: a converter's error, a meter's last words (meter-quirks 92). */
const isLetter = (octet: number): boolean => (octet >= 0x20 && octet < 0x7f) || (octet >= 0x09 && octet <= 0x0d);
/** No APDU of so many octets is made of letters alone. */
const minLetters = 4;
const maxShown = 60;

/** How far letters stand from `at` on. */
export function endOfText(octets: Uint8Array, at: number): number {
  let end = at;
  while (end < octets.length && isLetter(octets[end] as number)) end++;
  return end;
}
/** As a person may be shown it; undefined where it is no text. */
export function plainText(octets: Uint8Array): string | undefined {
  if (octets.length < minLetters || endOfText(octets, 0) < octets.length) return undefined;
  return Buffer.from(octets.subarray(0, maxShown)).toString('latin1').replaceAll(/\s+/g, ' ').trim();
}
