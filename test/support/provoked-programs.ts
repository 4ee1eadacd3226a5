/** Errors of the machine, the files and the daemon: the built programs as processes. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openPty } from '../../src/simulator/pty.ts';
import { listening, until } from './broker.ts';
import { children, folder, gateway, node, type Result } from './programs.ts';
import { tcpServer } from './tcp-server.ts';
import { cli, type Provocations, type Screen, screen } from './screens.ts';
import { configuration } from './configuration.ts';
import { nobody, NotRun, notAsNobody } from './nobody.ts';

const own = mkdtempSync(join(folder, 'daemon-'));
const socket = join(own, 's.sock');
const config = join(own, 'gateway.toml');
const written = (state: string, door: string): string =>
  configuration({
    gateway: { clock_trust: 'assume', state_directory: state, status_socket: door },
    mqtt: { url: 'mqtt://127.0.0.1:1' },
    port: [{ meter: [{ serial: '60120001' }] }],
  });
let running: Promise<void> | undefined;
/** One daemon for all of them. */
const daemon = (): Promise<void> =>
  (running ??= (async () => {
    writeFileSync(config, written(join(own, 'state'), socket), { mode: 0o600 });
    const child = spawn(node, [gateway, 'run', '--config', config], { stdio: 'ignore' });
    children.push(child);
    await until(() => listening(socket), 'the socket is there');
  })());
/** A command that asks the daemon. */
const asked = (when: string, args: readonly string[]) => async (): Promise<Screen> => {
  await daemon();
  return cli(when, [...args, '--socket', socket]);
};
/** Another gateway, with the state or the socket of the one that runs. */
const second = (when: string, name: string, state: string, door: string) => async (): Promise<Screen> => {
  await daemon();
  const path = join(own, name);
  writeFileSync(path, written(state, door), { mode: 0o600 });
  return cli(when, ['run', '--config', path]);
};
async function reloaded(): Promise<Screen> {
  await daemon();
  writeFileSync(config, written(join(own, 'elsewhere'), socket));
  const result = await cli('another state_directory, and a reload', ['reload', '--socket', socket]);
  writeFileSync(config, written(join(own, 'state'), socket));
  return result;
}
/** As somebody who may not, whoever runs the tests. */
async function unprivileged(when: string, args: string[]): Promise<Screen> {
  if (process.getuid?.() !== 0) return cli(when, args);
  if (notAsNobody !== undefined) throw new NotRun(notAsNobody);
  const { err, code } = await new Promise<Result>((resolve) => {
    const child = spawn(node, [gateway, ...args], { uid: nobody, gid: nobody, cwd: '/', env: { HOME: '/' } });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('close', (exit) => resolve({ code: exit ?? -1, out: '', err: text }));
  });
  return screen(when, `meter-gateway ${args.join(' ')}`, err.trimEnd().split('\n'), code);
}
async function deniedPort(): Promise<Screen> {
  const pty = openPty();
  chmodSync(pty.path, 0);
  try {
    return await unprivileged('the user is not in the group of the port', ['read', pty.path]);
  } finally {
    pty.close();
  }
}
async function undirectedPort(): Promise<Screen> {
  const pty = openPty();
  try {
    return await cli('a port whose driver knows no RS-485', ['read', pty.path, '--direction', 'kernel']);
  } finally {
    pty.close();
  }
}
async function deniedSocket(): Promise<Screen> {
  const path = join(folder, 'denied.sock');
  chmodSync(folder, 0o755);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0);
  try {
    return await unprivileged('the user is not in status_group', ['status', '--socket', path]);
  } finally {
    server.close();
  }
}
async function takenPort(): Promise<Screen> {
  const device = await tcpServer(() => {});
  return cli('another program listens there', ['listen', device]);
}
/** A backup whose first line says so. */
const restored = (when: string, name: string, octets: Uint8Array) => (): Promise<Screen> => {
  const place = join(own, `${name}-state`);
  mkdirSync(place, { recursive: true });
  const [file, path] = [join(own, name), join(own, `${name}.toml`)];
  writeFileSync(file, octets);
  writeFileSync(path, written(place, join(own, `${name}.sock`)), { mode: 0o600 });
  return cli(when, ['restore', file, '--config', path]);
};
const later = { kind: 'meter-gateway backup', v: 1, madeAt: '', version: '9.9.9', storeFormat: 99, epoch: 1 };
const file = (name: string, text: string): string => {
  const path = join(own, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};

export const ofPrograms = {
  'port-missing': () => cli('no such device', ['read', '/dev/serial/by-id/none']),
  'port-denied': deniedPort,
  'direction-unsupported': undirectedPort,
  'port-busy': takenPort,
  'host-missing': () => cli('nobody listens at this address', ['read', 'tcp://127.0.0.1:1']),
  'bad-argument': () => cli('an option out of its range', ['read', 'tcp://127.0.0.1:1', '--client', '999']),
  'secret-missing': () =>
    cli('a password is needed, and none is given', ['read', 'tcp://127.0.0.1:1', '--auth', 'lls']),
  'key-unfit': () =>
    cli('a key of the wrong length', ['read', 'tcp://127.0.0.1:1', '--auth', 'hls-gmac'], {
      METER_EK: '00',
      METER_AK: '00',
    }),
  'input-unreadable': () => cli('a file that is no exchange', ['decode', file('notes.txt', 'see you tomorrow\n')]),
  'list-unfit': () =>
    cli('Excel had the work list', [
      'scan',
      '/dev/null',
      '--list',
      file('worklist.csv', 'point;serial;place;fuse;transformer ratio\n643006966022791278;6.01E+07;box 1;63 A;200/5\n'),
    ]),
  'backup-unfit': restored('a file that is no backup', 'notes.gz', Buffer.from('see you tomorrow')),
  'report-unproven': () =>
    cli('a report that somebody changed', [
      'sign-off',
      'verify',
      file('report.json', '{"report":{"state":"final"},"digest":"00","signature":"","publicKey":""}'),
    ]),
  'file-unusable': () => cli('no such file', ['decode', join(own, 'none.tap')]),
  'unknown-meter': asked('a meter that is not configured', ['poll', 'nosuch']),
  'nothing-waits': asked('a word about a meter of which nothing waits', ['meter', 'counter', 'accept', 'm1']),
  'restart-needed': reloaded,
  'config-invalid': () => cli('a file with a mistake', ['config', 'check', file('wrong.toml', '[gateway]\nid = 7\n')]),
  'no-gateway': () => cli('no gateway runs', ['status', '--socket', join(own, 'none.sock')]),
  'not-permitted': deniedSocket,
  'socket-taken': second('another gateway has this socket', 'same-socket.toml', join(own, 'state-2'), socket),
  'store-locked': second('another gateway has this state', 'same-state.toml', join(own, 'state'), join(own, '2.sock')),
  'store-too-new': restored(
    'a backup that a later version made',
    'later.backup',
    gzipSync(`${JSON.stringify(later)}\n`),
  ),
} satisfies Provocations;
