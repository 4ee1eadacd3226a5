/**
 * `scripts/central-power-cut`: the power of the central system's disk fails at random moments. `--no-sync` is the negative
 * control: syncs do nothing, and the losses must be found. The last line is the summary; exit code 1 on any loss (with
 * --no-sync: where none was found).
 */
import { centralCuts } from './central-cuts.ts';
import { cannotCut, noSyncLibrary } from './cuts.ts';
import { options } from './options.ts';

const given = options('central-power-cut', { cuts: 200, seed: 1 }, { flags: ['no-sync'] });
const why = cannotCut();
const preload = given['no-sync'] ? noSyncLibrary() : undefined;
if (why !== undefined || (given['no-sync'] && preload === undefined)) {
  process.stderr.write(`central-power-cut: ${why ?? '--no-sync needs the package eatmydata'}\n`);
  process.exit(2);
}
/** So many cuts in the life of one store. */
const perLife = 20;
const sums = { cuts: 0, busy: 0, lives: 0, messages: 0, sentAgain: 0, verified: 0, problems: 0 };
for (let seed = given.seed; sums.cuts < given.cuts; seed++) {
  const cuts = Math.min(perLife, given.cuts - sums.cuts);
  const result = await centralCuts({ seed, cuts, ...(preload !== undefined && { preload }) });
  sums.lives++;
  sums.cuts += result.cuts;
  sums.busy += result.busy;
  sums.messages += result.messages;
  sums.sentAgain += result.sentAgain;
  sums.verified += result.verified;
  sums.problems += result.problems.length;
  for (const problem of result.problems) process.stdout.write(`seed ${seed}: ${problem}\n`);
  process.stdout.write(`${sums.cuts} of ${given.cuts}, ${sums.problems} problems\n`);
}
process.stdout.write(
  `central-power-cut${preload === undefined ? '' : ' without syncs'}: ${sums.cuts} cuts in ${sums.lives} lives of a store, ${sums.busy} of them while messages were open; ${sums.messages} messages, ${sums.sentAgain} sent again, ${sums.verified} accounts verified, ${sums.problems} problems\n`,
);
process.exit(sums.problems > 0 === (preload !== undefined) ? 0 : 1);
