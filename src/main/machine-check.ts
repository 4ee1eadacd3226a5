/**
 * What the machine says of itself, for `check --live`: real-time clock, wear of the card, undervoltage, dates of certificates.
 * Where the kernel says nothing, nothing is said.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dayMs } from '../base/time.ts';
import type { Path } from '../base/toml.ts';
import type { Noted } from '../config/findings.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import type { LiveCheck } from './looked-at.ts';

/** An end that is nearer than this is reported. */
const soonMs = 30 * dayMs;

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
};
const warning = (path: Path, message: string, next: string): Noted => ({
  severity: 'warning',
  code: 'config-invalid',
  path,
  message,
  next,
});

function realTimeClock(sys: string): LiveCheck {
  const clocks = globSync(join(sys, 'class/rtc/rtc*'));
  if (clocks.length > 0)
    return {
      good: [`real-time clock: ${textOf(join(clocks[0] as string, 'name')) ?? basename(clocks[0] as string)}`],
      found: [],
    };
  const message =
    'this machine has no real-time clock: after a power cut without a network nothing is trusted until it is told the time';
  return { good: [], found: [warning(['gateway', 'clock_trust'], message, 'Fit one: hardware/README.md names them.')] };
}

/** eMMC and some cards tell their wear in tenths (JEDEC JESD84-B51, 7.4.41): 0x0A is 90 to 100 % of the life. */
function cardWear(sys: string): LiveCheck {
  const good: string[] = [];
  const found: Noted[] = [];
  for (const file of globSync(join(sys, 'block/mmcblk*/device/life_time'))) {
    const card = basename(join(file, '../..'));
    const tenths = Math.max(0, ...(textOf(file) ?? '').split(/\s+/).map((one) => Number.parseInt(one, 16) || 0));
    if (tenths === 0) continue;
    const words = `card ${card}: ${Math.min(100, tenths * 10)} % of its life is used`;
    if (tenths >= 9)
      found.push(
        warning(['gateway', 'state_directory'], words, 'Back up (meter-gateway backup), and change the card.'),
      );
    else good.push(words);
  }
  return { good, found };
}

/** The Raspberry Pi's firmware; bit 0: now, bit 16: since the start. */
function undervoltage(sys: string): LiveCheck {
  const alarms = globSync(join(sys, 'class/hwmon/hwmon*/in0_lcrit_alarm')).map(textOf);
  const throttled = Number.parseInt(textOf(join(sys, 'devices/platform/soc/soc:firmware/get_throttled')) ?? '', 16);
  const since = Number.isNaN(throttled) ? false : (throttled & 0x1_0001) !== 0;
  if (!alarms.includes('1') && !since)
    return { good: alarms.length > 0 || !Number.isNaN(throttled) ? ['supply: no undervoltage seen'] : [], found: [] };
  const message = 'the supply of this machine is too weak: undervoltage was seen';
  return {
    good: [],
    found: [
      warning(
        ['gateway', 'state_directory'],
        message,
        'Use a supply of 5.1 V / 3 A with a short cable: cards are lost by this.',
      ),
    ],
  };
}

function certificateDates({ config }: GatewayPlan, now: number): LiveCheck {
  const good: string[] = [];
  const found: Noted[] = [];
  for (const key of ['ca_file', 'cert_file'] as const) {
    const file = config.mqtt[key];
    if (file === undefined || !existsSync(file)) continue;
    const texts = (textOf(file) ?? '').match(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g) ?? [];
    for (const text of texts) {
      let certificate: X509Certificate;
      try {
        certificate = new X509Certificate(text);
      } catch {
        continue;
      }
      const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
      const name = /CN=([^\n]+)/.exec(certificate.subject)?.[1] ?? basename(file);
      const day = certificate.validToDate.toISOString().slice(0, 10);
      const wrong = (words: string, next: string) => {
        found.push({
          ...warning(['mqtt', key], `${file}: the certificate of ${name} ${words}`, next),
          severity: now > to ? 'error' : 'warning',
        });
      };
      if (now > to) wrong(`ended on ${day}`, 'Get a new one from whoever runs the broker.');
      else if (now < from) wrong('is not valid yet', 'Look at the clock of this machine first.');
      else if (to - now < soonMs) wrong(`ends on ${day}`, 'Get a new one before that day.');
      else good.push(`certificate of ${name}: valid until ${day}`);
    }
  }
  return { good, found };
}

/** `sys`: where the kernel tells of its devices. */
export function checkMachine(plan: GatewayPlan, now: number, sys = '/sys'): LiveCheck {
  const parts = [realTimeClock(sys), cardWear(sys), undervoltage(sys), certificateDates(plan, now)];
  return { good: parts.flatMap(({ good }) => good), found: parts.flatMap(({ found }) => found) };
}
