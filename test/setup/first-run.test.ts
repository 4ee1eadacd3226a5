/** The first run, by the page's own requests alone: a real pty with simulated meters, a real broker with TLS and a login. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ifNobody, nobody, notAsNobody } from '../support/nobody.ts';
import type { ScanEvent } from '../../src/commission/scan.ts';
import type { WorkList } from '../../src/commission/work-list.ts';
import type { BrokerTest, EffectiveConfiguration, SetupState, Written } from '../../src/setup/rows.ts';
import { takeHandOver } from '../../src/main/take.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { listening, realBroker, until } from '../support/broker.ts';
import { selfSigned } from '../support/certificates.ts';
import { configuration } from '../support/configuration.ts';
import { children, gateway as gatewayProgram, node, run, simulate } from '../support/programs.ts';
import { setupGateway } from '../support/setup-gateway.ts';
import { lineOf, metersFound, type SetupPage, twoMeters } from '../support/setup-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'firstrun-'));
const meterPassword = 's3cr3t-of-meters';
const brokerPassword = 's3cr3t-of-broker';
let broker: Awaited<ReturnType<typeof realBroker>>;
beforeAll(async () => {
  selfSigned(folder, 'localhost', '-addext', 'subjectAltName=DNS:localhost');
  const passwords = join(folder, 'passwords');
  execFileSync('mosquitto_passwd', ['-b', '-c', passwords, 'gw-1', brokerPassword]);
  broker = await realBroker([
    'allow_anonymous false',
    `password_file ${passwords}`,
    `certfile ${join(folder, 'localhost.pem')}`,
    `keyfile ${join(folder, 'localhost.key')}`,
  ]);
});
afterAll(async () => {
  await broker.remove();
  rmSync(folder, { recursive: true, force: true });
});

const site = { id: 'gw-1', tenant: 'utility', timeZone: 'Europe/Helsinki' };
const brokerPart = () => ({
  url: `mqtts://localhost:${broker.port}`,
  protocol: '5',
  username: 'gw-1',
  password: true,
  ca: readFileSync(join(folder, 'localhost.pem'), 'utf8'),
  certificate: null,
});
/** A line where nobody listens. */
const converter = {
  name: 'lan',
  device: 'tcp://127.0.0.1:1',
  baud: 9600,
  link: 'hdlc',
  direction: 'auto',
  entries: [{ line: 1, serial: '60120001', point: 'point-1', place: '' }],
  places: [],
  entry: { client: 17, auth: 'lls', shared: true },
  periodS: 3600,
};
const entered = (page: SetupPage, part: object) => page.ask<SetupState>('/v1/setup/enter', part);

