/** What a document has a person type. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/programs.ts';

/** The lines of its blocks for a shell up to a heading, without remarks; those that another test runs are left out. */
export function commandsOf(document: string, end: string): string[] {
  const text = readFileSync(join(root, document), 'utf8');
  const blocks = [...text.slice(0, text.indexOf(end)).matchAll(/^```sh\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, lines = '']) =>
    lines
      .split('\n')
      .map((line) => line.replace(/ +# .*$/, ''))
      .filter((line) => line !== ''),
  );
}
