/**
 * A process of its own for files that are known to be damaged: LevelDB does not only fail on some of them, it ends the
 * process. `salvage.js check PATH [compact]` reads everything; `salvage.js copy FROM TO [RANGE DIRECTION]` copies what reads.
 */
import { pathToFileURL } from 'node:url';
import { keyRanges, type Range, readAll, salvage } from './level-database.ts';

export const salvageProgram = new URL(
  import.meta.url.endsWith('.ts') ? './salvage.ts' : './salvage.js',
  import.meta.url,
);

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , what, from = '', to = '', range, direction] = process.argv;
  const ranges: readonly Range[] = range === undefined ? keyRanges : [keyRanges[Number(range)] as Range];
  const directions = direction === undefined ? (['forward', 'reverse'] as const) : [direction as 'forward' | 'reverse'];
  const whole = what === 'check' ? await readAll(from, to === 'compact') : await salvage(from, to, ranges, directions);
  process.exitCode = whole ? 0 : 1;
}
