/** Whoever starts a worker need not know the flags of V8. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { root } from '../support/programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'heap-limits-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The command line of a worker once it has its store. */
async function commandLine(name: string, options: string): Promise<string> {
  const store = join(folder, `${name}.db`);
  const worker = spawn(
    process.execPath,
    [join(root, 'src/central/main.ts'), 'ingest', '--broker', 'mqtt://127.0.0.1:1', '--tenant', 't', '--store', store],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: options } },
  );
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  let output = '';
  worker.stdout.on('data', (text: Buffer) => {
    output += text.toString();
  });
  await until(() => output.includes('ECONNREFUSED'), 'it has opened its store and looks for its broker');
  const line = readFileSync(`/proc/${worker.pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  worker.kill('SIGTERM');
  expect(await ended).toBe(0);
  return line;
}
test('a worker bounds its heap by itself; bounds that somebody has set are left alone', async () => {
  expect(await commandLine('plain', '')).toContain('--max-old-space-size=96 --max-semi-space-size=8 ');
  expect(await commandLine('given', '--max-old-space-size=200')).not.toContain('--max-old');
});
