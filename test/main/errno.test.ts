/** Incident: errnos were swallowed. What cannot be read or kept is said, also where everything goes on without it. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { entryCount } from '../../src/cli/refused-entries.ts';
import { unreadable } from '../../src/config/secrets.ts';
import { turnFile } from '../../src/disk/turn-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'errno-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the list of meters set aside, of which nobody knows that it cannot be read', () => {
  mkdirSync(join(folder, 'turns', 'set-aside.json'), { recursive: true });
  const logged: object[] = [];
  const turns = turnFile(join(folder, 'turns'), { ...silentLog, error: (fields) => logged.push(fields) });
  expect(logged).toEqual([{ error: expect.stringContaining('EISDIR') as string }]);
  // It goes on without.
  turns.begin('bus', 'm1');
  expect(turns.suspects.size).toBe(0);
});

test('the earlier refusals of a meter, which protect it from being locked', () => {
  const who = ['line', '1'];
  const name = createHash('sha256').update(JSON.stringify(who)).digest('hex').slice(0, 24);
  const notes: string[] = [];
  const count = () =>
    entryCount(
      folder,
      who,
      () => 0,
      (line) => notes.push(line),
    );
  count().check(false);
  expect(notes).toEqual([]);
  mkdirSync(join(folder, 'refused', name), { recursive: true });
  count().check(false);
  expect(notes).toEqual([expect.stringMatching(/earlier refusals of this meter cannot be read: EISDIR/)]);
});

test('whose rights are missing for a file, and what to do', () => {
  const wordsOf = (code: string) => {
    const { message, detail } = unreadable('/f', Object.assign(new Error(code), { code }), 'secret-missing');
    return `${message} next ${String(detail['next'])}`;
  };
  expect(wordsOf('EACCES')).toMatch(
    /^\/f cannot be read by uid \d+ \(EACCES\).* next .*LoadCredential=NAME:\/f in the unit.*credential:NAME\.$/,
  );
  expect(wordsOf('ENOENT')).toMatch(/^\/f does not exist next /);
  expect(wordsOf('EISDIR')).toMatch(/^\/f is a folder next /);
  expect(wordsOf('EIO')).toMatch(/^\/f cannot be read: EIO/);
});
