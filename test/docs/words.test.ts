/** The linter refuses the words that scripts/lint/words.ts names, and says what to use instead. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'words-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('each refused word of a name is found with its line, and ordinary words are not', () => {
  const file = join(folder, 'planted.ts');
  const refused = [
    'told',
    'busFaultTold',
    'toldAt',
    'said',
    'say',
    'keptFrom',
    'wanted',
    'hungSince',
    'apart',
    'alone',
  ];
  const bounds = ['whyMost', 'leastMs'];
  const ordinary = ['almost', 'hungUp', 'leased', 'stray', 'utmost', 'heard', 'settled', 'sayAgain'];
  const names = [...refused, ...bounds, ...ordinary];
  writeFileSync(file, names.map((name) => `export const ${name} = 1;\n`).join(''));
  const { stdout, status } = spawnSync('oxlint', ['-c', '.oxlintrc.json', '-f', 'unix', file], { encoding: 'utf8' });
  const found = stdout.split('\n').flatMap((line) => /:(\d+):\d+: `(\w+)`: use ./.exec(line)?.slice(1) ?? []);
  expect(found).toEqual([...refused, ...bounds].flatMap((name, i) => [String(i + 1), name]));
  expect(status).toBe(1);
});
