/** What the octets of a line or of a connection begin with, where DLMS goes over it. */
/** 0 where nothing stands. */
export const u16 = (octets: Uint8Array, at: number): number => ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);

/** Whether octets look like the beginning of what DLMS is carried in. */
export function looksLikeDlms(octets: Uint8Array): boolean {
  const [first, second = 0] = octets;
  if (first === 0x7e) return octets.length < 2 || (second & 0xf0) === 0xa0 || second === 0x7e;
  if (first === 0 && second === 1)
    return octets.length >= 8 && u16(octets, 6) > 0 && (octets.length >= 8 + u16(octets, 6) || u16(octets, 6) < 0x4000);
  return first === 0x2f && (second === 0x3f || (second >= 0x41 && second <= 0x5a)) && octets.length < 80;
}
