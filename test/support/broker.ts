/** A real mosquitto on a free port of the loopback, for one test file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A port of the loopback, or the path of a local socket: a socket's file is there a little before anybody listens at it. */
export async function listening(at: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a condition; the limit only names a hang before the test itself ends: machines are shared. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 120_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(20);
  }
}

export interface RealBroker {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  /** As the power would: nothing is written any more. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Restarted with other lines in its configuration. */
  reconfigure(settings: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}
/** `settings`: more lines of its configuration. */
export async function realBroker(settings: readonly string[] = []): Promise<RealBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'broker-test-'));
  const port = await freePort();
  const file = join(folder, 'mosquitto.conf');
  const configure = (lines: readonly string[]) =>
    writeFileSync(
      file,
      `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\nautosave_interval 1\nlog_type none\nuser root\n${lines.join('\n')}\n`,
    );
  configure(settings);
  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' });
    await until(() => listening(port), 'mosquitto listens');
  };
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    const dying = child;
    child = undefined;
    if (!dying) return;
    const dead = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill(signal);
    await dead;
  };
  const stop = () => end('SIGTERM');
  await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    start,
    stop,
    kill: () => end('SIGKILL'),
    reconfigure: async (lines) => {
      configure(lines);
      await stop();
      await start();
    },
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
