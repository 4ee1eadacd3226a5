/** Whoever starts a program on a Node that is too old is told so, by the program and not by a file that cannot be linked. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { node, root } from '../support/programs.ts';

const { bin, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly bin: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
};
const programs = [...Object.entries(bin), ['meter-central', 'dist/central/main.js'] as const];
/** As an older one calls itself; it has no module `node:sqlite` and other exports, so all else is to be left alone. */
const older = (version: string) =>
  `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${version}' });`;
const started = (file: string, version: string) =>
  new Promise<{ code: number; err: string }>((resolve) =>
    execFile(node, ['--import', older(version), join(root, file), '--help'], (error, _, err) =>
      resolve({ code: error ? Number(error.code) : 0, err }),
    ),
  );

test.each(programs)(
  'incident: under Node 20 %s ended with a SyntaxError: %s says which Node it needs, and where one is',
  async (name, file) => {
    for (const version of ['20.20.2', '24.10.0']) {
      const { code, err } = await started(file, version);
      expect(code).toBe(2);
      expect(err).toMatch(
        new RegExp(`^${name} needs Node 24\\.11 or later; \\S+ is ${version.replaceAll('.', '\\.')}\\.\nnext: `),
      );
    }
    expect(await started(file, '24.11.0')).toEqual({ code: 0, err: '' });
    expect(engines.node).toMatch(/^\^24\.11\.0 /);
  },
);

test.each(programs)('%s: until the Node is known nothing is loaded that could be missing in it (%s)', (_, file) => {
  const imports = (path: string) =>
    [...readFileSync(path, 'utf8').matchAll(/^(?:import|export) [^;]*from '([^']+)'/gm)].map(([, from]) => from);
  expect(imports(join(root, file))).toEqual(['../base/needed-node.js']);
  expect(imports(join(root, 'dist/base/needed-node.js'))).toEqual([]);
});