/** As somebody goes through the screens: the line, its scan, the meters that it found, the site, the broker. */
async function fillIn(page: SetupPage, device: string): Promise<void> {
  const read = await page.ask<WorkList>('/v1/setup/work-list', { octets: twoMeters });
  expect(read.body.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  const { entries } = read.body;
  const events = await page.lines<ScanEvent>('/v1/setup/scan', { device, entries });
  const found = metersFound(events);
  expect(new Set(found.map(({ serial }) => serial))).toEqual(new Set(['60120001', '60120002']));
  expect((await entered(page, { lines: [lineOf(device, entries, found)] })).status).toBe(200);
  await entered(page, { site });
  await entered(page, { broker: brokerPart() });
}

describe('a first run', () => {
  test('from nothing to polling by the page alone; secrets never come back', async () => {
    const { device } = await simulate(['--meters', '2', '--pty', join(folder, 'tty'), '--password', meterPassword]);
    const own = join(folder, 'own');
    const gateway = await setupGateway(own);
    const page = await gateway.enter();
    expect(await page.mode()).toBe('first-run');
    expect(await page.state()).toMatchObject({ mode: 'first-run', findings: [], secrets: [] });
    // Nobody without a session, and no other site.
    expect((await fetch(`http://127.0.0.1:${gateway.port}/v1/setup`)).status).toBe(401);
    await fillIn(page, device);

    // What the gateway would say at its start, before anything is written.
    const before = (await page.ask<EffectiveConfiguration>('/v1/setup/configuration')).body;
    expect(before.good).toBe(false);
    expect(before.secrets.map(({ name, given }) => [name, given])).toEqual([
      ['mqtt-password', false],
      ['bus-1-password', false],
    ]);
    expect((await page.ask('/v1/setup/write', {})).status).toBe(409);
    expect(existsSync(gateway.config)).toBe(false);

    // A wrong password of the broker is found before, and by whom.
    await page.ask('/v1/setup/secret', { name: 'mqtt-password', secret: 'wrong' });
    const refused = (await page.ask<BrokerTest>('/v1/setup/broker', {})).body;
    expect(refused.wrong.join()).toMatch(/refuse|authori|password/i);
    await page.ask('/v1/setup/secret', { name: 'mqtt-password', secret: brokerPassword });
    const tried = (await page.ask<BrokerTest>('/v1/setup/broker', {})).body;
    expect(tried.wrong).toEqual([]);
    expect(tried.good.join()).toContain('may publish to');
    await page.ask('/v1/setup/secret', { name: 'bus-1-password', secret: meterPassword });

    const effective = (await page.ask<EffectiveConfiguration>('/v1/setup/configuration')).body;
    expect(effective).toMatchObject({ good: true });
    const seen = JSON.stringify([effective, await page.state()]);
    for (const secret of [meterPassword, brokerPassword]) expect(seen).not.toContain(secret);

    const written = (await page.ask<Written>('/v1/setup/write', {})).body;
    expect(written).toEqual({ outcome: 'starts' });
    // The same session goes on at the running gateway.
    await until(async () => (await page.mode()) === 'running', 'the gateway runs').catch((error: unknown) => {
      throw new Error(`${String(error)} ${gateway.out()}`);
    });
    const snapshot = async () => (await page.ask<Snapshot>('/v1/status')).body;
    await until(async () => {
      const { broker: uplink, ports } = await snapshot();
      return uplink.connected && ports[0]?.meters.every(({ intervalsRead }) => intervalsRead > 0) === true;
    }, 'both meters are read, and delivered');
    expect(readFileSync(gateway.config, 'utf8')).toBe(effective.text);
    expect(statSync(gateway.config).mode & 0o777).toBe(0o640);
    const secret = join(own, 'etc/secrets/bus-1-password');
    expect(statSync(secret).mode & 0o777).toBe(0o600);
    for (const text of [effective.text, gateway.out()])
      for (const one of [meterPassword, brokerPassword]) expect(text).not.toContain(one);
    // What was entered is not left behind.
    expect(existsSync(join(own, 'etc/first-run.json'))).toBe(false);
  }, 120_000);

  test('what was entered outlives a page that is loaded anew, and a power cut; secrets do not', async () => {
    const own = join(folder, 'cut');
    const gateway = await setupGateway(own);
    const page = await gateway.enter();
    await entered(page, { site });
    await page.ask('/v1/setup/secret', { name: 'mqtt-password', secret: 'hunter22' });
    expect(await (await gateway.enter()).state()).toMatchObject({ draft: { site }, secrets: ['mqtt-password'] });
    gateway.child.kill('SIGKILL');
    await until(() => gateway.child.signalCode !== null, 'it is killed');
    const again = await (await setupGateway(own)).enter();
    expect(await again.state()).toMatchObject({ mode: 'first-run', draft: { site }, secrets: [] });
  }, 60_000);

  test.skipIf(notAsNobody !== undefined)(
    `a service that may not write its configuration lays it down; root takes it, and the session goes on${ifNobody}`,
    async () => {
      const own = join(folder, 'unit');
      const state = join(own, 'state');
      mkdirSync(state, { recursive: true, mode: 0o755 });
      chmodSync(folder, 0o755);
      chownSync(state, nobody, nobody);
      const start = (port?: number) =>
        setupGateway(own, {
          uid: nobody,
          env: { STATE_DIRECTORY: state, CREDENTIALS_DIRECTORY: join(own, 'passed') },
          ...(port && { port }),
        });
      const gateway = await start();
      const page = await gateway.enter();
      await entered(page, {
        site,
        broker: { ...brokerPart(), url: `mqtts://localhost:${broker.port}` },
        lines: [converter],
      });
      for (const [name, value] of [
        ['mqtt-password', brokerPassword],
        ['lan-password', meterPassword],
      ])
        await page.ask('/v1/setup/secret', { name, secret: value });
      const effective = (await page.ask<EffectiveConfiguration>('/v1/setup/configuration')).body;
      expect(effective.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(effective.text).toContain('"credential:lan-password"');
      const writing = page.ask<Written>('/v1/setup/write', {});
      await until(() => existsSync(join(state, 'hand-over/ready')), 'it is laid down');
      expect(existsSync(gateway.config)).toBe(false);
      // What the unit of root does.
      mkdirSync(join(own, 'etc/secrets'), { mode: 0o700 });
      expect(takeHandOver(state, gateway.config)).toBe(0);
      expect((await writing).body).toEqual({ outcome: 'restarts' });
      await until(() => gateway.ended() === 0, 'it ends to be started again');
      expect(readFileSync(gateway.config, 'utf8')).toBe(effective.text);
      expect(readFileSync(join(own, 'etc/secrets/lan-password'), 'utf8')).toBe(meterPassword);
      expect(statSync(join(own, 'etc/secrets/lan-password')).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(own, 'etc/ca.pem'), 'utf8')).toContain('BEGIN CERTIFICATE');

      // Started again, with the credentials that the unit passes: the same session goes on.
      mkdirSync(join(own, 'passed'));
      for (const name of ['mqtt-password', 'lan-password'])
        writeFileSync(join(own, 'passed', `secrets_${name}`), readFileSync(join(own, 'etc/secrets', name)), {
          mode: 0o644,
        });
      await start(gateway.port);
      await until(async () => (await page.mode()) === 'running', 'the gateway runs');
    },
    60_000,
  );

  test('a backup is restored before the gateway starts; what is none is refused where it is given', async () => {
    const own = join(folder, 'restored');
    const gateway = await setupGateway(own);
    const page = await gateway.enter();
    const sendPart = (octets: Uint8Array, at: number, last: boolean) =>
      page.ask<SetupState & { code?: string }>('/v1/setup/backup', {
        at,
        octets: Buffer.from(octets).toString('base64'),
        last,
      });
    expect((await sendPart(Buffer.from('no backup'), 0, true)).body).toMatchObject({ code: 'backup-unfit' });
    // The state of a gateway that was: one meter, and counters.
    const old = join(own, 'old');
    mkdirSync(old, { recursive: true });
    const oldConfig = join(old, 'gateway.toml');
    writeFileSync(oldConfig, configuration({ gateway: { state_directory: join(old, 'state') } }));
    const before = spawn(node, [gatewayProgram, 'run', '--config', oldConfig], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(before);
    await once(before.stdout, 'data');
    await until(() => listening(join(old, 'state/status.sock')), 'the old gateway runs');
    const file = join(old, 'a.backup');
    expect((await run(gatewayProgram, ['backup', file, '--config', oldConfig])).code).toBe(0);
    before.kill('SIGKILL');
    const octets = readFileSync(file);
    const half = Math.floor(octets.length / 2);
    // A part that was sent twice stands once; one that is missing is noticed.
    await sendPart(octets.subarray(0, half), 0, false);
    await sendPart(octets.subarray(0, half), 0, false);
    expect((await sendPart(octets.subarray(half), half + 7, true)).status).toBe(409);
    await sendPart(octets.subarray(0, half), 0, false);
    expect((await sendPart(octets.subarray(half), half, true)).body.backup).toMatchObject({
      records: expect.any(Number) as number,
    });
    // The configuration is the file that somebody kept.
    await entered(page, { own: configuration({ gateway: { state_directory: join(own, 'state') } }) });
    expect((await page.ask<Written>('/v1/setup/write', {})).body).toEqual({ outcome: 'starts' });
    // Restored before the answer; the gateway opens its state after it.
    expect(existsSync(join(own, 'state/store/CURRENT'))).toBe(true);
    expect(gateway.out()).not.toContain('state directory');
    await until(() => gateway.out().includes('gateway runs'), 'the gateway runs');
  }, 90_000);
});
