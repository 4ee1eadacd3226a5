/** The technician's commands as processes, against simulated meters on a real pty and real TCP connections. */
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { until } from '../support/broker.ts';
import { children, folder, gateway, node, root, run, simulate } from '../support/programs.ts';

const secret = { env: { METER_SECRET: 'meter' } };
const reading = ['--client', '17', '--auth', 'lls'];

describe('meter-gateway browse', () => {
  test('objects with rights and values; a snapshot that the simulator serves as a meter', async () => {
    const { device } = await simulate(['--pty', join(folder, 'browse-tty')]);
    const file = join(folder, 'meter.json');
    const first = await run(gateway, ['browse', device, ...reading, '--rows', '30', '--save', file], secret);
    expect(first.err).toBe(`21 objects saved in ${file}\n`);
    expect(first.code).toBe(0);
    expect(first.out).toMatch(
      /0-0:1\.0\.0\*255 +Clock \(8\) version 0\n +2 time +rw +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+\d\d:\d\d \(0x07e/,
    );
    expect(first.out).toMatch(/methods 1, 2/);

    const served = await simulate(['--snapshot', file, '--tcp', '0']);
    const again = await run(gateway, ['browse', served.device, ...reading, '--json'], secret);
    const objects = again.out.trim().split('\n');
    expect(objects).toHaveLength(21);
    type Saved = { objects: { name: string; attributes: { id: number; value?: string }[] }[] };
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
    const clock = (all: Saved['objects']) => all.find(({ name }) => name === '0-0:1.0.0*255')?.attributes[0]?.value;
    // The clock of the file stands still: what was true when it was taken.
    expect(clock(objects.map((line) => JSON.parse(line) as Saved['objects'][0]))).toBe(clock(saved.objects));

    const taken = await run(gateway, ['browse', served.device, ...reading, '--save', file], secret);
    expect(taken.code).toBe(2);
    expect(taken.err).toContain('EEXIST');
    const missing = await run(gateway, ['browse', served.device, ...reading, '--only', '1-0:99.99.0*255'], secret);
    expect(missing.code).toBe(2);
    expect(missing.err).toContain('the object list has no 1-0:99.99.0*255');
  });
});

test('the password goes over the line, not into the trace, and decode still reads it', async () => {
  const { device } = await simulate(['--tcp', '0', '--password', 'pa55w0rd']);
  const trace = join(folder, 'secret.tap');
  const result = await run(gateway, ['read', device, ...reading, '--trace', trace], {
    env: { METER_SECRET: 'pa55w0rd' },
  });
  expect(result.code).toBe(0);
  const text = readFileSync(trace, 'utf8').replaceAll(' ', '').toLowerCase();
  expect(text).not.toContain(Buffer.from('pa55w0rd').toString('hex'));
  for (const style of [[], ['--json'], ['--xml']]) {
    const decoded = await run(gateway, ['decode', trace, ...style]);
    expect(decoded.code).toBe(0);
    expect(decoded.err.trim()).toBe('format: tap');
  }
});

test('incident: --trace struck the password out of what was to be decoded (exit 3, FCS)', async () => {
  // The meter's own name holds the octets of the password.
  const { device } = await simulate(['--tcp', '0', '--password', '60120001']);
  const trace = join(folder, 'watched.tap');
  const env = { METER_SECRET: '60120001' };
  const without = await run(gateway, ['read', device, ...reading, '--max-info', '64'], { env });
  const watched = await run(gateway, ['read', device, ...reading, '--max-info', '64', '--trace', trace], { env });
  expect([watched.code, watched.err]).toEqual([0, '']);
  const name = (out: string) => /SIM\d+/.exec(out)?.[0];
  expect(name(watched.out)).toBe(name(without.out));
  expect(name(watched.out)).toBe('SIM0000060120001');
  const text = readFileSync(trace, 'utf8').replaceAll(' ', '');
  expect(text).not.toContain(Buffer.from('60120001').toString('hex'));
  expect(statSync(trace).mode & 0o777).toBe(0o600);
  expect((await run(gateway, ['decode', trace])).code).toBe(0);
});

describe('keys of the technician', () => {
  const vectors = join(root, 'test/vectors/ecdsa');
  const keyFile = join(folder, 'signing.pem');
  writeFileSync(keyFile, readFileSync(join(vectors, 'client.key.pem')), { mode: 0o600 });
  const certificate = join(vectors, 'meter.pem');
  const scenario = join(folder, 'ecdsa.toml');
  writeFileSync(
    scenario,
    `[meters]\nsigning_key = "${vectors}/meter.key.pem"\nclient_certificate = "${vectors}/client.pem"\n`,
  );
  const ecdsa = ['--client', '7', '--auth', 'hls-ecdsa'];
  test('HLS by ECDSA: key and certificate; another certificate is refused; a key that others may read is not used', async () => {
    const { device } = await simulate(['--scenario', scenario, '--tcp', '0']);
    const good = [...ecdsa, '--signing-key', keyFile, '--meter-certificate', certificate];
    const read = await run(gateway, ['read', device, ...good]);
    expect(read.err).toBe('');
    expect(read.out).toContain('SIM0000060120001');
    const other = await run(gateway, [
      'read',
      device,
      ...ecdsa,
      '--signing-key',
      keyFile,
      '--meter-certificate',
      join(vectors, 'client.pem'),
    ]);
    expect(other.code).toBe(5);
    const open = join(folder, 'open.pem');
    writeFileSync(open, readFileSync(keyFile));
    chmodSync(open, 0o644);
    const refused = await run(gateway, [
      'read',
      device,
      ...ecdsa,
      '--signing-key',
      open,
      '--meter-certificate',
      certificate,
    ]);
    expect(refused.err).toContain('may be read by others');
    const missing = await run(gateway, ['read', device, ...ecdsa]);
    expect(missing.err).toContain('needs --signing-key and --meter-certificate');
    const nonsense = join(folder, 'nonsense.pem');
    writeFileSync(nonsense, 'TOP-SECRET-NONSENSE', { mode: 0o600 });
    const bad = await run(gateway, [
      'read',
      device,
      ...ecdsa,
      '--signing-key',
      nonsense,
      '--meter-certificate',
      certificate,
    ]);
    expect(bad.code).toBe(2);
    expect(bad.err).toContain('no EC private key');
    expect(bad.err).not.toContain('NONSENSE');
  });
  test('a dedicated key, every wrapping', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const env = { METER_EK: '000102030405060708090A0B0C0D0E0F', METER_AK: 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF' };
    for (const more of [
      ['--dedicated'],
      ['--wrapping', 'general'],
      ['--wrapping', 'general', '--dedicated'],
      ['--wrapping', 'general-ciphering'],
    ]) {
      const read = await run(gateway, ['read', device, '--client', '5', '--auth', 'hls-gmac', ...more], { env });
      expect(read.err, more.join(' ')).toBe('');
      expect(read.out).toContain('SIM0000060120001');
    }
  });
  test('82: InitiateRequest encrypted only, where the meter wants it so; no key goes out in the clear for it', async () => {
    const scenario = join(folder, 'encrypted-initiate.toml');
    writeFileSync(scenario, '[meters]\nquirks = ["encrypted-initiate"]\n');
    const { device } = await simulate(['--tcp', '0', '--scenario', scenario]);
    const env = { METER_EK: '000102030405060708090A0B0C0D0E0F', METER_AK: 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF' };
    const read = (...more: string[]) =>
      run(gateway, ['read', device, '--client', '5', '--auth', 'hls-gmac', ...more], { env });
    const usual = await read();
    expect(usual.err).toContain('association-refused');
    expect(usual.out).toBe('');
    const asked = await read('--initiate', 'encrypted');
    expect(asked.code).toBe(0);
    expect(asked.out).toContain('SIM0000060120001');
    const clear = await read('--initiate', 'authenticated', '--dedicated');
    expect(clear.code).toBe(2);
    expect(clear.err).toContain('which is not encrypted');
    expect((await read('--meter-title', '4d')).err).toContain('--meter-title takes 8 octets in hex');
  });
});

describe('meter-gateway listen', () => {
  function listening(line: string, args: string[], env: object = {}) {
    const child = spawn(node, [gateway, 'listen', line, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    const it = { out: '', err: '', code: undefined as number | null | undefined };
    child.stdout.on('data', (chunk: Buffer) => (it.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (it.err += chunk.toString()));
    child.once('exit', (code) => (it.code = code));
    return { it, child };
  }
  test('meters that connect to us: every list read, then the end', async () => {
    const { it } = listening('tcp://127.0.0.1:0', ['--count', '3', '--json']);
    await until(() => /listening on tcp:\/\/127\.0\.0\.1:\d+/.test(it.err), `listening ${it.err}`);
    const port = /:(\d+)\n/.exec(it.err)?.[1] as string;
    await simulate(['--push', '1', '--push-to', port]);
    await until(() => it.code !== undefined, 'three lists');
    expect(it.code).toBe(0);
    const lists = it.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string; readings: { object: string; unit: string | null }[] });
    expect(lists.map(({ kind }) => kind)).toEqual(Array.from({ length: 3 }, () => 'data-notification'));
    expect(lists[0]?.readings.map(({ object, unit }) => [object, unit])).toEqual([
      ['0-0:1.0.0*255', null],
      ['1-0:1.8.0*255', 'Wh'],
      ['1-0:2.8.0*255', null],
    ]);
  });
  test('a serial line; SIGTERM ends it', async () => {
    const { device } = await simulate(['--push', '1', '--pty', join(folder, 'push-tty')]);
    const { it, child } = listening(device, []);
    await until(() => it.out.includes('1-0:1.8.0*255'), `a list ${it.err}`);
    expect(it.out).toMatch(/data-notification {2}not ciphered/);
    child.kill('SIGTERM');
    await until(() => it.code !== undefined, 'the end');
    expect(it.code).toBe(0);
  });
  test.each([
    ['encrypted', 'decrypted, not authenticated'],
    ['authenticated-encrypted', 'authenticated'],
    ['authenticated', 'authenticated'],
  ])('incident: a push that is only %s was called authentic', async (policy, words) => {
    const scenario = join(folder, `push-${policy}.toml`);
    writeFileSync(scenario, `[meters]\npush_s = 1\npush_ciphered = true\nsecurity_policy = "${policy}"\n`);
    const { device } = await simulate(['--scenario', scenario, '--pty', join(folder, `push-${policy}`)]);
    const secret = { METER_EK: '000102030405060708090a0b0c0d0e0f', METER_AK: 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf' };
    const { it } = listening(device, ['--count', '1', '--security', policy], secret);
    await until(() => it.code !== undefined, `a list ${it.err}`);
    expect(it.out).toMatch(new RegExp(`system title [0-9a-f]{16}, ${words}(  |\n)`));
  });
  test('a port that is taken, a model that is not there', async () => {
    const { device } = await simulate(['--tcp', '0']);
    const taken = await run(gateway, ['listen', device]);
    expect(taken.code).toBe(3);
    expect(taken.err).toContain('EADDRINUSE');
    expect((await run(gateway, ['listen', 'tcp://127.0.0.1:0', '--model', 'nonsense'])).code).toBe(2);
  });
});
