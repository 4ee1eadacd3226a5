/** Documents that are generated, whole or between two marks: written, or with `--check` compared. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const at = (path: string): URL => new URL(`../../${path}`, import.meta.url);
const check = process.argv.includes('--check');

export function generated(path: string, text: string, command: string): void {
  if (!check) writeFileSync(at(path), text);
  else if (!existsSync(at(path)) || readFileSync(at(path), 'utf8') !== text) {
    process.stderr.write(`${path} has drifted: ${command}\n`);
    process.exitCode = 1;
  }
}

/** Only what stands between the two marks of that name; the rest of the document is written by hand. */
export function generatedPart(path: string, name: string, text: string, command: string): void {
  const before = readFileSync(at(path), 'utf8');
  const begin = `<!-- generated: ${name} -->\n`;
  const end = `<!-- end: ${name} -->`;
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path} lacks the marks of '${name}'`);
  generated(path, `${before.slice(0, from)}${begin}\n${text.trim()}\n\n${before.slice(to)}`, command);
}
