/**
 * Mixtures of recorded exchanges: `scripts/mixtures [--count N] [--seed S]`. The last line is the summary; exit code 1 where
 * a row came that no meter sent, or something is missing and nobody says so.
 */
import { judge, mixtureOf } from './mixtures.ts';
import { options } from './options.ts';

const { count, seed } = options('mixtures', { count: 10_000, seed: 1 });
let wrong = 0;
for (let i = 0; i < count; i++) {
  const found = judge(mixtureOf(seed + i));
  if (found === undefined) continue;
  wrong++;
  process.stdout.write(`seed ${seed + i}: ${found}\n`);
}
process.stdout.write(`${count} mixtures, ${wrong} wrong\n`);
process.exitCode = wrong === 0 ? 0 : 1;
