/** `scripts/central-fuzz`: damaged messages for the central system. Exit code 1 where one does harm. */
import { centralFuzz } from './central-fuzz.ts';
import { options } from './options.ts';

const { inputs, seed } = options('central-fuzz', { inputs: 1_000_000, seed: 1 });
const began = Date.now();
const { problems, taken, refused, reasons } = await centralFuzz({ inputs, seed });
for (const problem of problems.slice(0, 10)) process.stdout.write(`${problem}\n`);
process.stdout.write(
  `central-fuzz: ${inputs} messages, ${taken} taken, ${refused} refused for ${reasons} reasons, ${problems.length} problems, ${Math.round((Date.now() - began) / 1000)} s\n`,
);
process.exit(problems.length > 0 ? 1 : 0);
