/** The desk of a real daemon, asked by the commands as processes; meters on a real pty. Every output is searched for secrets. */
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { configuration, meterOf } from '../support/configuration.ts';
import { children, folder, gateway, node, run, simulate } from '../support/programs.ts';

const password = 'pa55w0rd';
function secretFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
}
/** Password and broker's password, as they stand and as a trace would write them. */
const secretsIn = (text: string): string[] =>
  [password, 'br0kerpass'].flatMap((secret) =>
    [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')].filter((one) =>
      text.replaceAll(' ', '').toLowerCase().includes(one.toLowerCase()),
    ),
  );

test('a technician looks into the running gateway: read, browse, trace, line, log, diag; and no secret comes out', async () => {
  const { device } = await simulate(['--pty', join(folder, 'desk-tty'), '--password', password, '--meters', '2']);
  const path = join(folder, 'desk.toml');
  const entered = { client: 17, auth: 'lls', secret: `file:${secretFile('desk-secret', password)}` } as const;
  writeFileSync(
    path,
    configuration({
      gateway: {
        state_directory: join(folder, 'desk-state'),
        clock_trust: 'assume',
        status_socket: join(folder, 'd.sock'),
      },
      mqtt: { url: 'mqtt://127.0.0.1:1', username: 'g', password: `file:${secretFile('desk-broker', 'br0kerpass')}` },
      port: [
        {
          device: `serial:${device}`,
          meter: [60_120_001, 60_120_002].map((serial) =>
            meterOf(serial, {
              ...entered,
              physical: (serial % 10_000) + 1000,
              profiles: [{ obis: '1-0:99.1.0*255', period_s: 3600 }],
            }),
          ),
        },
      ],
    }),
  );
  const daemon = spawn(node, [gateway, 'run', '--config', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  children.push(daemon);
  let logged = '';
  daemon.stdout.on('data', (chunk: Buffer) => (logged += chunk.toString()));
  daemon.stderr.on('data', (chunk: Buffer) => (logged += chunk.toString()));
  await until(() => logged.includes('gateway runs'), 'the daemon runs');
  const at = ['--socket', join(folder, 'd.sock')];

  const saved = join(folder, 'live.tap');
  const trace = spawn(node, [gateway, 'trace', 'm60120002', ...at, '--save', saved], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(trace);
  let shown = '';
  trace.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));

  // Incident: technician.md promises --config to all of them, and read and browse refused it.
  const read = await run(gateway, ['read', 'm60120002', '--object', '1-0:1.8.0*255:2', '--config', path]);
  expect(read.err).toBe('');
  expect(read.out).toMatch(/^1-0:1\.8\.0\*255:2 .*Wh/);
  const browsed = await run(gateway, [
    'browse',
    'm60120001',
    '--rows',
    '2',
    ...at,
    '--save',
    join(folder, 'desk.json'),
  ]);
  expect(browsed.err).toBe(`21 objects saved in ${join(folder, 'desk.json')}\n`);
  // Whoever looks on begins in the midst of something: of one of the next sessions all is seen.
  for (let i = 0; i < 20 && !/→ HDLC SNRM[^]*AARE accepted/.test(shown); i++)
    await run(gateway, ['read', 'm60120002', '--object', '1-0:1.8.0*255:2', ...at]);
  trace.kill('SIGKILL');
  expect(shown).toMatch(/→ HDLC SNRM/);
  expect(shown).not.toContain('m60120001');
  const decoded = await run(gateway, ['decode', saved]);
  // It may end in the midst of a frame: it was ended in the midst of one.
  expect(decoded.out).toContain('AARE accepted');

  const line = await run(gateway, ['line', ...at]);
  expect(line.out).toMatch(/m60120002 +\d+ +\d+ %/);
  expect(Math.max(...line.out.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
  const log = await run(gateway, ['log', ...at]);
  expect(log.out).toMatch(/info {2}gateway runs ports=1 meters=2/);
  const file = join(folder, 'diag.zip');
  const diag = await run(gateway, ['diag', file, '--config', path]);
  expect(diag.err).toBe('');
  const parts = Object.entries(unzipSync(readFileSync(file))).map(
    ([name, octets]) => [name, strFromU8(octets)] as const,
  );
  expect(parts.map(([name]) => name)).toEqual([
    'machine.json',
    'status.json',
    'gaps.json',
    'lines.json',
    'quarantine.json',
    'log.txt',
    'gateway.toml',
    'missing.json',
  ]);
  const everything = [read, browsed, decoded, line, log, diag].map(({ out, err }) => out + err);
  for (const text of [...everything, shown, readFileSync(saved, 'utf8'), logged, ...parts.map(([, text]) => text)])
    expect(secretsIn(text)).toEqual([]);

  const refused = await run(gateway, ['read', 'm60120001', '--auth', 'lls', '--baud', '300', ...at]);
  expect([refused.code, refused.err]).toEqual([
    2,
    expect.stringContaining('--auth, --baud: a meter is read by its id'),
  ]);
  const unknown = await run(gateway, ['read', 'm9', ...at]);
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining("no meter 'm9'")]);
  const nobody = await run(gateway, ['trace', '--port', 'none', ...at]);
  expect([nobody.code, nobody.err]).toEqual([2, expect.stringContaining("no port 'none'; there are bus")]);
  const again = await run(gateway, ['diag', file, '--config', path]);
  expect([again.code, again.err]).toEqual([2, expect.stringContaining('EEXIST')]);
});

test('diag of a gateway that does not run: what can be had is in it, and a password that a hand wrote is not', async () => {
  const path = join(folder, 'hand.toml');
  writeFileSync(
    path,
    '[mqtt]\nurl = "mqtt://x"\npassword = "pa55w0rd"\n  secret="file:/s"\nencryption_key = \'pa55w0rd\'\n',
  );
  const file = join(folder, 'stopped.zip');
  const diag = await run(gateway, ['diag', file, '--socket', join(folder, 'nobody.sock'), '--config', path]);
  expect(diag.code).toBe(0);
  expect(diag.out).toMatch(/status\.json +no gateway answers/);
  const parts = unzipSync(readFileSync(file));
  expect(strFromU8(parts['gateway.toml'] as Uint8Array)).toBe(
    '[mqtt]\nurl = "mqtt://x"\npassword = "(withheld)"\n  secret="file:/s"\nencryption_key = "(withheld)"\n',
  );
  expect(strFromU8(parts['missing.json'] as Uint8Array)).toContain('log.txt');
});
