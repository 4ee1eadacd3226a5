/** The built programs, as processes, on a real pty, a real TCP port, a real LevelDB and a real mosquitto. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { connectAsync } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { newIngest } from '../support/memory-central.ts';
import { subscribe } from '../support/memory-subscriber.ts';
import { askStatus } from '../../src/desk/client.ts';
import { openPort } from '../../src/line/open-port.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { openPty } from '../../src/simulator/pty.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { realBroker, until } from '../support/broker.ts';
import { configuration, lls, meterOf, type MqttKeys } from '../support/configuration.ts';
import { children, folder, gateway, node, type Result, root, run, simulate } from '../support/programs.ts';
import { formulaIndex } from '../support/recorded.ts';

const rowsOf = (out: string) =>
  out
    .trim()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line) as {
          start: string | null;
          end: string;
          clock: string;
          status: number;
          values: Record<string, { raw: string; scaler: number; unit: string }>;
        },
    );
const day = ['--profile', '1-0:99.1.0*255', '--from', '2026-11-01T00:00Z', '--to', '2026-11-02T00:00Z', '--json'];

describe('meter-gateway read, against meter-simulator', () => {
  const secret = { env: { METER_SECRET: 'meter' } };
  const history = join(folder, 'history.toml');
  writeFileSync(history, '[meters]\nhistory_days = 390\ndepth_days = 400\n');
  const ways: [string, string[], string[], object][] = [
    ['pty, lls, one-octet address', ['--pty', join(folder, 'tty1')], ['--client', '17', '--auth', 'lls'], secret],
    ['pty, none', ['--pty', join(folder, 'tty2')], [], {}],
    [
      'pty, two meters, four-octet address',
      ['--meters', '2', '--pty', join(folder, 'tty3')],
      ['--server', '1/1002'],
      {},
    ],
    ['pty, mode E', ['--mode-e', '--pty', join(folder, 'tty4')], ['--mode-e'], {}],
    ['TCP, HDLC, lls', ['--tcp', '0'], ['--client', '17', '--auth', 'lls'], secret],
    [
      'TCP, wrapper, lls',
      ['--tcp', '0', '--link', 'wrapper'],
      ['--link', 'wrapper', '--client', '17', '--auth', 'lls'],
      secret,
    ],
    ['TCP, wrapper, none', ['--tcp', '0', '--link', 'wrapper'], ['--link', 'wrapper'], {}],
  ];
  test.each(ways)('%s: by range and by entry, the same rows', async (name, simulatorArgs, args, options) => {
    const { device } = await simulate(['--scenario', history, ...simulatorArgs]);
    const range = await run(gateway, ['read', device, ...args, ...day], options);
    expect(range.err).toBe('');
    expect(range.code).toBe(0);
    const rows = rowsOf(range.out);
    expect(rows.map(({ end }) => end)).toEqual(
      Array.from({ length: 25 }, (_, i) => new Date(Date.UTC(2026, 10, 1, i)).toISOString().replace('.000Z', 'Z')),
    );
    expect(rows[1]).toMatchObject({ start: '2026-11-01T00:00:00Z', clock: '07ea0b010701000000000000', status: 0 });
    expect(Object.keys(rows[0]?.values ?? {})).toEqual(['1-0:1.8.0*255', '1-0:2.8.0*255']);
    expect(rows[0]?.values['1-0:1.8.0*255']).toMatchObject({ scaler: 0, unit: 'Wh' });
    if (name.includes('mode E')) return;
    const entries = await run(
      gateway,
      ['read', device, ...args, '--profile', '1-0:99.1.0*255', '--entries', '3-5', '--json'],
      options,
    );
    expect(rowsOf(entries.out)).toHaveLength(3);
  });

  test('identity, objects, trace that decode reads', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const trace = join(folder, 'read.tap');
    const result = await run(gateway, ['read', device, '--trace', trace]);
    expect(result.out).toContain('SIM0000060120001');
    const objects = await run(gateway, [
      'read',
      device,
      '--trace',
      trace,
      '--object',
      '1-0:1.8.0*255:3',
      '--object',
      '0-0:96.1.0*255:2',
      '--object',
      '0.0.96.10.1.255',
      '--json',
    ]);
    expect(objects.code).toBe(0);
    expect(
      objects.out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { value: unknown }).value),
    ).toEqual([
      { structure: [{ integer: 0 }, { enum: 30 }] },
      { 'octet-string': Buffer.from('60120001').toString('hex') },
      { unsigned: 0 },
    ]);
    const decoded = await run(gateway, ['decode', trace]);
    expect(decoded.code).toBe(0);
    expect(decoded.out).toContain('AARE accepted');
  });

  test('failures say what, whose fault, and the next step; each with its exit code', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const wrong = await run(gateway, ['read', device, '--client', '17', '--auth', 'lls'], {
      env: { METER_SECRET: 'nonsense' },
    });
    expect(wrong.code).toBe(5);
    expect(wrong.err).toMatch(/authentication-refused \(operator\).*\nnext: Check the password/);
    expect(wrong.err).not.toContain('nonsense');
    expect(
      (await run(gateway, ['read', device, '--client', '17', '--auth', 'lls'], { env: { METER_SECRET: '' } })).err,
    ).toContain('secret-missing');
    expect((await run(gateway, ['read', 'tcp://127.0.0.1:1'])).code).toBe(3);
    expect((await run(gateway, ['read', '/dev/no-such-port'])).err).toContain('port-missing');
    expect((await run(gateway, ['read', device, '--object', '1-0:99.99.9*255:2', '--class', '3'])).code).toBe(5);
    const open = join(folder, 'open-secret');
    writeFileSync(open, 'meter\n', { mode: 0o644 });
    chmodSync(open, 0o644);
    expect(
      (await run(gateway, ['read', device, '--client', '17', '--auth', 'lls', '--secret-file', open])).err,
    ).toContain('may be read by others');
    for (const args of [
      ['--object', 'x'],
      ['--from', 'yesterday', '--to', 'x', '--profile', '1-0:99.1.0'],
      ['--server', '1/2/3'],
      ['--client', '0'],
      ['--entries', '5', '--profile', '1-0:99.1.0'],
      ['--profile', '1-0:99.1.0'],
    ]) {
      const bad = await run(gateway, ['read', device, ...args]);
      expect(bad.code, args.join(' ')).toBe(2);
      expect(bad.err).toContain('bad-argument');
    }
    expect((await run(gateway, ['read', 'COM3'])).code).toBe(2);
    expect((await run(gateway, ['nonsense'])).code).toBe(2);
  });

  test('a port that another program has is named', async () => {
    const { device } = await simulate(['--pty', join(folder, 'tty-busy')]);
    const held = await openPort(device, 9600, systemClock);
    const result = await run(gateway, ['read', device]);
    expect(result.code).toBe(3);
    expect(result.err).toContain('port-busy');
    await held.close();
    expect((await run(gateway, ['read', device])).code).toBe(0);
  });
});

test('incident: after a rebuild npx found the program but might not run it', async () => {
  const npx = (...args: string[]) =>
    new Promise<string>((resolve) =>
      execFile('npx', ['--no-install', ...args], { cwd: root, timeout: 200_000 }, (_, out, err) => resolve(out + err)),
    );
  expect(await npx('meter-gateway', '--version')).toMatch(/^\d+\.\d+\.\d+$/m);
  expect(await npx('meter-simulator', '--help')).toContain('Virtual electricity meters');
});

describe('meter-gateway decode', () => {
  test('rows of a recorded exchange from standard input', async () => {
    const result = await run(gateway, ['decode', '--rows', '-'], {
      input: readFileSync(join(root, 'test/traces/m744-c-h-lls.tap'), 'utf8'),
    });
    expect(result.code).toBe(0);
    const rows = rowsOf(result.out);
    expect(rows).toHaveLength(744);
    expect(rows.map(({ end }) => formulaIndex(Date.parse(end)))).toEqual(Array.from({ length: 744 }, (_, i) => i));
  });
  test('garbage: a message with the offset, exit code 1', async () => {
    for (const input of ['', 'hello world', '7e a0 07 03 23 93 bf 33 7e', '\u0000\u0001\u0002', '99']) {
      const result = await run(gateway, ['decode', '-'], { input });
      expect(result.code, JSON.stringify(input)).toBe(1);
      expect(result.err).toMatch(/offset \d+/);
    }
  });
  test('JSON lines for programs', async () => {
    const result = await run(gateway, ['decode', '--json', join(root, 'test/traces/x-errors-lls.tap')]);
    const lines = result.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { apdu?: { kind: string } });
    expect(lines).toHaveLength(20);
    expect(lines.map(({ apdu }) => apdu?.kind)).toContain('get-response-with-list');
  });
});

describe('meter-gateway config', () => {
  test('example is good; a bad file is told with exit code 2', async () => {
    const example = await run(gateway, ['config', 'example']);
    const path = join(folder, 'example.toml');
    writeFileSync(path, example.out);
    expect(await run(gateway, ['config', 'check', '--text-only', path])).toMatchObject({
      code: 0,
      out: expect.stringContaining('is good') as string,
    });
    // What it refers to is not on this machine.
    const judged = await run(gateway, ['config', 'check', path]);
    expect(judged.code).toBe(2);
    expect(judged.err).toContain('mqtt.ca_file: /etc/meter-gateway/ca.pem does not exist');
    expect(judged.err).toContain('mqtt.cert_file: /etc/meter-gateway/client.pem does not exist');
    writeFileSync(path, example.out.replace('tenant', 'tenat'));
    const bad = await run(gateway, ['config', 'check', path]);
    expect(bad.code).toBe(2);
    expect(bad.err).toContain("gateway.tenat: unknown key; did you mean 'tenant'?");
    expect((await run(gateway, ['config', 'check', '/no/such/file'])).code).toBe(2);
  });
});

/** A datagram socket that stands in for systemd's. */
function notifySocket(path: string) {
  const libc = koffi.load('libc.so.6');
  const fd = libc.func('int socket(int, int, int)')(1, 2 | 0o4000, 0) as number;
  const address = new Uint8Array(110);
  address[0] = 1;
  address.set(Buffer.from(path), 2);
  expect(libc.func('int bind(int, uint8_t *, int)')(fd, address, 110)).toBe(0);
  const receive = libc.func('int recv(int, _Out_ uint8_t *, int, int)');
  const seen: string[] = [];
  return {
    seen,
    poll: () => {
      for (;;) {
        const buffer = new Uint8Array(4096);
        const length = receive(fd, buffer, buffer.length, 0x40) as number;
        if (length <= 0) return seen;
        seen.push(Buffer.from(buffer.subarray(0, length)).toString());
      }
    },
    close: () => libc.func('int close(int)')(fd) as number,
  };
}

