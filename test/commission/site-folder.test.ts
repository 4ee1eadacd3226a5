/** The folder of a site: records whole or as before, attachments within bounds. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { freshRecord } from '../../src/commission/meter-record.ts';
import { siteFolder } from '../../src/commission/site-folder.ts';
import { meterTarget } from '../support/meter-target.ts';

const folder = mkdtempSync(join(tmpdir(), 'site-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const target = meterTarget({ point: 'p', serial: '1' });
const record = freshRecord(target, 'A', '2026-11-28T10:00:00Z');

test('a record comes back as it was; files are for their user alone; no name of a meter leads out', () => {
  const site = siteFolder(join(folder, 'one'));
  site.write(record);
  site.write({ ...record, meter: '../../evil' });
  expect(site.read('m-1')).toEqual(record);
  expect(site.read('nobody')).toBeUndefined();
  const files = readdirSync(join(site.path, 'meters'));
  expect(files.toSorted()).toEqual(['%2E%2E%2F%2E%2E%2Fevil.json', 'm-1.json']);
  expect(files.map((name) => statSync(join(site.path, 'meters', name)).mode & 0o777)).toEqual([0o600, 0o600]);
  expect(site.all().map(({ meter }) => meter)).toEqual(['../../evil', 'm-1']);
});
test.each(['', '{', '[]', '{"format":2}', '{"format":1}', `"${'x'.repeat(2 << 20)}"`])(
  'a damaged record is said by its path, and is not overwritten: %.12s',
  (text) => {
    const site = siteFolder(join(folder, 'two'));
    const path = join(site.path, 'meters', 'm-1.json');
    writeFileSync(path, text);
    expect(() => site.read('m-1')).toThrow('move it away');
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);
test('notes and photos: bounded, named safely, with their digest; what is no file is refused', () => {
  const site = siteFolder(join(folder, 'three'));
  expect(() => site.attach('m-1', undefined, 'hello', 'now')).toThrow('commission it first');
  site.write(record);
  const photo = join(folder, 'photo ä;rm -rf.jpg');
  writeFileSync(photo, 'octets');
  expect(site.attach('m-1', photo, undefined, 'now')).toMatchObject({ file: '0001-photo___rm_-rf.jpg', bytes: 6 });
  expect(site.attach('m-1', undefined, 'seal 4711', 'now')).toMatchObject({ file: null, note: 'seal 4711' });
  writeFileSync(photo, Buffer.alloc((8 << 20) + 1));
  for (const [file, note, why] of [
    [photo, undefined, 'at most'],
    [folder, undefined, 'no regular file'],
    [join(folder, 'missing'), undefined, 'ENOENT'],
    [undefined, ' ', 'nothing to attach'],
    [undefined, 'x'.repeat(2001), 'at most 2000'],
  ] as const)
    expect(() => site.attach('m-1', file, note, 'now')).toThrow(why);
  expect(site.read('m-1')?.attachments).toHaveLength(2);
});
test('a folder that cannot be written leaves what was there', () => {
  const site = siteFolder(join(folder, 'four'));
  site.write(record);
  const meters = join(site.path, 'meters');
  rmSync(join(meters, 'm-1.json'));
  rmSync(meters, { recursive: true });
  expect(() => site.write(record)).toThrow('what stood there before is unchanged');
  chmodSync(site.path, 0o700);
});
