/** Files that are whole and on the disk when these return, or as they were before. Both throw what the system says. */
import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFile } from './sync.ts';

/** A file that is not there yet: no link that somebody else put there is followed. `mode` left out: as the umask says. */
export function putNew(path: string, octets: string | Uint8Array, mode?: number): void {
  const file = openSync(path, 'wx', mode);
  try {
    if (mode !== undefined) fchmodSync(file, mode);
    writeFileSync(file, octets);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** In the place of what may be there. */
export function putWhole(path: string, octets: string | Uint8Array, mode?: number): void {
  const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`);
  try {
    putNew(unfinished, octets, mode);
    renameSync(unfinished, path);
    syncFile(dirname(path));
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}
