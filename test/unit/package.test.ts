/**
 * The package in a fresh Debian with a systemd of its own and no network: from the installation to the purge. With
 * PACKAGE_CUTS=all (scripts/package-test) dpkg is cut before every command of every maintainer script, not before a few.
 */
import { execFileSync, type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { until } from '../support/broker.ts';
import type { HeadEndReport } from '../support/head-end.ts';
import { configuration, lls } from '../support/configuration.ts';
import { folder, root } from '../support/programs.ts';
import { bootMachine, cache, type Machine, unavailable } from './machine.ts';

const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
/** What was shipped before: made by scripts/unit --prepare. */
const previousCommit = '4f52579';
const previous = join(cache, `previous-${previousCommit}-${architecture}.deb`);
const reason =
  process.env['PACKAGE_CUTS'] === undefined
    ? 'it takes minutes: scripts/package-test runs it'
    : (unavailable() ??
      (existsSync(previous)
        ? undefined
        : `there is no package of commit ${previousCommit} in ${previous}: scripts/unit makes it`));
const allCuts = process.env['PACKAGE_CUTS'] === 'all';
const configPath = '/etc/meter-gateway/gateway.toml';
const password = 's3cr3t-pw';
const config = configuration({
  gateway: { poll_offset_s: 0, back_fill_days: 1 },
  mqtt: { url: 'mqtt://127.0.0.1:1883' },
  port: [
    {
      device: '/run/ttyMETER',
      meter: [{ id: 'm1', serial: '60120001', ...lls, physical: 1001, secret: 'credential:meter' }],
    },
  ],
});
/** A pseudo-terminal stands in for the adapter, and waiting is shortened. */
const dropIn = '[Service]\nDeviceAllow=char-pts rw\nWatchdogSec=3\nRestartSec=500ms\n';

/** What a technician brings: the first meter stands in the configuration already. */
const workList = 'point,serial,place\np60120001,60120001,left\np2,60120002,right\n';
const scripts = ['preinst', 'postinst', 'prerm', 'postrm'];

/**
 * A package as a lower version (both call themselves as the repository did then), whose example of the configuration, and whose
 * format of the state, may be others.
 */
function repacked(file: string, name: string, edit: (tree: string) => void): string {
  const tree = join(folder, `tree-${name}`);
  execFileSync('dpkg-deb', ['-R', file, tree]);
  edit(tree);
  const out = join(folder, `${name}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, out], { stdio: 'ignore' });
  rmSync(tree, { recursive: true });
  return out;
}
const changed = (path: string, edit: (text: string) => string) => writeFileSync(path, edit(readFileSync(path, 'utf8')));
/** Its maintainer scripts can be cut (cutsh). */
function cuttable(tree: string): void {
  for (const script of scripts)
    changed(join(tree, 'DEBIAN', script), (text) => text.replace('#!/bin/sh', '#!/root/cutsh'));
}
const lowered = (file: string, version: string, format?: number): string =>
  repacked(file, version, (tree) => {
    cuttable(tree);
    changed(join(tree, 'DEBIAN/control'), (text) => text.replace(/^Version: .*$/m, `Version: ${version}`));
    const home = join(tree, 'usr/lib/meter-gateway');
    changed(join(home, 'package.json'), (text) => text.replace(/"version": "[^"]*"/, `"version": "${version}"`));
    changed(join(tree, 'etc/meter-gateway/gateway.toml'), (text) => `${text}# of ${version}\n`);
    if (format === undefined) return;
    changed(join(tree, 'DEBIAN/preinst'), (text) => text.replaceAll(/-gt \d+/g, `-gt ${format}`));
    writeFileSync(join(home, 'store-format'), `${format}\n`);
  });

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
  const readAll = async () => {
    const read = async () => (await status())?.ports[0]?.meters.every(({ intervalsRead }) => intervalsRead > 20);
    await until(async () => (await read()) === true, 'the meters are read').catch(async (error: unknown) => {
      throw new Error(`${String(error)} ${await journal()}`);
    });
  };
  const running = async (which: string) => {
    await until(async () => (await status())?.version === which, `version ${which} runs`).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)} ${await journal()}`);
      },
    );
    return (await status()) as Snapshot;
  };

  /** Starts the installation, and cuts it before a command of a script: false where the script has no so many. */
  const cutAt = async (script: string, at: number, act: string): Promise<boolean> => {
    await good(`echo ${script}:${at} > /run/cut`);
    await machine.run(act);
    return (await machine.run('rm /run/cut')).code !== 0;
  };
  const upgrade = 'dpkg -i --force-confold /root/new.deb';
  /** What whoever finds the machine does: what dpkg says, then the package again where that was not enough. */
  const mended = async () => {
    await machine.run('dpkg --configure -a --force-confold');
    if ((await installed()) !== `${version} ii`) await good(upgrade);
    expect(await installed()).toBe(`${version} ii`);
    expect(await property('ActiveState', 'meter-gateway-clock.timer')).toBe('active');
    expect(await ask('ls /run/meter-gateway-upgrade')).toBe('');
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
        '/root/new.deb': repacked(file, 'new', cuttable),
        '/root/old.deb': lowered(previous, '0.1.9'),
        '/root/older-format.deb': lowered(file, '0.1.8', 1),
        '/root/cutsh': join(root, 'test/unit/cutsh'),
      },
      bare: true,
    });
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await machine?.stop();
  });

  test('the package of before, secret set, configuration, start: a meter is read, and waits for a broker that is away', async () => {
    expect(await ask('cat /proc/net/dev | tail -n +3')).toMatch(/^lo:.*$/);
    await good(apt('old.deb'));
    expect(await installed()).toBe('0.1.9 ii');
    await good(`printf %s ${password} | meter-gateway secret set meter`);
    await machine.write(configPath, config);
    await machine.write('/root/list.csv', workList);
    await good(
      `systemd-run -q --unit simulator meter-simulator run --meters 2 --pty /run/ttyMETER --password ${password}`,
    );
    await until(async () => (await machine.run('test -e /run/ttyMETER')).code === 0, 'the bus is there');
    await good('chgrp dialout $(readlink /run/ttyMETER); chmod 660 $(readlink /run/ttyMETER)');
    await good('systemctl enable --now meter-gateway');
    await running('0.1.9');
    await readAll();
  });

  test('an upgrade that is cut is finished by the next one: state, secret, edited configuration and the waiting messages are kept', async () => {
    await machine.write(configPath, `${config}\n# edited\n`);
    const { pending: waiting, epoch } = (await running('0.1.9')).store;
    expect(waiting).toBeGreaterThan(0);
    // In the scripts of both packages, and while files are unpacked between them.
    const unpacking = '[ -e /usr/lib/meter-gateway/node/bin/node.dpkg-new ]';
    const whileUnpacking = `( ${upgrade} & until ${unpacking}; do kill -0 $! || exit 3; done; kill -9 $!; wait ) >/dev/null 2>&1`;
    const requireUnchanged = async () => {
      const { store } = await running(version);
      expect(store.epoch).toBe(epoch);
      expect(store.pending).toBeGreaterThanOrEqual(waiting);
      expect(await ask(`tail -1 ${configPath}`)).toBe('# edited');
      expect(await ask('meter-gateway secret list')).toBe('meter');
      expect(await ask('cat /var/lib/private/meter-gateway/unclean 2>/dev/null || echo none')).toMatch(/^(none|1)$/);
    };
    expect(await cutAt('prerm', 5, upgrade)).toBe(true);
    await machine.run(whileUnpacking);
    expect(await installed()).not.toMatch(/ ii$/);
    expect(await cutAt('postinst', 9, upgrade)).toBe(true);
    expect(await installed()).not.toMatch(/ ii$/);
    await mended();
    await requireUnchanged();
    if (!allCuts) return;
    for (const script of scripts)
      for (let at = 0; ; at++) {
        await good(apt('old.deb'));
        await running('0.1.9');
        if (!(await cutAt(script, at, upgrade))) break;
        // Every other time the machine starts anew before somebody comes: what lay in /run is gone, and what is enabled starts.
        if (at % 2 === 1)
          await machine.run(
            'rm -rf /run/meter-gateway-upgrade; systemctl start meter-gateway meter-gateway-clock.timer',
          );
        process.stderr.write(`cut before command ${at} of ${script}: ${await installed()}\n`);
        await mended();
        await requireUnchanged();
      }
    await good(upgrade);
  });

  test('groups, permissions, units, names of lines, manual page, completion', async () => {
    expect(await ask('getent group meter-operators meter-technicians | wc -l')).toBe('2');
    expect(await ask('stat -c %a%U /etc/meter-gateway/secrets /etc/meter-gateway/secrets/meter')).toBe(
      '700root\n600root',
    );
    expect(await ask('systemd-analyze verify meter-gateway.service meter-gateway-check.service 2>&1')).not.toContain(
      '/usr/lib/meter-gateway',
    );
    expect(await ask('meter-gateway --version; meter-simulator --help | head -1')).toBe(
      `${version}\nUsage: meter-simulator [options] [command]`,
    );
    const complete =
      '. /usr/share/bash-completion/completions/meter-gateway; COMP_WORDS=(meter-gateway config check --l); COMP_CWORD=3; _meter_gateway; echo "${COMPREPLY[@]}"';
    expect(await ask(`bash -c '${complete}'`)).toBe('--live');
    expect(await ask('zcat /usr/share/man/man1/meter-gateway.1.gz')).toContain('meter\\-gateway secret set');
    // Each file that dpkg knows is as it was packed.
    expect(await good('dpkg --verify meter-gateway')).toMatch(/^(\?\?5\?{6} c \/etc\/meter-gateway\/gateway.toml\n)?$/);
  });

  test('each unit that is shipped exposes at most 1.3', async () => {
    const units = (await ask('cd /usr/lib/systemd/system && ls meter-gateway*.service')).split('\n');
    expect(units.length).toBeGreaterThan(2);
    for (const unit of units) {
      // 13 is 1.3; without the drop-in of this test, which gives it pseudo-terminals.
      const rated = await good(
        `systemd-analyze security --offline=yes --threshold=13 /usr/lib/systemd/system/${unit} | tail -1`,
      );
      expect(Number(/exposure level for .*: ([\d.]+)/.exec(rated)?.[1]), rated).toBeLessThanOrEqual(1.3);
    }
  });

  test('scan, commission: the other meter of the line is found, put into service and read', async () => {
    const scan = await machine.run('meter-gateway scan bus --list /root/list.csv --json | tee /root/scan.jsonl');
    expect(scan.out).toContain('60120002');
    await good(
      `meter-gateway commission --config ${configPath} --port bus --like m1 --scan /root/scan.jsonl --unattended --exchanges 2 --who test`,
    );
    await until(async () => (await status())?.ports[0]?.meters.length === 2, 'the gateway has the new meter');
    await readAll();
    expect(await journal()).not.toContain(password);
    // What it finds stands in its journal: here, that the broker is away.
    expect((await machine.run('systemctl start meter-gateway-check')).code).not.toBe(0);
    const found = await ask('journalctl -u meter-gateway-check -o cat --no-pager');
    expect(found).toMatch(new RegExp(`gateway g runs, version ${version}[\\s\\S]*ECONNREFUSED`));
    expect(found).not.toMatch(/secret-missing/);
  });

  test('watchdog and reload', async () => {
    const [before, restarts] = [await property('MainPID'), Number(await property('NRestarts'))];
    // Number 0 would be the group of whoever asks: this test, and all others with it.
    expect(Number(before)).toBeGreaterThan(1);
    await machine.run(`kill -STOP ${before}`);
    await until(async () => Number(await property('NRestarts')) > restarts, 'restarted by the watchdog');
    await running(version);
    await good(`echo '# edited' >> ${configPath} && systemctl reload meter-gateway`);
  });

  test('with technician_group the operators look and the technicians act', async () => {
    await good('useradd -G meter-operators ollo; useradd -G meter-operators,meter-technicians tilda');
    const as = (user: string, command: string) => machine.run(`runuser -u ${user} -- meter-gateway ${command}`);
    expect((await as('ollo', 'reload')).code).toBe(0);
    await good(
      `cp ${configPath} /root/config; sed -i 's/^\\[gateway\\]$/&\\ntechnician_group = "meter-technicians"/' ${configPath} && systemctl reload meter-gateway`,
    );
    expect(await ask('stat -c "%G %a" /run/meter-gateway/desk/desk.sock')).toBe('meter-technicians 660');
    expect((await as('ollo', 'status')).code).toBe(0);
    expect((await as('ollo', 'reload')).err).toMatch(/not-permitted[\s\S]*technician_group/);
    expect((await as('tilda', 'reload')).code).toBe(0);
    await good(`cp /root/config ${configPath} && systemctl reload meter-gateway`);
  });

  test('the waiting messages of before are delivered, each once, when the broker comes', async () => {
    const into = (program: string, ...words: string[]) => {
      const child = spawn('nsenter', ['-t', `${machine.pid}`, '-n', '--', program, ...words], {
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      });
      children.push(child);
      return child;
    };
    const { pending, epoch } = (await running(version)).store;
    into('mosquitto', '-p', '1883');
    const headEnd = into(
      process.execPath,
      join(root, 'test/support/head-end.ts'),
      'mqtt://127.0.0.1:1883',
      't',
      'g',
      '16',
    );
    await until(async () => (await status())?.store.pending === 0, 'everything is acknowledged');
    const report = await new Promise<HeadEndReport>((resolve) => {
      headEnd.on('message', (message) => typeof message === 'object' && resolve(message as HeadEndReport));
      headEnd.send('report');
    });
    expect(report.upTo).toBeGreaterThanOrEqual(pending);
    expect(report.again).toBe(0);
    expect((await running(version)).store.epoch).toBe(epoch);
  });

  test('incident: an upgrade that was to end a crash loop, or a refused start, left the gateway stopped', async () => {
    const crash = '/etc/systemd/system/meter-gateway.service.d/crash.conf';
    for (const [line, state] of [
      // Ends at once, again and again; and ends as a configuration that is refused does.
      ['ExecStart=\nExecStart=/bin/sh -c "exit 1"', 'activating'],
      ['ExecStart=\nExecStart=/bin/sh -c "exit 2"', 'failed'],
    ]) {
      await machine.write(crash, `[Service]\nNoExecPaths=\nExecPaths=\n${line}\n`);
      await machine.run('systemctl daemon-reload; systemctl restart meter-gateway');
      await until(async () => (await property('ActiveState')) === state, `it is ${state}`);
      expect(await ask('systemctl status --no-pager meter-gateway')).toMatch(/status=[12]/);
      // What the new version mends.
      await good(`rm ${crash}; systemctl daemon-reload; ${upgrade}`);
      await running(version);
    }
    // Who stopped it finds it stopped.
    await good(`systemctl stop meter-gateway; ${upgrade}`);
    expect(await property('ActiveState')).toBe('inactive');
    await good('systemctl start meter-gateway');
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
    expect(await ask('systemctl list-units --no-legend --state=active,activating "meter-gateway*"')).toBe('');
    await good(
      `test -e /etc/meter-gateway/secrets/meter && test -e ${configPath} && test -e /var/lib/private/meter-gateway`,
    );
    await good(apt('new.deb'));
    await running(version);
    // Cut while it is removed: whoever says it once more comes to the end.
    if (allCuts)
      for (const script of ['prerm', 'postrm'])
        for (let at = 0; await cutAt(script, at, 'dpkg --purge meter-gateway'); at++) {
          process.stderr.write(`purge cut before command ${at} of ${script}: ${await installed()}\n`);
          await good('dpkg --configure -a; dpkg --purge meter-gateway');
          expect(await installed()).not.toContain('ii');
          await good(apt('new.deb'));
        }
    await good('apt-get purge -y meter-gateway');
    expect(await ask("find / -xdev -name '*meter-gateway*' -not -path '/proc/*' -not -path '/tmp/*'")).toBe(
      '/etc/systemd/system/meter-gateway.service.d',
    );
    expect(await ask('systemctl list-units --all --no-legend "meter-gateway*"')).toBe('');
  });

  test('a fresh installation runs without a configuration: its page is the first run, and a link of meter-gateway page opens it', async () => {
    expect(await good(apt('new.deb'))).toContain('meter-gateway page');
    const units = 'meter-gateway.service meter-gateway-clock.timer meter-gateway-take.path';
    expect(await ask(`systemctl is-active ${units}; systemctl is-enabled ${units}`)).toBe(
      'active\nactive\nactive\nenabled\nenabled\nenabled',
    );
    expect(await ask(`grep -cv '^#\\|^$' ${configPath}`)).toBe('0');
    const { url } = JSON.parse(await good('meter-gateway page --json')) as { url: string };
    await machine.write(
      '/root/page.mjs',
      `const [site, ticket] = ${JSON.stringify(url)}.split('#ticket=');
      const origin = site.replace(/\\/$/, '');
      const login = await fetch(site + 'login', { method: 'POST', headers: { 'content-type': 'application/json', origin }, body: JSON.stringify({ ticket }) });
      const cookie = login.headers.get('set-cookie').split(';')[0];
      console.log(login.status, (await fetch(site)).status, (await (await fetch(site + 'v1/me', { headers: { cookie } })).json()).mode);`,
    );
    expect(await good('/usr/lib/meter-gateway/node/bin/node /root/page.mjs')).toBe('204 200 first-run\n');
    await good('apt-get purge -y meter-gateway');
    expect(await ask('systemctl list-units --all --no-legend "meter-gateway*"')).toBe('');
  });
});
