/** The page of a running gateway moves with its configuration, and nothing of it stands in the way of the gateway. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { PagePlan } from '../../src/config/resolve-page.ts';
import { PageDoor } from '../../src/main/page-door.ts';
import { until } from '../support/broker.ts';

const state = mkdtempSync(join(tmpdir(), 'meter-gateway-page-door-'));
afterAll(() => rmSync(state, { recursive: true, force: true }));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function doorOf(): { door: PageDoor<object>; errors: string[] } {
  const errors: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (_: unknown, text: string) => void errors.push(text) };
  const door = new PageDoor<object>({
    mode: () => 'running',
    rows: [],
    house: () => ({}),
    ready: () => Promise.resolve(true),
    log,
    version: '1',
    gateway: () => 'g',
    stateDirectory: state,
    sessions: [],
    againMs: 20,
  } as unknown as ConstructorParameters<typeof PageDoor<object>>[0]);
  ends.push(() => door.close());
  return { door, errors };
}
const planOf = (port: number, more: Partial<PagePlan> = {}): PagePlan => ({
  host: '127.0.0.1',
  port,
  hosts: [],
  ...more,
});
const taken = (): Promise<{ server: Server; port: number }> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () =>
      resolve({ server, port: (server.address() as AddressInfo).port }),
    );
    ends.push(() => server.close());
  });
async function freePort(): Promise<number> {
  const { server, port } = await taken();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
const answers = (url: string): Promise<boolean> =>
  fetch(new URL('/healthz', url)).then(
    ({ status }) => status === 200,
    () => false,
  );
const urlOf = (door: PageDoor<object>): string => door.ticket('look').url;

test('an address that is taken is said once, and taken as soon as it is free', async () => {
  const { server, port } = await taken();
  const { door, errors } = doorOf();
  await door.move(planOf(port));
  expect(() => urlOf(door)).toThrow(/EADDRINUSE/);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await new Promise((resolve) => server.close(resolve));
  await until(() => answers(`http://127.0.0.1:${port}`), 'it is served');
  expect(errors).toHaveLength(1);
});

test('another address, off, and on again, one after another although nobody waits', async () => {
  const { door } = doorOf();
  const [one, other] = [await freePort(), await freePort()];
  void door.move(planOf(one));
  void door.move(planOf(other));
  void door.move(undefined);
  await door.move(planOf(one));
  expect(await answers(urlOf(door))).toBe(true);
  expect(await answers(`http://127.0.0.1:${other}`)).toBe(false);
  await door.move(undefined);
  expect(() => urlOf(door)).toThrow(/off/);
  expect(await answers(`http://127.0.0.1:${one}`)).toBe(false);
});

test('TLS comes to the address where there was none, and who is in stays in; another password ends that', async () => {
  const { door } = doorOf();
  const port = await freePort();
  await door.move(planOf(port, { password: Buffer.from('a first password') }));
  const enter = async (url: string) => {
    const { origin, hash } = new URL(url);
    const headers = { 'content-type': 'application/json', origin };
    const body = JSON.stringify({ ticket: hash.slice('#ticket='.length) });
    const answer = await fetch(`${origin}/login`, { method: 'POST', headers, body });
    return String(answer.headers.get('set-cookie')).split(';')[0] ?? '';
  };
  const cookie = await enter(urlOf(door));
  const me = () => fetch(`http://127.0.0.1:${port}/v1/me`, { headers: { cookie } }).then(({ status }) => status);
  expect(await me()).toBe(200);
  await door.move(planOf(port, { password: Buffer.from('a first password'), hosts: ['gateway.example'] }));
  expect(await me()).toBe(200);
  await door.move(planOf(port, { password: Buffer.from('another password') }));
  expect(await me()).toBe(401);
});
