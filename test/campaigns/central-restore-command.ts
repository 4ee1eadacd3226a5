/**
 * `scripts/central-restore`: the central system falls back to a backup while gateways go on, which notice nothing of it or
 * connect anew. The last line is the summary; exit code 1 where anything is not there again, or not as the meters counted it.
 */
import { centralRestore } from './central-restore.ts';
import { options } from './options.ts';

const { gateways, meters } = options('central-restore', { gateways: 3, meters: 4 });
let bad = 0;
for (const store of ['sqlite', 'postgres'] as const)
  for (const noticed of [true, false]) {
    const result = await centralRestore({
      store,
      gateways,
      meters,
      noticed,
      goesOnUntil: 'whole',
      progress: (line) => process.stdout.write(`${line}\n`),
    });
    bad += result.problems.length;
    for (const problem of result.problems.slice(0, 20)) process.stdout.write(`${problem}\n`);
    process.stdout.write(
      `central-restore ${store}: ${result.lost} of ${result.hours} meter-hours of ${gateways} gateways were lost, ${
        noticed ? 'and the broker was restarted' : 'and no gateway noticed it'
      }; whole again after ${result.seconds.toFixed(0)} s, ${result.problems.length} problems\n`,
    );
  }
process.exit(bad > 0 ? 1 : 0);
