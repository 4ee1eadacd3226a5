/** The hostile broker bench: every packet type × every step × every act, MQTT 5 and 3.1.1. `scripts/hostile-broker --help` */
import { type Outcome, suffer, sufferAll } from './hostile-broker.ts';
import { matrix, nameOf } from './hostile-broker-matrix.ts';
import { options } from './options.ts';

const {
  seed,
  each,
  'at-once': atOnce,
  only,
} = options('scripts/hostile-broker', { seed: 1, each: 1, 'at-once': 12 }, { texts: ['only'] });
const all = matrix();
// With `--each N` every N-th of the matrix, with `--only TEXT` those whose name holds it.
const harms = all.filter((harm, i) => i % each === seed % each && (only === undefined || nameOf(harm).includes(only)));
process.stdout.write(`${harms.length} of ${all.length} harms, ${atOnce} at once\n`);
let done = 0;
const wrong = ({ problems, recoveredMs }: Outcome): readonly string[] => [
  ...problems,
  ...(recoveredMs > 60_000 ? [`delivered only ${Math.round(recoveredMs / 1000)} s after it was well again`] : []),
];
const { outcomes: first, peakRssMiB } = await sufferAll(harms, seed, atOnce, () => {
  if (++done % 100 === 0) process.stdout.write(`${done}\n`);
});
// Time runs fast here, and the machine has other work: what failed is tried once more, alone.
const outcomes: Outcome[] = [];
const bad: Outcome[] = [];
for (const outcome of first) {
  const again = wrong(outcome).length === 0 ? outcome : await suffer(outcome.harm, seed);
  outcomes.push(again);
  if (again !== outcome) process.stdout.write(`again: ${nameOf(outcome.harm)}: ${wrong(outcome).join('; ')}\n`);
  if (wrong(again).length === 0) continue;
  bad.push(again);
  process.stdout.write(`${nameOf(again.harm)}: ${wrong(again).join('; ')}\n`);
}
const highest = (of: (outcome: Outcome) => number) =>
  outcomes
    .toSorted((one, other) => of(other) - of(one))
    .slice(0, 1)
    .map((one) => `${Math.round(of(one))} (${nameOf(one.harm)})`)
    .join('');
const troubles = new Map<string, number>();
for (const { trouble } of outcomes)
  if (trouble !== undefined) {
    const kind = trouble.replaceAll(/\d+/g, 'N').slice(0, 110);
    troubles.set(kind, (troubles.get(kind) ?? 0) + 1);
  }
process.stdout.write(
  [
    `delivered in spite of it: ${outcomes.filter(({ unharmed }) => unharmed).length}; named by status meanwhile: ${outcomes.filter(({ trouble }) => trouble !== undefined).length}`,
    ...[...troubles]
      .toSorted(([, a], [, b]) => b - a)
      .map(([kind, count]) => `  ${String(count).padStart(5)} × ${kind}`),
    `longest from well again to all delivered, ms: ${highest(({ recoveredMs }) => recoveredMs)}`,
    `most log lines of one harm: ${highest(({ logLines }) => logLines)}; octets: ${highest(({ logOctets }) => logOctets)}; longest line: ${highest(({ longestLine }) => longestLine)}`,
    `most connections: ${highest(({ connections }) => connections)}`,
    `peak resident memory of broker, head-end and gateway together: ${Math.round(peakRssMiB)} MiB`,
    `${harms.length} harms, ${bad.length} failed`,
    '',
  ].join('\n'),
);
process.exit(bad.length > 0 ? 1 : 0);
