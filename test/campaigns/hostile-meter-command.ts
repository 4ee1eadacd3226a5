/**
 * Every request × every way to mishandle it: `scripts/hostile-meter [--link L] [--request R] [--attack A]`. One line for each
 * cell; the last line is the summary. Exit code 1 where anything was found.
 */
import { matrix, mistreat } from './hostile-meter.ts';
import { options } from './options.ts';

const { link, request, attack } = options('hostile-meter', {}, { texts: ['link', 'request', 'attack'] });
const chosen = matrix.filter(
  (cell) =>
    (link === undefined || cell.link === link) &&
    (request === undefined || cell.request === request) &&
    (attack === undefined || cell.attack === attack),
);
let findings = 0;
let [share, longest, heap] = [0, 0, 0];
const began = process.cpuUsage();
for (const cell of chosen) {
  const outcome = await mistreat(cell.link, cell.request, cell.attack);
  findings += outcome.findings.length;
  share = Math.max(share, outcome.shareOfLine);
  longest = Math.max(longest, outcome.longestTurnS);
  heap = Math.max(heap, outcome.heapMiB);
  const name = `${cell.link}, ${cell.request}, ${cell.attack}`.padEnd(48);
  process.stdout.write(
    `${name} ${String(outcome.hits).padStart(5)} times  ${outcome.verdict.padEnd(24)} line ${String(Math.round(outcome.shareOfLine * 100)).padStart(3)} %, longest turn ${String(outcome.longestTurnS).padStart(4)} s, ${outcome.heapMiB} MiB${outcome.findings.map((one) => `\n  FOUND ${one}`).join('')}\n`,
  );
}
const { user, system } = process.cpuUsage(began);
process.stdout.write(
  `hostile-meter: ${chosen.length} cells, line ${Math.round(share * 100)} % at most, longest turn ${longest} s, ${heap} MiB heap at most, ${((user + system) / 1e6).toFixed(0)} s of CPU, ${findings} findings\n`,
);
process.exitCode = findings > 0 ? 1 : 0;
