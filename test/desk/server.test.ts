/** The local door: nobody at it ends the process, takes somebody's file away or keeps the others out. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ifNobody, notAsNobody } from '../support/nobody.ts';
import { askBackup, askGaps, askQuarantine, askRead, askStatus, watchStatus } from '../../src/desk/client.ts';
import { type DoorSettings, serveStatus } from '../../src/desk/server.ts';
import { type LocalAnswers, routes } from '../../src/desk/routes.ts';
import { findRoute, inputOf } from '../../src/door/rows.ts';
import { completenessOf } from '../../src/status/completeness.ts';
import { RecentFacts } from '../../src/status/recent.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { capacityOf } from '../../src/commission/capacity.ts';
import { Failure } from '../../src/base/errors.ts';
import { seeded } from '../../src/simulator/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'door-test-'));
const endings: (() => Promise<void>)[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const end of endings.splice(0)) await end();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const snapshot = { gateway: 'g' } as Snapshot;
let door = 0;
async function open(more: Partial<LocalAnswers> = {}, settings: DoorSettings = {}): Promise<string> {
  const path = join(folder, `door-${door++}.sock`);
  const house: LocalAnswers = {
    snapshot: () => Promise.resolve(snapshot),
    gaps: () => Promise.resolve([]),
    quarantine: () => Promise.resolve([]),
    reload: () => Promise.resolve({ hash: 'h', since: '2026-11-24T00:00:00Z', warnings: [] }),
    acceptCounter: (meter) => Promise.resolve({ meter, raisedTo: null, forgotten: null }),
    readObjects: () => Readable.from([]),
    browseObjects: () => Readable.from([]),
    lineUses: () => [],
    commission: () => Readable.from([]),
    signOff: () => Promise.reject(new Failure('bad-argument', 'no record of a meter')),
    capacity: () => capacityOf({ meters: [], periodS: 3600, backFillDays: 1 }),
    workList: () => ({ entries: [], findings: [] }),
    commissionPlan: () => ({}),
    siteRecords: () => ({ records: [] }),
    compareDisplay: () => ({ at: '', obis: '', shown: '', agrees: true, words: '' }),
    attach: () => ({ at: '', note: null, file: null, bytes: 0, sha256: null }),
    reports: () => ({ reports: [] }),
    report: () => Readable.from([]),
    takeMeters: () => Promise.resolve({ written: [], backup: null }),
    trace: () => Readable.from([]),
    log: () => Readable.from([]),
    scan: () => (async function* () {})(),
    pageTicket: () => ({ url: 'http://localhost/#ticket=t', permission: 'look', validS: 600, fingerprint: null }),
    completeness: () => Promise.resolve(completenessOf([], [], 1, 0)),
    intervals: (meter) => new RecentFacts().intervalsOf(meter, 1, 0),
    events: () => ({ events: [] }),
    backup: () => Readable.from([]),
    leaseCounters: () => Promise.resolve({ title: '4d47570000000001', first: 0, count: 1 }),
    readNow: (meter) => Promise.reject(new Failure('unknown-meter', `no meter '${meter}' in the configuration`)),
    ...more,
  };
  endings.push(await serveStatus(path, () => house, settings));
  return path;
}
/** What comes back for octets as they stand, until the door closes. */
const raw = (path: string, octets: string | Uint8Array): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(path);
    sockets.push(socket);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(octets);
  });
const idle = (path: string): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    sockets.push(socket);
    socket.on('error', () => {});
  });
const statusOf = (answer: string): string => answer.slice(0, answer.indexOf('\r\n'));

