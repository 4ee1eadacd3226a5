/** The page as people see it: a real daemon with simulated meters on a pty, a real broker, and a real Chromium. */
import { type ChildProcess, spawn } from 'node:child_process';
import axe from 'axe-core';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { askPage, askStatus } from '../../src/desk/client.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { onTestFailed } from 'vitest';
import { freePort, realBroker, type RealBroker, until } from './broker.ts';
import { configuration, type MeterKeys } from './configuration.ts';

const executable = '/usr/bin/chromium';
/** Why the page cannot be looked at here, to be named by the tests that need it. */
export const noChromium = existsSync(executable)
  ? undefined
  : `${executable} is not there: scripts/setup installs it (apt-get install chromium)`;

const root = new URL('../../', import.meta.url).pathname;
/** Nobody is left behind, however whoever started them ends. */
const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});
function begin(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [join(root, program), ...args], {
    stdio: 'ignore',
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  started.add(child);
  return child;
}
async function endOf(child: ChildProcess): Promise<void> {
  started.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** The limit only names a hang: machines are shared. */
const slowMs = 100_000;
export async function newPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(slowMs);
  // Campaigns and benches have pages as well.
  if (process.env['VITEST'] !== undefined)
    onTestFailed(async () => {
      if (!page.isClosed()) console.error(`what the page showed:\n${await page.locator('body').innerText()}`);
    });
  return page;
}

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: executable, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });

/**
 * What the screen that stands there breaks of the rules of axe (WCAG A, AA), or of these alone; and whether it scrolls sideways.
 * It is asked in Playwright's own world, which the policy of the page does not bind.
 */
export async function violationsOf(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(`globalThis.axe || (() => { ${axe.source} })()`);
  const broken = await page.evaluate(
    async (only) => {
      interface Axe {
        run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
      }
      const { axe: loaded } = globalThis as unknown as { axe: Axe };
      const { violations } = await loaded.run(only ? { runOnly: { type: 'rule', values: only } } : {});
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
    },
    rules && [...rules],
  );
  const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  return wide === true ? [...broken, 'it scrolls sideways'] : broken;
}

export interface PageBench {
  readonly config: string;
  readonly socket: string;
  readonly address: string;
  /** Opens once. */
  link(): Promise<string>;
  status(): Promise<Snapshot>;
  kill(): Promise<void>;
  start(): Promise<void>;
  readonly broker: RealBroker;
  end(): Promise<void>;
}
export interface BenchWishes {
  readonly folder: string;
  /** Of the simulator: TOML. */
  readonly scenario: string;
  readonly meters: readonly MeterKeys[];
  readonly baud?: number;
  readonly password?: string;
}

export async function pageBench({
  folder,
  scenario,
  meters,
  baud = 115_200,
  password,
}: BenchWishes): Promise<PageBench> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'bus.toml');
  writeFileSync(file, scenario);
  const device = join(folder, 'bus');
  const simulator = begin('dist/simulator/main.js', ['run', '--scenario', file, '--pty', device]);
  const [broker, port] = await Promise.all([realBroker(), freePort()]);
  await until(() => existsSync(device), 'the simulator has its line');
  const config = join(folder, 'gateway.toml');
  const state = join(folder, 'state');
  const secret = (name: string, value: string): string => {
    writeFileSync(join(folder, name), value, { mode: 0o600 });
    return `file:${join(folder, name)}`;
  };
  writeFileSync(
    config,
    configuration({
      gateway: { id: 'bench', tenant: 't', state_directory: state, clock_trust: 'assume', back_fill_days: 2 },
      mqtt: { url: broker.url },
      page: {
        listen: `127.0.0.1:${port}`,
        ...(password !== undefined && { password: secret('page-password', password) }),
      },
      port: [{ name: 'bus-1', device: `serial:${device}`, baud, meter: [...meters] }],
    }),
  );
  const socket = join(state, 'status.sock');
  let daemon: ChildProcess;
  const start = async (): Promise<void> => {
    daemon = begin('dist/main/main.js', ['run', '--config', config]);
    const up = () =>
      askStatus(socket).then(
        () => true,
        () => false,
      );
    await until(up, 'the gateway answers');
  };
  const kill = (): Promise<void> => endOf(daemon);
  await start();
  return {
    config,
    socket,
    address: `http://127.0.0.1:${port}`,
    link: async () => (await askPage(socket)).url,
    status: () => askStatus(socket),
    kill,
    start,
    broker,
    end: async () => {
      await kill();
      await endOf(simulator);
      await broker.remove();
    },
  };
}

export interface Looked {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors and warnings of its console, and what it threw. */
  readonly complaints: string[];
}
/** A browser that has logged in by a link. */
export async function enter(browser: Browser, bench: PageBench, options: BrowserContextOptions = {}): Promise<Looked> {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/Helsinki', ...options });
  const page = await newPage(context);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => void complaints.push(error.message));
  await page.goto(await bench.link());
  await page.getByRole('navigation').waitFor();
  return { context, page, complaints };
}

/** Questions of one path go to the gateway, and its answers come back, when the test says so. */
export async function turnstile(page: Page, path: string) {
  const seen: { toGateway: () => void; back: () => void; whole: () => Promise<void> }[] = [];
  await page.route(path, async (route) => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const whole = async () => {
      asked.resolve();
      answered.resolve();
      await ended.promise;
      await roundTrip(page);
    };
    seen.push({ toGateway: asked.resolve, back: answered.resolve, whole });
    await asked.promise;
    const response = await route.fetch({ timeout: 0 });
    await answered.promise;
    await route.fulfill({ response });
    ended.resolve();
  });
  return {
    nth: async (i: number) => {
      await until(() => seen[i] !== undefined, `question ${i} is asked`);
      return seen[i] as (typeof seen)[number];
    },
  };
}
/** What the page does at once is done behind it. */
export const roundTrip = (page: Page) => page.evaluate(async () => (await fetch('/v1/me')).status);
