/** Runs the look at files that may end whoever looks (salvage.ts), and says what came of it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../base/errors.ts';
import { notTheFilesCode, salvageProgram } from './salvage.ts';

export interface Salvaged {
  /** Whether the process ended by itself. */
  readonly ended: boolean;
  readonly whole: boolean;
  /** Why it does not all read. */
  readonly broken: string | undefined;
  /** Why nothing can be said of the files: the disk, or another process has them. */
  readonly hindered: string | undefined;
}
/** Characters of what the process says that are kept. */
const maxWords = 300;
/** Somebody asked it to end, as systemd asks all processes of a unit: that says nothing of the files. */
const askedToEnd = new Set<NodeJS.Signals | null>(['SIGTERM', 'SIGINT', 'SIGHUP']);

/** Failure `store-failed` where no process can be started, or was ended from outside; rejects when `stop` is aborted. */
export async function runSalvage(args: readonly string[], stop: AbortSignal): Promise<Salvaged> {
  stop.throwIfAborted();
  const child = spawn(process.execPath, [fileURLToPath(salvageProgram), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = () => void child.kill('SIGKILL');
  stop.addEventListener('abort', kill, { once: true });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString('utf8')).slice(0, maxWords)));
  try {
    const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Failure('store-failed', `no process can be started to look at the store: ${messageOf(error)}`)),
      );
      child.once('close', (code, by) => resolve([code, by]));
    });
    stop.throwIfAborted();
    if (askedToEnd.has(signal))
      throw new Failure('store-failed', `the look at the store was ended from outside (${signal})`);
    const broken =
      status === 0 || status === notTheFilesCode
        ? undefined
        : `it does not read (${status ?? signal}): ${words.trim()}`;
    const hindered = status === notTheFilesCode ? words.trim() : undefined;
    return { ended: status !== null, whole: status === 0, broken, hindered };
  } finally {
    stop.removeEventListener('abort', kill);
  }
}
