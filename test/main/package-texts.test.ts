/** Manual pages and completion are made from the commands; a shell and a formatter of manual pages take them. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bashCompletion, manualPage } from '../../scripts/package-texts.ts';
import { program as gateway } from '../../src/main/program.ts';
import { program as central } from '../../src/office/program.ts';
import { program as simulator } from '../../src/simulator/program.ts';
import { folder } from '../support/programs.ts';

const file = join(folder, 'completion');
writeFileSync(file, bashCompletion(gateway));
/** What bash offers after the words, of which the last is being typed. */
function offered(...words: string[]): string[] {
  const line = ['meter-gateway', ...words].map((word) => `'${word}'`).join(' ');
  const script = `. ${file}; cd ${folder}; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _meter_gateway; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

describe('completion', () => {
  test('commands, commands below them, options, named values; files elsewhere', () => {
    expect(offered('con')).toEqual(['config']);
    expect(offered('config', '').toSorted()).toEqual(['check', 'example', 'take']);
    expect(offered('meter', 'counter', '')).toEqual(['accept']);
    expect(offered('config', 'check', '--l')).toEqual(['--live']);
    expect(offered('read', 'serial:/dev/x', '--link', '')).toEqual(['hdlc', 'wrapper']);
    expect(offered('read', '--auth', 'hls-g')).toEqual(['hls-gmac']);
    expect(offered('config', 'check', 'comp')).toEqual(['completion']);
    expect(offered('run', '--config', 'comp')).toEqual(['completion']);
  });
  test('every command and option of the program', () => {
    const below = (command: typeof gateway, words: string[]) => {
      for (const one of command.commands) {
        expect(offered(...words, one.name())).toContain(one.name());
        below(one, [...words, one.name()]);
      }
      if (command.commands.length > 0) return;
      const flags = command.options.filter(({ hidden }) => !hidden).map(({ long }) => long);
      expect(offered(...words, '--')).toEqual(expect.arrayContaining(flags));
    };
    below(gateway, []);
  });
});

test.each([
  ['meter-gateway', gateway],
  ['meter-simulator', simulator],
  ['meter-central', central],
])('the manual page of %s: of the day of the commit, nothing in it is taken for a request', (name, program) => {
  const page = manualPage(program, 'other', 1_790_000_000);
  expect(page).toContain(`.TH "${name.toUpperCase().replace('-', '\\-')}" 1 "2026-09-21"`);
  const requests = new Set(page.split('\n').flatMap((line) => /^[.'](\S*)/.exec(line)?.[1] ?? []));
  expect([...requests].toSorted()).toEqual(['B', 'BR', 'I', 'SH', 'SS', 'TH', 'TP', 'br'].toSorted());
  for (const command of program.commands) expect(page).toContain(`${name} ${command.name()}`.replaceAll('-', '\\-'));
  // Behind the line with the date.
  expect(page.slice(page.indexOf('\n'))).not.toMatch(/[^\\]-/);
});
