/**
 * The envelope of every record: CRC-32 over key, sequence and body (4 octets), sequence (6), then the body. LevelDB returns
 * flipped bits silently, in keys as well, and loses whole blocks without an error; this is how we notice.
 */
import { crc32 } from 'node:zlib';

export interface StoredRecord {
  readonly sequence: number;
  readonly body: unknown;
}

export const encodeRecord = (key: string, { sequence, body }: StoredRecord): Buffer =>
  sealed(key, sequence, Buffer.from(JSON.stringify(body), 'utf8'));

/** The envelope around any octets. */
export function sealed(key: string, sequence: number, content: Uint8Array): Buffer {
  const octets = Buffer.allocUnsafe(10 + content.length);
  octets.writeUIntBE(sequence, 4, 6);
  octets.set(content, 10);
  octets.writeUInt32BE(crc32(octets.subarray(4), crc32(key)), 0);
  return octets;
}

/** undefined where the record is damaged. */
export function unsealed(
  key: string,
  octets: Uint8Array,
): { readonly sequence: number; readonly content: Buffer } | undefined {
  if (octets.length < 10) return undefined;
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (crc32(buffer.subarray(4), crc32(key)) !== buffer.readUInt32BE(0)) return undefined;
  return { sequence: buffer.readUIntBE(4, 6), content: buffer.subarray(10) };
}

export function decodeRecord(key: string, octets: Uint8Array): StoredRecord | undefined {
  const opened = unsealed(key, octets);
  if (!opened) return undefined;
  try {
    return { sequence: opened.sequence, body: JSON.parse(opened.content.toString('utf8')) };
  } catch {
    return undefined;
  }
}
