/**
 * Bills against the truth: `scripts/bill-oracle [--seeds N] [--seed S] [--meters N]`. The last lines are the summary; exit code 1
 * where a bill is not what was used.
 */
import { addError, billPoint, noError, percent } from './bill-oracle.ts';
import { options } from './options.ts';

const { seeds, seed, meters } = options('bill-oracle', { seeds: 100, seed: 1, meters: 31 });
const counts = { bills: 0, corrections: 0, held: 0, wrong: 0 };
const [scaled, unscaled] = [noError(), noError()];
for (let one = seed; one < seed + seeds; one++)
  for (let index = 0; index < meters; index++) {
    const outcome = billPoint(one, index);
    counts.bills += outcome.bills;
    counts.corrections += outcome.corrections;
    counts.held += outcome.held;
    counts.wrong += outcome.wrong.length;
    addError(scaled, outcome.scaled);
    addError(unscaled, outcome.unscaled);
    for (const what of outcome.wrong.slice(0, 5)) process.stdout.write(`seed ${one} meter ${index}: ${what}\n`);
  }
const words = (name: string, { intervals, truth, estimate, flat }: typeof scaled) =>
  `${name}: ${intervals} intervals, off by ${percent(estimate, truth)} of the use; filled flat ${percent(flat, truth)}\n`;
process.stdout.write(words('estimated from history alone', unscaled) + words('scaled to the register', scaled));
const { bills, corrections, held, wrong } = counts;
process.stdout.write(
  `${seeds} seeds × ${meters} meters: ${bills} bills, ${corrections} corrections of earlier bills, ${held} times held, ${wrong} wrong\n`,
);
process.exitCode = wrong === 0 ? 0 : 1;