describe('incident: one request ended the process', () => {
  test.each([
    ['GET // HTTP/1.1', '404'],
    ['GET http://[ HTTP/1.1', '400'],
    ['GET http://[::1 HTTP/1.1', '400'],
    ['GET * HTTP/1.1', '400'],
    ['OPTIONS * HTTP/1.1', '400'],
    ['GET ///v1/status HTTP/1.1', '404'],
    ['GET /v1/status/../gaps HTTP/1.1', '404'],
    ['GET /v1/%73tatus HTTP/1.1', '404'],
    ['GET /status HTTP/1.1', '404'],
    ['GET /v2/status HTTP/1.1', '404'],
    ['GET /v1/status?x=1 HTTP/1.1', '400'],
    ['GET /v1/status?x HTTP/1.1', '400'],
    ['GET /v1/status?__proto__=a HTTP/1.1', '400'],
    ['GET /v1/status?a=%E0%A4%A HTTP/1.1', '400'],
    ['GET /v1/status?a=%ff HTTP/1.1', '400'],
    ['GET /v1/status?a=1&a=2 HTTP/1.1', '400'],
    ['GET /v1/status?a?b HTTP/1.1', '400'],
    ['GET /v1/status#x HTTP/1.1', '404'],
    ['POST /v1/read HTTP/1.1', '400'],
    ['POST /v1/read?meter=a HTTP/1.1', '400'],
    ['GET /v1/read HTTP/1.1', '405'],
    ['POST /v1/status HTTP/1.1', '405'],
    ['DELETE /v1/status HTTP/1.1', '405'],
    ['HEAD /v1/status HTTP/1.1', '405'],
    ['BREW /v1/status HTTP/1.1', '400'],
    ['\u0016\u0003\u0001', '400'],
  ])('%j is answered with %s', async (line, status) => {
    const path = await open();
    expect(statusOf(await raw(path, `${line}\r\nhost: x\r\n\r\n`))).toContain(` ${status} `);
    expect(await askStatus(path)).toEqual(snapshot);
  });
  test('neither a tunnel nor another protocol is opened', async () => {
    const path = await open();
    expect(await raw(path, 'CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\n')).toBe('');
    const head = 'GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
    expect(await raw(path, head)).toBe('');
    expect(await askStatus(path)).toEqual(snapshot);
  });
  test('an answer that throws at once, or cannot be told in JSON, is status 500', async () => {
    const path = await open({
      gaps: () => {
        throw new TypeError('broken');
      },
      quarantine: () => Promise.resolve([1n] as never),
    });
    await expect(askGaps(path)).rejects.toThrow('broken');
    await expect(askQuarantine(path)).rejects.toThrow('BigInt');
    expect(await askStatus(path)).toEqual(snapshot);
  });
});

describe('the body of a POST', () => {
  const post = (body: string | Buffer, type = 'application/json') =>
    Buffer.concat([
      Buffer.from(
        `POST /v1/read HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`,
      ),
      Buffer.from(body),
    ]);
  test.each([
    ['{"meter":"a"}', 'application/json', '409'],
    ['{"meter":"a","force":true}', 'application/json; charset=utf-8', '409'],
    ['{"meter":"a","force":"yes"}', 'application/json', '400'],
    ['{"meter":""}', 'application/json', '400'],
    ['{"meter":["a"]}', 'application/json', '400'],
    ['{"meter":"a","__proto__":{}}', 'application/json', '400'],
    ['{"meter":"a","more":1}', 'application/json', '400'],
    ['[]', 'application/json', '400'],
    ['null', 'application/json', '400'],
    ['{"meter":"a"', 'application/json', '400'],
    ['\u00ff', 'application/json', '400'],
    ['{"meter":"a"}', 'text/plain', '415'],
    ['{"meter":"a"}', 'application/x-www-form-urlencoded', '415'],
    [`{"meter":"${'a'.repeat(70_000)}"}`, 'application/json', '413'],
  ])('case %#: its answer', async (body, type, status) => {
    const path = await open();
    expect(statusOf(await raw(path, post(body, type)))).toContain(` ${status} `);
    expect(await askStatus(path)).toEqual(snapshot);
  });
  test('one that never ends, and one of no end, are cut', async () => {
    const path = await open();
    const head =
      'POST /v1/read HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    const short = raw(path, `${head}5\r\n{"met\r\n`);
    const long = raw(path, `${head}${`4000\r\n${' '.repeat(0x4000)}\r\n`.repeat(8)}`);
    expect(statusOf(await long)).toContain(' 413 ');
    expect(statusOf(await short)).toMatch(/ 40[08] /);
    expect(await askStatus(path)).toEqual(snapshot);
  });
});

