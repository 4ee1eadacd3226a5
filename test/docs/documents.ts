/** The documents of the repository, and what stands in them: blocks, commands, paths. */
import { globSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url).pathname;
export const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...globSync('{docs,hardware}/**/*.md', { cwd: root }),
].toSorted();
export const textOf = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

export interface Block {
  readonly document: string;
  /** The line after the fence's three ticks: `sh run`. */
  readonly info: string;
  readonly text: string;
}
export function blocksOf(document: string): Block[] {
  const found = textOf(document).matchAll(/^```(\S.*)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, info = '', text = '']) => ({ document, info: info.trim(), text }));
}
/** Inline code, and what stands in blocks for a shell. */
export function codeOf(document: string): string[] {
  const shells = blocksOf(document).filter(({ info }) => info.startsWith('sh'));
  const prose = textOf(document).replace(/^```[\s\S]*?^```$/gm, '');
  const inline = [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll('\n', ' '));
  const lines = shells.flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'));
  return [...inline, ...lines.map((line) => line.replace(/(^|\s)#.*$/, ''))];
}
/** Words of each call of a program in a piece of code: what follows its name up to the end of the command. */
export function callsOf(code: string, program: RegExp): { readonly name: string; readonly words: string[] }[] {
  const call = new RegExp(`(?:^|[\\s(;&|])(${program.source})((?:\\s+[^|;&)\\n]*)?)`, 'g');
  return [...code.matchAll(call)].map(([, name = '', rest = '']) => ({
    name,
    words: rest.split(/\s+/).filter(Boolean),
  }));
}
/** As GitHub makes them of headings. */
export const anchorsOf = (document: string): Set<string> =>
  new Set(
    [...textOf(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
