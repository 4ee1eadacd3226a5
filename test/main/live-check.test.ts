/** config check --live: what a file names is opened, and nothing is said on a line of meters. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/config/findings.ts';
import { credentialsIn, judgeCredentials } from '../../src/main/live-check.ts';
import { openPty } from '../../src/simulator/pty.ts';
import { serveStatus } from '../../src/desk/server.ts';
import type { LocalAnswers } from '../../src/desk/routes.ts';
import { freePort, realBroker, until } from '../support/broker.ts';
import { children, folder, gateway, root, run } from '../support/programs.ts';
import { closeServers, tcpServer } from '../support/tcp-server.ts';
import { configuration } from '../support/configuration.ts';

/** Files that a process has open. */
const readlinks = (pid: number | undefined): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});
/** A converter that counts who comes and what is said. */
async function converter() {
  const seen = { connections: 0, octets: 0 };
  const device = await tcpServer((socket) => {
    seen.connections++;
    socket.on('data', (octets) => (seen.octets += octets.length));
  });
  closing.push(closeServers);
  return { seen, device };
}
const fileOf = (name: string, url: string, devices: readonly string[], socket = join(folder, 'none.sock')): string => {
  const path = join(folder, `${name}.toml`);
  writeFileSync(
    path,
    configuration({
      gateway: { state_directory: `${folder}/state`, status_socket: socket, clock_trust: 'assume' },
      mqtt: { url },
      port: devices.map((device, i) => ({
        name: `p${i}`,
        device,
        meter: [{ id: `m${i}`, point: `p${i}`, serial: String(i + 1) }],
      })),
    }),
  );
  return path;
};
const check = async (file: string) => {
  const text = await run(gateway, ['config', 'check', '--live', file]);
  const json = await run(gateway, ['config', 'check', '--live', '--json', file]);
  const findings = json.out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Finding]));
  return { ...text, json, findings };
};

test('what is well is named; nothing is said on the line, and nothing stays at the broker', async () => {
  const broker = await realBroker();
  closing.push(() => broker.remove());
  const line = await converter();
  const headEnd = await connectAsync(broker.url, { protocolVersion: 5 });
  const heard: string[] = [];
  headEnd.on('message', (topic, payload) => heard.push(`${topic} ${payload.length}`));
  await headEnd.subscribeAsync('amr/#', { qos: 1 });
  await headEnd.publishAsync('amr/v1/t/g/state', 'kept', { qos: 1, retain: true });
  const pty = openPty();
  closing.push(() => pty.close());
  const { code, out, err, findings } = await check(fileOf('well', broker.url, [line.device, pty.path]));
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain(`good: port p0: ${line.device} opens`);
  expect(out).toContain(`good: port p1: ${pty.path} opens`);
  expect(out).toContain('good: broker: may subscribe to amr/v1/t/g/down/ack');
  expect(out).toContain('good: broker: may publish to amr/v1/t/g/up/_/event');
  expect(out).toMatch(/good: disk: \d+ MiB of \d+ are free/);
  expect(out).toContain('good: no gateway runs at its socket');
  expect(findings.every(({ severity }) => severity === 'warning')).toBe(true);
  expect(line.seen.connections).toBe(2);
  expect(line.seen.octets).toBe(0);
  expect(heard.filter((one) => !one.endsWith(' 0'))).toEqual(['amr/v1/t/g/state 4']);
  const late = await connectAsync(broker.url, { protocolVersion: 5 });
  const retained: string[] = [];
  late.on('message', (topic, payload) => retained.push(`${topic} ${payload.toString()}`));
  await late.subscribeAsync('amr/#', { qos: 1 });
  await until(() => retained.length > 0, 'what is retained');
  expect(retained).toEqual(['amr/v1/t/g/state kept']);
  await late.endAsync(true);
  await headEnd.endAsync(true);
});

test('what is wrong is told whole, each with its line, key and next step; the exit code is the worst', async () => {
  const acl = join(folder, 'acl');
  writeFileSync(acl, 'topic read amr/v1/t/g/down/#\ntopic write amr/v1/t/g/birth\n', { mode: 0o644 });
  const broker = await realBroker([`acl_file ${acl}`]);
  closing.push(() => broker.remove());
  const nobody = `tcp://127.0.0.1:${await freePort()}`;
  const pty = openPty();
  closing.push(() => pty.close());
  const held: ChildProcess = spawn('flock', [pty.path, 'sleep', '60'], { stdio: 'ignore' });
  children.push(held);
  await until(() => readlinks(held.pid).includes(pty.path), 'somebody holds the port');
  const { code, out, findings } = await check(fileOf('wrong', broker.url, ['/dev/ttyUSB99', nobody, pty.path]));
  expect(code).toBe(3);
  const lines = findings
    .filter(({ severity }) => severity === 'error')
    .map(({ code: what, line, about }) => [what, line, about]);
  expect(lines).toEqual([
    ['port-missing', 11, 'port p0'],
    ['host-missing', 18, 'port p1'],
    ['port-busy', 25, 'port p2'],
    ['not-permitted', 8, 'broker'],
    ['not-permitted', 8, 'broker'],
  ]);
  expect(out).toMatch(/held by .*flock \(process \d+\)/);
  expect(out).toMatch(/may not publish to amr\/v1\/t\/g\/state: reason 0x87, not authorised/);
  for (const finding of findings) expect(finding.next.length).toBeGreaterThan(10);
});

