/** The first run and a refused configuration as people see them: a real Chromium, a real pty and broker, and nothing but the page. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, realBroker, until } from '../support/broker.ts';
import { configuration } from '../support/configuration.ts';
import { launch, newPage, noChromium, roundTrip, turnstile, violationsOf } from '../support/page-bench.ts';
import { simulate } from '../support/programs.ts';
import { type SetupGateway, setupGateway } from '../support/setup-gateway.ts';

const folder = mkdtempSync(join(tmpdir(), 'firstrun-page-'));
/** Screens are stored there for whoever looks at them. */
const pictures = process.env['FIRST_RUN_PICTURES'];
const picture = async (page: Page, name: string): Promise<void> => {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
};
async function opened(browser: Browser, gateway: SetupGateway): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: 'en-GB' });
  const page = await newPage(context);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) complaints.push(message.text());
  });
  await page.goto((await gateway.link()).url);
  return { page, complaints };
}
/** The two meters of the simulated line. */
const giveList = (page: Page) =>
  page.getByLabel(/^Work list/).setInputFiles({
    name: 'list.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('point;serial;place\npoint-1;60120001;Cellar 1\npoint-2;60120002;Cellar 2\n'),
  });
describe.skipIf(noChromium !== undefined)(
  `the first run in Chromium${noChromium === undefined ? '' : `: ${noChromium}`}`,
  () => {
    let browser: Browser;
    let broker: Awaited<ReturnType<typeof realBroker>>;
    beforeAll(async () => {
      [browser, broker] = await Promise.all([launch(), realBroker()]);
    });
    afterAll(async () => {
      await browser?.close();
      await broker?.remove();
      rmSync(folder, { recursive: true, force: true });
    });

    test('from an empty gateway to one that polls, by the page alone, on a phone', async () => {
      const { device } = await simulate(['--meters', '2', '--pty', join(folder, 'tty'), '--password', 'of-meters']);
      const gateway = await setupGateway(join(folder, 'first'));
      const { page, complaints } = await opened(browser, gateway);
      await page.getByRole('heading', { name: 'First run', level: 1 }).waitFor();
      const next = () => page.getByRole('button', { name: 'Go on' }).click();
      const fill = async (label: string | RegExp, value: string, at = 0) => {
        const field = page.getByLabel(label).nth(at);
        await field.fill(value);
        await field.blur();
      };
      const seen: Record<string, string[]> = {};
      const look = async (name: string) => {
        seen[name] = await violationsOf(page);
        await picture(page, name);
      };

      await fill(/^Device or converter/, device);
      await giveList(page);
      await page.getByRole('button', { name: 'Look for the meters of the list' }).click();
      await page.getByText('2 meters answer', { exact: true }).waitFor();
      await look('1-line');
      await next();
      expect(await page.getByLabel('Serial number').nth(1).inputValue()).toBe('60120002');
      await look('2-meters');
      await next();
      await fill(/^Name of this gateway/, 'gw-1');
      await fill(/^Whose gateway/, 'utility');
      await page.getByLabel('Time zone of the utility').selectOption('Europe/Helsinki');
      await look('3-site');
      await next();
      await fill(/^Address of the broker/, 'mqtt://127.0.0.1:1');
      await page.getByRole('button', { name: 'Try it now' }).click();
      await page.getByText(/ECONNREFUSED/).waitFor();
      await fill(/^Address of the broker/, broker.url);
      await page.getByRole('button', { name: 'Try it now' }).click();
      await page.getByText('The broker lets this gateway in.').waitFor();
      await look('4-broker');
      // What was entered is there after the page is loaded anew.
      await page.reload();
      await page.getByRole('button', { name: /^4\. Broker/ }).click();
      expect(await page.getByLabel(/^Address of the broker/).inputValue()).toBe(broker.url);
      await next();
      await page.getByText('These meters would not be polled yet').waitFor();
      await look('5-write-missing');
      await page.getByLabel(/^bus-1-password, for/).fill('of-meters');
      await page.getByRole('button', { name: /^Store: bus-1-password/ }).click();
      await page.getByText('The gateway starts with it.').waitFor();
      await look('5-write-good');
      expect(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).not.toContain('of-meters');
      await page.getByRole('button', { name: 'Write it and start the gateway' }).click();
      // The same tab goes on with the running gateway, and shows both meters.
      await page.getByRole('navigation', { name: 'Sections' }).waitFor();
      await page.getByText('m-60120002').first().waitFor();
      await picture(page, '6-running');
      expect(readFileSync(gateway.config, 'utf8')).toContain('"point-2"');
      expect(seen).toEqual(Object.fromEntries(Object.keys(seen).map((name) => [name, []])));
      expect(complaints).toEqual([]);
    }, 240_000);

    test('incident: the broker was tried before its address had arrived, and an old answer took back what was entered after it', async () => {
      const gateway = await setupGateway(join(folder, 'order'));
      const site = { id: 'gw-1', tenant: 'utility', timeZone: 'UTC' };
      await (await gateway.enter()).ask('/v1/setup/enter', { site });
      const { page } = await opened(browser, gateway);
      const turns = await turnstile(page, '**/v1/setup/enter');
      await page.getByRole('button', { name: /^4\. Broker/ }).click();
      const enter = async (label: RegExp, value: string) => {
        await page.getByLabel(label).fill(value);
        await page.getByLabel(label).blur();
      };
      await enter(/^Address of the broker/, 'mqtt://127.0.0.1:1');
      const first = await turns.nth(0);
      await page.getByRole('button', { name: 'Try it now' }).click();
      await roundTrip(page);
      await first.whole();
      await page.getByText(/ECONNREFUSED/).waitFor();

      await enter(/^Address of the broker/, 'mqtt://127.0.0.1:2');
      const second = await turns.nth(1);
      second.toGateway();
      await enter(/^User name/, 'gw-user');
      second.back();
      const third = await turns.nth(2);
      await roundTrip(page);
      expect(await page.getByLabel(/^User name/).inputValue()).toBe('gw-user');
      await enter(/^Address of the broker/, 'mqtt://127.0.0.1:3');
      await third.whole();
      await (await turns.nth(3)).whole();
      const { draft } = await (await gateway.enter()).state();
      expect(draft?.broker).toMatchObject({ url: 'mqtt://127.0.0.1:3', username: 'gw-user' });
    }, 240_000);

    test('incident: half a word was taken away by the answer to what had been entered before it', async () => {
      const gateway = await setupGateway(join(folder, 'half'));
      const site = { id: 'gw-1', tenant: 'utility', timeZone: 'UTC' };
      await (await gateway.enter()).ask('/v1/setup/enter', { site });
      const { page } = await opened(browser, gateway);
      const turns = await turnstile(page, '**/v1/setup/enter');
      let asked = 0;
      /** An answer to something entered before comes while `type` is done. */
      const whileAnswered = async (entered: () => Promise<unknown>, type: () => Promise<void>) => {
        await entered();
        const turn = await turns.nth(asked++);
        await type();
        await turn.whole();
      };
      const half = async (label: string | RegExp, before: () => Promise<unknown>, text: string) => {
        const field = page.getByLabel(label);
        await whileAnswered(before, () => field.fill(text));
        expect(await field.inputValue()).toBe(text);
        await field.blur();
        await (await turns.nth(asked++)).whole();
        expect(await field.inputValue()).toBe(text);
      };
      const chosen = (label: string | RegExp, option: string) => () => page.getByLabel(label).selectOption(option);
      const step = (name: RegExp) => page.getByRole('button', { name }).click();
      await half(/^Device or converter/, chosen('Protocol of the line', 'wrapper'), '/dev/of-nobody');
      await half('Speed, Bd', chosen('Protocol of the line', 'hdlc'), '300');
      await step(/^3\. Site/);
      await half(/^Name of this gateway/, chosen('Time zone of the utility', 'Europe/Oslo'), 'gw-2');
      await step(/^4\. Broker/);
      const ticked = () => page.getByLabel('It has a password').setChecked(true);
      await half(/^Address of the broker/, ticked, 'mqtt://127.0.0.1:4');
      const stored = await turnstile(page, '**/v1/setup/secret');
      const password = page.getByLabel('Password', { exact: true });
      await password.fill('of a card');
      await page.getByRole('button', { name: /^Store: Password/ }).click();
      await password.fill('of a note');
      await (await stored.nth(0)).whole();
      expect(await password.inputValue()).toBe('of a note');
      const { draft } = await (await gateway.enter()).state();
      expect(draft).toMatchObject({
        site: { id: 'gw-2', timeZone: 'Europe/Oslo' },
        broker: { url: 'mqtt://127.0.0.1:4', password: true },
        lines: [{ device: '/dev/of-nobody', baud: 300, link: 'hdlc' }],
      });
    }, 240_000);

    test('sibling: what was entered while the line was asked was taken back by what the line answered', async () => {
      const { device } = await simulate(['--meters', '2', '--pty', join(folder, 'tty-1'), '--password', 'of-meters']);
      const gateway = await setupGateway(join(folder, 'meanwhile'));
      const { page } = await opened(browser, gateway);
      const turns = await turnstile(page, '**/v1/setup/scan');
      await page.getByLabel(/^Device or converter/).fill(device);
      await page.getByLabel(/^Device or converter/).blur();
      await giveList(page);
      await page.getByRole('button', { name: 'Look for the meters of the list' }).click();
      const scan = await turns.nth(0);
      await page.getByLabel('Speed, Bd').fill('19200');
      await page.getByLabel('Speed, Bd').blur();
      await scan.whole();
      await page.getByText('2 meters answer', { exact: true }).waitFor();
      await roundTrip(page);
      const { draft } = await (await gateway.enter()).state();
      expect(draft?.lines[0]).toMatchObject({ baud: 19_200, places: [{ serial: '60120001' }, { serial: '60120002' }] });
    }, 240_000);

    test('a refused configuration shows the line and the next step; mended, the same tab shows the running gateway', async () => {
      const own = join(folder, 'refused');
      mkdirSync(join(own, 'etc'), { recursive: true });
      const port = await freePort();
      const sound = configuration({
        gateway: { state_directory: join(own, 'state') },
        page: { listen: `127.0.0.1:${port}` },
      });
      writeFileSync(join(own, 'etc/gateway.toml'), sound.replace('[mqtt]', 'time_zone = "Mars/Base"\n[mqtt]'));
      const gateway = await setupGateway(own, { port });
      const { page, complaints } = await opened(browser, gateway);
      await page.getByRole('heading', { name: 'The configuration is refused: nothing is polled' }).waitFor();
      await page.getByText('time_zone = "Mars/Base"').waitFor();
      await page.getByText(/^For example: time_zone = "Europe\/Helsinki"/).waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await picture(page, '7-refused');
      await page.getByRole('button', { name: 'Look again now' }).click();
      await page.getByText('Looked again: it is not good yet.').waitFor();
      await page.getByRole('button', { name: 'Suomeksi' }).click();
      await page.getByRole('heading', { name: 'Asetukset on hylätty: mittareita ei lueta' }).waitFor();
      await picture(page, '8-refused-fi');
      writeFileSync(gateway.config, sound);
      await page.getByRole('navigation', { name: 'Osiot' }).waitFor();
      expect(complaints).toEqual([]);
      await until(() => gateway.out().includes('gateway runs'), 'the gateway runs');
    }, 240_000);
  },
);
