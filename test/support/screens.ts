/** What a person sees of an error: how it was provoked, what was typed, and the lines on the screen. */
import { join } from 'node:path';
import { type ErrorCode, errorTable } from '../../src/base/errors.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { snapshotText } from '../../src/status/status-text.ts';
import { folder, gateway, run } from './programs.ts';

export interface Screen {
  readonly when: string;
  readonly command: string;
  readonly lines: readonly string[];
  /** Of the command; undefined where the screen is no failure of the command itself. */
  readonly exit: number | undefined;
}
const compiled = join(folder, 'compiled');
export type Provocations = Partial<Record<ErrorCode, () => Promise<Screen>>>;

/** Without what is another one in each run. */
const steady = (text: string): string =>
  text
    .replaceAll(folder, '/tmp/test')
    .replaceAll(/127\.0\.0\.1:\d{2,5}/g, '127.0.0.1:4059')
    .replaceAll(/\/dev\/pts\/\d+/g, '/dev/pts/1')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([+-]\d\d:\d\d|UTC|Z)/g, '2026-11-28 10:00:00 +02:00')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z/g, '2026-11-28T08:00:00Z')
    .replaceAll(/(\/daemon)-\w{6}/g, '$1')
    .replaceAll(/counter \d+ after \d+/g, 'counter 572606411 after 572606411')
    .replaceAll(/(control 0x30, counter) \d+/g, '$1 572606411')
    // Which of reading, writing and waiting notices first that the adapter is gone.
    .replaceAll(/(\/unplugged): .*/g, '$1: the adapter is gone')
    .replaceAll(/total of \d+ s: \d+ octets came, \d+ of use/g, 'total of 6 s: 23 octets came, 23 of use')
    .replaceAll(/\(uid \d+\)/g, '(uid 0)');

/** As `meter-gateway` prints it on stderr. */
export async function cli(when: string, args: string[], env: object = {}): Promise<Screen> {
  // Some sixty starts of one program.
  const { err, code } = await run(gateway, args, { env: { NODE_COMPILE_CACHE: compiled, ...env } });
  return screen(when, `meter-gateway ${args.join(' ')}`, err.trimEnd().split('\n'), code);
}
const longestCommand = 160;
export function screen(when: string, command: string, lines: readonly string[], exit?: number): Screen {
  const typed = steady(command);
  const short = typed.length > longestCommand ? `${typed.slice(0, longestCommand)} …` : typed;
  return { when, command: short, lines: lines.map(steady), exit };
}
/** The words are compared, not where a line of 80 columns ends. */
const unwrapped = 10_000;
/** The lines of `meter-gateway status` that tell of this code. */
export function shown(when: string, code: ErrorCode, snapshot: Snapshot): Screen {
  // A fault of the bus stands behind the names of its meters.
  const at = (line: string) => Math.max(0, line.indexOf(`${code} (`));
  const lines = snapshotText(snapshot, unwrapped).map((line) => line.slice(at(line)).trim());
  const from = lines.findIndex((line) => line.startsWith(`${code} (`));
  const to = lines.findIndex((line, i) => i > from && line.startsWith('next:'));
  return screen(when, 'meter-gateway status', from < 0 ? lines : lines.slice(from, to + 1));
}
/** The line that tells what happened, between the code and the next step; undefined where the screen does not show both. */
export function screenOf({ lines }: Pick<Screen, 'lines'>, code: ErrorCode): readonly string[] | undefined {
  const { fault, nextStep } = errorTable[code];
  const from = lines.findIndex((line) => line.startsWith(`${code} (${fault})`));
  const to = lines.indexOf(`next: ${nextStep}`);
  return from >= 0 && to > from ? lines.slice(from, to) : undefined;
}
