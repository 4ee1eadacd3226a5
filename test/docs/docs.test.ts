/** What the documents say that can be checked without running it: links, paths, commands, options, constants, tests. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gateway, node, root, simulator } from '../support/programs.ts';
import { rowsOf } from '../../scripts/generate/schema-rows.ts';
import { configSchema } from '../../src/config/schema.ts';
import { verdictWords } from '../../src/reading/verdict.ts';
import { anchorsOf, blocksOf, callsOf, codeOf, documents, textOf } from './documents.ts';

const sourceOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = (pattern: string): string[] => globSync(pattern, { cwd: root }).map(sourceOf);

test('the README is short', () => {
  expect(statSync(join(root, 'README.md')).size).toBeLessThanOrEqual(8192);
});

describe.each(documents)('%s', (document) => {
  test('links lead somewhere', () => {
    const links = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = '', anchor] = link.split('#');
      const path = file === '' ? document : normalize(join(dirname(document), file));
      if (!existsSync(join(root, path))) return true;
      return anchor !== undefined && path.endsWith('.md') && !anchorsOf(path).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  test('paths exist', () => {
    const paths = codeOf(document).flatMap((code) =>
      [...code.matchAll(/(?<![\w./-])(?:src|test|scripts|docs|hardware|systemd|tools)\/[\w.*/-]*\w/g)].map(([path]) =>
        // In a recipe NAME stands for what its reader chooses.
        path.replace('NAME', '*'),
      ),
    );
    expect(paths.filter((path) => globSync(path, { cwd: root }).length === 0)).toEqual([]);
  });

  test('tests that are named exist', () => {
    const named = [...textOf(document).matchAll(/`(test\/[\w./-]+\.test\.ts)` "([^"]+)"/g)];
    expect(named.filter(([, file = '', name = '']) => !sourceOf(file).includes(name)).map(([all]) => all)).toEqual([]);
  });

  test('constants that it rests on stand in the source', () => {
    const held = [...textOf(document).matchAll(/<!-- holds: (\S+): (.+) -->/g)];
    const gone = held.filter(([, path = '', line = '']) => {
      const files = path.endsWith('.ts') ? [path] : globSync(`${path}/**/*.ts`, { cwd: root });
      return !files.some((file) => sourceOf(file).includes(line));
    });
    expect(gone.map(([all]) => all)).toEqual([]);
  });

  test('commands and options exist', () => {
    const wrong = codeOf(document).flatMap((code) => [
      ...callsOf(code, /meter-gateway|meter-simulator/).flatMap(({ name, words }) => unknownWords(name, words)),
      ...callsOf(code, /scripts\/(?:generate\/)?[\w-]+(?:\.ts)?|test\/(?:bench|campaigns)\/[\w-]+\.ts/).flatMap(
        ({ name, words }) => unknownOptions(name, words),
      ),
      ...callsOf(code, /npm run/).flatMap(({ words }) => {
        const script = words.find((word) => !word.startsWith('-')) ?? '';
        return sourceOf('package.json').includes(`"${script}":`) ? [] : [`npm run ${script}`];
      }),
    ]);
    expect(wrong).toEqual([]);
  });
});

const helps = new Map<string, string>();
function helpOf(name: string, commands: readonly string[]): string {
  const key = [name, ...commands].join(' ');
  const known = helps.get(key);
  if (known !== undefined) return known;
  const program = name === 'meter-gateway' ? gateway : simulator;
  const help = execFileSync(node, [program, ...commands, '--help'], { encoding: 'utf8' });
  helps.set(key, help);
  return help;
}
/** Words of a command line that its help does not have. */
function unknownWords(name: string, words: readonly string[]): string[] {
  const commands: string[] = [];
  for (const word of words) {
    const [, list = ''] = helpOf(name, commands).split('\nCommands:\n');
    if (list === '') break;
    if (word.startsWith('-') || !/^[a-z-]+$/.test(word)) break;
    if (!new RegExp(`^  ${word}\\b`, 'm').test(list)) return [`${name} ${[...commands, word].join(' ')}`];
    commands.push(word);
  }
  const help = helpOf(name, commands);
  const options = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/[=.,:].*$/, ''));
  return options
    .filter((option) => option !== '--help' && option !== '--version' && !new RegExp(`${option}(?![a-z-])`).test(help))
    .map((option) => `${[name, ...commands].join(' ')} ${option}`);
}
/** Options of a script that none of its files names. */
function unknownOptions(script: string, words: readonly string[]): string[] {
  // A folder is no command; that it exists is tested above.
  if (existsSync(join(root, script)) && statSync(join(root, script)).isDirectory()) return [];
  const files = [...new Set([script, `${script}.ts`])].filter((path) => existsSync(join(root, path)));
  if (files.length === 0) return [script];
  const own = files.map(sourceOf);
  const called = own.flatMap((text) => [...text.matchAll(/(?:scripts|test)\/[\w/-]+\.ts/g)].map(([path]) => path));
  const text = [...own, ...called.filter((path) => existsSync(join(root, path))).map(sourceOf)].join('\n');
  return words
    .filter((word) => /^--[a-z]/.test(word))
    .map((word) => word.slice(2).replace(/[=.,:].*$/, ''))
    .filter((option) => !new RegExp(`(--|['"]|\\b)${option}\\b`).test(text))
    .map((option) => `${script} --${option}`);
}

