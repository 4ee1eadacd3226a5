/** Looks at the page with a real Chromium: a real daemon with eight simulated meters on a pty behind it, one dead, one on a noisy stub. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { meterOf } from '../support/configuration.ts';
import {
  enter,
  launch,
  newPage,
  noChromium,
  pageBench,
  type PageBench,
  roundTrip,
  turnstile,
  violationsOf,
} from '../support/page-bench.ts';
import { folder } from '../support/programs.ts';

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

/** A page of somebody else whose script tries what it can; `tried` says what it got. */
const evilPage = (own: string): string => `<!doctype html><body><script>
  const json = { 'content-type': 'application/json' };
  const attempts = [
    ['/v1/status', {}],
    ['/v1/status', { mode: 'no-cors' }],
    ['/v1/poll', { method: 'POST', body: '{}', headers: json }],
    ['/v1/poll', { method: 'POST', body: '{}', mode: 'no-cors' }],
  ];
  window.tried = (async () => {
    const got = [];
    for (const [path, how] of attempts) {
      const answer = await fetch('${own}' + path, { credentials: 'include', ...how }).catch(() => undefined);
      if (answer) got.push(path + ' ' + answer.status + ' ' + (await answer.text()));
    }
    const watch = new EventSource('${own}/v1/status/watch', { withCredentials: true });
    await new Promise((resolve) => {
      watch.onmessage = () => resolve(got.push('watched'));
      watch.onerror = resolve;
    });
    watch.close();
    const frame = document.createElement('iframe');
    frame.src = '${own}';
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    document.body.append(frame);
    await loaded;
    return got;
  })();
</script>`;

