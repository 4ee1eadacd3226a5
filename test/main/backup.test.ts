/** A backup is made of a running gateway and of a stopped one, and put back: nothing is lost, no number means two things. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/line/system-clock.ts';
import { backUp, restoreBackup } from '../../src/main/backup.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { parseConfig } from '../../src/config/judge.ts';
import { Counters } from '../../src/store/counters.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';
import { configuration } from '../support/configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'backup-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const nobody = join(folder, 'nobody.sock');
const fact = (n: number) =>
  ({
    kind: 'reading',
    meter: 'm1',
    point: 'p1',
    serial: 's1',
    readAt: '2026-11-24T00:00:00Z',
    registers: { '1-0:1.8.0*255': { raw: n, scaler: 0, unit: 'Wh' } },
    clockDeviationS: 0,
  }) as const;
const configOf = (directory: string) =>
  parseConfig(configuration({ gateway: { state_directory: directory } }), 'c.toml').config;
async function opened(directory: string) {
  const state = await stateDirectory(directory, Date.now());
  const store = await Store.open({ ...state.store, clock: systemClock });
  const counters = await Counters.open(state.counters);
  const close = async () => {
    await store.close();
    await counters.close();
    state.settled();
  };
  return { state, store, counters, close };
}
const commit = (store: Store, from: number, count: number) =>
  store.commit({
    meter: 'm1',
    series: storedSeriesKey('p'),
    state: { since: 0, periodMs: 3_600_000, coverage: [] },
    entryClass: 0,
    facts: Array.from({ length: count }, (_, i) => fact(from + i)),
  });
const made = async (name: string) => {
  const directory = join(folder, name);
  const { store, counters, close } = await opened(directory);
  await commit(store, 1, 300);
  await commit(store, 301, 300);
  await store.acknowledge(20, new Set([7]));
  const next = await counters.lease('key', 5);
  for (let i = 0; i < 5; i++) next();
  const { epoch } = store;
  await close();
  return { directory, epoch, file: join(folder, `${name}.backup`) };
};

describe('backup and restore', () => {
  test('of a stopped gateway: all that waits is there again, in a new epoch that says so; counters are asked for first', async () => {
    const { directory, epoch, file } = await made('one');
    expect(await backUp(file, nobody, configOf(directory), '0')).toBe(statSync(file).size);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // The gateway goes on, and gives numbers that the backup does not know.
    const later = await opened(directory);
    expect(later.store.epoch).toBe(epoch);
    await commit(later.store, 601, 50);
    await later.close();
    const { records } = await restoreBackup(file, directory);
    expect(records).toBeGreaterThan(5);
    const back = await opened(directory);
    expect(back.store.epoch).toBeGreaterThan(epoch);
    const entries = await back.store.outbox(0, 0, 10_000);
    expect(entries.map(({ sequence }) => sequence)).toEqual([7, ...Array.from({ length: 581 }, (_, i) => 21 + i)]);
    expect(factOf(entries.at(-1) as (typeof entries)[0])).toMatchObject({
      name: 'STATE_RESTORED',
      detail: { epochBefore: epoch },
    });
    expect((await back.store.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
    expect(await back.counters.known('key')).toBe(false);
    expect(readdirSync(directory).toSorted()).toEqual(
      expect.arrayContaining(['counters.replaced-1', 'store.replaced-1']),
    );
    await back.close();
    // Only once.
    const again = await opened(directory);
    expect(again.store.epoch).toBe(back.store.epoch);
    await again.close();
  });

  test('onto a new card; the same backup twice begins two epochs', async () => {
    const { directory, file } = await made('two');
    await backUp(file, nobody, configOf(directory), '0');
    const epochs = new Set<number>();
    for (const card of ['card-1', 'card-2']) {
      await restoreBackup(file, join(folder, card));
      const { store, close } = await opened(join(folder, card));
      epochs.add(store.epoch);
      expect((await store.outbox(0, 20, 10_000)).length).toBe(581);
      await close();
    }
    expect(epochs.size).toBe(2);
  });

  test('what is not whole is refused by name, and nothing of the state is touched', async () => {
    const { directory, file } = await made('three');
    await backUp(file, nobody, configOf(directory), '0');
    const whole = readFileSync(file);
    const lines = gunzipSync(whole).toString().split('\n');
    const rewritten = (change: (lines: string[]) => void) => {
      const copy = [...lines];
      change(copy);
      return gzipSync(copy.join('\n'));
    };
    const wrong: [string, Uint8Array, RegExp][] = [
      ['cut off', whole.subarray(0, whole.length / 2), /no whole backup/],
      ['empty', new Uint8Array(), /no whole backup/],
      ['something else', Buffer.from('hello'), /no whole backup/],
      ['another gzip', gzipSync('{"kind":"x"}'), /does not begin as one/],
      ['a record less', rewritten((all) => void all.splice(3, 1)), /not those it tells of/],
      [
        'a record changed',
        rewritten((all) => void (all[3] = (all[3] as string).replace('A', 'B'))),
        /not those it tells of/,
      ],
      ['no foot', rewritten((all) => void all.splice(-2, 2)), /its end is missing/],
      [
        'of a later version',
        rewritten((all) => void (all[0] = (all[0] as string).replace('"storeFormat":6', '"storeFormat":7'))),
        /later version/,
      ],
    ];
    const before = readdirSync(directory).toSorted();
    for (const [what, octets, why] of wrong) {
      const path = join(folder, 'wrong.backup');
      writeFileSync(path, octets);
      await expect(restoreBackup(path, directory), what).rejects.toThrow(why);
      expect(readdirSync(directory).toSorted(), what).toEqual(before);
    }
    await expect(restoreBackup(join(folder, 'none'), directory)).rejects.toThrow('no whole backup');
    // A backup replaces nothing, least of all another backup.
    await expect(backUp(file, nobody, configOf(directory), '0')).rejects.toThrow('exists already');
    expect(readFileSync(file).equals(whole)).toBe(true);
  });

  test.skipIf(process.geteuid?.() !== 0)(
    'as root, of a state that belongs to the service: no file of it changes its owner',
    async () => {
      const { directory, file } = await made('owned');
      const service = 65_534;
      const all = () => [
        directory,
        ...readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name))),
      ];
      for (const path of all()) chownSync(path, service, service);
      chmodSync(folder, 0o755);
      await backUp(file, nobody, configOf(directory), '0');
      await restoreBackup(file, directory);
      expect(all().filter((path) => statSync(path).uid !== service)).toEqual([]);
      expect(process.geteuid?.()).toBe(0);
      expect(statSync(file).uid).toBe(0);
    },
  );

  test('while a gateway has the state nothing is put back; without one and without a state there is nothing to save', async () => {
    const { directory, file } = await made('four');
    await backUp(file, nobody, configOf(directory), '0');
    const running = await opened(directory);
    await expect(restoreBackup(file, directory)).rejects.toMatchObject({ code: 'store-locked' });
    await running.close();
    mkdirSync(join(folder, 'empty'));
    await expect(backUp(join(folder, 'x'), nobody, configOf(join(folder, 'empty')), '0')).rejects.toThrow(
      'holds no state',
    );
    await expect(backUp(join(folder, 'x'), nobody, undefined, '0')).rejects.toMatchObject({ code: 'no-gateway' });
    expect(readdirSync(folder).filter((name) => name.startsWith('.x'))).toEqual([]);
  });
});
