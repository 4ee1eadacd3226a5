/** Options of the campaigns: whole numbers, each with what it is when left out, and flags. Others end with code 2 and why. */
import { parseArgs } from 'node:util';

export function options<Name extends string, Flag extends string = never, Text extends string = never>(
  program: string,
  numbers: Readonly<Record<Name, number>>,
  { flags = [], texts = [] }: { readonly flags?: readonly Flag[]; readonly texts?: readonly Text[] } = {},
): Record<Name, number> & Record<Flag, boolean> & Partial<Record<Text, string>> {
  const fail = (why: string): never => {
    const all = [
      ...Object.keys(numbers).map((name) => `--${name} N`),
      ...[...flags, ...texts].map((name) => `--${name}`),
    ];
    process.stderr.write(`${program}: ${why}; it takes ${all.join(', ')}\n`);
    process.exit(2);
  };
  const accepted = {
    ...Object.fromEntries([...Object.keys(numbers), ...texts].map((name) => [name, { type: 'string' as const }])),
    ...Object.fromEntries(flags.map((name) => [name, { type: 'boolean' as const }])),
  };
  let given: Record<string, unknown> = {};
  try {
    given = parseArgs({ options: accepted }).values;
  } catch (error) {
    fail((error as Error).message);
  }
  const parsed = Object.entries<number>(numbers).map(([name, fallback]) => {
    const value = given[name] === undefined ? fallback : Number(given[name]);
    // None where none is of use by itself.
    const least = Math.min(1, fallback);
    if (!Number.isSafeInteger(value) || value < least)
      fail(`--${name} takes a whole number from ${least} on, not '${String(given[name])}'`);
    return [name, value];
  });
  return {
    ...Object.fromEntries(flags.map((name) => [name, given[name] === true])),
    ...Object.fromEntries(texts.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]))),
    ...Object.fromEntries(parsed),
  } as Record<Name, number> & Record<Flag, boolean> & Partial<Record<Text, string>>;
}
