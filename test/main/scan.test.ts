/** `meter-gateway scan` as a process: over a real pty, cut by Ctrl-C, and through the running gateway. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ScanEvent } from '../../src/commission/scan.ts';
import { listening, until } from '../support/broker.ts';
import { children, folder, gateway, node, root, run, simulate } from '../support/programs.ts';
import { ofKind } from '../support/scan-world.ts';

const scenario = join(root, 'hardware/bench/substation.toml');
const [head = '', ...rows] = readFileSync(join(root, 'hardware/bench/worklist.csv'), 'utf8').trimEnd().split('\n');
/** Some of the substation: found, another serial, reversed, both of the collision, of an unknown kind. */
const list = join(folder, 'some.csv');
const some = ['60120001', '60120006', '60120018', '60120020', '60130020', '60120027'];
writeFileSync(
  list,
  [head, ...rows.filter((row) => some.includes(row.split(',')[1] ?? ''))].join('\r\n').replaceAll(',', ';'),
);
const eventsOf = (out: string): ScanEvent[] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ScanEvent);

test('over a real pty: a table of 80 columns, the next steps, the exit code of the worst', async () => {
  const { device } = await simulate(['--scenario', scenario, '--pty', join(folder, 'scan-tty')]);
  const { code, out, err } = await run(gateway, ['scan', device, '--list', list]);
  expect(err.replaceAll('\n', ' ')).toMatch(/^6 meters of .*: \d+ questions, about \d+ s/);
  expect(err).toMatch(/Ctrl-C stops it/);
  expect(code).toBe(5);
  const lines = out.trimEnd().split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const verdicts = lines.flatMap((line) => /^(\S+) +(\d{8}) +\d{18} +(\S+)$/.exec(line)?.slice(1, 4).join(' ') ?? []);
  expect(verdicts).toEqual([
    '1/1001 60120001 found',
    '1/1006 60120006 another-serial',
    '1018/1 60120018 address-reversed',
    '1/1020 60120020 collision',
    '1/1020 60130020 collision',
    '1/1027 60120027 unknown-kind',
  ]);
  expect(lines.at(-1)).toMatch(/^1 as they should be, 5 to be looked at\. \d+ answers, \d+ s\.$/);
});

test('Ctrl-C: the same command goes on where it stopped', async () => {
  const { device } = await simulate(['--meters', '4', '--pty', join(folder, 'cut-tty')]);
  const four = join(folder, 'four.csv');
  writeFileSync(four, ['point,serial', ...[1, 2, 3, 4].map((i) => `p${i},6012000${i}`)].join('\n'));
  const args = ['scan', device, '--list', four, '--json', '--journal', join(folder, 'cut.journal')];
  const child = spawn(node, [gateway, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until(() => out.includes('"probe"'), 'the first meter is found');
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  const before = ofKind(eventsOf(out), 'probe').map(({ id }) => id);
  const again = await run(gateway, args);
  expect(again.code).toBe(2);
  const events = eventsOf(again.out);
  expect(ofKind(events, 'plan')[0]?.resumed).toBeGreaterThanOrEqual(before.length);
  expect(ofKind(events, 'probe').filter(({ id }) => before.includes(id))).toEqual([]);
  expect(ofKind(events, 'finding').map(({ serial }) => serial)).toEqual([
    '60120001',
    '60120002',
    '60120003',
    '60120004',
  ]);
});

test('through the running gateway, by the name of the port and by its device; its journal is in the state directory', async () => {
  const { device } = await simulate(['--meters', '2', '--pty', join(folder, 'desk-tty')]);
  const state = join(folder, 'state');
  const socket = join(folder, 'scan.sock');
  const config = join(folder, 'gateway.toml');
  writeFileSync(
    config,
    `[gateway]\nid = "g1"\ntenant = "t1"\nstate_directory = "${state}"\nstatus_socket = "${socket}"\n
[mqtt]\nurl = "mqtt://127.0.0.1:1"\n
[[port]]\nname = "bus-1"\ndevice = "serial:${device}"\n
[[port.meter]]\nid = "m1"\npoint = "p1"\nserial = "60120001"\nclient = 16\n`,
    { mode: 0o600 },
  );
  const daemon = spawn(node, [gateway, 'run', '--config', config], {
    stdio: 'ignore',
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  children.push(daemon);
  await until(() => listening(socket), 'the gateway is there');
  const two = join(folder, 'two.csv');
  writeFileSync(two, `point,serial,place,fuse,transformer ratio\np1,60120001,a,,\np2,60120002,b,,\n`);
  for (const port of ['bus-1', device]) {
    const { code, out, err } = await run(gateway, ['scan', port, '--list', two, '--socket', socket, '--json']);
    expect(`${code} ${err}`).toBe('2 ');
    const events = eventsOf(out);
    expect(ofKind(events, 'finding').map(({ entry, address }) => `${entry?.serial} ${address}`)).toEqual([
      '60120001 1/1001',
      '60120002 1/1002',
    ]);
    expect(ofKind(events, 'plan')[0]?.journal).toBe(join(state, 'scan-bus-1.journal'));
  }
  const unknown = await run(gateway, ['scan', 'bus-9', '--blind', '--socket', socket]);
  expect(`${unknown.code} ${unknown.err}`).toMatch(/^2 unknown-port .*'bus-9'.*there are bus-1/);
  // Without a gateway the configuration says how the line is reached.
  const gone = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGTERM');
  await gone;
  const single = await run(gateway, ['scan', 'bus-1', '--list', two, '--config', config, '--json']);
  expect(ofKind(eventsOf(single.out), 'finding').map(({ address }) => address)).toEqual(['1/1001', '1/1002']);
});
test('what is looked for must be said', async () => {
  const { code, err } = await run(gateway, ['scan', '/dev/null']);
  expect(code).toBe(2);
  expect(err).toContain('--list FILE for the meters of a work list, --blind for the likely addresses');
});
