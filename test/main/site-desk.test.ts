/** Commission, sign-off and capacity of a gateway that runs: it keeps its line, polls on, and signs with its own key. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askStatus } from '../../src/desk/client.ts';
import { until } from '../support/broker.ts';
import { children, folder, gateway, node, run, simulate } from '../support/programs.ts';

const scenario = join(folder, 'desk.toml');
writeFileSync(
  scenario,
  `[bus]
kind = "pty"
baud = 115200
turnaround_ms = 2
[meters]
count = 3
history_days = 3
current_transformer = "200/5"
[[meter]]
index = 2
password = "other"
`,
);
const secrets = join(folder, 'secrets');
mkdirSync(secrets);
const secret = join(secrets, 'meter');
writeFileSync(secret, 'meter', { mode: 0o600 });
const list = join(folder, 'desk.csv');
writeFileSync(
  list,
  `point,serial,place,fuse,transformer ratio
643000100000000013,60120001,Box 1,63,200/5
643000100000000020,60120002,Box 2,63,200/5
643000100000000037,60120003,Box 3,63,200/5
`,
);

test('through the desk: a configured meter and new ones, written, reloaded, signed off; capacity by what was measured', async () => {
  const { device } = await simulate(['--scenario', scenario, '--pty', join(folder, 'desk-bus')]);
  const state = join(folder, 'desk-state');
  const config = join(folder, 'desk-gateway.toml');
  writeFileSync(
    config,
    `[gateway]
id = "gw"
tenant = "t"
state_directory = "${state}"
clock_trust = "assume"
back_fill_days = 1
[mqtt]
url = "mqtt://127.0.0.1:1"
[[port]]
name = "bus-1"
device = "serial:${device}"
baud = 115200
[[port.meter]]
id = "m-60120001"
point = "643000100000000013"
serial = "60120001"
physical = 1001
client = 17
auth = "lls"
secret = "file:${secret}"
`,
  );
  const daemon = spawn(node, [gateway, 'run', '--config', config], {
    stdio: 'ignore',
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  children.push(daemon);
  const socket = join(state, 'status.sock');
  const meters = async () => (await askStatus(socket)).ports.flatMap((port) => port.meters.map(({ meter }) => meter));
  await until(
    () =>
      meters().then(
        (all) => all.length === 1,
        () => false,
      ),
    'the gateway answers',
  );

  const done = await run(gateway, [
    'commission',
    '--config',
    config,
    '--list',
    list,
    '--who',
    'Anna',
    '--exchanges',
    '3',
  ]);
  expect(done.out).toContain('60120001 (Box 1): good');
  expect(done.out).toContain('60120002 (Box 2): good');
  expect(done.out).toContain('FAULT wrong password: 60120003');
  expect(done.out).toContain('2 good, 1 not good');
  expect(done.out).toContain('1 meters written into');
  expect(done.out).toMatch(/the gateway has it: configuration [0-9a-f]{16} is in force/);
  expect(done.code).toBe(4);
  expect(await meters()).toEqual(['m-60120001', 'm-60120002']);

  const out = join(folder, 'desk-reports');
  const signed = await run(gateway, ['sign-off', '--config', config, '--who', 'Anna', '--out', out]);
  expect(signed.err).toBe('');
  expect(signed.out).toContain('t/gw: PENDING, 2 of 3 meters good');
  expect(signed.out).toContain('open: m-60120003 (60120003): wrong password');
  const [html = '', json = ''] = readdirSync(out).toSorted();
  expect(readFileSync(join(out, html), 'utf8')).toContain('PENDING');
  const verified = await run(gateway, ['sign-off', 'verify', join(out, json)]);
  expect(verified.out).toContain('is as it was signed');
  const changed = join(out, 'changed.json');
  writeFileSync(changed, readFileSync(join(out, json), 'utf8').replace('"who": "Anna"', '"who": "Bob"'));
  const refused = await run(gateway, ['sign-off', 'verify', changed]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('is not the one whose digest')]);
  expect(JSON.stringify(await askStatus(socket))).not.toContain('PRIVATE');

  const capacity = await run(gateway, ['capacity', '--config', config]);
  expect(capacity.out).toMatch(/2 meters answer, 0 do not\na poll takes [\d.]+ s/);

  // A file that the configuration knows nothing of is no secret of a meter.
  const theft = await run(gateway, [
    'commission',
    '60120003',
    '--config',
    config,
    '--list',
    list,
    '--client',
    '17',
    '--auth',
    'lls',
    '--secret',
    'file:/etc/shadow',
  ]);
  expect(theft.code).not.toBe(0);
  expect(theft.err).toContain('no secret of the configuration lies in that folder');
});
