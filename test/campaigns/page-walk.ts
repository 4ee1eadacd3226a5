/**
 * A technician with the page alone: a work list, a scan that is cut by a page that is loaded anew, commissioning that is cut
 * too, good meters into the configuration, a display, a photo, the signed report.
 */
import type { Page } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { enter, type PageBench, violationsOf } from '../support/page-bench.ts';
import type { Browser, BrowserContextOptions } from 'playwright-core';

export interface WalkWishes {
  readonly browser: Browser;
  readonly bench: PageBench;
  /** The work list. */
  readonly csv: string;
  readonly options: BrowserContextOptions;
  /** Folder for the files that are downloaded. */
  readonly folder: string;
  /** Called at the end of each step, by its number. */
  readonly look?: (page: Page, step: number) => Promise<void>;
  /** Called where a step did not come to its end. */
  readonly failed?: (page: Page) => Promise<unknown>;
  readonly progress?: (text: string) => void;
}
export interface Walked {
  /** What the page says of each serial number that needs somebody: the first words, and the next step. */
  readonly scanned: Readonly<Record<string, string>>;
  /** Result, and kinds of findings. */
  readonly commissioned: Readonly<Record<string, string>>;
  /** Findings without a next step. */
  readonly without: readonly string[];
  readonly written: string;
  readonly display: string;
  readonly signed: string;
  readonly pdf: Buffer;
  readonly json: string;
  readonly complaints: readonly string[];
  /** Targets in the wizard that are smaller than a thick glove. */
  readonly small: readonly string[];
  /** Rules of axe that a step broke, with all that it found on it. */
  readonly broken: readonly string[];
}

/** A whole bus takes minutes, and machines are shared. */
const longMs = 20 * 60_000;
const gloveUnits = 56;

/** Everything within the wizard that is pressed, as it is drawn. */
const smallTargets = (page: Page): Promise<string[]> =>
  page.evaluate<string[], number>((least) => {
    const found: string[] = [];
    const all = (globalThis as unknown as { document: { querySelectorAll(css: string): Iterable<Target> } }).document;
    interface Target {
      readonly textContent: string;
      readonly tagName: string;
      checkVisibility(): boolean;
      getBoundingClientRect(): { readonly width: number; readonly height: number };
      closest(css: string): Target | null;
    }
    for (const one of all.querySelectorAll('.work button, .work summary, .work a, .work input, .work textarea')) {
      // A box to be ticked is pressed by its words.
      const pressed = one.closest('label.check') ?? one;
      const { width, height } = pressed.getBoundingClientRect();
      if (one.checkVisibility() && (height < least || width < least))
        found.push(`${one.tagName} ${one.textContent.slice(0, 30)} ${Math.round(width)}x${Math.round(height)}`);
    }
    return found;
  }, gloveUnits);

async function itemsOf(
  page: Page,
): Promise<{ readonly serial: string; readonly text: string; readonly nexts: number }[]> {
  // Those that are as they should be are folded away.
  const folded = page.locator('.work details:not([open]) > summary');
  while ((await folded.count()) > 0) await folded.first().click();
  const items = await page.locator('li.finding').all();
  return Promise.all(
    items.map(async (item) => ({
      serial: await item.locator('.finding-head b').innerText(),
      text: (await item.locator('.finding-head').innerText()).trim(),
      nexts: await item.locator('.next').count(),
    })),
  );
}

async function scanStep(page: Page, progress: (text: string) => void): Promise<Record<string, string>> {
  await page.getByRole('button', { name: 'Begin the scan' }).click();
  await page.getByText(/\b[1-9]\d* questions asked/).waitFor({ timeout: longMs });
  // The telephone rings, the browser lets the page go.
  await page.reload();
  await page.getByText('The scan was cut when this page was left').waitFor();
  await page.getByRole('button', { name: 'Go on with the scan' }).click();
  await page.getByText('to be looked at.').waitFor({ timeout: longMs });
  progress(await page.locator('.badge').first().innerText());
  const items = await itemsOf(page);
  return Object.fromEntries(
    items
      .map(({ serial, text }) => [serial, text.slice(serial.length).trim()])
      .filter(([, words]) => words !== 'found'),
  );
}

