/** Manual pages and completion, as the package has them, against the help that the programs print themselves. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, expect, test } from 'vitest';
import { bashCompletion, manualPage } from '../../scripts/package-texts.ts';
import { program as gatewayProgram } from '../../src/main/program.ts';
import { program as centralProgram } from '../../src/office/program.ts';
import { program as simulatorProgram } from '../../src/simulator/program.ts';
import { gateway, root, run, simulator } from '../support/programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'package-texts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Help {
  readonly words: readonly string[];
  readonly commands: readonly string[];
  readonly flags: readonly string[];
}
/** What stands in a help text under "Commands:" and "Options:", read as a person reads it. */
function readHelp(words: readonly string[], text: string): Help {
  const under = (title: string) => (text.split(`${title}:\n`)[1] ?? '').split('\n\n')[0]?.split('\n') ?? [];
  const firstWord = (line: string) => /^ {2}([a-z][a-z-]*)/.exec(line)?.[1];
  const optionsOf = (line: string) =>
    (/^ {2}(-\S.*?)(?: {2}|$)/.exec(line)?.[1] ?? '').match(/(?<=^|[ ,])--?[a-zA-Z][\w-]*/g);
  return {
    words,
    commands: under('Commands').flatMap((line) => firstWord(line) ?? []),
    flags: under('Options').flatMap((line) => optionsOf(line) ?? []),
  };
}
const helps = (command: Command, words: readonly string[] = []): Help[] => [
  readHelp(words, command.helpInformation()),
  ...command.commands.flatMap((one) => helps(one, [...words, one.name()])),
];
/** What bash offers behind each of these lines. */
function offered(completion: string, call: string, lines: readonly (readonly string[])[]): string[][] {
  const file = join(folder, 'completion');
  writeFileSync(file, completion);
  const asked = lines.map(
    (words) =>
      `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); ${call}; echo "\${COMPREPLY[*]}"`,
  );
  const script = `. ${file}\n${asked.join('\n')}\n`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' })
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').filter((word) => word !== ''));
}
const inOrder = (a = '', b = '') => (a < b ? -1 : Number(a > b));
const plain = (page: string) => page.replaceAll('\\-', '-').replaceAll('\\(dq', '"').replaceAll('\\&', '');

for (const [program, file] of [
  [gatewayProgram, gateway],
  [simulatorProgram, simulator],
  [centralProgram, join(root, 'dist/office/main.js')],
] as const) {
  const name = program.name();
  const all = helps(program);

  test(`${name}: the built program prints the help that pages and completion are held against`, async () => {
    const groups = all.filter(({ words, commands }) => words.length === 0 || commands.length > 0);
    const printed = await Promise.all(groups.map(({ words }) => run(file, [...words, '--help'])));
    expect(groups.map(({ words }, at) => readHelp(words, printed[at]?.out ?? ''))).toEqual(groups);
    expect(groups.every(({ commands, flags }) => commands.length > 0 && flags.length > 0)).toBe(true);
  });

  test(`${name}: completion offers every command and every option, and nothing else`, () => {
    const call = `_${name.replaceAll('-', '_')}`;
    const groups = all.filter(({ commands }) => commands.length > 0);
    const completion = bashCompletion(program);
    const answered = offered(completion, call, [
      ...groups.map(({ words }) => [name, ...words, '']),
      ...all.map(({ words }) => [name, ...words, '-']),
    ]);
    const expected = [...groups.map(({ commands }) => commands), ...all.map(({ flags }) => flags)];
    // `help` is a command of each group that the programs add themselves.
    const sorted = (words: readonly string[]) => words.filter((word) => word !== 'help').toSorted(inOrder);
    expect(answered.map(sorted)).toEqual(expected.map(sorted));
  });

  test(`${name}: the manual page has every command and every option, and nothing that roff takes for a request`, () => {
    const page = manualPage(program, 'other', 0);
    const text = plain(page);
    for (const { words, commands, flags } of all) {
      if (commands.length > 0) continue;
      const heading = `.SS "${[name, ...words].join(' ')} `;
      expect(text).toContain(heading);
      const section = text.split(heading)[1]?.split(/^\.S[SH]/m)[0] ?? '';
      for (const flag of flags.filter((one) => one.startsWith('--'))) expect(section, heading).toContain(flag);
    }
    const requests = page.match(/^[.'].*$/gm)?.map((line) => line.split(' ')[0]) ?? [];
    expect([...new Set(requests)].toSorted(inOrder)).toEqual(['.B', '.BR', '.I', '.SH', '.SS', '.TH', '.TP', '.br']);
  });
}