describe('the daemon', () => {
  const password = 's3cr3t-pw';
  async function daemonWorld(name: string, more: MqttKeys = {}) {
    const broker = await realBroker();
    const bus = await simulate(['--meters', '2', '--tcp', '0', '--password', password]);
    const secret = join(folder, `${name}.secret`);
    writeFileSync(secret, `${password}\n`, { mode: 0o600 });
    const state = join(folder, name);
    const path = join(folder, `${name}.toml`);
    const socket = join(folder, `${name}.sock`);
    const since = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000 - 86_400_000).toISOString();
    const text = (device: string) =>
      configuration({
        gateway: {
          clock_trust: 'assume',
          state_directory: state,
          status_socket: socket,
          poll_offset_s: 0,
        },
        mqtt: { url: broker.url, ...more },
        port: [
          {
            device,
            meter: [60120001, 60120002].map((serial) =>
              meterOf(serial, { ...lls, secret: `file:${secret}`, physical: (serial % 10_000) + 1000, since }),
            ),
          },
        ],
      });
    writeFileSync(path, text(bus.device));
    const ingest = newIngest();
    const central = await subscribe(broker.url, 't', ingest);
    let log = '';
    const start = (env: object = {}) => {
      const child = spawn(node, [gateway, 'run', '--config', path], {
        env: { ...process.env, UV_THREADPOOL_SIZE: '16', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.push(child);
      child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
      return child;
    };
    // Asked again and again: not by a process of its own each time.
    const status = () => askStatus(socket).catch(() => undefined);
    /** Hourly values since yesterday's midnight, two channels, two meters; the newest may still be on its way. */
    const complete = () =>
      ingest.values.size >= 2 * 2 * Math.floor((Date.now() - Date.parse(since) - 120_000) / 3_600_000);
    const close = async () => {
      await central.close();
      await broker.remove();
    };
    return { broker, bus, path, text, socket, state, ingest, start, status, complete, close, log: () => log };
  }
  const ended = (child: ChildProcess) =>
    new Promise<{ code: number | null; signal: string | null; ms: number }>((resolve) => {
      const from = Date.now();
      child.once('exit', (code, signal) => resolve({ code, signal, ms: Date.now() - from }));
    });

  test('a backup of the running gateway, put back while it is stopped: a new epoch that says so, and nothing lost', async () => {
    const it = await daemonWorld('restored');
    const child = it.start();
    await until(() => it.complete(), `all delivered ${it.log()}`);
    const file = join(folder, 'restored.backup');
    const made = await run(gateway, ['backup', file, '--config', it.path]);
    expect(made, made.err).toMatchObject({ code: 0 });
    const running = await run(gateway, ['restore', file, '--config', it.path]);
    expect(running.code).toBe(6);
    expect(running.err).toContain('open in another process');
    const before = (await it.status())?.store.epoch ?? 0;
    const end = ended(child);
    child.kill('SIGTERM');
    await end;
    const put = await run(gateway, ['restore', file, '--config', it.path]);
    expect(put, put.err).toMatchObject({ code: 0 });
    expect(put.out).toContain('begins a new epoch');
    it.ingest.values.clear();
    it.start();
    await until(() => it.complete(), `all delivered again ${it.log()}`);
    expect((await it.status())?.store.epoch).toBeGreaterThan(before);
    expect(it.ingest.counters.conflicts).toBe(0);
    await it.close();
  });

  test('tells systemd READY, STATUS, WATCHDOG and STOPPING; SIGTERM stops it, exit code 0; secrets are nowhere in the log', async () => {
    const it = await daemonWorld('notify');
    const path = join(folder, 'notify.socket');
    const systemd = notifySocket(path);
    const child = it.start({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '2000000' });
    await until(() => systemd.poll().includes('READY=1'), `READY ${it.log()}`);
    // Before the first thing that may take long.
    expect(systemd.seen[0]).toBe('EXTEND_TIMEOUT_USEC=300000000\nSTATUS=opening the store');
    await until(() => systemd.poll().includes('WATCHDOG=1'), 'WATCHDOG');
    await until(() => it.complete(), 'all delivered');
    await until(() => systemd.poll().some((state) => state.startsWith('STATUS=2 of 2 meters reachable')), 'STATUS');
    const { out } = await run(gateway, ['status', '--config', it.path, '--json']);
    const snapshot = JSON.parse(out) as Snapshot | undefined;
    expect(snapshot?.ports[0]?.meters.map(({ verdict }) => verdict)).toEqual(['REACHABLE', 'REACHABLE']);
    const text = await run(gateway, ['status', '--socket', it.socket]);
    expect(text.out).toContain('REACHABLE');
    // What is not there yet is the newest hour at most, or its acknowledgement.
    const gaps = await run(gateway, ['gaps', '--json', '--socket', it.socket]);
    expect(gaps.code).toBe(0);
    for (const line of gaps.out.split('\n').filter(Boolean))
      expect(['PENDING', 'UNACKNOWLEDGED']).toContain((JSON.parse(line) as { state: string }).state);
    const poll = await run(gateway, ['poll', 'm60120001', '--socket', it.socket]);
    expect(poll.code, poll.err).toBe(0);
    expect(poll.out).toMatch(
      /m60120001 {2}serial 60120001[\s\S]*1-0:1\.8\.0\*255 +[\d.]+ kWh \(raw \d+, scaler 0, Wh\)[\s\S]*switch +supply on; connected; mode 2/,
    );
    const nobody = await run(gateway, ['poll', 'nobody', '--socket', it.socket]);
    expect(nobody.code).toBe(2);
    expect(nobody.err).toContain("no meter 'nobody' in the configuration");
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toMatchObject({ code: 0 });
    expect(systemd.poll()).toContain('STOPPING=1');
    expect(existsSync(it.socket)).toBe(false);
    systemd.close();
    expect(it.log()).toContain('gateway runs');
    expect(it.log()).not.toContain(password);
    expect(text.out + JSON.stringify(snapshot)).not.toContain(password);
    await it.close();
  });

  test('SIGHUP takes a new configuration; a bad one is refused and the old stays in force', async () => {
    const it = await daemonWorld('reload');
    it.start();
    await until(async () => (await it.status())?.broker.connected === true, 'running');
    const good = readFileSync(it.path, 'utf8');
    writeFileSync(it.path, good.replace('poll_offset_s = 0', 'poll_offset_s = "soon"'));
    const child = children.at(-1) as ChildProcess;
    child.kill('SIGHUP');
    await until(() => it.log().includes('configuration not reloaded'), 'refusal in the log');
    writeFileSync(it.path, good.replace('id = "m60120002"', 'id = "renamed"'));
    child.kill('SIGHUP');
    await until(() => it.log().includes('configuration reloaded'), 'reloaded');
    await until(
      async () => (await it.status())?.ports[0]?.meters.some(({ meter }) => meter === 'renamed') === true,
      'new meter name',
    );
    await it.close();
  });

  test('incident: a file that config check called good stopped the gateway at the next reload, for ever', async () => {
    const it = await daemonWorld('proven');
    const headEnd = await connectAsync(it.broker.url);
    const names: string[] = [];
    headEnd.on('message', (_topic, payload) => names.push((JSON.parse(payload.toString()) as { name: string }).name));
    await headEnd.subscribeAsync('amr/v1/t/g/up/_/event', { qos: 1 });
    const good = readFileSync(it.path, 'utf8');
    const child = it.start();
    await until(async () => (await it.status())?.broker.connected === true, 'running');
    const boot = (await it.status())?.boot;
    const reload = () => run(gateway, ['reload', '--socket', it.socket]);
    const no = join(folder, 'nowhere');
    const tls = `url = "mqtts://localhost:1"`;
    for (const [file, why] of [
      [good.replace(/url = "mqtt:[^"]*"/, `${tls}\nca_file = "${no}/ca.pem"`), 'mqtt.ca_file'],
      [good.replace(/url = "mqtt:[^"]*"/, `${tls}\npassword = "file:${no}/pw"`), 'mqtt.password'],
      [good.replace(it.socket, `${no}/s.sock`), 'gateway.status_socket'],
      [good.replace(it.state, `${it.state}-2`), 'gateway.state_directory'],
      ['[gateway', 'is no TOML'],
    ] as const) {
      writeFileSync(it.path, file);
      if (why !== 'gateway.state_directory')
        expect(await run(gateway, ['config', 'check', it.path]), why).toMatchObject({ code: 2 });
      const refused = await reload();
      expect(refused.code, why).toBe(2);
      expect(refused.err).toContain(why);
      expect(refused.err).toMatch(/the configuration of \S+Z stays in force/);
      const shown = await run(gateway, ['status', '--socket', it.socket]);
      expect(shown.out).toContain('THE FILE WAS REFUSED');
      expect(shown.out).toContain(why);
      expect(shown.out).toMatch(/broker {2}connected/);
    }
    await until(() => names.filter((name) => name === 'CONFIG_REFUSED').length === 5, 'the head-end is told');
    await headEnd.endAsync(true);
    // One meter's secret is missing: that meter stops, by name, and the other one goes on.
    writeFileSync(it.path, good.replace(/(id = "m60120002"[\s\S]*?)file:[^"]*/, `$1file:${no}/secret`));
    const check = await run(gateway, ['config', 'check', it.path]);
    expect(check.code).toBe(2);
    expect(check.err).toContain(`port[0].meter[1].secret: this meter is not polled: ${no}/secret does not exist`);
    const taken = await reload();
    expect(taken.code, taken.err).toBe(0);
    expect(taken.err).toContain('m60120002');
    expect(await run(gateway, ['poll', 'm60120001', '--socket', it.socket])).toMatchObject({ code: 0 });
    const unread = await run(gateway, ['poll', 'm60120002', '--socket', it.socket]);
    expect(unread.code).toBe(2);
    expect(unread.err).toContain('secret-missing');
    const verdicts = (await it.status())?.ports[0]?.meters.map(({ verdict }) => verdict);
    expect(verdicts).toEqual(['REACHABLE', 'CONFIG_FAULT']);
    writeFileSync(it.path, good);
    expect((await reload()).code).toBe(0);
    await until(() => it.complete(), 'all delivered');
    const after = (await it.status()) as Snapshot;
    expect(after.boot).toBe(boot);
    expect(after.configuration?.refused).toBeNull();
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toMatchObject({ code: 0 });
    await it.close();
  });

  test('a reload moves the local door; whoever asked for it is answered', async () => {
    const it = await daemonWorld('door');
    it.start();
    await until(async () => (await it.status())?.broker.connected === true, 'running');
    const elsewhere = join(folder, 'elsewhere.sock');
    writeFileSync(it.path, readFileSync(it.path, 'utf8').replace(it.socket, elsewhere));
    expect(await run(gateway, ['reload', '--socket', it.socket])).toMatchObject({ code: 0 });
    expect((await run(gateway, ['status', '--socket', elsewhere])).code).toBe(0);
    await until(() => !existsSync(it.socket), 'the door before is closed');
    // Meters that go on as they were are known as they were; one whose secret is another begins anew.
    const meters = async () => {
      const status = await run(gateway, ['status', '--json', '--socket', elsewhere]);
      return (JSON.parse(status.out) as Snapshot).ports[0]?.meters.map(({ verdict, intervalsRead }) => [
        verdict,
        intervalsRead,
      ]);
    };
    await until(() => it.complete(), 'all delivered');
    const before = await meters();
    expect(before?.map(([verdict]) => verdict)).toEqual(['REACHABLE', 'REACHABLE']);
    const text = readFileSync(it.path, 'utf8');
    const more = join(folder, 'another.secret');
    writeFileSync(more, 'another\n', { mode: 0o600 });
    writeFileSync(it.path, text.replace(/(id = "m60120002"[\s\S]*?)file:[^"]*/, `$1file:${more}`));
    expect(await run(gateway, ['reload', '--socket', elsewhere])).toMatchObject({ code: 0 });
    expect(await meters()).toEqual([before?.[0], ['UNKNOWN', 0]]);
    await it.close();
  });

  test('incident: SIGTERM early in a start killed it, and was counted as an end that nobody asked for', async () => {
    const it = await daemonWorld('early');
    const first = it.start();
    await until(async () => (await it.status())?.broker.connected === true, 'running');
    const end = ended(first);
    first.kill('SIGKILL');
    await end;
    // The store is in doubt: a process of its own reads it through before it is opened.
    writeFileSync(join(it.state, 'unclean'), '2');
    for (const wait of [300, 360, 420, 500, 600, 800]) {
      const child = it.start();
      await new Promise((resolve) => setTimeout(resolve, wait));
      const stopped = ended(child);
      child.kill('SIGTERM');
      const { code, signal } = await stopped;
      // Before the program runs, the signal ends it; then it has touched nothing.
      expect(signal === 'SIGTERM' ? 0 : code, `${wait} ms`).toBe(0);
      const unclean = existsSync(join(it.state, 'unclean')) ? readFileSync(join(it.state, 'unclean'), 'utf8') : 'none';
      expect(['2', 'none']).toContain(unclean);
      if (unclean === 'none') break;
    }
    expect(it.log()).not.toContain('damaged');
    await it.close();
  });

  test('killed ten times at random moments, the broker away in between: every interval once, no key with two values', async () => {
    const it = await daemonWorld('kill');
    for (let kill = 0; kill < 10; kill++) {
      const child = it.start();
      if (kill === 3) await it.broker.stop();
      if (kill === 7) await it.broker.start();
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 700));
      const end = ended(child);
      child.kill('SIGKILL');
      await end;
    }
    it.start();
    await until(() => it.complete(), `all delivered ${it.log().slice(-2000)}`);
    await until(async () => (await it.status())?.store.pending === 0, 'all acknowledged');
    expect(it.ingest.counters.conflicts).toBe(0);
    expect(it.ingest.counters.unfit).toBe(0);
    expect((await it.status())?.store.damage).toEqual({ quarantined: 0, missing: 0, log: [] });
    await it.close();
  });

  test('an old broker: MQTT 3.1.1 serves as well', async () => {
    const it = await daemonWorld('mqtt311', { protocol: '3.1.1' });
    it.start();
    await until(() => it.complete(), `all delivered ${it.log()}`);
    await until(async () => (await it.status())?.store.pending === 0, 'all acknowledged');
    await it.close();
  });

  test('a line that goes away and comes back; a store that another process owns', async () => {
    const it = await daemonWorld('line');
    it.start();
    await until(async () => (await it.status())?.ports[0]?.open === true, 'port open');
    it.bus.kill();
    await until(
      async () => (await it.status())?.ports[0]?.open === false || it.log().includes('port-lost'),
      'loss is noticed',
    );
    const second = await run(gateway, ['run', '--config', it.path]);
    expect(second.code).toBe(6);
    expect(second.err).toContain('store-locked');
    // Incident: the refused start counted as an end that nobody asked for.
    expect(readFileSync(join(it.state, 'unclean'), 'utf8')).toBe('1');
    const port = it.bus.device.split(':').at(-1) as string;
    await simulate(['--meters', '2', '--tcp', port, '--password', password]);
    await until(() => it.complete(), `all delivered ${it.log()}`);
    await it.close();
  });

  test('an adapter that is plugged in elsewhere: its device has another number, its link by name the same', async () => {
    const it = await daemonWorld('renamed');
    const link = join(folder, 'usb-RS485-port0');
    const plugIn = () => simulate(['--meters', '2', '--pty', link, '--turnaround', '1', '--password', password]);
    const adapter = await plugIn();
    const first = readlinkSync(link);
    writeFileSync(it.path, it.text(link));
    const child = it.start();
    await until(async () => (await it.status())?.ports[0]?.open === true, 'port open');
    const gone = ended(adapter.child);
    // Pulled out in the middle, without a word; the link goes, as udev takes it away.
    adapter.child.kill('SIGKILL');
    await gone;
    unlinkSync(link);
    await until(
      async () => /No such file|port-missing|ENOENT/.test((await it.status())?.ports[0]?.error ?? ''),
      'told',
    );
    // Something else has the old number now; on a busy machine the one that was to take it may come too late, or too early.
    const other = openPty();
    let again = await plugIn();
    while (readlinkSync(link) === first) {
      const withOldNumber = again;
      unlinkSync(link);
      again = await plugIn();
      withOldNumber.kill();
    }
    expect(readlinkSync(link)).not.toBe(first);
    await until(() => it.complete(), `all delivered ${it.log()}`);
    expect(child.exitCode).toBeNull();
    other.close();
    again.kill();
    await it.close();
  });
});

describe('systemd', () => {
  test('the units pass systemd-analyze verify and are rated OK', async () => {
    const analyze = (args: string[]): Promise<Result> =>
      new Promise((resolve) =>
        execFile('systemd-analyze', args, (error, out, err) =>
          resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out, err }),
        ),
      );
    if ((await analyze(['--version'])).code !== 0) {
      // Said, not skipped in silence: the machine has no systemd-analyze.
      process.stderr.write('systemd-analyze is not installed here: the unit was NOT verified\n');
      return;
    }
    const units = readdirSync(join(root, 'systemd'));
    expect(units).toEqual([
      'meter-central.service',
      'meter-gateway-check.service',
      'meter-gateway-clock.service',
      'meter-gateway-clock.timer',
      'meter-gateway-take.path',
      'meter-gateway-take.service',
      'meter-gateway.service',
    ]);
    for (const unit of units) {
      // The program lies elsewhere on a concentrator; verify wants one that exists.
      const text = readFileSync(join(root, 'systemd', unit), 'utf8');
      writeFileSync(join(folder, unit), text.replaceAll('/usr/lib/meter-gateway/node/bin/node', '/bin/true'));
    }
    const verified = await analyze(['verify', ...units.map((unit) => join(folder, unit))]);
    expect(verified.err.split('\n').filter((line) => /meter-(gateway|central)/.test(line))).toEqual([]);
    // Tenths: 1.3, and less for the one without network and devices.
    for (const [unit, most] of [
      ['meter-gateway.service', 13],
      ['meter-gateway-check.service', 13],
      ['meter-central.service', 13],
      ['meter-gateway-clock.service', 10],
    ] as const) {
      const rated = await analyze(['security', '--offline=true', `--threshold=${most}`, join(folder, unit)]);
      expect(rated.code, rated.out).toBe(0);
    }
  });
});