describe('events line by line', () => {
  test('they come as they are, and leaving the loop ends the job behind them', async () => {
    let asked = 0;
    const path = await open({ snapshot: () => Promise.resolve({ gateway: `g${asked++}` } as Snapshot) });
    const seen: string[] = [];
    for await (const { gateway } of watchStatus(path)) {
      seen.push(gateway);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['g0', 'g1']);
    const after = asked;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(asked).toBe(after);
  });
  test('a job that fails in the midst says so, by its code', async () => {
    let asked = 0;
    const path = await open({
      snapshot: () => (asked++ === 0 ? Promise.resolve(snapshot) : Promise.reject(new Failure('busy', 'no more'))),
    });
    const seen: unknown[] = [];
    const watch = async () => {
      for await (const one of watchStatus(path)) seen.push(one);
    };
    await expect(watch()).rejects.toMatchObject({ code: 'busy', message: 'no more' });
    expect(seen).toEqual([snapshot]);
  });
  test('who takes nothing loses the connection and the place', async () => {
    const path = await open(
      { snapshot: () => Promise.resolve({ gateway: 'x'.repeat(8 << 20) } as Snapshot) },
      { takeMs: 200 },
    );
    for (let i = 0; i < 6; i++) {
      const deaf = await idle(path);
      deaf.pause();
      deaf.write('GET /v1/status/watch HTTP/1.1\r\nhost: x\r\n\r\n');
    }
    await expect.poll(() => askGaps(path).catch((error: Failure) => error.code), { timeout: 120_000 }).toEqual([]);
  });
});

describe('the status socket only looks', () => {
  test('every row that acts is refused there, and says where it is asked', async () => {
    const path = await open({}, { may: () => 'look' });
    expect(await askStatus(path)).toEqual(snapshot);
    await expect(askRead(path, 'm')).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringMatching(/desk socket/) as string,
    });
    for (const { method, path: target, permission, answers } of routes) {
      // It is answered until whoever asked leaves.
      if (answers === 'lines' && permission === 'look') continue;
      const answer = await raw(path, `${method} ${target} HTTP/1.1\r\nhost: x\r\n\r\n`);
      if (permission === 'act') expect(statusOf(answer)).toContain(' 403 ');
      else expect(statusOf(answer)).not.toContain(' 403 ');
    }
  });
  test('what acts is asked at the desk beside it, where there is one', async () => {
    const beside = mkdtempSync(join(folder, 'beside-'));
    const house = { readNow: () => Promise.resolve({ meter: 'm' }), backup: () => Readable.from([Buffer.from('b')]) };
    const answers = () => house as unknown as LocalAnswers;
    endings.push(await serveStatus(join(beside, 'status.sock'), answers, { may: () => 'look' }));
    endings.push(await serveStatus(join(beside, 'desk.sock'), answers));
    expect(await askRead(join(beside, 'status.sock'), 'm')).toEqual({ meter: 'm' });
    const parts: Uint8Array[] = [];
    for await (const part of await askBackup(join(beside, 'status.sock'))) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe('b');
  });
});

describe('incident: status_socket named a file, and the file was deleted', () => {
  const serve = (path: string) => serveStatus(path, () => ({}) as LocalAnswers);
  test('a file, a folder, a link and a device stay, and are named', async () => {
    const file = join(folder, 'gateway.toml');
    writeFileSync(file, 'precious');
    await expect(serve(file)).rejects.toThrow(`${file}: a file of that name is there and is left alone`);
    expect(readFileSync(file, 'utf8')).toBe('precious');

    const link = join(folder, 'link');
    symlinkSync(file, link);
    await expect(serve(link)).rejects.toThrow('a symbolic link of that name');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    const dangling = join(folder, 'dangling');
    symlinkSync(join(folder, 'nowhere'), dangling);
    await expect(serve(dangling)).rejects.toThrow('a symbolic link of that name');

    const directory = join(folder, 'directory');
    mkdirSync(directory);
    await expect(serve(directory)).rejects.toThrow('a folder of that name');
    await expect(serve('/dev/null')).rejects.toThrow('neither a file nor a socket');
    expect(existsSync('/dev/null')).toBe(true);
  });
  test('no folder, no room for the name: said before anything is done', async () => {
    await expect(serve(join(folder, 'none', 's.sock'))).rejects.toThrow(`there is no folder ${join(folder, 'none')}`);
    await expect(serve(join(folder, 'x'.repeat(120)))).rejects.toThrow('at most 107 octets');
  });
  test('a socket that somebody serves stays theirs, also where they never answer', async () => {
    const path = await open();
    await expect(serve(path)).rejects.toThrow('another process answers there already');
    expect(await askStatus(path)).toEqual(snapshot);
    const mute = join(folder, 'mute.sock');
    const other = createServer(() => {});
    await new Promise<void>((resolve) => other.listen(mute, resolve));
    await expect(serve(mute)).rejects.toThrow('another process answers there already');
    other.close();
  });
  test('a socket that a killed process left is taken over', async () => {
    const path = join(folder, 'left.sock');
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await new Promise((resolve) => child.once('exit', resolve));
    expect(lstatSync(path).isSocket()).toBe(true);
    const end = await serveStatus(path, () => ({ snapshot: () => Promise.resolve(snapshot) }) as LocalAnswers);
    expect(await askStatus(path)).toEqual(snapshot);
    await end();
    expect(existsSync(path)).toBe(false);
  });
});

