/** What the machine tells of itself, from folders as the kernel writes them; certificates by openssl. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { dayMs } from '../../src/base/time.ts';
import type { GatewayPlan } from '../../src/config/resolve.ts';
import { checkMachine } from '../../src/main/machine-check.ts';
import { selfSigned } from '../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'machine-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
function sys(files: Readonly<Record<string, string>>): string {
  const root = join(folder, `sys${count++}`);
  mkdirSync(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `${text}\n`);
  }
  return root;
}
const planOf = (mqtt: object) => ({ config: { mqtt } }) as unknown as GatewayPlan;
const now = Date.now();
const reported = (files: Readonly<Record<string, string>>) => {
  const { good, found } = checkMachine(planOf({}), now, sys(files));
  return { good, found: found.map(({ severity, message }) => `${severity}: ${message}`) };
};

test('a machine without anything: only the missing real-time clock is reported', () => {
  expect(reported({})).toEqual({
    good: [],
    found: [expect.stringContaining('warning: this machine has no real-time clock')],
  });
});
test('a Pi with all of it well', () => {
  expect(
    reported({
      'class/rtc/rtc0/name': 'rtc-ds1307 1-0068',
      'block/mmcblk0/device/life_time': '0x01 0x02',
      'devices/platform/soc/soc:firmware/get_throttled': '0',
      'class/hwmon/hwmon0/in0_lcrit_alarm': '0',
    }),
  ).toEqual({
    good: [
      'real-time clock: rtc-ds1307 1-0068',
      'card mmcblk0: 20 % of its life is used',
      'supply: no undervoltage seen',
    ],
    found: [],
  });
});
test.each([
  [{ 'block/mmcblk0/device/life_time': '0x02 0x09' }, 'card mmcblk0: 90 % of its life is used'],
  [{ 'block/mmcblk1/device/life_time': '0x0b 0x01' }, 'card mmcblk1: 100 % of its life is used'],
  [{ 'devices/platform/soc/soc:firmware/get_throttled': '50005' }, 'undervoltage was seen'],
  [{ 'devices/platform/soc/soc:firmware/get_throttled': '10000' }, 'undervoltage was seen'],
  [{ 'class/hwmon/hwmon1/in0_lcrit_alarm': '1' }, 'undervoltage was seen'],
])('%j: a warning', (files, words) => {
  const { found } = reported({ 'class/rtc/rtc0/name': 'x', ...files });
  expect(found).toEqual([expect.stringContaining(words)]);
});
test('a life that is not told, and a heat that is no voltage, are nothing to say', () => {
  expect(
    reported({
      'class/rtc/rtc0/name': 'x',
      'block/mmcblk0/device/life_time': '0x00 0x00',
      'devices/platform/soc/soc:firmware/get_throttled': '80008',
    }),
  ).toEqual({ good: ['real-time clock: x', 'supply: no undervoltage seen'], found: [] });
});

test('certificates: valid, soon at their end, ended, not begun', () => {
  selfSigned(folder, 'broker', '-days', '365');
  const file = join(folder, 'broker.pem');
  const at = (when: number) => {
    const { good, found } = checkMachine(planOf({ ca_file: file, cert_file: join(folder, 'none.pem') }), when, sys({}));
    return [...good, ...found.map(({ severity, message }) => `${severity}: ${message}`)].filter((one) =>
      one.includes('certificate'),
    );
  };
  expect(at(now + dayMs)).toEqual([expect.stringMatching(/^certificate of broker: valid until 20\d\d-/)]);
  expect(at(now + 350 * dayMs)).toEqual([expect.stringMatching(/^warning: .*broker ends on 20/)]);
  expect(at(now + 366 * dayMs)).toEqual([expect.stringMatching(/^error: .*broker ended on 20/)]);
  expect(at(now - dayMs)).toEqual([expect.stringMatching(/^warning: .*broker is not valid yet/)]);
  writeFileSync(file, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  expect(at(now)).toEqual([]);
});
