/** The package in a fresh Debian with a systemd of its own and no network: from the installation to the purge. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { until } from '../support/broker.ts';
import { configuration, lls } from '../support/configuration.ts';
import { folder, root } from '../support/programs.ts';
import { bootMachine, type Machine, unavailable } from './machine.ts';

const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
const reason = unavailable() ?? (['amd64', 'arm64'].includes(architecture) ? undefined : `there is no package for it`);
const configPath = '/etc/meter-gateway/gateway.toml';
const password = 's3cr3t-pw';
const config = configuration({
  gateway: { poll_offset_s: 0, back_fill_days: 1 },
  mqtt: { url: 'mqtt://127.0.0.1:1883' },
  port: [
    {
      device: '/run/ttyMETER',
      meter: [1, 2].map((n) => ({
        serial: `6012000${n}`,
        ...lls,
        physical: 1000 + n,
        secret: 'credential:meter',
      })),
    },
  ],
});
/** A pseudo-terminal stands in for the adapter, and waiting is shortened. */
const dropIn = '[Service]\nDeviceAllow=char-pts rw\nWatchdogSec=3\nRestartSec=500ms\n';

/** The package as a lower version, whose example of the configuration, and whose format of the state, may be others. */
function lowered(file: string, version: string, format?: number): string {
  const tree = join(folder, `tree-${version}`);
  execFileSync('dpkg-deb', ['-R', file, tree]);
  const change = (path: string, edit: (text: string) => string) =>
    writeFileSync(join(tree, path), edit(readFileSync(join(tree, path), 'utf8')));
  change('DEBIAN/control', (text) => text.replace(/^Version: .*$/m, `Version: ${version}`));
  change('usr/lib/meter-gateway/package.json', (text) => text.replace(/"version": "[^"]*"/, `"version": "${version}"`));
  change('etc/meter-gateway/gateway.toml', (text) => `${text}# of ${version}\n`);
  if (format !== undefined) {
    change('DEBIAN/preinst', (text) => text.replaceAll(/-gt \d+/g, `-gt ${format}`));
    change('usr/lib/meter-gateway/store-format', () => `${format}\n`);
  }
  const out = join(folder, `meter-gateway_${version}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, out], { stdio: 'ignore' });
  rmSync(tree, { recursive: true });
  return out;
}

describe.skipIf(reason !== undefined)(`the package under a real systemd${reason ? ` NOT RUN: ${reason}` : ''}`, () => {
  let machine: Machine;
  let version = '';
  const children: ChildProcess[] = [];
  const ask = async (command: string, user?: string) => (await machine.run(command, user)).out.trim();
  const property = (name: string, unit = 'meter-gateway') => ask(`systemctl show -p ${name} --value ${unit}`);
  const journal = () => ask('journalctl -u meter-gateway -o cat --no-pager | tail -40');
  const status = async (): Promise<Snapshot | undefined> => {
    const { code, out } = await machine.run('meter-gateway status --json');
    return code === 0 ? (JSON.parse(out) as Snapshot) : undefined;
  };
  const good = async (command: string) => {
    const { code, out, err } = await machine.run(command);
    expect(code, `${command}\n${out}\n${err}`).toBe(0);
    return out + err;
  };
  const apt = (file: string) =>
    `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confold /root/${file}`;
  const installed = () => ask("dpkg-query -W -f '${Version} ${db:Status-Abbrev}' meter-gateway");
  const running = async (which: string) => {
    await until(async () => (await status())?.version === which, `version ${which} runs`).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)} ${await journal()}`);
      },
    );
    return (await status()) as Snapshot;
  };

  beforeAll(async () => {
    const packages = join(folder, 'packages');
    mkdirSync(packages);
    execFileSync(join(root, 'scripts/package'), ['--compression', 'none', '--out', packages, architecture]);
    const file = join(packages, readdirSync(packages)[0] as string);
    version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
    machine = await bootMachine({
      name: `meter-gateway-package-${process.pid}`,
      files: { '/etc/systemd/system/meter-gateway.service.d/test.conf': dropIn },
      binds: {
        '/root/new.deb': file,
        '/root/old.deb': lowered(file, '0.1.9'),
        '/root/older-format.deb': lowered(file, '0.1.8', 1),
      },
      bare: true,
    });
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await machine?.stop();
  });

  test('it is installed without a network; groups, clock and example are there, and nothing runs that nobody configured', async () => {
    expect(await ask('cat /proc/net/dev | tail -n +3')).toMatch(/^lo:.*$/);
    expect(await good(apt('old.deb'))).toContain('meter-gateway secret set NAME');
    expect(await ask('getent group meter-operators meter-technicians | wc -l')).toBe('2');
    expect(await property('ActiveState', 'meter-gateway-clock.timer')).toBe('active');
    expect([await property('ActiveState'), await property('UnitFileState')]).toEqual(['inactive', 'disabled']);
    expect(await ask('stat -c %a%U /etc/meter-gateway/secrets')).toBe('700root');
    expect(await ask(`grep -cv '^#\\|^$' ${configPath}`)).toBe('0');
    expect(await ask('systemd-analyze verify meter-gateway.service meter-gateway-check.service 2>&1')).not.toContain(
      '/usr/lib/meter-gateway',
    );
    expect(await ask('meter-gateway --version; meter-simulator --help | head -1')).toMatch(
      /^0\.1\.9\nUsage: meter-simulator/,
    );
    const complete =
      '. /usr/share/bash-completion/completions/meter-gateway; COMP_WORDS=(meter-gateway config check --l); COMP_CWORD=3; _meter_gateway; echo "${COMPREPLY[@]}"';
    expect(await ask(`bash -c '${complete}'`)).toBe('--live');
    expect(await ask('zcat /usr/share/man/man1/meter-gateway.1.gz')).toContain('meter\\-gateway secret set');
  });

  test('secret set, configuration, start: meters of the packaged simulator are read, and wait for a broker that is away', async () => {
    await good(`printf %s ${password} | meter-gateway secret set meter`);
    expect(await ask('meter-gateway secret list')).toBe('meter');
    expect(await ask('stat -c %a%U /etc/meter-gateway/secrets/meter')).toBe('600root');
    await machine.write(configPath, config);
    await good(
      `systemd-run -q --unit simulator meter-simulator run --meters 2 --pty /run/ttyMETER --password ${password}`,
    );
    await until(async () => (await machine.run('test -e /run/ttyMETER')).code === 0, 'the bus is there');
    await good('chgrp dialout $(readlink /run/ttyMETER); chmod 660 $(readlink /run/ttyMETER)');
    await good('systemctl enable --now meter-gateway');
    await running('0.1.9');
    const read = async () => (await status())?.ports[0]?.meters.every(({ intervalsRead }) => intervalsRead > 20);
    await until(async () => (await read()) === true, 'both meters are read').catch(async (error: unknown) => {
      throw new Error(`${String(error)} ${await journal()}`);
    });
    expect(await journal()).not.toContain(password);
    // What it finds stands in its journal: here, that the broker is away.
    expect((await machine.run('systemctl start meter-gateway-check')).code).not.toBe(0);
    const found = await ask('journalctl -u meter-gateway-check -o cat --no-pager');
    expect(found).toMatch(/gateway g runs, version 0\.1\.9[\s\S]*ECONNREFUSED/);
    expect(found).not.toMatch(/secret-missing/);
  });

  test('watchdog and reload', async () => {
    const [before, restarts] = [await property('MainPID'), Number(await property('NRestarts'))];
    await machine.run(`kill -STOP ${before}`);
    await until(async () => Number(await property('NRestarts')) > restarts, 'restarted by the watchdog');
    await running('0.1.9');
    await machine.write(configPath, `${config}\n# edited\n`);
    await good('systemctl reload meter-gateway');
  });

  test('with technician_group the operators look and the technicians act', async () => {
    await good('useradd -G meter-operators ollo; useradd -G meter-operators,meter-technicians tilda');
    const as = (user: string, command: string) => machine.run(`runuser -u ${user} -- meter-gateway ${command}`);
    expect((await as('ollo', 'reload')).code).toBe(0);
    await machine.write(configPath, config.replace('[gateway]', '[gateway]\ntechnician_group = "meter-technicians"'));
    await good('systemctl reload meter-gateway');
    expect(await ask('stat -c "%G %a" /run/meter-gateway/desk/desk.sock')).toBe('meter-technicians 660');
    expect((await as('ollo', 'status')).code).toBe(0);
    expect((await as('ollo', 'reload')).err).toMatch(/not-permitted[\s\S]*technician_group/);
    expect((await as('tilda', 'reload')).code).toBe(0);
    await machine.write(configPath, `${config}\n# edited\n`);
    await good('systemctl reload meter-gateway');
  });

  test('an upgrade that is cut is finished by the next one: state, secret, edited configuration and the waiting messages are kept', async () => {
    const waiting = (await status())?.store.pending ?? 0;
    expect(waiting).toBeGreaterThan(0);
    const epoch = (await status())?.store.epoch;
    // While files are unpacked, and while postinst runs.
    for (const when of ['[ -e /usr/lib/meter-gateway/node/bin/node.dpkg-new ]', 'pgrep -f [m]eter-gateway.postinst']) {
      const cut = `dpkg -i --force-confold /root/new.deb & until ${when}; do kill -0 $! || exit 3; done; kill -9 $!`;
      await good(`( ${cut}; pkill -9 -f [m]eter-gateway.postinst; wait; true ) >/dev/null 2>&1`);
      expect(await installed()).not.toMatch(/ ii$/);
    }
    await good('dpkg -i --force-confold /root/new.deb');
    expect(await installed()).toBe(`${version} ii`);
    const after = await running(version);
    expect(after.store.epoch).toBe(epoch);
    expect(after.store.pending).toBeGreaterThanOrEqual(waiting);
    expect(await ask(`tail -1 ${configPath}`)).toBe('# edited');
    expect(await ask('meter-gateway secret list')).toBe('meter');
    expect(await ask('ls -d /run/meter-gateway-upgrade/* /var/lib/private/meter-gateway/unclean.* 2>/dev/null')).toBe(
      '',
    );
  });

  test('the waiting messages are sent when the broker comes', async () => {
    const into = (program: string, ...words: string[]) => {
      const child = spawn('nsenter', ['-t', `${machine.pid}`, '-n', '--', program, ...words], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      children.push(child);
      return child;
    };
    into('mosquitto', '-p', '1883');
    let seen = '';
    await until(async () => (await status())?.broker.connected === true, 'the broker is found');
    const client = `const c=require('${root}/node_modules/mqtt').connect('mqtt://127.0.0.1:1883');c.subscribe('#',{qos:1});c.on('message',(t)=>console.log(t))`;
    into(process.execPath, '-e', client).stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await until(() => /\/up\//.test(seen), 'messages of the meters come').catch((error: unknown) => {
      throw new Error(`${String(error)}: ${seen}`);
    });
  });

  test('a full disk: the upgrade fails, and what was there runs on', async () => {
    await good(apt('old.deb'));
    await running('0.1.9');
    await good(
      'systemctl stop meter-gateway && mkdir /root/small && mount -t tmpfs -o size=210m,mode=755 small /root/small && cp -a /usr/lib/meter-gateway/. /root/small && mount --bind /root/small /usr/lib/meter-gateway && systemctl start meter-gateway',
    );
    await running('0.1.9');
    const failed = await machine.run(apt('new.deb'));
    expect(failed.code).not.toBe(0);
    expect(failed.out + failed.err).toContain('No space left on device');
    expect(await installed()).toMatch(/^0\.1\.9 /);
    await running('0.1.9');
    await good(
      'systemctl stop meter-gateway && umount /usr/lib/meter-gateway /root/small && systemctl start meter-gateway',
    );
    await good(apt('new.deb'));
    await running(version);
  });

  test('a downgrade: safe where the state is understood, refused by name where it is not', async () => {
    const refused = await machine.run(apt('older-format.deb'));
    expect(refused.code).not.toBe(0);
    expect(refused.out + refused.err).toMatch(/store-too-new: the installed version/);
    expect(await installed()).toBe(`${version} ii`);
    await running(version);
    const { epoch } = ((await status()) as Snapshot).store;
    await good(apt('old.deb'));
    expect((await running('0.1.9')).store.epoch).toBe(epoch);
    await good(apt('new.deb'));
    await running(version);
  });

  test('removal keeps what a purge removes', async () => {
    await good('apt-get remove -y meter-gateway');
    expect(await property('ActiveState')).toBe('inactive');
    await good(
      `test -e /etc/meter-gateway/secrets/meter && test -e ${configPath} && test -e /var/lib/private/meter-gateway`,
    );
    await good(apt('new.deb'));
    await good('systemctl start meter-gateway');
    await running(version);
    await good('apt-get purge -y meter-gateway');
    expect(await ask("find / -xdev -name '*meter-gateway*' -not -path '/proc/*' -not -path '/tmp/*'")).toBe(
      '/etc/systemd/system/meter-gateway.service.d',
    );
    expect(await ask('systemctl list-units --all --no-legend "meter-gateway*"')).toBe('');
  });
});
