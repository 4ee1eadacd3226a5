/** Mending a store when the trouble is not in its files: the disk, or somebody who asks to stop. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runSalvage } from '../../src/disk/salvage-process.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';

const folder = mkdtempSync(join(tmpdir(), 'recovery-test-'));
const mounts: string[] = [];
afterAll(() => {
  for (const mount of mounts) execFileSync('umount', ['-l', mount]);
  rmSync(folder, { recursive: true, force: true });
});
const root = process.getuid?.() === 0;
const never = new AbortController().signal;

const entries = 300;
const key = (i: number) => `d/${String(i).padStart(6, '0')}`;
/** A state directory whose store holds so many entries that nothing makes smaller. */
async function filled(directory: string): Promise<void> {
  const database = await (await stateDirectory(directory, Date.now())).store.open(undefined);
  for (let i = 0; i < entries; i++)
    await database.batch([{ type: 'put', key: key(i), value: randomBytes(10_000) }], { sync: false });
  await database.compact();
  await database.close();
}
const keysOf = async (directory: string): Promise<number> => {
  const database = await (await stateDirectory(directory, Date.now())).store.open(undefined);
  const pairs = await database.range('d/', 'd/~', entries + 1);
  await database.close();
  return pairs.length;
};

test.skipIf(!root)(
  'incident: a full disk while a store was mended was taken for damage, and the rest was given up',
  async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    // Room for the store and the copy it is mended from, not for what comes of it.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    mounts.push(disk);
    const state = join(disk, 'state');
    await filled(state);
    const opening = (await stateDirectory(state, Date.now())).store.open('somebody said so');
    await expect(opening).rejects.toMatchObject({ code: 'store-failed' });
    await expect(opening).rejects.toThrow(/No space left/);
    expect(readdirSync(state)).not.toContain('store.damaged-1');
    expect(await keysOf(state)).toBe(entries);
    // With room it is mended, and nothing is missing.
    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    const mended = await stateDirectory(state, Date.now());
    await (await mended.store.open('somebody said so')).close();
    expect(mended.store.damageFound?.()).toEqual([expect.stringContaining('somebody said so; repaired')]);
    expect(await keysOf(state)).toBe(entries);
  },
);

test('incident: systemd ends all processes of a unit: the look at the store was taken for a crash of LevelDB', async () => {
  const state = join(folder, 'asked');
  await filled(state);
  const stop = new AbortController();
  const opening = (await stateDirectory(state, Date.now(), stop.signal)).store.open('somebody said so');
  const ended = expect(opening).rejects.toBe('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 50));
  stop.abort('SIGTERM');
  await ended;
  expect(readdirSync(state)).not.toContain('store.damaged-1');
  expect(await keysOf(state)).toBe(entries);
  // Where only the child is ended it is no damage either.
  const looking = runSalvage(['check', join(state, 'store')], never);
  const refused = expect(looking).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('SIGTERM') as string,
  });
  const child = execFileSync('pgrep', ['-f', `salvage.*check ${join(state, 'store')}`], { encoding: 'utf8' });
  process.kill(Number(child.split('\n')[0]), 'SIGTERM');
  await refused;
});

test('incident: a start that did not get that far counted as an end that nobody asked for', async () => {
  const state = join(folder, 'counted');
  const unclean = () => (existsSync(join(state, 'unclean')) ? readFileSync(join(state, 'unclean'), 'utf8') : 'none');
  const running = await stateDirectory(state, Date.now());
  const database = await running.store.open(undefined);
  expect(unclean()).toBe('1');
  const second = await stateDirectory(state, Date.now());
  await expect(second.store.open(undefined)).rejects.toMatchObject({ code: 'store-locked' });
  second.notCounted();
  expect(unclean()).toBe('1');
  await database.close();
  running.settled();
  const given = await stateDirectory(state, Date.now());
  given.notCounted();
  expect(unclean()).toBe('none');
});

test('what cannot be kept or read beside the databases is told, once for each reason', async () => {
  const state = join(folder, 'told');
  await filled(state);
  // A folder where a file should be: nobody can read or write it, whoever it is.
  for (const name of ['checkpoint', 'unclean']) {
    rmSync(join(state, name), { force: true });
    mkdirSync(join(state, name));
  }
  const troubles: string[] = [];
  const open = await stateDirectory(state, Date.now(), never, (trouble) => troubles.push(trouble));
  expect(open.store.checkpoint?.read()).toBeUndefined();
  for (let i = 0; i < 3; i++) open.store.checkpoint?.write({ epoch: 1, nextSequence: 1, acknowledged: 0 } as never);
  expect(troubles).toEqual([
    expect.stringMatching(/unclean.*EISDIR/),
    expect.stringMatching(/checkpoint.*not read.*EISDIR/),
    expect.stringMatching(/checkpoint.*not kept.*EISDIR/),
  ]);
});
