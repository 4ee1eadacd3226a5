/** What a failed command prints: what happened, whose fault, the next step; and its exit code. */
import { CodecError, type ErrorCode, errorTable, Failure, messageOf } from '../base/errors.ts';
import { systemZone, withLocalTimes } from '../base/words.ts';
import { note } from './terminal.ts';

/** The messages of these errors quote what the operator wrote and how it is to be written: times in them stay as they are. */
const quoting: ReadonlySet<ErrorCode> = new Set(['config-invalid', 'restart-needed', 'list-unfit', 'bad-argument']);
const withFindings: ReadonlySet<ErrorCode> = new Set(['config-invalid', 'restart-needed', 'list-unfit']);

export function describeFailure(error: unknown): { readonly lines: string[]; readonly exitCode: number } {
  if (error instanceof Failure) {
    const { exitCode } = errorTable[error.code];
    // Only the findings of a configuration stand on lines of their own: elsewhere a line break is a meter's.
    const text = quoting.has(error.code) ? error.message : withLocalTimes(error.message, systemZone());
    const message = withFindings.has(error.code) ? text.split('\n') : [text];
    const [first = '', ...more] = message;
    return { lines: [`${error.code} (${error.fault}): ${first}`, ...more, `next: ${error.nextStep}`], exitCode };
  }
  if (error instanceof CodecError) return { lines: [error.toString()], exitCode: 1 };
  return { lines: [messageOf(error)], exitCode: 1 };
}

/** Runs a command and turns its failure into lines on stderr and an exit code. */
export async function runCommand(command: () => Promise<number> | number): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    const { lines, exitCode } = describeFailure(error);
    for (const line of lines) note(line);
    process.exitCode = exitCode;
  }
}
