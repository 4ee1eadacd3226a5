/**
 * `scripts/central-kill`: workers, database and broker of the central system are killed while gateways deliver. The last line
 * is the summary; exit code 1 where anything is lost, doubled or not verified.
 */
import { centralKill, type CentralKillOptions } from './central-kill.ts';
import { options } from './options.ts';

const { gateways, days, away } = options('central-kill', { gateways: 40, days: 30, away: 60 });
const runs: readonly Pick<CentralKillOptions, 'store' | 'workers' | 'harms'>[] = [
  { store: 'sqlite', workers: 1, harms: ['restarted-worker', 'broker', 'restarted-worker', 'all-workers'] },
  {
    store: 'postgres',
    workers: 3,
    harms: ['worker', 'database', 'broker', 'restarted-worker', 'database', 'all-workers'],
  },
  { store: 'postgres', workers: 3, harms: ['worker', 'promotion', 'restarted-worker', 'broker'] },
];
let bad = 0;
for (const run of runs) {
  const result = await centralKill({
    ...run,
    gateways,
    days,
    awayMs: away * 1000,
    progress: (line) => process.stdout.write(`${line}\n`),
  });
  bad += result.problems.length;
  for (const problem of result.problems) process.stdout.write(`${problem}\n`);
  process.stdout.write(
    `central-kill ${run.store}: ${result.messages} messages of ${gateways} gateways, ${run.workers} workers; ${run.harms.join(', ')}; ${result.sentAgain} sent again, ${result.verified} accounts verified, ${result.seconds.toFixed(0)} s, ${result.problems.length} problems\n`,
  );
}
process.exit(bad > 0 ? 1 : 0);
