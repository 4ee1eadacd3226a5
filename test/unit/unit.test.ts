/** The shipped units under a real systemd, with the product inside: what a sandbox forbids shows only here. */
import { connect as connectTls } from 'node:tls';
import { execFileSync, spawn } from 'node:child_process';
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { realBroker, until } from '../support/broker.ts';
import { configuration, lls, type MqttKeys } from '../support/configuration.ts';
import { folder, node, simulator } from '../support/programs.ts';
import { bootMachine, type Machine, unavailable } from './machine.ts';

const reason = unavailable();
const gateway = '/usr/lib/meter-gateway/node/bin/node /usr/lib/meter-gateway/dist/main/main.js';
/** Before the machine is booted. */
const nullMode = statSync('/dev/null').mode & 0o777;
const configPath = '/etc/meter-gateway/gateway.toml';
const secretPath = '/etc/meter-gateway/secrets/meter';
const password = 's3cr3t-pw';
/** As an operator would write it; a pseudo-terminal stands in for the adapter, and waiting is shortened. */
const dropIn = `[Service]
DeviceAllow=char-pts rw
WatchdogSec=3
RestartSec=500ms
`;
const configText = (url: string, secret = 'credential:meter', more: MqttKeys = {}, listen = '127.0.0.1:0') =>
  configuration({
    page: { listen },
    gateway: { poll_offset_s: 0, back_fill_days: 1 },
    mqtt: { url, ...more },
    port: [
      {
        device: '/dev/ttyMETER',
        meter: [1, 2].map((n) => ({
          serial: `6012000${n}`,
          ...lls,
          physical: 1000 + n,
          secret: n === 2 ? secret : 'credential:meter',
        })),
      },
    ],
  });

