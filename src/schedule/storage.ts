/** How full the disk is, and what follows from it (R22). Pure. */
export interface Disk {
  readonly freeBytes: number;
  readonly totalBytes: number;
}
/**
 * low: it is reported, and what nobody needs is deleted. full: nothing is read any more, because the meters keep their rows
 * better than a full disk; what is stored is delivered, and makes room.
 */
export type StorageState = 'ok' | 'low' | 'full';
/** Free parts of the disk below which a state begins; it ends at half as much again. */
const lowShare = 0.1;
const fullShare = 0.02;
/** On small disks a share is little: so much LevelDB needs to write its logs anew. */
const minFullBytes = 3 * 2 ** 20;

export function storageState({ freeBytes, totalBytes }: Disk, before: StorageState): StorageState {
  const below = (limit: number, within: boolean) => freeBytes < limit * (within ? 1.5 : 1);
  if (below(Math.max(fullShare * totalBytes, minFullBytes), before === 'full')) return 'full';
  return below(lowShare * totalBytes, before !== 'ok') ? 'low' : 'ok';
}
