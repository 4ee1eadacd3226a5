/**
 * `scripts/power-cut --cuts N` and `scripts/kill --kills N`: lives of the built daemon with cuts at random moments.
 * `--no-sync` is the negative control: syncs do nothing, and the losses must be found. The last line is the summary; exit
 * code 1 on any loss (with --no-sync: where none was found).
 */
import { parseArgs } from 'node:util';
import { cannotCut, life, noSyncLibrary } from '../test/cuts.ts';
import { realBroker } from '../test/broker.ts';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'power' },
    cuts: { type: 'string' },
    kills: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'no-sync': { type: 'boolean', default: false },
  },
});
const kind = values.kind === 'kill' ? 'kill' : 'power';
const [total, first] = [Number(values.cuts ?? values.kills ?? '100'), Number(values.seed)];
if (![total, first].every((n) => Number.isSafeInteger(n) && n > 0)) {
  process.stderr.write(`${kind}: --${kind === 'kill' ? 'kills' : 'cuts'} and --seed take whole numbers above 0\n`);
  process.exit(2);
}
const why = kind === 'power' ? cannotCut() : undefined;
if (why !== undefined) {
  process.stderr.write(`power-cut: ${why}\n`);
  process.exit(2);
}
const preload = noSyncLibrary();
if (values['no-sync'] && preload === undefined) {
  process.stderr.write('power-cut: --no-sync needs the package eatmydata\n');
  process.exit(2);
}
/** So many cuts in the life of one gateway; then its meters have been read through. */
const perLife = kind === 'kill' ? 40 : 12;
const broker = await realBroker();
const sums = { cuts: 0, busy: 0, lives: 0, intervals: 0, messages: 0, duplicates: 0, problems: 0 };
for (let seed = first; sums.cuts < total; seed++) {
  const cuts = Math.min(perLife, total - sums.cuts);
  const result = await life({
    seed,
    kind,
    cuts,
    brokerUrl: broker.url,
    ...(values['no-sync'] && preload !== undefined && { preload }),
  });
  sums.lives++;
  sums.cuts += result.cuts;
  sums.busy += result.busy;
  sums.intervals += result.intervals;
  sums.messages += result.messages;
  sums.duplicates += result.duplicates;
  sums.problems += result.problems.length;
  for (const problem of result.problems) process.stdout.write(`seed ${seed}: ${problem}\n`);
  if (process.stderr.isTTY) process.stderr.write(`\r${sums.cuts} of ${total} `);
  else if (sums.lives % 10 === 0) process.stdout.write(`${sums.cuts} of ${total}, ${sums.problems} problems\n`);
}
await broker.remove();
const name = kind === 'power' ? 'power-cut' : 'kill';
process.stdout.write(
  `${name}: ${sums.cuts} cuts in ${sums.lives} lives, ${sums.busy} of them while there was something to read or send${values['no-sync'] ? ' without syncs' : ''}, ${sums.intervals} meter-hours each delivered and equal to the oracle unless named above, ${sums.messages} messages, ${sums.duplicates} of them sent again, ${sums.problems} problems\n`,
);
process.exitCode = sums.problems > 0 === values['no-sync'] ? 0 : 1;
process.exit();
