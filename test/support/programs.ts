/** The built programs as processes. Whoever imports this gets their end after each test, and a folder for the file. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { until } from './broker.ts';

export const root = new URL('../../', import.meta.url).pathname;
export const node = process.execPath;
export const gateway = join(root, 'dist/main/main.js');
export const simulator = join(root, 'dist/simulator/main.js');
export const folder = mkdtempSync(join(tmpdir(), 'programs-test-'));
export const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export interface Result {
  code: number;
  out: string;
  err: string;
}
export const run = (program: string, args: string[], options: { env?: object; input?: string } = {}): Promise<Result> =>
  new Promise((resolve) => {
    const child = execFile(
      node,
      [program, ...args],
      { env: { ...process.env, XDG_STATE_HOME: folder, ...options.env }, timeout: 240_000, maxBuffer: 1 << 26 },
      (error, out, err) => resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out, err }),
    );
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
/** Starts a simulator and gives its device and meters as it prints them. */
export async function simulate(args: string[]): Promise<{ device: string; child: ChildProcess; kill(): void }> {
  const child = spawn(node, [simulator, 'run', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await until(() => out.includes('\n'), 'the simulator tells its device').catch((error: unknown) => {
    throw new Error(`${String(error)} ${err}`);
  });
  return { device: out.trim(), child, kill: () => child.kill('SIGKILL') };
}
