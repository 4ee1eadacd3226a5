/** CRC-16/X-25: the HCS and FCS of ISO/IEC 13239, sent low octet first. Check value of "123456789": 0x906E. */
const table = new Uint16Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1;
  table[i] = crc;
}

export function fcs16(octets: Uint8Array, from: number, to: number): number {
  let crc = 0xffff;
  for (let i = from; i < to; i++) crc = (crc >>> 8) ^ (table[(crc ^ (octets[i] as number)) & 0xff] as number);
  return crc ^ 0xffff;
}
