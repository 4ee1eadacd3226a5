/** A meter is replaced step by step, over a real pseudo-terminal: the old one is read, or typed; the new one is found and read. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/judge.ts';
import { folder, gateway, run, simulate } from '../support/programs.ts';

const secret = join(folder, 'secret');
writeFileSync(secret, 'meter', { mode: 0o600 });
let number = 0;
let own = '';
let config = '';
const bus = () => join(own, 'bus');
const meterWith = (serial: number) => {
  const scenario = join(own, `${serial}.toml`);
  writeFileSync(
    scenario,
    `[bus]\nkind = "pty"\nbaud = 115200\nturnaround_ms = 2\n[meters]\ncount = 2\nfirst_serial = ${serial}\nhistory_days = 2\n`,
  );
  return simulate(['--scenario', scenario, '--pty', bus()]);
};
beforeEach(() => {
  own = join(folder, `replace-${number++}`);
  mkdirSync(own);
  config = join(own, 'gateway.toml');
  writeFileSync(
    config,
    `[gateway]
id = "gw"
tenant = "t"
state_directory = "${join(own, 'state')}"
clock_trust = "assume"
[mqtt]
url = "mqtt://localhost"
[[port]]
name = "bus-1"
device = "serial:${bus()}"
baud = 115200
retries = 0
answer_timeout_ms = 200
[[port.meter]]
id = "m-1"            # the yard
point = "643000100000000013"
serial = "60120001"
physical = 1001
client = 17
auth = "lls"
secret = "file:${secret}"
`,
  );
});
const replace = (...more: string[]) =>
  run(gateway, ['meter', 'replace', 'm-1', '--config', config, ...more], { env: { XDG_STATE_HOME: own } });
const known = () => parseConfig(readFileSync(config, 'utf8'), config).config.port[0]?.meter[0];

test('the old one is read; the new one is not there yet; the same command goes on, and both registers stand in the file', async () => {
  const old = await meterWith(60_120_001);
  const first = await replace('--serial', '60120077');
  expect(first.out).toContain('The old meter 60120001 is read:');
  expect(first.out).toContain('the swap is written');
  // Nobody answers at the address of the new one.
  expect(first.out).toContain('the new meter was not read; the same command goes on here');
  expect(first.code).toBe(4);
  expect(known()).toMatchObject({ serial: '60120077', physical: 1077, swap: { from: '60120001', first: {} } });
  expect(Object.keys(known()?.swap?.final ?? {})).toEqual(['1-0:1.8.0*255', '1-0:2.8.0*255']);
  old.kill();
  await meterWith(60_120_077);
  const second = await replace();
  expect(second.err).toContain('a replacement of m-1 is under way');
  expect(second.out).toContain('voltage: the meter does not tell it');
  // 24 rows are in its memory, and none of them is of this place.
  expect(second.out).toContain('24 of 24 rows');
  expect(second.out).toContain('no interval of this place is there yet');
  expect(second.code).toBe(0);
  expect(Object.keys(known()?.swap?.first ?? {})).toEqual(['1-0:1.8.0*255', '1-0:2.8.0*255']);
  expect(readFileSync(config, 'utf8')).toContain('id = "m-1"            # the yard');
});

test('the old one is dead: its display is typed, with a photo', async () => {
  await meterWith(60_120_077);
  const nobody = await replace('--serial', '60120077');
  expect(nobody.err).toContain('the old meter cannot be read: type what its display shows');
  const typed = await replace('--serial', '60120077', '--final', '1-0:1.8.0=12345', '--photo', secret);
  expect(typed.code).toBe(0);
  expect(known()?.swap).toMatchObject({ from: '60120001', final: { '1-0:1.8.0*255': 12_345 } });
  expect(Object.keys(known()?.swap?.first ?? {})).toEqual(['1-0:1.8.0*255']);
  const record = JSON.parse(readFileSync(join(own, 'state/site/meters/m-1.json'), 'utf8')) as { attachments: object[] };
  expect(record.attachments).toMatchObject([{ note: 'display of the old meter', bytes: 5 }]);
});

test.each([
  ['nobody is called so', ['m-9'], "no meter 'm-9'"],
  ['no serial number', ['m-1', '--no-registers'], '--serial is missing'],
  ['the old number', ['m-1', '--no-registers', '--serial', '060120001'], 'is the serial number of the old meter'],
])('%s', async (_, args, why) => {
  const { code, err } = await run(gateway, ['meter', 'replace', '--config', config, ...args], {
    env: { XDG_STATE_HOME: own },
  });
  expect([code, err]).toEqual([2, expect.stringContaining(why)]);
});