test('a broker that is not there, and one that says nothing', async () => {
  const mute = await converter();
  const away = await check(fileOf('away', `mqtt://127.0.0.1:${await freePort()}`, [mute.device]));
  expect(away.code).toBe(3);
  expect(away.out).toMatch(/away\.toml:8:1: broker: mqtt\.url: .*ECONNREFUSED/);
  const silent = await run(gateway, [
    'config',
    'check',
    '--live',
    fileOf('mute', mute.device.replace('tcp', 'mqtt'), [mute.device]),
  ]);
  expect(silent.code).toBe(3);
  expect(silent.out).toMatch(/mqtt\.url: .*does not answer CONNECT|no connection within/);
});

test('beside a running gateway: what that one holds is left to it', async () => {
  const line = await converter();
  const socket = join(folder, 'running.sock');
  const snapshot = {
    gateway: 'g',
    version: '7',
    broker: { connected: true, trouble: null },
    ports: [{ device: line.device, open: true }],
  };
  closing.push(
    await serveStatus(socket, () => ({ snapshot: () => Promise.resolve(snapshot) }) as unknown as LocalAnswers),
  );
  const { code, out } = await check(fileOf('running', 'mqtt://127.0.0.1:1', [line.device], socket));
  expect(code).toBe(0);
  expect(out).toContain('good: gateway g runs, version 7');
  expect(out).toContain(`${line.device} is held by the running gateway`);
  expect(out).toContain('the running gateway is connected');
  expect(line.seen.connections).toBe(0);
});

describe('credentials, which only the service sees, by what its unit passes', () => {
  const finding = (path: string, name: string): Finding => ({
    severity: 'unjudged',
    code: 'secret-missing',
    fault: 'operator',
    file: 'c',
    line: 3,
    column: 1,
    path,
    about: 'meter m1',
    message: `credential:${name} is seen by the service only: LoadCredential= in the unit`,
    next: 'x',
  });
  const given = [finding('port[0].meter[0].secret', 'm1'), finding('mqtt.password', 'pw'), finding('mqtt.key', 'key')];
  test('missing in the unit, missing on the disk, and there', async () => {
    const unit = () =>
      Promise.resolve(
        new Map([
          ['pw', '/no/such/file'],
          ['key', '/etc/hostname'],
        ]),
      );
    const judged = await judgeCredentials(given, unit);
    expect(judged.map(({ severity, line, message }) => [severity, line, message])).toEqual([
      ['meter', 3, 'credential:m1: meter-gateway.service passes none of that name'],
      ['error', 3, 'credential:pw: /no/such/file does not exist'],
    ]);
  });
  test('of a folder each file is passed', async () => {
    const unit = () =>
      Promise.resolve(
        new Map([
          ['secrets', '/etc'],
          ['pw', '/no/such/file'],
        ]),
      );
    const judged = await judgeCredentials([finding('mqtt.key', 'hostname'), ...given], unit);
    expect(judged.map(({ message }) => message)).toEqual([
      'credential:m1: /etc/m1 does not exist',
      'credential:pw: /no/such/file does not exist',
      'credential:key: /etc/key does not exist',
    ]);
  });
  test('incident: systemd 252 shows no LoadCredential=, and each secret that was there was called missing: the files of the unit are read', () => {
    const shipped = readFileSync(join(root, 'systemd/meter-gateway.service'), 'utf8');
    expect([...credentialsIn(shipped)]).toEqual([['secrets', '/etc/meter-gateway/secrets']]);
    const more = '# /etc/systemd/system/meter-gateway.service.d/override.conf\n[Service]\n';
    expect([...credentialsIn(`${shipped}${more}LoadCredential=pw:/etc/pw\n`)].map(([name]) => name)).toEqual([
      'secrets',
      'pw',
    ]);
    const others = `${shipped}${more}LoadCredential=\nLoadCredentialEncrypted = key:/etc/a:b\n# LoadCredential=no:/x\n`;
    expect([...credentialsIn(others)]).toEqual([['key', '/etc/a:b']]);
  });
  test('without systemd they stay as they are', async () => {
    expect(await judgeCredentials(given, () => Promise.resolve(undefined))).toEqual(given);
  });
});
