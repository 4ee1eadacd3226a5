/**
 * A process of its own for files that are known to be damaged: LevelDB does not only fail on some of them, it ends the
 * process. `salvage.js check PATH [compact]` reads everything; `salvage.js copy FROM TO [RANGE DIRECTION]` copies what reads.
 */
import { pathToFileURL } from 'node:url';
import { Failure, messageOf } from '../base/errors.ts';
import { keyRanges, type Range, readAll, salvage } from './level-database.ts';

/** The files could not be looked at. */
export const notTheFilesCode = 3;
export const salvageProgram = new URL(
  import.meta.url.endsWith('.ts') ? './salvage.ts' : './salvage.js',
  import.meta.url,
);

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , what, from = '', to = '', range, direction] = process.argv;
  const ranges: readonly Range[] = range === undefined ? keyRanges : [keyRanges[Number(range)] as Range];
  const directions = direction === undefined ? (['forward', 'reverse'] as const) : [direction as 'forward' | 'reverse'];
  try {
    const whole =
      what === 'check' ? await readAll(from, to === 'compact') : await salvage(from, to, ranges, directions);
    if (!whole) process.stderr.write('part of it does not read, or its keys are out of order');
    process.exitCode = whole ? 0 : 1;
  } catch (error) {
    // In use, or the disk fails: that says nothing of the files.
    const other = error instanceof Failure && (error.code === 'store-locked' || error.code === 'store-failed');
    process.stderr.write(messageOf(error));
    process.exitCode = other ? notTheFilesCode : 1;
  }
}
