/** scripts/build, on a project of one file that looks like this one. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folder, root } from '../support/programs.ts';

function project() {
  const at = mkdtempSync(join(folder, 'build-'));
  for (const file of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'package.json', 'scripts/build'])
    cpSync(join(root, file), join(at, file));
  mkdirSync(join(at, 'node_modules'));
  for (const name of ['.bin', '@types']) symlinkSync(join(root, 'node_modules', name), join(at, 'node_modules', name));
  const write = (name: string, text: string) => {
    mkdirSync(join(at, 'src', name), { recursive: true });
    writeFileSync(join(at, 'src', name, 'main.ts'), text);
  };
  write('main', "console.log('one');\n");
  write('simulator', 'export {};\n');
  write('central', 'export {};\n');
  write('office', 'export {};\n');
  // The page is built by a program of its own.
  writeFileSync(
    join(at, 'scripts/build-page.ts'),
    "import { mkdirSync } from 'node:fs';\nmkdirSync(process.argv[2] as string, { recursive: true });\n",
  );
  const build = () =>
    new Promise<number>((resolve) =>
      execFile(join(at, 'scripts/build'), (error) => resolve(error ? ((error.code as unknown as number) ?? -1) : 0)),
    );
  const built = () => readFileSync(join(at, 'dist/main/main.js'), 'utf8');
  const left = () => readdirSync(at).filter((name) => name.startsWith('dist.'));
  return { at, write, build, built, left, folder: () => statSync(join(at, 'dist')).ino };
}

test('incident: two builds at once took each other’s files: one builds, the other takes it as it is', async () => {
  const it = project();
  expect(await Promise.all([it.build(), it.build()])).toEqual([0, 0]);
  const first = it.folder();
  expect(it.built()).toContain('one');
  expect(statSync(join(it.at, 'dist/main/main.js')).mode & 0o111).toBe(0o111);
  // Nothing changed: nothing is built.
  expect(await it.build()).toBe(0);
  expect(it.folder()).toBe(first);
  it.write('main', "console.log('two');\n");
  expect(await it.build()).toBe(0);
  expect(it.folder()).not.toBe(first);
  expect(it.built()).toContain('two');
  expect(it.left()).toEqual([]);
});

test('a build that fails leaves the one that is there', async () => {
  const it = project();
  expect(await it.build()).toBe(0);
  it.write('main', "const two: number = 'two';\nconsole.log(two);\n");
  expect(await it.build()).not.toBe(0);
  expect(it.built()).toContain('one');
  expect(it.left()).toEqual([]);
});
