/** CRC-16 of P1 companion standards (DSMR 4 and later): polynomial 0xA001 reflected, begins with 0. */
const table = Uint16Array.from({ length: 256 }, (_, octet) => {
  let value = octet;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xa001 : value >>> 1;
  return value;
});
export function crc16(octets: Uint8Array): number {
  let crc = 0;
  for (const octet of octets) crc = (crc >>> 8) ^ (table[(crc ^ octet) & 0xff] as number);
  return crc;
}
