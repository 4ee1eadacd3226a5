/**
 * The house for weeks in virtual time: `scripts/simulate --seed N --days 60 --meters 31 [--seeds K]`. Random outages,
 * silences, damaged octets, clocks, switches, power cuts of the gateway, a broker and a head-end that come and go. Every
 * meter-interval is compared with the truth. The last line is the summary; exit code 1 on any difference.
 */
import { execFileSync } from 'node:child_process';
import { simulate } from './simulate.ts';
import { options } from './options.ts';

const {
  seed: first,
  seeds,
  days,
  meters,
  harsh,
} = options('simulate', { seed: 1, seeds: 1, days: 60, meters: 31 }, { flags: ['harsh'] });
if (days < 3 || meters > 64) {
  process.stderr.write('simulate: --days takes 3 or more, --meters 64 at most\n');
  process.exit(2);
}
let commit = 'unknown';
try {
  commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
} catch {
  // Outside of a checkout.
}
const sums: Record<string, number> = {};
const happened: Record<string, number> = {};
let intervals = 0;
let messages = 0;
let failed = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const began = performance.now();
  const result = await simulate({
    seed,
    days,
    meters,
    harsh,
    ...(process.stderr.isTTY && {
      progress: (day: number) => process.stderr.write(`\rseed ${seed}: day ${day} of ${days} `),
    }),
  });
  intervals += result.intervals;
  messages += result.messages;
  for (const [state, count] of Object.entries(result.states)) sums[state] = (sums[state] ?? 0) + count;
  for (const [what, count] of Object.entries(result.happened)) happened[what] = (happened[what] ?? 0) + count;
  if (result.differences.length > 0) failed++;
  for (const difference of result.differences.slice(0, 10))
    process.stdout.write(`seed ${seed} at ${commit}: ${difference}\n`);
  process.stdout.write(
    `seed ${seed}: ${result.intervals} intervals, ${result.differences.length} differences, ${((performance.now() - began) / 1000).toFixed(1)} s\n`,
  );
}
const list = (counts: Record<string, number>) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
process.stdout.write(`happened: ${list(happened)}\ndelivered: ${list(sums)}\n`);
process.stdout.write(
  `simulate: ${seeds} seeds x ${days} days x ${meters} meters, ${intervals} intervals, ${messages} messages, ${failed} seeds with differences\n`,
);
process.exitCode = failed > 0 ? 1 : 0;
