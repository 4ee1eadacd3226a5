/** A firmware image as it was put on this machine: `<SHA-256>.bin` in a folder, read only if it is the one. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';

const maxOctets = 16 * 1024 * 1024;

/** Failure `file-unusable` where none is there, or another one. `digest`: 64 digits in hex, lower case. */
export async function firmwareImage(directory: string, digest: string): Promise<Uint8Array> {
  const path = join(directory, `${digest}.bin`);
  let octets: Uint8Array;
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size === 0 || found.size > maxOctets)
      throw new Error(`no file of 1 to ${maxOctets} octets`);
    octets = await readFile(path);
  } catch (error) {
    throw new Failure('file-unusable', `no firmware image ${path}: ${messageOf(error)}`);
  }
  if (createHash('sha256').update(octets).digest('hex') !== digest)
    throw new Failure('file-unusable', `${path} is not what its name says`);
  return octets;
}
