/** What the page hands over, and what root takes of it. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { handOverFolder, putInPlace } from '../../src/main/hand-over.ts';
import { takeHandOver } from '../../src/main/take.ts';
import { configuration } from '../support/configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'waiting-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let places = 0;

describe('what the page hands over', () => {
  const sound = (meters: number) => configuration({ port: [{ meter: Array.from({ length: meters }, () => ({})) }] });
  const handed = (text: string, secrets: Readonly<Record<string, string>> = {}) => {
    const place = join(folder, `hand-${places++}`);
    const [state, target] = [join(place, 'state'), join(place, 'etc')];
    const lay = join(state, handOverFolder);
    mkdirSync(join(lay, 'secrets'), { recursive: true });
    mkdirSync(join(target, 'secrets'), { recursive: true });
    writeFileSync(join(lay, 'gateway.toml'), text);
    for (const [name, secret] of Object.entries(secrets)) writeFileSync(join(lay, 'secrets', name), secret);
    writeFileSync(join(lay, 'ready'), '');
    return { state, lay, file: join(target, 'gateway.toml'), secret: (name: string) => join(target, 'secrets', name) };
  };
  test('the first configuration and its secrets come into their places', () => {
    const { state, file, secret } = handed(sound(1), { 'mqtt-password': 'very secret' });
    const before = process.umask(0o077);
    try {
      expect(takeHandOver(state, file)).toBe(0);
    } finally {
      process.umask(before);
    }
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    // Root's, and read by the service, whatever the umask of the unit is.
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readFileSync(secret('mqtt-password'), 'utf8')).toBe('very secret');
    expect(statSync(secret('mqtt-password')).mode & 0o777).toBe(0o600);
  });
  test('meters may come to a configuration that is there, with its mode and a copy of what it was', () => {
    const { state, file } = handed(sound(2));
    writeFileSync(file, sound(1));
    chmodSync(file, 0o640);
    expect(takeHandOver(state, file)).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(sound(2));
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readFileSync(`${file}.before-page-1`, 'utf8')).toBe(sound(1));
  });
  test.each([
    ['another broker', configuration({ mqtt: { url: 'mqtt://elsewhere' } }), {}, 'only meters are changed'],
    ['another device', configuration({ port: [{ device: 'serial:/dev/sda' }] }), {}, 'only meters are changed'],
    ['secrets', sound(2), { 'mqtt-password': 'mine' }, 'secret set'],
    ['what does not hold', configuration({ gateway: { time_zone: 'Mars/Base' } }), {}, 'time zone'],
  ])('refused where a configuration is there: %s', (_, text, secrets, why) => {
    const { state, file, lay } = handed(text, secrets);
    writeFileSync(file, sound(1));
    expect(() => takeHandOver(state, file)).toThrow(why);
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    expect(readFileSync(join(lay, 'refused'), 'utf8')).toContain(why);
  });
  type Handed = ReturnType<typeof handed>;
  const shadow = join(folder, 'shadow');
  const kinds: readonly (readonly [string, (it: Handed) => void])[] = [
    [
      'a symbolic link for the file',
      ({ lay }) => replace(join(lay, 'gateway.toml'), (path) => symlinkSync(shadow, path)),
    ],
    ['a hard link for a secret', ({ lay }) => linkSync(shadow, join(lay, 'secrets/a'))],
    ['a pipe for a secret', ({ lay }) => void execFileSync('mkfifo', [join(lay, 'secrets/a')])],
    ['a folder for a secret', ({ lay }) => mkdirSync(join(lay, 'secrets/a'))],
    [
      'a link for the folder of the secrets',
      ({ lay }) => replace(join(lay, 'secrets'), (path) => symlinkSync(folder, path)),
    ],
    ['a link for a certificate', ({ lay }) => symlinkSync(shadow, join(lay, 'ca.pem'))],
    ['a name of a secret that leads elsewhere', ({ lay }) => writeFileSync(join(lay, 'secrets/.hidden'), 'x')],
  ];
  const replace = (path: string, plant: (path: string) => void): void => {
    rmSync(path, { recursive: true });
    plant(path);
  };
  test.each(kinds)('%s is not taken, and nothing else of it', (_, plant) => {
    writeFileSync(shadow, 'root:secret');
    const it = handed(sound(1), { 'mqtt-password': 'mine' });
    plant(it);
    expect(() => takeHandOver(it.state, it.file)).toThrow();
    for (const path of [it.file, it.secret('mqtt-password'), it.secret('a'), join(it.file, '../ca.pem')])
      expect(existsSync(path), path).toBe(false);
  });
  test('incident: the reason of a refusal was written through a link that the service had put there', () => {
    const it = handed('[gateway', {});
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'as it was');
    for (const name of ['refused', '.refused.new']) symlinkSync(victim, join(it.lay, name));
    expect(() => takeHandOver(it.state, it.file)).toThrow();
    expect(readFileSync(victim, 'utf8')).toBe('as it was');
    // A folder that is a link is not entered at all.
    rmSync(it.lay, { recursive: true });
    symlinkSync(folder, it.lay);
    expect(() => takeHandOver(it.state, it.file)).toThrow();
  });
  test('where this process may write, it does so itself', async () => {
    const place = join(folder, `own-${places++}`);
    mkdirSync(place);
    const file = join(place, 'gateway.toml');
    await putInPlace({ file, text: sound(1), secrets: new Map([['a', 'b']]) }, place, join(place, 'secrets'));
    expect(readFileSync(file, 'utf8')).toBe(sound(1));
    expect(readFileSync(join(place, 'secrets', 'a'), 'utf8')).toBe('b');
  });
});