describe.skipIf(reason !== undefined)(`the units under a real systemd${reason ? ` NOT RUN: ${reason}` : ''}`, () => {
  let machine: Machine;
  let broker: Awaited<ReturnType<typeof realBroker>>;
  let url = '';
  const closing: (() => unknown)[] = [];
  /** Two simulated meters on one; they stay over all tests. */
  const pseudoTerminal = async (): Promise<string> => {
    const link = join(folder, 'tty');
    const arguments_ = [simulator, 'run', '--meters', '2', '--pty', link, '--password', password];
    const bus = spawn(node, arguments_, { stdio: ['ignore', 'pipe', 'ignore'] });
    closing.push(() => bus.kill('SIGKILL'));
    let output = '';
    bus.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until(() => output.includes('\n'), 'the simulator tells its device');
    return realpathSync(link);
  };
  const ask = async (command: string, user?: string) => (await machine.run(command, user)).out.trim();
  const property = (name: string) => ask(`systemctl show -p ${name} --value meter-gateway`);
  const status = async (): Promise<Snapshot | undefined> => {
    const status = await machine.run(`${gateway} status --json`);
    return status.code === 0 ? (JSON.parse(status.out) as Snapshot) : undefined;
  };
  const journal = () => ask('journalctl -u meter-gateway -o cat --no-pager');
  const started = async () => {
    const restart = await machine.run('systemctl restart meter-gateway');
    expect(restart.code, `${restart.err}${await journal()}`).toBe(0);
  };

  beforeAll(async () => {
    broker = await realBroker();
    url = broker.url.replace('127.0.0.1', 'localhost');
    const device = await pseudoTerminal();
    execFileSync('chgrp', ['dialout', device]);
    execFileSync('chmod', ['660', device]);
    machine = await bootMachine({
      name: `meter-gateway-${process.pid}`,
      files: {
        '/etc/systemd/system/meter-gateway.service.d/test.conf': dropIn,
        [configPath]: configText(url),
        [secretPath]: `${password}\n`,
      },
      binds: { '/dev/ttyMETER': device },
    });
    await machine.run(`chmod 700 /etc/meter-gateway/secrets; chmod 600 ${secretPath}`);
    await started();
  });
  afterAll(async () => {
    await machine?.stop();
    await broker?.remove();
    for (const close of closing) close();
  });

  test('the secret is read, the serial door is open, the broker is found by name: both meters are read', async () => {
    const read = async () => (await status())?.ports[0]?.meters.every(({ intervalsRead }) => intervalsRead > 20);
    await until(async () => (await read()) === true, 'both meters are read').catch(async (error: unknown) => {
      throw new Error(`${String(error)} ${await journal()}`);
    });
    const snapshot = (await status()) as Snapshot;
    expect(snapshot.ports[0]).toMatchObject({ open: true, error: null });
    expect(snapshot.broker.connected).toBe(true);
    expect(snapshot.configuration).toMatchObject({ refused: null });
    expect(await journal()).not.toContain(password);
  });

  test('incident: adjtimex was forbidden, no time was trusted and nobody said why', async () => {
    // The kernel is this machine's: known, or in its own words; nothing of what is forbidden.
    const { trust, trouble } = (await status())?.time ?? {};
    if (trust === 'kernel') expect(trouble).toBeNull();
    else expect(trouble).toContain('the kernel says that nothing keeps its clock right');
    expect(await journal()).not.toContain('EPERM');
    expect(await ask('cat /run/meter-gateway-clock')).toMatch(/^\{"at":\d+,"maxErrorUs":\d+\}$/);
    // Without the other service it is said what is amiss, and what to do.
    const files = '/etc/systemd/system/meter-gateway-clock.*';
    await machine.run(
      `systemctl stop meter-gateway-clock.timer; mv ${files} /root; systemctl daemon-reload; rm /run/meter-gateway-clock`,
    );
    await started();
    expect((await status())?.time.trouble).toMatch(/EPERM.*ENOENT.*systemctl enable --now meter-gateway-clock.timer/);
    expect((await machine.run(`${gateway} status`)).out).toContain('NOT TRUSTED');
    await machine.run('mv /root/meter-gateway-clock.* /etc/systemd/system; systemctl daemon-reload');
    await started();
    await until(async () => (await status())?.time.trouble?.includes('EPERM') !== true, 'it is told again');
  });

  test.skipIf(process.env['UNIT_SETS_KERNEL_FLAG'] !== '1')(
    'the time is known as soon as the kernel says so (scripts/unit; sets the flag of this machine’s kernel, and takes it back)',
    async () => {
      const timex = new Uint8Array(256);
      const view = new DataView(timex.buffer);
      const adjtimex = koffi.load('libc.so.6').func('int adjtimex(_Inout_ uint8_t *)');
      const maxErrorAt = 24;
      const statusAt = 40;
      adjtimex(timex);
      const before = { maxError: view.getBigInt64(maxErrorAt, true), status: view.getInt32(statusAt, true) };
      const set = (maxError: bigint, flags: number) => {
        // ADJ_MAXERROR and ADJ_STATUS.
        view.setUint32(0, 0x14, true);
        view.setBigInt64(maxErrorAt, maxError, true);
        view.setInt32(statusAt, flags, true);
        return adjtimex(timex) as number;
      };
      const unsynchronised = 0x40;
      expect(set(1000n, before.status & ~unsynchronised)).toBeGreaterThanOrEqual(0);
      try {
        await machine.run('systemctl start meter-gateway-clock.service');
        await until(async () => (await status())?.time.trust === 'kernel', 'the time is known');
      } finally {
        set(before.maxError, before.status);
      }
    },
  );

  test('members of the operators’ group may ask, others may not', async () => {
    expect((await machine.run(`${gateway} status`, 'olli')).code).toBe(0);
    const poll = await machine.run(`${gateway} poll m1`, 'olli');
    expect(poll.code, poll.err).toBe(0);
    const other = await machine.run(`${gateway} status`, 'sven');
    expect(other.code).not.toBe(0);
    expect(other.err).toContain('EACCES');
  });

  test('the page is served in the sandbox: on loopback, and on the network with a certificate that the unit may make and write', async () => {
    const link = async (): Promise<{ origin: string; lines: string[] }> => {
      const shown = await machine.run(`${gateway} page`, 'olli');
      expect(shown.code, shown.err).toBe(0);
      const lines = `${shown.out}\n${shown.err}`.split('\n');
      return { origin: new URL(lines[0] ?? '').origin, lines };
    };
    const here = await link();
    expect(here.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${here.origin}/healthz/live`)).status).toBe(200);
    await machine.write(configPath, configText(url, undefined, {}, '0.0.0.0:0'));
    expect((await machine.run('systemctl reload meter-gateway')).code).toBe(0);
    await until(async () => (await link()).origin.startsWith('https:'), 'the page has moved').catch(
      async (error: unknown) => {
        throw new Error(`${String(error)} ${await journal()}`);
      },
    );
    const there = await link();
    const port = Number(new URL(there.origin).port);
    const fingerprint = await new Promise<string>((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect(there.lines.join(' ')).toContain(fingerprint);
    await machine.write(configPath, configText(url));
    expect((await machine.run('systemctl reload meter-gateway')).code).toBe(0);
  });

  test('the sandbox holds: no rights, no core dump, no program but its own, no state for others', async () => {
    const pid = await property('MainPID');
    const process = await ask(`cat /proc/${pid}/status /proc/${pid}/limits`);
    expect(process).toMatch(/CapEff:\s+0{16}\n[\s\S]*CapBnd:\s+0{16}/);
    expect(process).toMatch(/Seccomp:\s+2/);
    expect(process).toMatch(/Max core file size\s+0\s+0/);
    expect(await ask(`cat /proc/${pid}/uid_map`)).toMatch(/^0\s+0\s+1\n\s*\d{5}\s+\d{5}\s+1$/);
    expect((await machine.run(`nsenter -t ${pid} -m /bin/true`)).err).toContain('Permission denied');
    expect((await machine.run('ls /var/lib/meter-gateway/', 'olli')).code).not.toBe(0);
  });

  test('systemctl reload: 0 for a file that is taken, and not 0, with the reason, for one that is not', async () => {
    const before = (await status())?.configuration?.hash;
    await machine.write(configPath, configText(url).replace('poll_offset_s = 0', 'poll_offset_s = 1'));
    expect(await machine.run('systemctl reload meter-gateway')).toMatchObject({ code: 0 });
    const taken = (await status())?.configuration;
    expect(taken?.hash).not.toBe(before);
    const pid = await property('MainPID');
    for (const [file, why] of [
      [
        configText(url.replace('mqtt:', 'mqtts:'), 'credential:meter', { ca_file: '/etc/no.pem' }),
        '/etc/no.pem does not exist',
      ],
      [
        configText(url, 'credential:meter', { username: 'u', password: 'credential:no' }),
        'systemd passed no such credential',
      ],
      ['[gateway', 'a closing bracket is missing'],
    ] as const) {
      await machine.write(configPath, file);
      expect((await machine.run('systemctl reload meter-gateway')).code).not.toBe(0);
      expect(await ask('systemctl status --no-pager --lines=20 meter-gateway')).toContain(why);
      expect((await machine.run(`${gateway} status`)).out).toContain('THE FILE WAS REFUSED');
    }
    expect(await property('MainPID')).toBe(pid);
    expect(await property('ActiveState')).toBe('active');
    expect((await status())?.configuration?.hash).toBe(taken?.hash);
    await machine.write(configPath, configText(url));
    expect((await machine.run('systemctl reload meter-gateway')).code).toBe(0);
    expect((await machine.run(`${gateway} status`)).out).not.toContain('REFUSED');
  });

  test('incident: file: as README and example gave it cannot be read: that meter stops, by name and with the remedy', async () => {
    await machine.write(configPath, configText(url, `file:${secretPath}`));
    expect((await machine.run('systemctl reload meter-gateway')).code).toBe(0);
    const meters = (await status())?.ports[0]?.meters;
    expect(meters?.map(({ verdict }) => verdict)[1]).toBe('CONFIG_FAULT');
    expect(meters?.[1]?.lastError).toMatch(/cannot be read by uid \d+ \(EACCES\)/);
    expect(meters?.[1]?.nextStep).toMatch(/LoadCredential=NAME:\/.* write credential:NAME/);
    expect((await machine.run(`${gateway} poll m1`)).code).toBe(0);
    await machine.write(configPath, configText(url));
    expect((await machine.run('systemctl reload meter-gateway')).code).toBe(0);
  });

  test('a hang: the watchdog kills it and it is started again; so after a kill', async () => {
    for (const signal of ['STOP', 'KILL']) {
      const before = await property('MainPID');
      const restarts = Number(await property('NRestarts'));
      await machine.run(`kill -${signal} ${before}`);
      await until(async () => Number(await property('NRestarts')) > restarts, `restarted after ${signal}`);
      await until(async () => (await status())?.broker.connected === true, 'running again');
      expect(await property('MainPID')).not.toBe(before);
    }
    expect(await ask('journalctl -u meter-gateway -o cat --no-pager')).toContain('Watchdog timeout');
  });

  test('incident: a wrong configuration was tried again for ever: it stays, and says why', async () => {
    await machine.write(
      configPath,
      configText(url.replace('mqtt:', 'mqtts:'), 'credential:meter', { ca_file: '/etc/no.pem' }),
    );
    // It stays, and polls nobody: `systemctl status` and the page say why.
    expect((await machine.run('systemctl restart meter-gateway')).code).toBe(0);
    const restarts = await property('NRestarts');
    // Three times as long as it waits before it starts again.
    await machine.run('sleep 1.5');
    expect([await property('ActiveState'), await property('NRestarts')]).toEqual(['active', restarts]);
    const shown = await ask('systemctl status --no-pager meter-gateway');
    expect(shown).toContain('/etc/no.pem does not exist');
    expect((await machine.run(`${gateway} status`)).err).toContain('/etc/no.pem does not exist');
    await machine.write(configPath, configText(url));
    await started();
  });

  test('the operators’ group need not exist', async () => {
    expect((await machine.run('groupdel meter-operators')).code).toBe(0);
    await started();
    expect((await status())?.gateway).toBe('g');
    expect((await machine.run(`${gateway} status`, 'sven')).err).toContain('EACCES');
  });

  test('stop: within its time, with 0, and the end is no unclean one', async () => {
    // While a meter is being read, and a moment after the start.
    for (const wait of ['0.05', '0.5']) {
      await started();
      await machine.run(`sleep ${wait}`);
      expect((await machine.run('systemctl stop meter-gateway')).code).toBe(0);
      expect([await property('ActiveState'), await property('Result')], await journal()).toEqual([
        'inactive',
        'success',
      ]);
    }
    await started();
    await until(async () => (await status())?.broker.connected === true, 'running');
    expect((await machine.run('systemctl stop meter-gateway')).code).toBe(0);
    expect([await property('ActiveState'), await property('Result')]).toEqual(['inactive', 'success']);
    expect((await machine.run('ls /var/lib/private/meter-gateway/unclean')).code).not.toBe(0);
  });

  test('incident: the console of the tree was the /dev/null of this machine, and systemd took it from everybody but root', () => {
    expect(statSync('/dev/null').mode & 0o777).toBe(nullMode);
  });
});