describe('incident: sixteen silent connections kept everybody out', () => {
  test('the oldest silent one makes room, one after another', async () => {
    const path = await open();
    const silent: Socket[] = [];
    for (let i = 0; i < 40; i++) silent.push(await idle(path));
    for (let i = 0; i < 20; i++) expect(await askStatus(path)).toEqual(snapshot);
    expect(silent.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length).toBeLessThanOrEqual(
      16,
    );
  });
  test('a half request, and a head that comes octet by octet, are cut', async () => {
    const path = await open();
    const slow = await idle(path);
    const closed = new Promise((resolve) => slow.once('close', resolve));
    const trickle = setInterval(() => slow.write('x'), 200);
    slow.write('GET /v1/status HTTP/1.1\r\nx: ');
    await closed;
    clearInterval(trickle);
    expect(await askStatus(path)).toEqual(snapshot);
  });
  test('more requests at work than may be: busy, and free again', async () => {
    let free = () => {};
    const held = new Promise<void>((resolve) => (free = resolve));
    const path = await open({ readNow: () => held.then(() => ({}) as never) });
    const many = Promise.allSettled(Array.from({ length: 16 }, () => askRead(path, 'm')));
    await expect.poll(() => askRead(path, 'm').catch((error: Failure) => error.code)).toBe('busy');
    expect(await askStatus(path)).toEqual(snapshot);
    free();
    const answers = (await many).map((one) => (one.status === 'fulfilled' ? 'read' : (one.reason as Failure).code));
    expect(new Set(answers)).toEqual(new Set(['read', 'busy']));
    expect(answers.filter((answer) => answer === 'read')).toHaveLength(6);
    expect(await askStatus(path)).toEqual(snapshot);
  });
  test('a pipeline is one request', async () => {
    let asked = 0;
    const path = await open({ gaps: () => Promise.resolve(asked++).then(() => []) });
    await raw(path, 'GET /v1/gaps HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5000));
    expect(asked).toBe(1);
  });
  test('who takes no octet of a large answer does not keep the others out', async () => {
    const path = await open({ gaps: () => Promise.resolve([{ meter: 'm'.repeat(4 << 20) }] as never) });
    for (let i = 0; i < 20; i++) {
      const deaf = await idle(path);
      deaf.pause();
      deaf.write('GET /v1/gaps HTTP/1.1\r\nhost: x\r\n\r\n');
    }
    await expect
      .poll(() => askStatus(path).catch((error: Failure) => error.code), { timeout: 120_000 })
      .toEqual(snapshot);
  });
});

test('sibling: who takes nothing of a backup loses the place, and acts are free again', async () => {
  const endless = async function* () {
    for (;;) {
      await Promise.resolve();
      yield new Uint8Array(1 << 16);
    }
  };
  const readNow = () => Promise.resolve({ meter: 'm' } as never);
  const path = await open({ backup: endless, readNow }, { takeMs: 300 });
  for (let i = 0; i < 6; i++) {
    const deaf = await idle(path);
    deaf.pause();
    deaf.write('GET /v1/backup HTTP/1.1\r\nhost: x\r\n\r\n');
  }
  await expect.poll(() => askRead(path, 'm').catch((error: Failure) => error.code)).toBe('busy');
  await expect
    .poll(() => askRead(path, 'm').catch((error: Failure) => error.code), { timeout: 120_000 })
    .toEqual({ meter: 'm' });
});

describe('incident: only root could use the socket', () => {
  const groups = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const [name = '', , number = ''] = groups.find(([, , id]) => Number(id) > 0) ?? [];
  test.skipIf(process.getuid?.() !== 0)('status_group by name or number: 0660 of that group', async () => {
    for (const group of [name, number]) {
      const path = await open({}, { group });
      expect(statSync(path).gid).toBe(Number(number));
      expect(statSync(path).mode & 0o777).toBe(0o660);
    }
  });
  test('a group that does not exist ends the start by name, and leaves no socket', async () => {
    const path = join(folder, 'group.sock');
    const failed = serveStatus(path, () => ({}) as LocalAnswers, { group: 'no-such-group' });
    await expect(failed).rejects.toThrow("/etc/group has no 'no-such-group'");
    expect(existsSync(path)).toBe(false);
  });
  test('nobody there, nobody who may, something else there: three answers of the command line', async () => {
    await expect(askStatus(join(folder, 'none.sock'))).rejects.toMatchObject({ code: 'no-gateway', fault: 'operator' });
    const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno'));
    const path = join(folder, 'other.sock');
    await new Promise<void>((resolve) => other.listen(path, resolve));
    await expect(askStatus(path)).rejects.toThrow('is no gateway');
    other.close();
  });
  test.skipIf(notAsNobody !== undefined)(`a user outside of the group is told what to do${ifNobody}`, async () => {
    const path = await open();
    chmodSync(folder, 0o755);
    const client = new URL('../../src/desk/client.ts', import.meta.url).href;
    const script = `process.setgid(65534); process.setuid(65534);
      import(${JSON.stringify(client)}).then((m) => m.askStatus(${JSON.stringify(path)})).catch((e) => console.log(e.code, e.nextStep))`;
    const child = spawn(process.execPath, ['-e', script]);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    expect(out).toMatch(/^not-permitted .*status_group looks, technician_group acts/);
  });
});

test('acts are logged with what was asked; looks are not', async () => {
  const lines: string[] = [];
  const log = { info: (fields: object) => void lines.push(JSON.stringify(fields)), warn: () => {}, error: () => {} };
  const path = await open({}, { log });
  await askStatus(path);
  await expect(askRead(path, 'm\n1')).rejects.toThrow('no meter');
  expect(lines).toEqual(['{"asked":"POST /v1/read","meter":"m\\n1","force":false}']);
});

test('every row is found by its own method and path, and by no other', () => {
  for (const row of routes) {
    const { method, path } = row;
    expect(findRoute(routes, method, path)).toMatchObject({ route: { method, path } });
    expect(findRoute(routes, 'PATCH', path)).toMatchObject({ status: 405 });
    expect(findRoute(routes, method, `${path}?a=1&a=2`)).toMatchObject({ status: 400 });
    expect(inputOf(row, { nothing_of_the_kind: 1 })).toHaveProperty('misfit');
  }
});

/** Octets of a stranger: noise, and requests that noise was put into. */
function strange(next: () => number): Uint8Array {
  const below = (limit: number) => Math.floor(next() * limit);
  const noise = (length: number) => Uint8Array.from({ length }, () => below(256));
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const method = pick(['GET', 'POST', 'HEAD', 'PUT', 'get', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', '']);
  const target = pick([
    '/v1/status',
    '//',
    'http://[',
    '/v1/read?meter=%',
    '/v1/read',
    '*',
    '/%00',
    '/\u00ff',
    '?',
    '',
  ]);
  const header = pick([
    'host: x',
    'transfer-encoding: chunked',
    'content-length: 99999999999999999999',
    'content-length: -1',
    'expect: 100-continue',
    'upgrade: h2c\r\nconnection: upgrade',
    `x: ${'y'.repeat(below(70_000))}`,
    ': ',
    'a\u0000b: c',
  ]);
  const text = Buffer.from(
    `${method} ${target} HTTP/${pick(['1.1', '1.0', '2.0', '9'])}\r\n${header}\r\n\r\n`,
    'latin1',
  );
  const kind = below(5);
  if (kind === 0) return noise(1 + below(500));
  if (kind === 1) return text;
  if (kind === 2) return text.subarray(0, below(text.length));
  if (kind === 3) return Buffer.concat([text, noise(below(200)), text, text]);
  const broken = Uint8Array.from(text);
  for (let i = 0; i < 3; i++) broken[below(broken.length)] = below(256);
  return broken;
}
test('400 strangers, seeded: honest requests are answered in between, and memory stays', async () => {
  const path = await open({ readNow: () => Promise.reject(new Failure('busy', 'not now')) });
  const next = seeded(20_261_128);
  global.gc?.();
  const before = process.memoryUsage().rss;
  let honest = 0;
  for (let i = 0; i < 400; i++) {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.write(strange(next));
    const end = next();
    if (end < 0.3) socket.end();
    else if (end < 0.6) socket.destroy();
    sockets.push(socket);
    if (i % 10 !== 0) continue;
    expect(await askStatus(path)).toEqual(snapshot);
    honest++;
  }
  expect(honest).toBe(40);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20);
});
