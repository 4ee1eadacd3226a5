/**
 * Builds the page of the gateway into the folder that is named: index.html and hashed files beside it, nothing inline, nothing
 * of another host. `scripts/build` calls it.
 */
import { build, type Plugin } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inOne, type Language } from '../src/page/browser/dictionary.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('scripts/build-page.ts FOLDER');
const source = new URL('../src/page/browser/', import.meta.url).pathname;

/** `words:page-fi`: a part of the dictionary in one language. */
const languages: Plugin = {
  name: 'languages',
  setup(plugin) {
    plugin.onResolve({ filter: /^words:(page|work)-(en|fi)$/ }, ({ path }) => ({ path, namespace: 'words' }));
    plugin.onLoad({ filter: /./, namespace: 'words' }, ({ path }) => {
      const [part, language] = path.slice('words:'.length).split('-') as ['page' | 'work', Language];
      return { contents: JSON.stringify(inOne(part, language)), loader: 'json' };
    });
  },
};

const { metafile } = await build({
  entryPoints: { app: join(source, 'main.tsx') },
  outdir: folder,
  entryNames: '[name]-[hash]',
  chunkNames: 'part-[hash]',
  plugins: [languages],
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16'],
  legalComments: 'none',
  charset: 'utf8',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  tsconfig: join(source, 'tsconfig.json'),
  metafile: true,
  logLevel: 'warning',
});
const made = Object.keys(metafile.outputs).map((path) => basename(path));
const named = (ending: string): string => {
  const name = made.find((one) => one.startsWith('app-') && one.endsWith(ending));
  if (name === undefined) throw new Error(`esbuild made no ${ending}`);
  return name;
};
const html = readFileSync(join(source, 'index.html'), 'utf8')
  .replace('app.css', `/${named('.css')}`)
  .replace('app.js', `/${named('.js')}`);
writeFileSync(join(folder, 'index.html'), html);
