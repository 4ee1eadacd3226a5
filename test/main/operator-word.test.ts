/** What an operator does about a meter that refuses, or that says what is not believed: with the built program. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { keyPrint } from '../../src/meter/invocation-counter.ts';
import { askCounterLease, askStatus } from '../../src/desk/client.ts';
import { Counters } from '../../src/store/counters.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { listening, until } from '../support/broker.ts';
import { children, folder, gateway, node, run, simulate } from '../support/programs.ts';
import { configuration, gmac, lls, type MeterKeys } from '../support/configuration.ts';

const keys = { ek: '000102030405060708090A0B0C0D0E0F', ak: 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF' };
let worlds = 0;
/** `meter`: how it is entered, by the folder of its secrets. */
function configured(device: string, meter: (own: string) => MeterKeys) {
  const own = join(folder, `operator-${worlds++}`);
  const state = join(own, 'state');
  mkdirSync(state, { recursive: true });
  for (const [name, text] of [...Object.entries(keys), ['secret', 'wrong']] as [string, string][])
    writeFileSync(join(own, name), text, { mode: 0o600 });
  const socket = join(own, 's.sock');
  const path = join(own, 'gateway.toml');
  writeFileSync(
    path,
    configuration({
      gateway: { clock_trust: 'assume', state_directory: state, status_socket: socket, poll_offset_s: 0 },
      mqtt: { url: 'mqtt://127.0.0.1:1' },
      port: [{ device, meter: [{ serial: '60120001', ...meter(`file:${own}`) }] }],
    }),
  );
  const start = async () => {
    const child = spawn(node, [gateway, 'run', '--config', path], { stdio: 'ignore' });
    children.push(child);
    await until(() => listening(socket), 'the socket is there');
    return {
      stop: () =>
        new Promise((resolve) => {
          child.on('exit', resolve);
          child.kill('SIGTERM');
        }),
    };
  };
  const verdict = (expected: string) =>
    until(async () => (await askStatus(socket)).ports[0]?.meters[0]?.verdict === expected, expected);
  return { own, state, socket, path, start, verdict };
}

describe('24: a meter that refused us', () => {
  test('poll says until when it is left alone and why; --force tries once; a start is no try', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const it = configured(device, (own) => ({ ...lls, secret: `${own}/secret` }));
    const daemon = await it.start();
    await it.verdict('SECURITY_FAULT');
    const poll = await run(gateway, ['poll', 'm1', '--socket', it.socket]);
    expect(poll.code).toBe(5);
    expect(poll.err).toMatch(
      /^backed-off \(operator\): m1 refused us 1 time \(authentication-refused: .*\); it is tried again at \d{4}-.*\nnext: Mend .*--force/,
    );
    const forced = await run(gateway, ['poll', 'm1', '--force', '--socket', it.socket]);
    expect(forced.err).toContain('authentication-refused');
    await daemon.stop();
    await it.start();
    const again = await run(gateway, ['poll', 'm1', '--socket', it.socket]);
    expect(again.err).toContain('refused us 2 times');
  });
  test('sibling: read counts its own: it warns, and from the third on wants --force', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const env = { METER_SECRET: 'wrong', XDG_STATE_HOME: join(folder, 'own-count') };
    const read = (...more: string[]) =>
      run(gateway, ['read', device, '--client', '17', '--auth', 'lls', ...more], { env });
    expect((await read()).err).not.toContain('refused us');
    expect((await read()).err).toContain('refused us 1 time');
    expect((await read()).err).toContain('refused us 2 times');
    const fourth = await read();
    expect(fourth.err).toMatch(/^backed-off \(operator\): this meter refused us 3 times/);
    expect(fourth.code).toBe(5);
    expect((await read('--force')).err).toContain('authentication-refused');
    // The right password, once, and all is forgotten.
    const right = { env: { ...env, METER_SECRET: 'meter' } };
    expect((await run(gateway, ['read', device, '--client', '17', '--auth', 'lls', '--force'], right)).code).toBe(0);
    expect((await run(gateway, ['read', device, '--client', '17', '--auth', 'lls'], right)).err).toBe('');
  });
});

describe('7: meter counter accept', () => {
  const ciphered = (own: string) => ({
    ...gmac,
    encryption_key: `${own}/ek`,
    authentication_key: `${own}/ak`,
  });
  test('through the running gateway, and with the state closed', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const it = configured(device, ciphered);
    const daemon = await it.start();
    await it.verdict('REACHABLE');
    const running = await run(gateway, ['meter', 'counter', 'accept', 'm1', '--socket', it.socket]);
    expect(running.code).toBe(2);
    expect(running.err).toContain('nothing of meter m1 waits for a word');
    const unknown = await run(gateway, ['meter', 'counter', 'accept', 'mX', '--socket', it.socket]);
    expect(unknown.err).toContain("no meter 'mX'");
    await daemon.stop();
    // As after an alarm.
    const counters = await Counters.open((await stateDirectory(it.state, Date.now())).counters);
    const memory = (await counters.remembered()).get('m1');
    expect(memory).toMatchObject({ serial: '60120001', title: expect.stringMatching(/^53494d/) as string });
    await counters.remember('m1', { serial: '60120001', ...memory, claimed: 3_000_000_000 });
    await counters.close();
    const closed = await run(gateway, ['meter', 'counter', 'accept', 'm1', '--config', it.path]);
    expect(closed.err).toBe('');
    expect(closed.out).toBe('m1: our invocation counter goes on above 3000000000 at the next session\n');
    expect(existsSync(join(it.state, 'unclean'))).toBe(true);
    const left = await Counters.open((await stateDirectory(it.state, Date.now())).counters);
    expect((await left.remembered()).get('m1')).toMatchObject({ accepted: 3_000_000_000 });
    await left.close();
    // Without a gateway and without a configuration there is nothing to open.
    const nowhere = await run(gateway, ['meter', 'counter', 'accept', 'm1', '--socket', it.socket]);
    expect(nowhere.err).toContain('no gateway');
  });
  test('8: a session from the command line takes its counters from the gateway that runs', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const it = configured(device, ciphered);
    await it.start();
    await it.verdict('REACHABLE');
    const trace = join(it.own, 'read.tap');
    const env = { METER_EK: keys.ek, METER_AK: keys.ak, XDG_STATE_HOME: it.own };
    const args = ['read', device, '--client', '5', '--auth', 'hls-gmac', '--socket', it.socket, '--trace', trace];
    // A converter serves the newest connection, and the daemon has sessions of its own: the technician tries again.
    let read = await run(gateway, args, { env });
    for (let tries = 1; read.code !== 0 && tries < 8; tries++) {
      rmSync(trace, { force: true });
      read = await run(gateway, args, { env });
    }
    expect(read.err).toBe('');
    expect(read.out).toContain('60120001');
    const decoded = await run(gateway, ['decode', trace, '--json'], { env });
    const title = /"callingApTitle":"([0-9a-f]{16})"/.exec(decoded.out.replaceAll(' ', ''))?.[1];
    // The gateway's own, of this life.
    const lease = await askCounterLease(it.socket, keyPrint(new Secret(Buffer.from(keys.ek, 'hex'))));
    expect(title).toBe(lease.title);
    await it.verdict('REACHABLE');
  });
});
