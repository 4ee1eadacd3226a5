/** A small dose of scripts/crash-points. */
import { describe, expect, test } from 'vitest';
import { cannotRecord, crash, crashVariants, record } from './crash-points.ts';

const why = cannotRecord();
/** Every so many operations. */
const step = 26;

describe.skipIf(why !== undefined)(`crash points of a session${why === undefined ? '' : ` (not here: ${why})`}`, () => {
  test('what was committed is there, whatever of the rest is on the disk, torn or out of order', async () => {
    const recording = record();
    expect(recording.operations.length).toBeGreaterThan(200);
    const problems: string[] = [];
    let committed = 0;
    for (let point = 1; point <= recording.operations.length; point += step)
      for (const variant of crashVariants) {
        const result = await crash(recording, point, variant, point);
        committed = Math.max(committed, result.committed);
        problems.push(...result.problems.map((problem) => `${variant} before operation ${point}: ${problem}`));
      }
    expect(problems).toEqual([]);
    expect(committed).toBeGreaterThan(40);

    // The negative control: the same session, had it not synced.
    const unsynced = recording.operations.filter(({ kind }) => kind !== 'sync');
    const { problems: found } = await crash({ ...recording, operations: unsynced }, unsynced.length, 'none', 1);
    expect(found.length).toBeGreaterThan(0);
  });
});
