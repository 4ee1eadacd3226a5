/** Meters are commissioned by the built program, over a real pseudo-terminal: screens, files, and what goes wrong. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { children, folder, gateway, node, run, simulate } from '../support/programs.ts';

const scenario = join(folder, 'site.toml');
writeFileSync(
  scenario,
  `[bus]
kind = "pty"
baud = 115200
turnaround_ms = 2
[meters]
count = 4
history_days = 3
current_transformer = "200/5"
[[meter]]
index = 2
current_transformer = "400/5"
[[meter]]
index = 3
password = "other"
`,
);
const secret = join(folder, 'secret');
writeFileSync(secret, 'meter', { mode: 0o600 });
const list = join(folder, 'list.csv');
writeFileSync(
  list,
  `\u{feff}point;serial;place;fuse;transformer ratio
643000100000000013;60120001;Box 1;63;200/5
643000100000000020;60120002;Box 2;63;200/5
643000100000000037;60120003;Box 3;63;200/5
643000100000000044;60120004;Box 4;63;200/5
`,
);
const entry = ['--client', '17', '--auth', 'lls', '--secret', `file:${secret}`, '--model', 'generic'];

let number = 0;
let config = '';
let device = '';
beforeEach(async () => {
  number++;
  const own = join(folder, `gateway-${number}`);
  mkdirSync(own);
  ({ device } = await simulate(['--scenario', scenario, '--pty', join(own, 'bus')]));
  config = join(own, 'gateway.toml');
  writeFileSync(
    config,
    `# Substation 12
[gateway]
id = "gw"
tenant = "t"
state_directory = "${join(own, 'state')}"
clock_trust = "assume"
[mqtt]
url = "mqtt://localhost"
[[port]]
name = "bus-1"   # the yard
device = "serial:${device}"
baud = 115200
`,
  );
  chmodSync(config, 0o640);
});
const commission = (...more: string[]) =>
  run(gateway, ['commission', '--config', config, '--list', list, ...entry, ...more]);
const withoutTimes = (text: string) => text.replaceAll(/\d+ ms|about [^,]* left|in \d+ s|[\d.]+ kWh/g, '…');

describe('meter-gateway commission', () => {
  test('the good ones are written into the configuration with their comments, mode and records; the others are named', async () => {
    const first = await commission('--who', 'Anna', '--exchanges', '3');
    expect(first.err).toBe('');
    expect(withoutTimes(first.out)).toContain(`[1/4] m-60120001
60120001 (Box 1): good
    SIM0000060120001, model not known, clock right
    CT 200/5, 1-0:1.8.0*255 …, 1-0:2.8.0*255 …
    1-0:99.1.0*255 every 60 min, 4 columns, 60 days deep
    24 h: 24 of 24 rows, sums agree
    line: 3 exchanges, median …, 0 damaged, 0 repeated
    display: not compared
`);
    expect(first.out).toContain('FAULT ratio: it counts as behind 400/5, the list says 200/5');
    // Paths of this test are longer than a screen is wide; words are not.
    const tooWide = first.out.split('\n').filter((line) => line.length > 80 && !line.includes('/'));
    expect(tooWide).toEqual([]);
    expect(first.out).toContain('FAULT wrong password: 60120004 refuses the password of client 17');
    expect(first.out).toContain('2 meters written into');
    expect(first.code).toBe(4);
    const text = readFileSync(config, 'utf8');
    expect(text).toContain('name = "bus-1"   # the yard');
    expect(text).toMatch(/# Box 2; commissioned \d{4}-\d\d-\d\d by Anna\n\[\[port\.meter\]\]\nid = "m-60120002"\n/);
    expect(text).not.toContain('60120003');
    expect(statSync(config).mode & 0o777).toBe(0o640);
    expect((await run(gateway, ['config', 'check', config])).code).toBe(0);

    // Once more: who is good is not asked, and nothing is written twice.
    const again = await commission('--exchanges', '3');
    expect(again.out).toContain('60120001 (Box 1): good before');
    expect(again.out).not.toContain('written into');
    expect(readFileSync(config, 'utf8')).toBe(text);

    const attached = await run(gateway, ['attach', 'm-60120001', list, '--config', config, '--note', 'seal 4711']);
    expect(attached.out).toContain('until the site is signed off');

    const removed = await run(gateway, ['meter', 'remove', 'm-60120001', '--config', config, '--yes']);
    expect(removed.code).toBe(0);
    const added = await run(gateway, [
      'meter',
      'add',
      '60120009',
      '--point',
      'p9',
      '--config',
      config,
      '--physical',
      '5',
    ]);
    expect([added.code, added.err]).toEqual([0, '']);
    const last = readFileSync(config, 'utf8');
    expect(last).toMatch(/: meter m-60120001 was taken out by meter-gateway meter remove\n/);
    // Entered as the other one of its port is.
    expect(last).toMatch(
      /serial = "60120009"\nclient = 17\nauth = "lls"\nsecret = "file:.*\nmodel = "generic"\nphysical = 5\n/,
    );
  });

  test('without a configuration a draft of one grows in the folder of the site', async () => {
    const site = join(folder, 'site');
    const args = [
      'commission',
      '60120001',
      '--site',
      site,
      '--line',
      `serial:${device}`,
      '--baud',
      '115200',
      '--list',
      list,
    ];
    const done = await run(gateway, [...args, ...entry, '--json', '--exchanges', '2']);
    expect(done.code).toBe(0);
    const events = done.out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(['begin', 'meter', 'step', 'step', 'step', 'step', 'step', 'result', 'end']);
    expect(readFileSync(join(site, 'gateway.toml'), 'utf8')).toContain('serial = "60120001"');
  });

  test('a file that somebody edits meanwhile is not overwritten; the same command writes it later, and asks nobody', async () => {
    const child = spawn(
      node,
      [gateway, 'commission', '60120001', '--config', config, '--list', list, ...entry, '--json'],
      {
        env: { ...process.env, XDG_STATE_HOME: folder },
      },
    );
    children.push(child);
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    await until(() => out.includes('"meter"'), 'it begins');
    writeFileSync(config, `${readFileSync(config, 'utf8')}# my own line\n`);
    expect(await exited).toBe(2);
    expect(err).toContain('was changed while the meters were commissioned: nothing was written');
    expect(readFileSync(config, 'utf8')).not.toContain('60120001');
    const later = await commission('60120001');
    expect(later.out).toContain('good before');
    expect(readFileSync(config, 'utf8')).toContain('# my own line\n\n# Box 1');
  });

  test('Ctrl-C: it says so, and the same command goes on', async () => {
    const child = spawn(node, [gateway, 'commission', '--config', config, '--list', list, ...entry, '--json'], {
      env: { ...process.env, XDG_STATE_HOME: folder },
    });
    children.push(child);
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    await until(() => out.includes('"profile"'), 'it is at work');
    child.kill('SIGINT');
    expect(await exited).toBe(1);
    expect(err).toContain('the same command goes on where it was');
    const again = await commission('60120001', '--exchanges', '2');
    expect(again.out).toContain('60120001 (Box 1): good');
  });

  test.each([
    ['nobody of that name', ['m-7'], "no meter 'm-7'"],
    ['a file that is none', ['--list', '/nowhere.csv'], 'ENOENT'],
    ['no such port', ['--port', 'bus-9'], "no port 'bus-9'"],
    ['a template that is none', ['--like', 'm-7'], "no meter 'm-7' to take the entry of"],
    ['a period that is none', ['--period', '60'], '--period takes a whole number'],
    ['a secret that is not there', ['--secret', 'file:/nowhere'], 'does not exist'],
    ['a scan beside a list', ['--scan', '/x'], '--scan goes without --list'],
    ['a line beside a configuration', ['--line', '/dev/x'], '--line goes without --config'],
  ])('%s is said', async (_, more, why) => {
    const { code, err, out } = await commission(...more);
    expect(code).not.toBe(0);
    expect(out + err).toContain(why);
  });

  test('an adapter that is not there ends it at once, and no meter is blamed', async () => {
    writeFileSync(config, readFileSync(config, 'utf8').replace(device, '/dev/nowhere'));
    const { code, err } = await commission();
    expect(code).toBe(3);
    expect(err).toContain('port-missing');
  });
});

test('in a real terminal it asks what the display shows', async () => {
  const command = [
    node,
    gateway,
    'commission',
    '60120001',
    '--config',
    config,
    '--list',
    list,
    ...entry,
    '--exchanges',
    '2',
  ];
  const child = spawn('/usr/bin/script', ['-qec', command.join(' '), '/dev/null'], {
    env: { ...process.env, XDG_STATE_HOME: folder, TERM: 'dumb' },
  });
  children.push(child);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const asked = (times: number) => out.split('What does its display show?').length > times;
  await until(() => asked(1), 'the first question');
  child.stdin.write('nonsense\n');
  await until(() => asked(2), 'it asks again');
  const [, kWh = ''] = /1-0:1\.8\.0\*255 is (\d+)\./.exec(out) ?? [];
  child.stdin.write(`${kWh}\n`);
  await until(() => asked(3), 'the second register');
  child.stdin.write('\n');
  expect(await exited).toBe(0);
  expect(out).toContain('Write the digits');
  expect(out).toContain(': the same');
});
