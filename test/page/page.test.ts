/** Looks at the page with a real Chromium: a real daemon with eight simulated meters on a pty behind it, one dead, one on a noisy stub. */
import { writeFileSync } from 'node:fs';
import axe from 'axe-core';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { meterOf } from '../support/configuration.ts';
import { enter, launch, noChromium, pageBench, type PageBench } from '../support/page-bench.ts';
import { children, folder } from '../support/programs.ts';

const scenario = `
[bus]
kind = "pty"
baud = 115200
turnaround_ms = 2
[meters]
count = 8
history_days = 4
[[fault]]
kind = "silence"
meter = 2
[[fault]]
kind = "flip"
meter = 5
rate = 0.004
`;
const secret = join(folder, 'meter');
writeFileSync(secret, 'meter', { mode: 0o600 });
const meters = Array.from({ length: 8 }, (_, i) =>
  meterOf(60_120_001 + i, { physical: 1001 + i, client: 17, auth: 'lls', secret: `file:${secret}` }),
);
const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } } as const;
const screens = [
  '',
  'meter/m60120001',
  'meter/m60120003',
  'completeness',
  'events',
  'lines',
  'log',
  'work/1',
  'work/2',
  'work/3',
  'work/4',
  'work/5',
];

describe.skipIf(noChromium !== undefined)(
  `the page in Chromium${noChromium === undefined ? '' : `: ${noChromium}`}`,
  () => {
    let bench: PageBench;
    let browser: Browser;
    // What the file started lives through all of its tests.
    const own: typeof children = [];
    beforeAll(async () => {
      [bench, browser] = await Promise.all([
        pageBench({ folder: join(folder, 'page'), scenario, meters, password: 'a long enough password' }),
        launch(),
      ]);
      own.push(...children.splice(0));
      await until(async () => {
        const [port] = (await bench.status()).ports;
        return port?.meters.every(({ verdict }) => verdict !== 'UNKNOWN') ?? false;
      }, 'every meter was asked');
    });
    afterAll(async () => {
      await browser?.close();
      await bench?.end();
      for (const child of own) child.kill('SIGKILL');
    });

    test('the first screen says which meters are ill, why, and the next step; a dead one and one on a noisy stub', async () => {
      const { page, context, complaints } = await enter(browser, bench, { viewport: sizes.phone });
      const headline = page.locator('.headline');
      await headline.getByText('2 of 8 meters need somebody').waitFor();
      const words = await headline.innerText();
      expect(words).toContain('silent while its neighbours answer: its mains, its wires or the meter');
      expect(words).toContain('it answers, and many frames come damaged: termination, shield, speed');
      expect(await page.locator('li.node.bad').first().innerText()).toMatch(
        /m60120003\s+silent[\s\S]*Next: Check power, A\/B polarity/,
      );
      expect(await page.locator('ol.wire > li').count()).toBe(8);
      expect(complaints).toEqual([]);
      await context.close();
    });

    test.each(Object.entries(sizes))(
      '%s: no screen breaks a rule of axe (WCAG A, AA), in light and dark; nothing complains',
      async (_, viewport) => {
        const found: string[] = [];
        for (const colorScheme of ['light', 'dark'] as const) {
          const { page, context, complaints } = await enter(browser, bench, {
            viewport,
            colorScheme,
            reducedMotion: 'reduce',
          });
          // Playwright's own world, which the policy of the page does not bind.
          await page.addInitScript(axe.source);
          await page.reload();
          for (const screen of screens) {
            await page.goto(`${bench.address}/#/${screen}`);
            await page.locator('h1').waitFor();
            await page.getByText('Asking the gateway …').first().waitFor({ state: 'detached' });
            const broken = await page.evaluate(async () => {
              const { violations } = await (
                globalThis as unknown as {
                  axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
                }
              ).axe.run();
              return violations.map(
                ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
              );
            });
            found.push(...broken.map((one) => `${colorScheme} ${screen}: ${one}`));
            const wide = await page.evaluate(
              'document.documentElement.scrollWidth > document.documentElement.clientWidth',
            );
            if (wide) found.push(`${colorScheme} ${screen}: scrolls sideways`);
          }
          found.push(...complaints.filter((one) => !one.includes('404')));
          await context.close();
        }
        expect(found).toEqual([]);
      },
    );
  },
);
