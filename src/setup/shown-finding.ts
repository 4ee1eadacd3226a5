/** Findings of a file for whoever has only the page: with the line that each stands in, and without a word of a secret. */
import { readFileSync } from 'node:fs';
import { errorTable, Failure, messageOf } from '../base/errors.ts';
import type { Finding } from '../config/findings.ts';

export interface ShownFinding extends Finding {
  /** The line as it stands in the file; null where the finding is of no line. */
  readonly text: string | null;
}

const maxLine = 200;
const secretKeys =
  /((?:^|[\s{,"'.])(?:next_)?(?:secret|password|key|encryption_key|authentication_key|signing_key)["']?\s*=)(?!\s*["']?(?:file:\/|credential:)[^"']*["'])[^,}]*/g;

/** Somebody may have written a secret where its reference belongs. */
const withoutSecrets = (line: string): string =>
  line
    .replaceAll(secretKeys, '$1 …')
    .replace(/\/\/[^/@]*@/, '//…@')
    .slice(0, maxLine);

function lineOf(lines: readonly string[], number: number | null): string | null {
  const line = number === null ? undefined : lines[number - 1];
  if (line === undefined || line.trim() === '') return null;
  // Within a text of several lines nothing says what a line is of.
  if (lines.some((one) => /"""|'''/.test(one))) return null;
  return withoutSecrets(line.replaceAll(/[\p{Cc}]/gu, ' '));
}

export function shownIn(text: string, findings: readonly Finding[]): ShownFinding[] {
  const lines = text.split(/\r?\n/);
  return findings.map((one) => ({ ...one, text: lineOf(lines, one.line) }));
}
export function shown(path: string, findings: readonly Finding[]): ShownFinding[] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // The findings say that it cannot be read.
  }
  return shownIn(text, findings);
}

/** What is wrong and stands in no line of the file: the file itself, the state directory, a socket. */
export function ofWhole(file: string, about: string, error: unknown): ShownFinding {
  const failure = error instanceof Failure ? error : new Failure('config-invalid', messageOf(error));
  const [message = '', ...more] = failure.message.split('\n');
  const step = /^\s*next \([a-z-]+\): (.*)$/.exec(more[0] ?? '')?.[1];
  return {
    severity: 'error',
    code: failure.code,
    fault: errorTable[failure.code].fault,
    file,
    line: null,
    column: null,
    path: '',
    about,
    message,
    next: step ?? failure.nextStep,
    text: null,
  };
}
