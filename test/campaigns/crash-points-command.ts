/**
 * `scripts/crash-points [--seeds K]`: a session with the store is recorded (strace), and the power fails between every two of
 * its file operations, with what was not synced applied, left out, torn, mixed or out of order, by K seeds each. The last line
 * is the summary; exit code 1 where anything that was committed is gone.
 */
import { cannotRecord, crash, crashVariants, record } from './crash-points.ts';
import { options } from './options.ts';

const { seeds } = options('crash-points', { seeds: 1 });
const why = cannotRecord();
if (why !== undefined) {
  process.stderr.write(`crash-points: ${why}\n`);
  process.exit(2);
}
const recording = record();
const points = recording.operations.length;
const sums = { states: 0, problems: 0, reported: 0 };
for (let point = 1; point <= points; point++) {
  // Of these two there is one only.
  for (const variant of crashVariants)
    for (let seed = 1; seed <= (variant === 'all' || variant === 'none' ? 1 : seeds); seed++) {
      const result = await crash(recording, point, variant, seed * 1000 + point);
      sums.states++;
      if (result.reported) sums.reported++;
      sums.problems += result.problems.length;
      for (const problem of result.problems)
        process.stdout.write(`${variant}, seed ${seed}, before operation ${point} of ${points}: ${problem}\n`);
    }
  if (process.stderr.isTTY) process.stderr.write(`\r${point} of ${points} `);
}
process.stdout.write(
  `crash-points: ${points} points, ${sums.states} disks, ${sums.reported} told as damaged, ${sums.problems} problems\n`,
);
process.exitCode = sums.problems > 0 ? 1 : 0;
