/**
 * Whether the state was copied: a copy that is put back has the counters of a day that is over, and every one of them was
 * used since. Files of a copy have other inodes. What was copied in place, or as a whole disk, is not seen here: the
 * head-end's answer tells that.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Counters } from '../store/counters.ts';

/** ext4, xfs, btrfs, f2fs: file systems whose inodes stay the same from one mount to the next. */
const lastingInodes = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/** The inodes of the directory of the counters and of the file that remembers them: a copy has others. */
const placeOf = (directory: string, file: string): string =>
  `${statSync(join(directory, 'counters')).ino} ${statSync(file).ino}\n`;

/** Doubts the counters where they lie elsewhere than at the last start. */
export async function doubtIfCopied(directory: string, counters: Pick<Counters, 'doubt'>, log: Log): Promise<void> {
  const file = join(directory, 'counters-place');
  let place: string | undefined;
  try {
    if (!lastingInodes.includes(statfsSync(directory).type)) return;
    if (existsSync(file)) {
      place = readFileSync(file, 'utf8');
      if (place === placeOf(directory, file)) return;
    }
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'where the invocation counters lay before is not known');
  }
  if (place !== undefined) {
    log.error(
      {},
      'the state directory is a copy: the invocation counters may have been used since; each meter is asked for its own',
    );
    await counters.doubt();
  }
  try {
    // A new file where there is none: its inode is known once it is there.
    const opened = openSync(file, 'w', 0o640);
    writeSync(opened, placeOf(directory, file));
    fsyncSync(opened);
    closeSync(opened);
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'where the invocation counters lie could not be written down');
  }
}
