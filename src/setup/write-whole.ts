/** A file that is whole and on the disk, or not there. */
import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFile } from '../disk/sync.ts';

export interface Owned {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}
export function writeWhole(path: string, octets: string | Uint8Array, { mode, uid, gid }: Owned): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`);
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(file, octets);
      if (uid !== undefined && gid !== undefined) fchownSync(file, uid, gid);
      fchmodSync(file, mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFile(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
