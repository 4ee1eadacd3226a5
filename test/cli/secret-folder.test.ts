/** Secrets of the service: never an argument, never shown, never half written. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { secretNames, setSecret } from '../../src/cli/secret-folder.ts';
import { configuration } from '../support/configuration.ts';
import { folder, gateway, node } from '../support/programs.ts';

const word = 'Sup3rS3cret!';
const fresh = () => join(mkdtempSync(join(folder, 'secrets-')), 'secrets');
const set = (name: string, into: string, input: string | Buffer, ...more: string[]) => {
  try {
    const out = execFileSync(node, [gateway, 'secret', 'set', name, '--folder', into, ...more], {
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    return { code: 0, out };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status, out: stdout + stderr };
  }
};
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('from standard input, as it came, for its owner alone, with nothing beside it; list says names only', () => {
  const into = fresh();
  const pem = '-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n';
  expect(set('mqtt-key', into, pem).code).toBe(0);
  expect(set('m-60120001', into, word)).toEqual({ code: 0, out: '' });
  expect(set('m-60120001', into, `${word}2\n`).code).toBe(0);
  expect(readdirSync(into).toSorted()).toEqual(['m-60120001', 'mqtt-key']);
  expect(readFileSync(join(into, 'mqtt-key'), 'utf8')).toBe(pem);
  expect(readFileSync(join(into, 'm-60120001'), 'utf8')).toBe(`${word}2\n`);
  expect([into, join(into, 'mqtt-key'), join(into, 'm-60120001')].map(modeOf)).toEqual(['700', '600', '600']);
  const listed = execFileSync(node, [gateway, 'secret', 'list', '--folder', into], { encoding: 'utf8' });
  expect(listed).toBe('m-60120001\nmqtt-key\n');
});

test.each([
  ['a name that leads elsewhere', ['../escape'], word, 'bad-argument'],
  ['a hidden name, which systemd passes by', ['.hidden'], word, 'bad-argument'],
  ['the secret as an argument', ['mqtt-password', word], word, 'bad-argument'],
  ['the secret in the place of the name', [`${word}:${word}`], word, 'bad-argument'],
  ['nothing', ['m1'], '\n', 'secret-missing'],
  ['a file that is no secret', ['m1'], Buffer.alloc(70_000, 0x61), 'at most'],
])('%s is refused, not repeated, and changes nothing', (_, [name = '', ...more], input, why) => {
  const into = fresh();
  const { code, out } = set(name, into, input, ...more);
  expect([code, out.includes(why), out.includes(word)], out).toEqual([2, true, false]);
  expect(() => readdirSync(into)).toThrow('ENOENT');
});

test('a folder that was open is closed; what a power cut left of another try goes', () => {
  const into = fresh();
  mkdirSync(into, { mode: 0o755 });
  chmodSync(into, 0o755);
  writeFileSync(join(into, '.m1.0123456789abcdef'), 'half');
  setSecret(into, 'm1', Buffer.from(word));
  expect(readdirSync(into)).toEqual(['m1']);
  expect(modeOf(into)).toBe('700');
  expect(secretNames(into)).toEqual(['m1']);
});

test('where it cannot be written, the secret before stays', () => {
  const into = fresh();
  setSecret(into, 'm1', Buffer.from('before'));
  mkdirSync(join(into, 'm2'));
  expect(() => setSecret(into, 'm2', Buffer.from(word))).toThrow(/EISDIR|ENOTDIR|EEXIST/);
  expect(readdirSync(into).toSorted()).toEqual(['m1', 'm2']);
  expect(readFileSync(join(into, 'm1'), 'utf8')).toBe('before');
});

// Incident: the question came before the echo was off, and a secret that was pasted at once stood on the screen.
test.each([
  ['the same twice', word, 0, ['m1']],
  ['a slip', 'another', 2, []],
])('at a terminal it is asked for twice, and not shown: %s', async (_, again, code, files) => {
  const into = fresh();
  mkdirSync(into);
  const command = `'${node}' '${gateway}' secret set m1 --folder '${into}'`;
  const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let shown = '';
  const answers = [
    ['Secret: ', word],
    ['Again: ', again],
  ] as const;
  let given = 0;
  terminal.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const [question, answer] = answers[given] ?? [];
    if (question === undefined || !shown.includes(question)) return;
    given++;
    terminal.stdin.write(`${answer}\r`);
  });
  const ended = await new Promise((resolve) => terminal.once('exit', resolve));
  expect([ended, shown.includes(word)], shown).toEqual([code, false]);
  expect(readdirSync(into)).toEqual(files);
});

test.each([
  ['Ctrl-D', '\u0004'],
  ['Ctrl-C', '\u0003'],
])(
  'incident: %s at a question left a promise behind, and Node spoke of top-level await: nothing is written, and it says so',
  async (_, key) => {
    const into = fresh();
    mkdirSync(into);
    const folderOf = join(into, 'gateway.toml');
    writeFileSync(folderOf, configuration({}));
    for (const command of [`secret set m1 --folder '${into}/secrets'`, `meter remove m1 --config '${folderOf}'`]) {
      const terminal = spawn('script', ['-qec', `'${node}' '${gateway}' ${command}`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let shown = '';
      terminal.stdout.on('data', (chunk: Buffer) => {
        if (shown === '') terminal.stdin.write(key);
        shown += chunk.toString();
      });
      const ended = await new Promise((resolve) => terminal.once('exit', resolve));
      expect([ended, shown], shown).toEqual([2, expect.stringMatching(/no answer: [\s\S]*Nothing was done/)]);
      expect(shown).not.toContain('await');
    }
    expect(readdirSync(into)).toEqual(['gateway.toml']);
  },
);
