/** What the page weighs, of the built files: each screen in each language, with everything that it loads. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { root } from '../support/programs.ts';

const folder = join(root, 'dist/page');
const limit = 120 * 1024;
const names = readdirSync(folder);
const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
const size = (name: string): number => statSync(join(folder, name)).size;

/** A file with all that it imports at once. */
function withImports(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, next = ''] of text(name).matchAll(/(?:\bfrom|\bimport)\s*"\.\/([^"]+)"/g)) withImports(next, found);
  return found;
}
/** Files that are loaded when something is opened. */
const later = (name: string): string[] =>
  [...text(name).matchAll(/\bimport\("\.\/([^"]+)"\)/g)].map(([, next = '']) => next);

test('incident: the page once weighed 156 KB; no screen loads more than 120 KiB, the library that draws with it', () => {
  const entry = names.find((name) => /^app-.*\.js$/.test(name)) as string;
  const css = names.find((name) => /^app-.*\.css$/.test(name)) as string;
  const first = withImports(entry);
  const all = new Set<string>([...first].flatMap(later));
  for (let more = [...all]; more.length > 0; ) {
    more = more.flatMap((name) => [...withImports(name)].flatMap(later)).filter((name) => !all.has(name));
    for (const one of more) all.add(one);
  }
  const isWords = (name: string) => text(name).length > 3000 && !/\bimport\b/.test(text(name).slice(0, 200));
  const words = [...all].filter(isWords);
  const screens = [...all].filter((name) => !words.includes(name));
  expect(words.length).toBeGreaterThanOrEqual(4);
  expect(screens.length).toBeGreaterThanOrEqual(3);
  const weigh = (files: Iterable<string>): number => [...new Set(files)].reduce((sum, name) => sum + size(name), 0);
  // The heavier language of the two, and both parts of the dictionary where they are the largest.
  const largestWords = Math.max(...words.map(size));
  const base = size('index.html') + size(css) + largestWords;
  for (const screen of screens)
    expect(base + weigh([...first, ...withImports(screen)]), screen).toBeLessThanOrEqual(limit);
});
test('all of it together, every screen, the first run and both languages, is sent in less than 120 KiB', () => {
  const sent = names
    .filter((name) => name === 'index.html' || /^(app|part)-.*\.(js|css)$/.test(name))
    .map((name) => gzipSync(readFileSync(join(folder, name)), { level: 9 }).length);
  expect(sent.length).toBeGreaterThan(10);
  expect(sent.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(limit);
});
test('the page names no other host, and has nothing inline', () => {
  const html = text('index.html');
  expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  expect(html.replaceAll("xmlns='http://www.w3.org/2000/svg'", '')).not.toMatch(/https?:/);
  for (const name of names.filter((one) => one.endsWith('.css')))
    expect(text(name)).not.toMatch(/url\(\s*["']?(?!data:)/);
});
