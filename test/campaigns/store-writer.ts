/**
 * Commits to a store as fast as it can and tells each step by a line, until somebody kills it:
 * `node test/campaigns/store-writer.ts DIRECTORY SEED [too-early]`. It runs the build, for it starts ten thousand times. `too-early`:
 * it says that a commit is done before it is, which must be found.
 */
import { writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const from = async <T>(path: string): Promise<T> =>
  (await import(new URL(`../../dist/${path}`, import.meta.url).href)) as T;
const { Store } = await from<typeof import('../../src/store/store.ts')>('store/store.js');
const { stateDirectory } = await from<typeof import('../../src/disk/state-directory.ts')>('disk/state-directory.js');
const { systemClock } = await from<typeof import('../../src/line/system-clock.ts')>('line/system-clock.js');
const { seeded } = await from<typeof import('../../src/simulator/random.ts')>('simulator/random.js');

const tell = (line: string) => void writeSync(1, `${line}\n`);
const [directory = '', seed = '1', when] = process.argv.slice(2);
const random = seeded(Number(seed));
const hour = 3_600_000;
const state = await stateDirectory(directory, Date.UTC(2026, 10, 24));
const store = await Store.open({ ...state.store, clock: systemClock, packSize: 4 });
// Ends that nobody asked for are the purpose here; otherwise each start would read the files in another process first.
state.settled();
let covered = store.seriesState('m1', storedSeriesKey('p'))?.coverage[0]?.[1] ?? 0;
let { nextSequence } = await store.status();
tell(`open ${store.epoch} ${nextSequence} ${store.acknowledged} ${covered}`);
for (const entryClass of [0, 1] as const)
  for (const { sequence, text } of await store.outbox(entryClass, 0, 100_000)) tell(`has ${sequence} ${crc32(text)}`);
tell('ready');
for (let commits = 1; ; commits++) {
  const facts = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, n) => ({
    kind: 'reading' as const,
    meter: 'm1',
    point: 'p1',
    serial: 's1',
    readAt: '2026-11-24T00:00:00Z',
    registers: {
      '1-0:1.8.0*255': { raw: nextSequence + n, scaler: 0, unit: 'x'.repeat(1 + Math.floor(random() * 900)) },
    },
    clockDeviationS: random(),
  }));
  const end = covered + hour;
  const sums = facts.map((fact) => crc32(JSON.stringify(fact))).join(' ');
  tell(`doing ${nextSequence} ${end} ${sums}`);
  if (when === 'too-early') tell('done');
  await store.commit({
    meter: 'm1',
    series: storedSeriesKey('p'),
    state: { since: 0, periodMs: hour, coverage: [[0, end]] },
    entryClass: random() < 0.5 ? 0 : 1,
    facts,
    marks: [{ start: covered, rev: 0, hash: commits, gap: false }],
  });
  if (when !== 'too-early') tell('done');
  covered = end;
  nextSequence += facts.length;
  if (commits % 8 === 0) {
    const upTo = nextSequence - 1 - Math.floor(random() * 12);
    tell(`acknowledging ${upTo}`);
    await store.acknowledge(upTo, new Set());
  }
}