describe('requirements', () => {
  const rows = [...textOf('docs/requirements.md').matchAll(/^\| (R\d\d) \|(.*)\|$/gm)].map(
    ([, no = '', rest = '']) => ({ no, rest }),
  );
  test('R01 to R40, each once', () => {
    expect(rows.map(({ no }) => no)).toEqual(
      Array.from({ length: 40 }, (_, i) => `R${String(i + 1).padStart(2, '0')}`),
    );
  });
  test('each that is cited exists', () => {
    const known = new Set(rows.map(({ no }) => no));
    const cited = new Set(
      sources('{src,test,scripts}/**/*.ts').flatMap((text) => [...text.matchAll(/\bR\d\d\b/g)].map(([no]) => no)),
    );
    expect([...cited].filter((no) => !known.has(no))).toEqual([]);
    expect(cited.size).toBeGreaterThan(30);
  });
  test.each(rows)('$no is shown by a test or is open', ({ rest }) => {
    const shown = /`(?:test\/[\w./-]+\.test\.ts|scripts\/[\w-]+)/.test(rest);
    expect(shown || /\bopen\b/.test(rest)).toBe(true);
  });
});

test('the page of the wiring speaks of verdicts that there are', () => {
  const rows = [...textOf('hardware/README.md').matchAll(/^\| ([A-Z_]{6,})/gm)].map(([, verdict = '']) => verdict);
  expect(rows.length).toBeGreaterThan(4);
  expect(rows.filter((verdict) => !(verdict in verdictWords))).toEqual([]);
});

test('what needs a restart is what a reload refuses', () => {
  const restart = rowsOf(configSchema).flatMap(({ key, restart }) => (restart ? [key] : []));
  const judged = sourceOf('src/config/judge.ts').split("'restart-needed'");
  const refused = judged.slice(0, -1).map((before) => [...before.matchAll(/'gateway', '(\w+)'/g)].at(-1)?.[1]);
  expect(refused.length).toBeGreaterThan(0);
  expect(restart).toEqual(refused);
});

test('the order of the rooms is the one that the linter holds', () => {
  const [, order = ''] = /const order = \[([^\]]*)\]/.exec(sourceOf('scripts/generate/rooms.ts')) ?? [];
  const rooms = [...order.matchAll(/'(\w+)'/g)].map(([, room = '']) => room);
  const there = rooms.filter((room) => globSync(`src/${room}{,.ts}`, { cwd: root }).length > 0);
  expect(there.length).toBeGreaterThan(10);
  expect(textOf('docs/architecture.md')).toContain(`\n${there.join(' < ')}\n`);
});

test('every figure has its command and its date', () => {
  const rows = textOf('docs/figures.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| what') && !line.startsWith('| campaign'));
  expect(rows.length).toBeGreaterThan(20);
  const bare = rows.filter(
    (row) => !/`[^`]*(scripts\/|npm run|test\/)[^`]*`/.test(row) || !/20\d\d-\d\d-\d\d/.test(row),
  );
  expect(bare).toEqual([]);
});

test('blocks are of kinds that somebody checks or nobody needs to', () => {
  // Schemas are generated; their generator is run with --check.
  const kinds = new Set(documents.flatMap(blocksOf).map(({ info }) => info));
  const known =
    /^(sh|sh run|text|text output|toml|toml scenario|json schema|json up|json down\/ack|json down\/again|json order|jws down\/cmd|mermaid|ts)$/;
  expect([...kinds].filter((kind) => !known.test(kind))).toEqual([]);
});

describe('drawings', () => {
  const drawings = globSync('hardware/wiring/*.svg', { cwd: root });
  test('are as their generator makes them, and each is shown or named by a page', () => {
    expect(drawings.length).toBe(4);
    execFileSync(node, ['scripts/generate/wiring.ts', '--check'], { cwd: root });
    const pages = documents
      .filter((page) => page.startsWith('hardware/'))
      .map(textOf)
      .join('\n');
    expect(drawings.filter((drawing) => !pages.includes(drawing.slice(drawing.lastIndexOf('/') + 1)))).toEqual([]);
  });
  test.each(drawings)('%s: text as text, title and description, no colour, nothing from elsewhere', (drawing) => {
    const svg = sourceOf(drawing);
    expect(svg).toMatch(/role="img" aria-labelledby="title description"/);
    expect(/<title id="title">(.+)<\/title>/.exec(svg)?.[1]?.length).toBeGreaterThan(10);
    expect(/<desc id="description">(.+)<\/desc>/.exec(svg)?.[1]?.length).toBeGreaterThan(40);
    expect(new Set([...svg.matchAll(/#[0-9a-f]{3,6}\b/g)].map(([colour]) => colour))).toEqual(
      new Set(['#fff', '#000']),
    );
    expect(svg).not.toMatch(/<image|href=|url\(|<script/);
  });
});
