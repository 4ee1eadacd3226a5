/** What is written is on the disk when these return (fsync(2)). */
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** LevelDB does not sync its first MANIFEST: a power cut would leave a database that seems damaged. */
export function syncDatabase(path: string): void {
  for (const file of readdirSync(path)) syncFile(join(path, file));
  syncFile(path);
}
