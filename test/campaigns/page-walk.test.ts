/** The small dose of `scripts/page-walk`: six meters, four of them with a fault, by the page alone. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { launch, noChromium, pageBench } from '../support/page-bench.ts';
import { folder, gateway, run } from '../support/programs.ts';
import { walk } from './page-walk.ts';

const scenario = `
[bus]
kind = "pty"
baud = 115200
turnaround_ms = 2
[meters]
count = 6
history_days = 3
current_transformer = "200/5"
[[fault]]
kind = "silence"
meter = 1
[[meter]]
index = 2
password = "factory"
[[meter]]
index = 3
current_transformer = "400/5"
[[meter]]
index = 4
address_reversed = true
`;
const csv = [
  'point;serial;place;fuse;transformer ratio',
  ...['13', '20', '37', '44', '51', '68'].map(
    (end, i) => `6430001000000000${end};6012000${i + 1};Box ${i + 1};63;200/5`,
  ),
].join('\n');

describe.skipIf(noChromium !== undefined)(
  `by the page alone${noChromium === undefined ? '' : `: ${noChromium}`}`,
  () => {
    test('a list is scanned, commissioned, written, compared and signed off, over a page that is loaded anew in the midst of both', async () => {
      const own = join(folder, 'walk');
      mkdirSync(own);
      const secret = join(own, 'password');
      writeFileSync(secret, 'meter', { mode: 0o600 });
      const entry = { client: 17, auth: 'lls', secret: `file:${secret}` } as const;
      const meters = [{ id: 'm-60120001', point: '643000100000000013', serial: '60120001', physical: 1001, ...entry }];
      const [bench, browser] = await Promise.all([
        pageBench({ folder: join(own, 'site'), scenario, meters }),
        launch(),
      ]);
      try {
        const walked = await walk({
          browser,
          bench,
          csv,
          options: { viewport: { width: 390, height: 844 } },
          folder: own,
        });
        expect(walked.scanned).toMatchObject({ 60120002: 'nothing came', 60120005: 'address reversed' });
        expect(walked.commissioned).toMatchObject({
          60120002: 'NOT GOOD: no answer',
          60120003: 'NOT GOOD: wrong password',
          60120004: 'NOT GOOD: ratio',
        });
        expect(walked.without).toEqual([]);
        expect(walked.written).toBe('Written: the gateway polls 2 meters more.');
        expect(walked.display).toMatch(/: the same$/);
        expect(walked.signed).toBe('Signed: pending, 3 of 6 meters good');
        expect(walked.pdf.subarray(0, 5).toString()).toBe('%PDF-');
        expect([walked.complaints, walked.small, walked.broken]).toEqual([[], [], []]);
        const polled = (await bench.status()).ports.flatMap((port) => port.meters.map(({ meter }) => meter));
        expect(polled).toEqual(['m-60120001', 'm-60120005', 'm-60120006']);
        const report = join(own, 'report.json');
        writeFileSync(report, walked.json);
        expect((await run(gateway, ['sign-off', 'verify', report])).out).toContain('is as it was signed');
      } finally {
        await browser.close();
        await bench.end();
      }
    });
  },
);
