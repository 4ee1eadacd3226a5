/**
 * Damage to the files of a store: `scripts/damage --cases N [--seed S]`. Each case flips a bit, cuts, zeroes a page or removes
 * a file of a store with tables and logs; the store must open by itself, deliver nothing that was not stored, and tell what
 * is lost; of the counters' database none may be used again. The last line is the summary; exit code 1 on any problem.
 */
import { rmSync } from 'node:fs';
import { damage, damageTemplate } from './damage.ts';
import { options } from './options.ts';

const { cases, seed: first } = options('damage', { cases: 500, seed: 1 });
const template = await damageTemplate();
const kinds = new Map<string, { cases: number; lost: number; reported: number; newEpoch: number; aborts: number }>();
let problems = 0;
for (let seed = first; seed < first + cases; seed++) {
  const result = await damage(template, seed);
  const kind = result.what
    .replace(/^seed \d+: /, '')
    .replace(/ at .*/, '')
    .replaceAll(/\d+/g, 'N');
  const row = kinds.get(kind) ?? { cases: 0, lost: 0, reported: 0, newEpoch: 0, aborts: 0 };
  kinds.set(kind, row);
  row.cases++;
  if (result.lost) row.lost++;
  if (result.reported) row.reported++;
  if (result.newEpoch) row.newEpoch++;
  if (result.aborts > 0) row.aborts++;
  problems += result.problems.length;
  for (const problem of result.problems) process.stdout.write(`${result.what}: ${problem}\n`);
  if (process.stderr.isTTY) process.stderr.write(`\r${seed - first + 1} of ${cases} `);
}
rmSync(template.folder, { recursive: true, force: true });
for (const [kind, { cases: count, lost, reported, newEpoch, aborts }] of [...kinds].toSorted(([a], [b]) =>
  a < b ? -1 : 1,
))
  process.stdout.write(
    `${kind}: ${count} cases, entries lost in ${lost}, told in ${reported}, new epoch in ${newEpoch}, LevelDB ended the process in ${aborts}\n`,
  );
process.stdout.write(`damage: ${cases} cases from seed ${first}, ${problems} problems\n`);
process.exitCode = problems > 0 ? 1 : 0;
