/**
 * `scripts/offline`: R21. The broker is away for 90 days of 100 quarter-hour meters; then all of it is delivered through a
 * real mosquitto within the rate limit. The last line is the summary; exit code 1 on any loss.
 */
import { realBroker } from '../support/broker.ts';
import { offline } from './offline.ts';
import { options } from './options.ts';

const {
  days,
  buses,
  meters: metersPerBus,
  rate: rateLimit,
} = options('offline', { days: 90, buses: 4, meters: 25, rate: 4000 });
const broker = await realBroker();
let shownDays = 0;
const result = await offline({
  days,
  buses,
  metersPerBus,
  rateLimit,
  brokerUrl: broker.url,
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
    else if (!text.startsWith('day') || ++shownDays % 10 === 0) process.stdout.write(`${text}\n`);
  },
});
await broker.remove();
for (const problem of result.problems.slice(0, 10)) process.stdout.write(`${problem}\n`);
process.stdout.write(
  `offline: ${days} days x ${buses * metersPerBus} quarter-hour meters without broker, ${result.intervals} intervals in ${result.messages} messages, ${(result.octets / 2 ** 20).toFixed(0)} MiB on disk, opened in ${result.openSeconds.toFixed(1)} s; delivered in ${result.seconds.toFixed(0)} s, ${result.rate.toFixed(0)} a second under a limit of ${rateLimit}, ${result.sentAgain} sent again, ${result.problems.length} problems\n`,
);
process.exit(result.problems.length > 0 ? 1 : 0);
