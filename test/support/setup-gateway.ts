/** A gateway that stays without a configuration, as a process, and its page as a browser asks it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { askPage } from '../../src/desk/client.ts';
import type { PageTicket } from '../../src/desk/routes.ts';
import { freePort, until } from './broker.ts';
import { children, gateway, node } from './programs.ts';
import { enter, type SetupPage } from './setup-page.ts';

export interface SetupGateway {
  readonly child: ChildProcess;
  readonly config: string;
  readonly port: number;
  /** Everything that it wrote. */
  readonly out: () => string;
  readonly ended: () => number | null | undefined;
  link(): Promise<PageTicket>;
  /** Logs in by a link of the local socket. */
  enter(): Promise<SetupPage>;
}
export async function setupGateway(
  folder: string,
  options: { readonly port?: number; readonly env?: NodeJS.ProcessEnv; readonly uid?: number } = {},
): Promise<SetupGateway> {
  const port = options.port ?? (await freePort());
  const runtime = join(folder, 'run');
  const etc = join(folder, 'etc');
  for (const one of [runtime, etc]) mkdirSync(one, { recursive: true });
  if (options.uid !== undefined) chownSync(runtime, options.uid, options.uid);
  const config = join(etc, 'gateway.toml');
  const child = spawn(node, [gateway, 'run', '--wait', '--config', config, '--page', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    env: { ...process.env, RUNTIME_DIRECTORY: runtime, UV_THREADPOOL_SIZE: '16', ...options.env },
  });
  children.push(child);
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const socket = join(runtime, 'status.sock');
  const link = () => askPage(socket);
  await until(() => /page is served|gateway runs/.test(out) || child.exitCode !== null, 'the page is served').catch(
    (error: unknown) => {
      throw new Error(`${String(error)} ${out}`);
    },
  );
  return {
    child,
    config,
    port,
    out: () => out,
    ended: () => child.exitCode,
    link,
    enter: async () => enter(await link()),
  };
}
