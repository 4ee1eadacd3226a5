/**
 * Fuzzed sessions of the whole daemon: `scripts/fuzz-sessions --sessions N --seed S [--from I]`. House i is made from seed
 * and i alone, so that a finding repeats. The last line is the summary; exit code 1 where anything was found.
 */
import { fuzzHouse } from './fuzz-sessions.ts';
import { options } from './options.ts';

const { sessions: count, seed, from } = options('fuzz-sessions', { sessions: 20_000, seed: 1, from: 0 });
const began = process.cpuUsage();
let sessions = 0;
let messages = 0;
let findings = 0;
let house = from;
for (; sessions < count && findings < 5; house++) {
  const result = await fuzzHouse(seed * 1_000_000 + house);
  sessions += result.sessions;
  messages += result.messages;
  for (const finding of result.findings) {
    findings++;
    process.stdout.write(`FOUND --seed ${seed} --from ${house} --sessions 1: ${finding}\n`);
  }
  if (process.stderr.isTTY && house % 10 === 0) process.stderr.write(`\r${sessions} of ${count} sessions `);
}
const { user, system } = process.cpuUsage(began);
const seconds = (user + system) / 1e6;
process.stdout.write(
  `fuzz-sessions: ${sessions} sessions in ${house - from} houses, ${messages} messages, seed ${seed}, ${seconds.toFixed(0)} s of CPU (${((seconds / Math.max(1, sessions)) * 1000).toFixed(1)} ms a session), ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB resident, ${findings} findings\n`,
);
process.exitCode = findings > 0 ? 1 : 0;
