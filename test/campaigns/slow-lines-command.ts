/**
 * Slow lines in virtual time: `scripts/slow-lines [--meters N] [--behind DAYS] [--hours N]`. 300 to 2400 Bd, rows of 5, 15 and
 * 60 minutes, HDLC, and mode E at 300 Bd: is everything there, how late, and what of the line does it take? The last line is
 * the summary; exit code 1 where a row is missing or wrong, or a port hung.
 */
import { slowLine, type SlowLine, type SlowLineResult } from './slow-lines.ts';
import { options } from './options.ts';

const { meters, behind, hours } = options('slow-lines', { meters: 4, behind: 3, hours: 24 });
const lines: SlowLine[] = [
  ...[300, 600, 1200, 2400].flatMap((baud) =>
    [300, 900, 3600].map((periodS) => ({ baud, periodS, meters, behind, hours })),
  ),
  ...[300, 900, 3600].map((periodS) => ({ baud: 300, periodS, meters: 1, modeE: true, behind, hours })),
];
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const columns = [
  'line',
  'period',
  'meters',
  'rows right',
  'of',
  'line in use',
  'octets',
  'a row',
  'newest late',
  'caught up',
];
const row = (cells: readonly string[]) =>
  process.stdout.write(`${cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(11))).join(' ')}\n`);
row(columns);
let failed = 0;
let rows = 0;
for (const line of lines) {
  const result: SlowLineResult = await slowLine(line);
  const { right, expected, wrong, stuck, busy, wire, octetsPerRow, latestS, caughtUpH, trouble } = result;
  rows += right;
  if (right !== expected || wrong.length > 0 || stuck.length > 0) failed++;
  row([
    `${line.baud} Bd ${line.modeE ? 'mode E' : 'HDLC'}`,
    `${line.periodS / 60} min`,
    String(line.meters),
    String(right),
    String(expected),
    percent(busy),
    percent(wire),
    `${octetsPerRow}`,
    `${latestS} s`,
    caughtUpH === undefined ? 'never' : `${caughtUpH.toFixed(1)} h`,
  ]);
  for (const text of [trouble ?? '', ...wrong.slice(0, 5), ...stuck.slice(0, 5)].filter((one) => one !== ''))
    process.stdout.write(`  ${text}\n`);
}
process.stdout.write(
  `slow-lines: ${lines.length} lines x ${hours} h with ${behind} days behind, ${rows} rows, ${failed} lines incomplete or wrong\n`,
);
process.exitCode = failed > 0 ? 1 : 0;
