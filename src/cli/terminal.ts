/** The only door to the screen: each line goes through `visible`, on standard output and on standard error. */
import { once } from 'node:events';
import { visible } from '../base/visible.ts';
import { sentence, widthOf } from '../status/layout.ts';

export const print = (line: string): void => void process.stdout.write(`${visible(line)}\n`);
/** Standard output for much of it: written in large parts, as fast as whoever reads takes them. */
export interface Output {
  print(line: string): void;
  /** Octets that are no text. */
  write(octets: Uint8Array): void;
  flush(): Promise<void>;
}
export function bulkOutput(
  stream: NodeJS.WritableStream & { readonly writableNeedDrain: boolean } = process.stdout,
): Output {
  let lines: string[] = [];
  let parts: Uint8Array[] = [];
  const collect = (): void => {
    if (lines.length > 0) parts.push(Buffer.from(`${lines.join('\n')}\n`));
    lines = [];
  };
  return {
    print: (line) => void lines.push(visible(line)),
    write: (octets) => {
      collect();
      parts.push(octets);
    },
    flush: async () => {
      collect();
      if (parts.length === 0) return;
      const all = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
      parts = [];
      stream.write(all);
      if (stream.writableNeedDrain) await once(stream, 'drain');
    },
  };
}
/** Columns of the screen. Whoever writes into a file gets the usual ones; narrower than 60 nothing is laid out. */
export const screenWidth = (): number => (process.stdout.isTTY ? Math.max(60, process.stdout.columns || 80) : 80);
/** What stands before the words of a line, and is not repeated where the line goes on: indent, time, arrow, "next:". */
const head = /^(?:\s+|\d\d:\d\d:\d\d\.\d{3} )?(?:[→←] |next(?: \([a-z-]+\))?: |good: )?/;
/** A line for people as lines that the screen holds, broken between words: a terminal breaks in the middle of them. */
export function folded(line: string, width: number): string[] {
  if (widthOf(line) <= width) return [line];
  const [before = ''] = head.exec(line) ?? [];
  return sentence(before, line.slice(before.length), width);
}
/** Prose on standard output: folded on a terminal; whoever writes into a file or searches gets each line whole. */
export const printText = (line: string): void => {
  for (const part of process.stdout.isTTY ? folded(line, screenWidth()) : [line]) print(part);
};
/** Writes to stderr, beside the output: what went wrong, and what goes on. */
export const note = (line: string): void => {
  const width = Math.max(60, process.stderr.columns || 80);
  const parts = process.stderr.isTTY ? folded(visible(line), width) : [visible(line)];
  for (const part of parts) process.stderr.write(`${part}\n`);
};
/** Text of our own with several lines, such as the help. Whatever strangers put into it does not act. */
export const noteLines = (text: string): void => {
  for (const line of text.replace(/\n$/, '').split('\n')) note(line);
};
/** Overwrites itself on a terminal; nothing where nobody looks. */
export const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r${visible(text)}`);
};
export const clearProgress = (): void => {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
};

/** What a screen of so many rows holds of it; what it does not hold is said. */
export function fitting(lines: readonly string[], rows: number): readonly string[] {
  const room = Math.max(2, rows - 1);
  if (lines.length <= room) return lines;
  const left = lines.length - room + 1;
  return [...lines.slice(0, room - 1), `… ${left} more lines: a higher screen, or without --watch`];
}

/** Whether somebody looks on whose screen can be drawn anew. */
export const isScreen = (): boolean => process.stdout.isTTY;
export const clearScreen = (): void => void process.stdout.write('\x1b[2J');
/**
 * The screen anew, from its first line, as far as it has lines. It is not cleared before: what stays the same does not flicker,
 * and the scroll-back is not filled.
 */
export function redraw(lines: readonly string[]): void {
  const fits = fitting(lines, process.stdout.rows || 24);
  process.stdout.write(`\x1b[H${fits.map((line) => `${visible(line)}\x1b[K\n`).join('')}\x1b[J`);
}
