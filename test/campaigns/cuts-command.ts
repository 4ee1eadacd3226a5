/**
 * `scripts/power-cut --cuts N` and `scripts/kill --kills N`: lives of the built daemon with cuts at random moments.
 * `scripts/kill --store` kills the store in a process of its own, which starts ten times as fast, and looks at it each time.
 * `--no-sync` is the negative control: syncs do nothing, and the losses must be found. The last line is the summary; exit
 * code 1 on any loss (with --no-sync: where none was found).
 */
import { cannotCut, life, noSyncLibrary } from './cuts.ts';
import { realBroker } from '../support/broker.ts';
import { storeLife } from './store-kills.ts';
import { options } from './options.ts';

const given = options(
  'power-cut, kill',
  { cuts: 100, kills: 100, seed: 1 },
  { flags: ['store', 'no-sync'], texts: ['kind'] },
);
const kind = given.kind === 'kill' ? 'kill' : 'power';
const total = kind === 'kill' ? given.kills : given.cuts;
const { seed: first, store, 'no-sync': withoutSyncs } = given;
const why = kind === 'power' ? cannotCut() : undefined;
if (why !== undefined) {
  process.stderr.write(`power-cut: ${why}\n`);
  process.exit(2);
}
const preload = noSyncLibrary();
if (withoutSyncs && preload === undefined) {
  process.stderr.write('power-cut: --no-sync needs the package eatmydata\n');
  process.exit(2);
}
/** Asked to stop, it finishes what is under way and says what it has. */
const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort());
if (store) {
  const perStore = 50;
  const all = { kills: 0, within: 0, whole: 0, commits: 0, problems: 0 };
  let seed = first;
  let begun = 0;
  const lane = async () => {
    while (begun < total && !stopping.signal.aborted) {
      const kills = Math.min(perStore, total - begun);
      begun += kills;
      const own = seed++;
      const result = await storeLife(own, kills);
      all.kills += result.kills;
      all.within += result.within;
      all.whole += result.whole;
      all.commits += result.commits;
      all.problems += result.problems.length;
      for (const problem of result.problems.slice(0, 5)) process.stdout.write(`seed ${own}: ${problem}\n`);
      if (process.stderr.isTTY) process.stderr.write(`\r${all.kills} of ${total} `);
      else if (all.kills % 1000 < perStore)
        process.stdout.write(`${all.kills} of ${total}, ${all.problems} problems\n`);
    }
  };
  await Promise.all([lane(), lane()]);
  process.stdout.write(
    `kill --store: ${all.kills} kills, ${all.within} of them within a commit (${all.whole} of those were there afterwards, whole), ${all.commits} commits, each looked at after the next kill, ${all.problems} problems\n`,
  );
  process.exit(all.problems > 0 ? 1 : 0);
}
/** So many cuts in the life of one gateway; then its meters have been read through. */
const perLife = kind === 'kill' ? 40 : 12;
const broker = await realBroker();
const sums = { cuts: 0, busy: 0, lives: 0, intervals: 0, messages: 0, duplicates: 0, problems: 0 };
for (let seed = first; sums.cuts < total && !stopping.signal.aborted; seed++) {
  const cuts = Math.min(perLife, total - sums.cuts);
  const result = await life({
    seed,
    kind,
    cuts,
    brokerUrl: broker.url,
    ...(withoutSyncs && preload !== undefined && { preload }),
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
  `${name}: ${sums.cuts} cuts in ${sums.lives} lives, ${sums.busy} of them while there was something to read or send${withoutSyncs ? ' without syncs' : ''}, ${sums.intervals} meter-hours each delivered and equal to the oracle unless named above, ${sums.messages} messages, ${sums.duplicates} of them sent again, ${sums.problems} problems\n`,
);
process.exitCode = sums.problems > 0 === withoutSyncs ? 0 : 1;
process.exit();
