/**
 * Incident: codes were used outside of their meaning, and the next step sent people the wrong way: to the disk for a key
 * that is used up, to the cable for a missing right, to the password where there was none.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ifNobody, nobody, notAsNobody } from '../support/nobody.ts';
import { type ErrorCode, errorTable } from '../../src/base/errors.ts';
import { serveStatus } from '../../src/desk/server.ts';
import type { LocalAnswers } from '../../src/desk/routes.ts';
import { meterWorld } from '../support/meter-world.ts';
import { folder, gateway, node, type Result, run, simulate } from '../support/programs.ts';
import { configuration } from '../support/configuration.ts';

const ek = '000102030405060708090a0b0c0d0e0f';
const env = { HOME: folder, XDG_STATE_HOME: join(folder, 'state') };
/** Code, fault and next step as they stand on the screen. */
function expectWords({ err, code: exit }: Result, code: ErrorCode, next: RegExp): void {
  const { fault, nextStep, exitCode } = errorTable[code];
  expect(err).toContain(`${code} (${fault}): `);
  expect(err).toContain(`next: ${nextStep}`);
  expect(nextStep).toMatch(next);
  expect(exit).toBe(exitCode);
}
/** The same as a user who may nothing. */
const asNobody = (args: string[]): Promise<Result> =>
  new Promise((resolve) => {
    const child = spawn(node, [gateway, ...args], {
      uid: nobody,
      gid: nobody,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.once('close', (code) => resolve({ code: code ?? -1, out, err }));
  });

describe('the command line', () => {
  test('--auth forgotten: not the password, but that there is none', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const result = await run(gateway, ['read', device, '--client', '17'], { env });
    expectWords(result, 'authentication-required', /--auth lls/);
    expect(result.err).not.toMatch(/Check the password/);
  });
  test('a key of the wrong length, or no hex: not "at the prompt"', async () => {
    const options = ['read', 'tcp://127.0.0.1:1', '--auth', 'hls-gmac'];
    for (const wrong of ['00', 'no hex at all, and secret']) {
      const result = await run(gateway, options, { env: { ...env, METER_EK: wrong, METER_AK: ek } });
      expectWords(result, 'key-unfit', /32 digits/);
      expect(result.err).not.toContain('secret');
    }
  });
  test('nobody at the socket; a meter that nobody knows is no all-clear', async () => {
    const nobody = await run(gateway, ['status', '--socket', join(folder, 'none.sock')]);
    expectWords(nobody, 'no-gateway', /systemctl status/);
    const socket = join(folder, 'words.sock');
    const house = {
      gaps: () => Promise.resolve([]),
      snapshot: () => Promise.resolve({ at: '2026-11-24T12:00:00Z', time: {}, ports: [{ meters: [{ meter: 'm1' }] }] }),
    } as unknown as LocalAnswers;
    const close = await serveStatus(socket, () => house);
    const unknown = await run(gateway, ['gaps', '--meter', 'nosuch', '--socket', socket]);
    expectWords(unknown, 'unknown-meter', /status lists/);
    expect(unknown.out).toBe('');
    expect(unknown.err).toContain("no meter 'nosuch'; there are m1");
    const known = await run(gateway, ['gaps', '--meter', 'm1', '--socket', socket]);
    expect(known.code).toBe(0);
    await expect(serveStatus(socket, () => house)).rejects.toMatchObject({ code: 'socket-taken' });
    await close();
  });
  test('a file that is not there, or is there already', async () => {
    expectWords(await run(gateway, ['decode', join(folder, 'none')]), 'file-unusable', /Check the path/);
    expectWords(await run(gateway, ['decode', folder]), 'file-unusable', /Check the path/);
    const trace = ['read', 'tcp://127.0.0.1:1', '--trace', folder];
    expectWords(await run(gateway, trace, { env }), 'file-unusable', /Check the path/);
  });
  test('a TCP port to listen on that somebody has: not the cable', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    expectWords(await run(gateway, ['listen', `tcp://127.0.0.1:${port}`]), 'port-busy', /stop it/);
    server.close();
    // Documentation address (RFC 5737): this machine does not have it.
    expectWords(await run(gateway, ['listen', 'tcp://192.0.2.1:4059']), 'bad-argument', /--help/);
  });
  test.skipIf(notAsNobody !== undefined)(
    `a port without the right to it: dialout, not the cable${ifNobody}`,
    async () => {
      const { device } = await simulate(['--pty', join(folder, 'denied-tty')]);
      chmodSync(folder, 0o755);
      chmodSync(device, 0o600);
      const result = await asNobody(['read', device, '--auth', 'none']);
      expectWords(result, 'port-denied', /dialout.*DeviceAllow/);
      const low = await asNobody(['listen', 'tcp://127.0.0.1:1']);
      // Where the system lets everybody have low ports there is nothing to refuse.
      if (!low.err.includes('listening')) expectWords(low, 'port-denied', /1024/);
    },
  );
  test('a key of the wrong length in the configuration has its own next step', async () => {
    const place = join(folder, 'keys');
    mkdirSync(place);
    for (const [name, text] of [
      ['ek', '0001'],
      ['ak', ek],
    ] as const)
      writeFileSync(join(place, name), text, { mode: 0o600 });
    const config = join(place, 'g.toml');
    writeFileSync(
      config,
      configuration({
        gateway: { state_directory: place },
        port: [
          {
            meter: [{ auth: 'hls-gmac', encryption_key: `file:${place}/ek`, authentication_key: `file:${place}/ak` }],
          },
        ],
      }),
    );
    const { out, err } = await run(gateway, ['config', 'check', config]);
    expect(`${out}${err}`).toMatch(/4 hex digits, a key of suite 0 has 32/);
  });
});

describe('the line', () => {
  test('only our own octets come back: said so, over HDLC and at the sign-on', async () => {
    const silent = { kind: 'silence', meter: 0 } as const;
    const echo = { kind: 'echo', rate: 0 } as const;
    const world = meterWorld({ fault: [silent, echo] });
    await expect(world.clock.complete(world.session.connect())).rejects.toMatchObject({ code: 'echo-only' });
    const optical = meterWorld({ meters: { mode_e: true }, fault: [silent, echo] }, { modeE: true });
    await expect(optical.clock.complete(optical.session.connect())).rejects.toMatchObject({ code: 'echo-only' });
    expect(errorTable['echo-only'].nextStep).toMatch(/Only our own octets/);
  });
  test('no echo and no meter is no answer; an echo with a meter behind it is no trouble', async () => {
    const dead = meterWorld({ fault: [{ kind: 'silence', meter: 0 }] });
    await expect(dead.clock.complete(dead.session.connect())).rejects.toMatchObject({ code: 'no-answer' });
    const echoing = meterWorld({ fault: [{ kind: 'echo', rate: 0 }] });
    await echoing.clock.complete(echoing.session.connect());
  });
});

test('no next step sends to a place that the fault is not at', () => {
  const words: Record<string, RegExp> = {
    'counter-used-up': /disk|df -h/,
    'port-denied': /cable/,
    'host-missing': /by-id|adapter was/,
    'authentication-required': /Check the password/,
    'key-unfit': /prompt/,
    'no-gateway': /--help/,
    'echo-only': /unplugged/,
  };
  for (const [code, wrong] of Object.entries(words)) expect(errorTable[code as ErrorCode].nextStep).not.toMatch(wrong);
});
