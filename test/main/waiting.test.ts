/** No configuration, or one that does not hold: the process stays, says why, and starts by itself when there is one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { handOverFolder, putInPlace } from '../../src/main/hand-over.ts';
import { takeHandOver } from '../../src/main/take.ts';
import { askPage } from '../../src/desk/client.ts';
import { gateway, node } from '../support/programs.ts';
import { configuration } from '../support/configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'waiting-test-'));
const running: ChildProcess[] = [];
afterEach(() => {
  for (const one of running.splice(0)) one.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
let places = 0;
/** A gateway that waits, and whoever is logged in at its page. */
async function waiting(text?: string) {
  const place = join(folder, `place-${places++}`);
  mkdirSync(place);
  const file = join(place, 'gateway.toml');
  if (text !== undefined) writeFileSync(file, text);
  const at = ['--page', `127.0.0.1:${await freePort()}`];
  const child = spawn(node, [gateway, 'run', '--wait', ...at, '--config', file], {
    stdio: 'ignore',
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  running.push(child);
  const socket = join(place, 'status.sock');
  let base = '';
  let cookie = '';
  for (;;) {
    try {
      const { url } = await askPage(socket);
      const [address = '', ticket = ''] = url.split('#ticket=');
      base = address;
      const entered = await post(address, 'login', { ticket });
      cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? '';
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const headers = { cookie };
  const get = async (path: string) =>
    (await fetch(`${base}${path}`, { headers })).json() as Promise<Record<string, unknown>>;
  const ask = async (path: string, body: object) => {
    const response = await post(base, path, body, headers);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { place, file, get, ask, child };
}
const post = (base: string, path: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${base}${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
/** Comments that name the port of the page leave the file without a value in force. */
const page = async () => `[page]\nlisten = "127.0.0.1:${await freePort()}"\n`;
const until = async (found: () => Promise<boolean>): Promise<void> => {
  while (!(await found().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 200));
};

test('refused: what is wrong and where, never the first run; mended, it starts by itself', async () => {
  const listen = await page();
  const wrong = `${configuration({ gateway: { time_zone: 'Mars/Base' } })}${listen}`;
  const { file, get, ask, place } = await waiting(wrong);
  const setup = await get('v1/setup');
  expect(setup).toMatchObject({ mode: 'refused', file });
  const [first] = setup['findings'] as readonly {
    readonly line: number;
    readonly text: string;
    readonly next: string;
  }[];
  expect(first?.text).toBe('time_zone = "Mars/Base"');
  expect(first?.next).toContain('Europe/Helsinki');
  expect(await ask('v1/reload', {})).toMatchObject({ status: 409, body: { code: 'config-invalid' } });
  const draft = {
    tenant: 't',
    id: 'g',
    timeZone: 'UTC',
    broker: { url: 'mqtt://127.0.0.1' },
    ports: [{ name: 'bus', device: 'tcp://127.0.0.1:1' }],
  };
  expect(await ask('v1/setup/write', draft)).toMatchObject({ status: 409, body: { code: 'not-permitted' } });
  expect(readFileSync(file, 'utf8')).toBe(wrong);
  writeFileSync(file, `${configuration({ gateway: { state_directory: join(place, 'state') } })}${listen}`);
  await until(async () => (await get('v1/setup').catch(() => get('v1/me')))['mode'] !== 'refused');
});

test('first run: from nothing to a gateway that runs, by the page alone; what was secret is in files, and never comes back', async () => {
  const { file, get, ask, place } = await waiting();
  expect(await get('v1/setup')).toMatchObject({ mode: 'first-run', findings: [] });
  const draft = {
    tenant: 'utility',
    id: 'gw-1',
    timeZone: 'Europe/Helsinki',
    clockTrust: 'assume',
    broker: { url: 'mqtt://127.0.0.1:1', username: 'gw-1', password: 'a broker secret' },
    ports: [{ name: 'bus-1', device: 'tcp://127.0.0.1:1' }],
    pagePassword: 'a page secret',
  };
  const misfit = await ask('v1/setup/draft', { ...draft, timeZone: 'Mars/Base' });
  expect(JSON.stringify(misfit.body['findings'])).toContain('Mars/Base');
  const shown = await ask('v1/setup/draft', draft);
  expect(JSON.stringify(shown)).not.toContain('secret\\"');
  const text = String(shown.body['text']);
  expect(text).not.toMatch(/a broker secret|a page secret/);
  expect((await ask('v1/setup/broker', draft)).body).toMatchObject({
    wrong: [expect.stringContaining('ECONNREFUSED')],
  });
  // The customary port may be somebody else's here.
  expect(await ask('v1/setup/write', draft)).toMatchObject({ status: 200, body: { file } });
  expect(readFileSync(file, 'utf8')).toBe(text);
  for (const [name, secret] of [
    ['mqtt-password', 'a broker secret'],
    ['page-password', 'a page secret'],
  ] as const) {
    expect(readFileSync(join(place, 'secrets', name), 'utf8')).toBe(secret);
    expect(statSync(join(place, 'secrets', name)).mode & 0o777).toBe(0o600);
  }
  const { askStatus } = await import('../../src/desk/client.ts');
  await until(async () => (await askStatus(join(place, 'state', 'status.sock'))).gateway === 'gw-1');
});

test.each([
  ['a folder', (file: string) => mkdirSync(file)],
  ['no TOML', (file: string) => writeFileSync(file, '[gateway')],
  ['other octets', (file: string) => writeFileSync(file, Uint8Array.of(0xff, 0xfe, 0))],
])('%s in the place of the configuration is refused, and the local door says so', async (_, make) => {
  const place = join(folder, `odd-${places++}`);
  mkdirSync(place);
  const file = join(place, 'gateway.toml');
  make(file);
  // Whatever stands there, the page is at its customary place, which another process may have: the local door answers.
  const child = spawn(node, [gateway, 'run', '--wait', '--config', file], { stdio: 'ignore' });
  running.push(child);
  const socket = join(place, 'status.sock');
  const { askStatus } = await import('../../src/desk/client.ts');
  let heard = '';
  await until(async () => {
    heard = await askStatus(socket).then(
      () => 'it runs',
      (error: Error) => (error.message.includes('no meter is polled') ? error.message : ''),
    );
    return heard !== '';
  });
  expect(heard).toContain(file);
});

describe('what the page hands over', () => {
  const sound = (meters: number) => configuration({ port: [{ meter: Array.from({ length: meters }, () => ({})) }] });
  const handed = (text: string, secrets: Readonly<Record<string, string>> = {}) => {
    const place = join(folder, `hand-${places++}`);
    const [state, target] = [join(place, 'state'), join(place, 'etc')];
    const lay = join(state, handOverFolder);
    mkdirSync(join(lay, 'secrets'), { recursive: true });
    mkdirSync(join(target, 'secrets'), { recursive: true });
    writeFileSync(join(lay, 'gateway.toml'), text);
    for (const [name, secret] of Object.entries(secrets)) writeFileSync(join(lay, 'secrets', name), secret);
    writeFileSync(join(lay, 'ready'), '');
    return { state, lay, file: join(target, 'gateway.toml'), secret: (name: string) => join(target, 'secrets', name) };
  };
  test('the first configuration and its secrets come into their places', () => {
    const { state, file, secret } = handed(sound(1), { 'mqtt-password': 'very secret' });
    expect(takeHandOver(state, file)).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    expect(readFileSync(secret('mqtt-password'), 'utf8')).toBe('very secret');
    expect(statSync(secret('mqtt-password')).mode & 0o777).toBe(0o600);
  });
  test('meters may come to a configuration that is there, with its mode and a copy of what it was', () => {
    const { state, file } = handed(sound(2));
    writeFileSync(file, sound(1));
    chmodSync(file, 0o640);
    expect(takeHandOver(state, file)).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(sound(2));
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readFileSync(`${file}.before-page-1`, 'utf8')).toBe(sound(1));
  });
  test.each([
    ['another broker', configuration({ mqtt: { url: 'mqtt://elsewhere' } }), {}, 'only meters are changed'],
    ['another device', configuration({ port: [{ device: 'serial:/dev/sda' }] }), {}, 'only meters are changed'],
    ['secrets', sound(2), { 'mqtt-password': 'mine' }, 'secret set'],
    ['what does not hold', configuration({ gateway: { time_zone: 'Mars/Base' } }), {}, 'time zone'],
  ])('refused where a configuration is there: %s', (_, text, secrets, why) => {
    const { state, file, lay } = handed(text, secrets);
    writeFileSync(file, sound(1));
    expect(() => takeHandOver(state, file)).toThrow(why);
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    expect(readFileSync(join(lay, 'refused'), 'utf8')).toContain(why);
  });
  test('a link, and a name that leads elsewhere, are not followed', async () => {
    const { symlinkSync } = await import('node:fs');
    const { state, file, lay } = handed(sound(1));
    rmSync(join(lay, 'gateway.toml'));
    symlinkSync('/etc/hostname', join(lay, 'gateway.toml'));
    expect(() => takeHandOver(state, file)).toThrow();
    const other = handed(sound(1), { '.hidden': 'x' });
    expect(() => takeHandOver(other.state, other.file)).toThrow('name of a secret');
  });
  test('where this process may write, it does so itself', async () => {
    const place = join(folder, `own-${places++}`);
    mkdirSync(place);
    const file = join(place, 'gateway.toml');
    await putInPlace({ file, text: sound(1), secrets: new Map([['a', 'b']]) }, place, join(place, 'secrets'));
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    expect(readFileSync(join(place, 'secrets', 'a'), 'utf8')).toBe('b');
  });
});
