/** A PostgreSQL cluster of one's own in a folder, on a unix socket that only its user enters: for the demonstration and tests. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';

export interface PrivatePostgres {
  /** For `--store`. */
  readonly url: string;
  /** Its unix socket stands in it. */
  readonly folder: string;
  readonly process: ChildProcess;
  /** Ends it as the power would: nothing is written any more. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}
/** Where a program of it is: where Debian puts it, or on the path. */
function program(name: string): string {
  const debian = '/usr/lib/postgresql';
  const folders = [
    ...(existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : []),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined)
    throw new Error(`PostgreSQL is not installed here (no ${name}): scripts/setup installs it (apt: postgresql)`);
  return found;
}
/** It refuses root; whoever is not root is himself. */
function owner(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((one) => one.startsWith(`${name}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('PostgreSQL refuses root, and there is no user postgres or nobody');
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

async function isReady(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

/** Starts what is in the folder; makes it where there is nothing. */
export async function startPostgres(folder: string, settings: readonly string[] = []): Promise<PrivatePostgres> {
  const user = owner();
  const data = join(folder, 'data');
  mkdirSync(folder, { recursive: true });
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  const plain = { ...user, cwd: '/', env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' } };
  if (!existsSync(join(data, 'PG_VERSION')))
    execFileSync(program('initdb'), ['-D', data, '-U', 'central', '-A', 'trust', '-E', 'UTF8', '--no-instructions'], {
      ...plain,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  const url = `postgres:///postgres?host=${encodeURIComponent(folder)}&user=central`;
  const server = () => {
    const child = spawn(
      program('postgres'),
      ['-D', data, '-k', folder, '-c', 'listen_addresses=', ...settings.flatMap((one) => ['-c', one])],
      // A group of its own: Ctrl-C is for whoever started it.
      { ...plain, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    );
    let output = '';
    child.stderr?.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-4000);
    });
    return { child, output: () => output };
  };
  let { child, output } = server();
  for (let tries = 0; !(await isReady(url)); tries++) {
    // Of one that was killed the children hold the memory for a moment.
    const held = output().includes('still in use');
    if (tries > 600 || (child.exitCode !== null && !held))
      throw new Error(`PostgreSQL does not start: ${output().trim()}`);
    if (child.exitCode !== null) ({ child, output } = server());
    await sleep(50);
  }
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  // However whoever started it ends, it is not left behind.
  process.on('exit', () => child.kill('SIGINT'));
  return {
    url,
    folder,
    process: child,
    kill: async () => {
      // Its children end when they see that it is gone; before that they hold the folder.
      const children = childrenOf(child.pid);
      child.kill('SIGKILL');
      for (const pid of children) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
      await ended;
    },
    stop: async () => {
      // Fast: open connections are ended.
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      await ended;
    },
  };
}
const asking = async (connectionString: string, statement: string): Promise<readonly Record<string, unknown>[]> => {
  const client = new Client({ connectionString });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(statement);
  await client.end();
  return rows;
};
/** A copy of a running one that follows it; from then on each commit of the first one waits until it is on the second one's disk. */
export async function startStandby(primary: PrivatePostgres, folder: string): Promise<PrivatePostgres> {
  const user = owner();
  mkdirSync(folder, { recursive: true });
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  const from = ['-h', primary.folder, '-U', 'central'];
  execFileSync(program('pg_basebackup'), [...from, '-D', join(folder, 'data'), '-R', '-X', 'stream', '-c', 'fast'], {
    ...user,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const standby = await startPostgres(folder);
  // After the copy: a server that is promoted must not wait for a standby of its own.
  await asking(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'");
  await asking(primary.url, 'SELECT pg_reload_conf()');
  for (let tries = 0; ; tries++) {
    const [one] = await asking(
      primary.url,
      "SELECT count(*)::int AS n FROM pg_stat_replication WHERE sync_state = 'sync'",
    );
    if (one?.['n'] === 1) return standby;
    if (tries > 200) throw new Error('the standby does not follow');
    await sleep(50);
  }
}
export const promote = async ({ url }: PrivatePostgres): Promise<void> => {
  await asking(url, 'SELECT pg_promote()');
};
function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
