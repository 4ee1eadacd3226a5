/** Room on the disk, with a ballast that is given up when there is none. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Disk } from '../schedule/storage.ts';

const ballastName = 'ballast';
const ballastBytes = 6 * 2 ** 20;

/** Octets of all files of a database. */
export const octetsOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

/** Room that is given up when there is no other: what is stored can be read, delivered and deleted then. */
export function diskOf(directory: string): Disk {
  const path = join(directory, ballastName);
  const { bavail, blocks, bsize } = statfsSync(directory);
  const totalBytes = blocks * bsize;
  if (existsSync(path)) return { freeBytes: bavail * bsize, totalBytes };
  const freeBytes = Math.max(0, bavail * bsize - ballastBytes);
  if (freeBytes > ballastBytes) writeFileSync(path, randomBytes(ballastBytes));
  return { freeBytes, totalBytes };
}
/** False where it was given up before. */
export function giveUpBallast(directory: string): boolean {
  const path = join(directory, ballastName);
  if (!existsSync(path)) return false;
  rmSync(path);
  return true;
}
