/** CRC-16/X-25: the HCS and FCS of ISO/IEC 13239, sent low octet first. Check value of "123456789": 0x906E. */
const table = new Uint16Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1;
  table[i] = crc;
}
/** The same one octet further: two octets go in one step. */
const further = table.map((crc) => (crc >>> 8) ^ (table[crc & 0xff] as number));

export function fcs16(octets: Uint8Array, from: number, to: number): number {
  let crc = 0xffff;
  let i = from;
  for (; i + 1 < to; i += 2) {
    const both = crc ^ (octets[i] as number) ^ ((octets[i + 1] as number) << 8);
    crc = (further[both & 0xff] as number) ^ (table[both >>> 8] as number);
  }
  if (i < to) crc = (crc >>> 8) ^ (table[(crc ^ (octets[i] as number)) & 0xff] as number);
  return crc ^ 0xffff;
}