async function commissionStep(
  page: Page,
  progress: (text: string) => void,
): Promise<Pick<Walked, 'commissioned' | 'without' | 'written'>> {
  await page.getByRole('button', { name: 'Begin commissioning' }).click();
  await page.locator('li.finding').first().waitFor({ timeout: longMs });
  await page.reload();
  await page.getByRole('button', { name: 'Go on with commissioning' }).click();
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'detached', timeout: longMs });
  await page.getByRole('button', { name: 'Ask those with findings again' }).waitFor({ timeout: longMs });
  progress(await page.locator('.badge').first().innerText());
  const items = await page.locator('li.finding').all();
  const commissioned: Record<string, string> = {};
  const without: string[] = [];
  for (const item of items) {
    const serial = await item.locator('.finding-head b').innerText();
    const result = (await item.locator('.finding-head').innerText()).slice(serial.length).trim();
    const kinds = await item.locator('.what > p:not(.next) > b').allInnerTexts();
    if ((await item.locator('.what .next').count()) < kinds.length) without.push(serial);
    if (kinds.length > 0 || result !== 'good')
      commissioned[serial] = `${result}: ${kinds.map((one) => one.replace(/^(fault|note): |\.$/g, '')).join(', ')}`;
  }
  const write = page.getByRole('button', { name: /^Put \d+ good meters into the configuration/ });
  let written = 'nothing to write';
  if ((await write.count()) > 0) {
    await write.click();
    written = await page.getByText(/^Written: /).innerText({ timeout: 120_000 });
  }
  progress(written);
  return { commissioned, without, written };
}

async function checkStep(page: Page): Promise<string> {
  const first = page.locator('details.meter-check').filter({ hasText: '60120001' });
  await first.locator('summary').click();
  const shown = await first
    .getByText(/^Gateway reads: /)
    .first()
    .innerText();
  const digits = shown.replace('Gateway reads: ', '').replaceAll(/[^\d.,]/g, '');
  await first
    .getByLabel(/what does the display show\?$/)
    .first()
    .fill(digits);
  await first.getByRole('button', { name: 'Compare' }).first().click();
  const outcome = await first
    .getByText(/^display /)
    .first()
    .innerText();
  await first.getByLabel('Note').fill('Seal 4711');
  await first
    .getByLabel('Photo')
    .setInputFiles({ name: 'seal.png', mimeType: 'image/png', buffer: Buffer.from('89504e470d0a1a0a', 'hex') });
  await first.getByRole('button', { name: 'Attach' }).click();
  await first.getByText('1 attached').waitFor();
  return outcome;
}

async function download(page: Page, name: string, folder: string): Promise<Buffer> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).first().click()]);
  const path = `${folder}/${file.suggestedFilename()}`;
  await file.saveAs(path);
  return readFileSync(path);
}

export async function walk(wishes: WalkWishes): Promise<Walked> {
  const { page, context, complaints } = await enter(wishes.browser, wishes.bench, wishes.options);
  try {
    return { ...(await steps(page, wishes)), complaints };
  } catch (error) {
    await wishes.failed?.(page);
    throw error;
  } finally {
    await context.close();
  }
}

async function steps(
  page: Page,
  { csv, folder, look, progress = () => {} }: WalkWishes,
): Promise<Omit<Walked, 'complaints'>> {
  const small: string[] = [];
  const broken: string[] = [];
  const ended = async (step: number): Promise<void> => {
    small.push(...(await smallTargets(page)));
    broken.push(...(await violationsOf(page)).map((one) => `step ${step}: ${one}`));
    await look?.(page, step);
  };
  const goOn = () => page.getByRole('button', { name: 'Go on', exact: true }).click();
  await page.getByRole('link', { name: 'Commission' }).click();
  await page.getByLabel('Who commissions?').fill('A. Technician');
  await page
    .getByLabel('Choose a file')
    .setInputFiles({ name: 'worklist.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
  await page.getByText(/^\d+ meters in the list$/).waitFor();
  await ended(1);
  await goOn();
  const scanned = await scanStep(page, progress);
  await ended(2);
  await goOn();
  const found = await commissionStep(page, progress);
  await ended(3);
  await goOn();
  const display = await checkStep(page);
  await ended(4);
  await goOn();
  await page.getByLabel('Note for the report').fill('by the page alone');
  await page.getByRole('button', { name: 'Sign off the site' }).click();
  const signed = await page.getByText(/^Signed: /).innerText({ timeout: 120_000 });
  progress(signed);
  await ended(5);
  const [pdf, json] = [await download(page, 'PDF', folder), await download(page, 'JSON', folder)];
  return { scanned, ...found, display, signed, pdf, json: json.toString('utf8'), small, broken };
}
