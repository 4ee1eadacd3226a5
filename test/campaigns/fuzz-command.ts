/**
 * Fuzz campaign: `scripts/fuzz --inputs N --seed S [--target NAME]`. Inputs are shared among the targets of test/campaigns/fuzz.ts;
 * input i of a target is made from seed, target and i alone, so that a finding repeats. The last line is the summary; exit
 * code 1 where anything was found.
 */
import { hashed, seeded } from '../../src/simulator/random.ts';
import { targets } from './fuzz.ts';
import { options } from './options.ts';

const {
  inputs,
  seed,
  from,
  target: only,
} = options('fuzz', { inputs: 120_000, seed: 1, from: 0 }, { texts: ['target'] });
const names = Object.keys(targets).filter((name) => only === undefined || name === only);
if (names.length === 0) {
  process.stderr.write(`fuzz: no target ${only}; there are ${Object.keys(targets).join(', ')}\n`);
  process.exit(2);
}
const each = Math.ceil(inputs / names.length);
const began = process.cpuUsage();
let tried = 0;
let findings = 0;
for (const [index, name] of names.entries()) {
  const target = targets[name] as (typeof targets)[string];
  const number = Object.keys(targets).indexOf(name);
  const before = process.hrtime.bigint();
  let slowestMs = 0;
  let slowest = 0;
  let found = 0;
  for (let i = from; i < from + each; i++) {
    const at = process.hrtime.bigint();
    try {
      target(seeded(Math.floor(hashed(seed, number, i) * 2 ** 32)));
    } catch (error) {
      findings++;
      const text =
        error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join('\n') : String(error);
      found++;
      process.stdout.write(`FOUND ${name} --seed ${seed} --target ${name} --from ${i} --inputs 1: ${text}\n`);
      if (found >= 3) break;
    }
    tried++;
    const ms = Number(process.hrtime.bigint() - at) / 1e6;
    if (ms > slowestMs) [slowestMs, slowest] = [ms, i];
    if (process.stderr.isTTY && i % 1000 === 0) process.stderr.write(`\r${name} ${i - from} of ${each} `);
  }
  const seconds = Number(process.hrtime.bigint() - before) / 1e9;
  process.stdout.write(
    `${String(index + 1).padStart(2)} ${name.padEnd(14)} ${each} inputs, ${Math.round(each / seconds)}/s, slowest ${slowestMs.toFixed(1)} ms (input ${slowest})\n`,
  );
}
const { user, system } = process.cpuUsage(began);
process.stdout.write(
  `fuzz: ${tried} inputs, ${names.length} targets, seed ${seed}, ${((user + system) / 1e6).toFixed(0)} s of CPU, ${Math.round(process.memoryUsage().heapUsed / 2 ** 20)} MiB heap, ${findings} findings\n`,
);
process.exitCode = findings > 0 ? 1 : 0;
