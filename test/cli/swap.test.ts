/** `meter-gateway meter swap` changes the one meter in the file, and nothing else. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { ifNobody, notAsNobody } from '../support/nobody.ts';
import { millis } from '../../src/base/time.ts';
import { changeFile } from '../../src/cli/replace-file.ts';
import { type SwapOptions, unpaired, withSwap as withSwapAt } from '../../src/cli/swap.ts';
import { configExample } from '../../src/config/example.ts';
import { parseConfig } from '../../src/config/judge.ts';
import { genericModel } from '../../src/meter/model.ts';
import { folder, gateway, node, run } from '../support/programs.ts';

const now = millis(Date.parse('2026-11-28T05:00:00Z'));
const withSwap = (text: string, meter: string, options: SwapOptions) => withSwapAt(text, meter, options, now);
const swap = {
  serial: '70000001',
  at: '2026-11-24T10:37:00Z',
  final: ['1-0:1.8.0=12345678', '1-0:2.8.0*255=99007199254740993'],
  first: ['1.0.1.8.0.255=7', '1-0:2.8.0=0'],
};
const meterOf = (text: string) => parseConfig(text, 'x').config.port[0]?.meter[0];

describe('the example', () => {
  const written = withSwap(configExample, 'm-60120001', swap);
  test('has the new meter with its registers', () => {
    expect(meterOf(written)).toMatchObject({
      id: 'm-60120001',
      serial: '70000001',
      swap: {
        from: '60120001',
        at: '2026-11-24T10:37:00.000Z',
        final: { '1-0:1.8.0*255': 12_345_678, '1-0:2.8.0*255': '99007199254740993' },
        first: { '1-0:1.8.0*255': 7, '1-0:2.8.0*255': 0 },
      },
    });
  });
  test('a register that only one of the two has is written, and said; the other one is amended later (R33)', () => {
    const lone = withSwap(configExample, 'm-60120001', { ...swap, first: ['1-0:1.8.0=7'] });
    const known = meterOf(lone)?.swap;
    if (!known) throw new Error('no swap');
    expect(unpaired(known)).toEqual([expect.stringContaining('--first 1-0:2.8.0*255 is missing')]);
    const amended = meterOf(withSwap(lone, 'm-60120001', { amend: true, first: ['1-0:1.8.0=7', '1-0:2.8.0=0'] }))?.swap;
    expect(amended && unpaired(amended)).toEqual([]);
  });
  test('everything else stays, also the comment beside the serial number and the order of lines', () => {
    const lines = written.split('\n');
    const before = configExample.split('\n');
    const changed = lines.filter((line) => !before.includes(line));
    expect(changed).toEqual([
      expect.stringMatching(/^serial = "70000001" {12}# the meter must tell/),
      expect.stringMatching(/^swap = /),
    ]);
    expect(lines.filter((line) => before.includes(line))).toEqual(
      before.filter((line) => !line.startsWith('serial = "60120001"')),
    );
  });
  test('the next swap takes the place of this one; the physical address with its comment', () => {
    const again = withSwap(written, 'm-60120001', {
      ...swap,
      serial: '70000002',
      at: '2026-11-25T10:37:00Z',
      physical: '1002',
    });
    expect(again.match(/^swap =/gm)).toHaveLength(1);
    expect(again).toContain('from = "70000001"');
    expect(again).toMatch(/^physical = 1002 {16}# HDLC physical address/m);
  });
  test('Windows line ends, indentation, another meter of like name, a sign of comment within a string', () => {
    const odd = configExample
      .replace(
        '[[port.meter]]',
        '[[port.meter]]\nid = "m-6012000"\npoint = "p2"\nserial = "#1"\nphysical = 3\n\n[[port.meter]]',
      )
      .replace(/^serial = "60120001".*$/m, '\tserial = "6012#0001" # beside "it"')
      .replaceAll('\n', '\r\n');
    const text = withSwap(odd, 'm-60120001', swap);
    expect(text).toContain('\r\n\tserial = "70000001" # beside "it"\r\n\tswap = { from = "6012#0001"');
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(withSwap(odd, 'm-6012000', swap)).toContain('\nserial = "70000001"\r\nswap = { from = "#1"');
  });
});

describe('incident: a swap that cannot be true was accepted without a word', () => {
  test.each<[string, SwapOptions, string]>([
    ['nobody', swap, "no meter 'nobody'"],
    ['m-60120001', { ...swap, at: 'yesterday' }, "--at takes an instant such as 2026-11-24T10:37:00Z, not 'yesterday'"],
    ['m-60120001', { ...swap, at: '2026-11-24T10:37:00' }, '--at takes an instant'],
    ['m-60120001', { ...swap, at: '2026-11-28T05:00:01Z' }, 'is still to come'],
    ['m-60120001', { ...swap, at: '2026-11-28T05:00:00-01:00' }, 'is still to come'],
    ['m-60120001', { ...swap, at: '2025-09-24T10:37:00Z' }, 'is the year right?'],
    ['m-60120001', { ...swap, at: '2026-09-30T10:37:00Z' }, 'is before the series of m-60120001 begins'],
    ['m-60120001', { ...swap, final: ['1-0:1.8.0=12.5'] }, '--final takes OBIS=REGISTER'],
    ['m-60120001', { ...swap, final: ['1-0:1.8.0=-5'] }, '--final takes OBIS=REGISTER'],
    [
      'm-60120001',
      { ...swap, final: ['1-0:1.8.0=18446744073709551616'] },
      'the register goes up to 18446744073709551615',
    ],
    ['m-60120001', { ...swap, final: ['1-0:1.8.0=1', '1.0.1.8.0.255=2'] }, '--final gives 1-0:1.8.0*255 twice'],
    ['m-60120001', { ...swap, first: ['energy=1'] }, 'no OBIS code'],
    ['m-60120001', { serial: '7', at: swap.at }, '--final and --first are missing'],
    ['m-60120001', { ...swap, registers: false }, '--no-registers goes without --final and --first'],
    ['m-60120001', { ...swap, serial: '60120001' }, 'a meter is not its own successor'],
    ['m-60120001', { ...swap, serial: '60120001 ' }, 'without blanks'],
    ['m-60120001', { ...swap, serial: '' }, 'without blanks'],
    ['m-60120001', { at: swap.at }, 'without blanks'],
    ['m-60120001', { ...swap, physical: '99999' }, '--physical takes a whole number'],
    ['m-60120001', { ...swap, amend: true }, 'has no swap to amend'],
  ])('%s %j: %s', (meter, options, message) => {
    expect(() => withSwap(configExample, meter, options)).toThrow(message);
  });
  test('a serial number that would write another line is a text', () => {
    const text = withSwap(configExample, 'm-60120001', { ...swap, serial: '7"\\' });
    expect(meterOf(text)?.serial).toBe('7"\\');
  });
  test('a register beyond the modulus of the model', () => {
    const models = new Map([['nine-digits', { ...genericModel, register_modulus: 1_000_000_000 }]]);
    const text = configExample.replace('model = "auto"', 'model = "nine-digits"');
    const withFinal = (register: number) =>
      withSwapAt(
        text,
        'm-60120001',
        { ...swap, final: [`1-0:1.8.0=${register}`], first: ['1-0:1.8.0=0'] },
        now,
        models,
      );
    expect(() => withFinal(1_000_000_000)).toThrow('the register goes up to 999999999, not to 1000000000');
    expect(withFinal(999_999_999)).toContain('999999999');
  });
  test('without registers only by the operator’s word', () => {
    const text = withSwap(configExample, 'm-60120001', { serial: '7', at: swap.at, registers: false });
    expect(meterOf(text)?.swap).toMatchObject({ final: {}, first: {} });
  });
  test('in the file by hand: negative registers and a successor of itself are findings', () => {
    const byHand = (swapText: string) =>
      configExample.replace(/^serial = "60120001"/m, `${swapText}\nserial = "60120001"`);
    const check = (text: string) => () => parseConfig(text, 'x');
    expect(
      check(byHand('swap = { from = "5", at = "2026-11-24T10:37:00Z", final = { "1-0:1.8.0*255" = -1 } }')),
    ).toThrow('not negative');
    expect(check(byHand('swap = { from = "60120001", at = "2026-11-24T10:37:00Z" }'))).toThrow('its own successor');
  });
});

describe('incident: a wrong swap could not be amended', () => {
  const once = withSwap(configExample, 'm-60120001', swap);
  test('what is given is corrected, the rest stays, and the meter before it too', () => {
    const text = withSwap(once, 'm-60120001', { amend: true, at: '2026-11-24T09:37:00Z' });
    expect(meterOf(text)).toMatchObject({
      serial: '70000001',
      swap: { from: '60120001', at: '2026-11-24T09:37:00.000Z', final: { '1-0:1.8.0*255': 12_345_678 } },
    });
    const registers = withSwap(once, 'm-60120001', { amend: true, final: ['1-0:1.8.0=5'], first: ['1-0:1.8.0=6'] });
    expect(meterOf(registers)?.swap).toMatchObject({
      at: '2026-11-24T10:37:00.000Z',
      final: { '1-0:1.8.0*255': 5 },
      first: { '1-0:1.8.0*255': 6 },
    });
    expect(meterOf(withSwap(once, 'm-60120001', { amend: true, serial: '70000009' }))).toMatchObject({
      serial: '70000009',
      swap: { from: '60120001' },
    });
    expect(meterOf(withSwap(once, 'm-60120001', { amend: true, registers: false }))?.swap?.final).toEqual({});
  });
  test('not back to the meter before, and a second swap is none', () => {
    expect(() => withSwap(once, 'm-60120001', { amend: true, serial: '60120001' })).toThrow('its own successor');
    expect(() => withSwap(once, 'm-60120001', { ...swap, serial: '7' })).toThrow('to correct that one: --amend');
    expect(() => withSwap(once, 'm-60120001', { amend: true, at: '2027-01-01T00:00:00Z' })).toThrow('is still to come');
  });
});

test('a meter that is written in another style is left to a person', () => {
  const odd = configExample.replace(/^serial = .*$/m, '"serial" = "60120001"');
  expect(() => withSwap(odd, 'm-60120001', swap)).toThrow('edit it by hand');
  const table = configExample.replace(/\n\[\[port\.meter\]\]/, '\n[[port."meter"]]');
  expect(() => withSwap(table, 'm-60120001', swap)).toThrow('edit it by hand');
});

describe('incident: the file lost its owner, its link and its copy', () => {
  let count = 0;
  const place = (): string => {
    const directory = join(folder, `swap-${count++}`);
    mkdirSync(directory);
    writeFileSync(join(directory, 'g.toml'), configExample, { mode: 0o640 });
    return directory;
  };
  const swapped = (config: string, serial: string, at: string) =>
    run(gateway, ['meter', 'swap', 'm-60120001', '--config', config, '--serial', serial, '--at', at, '--no-registers']);
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

  test('a link stays a link, its file changes; mode and owner stay; two swaps leave two copies', async () => {
    const directory = place();
    const file = join(directory, 'g.toml');
    chmodSync(file, 0o640);
    if (process.getuid?.() === 0) chownSync(file, 12_345, 54_321);
    const link = join(directory, 'link.toml');
    symlinkSync('g.toml', link);
    const before = statSync(file);
    const first = await swapped(link, '7', minutesAgo(20));
    expect(first.err).toBe('');
    expect(first.out).toContain(`the file as it was: ${file}.before-swap-1`);
    const second = await swapped(link, '8', minutesAgo(10));
    expect(second.out).toContain('before-swap-2');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readlinkSync(link)).toBe('g.toml');
    for (const name of ['g.toml', 'g.toml.before-swap-1', 'g.toml.before-swap-2']) {
      const { uid, gid, mode } = statSync(join(directory, name));
      expect([uid, gid, mode], name).toEqual([before.uid, before.gid, before.mode]);
    }
    expect(readFileSync(`${file}.before-swap-1`, 'utf8')).toBe(configExample);
    expect(readFileSync(`${file}.before-swap-2`, 'utf8')).toContain('serial = "7"');
    expect(readFileSync(file, 'utf8')).toContain('serial = "8"');
    expect(readdirSync(directory).toSorted()).toEqual([
      'g.toml',
      'g.toml.before-swap-1',
      'g.toml.before-swap-2',
      'link.toml',
    ]);
  });
  test('planted files and links are neither followed nor overwritten', async () => {
    const directory = place();
    const file = join(directory, 'g.toml');
    const victim = join(directory, 'victim');
    writeFileSync(victim, 'precious');
    for (const name of ['g.toml.new', 'g.toml.before-swap', 'g.toml.before-swap-1'])
      symlinkSync(victim, join(directory, name));
    const { out } = await swapped(file, '7', minutesAgo(20));
    expect(out).toContain('before-swap-2');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(readFileSync(`${file}.before-swap-2`, 'utf8')).toBe(configExample);
  });
  test('a refusal, a folder, a file that changes meanwhile: nothing is left behind', () => {
    const directory = place();
    const file = join(directory, 'g.toml');
    expect(() => changeFile(directory, 'x', (text) => text)).toThrow(/is as it was|no regular file/);
    expect(() => changeFile(join(directory, 'none'), 'x', (text) => text)).toThrow('ENOENT');
    const latin = join(directory, 'latin.toml');
    writeFileSync(latin, Buffer.from('# Z\u00e4hler\n', 'latin1'));
    expect(() => changeFile(latin, 'x', (text) => text)).toThrow('is not UTF-8');
    rmSync(latin);
    const meanwhile = () =>
      changeFile(file, 'x', (text) => {
        writeFileSync(file, `${text}# by another hand\n`);
        return 'ours';
      });
    expect(meanwhile).toThrow('changed by somebody else meanwhile');
    expect(readFileSync(file, 'utf8')).toContain('# by another hand');
    expect(readdirSync(directory)).toEqual(['g.toml']);
  });
  test.skipIf(notAsNobody !== undefined)(`who may not keep the owner changes nothing${ifNobody}`, async () => {
    const directory = place();
    chmodSync(folder, 0o755);
    chmodSync(directory, 0o777);
    const file = join(directory, 'g.toml');
    chmodSync(file, 0o644);
    const module = new URL('../../src/cli/replace-file.ts', import.meta.url).href;
    const script = `process.setgid(65534); process.setuid(65534);
      import(${JSON.stringify(module)}).then((m) => m.changeFile(${JSON.stringify(file)}, 'x', (text) => text + '#'))
        .catch((e) => console.log(e.code, e.message))`;
    const child = spawn(node, ['-e', script]);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    expect(out).toMatch(/^not-permitted .*is as it was/);
    expect(readFileSync(file, 'utf8')).toBe(configExample);
    expect(readdirSync(directory)).toEqual(['g.toml']);
  });
});
