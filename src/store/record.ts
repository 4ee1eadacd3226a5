/**
 * The envelope of every record: CRC-32 (4 octets), sequence (6), then the body. LevelDB returns flipped bits silently
 * and loses whole blocks without an error; this is how we notice.
 */
import { crc32 } from 'node:zlib';

export interface StoredRecord {
  readonly sequence: number;
  readonly body: unknown;
}

export function encodeRecord({ sequence, body }: StoredRecord): Buffer {
  const text = Buffer.from(JSON.stringify(body), 'utf8');
  const octets = Buffer.allocUnsafe(10 + text.length);
  octets.writeUIntBE(sequence, 4, 6);
  text.copy(octets, 10);
  octets.writeUInt32BE(crc32(octets.subarray(4)), 0);
  return octets;
}

/** undefined where the record is damaged. */
export function decodeRecord(octets: Uint8Array): StoredRecord | undefined {
  if (octets.length < 12) return undefined;
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (crc32(buffer.subarray(4)) !== buffer.readUInt32BE(0)) return undefined;
  try {
    return { sequence: buffer.readUIntBE(4, 6), body: JSON.parse(buffer.toString('utf8', 10)) };
  } catch {
    return undefined;
  }
}
