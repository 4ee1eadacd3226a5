/** The only door to the screen: each line goes through `visible`, on standard output and on standard error. */
import { visible } from '../base/visible.ts';

export const print = (line: string): void => void process.stdout.write(`${visible(line)}\n`);
/** Columns of the screen. Whoever writes into a file gets the usual ones; narrower than 60 nothing is laid out. */
export const screenWidth = (): number => (process.stdout.isTTY ? Math.max(60, process.stdout.columns || 80) : 80);
/** Writes to stderr, beside the output: what went wrong, and what goes on. */
export const note = (line: string): void => void process.stderr.write(`${visible(line)}\n`);
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

/** Whether somebody looks on whose screen can be drawn anew. */
export const isScreen = (): boolean => process.stdout.isTTY;
export const clearScreen = (): void => void process.stdout.write('\x1b[2J');
/**
 * The screen anew, from its first line, as far as it has lines. It is not cleared before: what stays the same does not flicker,
 * and the scroll-back is not filled.
 */
export function redraw(lines: readonly string[]): void {
  const fits = lines.slice(0, Math.max(1, process.stdout.rows - 1));
  process.stdout.write(`\x1b[H${fits.map((line) => `${visible(line)}\x1b[K\n`).join('')}\x1b[J`);
}
