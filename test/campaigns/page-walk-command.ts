/**
 * `scripts/page-walk`: the twelve faults of hardware/bench/substation.toml found, commissioned and signed off by the page alone, in
 * a real Chromium, on a telephone or with --desktop on a desk. The last line is the summary; exit code 1 where anything was not found.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, noChromium, pageBench } from '../support/page-bench.ts';
import { options } from './options.ts';
import { walk } from './page-walk.ts';

const { baud, desktop, screens } = options('page-walk', { baud: 115_200 }, { flags: ['desktop'], texts: ['screens'] });
if (noChromium !== undefined) {
  process.stderr.write(`${noChromium}\n`);
  process.exit(2);
}
const bench = (name: string): string => readFileSync(new URL(`../../hardware/bench/${name}`, import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'page-walk-'));
const secret = (name: string, value: string): string => {
  writeFileSync(join(folder, name), value, { mode: 0o600 });
  return `file:${join(folder, name)}`;
};
const keys = {
  client: 8,
  auth: 'lls',
  secret: secret('password', 'meter'),
  encryption_key: secret('ek', '000102030405060708090a0b0c0d0e0f'),
  authentication_key: secret('ak', 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
} as const;
const began = Date.now();
const running = await pageBench({
  folder: join(folder, 'site'),
  // As slow as a real one with --baud 9600. Where octets took no time two meters would not speak at once.
  scenario: bench('substation.toml')
    .replace(/^baud = .*$/m, `baud = ${baud}`)
    .replace(/^turnaround_ms = .*$/m, `turnaround_ms = ${baud > 9600 ? 2 : 40}`),
  meters: [
    { id: 'm-60120001', point: '643000100000000013', serial: '60120001', physical: 1001, model: 'auto', ...keys },
  ],
  baud,
});
const browser = await launch();
if (screens !== undefined) mkdirSync(screens, { recursive: true });
const problems: string[] = [];
try {
  const walked = await walk({
    browser,
    bench: running,
    csv: bench('worklist.csv'),
    options: { viewport: desktop ? { width: 1280, height: 800 } : { width: 390, height: 844 } },
    folder,
    progress: (text) => void process.stdout.write(`${Math.round((Date.now() - began) / 1000)} s  ${text}\n`),
    failed: (page) => page.screenshot({ path: join(screens ?? tmpdir(), 'page-walk-failed.png'), fullPage: true }),
    look: async (page, step) => {
      if (screens !== undefined) await page.screenshot({ path: join(screens, `work-${step}.png`), fullPage: true });
    },
  });
  const expected: Readonly<Record<string, string>> = {
    60120004: 'no answer',
    60120006: 'wrong serial number',
    60120008: 'wrong keys',
    60120010: 'wrong password',
    60120012: 'ratio',
    60120014: 'clock',
    60120016: 'summer time',
    60120020: 'collision',
    60130020: 'collision',
    60120023: 'line',
    60120025: 'capture period',
    60120027: 'unknown kind',
  };
  process.stdout.write(
    `by the scan: ${JSON.stringify(walked.scanned)}\nby commissioning: ${JSON.stringify(walked.commissioned)}\n`,
  );
  for (const [serial, kind] of Object.entries(expected))
    if (!walked.commissioned[serial]?.includes(kind)) problems.push(`${serial}: ${kind} was not found`);
  // The scan finds it, and the gateway is given the address that is right: nothing is left to say of it.
  if (walked.scanned['60120018'] !== 'address reversed') problems.push('60120018: address reversed was not found');
  const others = Object.keys(walked.commissioned).filter((serial) => !(serial in expected) && serial !== '60120018');
  problems.push(...others.map((serial) => `${serial}: ${walked.commissioned[serial]} was found, and is not there`));
  problems.push(...walked.without.map((serial) => `${serial}: a finding without a next step`));
  problems.push(...walked.complaints, ...walked.broken, ...walked.small.map((one) => `smaller than a glove: ${one}`));
  if (!walked.pdf.subarray(0, 5).equals(Buffer.from('%PDF-'))) problems.push('what was downloaded is no PDF');
  if (!walked.display.endsWith('the same')) problems.push(walked.display);
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  process.stdout.write(
    `page-walk: 31 meters and 12 faults by the page alone in ${Math.round((Date.now() - began) / 1000)} s: ${walked.written} ${walked.signed}; ${problems.length} problems\n`,
  );
} finally {
  await browser.close();
  await running.end();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(problems.length > 0 ? 1 : 0);
