/** A copy of the state that is put back has counters that were used since. */
import { cpSync, mkdtempSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { doubtIfCopied } from '../../src/main/counters-home.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { Counters } from '../../src/store/counters.ts';

const root = mkdtempSync(join(tmpdir(), 'counters-home-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
// On others nothing is believed of inodes: a start is no reason to burn two million counters.
const lasting = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010].includes(statfsSync(root).type);

async function start<T>(directory: string, work: (counters: Counters) => Promise<T>): Promise<T> {
  const folder = await stateDirectory(directory, Date.now());
  const counters = await Counters.open(folder.counters);
  await doubtIfCopied(directory, counters, silentLog);
  const result = await work(counters);
  await counters.close();
  folder.settled();
  return result;
}

test.runIf(lasting)(
  'incident: the state directory was copied and put back: the counters in it were used again',
  async () => {
    const state = join(root, 'state');
    const known = (counters: Counters) => counters.known('k');
    const use = async (counters: Counters) => void (await counters.lease('k', 900))();
    await start(state, use);
    // The same place, start after start.
    for (let i = 0; i < 3; i++) expect(await start(state, known)).toBe(true);
    cpSync(state, join(root, 'old'), { recursive: true, preserveTimestamps: true });
    await start(state, use);
    rmSync(state, { recursive: true });
    cpSync(join(root, 'old'), state, { recursive: true, preserveTimestamps: true });
    expect(await start(state, known)).toBe(false);
    // Once: the meter is asked, and what it says counts from then on.
    await start(state, async (counters) => void (await counters.lease('k', 1, 5000))());
    expect(await start(state, known)).toBe(true);
    // Moved is not copied.
    renameSync(state, join(root, 'moved'));
    expect(await start(join(root, 'moved'), known)).toBe(true);
    // What cannot be read is taken for a copy: the file is ours, and nobody else writes it.
    writeFileSync(join(root, 'moved', 'counters-place'), 'nonsense');
    expect(await start(join(root, 'moved'), known)).toBe(false);
  },
);
