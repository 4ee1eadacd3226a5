/** Programs of this checkout as processes that are killed in the midst, and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url).pathname;

/** `args`: the source of the program, from the root of the checkout, and what it is given. */
export function program([source = '', ...args]: readonly string[]) {
  let child: ChildProcess | undefined;
  let output = '';
  return {
    output: () => output,
    start: () => {
      child = spawn(join(root, 'node_modules/.bin/node'), [join(root, source), ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
      });
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (text: Buffer) => {
          output = (output + text.toString()).slice(-4000);
        });
    },
    end: async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL') => {
      const dying = child;
      child = undefined;
      if (!dying || dying.exitCode !== null || dying.signalCode !== null) return;
      const dead = new Promise((resolve) => dying.once('exit', resolve));
      dying.kill(signal);
      await dead;
    },
  };
}

/** The worker of the central system. */
export const ingestProgram = (broker: string, tenant: string, store: string, more: readonly string[] = []) =>
  program(['src/central/main.ts', 'ingest', '--broker', broker, '--tenant', tenant, '--store', store, ...more]);
