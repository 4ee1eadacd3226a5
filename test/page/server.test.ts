/** The page as browsers and strangers meet it: who gets in, who does not, and what whoever is slow costs. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Route, rowOf } from '../../src/door/rows.ts';
import { readAssets } from '../../src/page/assets.ts';
import { Login } from '../../src/page/login.ts';
import { type PageSettings, servePage } from '../../src/page/server.ts';
import { shared } from '../../src/page/shared.ts';
import { ownCertificate } from '../../src/main/own-certificate.ts';
import { until } from '../support/broker.ts';

interface Answers {
  snapshot(): Promise<unknown>;
}
const folder = mkdtempSync(join(tmpdir(), 'meter-gateway-page-'));
const assets = join(folder, 'page');
mkdirSync(assets);
writeFileSync(join(assets, 'index.html'), '<!doctype html><title>page</title>');
writeFileSync(join(assets, 'app-1a2b3c4d.js'), 'export {};');
writeFileSync(join(folder, 'secret.js'), 'outside');
writeFileSync(join(assets, 'server.js'), 'a program of the gateway lies beside it');

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const row = rowOf<Answers>();
const rows: Route<Answers>[] = [
  row({
    method: 'GET',
    path: '/v1/status',
    permission: 'look',
    meaning: '',
    input: v.strictObject({}),
    answers: 'value',
    handle: (house) => house.snapshot(),
  }),
  row({
    method: 'GET',
    path: '/v1/status/watch',
    permission: 'look',
    meaning: '',
    input: v.strictObject({}),
    answers: 'lines',
    handle: () => Readable.from([]),
  }),
  row({
    method: 'GET',
    path: '/v1/log',
    permission: 'look',
    meaning: '',
    input: v.strictObject({}),
    answers: 'lines',
    handle: () => Readable.from([{ line: 1 }, { line: 2 }]),
  }),
  row({
    method: 'POST',
    path: '/v1/reload',
    permission: 'act',
    meaning: '',
    input: v.strictObject({}),
    answers: 'value',
    handle: () => ({ hash: 'h' }),
  }),
  row({
    method: 'POST',
    path: '/v1/page/ticket',
    permission: 'act',
    meaning: '',
    socketsOnly: true,
    input: v.strictObject({}),
    answers: 'value',
    handle: () => ({ url: '' }),
  }),
  row({
    method: 'POST',
    path: '/v1/photo',
    permission: 'act',
    meaning: '',
    maxBodyBytes: 1 << 20,
    input: v.strictObject({ octets: v.string() }),
    answers: 'value',
    handle: () => ({}),
  }),
];

interface Opened {
  readonly port: number;
  readonly login: Login;
  readonly clock: { now: number };
  readonly made: { snapshots: number };
}
const password = 'correct horse battery';
async function open(more: Partial<PageSettings<Answers>> = {}): Promise<Opened> {
  const clock = { now: 1_000_000 };
  const login = new Login(
    () => clock.now,
    () => Buffer.from(password),
  );
  const made = { snapshots: 0 };
  const snapshot = () => Promise.resolve({ number: ++made.snapshots, pad: 'x'.repeat(20_000) });
  const page = await servePage<Answers>({
    listen: { host: '127.0.0.1', port: 0 },
    hosts: () => ['gateway.example'],
    rows,
    house: () => ({ snapshot }),
    me: () => ({ mode: 'running', gateway: 'g', version: '1' }),
    login,
    assets: readAssets(assets),
    health: () => Promise.resolve({ live: true, ready: false }),
    shared: { '/v1/status/watch': shared(snapshot, 20) },
    metrics: (counts) => Promise.resolve(`foreign ${counts.foreign}\n`),
    ...more,
  });
  ends.push(() => page.close());
  return { port: page.address.port, login, clock, made };
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}
interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
const ask = (port: number, { method = 'GET', path = '/', body, headers = {} }: Asked = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
const own = (port: number) => ({ 'content-type': 'application/json', origin: `http://127.0.0.1:${port}` });
const post = (port: number, path: string, given: unknown, headers: Readonly<Record<string, string>> = {}) =>
  ask(port, { method: 'POST', path, body: JSON.stringify(given), headers: { ...own(port), ...headers } });
/** The cookie of a session with this permission. */
async function cookieAt({ port, login }: Opened, permission: 'look' | 'act' = 'act'): Promise<string> {
  const { headers, status } = await post(port, '/login', { ticket: login.ticket(permission) });
  expect(status).toBe(200);
  return String(headers['set-cookie']?.[0]?.split(';')[0]);
}
const statusOf = async (port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
  (await ask(port, { path, headers })).status;

describe('who gets in', () => {
  test('nobody without a session sees anything but the files of the login and the health', async () => {
    const { port } = await open();
    expect((await ask(port)).text).toContain('<title>page</title>');
    expect(await statusOf(port, '/v1/status')).toBe(401);
    expect(await statusOf(port, '/v1/me')).toBe(401);
    expect((await post(port, '/v1/reload', {})).status).toBe(401);
    expect(await statusOf(port, '/healthz/live')).toBe(200);
    expect(await statusOf(port, '/healthz/ready')).toBe(503);
  });

  test('a ticket lets in once, within ten minutes, with its own permission', async () => {
    const { port, login, clock } = await open();
    const ticket = login.ticket('look');
    const first = await post(port, '/login', { ticket });
    expect(first.headers['set-cookie']?.[0]).toMatch(
      /^meter_gateway_session\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
    expect((await post(port, '/login', { ticket })).status).toBe(401);
    const cookie = String(first.headers['set-cookie']?.[0]?.split(';')[0]);
    const me = await ask(port, { path: '/v1/me', headers: { cookie } });
    expect(JSON.parse(me.text)).toEqual({ mode: 'running', permission: 'look', gateway: 'g', version: '1' });
    expect(await statusOf(port, '/v1/status', { cookie })).toBe(200);
    expect((await post(port, '/v1/reload', {}, { cookie })).status).toBe(403);
    const late = login.ticket('act');
    clock.now += 10 * 60_000 + 1;
    expect((await post(port, '/login', { ticket: late })).status).toBe(401);
    expect((await post(port, '/logout', {}, { cookie })).status).toBe(200);
    expect(await statusOf(port, '/v1/me', { cookie })).toBe(401);
  });

  test('a session ends after twelve hours, and with the password that it came by', async () => {
    const opened = await open();
    const cookie = await cookieAt(opened);
    opened.clock.now += 12 * 3_600_000 - 1;
    expect(await statusOf(opened.port, '/v1/me', { cookie })).toBe(200);
    opened.clock.now += 2;
    expect(await statusOf(opened.port, '/v1/me', { cookie })).toBe(401);
    const other = await cookieAt(opened);
    opened.login.endAll();
    expect(await statusOf(opened.port, '/v1/me', { cookie: other })).toBe(401);
  });

  test('who is in on the page lets nobody in: tickets are for the sockets', async () => {
    const opened = await open();
    const cookie = await cookieAt(opened);
    expect((await post(opened.port, '/v1/page/ticket', {}, { cookie })).status).toBe(404);
  });

  test('two gateways that are forwarded to one machine have cookies of their own', async () => {
    const [one, other] = [await open(), await open()];
    const both = `${await cookieAt(one)}; ${await cookieAt(other)}`;
    expect(await statusOf(one.port, '/v1/me', { cookie: both })).toBe(200);
    expect(await statusOf(other.port, '/v1/me', { cookie: both })).toBe(200);
  });
});

describe('a thousand wrong passwords', () => {
  const tried = async ({ port }: Opened, given: string) => (await post(port, '/login', { password: given })).status;
  test('get nowhere, wait longer and longer, and the right one works afterwards', async () => {
    const opened = await open();
    const seen = new Map<number, number>();
    for (let i = 0; i < 1000; i++) {
      const status = await tried(opened, `wrong ${i}`);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      opened.clock.now += 100;
    }
    // A hundred seconds: five are free, and the waits between the others double.
    expect(seen.get(401)).toBeLessThanOrEqual(12);
    expect((seen.get(401) ?? 0) + (seen.get(429) ?? 0)).toBe(1000);
    const refused = await post(opened.port, '/login', { password });
    expect(refused.status).toBe(429);
    opened.clock.now += Number(refused.headers['retry-after']) * 1000;
    expect(await tried(opened, password)).toBe(200);
  });

  test('of many addresses, too: together they have so many in a minute, and whoever was right before has own tries', () => {
    const clock = { now: 1_000_000 };
    const login = new Login(
      () => clock.now,
      () => Buffer.from(password),
    );
    expect(login.enter(password, '192.0.2.1')).toHaveProperty('token');
    let looked = 0;
    for (let i = 0; i < 1000; i++) if ('refused' in login.enter('wrong', `2001:db8:0:${i.toString(16)}::1`)) looked++;
    expect(looked).toBe(30);
    expect(login.enter(password, '192.0.2.2')).toHaveProperty('waitS');
    expect(login.enter(password, '192.0.2.1')).toHaveProperty('token');
    expect(login.redeem(login.ticket('act'))).toHaveProperty('token');
    clock.now += 60_000;
    expect(login.enter(password, '192.0.2.2')).toHaveProperty('token');
  });

  test('of one IPv6 network are those of one address', () => {
    const login = new Login(
      () => 1_000_000,
      () => Buffer.from(password),
    );
    const outcomes = Array.from({ length: 20 }, (_, i) => login.enter('wrong', `2001:db8:1:2::${i + 1}`));
    expect(outcomes.filter((one) => 'refused' in one)).toHaveLength(5);
  });
});

describe('another site', () => {
  test.each([
    ['evil.example'],
    ['evil.example:8080'],
    ['127.0.0.1.evil.example'],
    ['localhost.evil.example'],
    ['gateway.example@evil.example'],
    ['gateway.example, evil.example'],
  ])('a host name that leads here by the DNS of a stranger is none of ours: %j', async (host) => {
    const { port } = await open();
    for (const path of ['/', '/v1/me', '/healthz', '/metrics'])
      expect([400, 421]).toContain(await statusOf(port, path, { host }));
    expect((await post(port, '/login', { password }, { host })).status).toBeGreaterThanOrEqual(400);
  });
  test.each([['gateway.example'], ['GATEWAY.example:80'], ['localhost:9000'], ['[::1]:8080'], ['127.0.0.1']])(
    'our own names are ours, also through a tunnel: %s',
    async (host) => {
      const { port } = await open();
      expect(await statusOf(port, '/', { host })).toBe(200);
    },
  );

  test('its script asks in vain, with the cookie and everything', async () => {
    const opened = await open();
    const { port } = opened;
    const cookie = await cookieAt(opened);
    const attempts: Readonly<Record<string, string>>[] = [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: `https://127.0.0.1:${port}` },
      { origin: `http://127.0.0.1:${port + 1}` },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ];
    for (const headers of attempts)
      expect((await post(port, '/v1/reload', {}, { cookie, ...headers })).status, JSON.stringify(headers)).toBe(403);
    // A form asks without a preflight, and a program that names no origin is no page of ours.
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])
      expect((await post(port, '/v1/reload', {}, { cookie, 'content-type': type })).status, type).toBe(415);
    const bare = {
      method: 'POST',
      path: '/v1/reload',
      body: '{}',
      headers: { cookie, 'content-type': 'application/json' },
    };
    expect((await ask(port, bare)).status).toBe(403);
    // What only looks is not read by it either.
    expect(await statusOf(port, '/v1/status', { cookie, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await statusOf(port, '/v1/status', { cookie, origin: 'http://evil.example' })).toBe(403);
    expect((await post(port, '/v1/reload', {}, { cookie, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect((await ask(port, { path: '/metrics' })).text).toBe('foreign 10\n');
  });
});

test('every answer, also a refusal, carries the policy of the page', async () => {
  const { port } = await open();
  for (const path of ['/', '/v1/me', '/none.js', '/healthz'])
    expect((await ask(port, { path })).headers).toMatchObject({
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; report-uri /csp-report",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
});

test('nothing outside of the folder of the page is served', async () => {
  const { port } = await open();
  for (const path of [
    '/../secret.js',
    '/%2e%2e/secret.js',
    '/..%2fsecret.js',
    '/.hidden.js',
    '//secret.js',
    '/server.js',
  ])
    expect(await statusOf(port, path), path).not.toBe(200);
  expect((await ask(port, { path: '/app-1a2b3c4d.js' })).headers['cache-control']).toContain('immutable');
});

describe('bodies', () => {
  test('one that is too large is refused: of a login, of a report, of a row', async () => {
    const opened = await open();
    const cookie = await cookieAt(opened);
    const large = { password: 'x'.repeat(20_000) };
    expect((await post(opened.port, '/login', large)).status).toBe(413);
    expect((await post(opened.port, '/csp-report', large)).status).toBe(413);
    expect((await post(opened.port, '/v1/reload', { x: 'x'.repeat(70_000) }, { cookie })).status).toBe(413);
    expect((await post(opened.port, '/v1/photo', { octets: 'x'.repeat(70_000) }, { cookie })).status).toBe(200);
  });
});

/** A connection that says these octets, and what comes back. */
function raw(port: number, octets: string, reads = true) {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  if (reads) socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  else socket.pause();
  socket.on('error', () => {});
  socket.write(octets);
  ends.push(async () => void socket.destroy());
  return { socket, text: () => text };
}
const watchText = (port: number, cookie: string): string =>
  `GET /v1/status/watch HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\naccept: text/event-stream\r\ncookie: ${cookie}\r\n\r\n`;

describe('many, slow and half', () => {
  test('fifty phones watch one snapshot; it is made once for all of them, and only while somebody watches', async () => {
    const opened = await open();
    const { port, made } = opened;
    const cookie = await cookieAt(opened);
    expect(made.snapshots).toBe(0);
    const phones = Array.from({ length: 50 }, () => raw(port, watchText(port, cookie)));
    await until(() => phones.every((one) => one.text().split('data: ').length > 3), 'all have three snapshots');
    const newest = (text: string) => Number(/.*"number":(\d+)/s.exec(text)?.[1]);
    expect(Math.max(...phones.map(({ text }) => newest(text())))).toBeLessThanOrEqual(made.snapshots);
    expect(made.snapshots).toBeLessThan(50);
    // Somebody asks in between.
    expect(await statusOf(port, '/v1/status', { cookie })).toBe(200);
    for (const { socket } of phones) socket.destroy();
    await until(async () => {
      const before = made.snapshots;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return made.snapshots === before;
    }, 'nobody watches any more');
  });

  test('whoever reads slowly is given the newest, and what was in between does not pile up', async () => {
    const made = { snapshots: 0 };
    const snapshot = () => Promise.resolve({ number: ++made.snapshots, pad: 'x'.repeat(100_000) });
    const opened = await open({ shared: { '/v1/status/watch': shared(snapshot, 1) } });
    const { port } = opened;
    const cookie = await cookieAt(opened);
    const slow = raw(port, watchText(port, cookie), false);
    // Far more than the buffers of the kernel hold: 100 KB each.
    await until(() => made.snapshots > 600, 'six hundred snapshots');
    let text = '';
    slow.socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    slow.socket.resume();
    const behind = made.snapshots;
    const numbers = () => [...text.matchAll(/"number":(\d+)/g)].map(([, number]) => Number(number));
    await until(() => (numbers().at(-1) ?? 0) >= behind, 'it has caught up');
    expect(numbers().length).toBeLessThan(behind - 100);
    expect(numbers()).toEqual(numbers().toSorted((a, b) => a - b));
  });

  test('whoever watches is cut when the session ends', async () => {
    const opened = await open();
    const cookie = await cookieAt(opened);
    const phone = raw(opened.port, watchText(opened.port, cookie));
    await until(() => phone.text().includes('data: '), 'it watches');
    opened.login.endAll();
    await until(() => phone.socket.closed, 'it is cut');
  });

  test('hundreds of connections that ask nothing, and half requests, keep nobody out', async () => {
    const opened = await open();
    const cookie = await cookieAt(opened);
    const watching = raw(opened.port, watchText(opened.port, cookie));
    await until(() => watching.text().includes('data: '), 'one watches');
    for (let i = 0; i < 400; i++)
      raw(opened.port, i % 2 === 0 ? '' : 'POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-le');
    for (let i = 0; i < 20; i++) expect(await statusOf(opened.port, '/v1/status', { cookie })).toBe(200);
    // Who waits for an answer keeps the place.
    expect(watching.socket.closed).toBe(false);
  });

  test('what is no HTTP is refused or cut, and the page goes on', async () => {
    const { port } = await open();
    for (const octets of [
      '\u0016\u0003\u0001\u0002',
      'GET\r\n\r\n',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(9000)}\r\n\r\n`,
      'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n',
    ]) {
      const stranger = raw(port, octets);
      await until(() => stranger.socket.closed, 'it is cut');
    }
    expect(await statusOf(port, '/')).toBe(200);
  });
});

describe('over TLS', () => {
  test('the cookie is for this host alone and the browser is told to stay; who never greets keeps nobody out', async () => {
    const state = mkdtempSync(join(folder, 'state-'));
    const { cert, key } = await ownCertificate(state, []);
    const opened = await open({ tls: { cert, key } });
    const { port, login } = opened;
    const ask = (path: string, given?: object): Promise<Got> =>
      new Promise((resolve, reject) => {
        const origin = `https://localhost:${port}`;
        const headers = { 'content-type': 'application/json', origin };
        const asked = secureRequest(
          {
            host: '127.0.0.1',
            servername: 'localhost',
            ca: cert,
            port,
            path,
            method: given ? 'POST' : 'GET',
            headers,
            agent: false,
            setHost: false,
          },
          (response) => {
            response.resume();
            response.on('end', () =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, text: '' }),
            );
          },
        );
        asked.setHeader('host', `localhost:${port}`);
        asked.on('error', reject);
        asked.end(given && JSON.stringify(given));
      });
    for (let i = 0; i < 300; i++) raw(port, i % 2 === 0 ? '' : 'GET / HTTP/1.1\r\n');
    const { status, headers } = await ask('/login', { ticket: login.ticket('act') });
    expect(status).toBe(200);
    expect(headers['set-cookie']?.[0]).toMatch(/^__Host-meter_gateway_session\d+=.*; Secure$/);
    expect(headers['strict-transport-security']).toBe('max-age=31536000');
    // Nor does it hold up the end: systemd would kill a gateway that waits for a stranger.
    await ends.shift()?.();
    // It is made once.
    expect((await ownCertificate(state, [])).fingerprint).toBe(new X509Certificate(cert).fingerprint256);
    expect(statSync(join(state, 'page-certificate.pem')).mode & 0o777).toBe(0o600);
    // Less than the ten seconds in which whoever never greets is cut by itself.
  }, 8000);
  test('beyond this machine nothing is served without it', async () => {
    await expect(open({ listen: { host: '0.0.0.0', port: 0 } })).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