describe.skipIf(noChromium !== undefined)(
  `the page in Chromium${noChromium === undefined ? '' : `: ${noChromium}`}`,
  () => {
    let bench: PageBench;
    let browser: Browser;
    beforeAll(async () => {
      [bench, browser] = await Promise.all([
        pageBench({ folder: join(folder, 'page'), scenario, meters, password: 'a long enough password' }),
        launch(),
      ]);
      await until(async () => {
        const [port] = (await bench.status()).ports;
        return port?.meters.every(({ verdict }) => verdict !== 'UNKNOWN') ?? false;
      }, 'every meter was asked');
    });
    afterAll(async () => {
      await browser?.close();
      await bench?.end();
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

    // The colours are those of the scheme, at every size: in the dark nothing but contrast can be another.
    test.each([
      ['phone', 'light', undefined],
      ['phone', 'dark', ['color-contrast']],
      ['desktop', 'light', undefined],
    ] as const)(
      '%s, %s: no screen breaks a rule of axe (WCAG A, AA); nothing complains',
      async (size, scheme, rules) => {
        const found: string[] = [];
        const { page, context, complaints } = await enter(browser, bench, {
          viewport: sizes[size],
          colorScheme: scheme,
          reducedMotion: 'reduce',
        });
        for (const screen of screens) {
          await page.goto(`${bench.address}/#/${screen}`);
          await page.locator('h1').waitFor();
          await page.getByText('Asking the gateway …').first().waitFor({ state: 'detached' });
          found.push(...(await violationsOf(page, rules)).map((one) => `${screen}: ${one}`));
        }
        await page.getByRole('button', { name: 'Log out' }).click();
        await page.getByRole('heading', { name: 'Log in' }).waitFor();
        found.push(...(await violationsOf(page, rules)).map((one) => `login: ${one}`));
        expect([...found, ...complaints]).toEqual([]);
        await context.close();
      },
    );

    test('a link logs in once and leaves the address; a used one and a wrong password say so, and the right one enters', async () => {
      const link = await bench.link();
      const context = await browser.newContext({ locale: 'en-GB' });
      const page = await newPage(context);
      await page.goto(link);
      await page.getByRole('navigation').waitFor();
      expect(page.url()).not.toContain('ticket');
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
      await page.goto('about:blank');
      await page.goto(link);
      await page.getByText('This link does not hold any more').waitFor();
      await page.getByText('Run `meter-gateway page` again.').waitFor();
      await page.getByLabel('Password').fill('not the password');
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByText('The password is not right.').waitFor();
      await page.getByLabel('Password').fill('a long enough password');
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('navigation').waitFor();
      await context.close();
    });

    test('by the keyboard alone: every section is reached and seen, the squares of the heat map are read out', async () => {
      const { page, context } = await enter(browser, bench, { viewport: sizes.desktop });
      await page.locator('.wire li').first().waitFor();
      const reached: string[] = [];
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const at = await page.evaluate<[string, string]>(
          'document.activeElement === document.body ? ["", ""] : [document.activeElement.textContent.trim(), getComputedStyle(document.activeElement).outlineStyle]',
        );
        if (at[0] === '') break;
        expect(at[1], at[0]).not.toBe('none');
        reached.push(at[0]);
      }
      for (const name of ['Skip to the content', 'Suomeksi', 'Overview', 'Commission', 'Completeness', 'Log'])
        expect(reached).toContain(name);
      expect(reached.filter((one) => one.includes('m6012000')).length).toBeGreaterThanOrEqual(8);
      await page.getByRole('link', { name: 'Completeness' }).focus();
      await page.keyboard.press('Enter');
      const squares = page.getByRole('application');
      await squares.focus();
      await page.keyboard.press('ArrowRight');
      const spot = page.locator('.spot');
      const first = await spot.innerText();
      expect(first).toMatch(/^m60120001 · .* EET – \d\d:\d\d: /);
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowDown');
      expect(await spot.innerText()).toMatch(/^m60120002 · /);
      await context.close();
    });

    test('by the keyboard alone: logged in, a meter opened and read, a list taken, the bus scanned and a meter commissioned', async () => {
      const context = await browser.newContext({ locale: 'en-GB', viewport: sizes.desktop });
      const page = await newPage(context);
      await page.goto(bench.address);
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
      const { keyboard } = page;
      /** Goes on by Tab until what has the focus is called so, and is seen to have it. */
      const tabTo = async (name: RegExp): Promise<void> => {
        const passed: string[] = [];
        for (let i = 0; i < 60; i++) {
          await keyboard.press('Tab');
          const [words, outline] = await page.evaluate<[string, string]>(
            '((at) => [(at.closest("label") ?? at).textContent.trim().slice(0, 40), getComputedStyle(at).outlineStyle])(document.activeElement)',
          );
          passed.push(words);
          if (!name.test(words)) continue;
          expect(outline, words).not.toBe('none');
          return;
        }
        expect.unreachable(`${String(name)} is not among ${passed.join(' · ')}`);
      };
      await tabTo(/Password/);
      await keyboard.type('a long enough password');
      await keyboard.press('Enter');
      await page.locator('.wire li').first().waitFor();
      await tabTo(/m60120001/);
      await keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Meter m60120001' }).waitFor();
      await tabTo(/^Read now$/);
      await keyboard.press('Enter');
      await page
        .getByRole('rowheader', { name: /1\.8\.0/ })
        .first()
        .waitFor();
      await page.getByRole('link', { name: 'Overview' }).focus();
      await tabTo(/Commission/);
      await keyboard.press('Enter');
      await page.getByRole('heading', { name: '1. Work list' }).waitFor();
      await tabTo(/Who commissions/);
      await keyboard.type('A. Technician');
      await tabTo(/paste the rows/);
      await keyboard.insertText('point;serial;place\n643000100000000013;60120001;Box 1\n');
      await tabTo(/Take the list/);
      await keyboard.press('Enter');
      await page.getByText('1 meters in the list').waitFor();
      await tabTo(/^Go on$/);
      await keyboard.press('Enter');
      await page.getByRole('heading', { name: '2. Scan' }).waitFor();
      await tabTo(/Begin the scan/);
      await keyboard.press('Enter');
      await page.getByText('0 as they should be, 1 to be looked at.').waitFor({ timeout: 120_000 });
      await tabTo(/^Go on$/);
      await keyboard.press('Enter');
      await page.getByRole('heading', { name: '3. Commission' }).waitFor();
      await tabTo(/Begin commissioning/);
      await keyboard.press('Enter');
      await page.getByText('1 good, 0 not good').waitFor({ timeout: 120_000 });
      await context.close();
    });

    test('incident: a report was signed before the note that was just attached had arrived', async () => {
      const { page, context } = await enter(browser, bench, { viewport: sizes.phone });
      await page.goto(`${bench.address}/#/work/4`);
      await page.locator('summary').getByText('60120001').click();
      const turns = await turnstile(page, '**/v1/site/attach');
      const attach = async (words: string) => {
        await page.getByLabel(/^Note/).fill(words);
        await page.getByRole('button', { name: 'Attach' }).click();
      };
      await attach('behind the stairs');
      const first = await turns.nth(0);
      await page.getByRole('button', { name: /^Go on/ }).click();
      const report = page.waitForResponse('**/v1/sign-off');
      let asked = false;
      page.on('request', (request) => (asked ||= request.url().endsWith('/v1/sign-off')));
      await page.getByRole('button', { name: 'Sign off the site' }).click();
      await roundTrip(page);
      expect(asked).toBe(false);
      first.toGateway();
      first.back();
      expect(await (await report).text()).toContain('behind the stairs');
      // Sibling: what did not arrive is not left out without a word; whoever has read that may sign without it.
      await page.goto(`${bench.address}/#/work/4`);
      await page.locator('summary').getByText('60120001').click();
      await page.unroute('**/v1/site/attach');
      await page.route('**/v1/site/attach', (route) => route.abort());
      await attach('never there');
      await page.getByRole('button', { name: /^Go on/ }).click();
      await page.getByRole('button', { name: 'Sign off the site' }).click();
      await page.getByRole('alert').getByText('The gateway did not answer.').waitFor();
      const again = page.waitForResponse('**/v1/sign-off');
      await page.getByRole('button', { name: 'Sign off the site' }).click();
      expect((await again).status()).toBe(200);
      await context.close();
    });

    test('incident: what was typed while an answer was on its way was emptied by it', async () => {
      const { page, context } = await enter(browser, bench, { viewport: sizes.phone });
      await page.goto(`${bench.address}/#/work/4`);
      await page.locator('summary').getByText('60120001').click();
      const meanwhile = async (path: string, label: RegExp, button: string, values: readonly [string, string]) => {
        const field = page.getByLabel(label).first();
        const turns = await turnstile(page, path);
        await field.fill(values[0]);
        await page.getByRole('button', { name: button }).first().click();
        const turn = await turns.nth(0);
        await field.fill(values[1]);
        await turn.whole();
        expect(await field.inputValue()).toBe(values[1]);
        // What was sent and is still there is emptied as ever.
        await page.getByRole('button', { name: button }).first().click();
        await (await turns.nth(1)).whole();
        expect(await field.inputValue()).toBe('');
        await page.unroute(path);
      };
      await meanwhile('**/v1/site/attach', /^Note/, 'Attach', ['behind the stairs', 'and the key is at the shop']);
      await meanwhile('**/v1/site/display', /display/i, 'Compare', ['1', '12']);
      await context.close();
    });

    test('a meter is read now; its registers and its load curve are there, and in numbers too', async () => {
      const { page, context, complaints } = await enter(browser, bench, { viewport: sizes.phone });
      await page.goto(`${bench.address}/#/meter/m60120001`);
      await page.getByRole('button', { name: 'Read now' }).click();
      await page
        .getByRole('rowheader', { name: '1-0:1.8.0' })
        .or(page.getByRole('rowheader', { name: '1.0.1.8.0.255' }))
        .first()
        .waitFor();
      await page.locator('.uplot canvas').waitFor();
      await page.getByText('As a table').click();
      expect(await page.getByText('MEASURED').count()).toBeGreaterThan(10);
      // A meter that does not answer is no spinner for ever.
      await page.goto(`${bench.address}/#/meter/m60120003`);
      await page.getByRole('heading', { name: 'Meter m60120003' }).waitFor();
      await page.getByRole('button', { name: 'Read now' }).click();
      await page.getByRole('alert').getByText('Whose: the line').waitFor();
      await page.getByRole('button', { name: 'Read now' }).waitFor();
      expect(complaints.filter((one) => !one.includes('409'))).toEqual([]);
      await context.close();
    });

    test('Finnish where the browser is Finnish, and the switch changes it and stays', async () => {
      const { page, context } = await enter(browser, bench, { viewport: sizes.phone, locale: 'fi-FI' });
      await page.getByRole('heading', { name: 'Yleiskuva' }).waitFor();
      await page.getByText('2/8 mittaria vaatii toimenpiteitä').waitFor();
      await page.getByText('hiljaa, vaikka naapurit vastaavat: syöttö, johdot tai itse mittari').first().waitFor();
      expect(await page.getAttribute('html', 'lang')).toBe('fi');
      await page.getByRole('button', { name: 'In English' }).click();
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      await page.reload();
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      expect(await page.getAttribute('html', 'lang')).toBe('en');
      await context.close();
    });

    test('no screen in any language loads more than 120 KiB', async () => {
      for (const locale of ['en-GB', 'fi-FI']) {
        const { page, context } = await enter(browser, bench, { locale });
        for (const screen of ['', 'meter/m60120001', 'completeness', 'work/3']) {
          await page.goto('about:blank');
          await page.goto(`${bench.address}/#/${screen}`);
          await page.locator(screen.startsWith('meter') ? '.uplot' : 'h1').waitFor();
          const octets = await page.evaluate<number>(
            `[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
              .filter(({ name }) => /\\.(js|css)$/.test(name) || !name.includes('/v1/'))
              .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)`,
          );
          expect(octets, `${locale} ${screen}`).toBeLessThanOrEqual(120 * 1024);
          expect(octets, `${locale} ${screen}`).toBeGreaterThan(40 * 1024);
        }
        await context.close();
      }
    });

    // Before another site tries to frame the page, of which the browser tells.
    test('nothing broke the policy of the page, in all that was looked at', async () => {
      const metrics = await (await fetch(`${bench.address}/metrics`)).text();
      expect(metrics).toMatch(/^[a-z_]*(policy|csp)[a-z_]* 0$/m);
    });

    test('another site in the browser of somebody who is logged in: its script reads nothing, does nothing and shows nothing of ours', async () => {
      const evil = createServer((_, response) =>
        response.writeHead(200, { 'content-type': 'text/html' }).end(evilPage(bench.address)),
      );
      await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
      const { port } = evil.address() as AddressInfo;
      const { page, context } = await enter(browser, bench);
      const foreign = async (): Promise<number> => {
        const metrics = await (await fetch(`${bench.address}/metrics`)).text();
        return Number(/^meter_gateway_page_foreign_requests_total (\d+)$/m.exec(metrics)?.[1]);
      };
      const before = await foreign();
      // The same machine by another name, and another port: for a browser each is another site.
      for (const site of [`http://localhost:${port}`, `http://127.0.0.1:${port}`]) {
        await page.goto(site);
        const got = await page.evaluate<string[]>('tried');
        // An opaque answer is no answer: status 0, and nothing in it.
        expect(got.filter((one) => !one.endsWith(' 0 '))).toEqual([]);
        const framed = page.frames().find((one) => one.parentFrame() !== null);
        // What stands there is the browser's own word that it is blocked.
        expect(await framed?.getByText(/Suomeksi|Log in/).count()).toBe(0);
      }
      expect(await foreign()).toBeGreaterThan(before);
      await context.close();
      evil.close();
    });

    // The last one: the daemon is another one afterwards.
    test('a gateway that died is shown as old, not as new; the page connects again by itself and says what is missing', async () => {
      const { page, context } = await enter(browser, bench, { viewport: sizes.phone });
      await page.locator('.wire li').first().waitFor();
      await bench.kill();
      const notice = page.getByText(/^The gateway does not answer\. What stands here was seen \d+ s ago\.$/);
      await notice.waitFor();
      expect(await page.locator('.live').innerText()).toMatch(/^seen \d+ s ago$/);
      await page.getByText('Check power and network of the gateway').waitFor();
      // What was seen stays to be read.
      expect(await page.locator('.wire li').count()).toBe(8);
      await bench.start();
      // Sessions live in the memory of the gateway: it asks who is there.
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
      await page.goto(await bench.link());
      await page.getByText('live', { exact: true }).waitFor();
      await context.close();
    });
  },
);
