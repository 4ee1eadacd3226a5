/**
 * Commands that open the state directory while the gateway is stopped are often root's, and what root creates in it the
 * gateway could not open afterwards: they work as the owner of the directory.
 */
import { existsSync, statSync } from 'node:fs';

export async function asOwner<T>(directory: string, work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0 || !existsSync(directory)) return work();
  const { uid, gid } = statSync(directory);
  const group = process.getegid?.() ?? 0;
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(group);
  }
}
