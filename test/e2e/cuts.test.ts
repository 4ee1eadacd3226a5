/** Small doses of scripts/power-cut and scripts/kill. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RealBroker, realBroker } from '../broker.ts';
import { cannotCut, life, noSyncLibrary } from '../cuts.ts';

let broker: RealBroker;
beforeAll(async () => {
  broker = await realBroker();
});
afterAll(() => broker.remove());

const why = cannotCut();
const noSync = noSyncLibrary();

describe.skipIf(why !== undefined)(`power cuts on a real ext4${why === undefined ? '' : ` (not here: ${why})`}`, () => {
  test('20 cuts: nothing lost, every number means one thing, everything equals the oracle', async () => {
    const result = await life({ seed: 1, kind: 'power', cuts: 20, brokerUrl: broker.url });
    expect(result.problems).toEqual([]);
    expect(result.intervals).toBeGreaterThan(2000);
  }, 240_000);
  test('R22: the disk is filled to the last octet: it is told, and without a restart everything is delivered', async () => {
    const result = await life({ seed: 4, kind: 'power', cuts: 0, brokerUrl: broker.url, fullForMs: 8000 });
    expect(result.problems).toEqual([]);
    expect(result.storage).toEqual(expect.arrayContaining(['STORAGE_FULL', 'STORAGE_OK']));
  }, 240_000);
  for (const [seed, how] of [
    [5, 'input/output error'],
    [6, 'read-only'],
  ] as const)
    test(`${how} while it reads and sends, and another disk in its place: without a restart everything is delivered`, async () => {
      const result = await life({
        seed,
        kind: 'power',
        cuts: 0,
        brokerUrl: broker.url,
        failing: { how, forMs: 5000 },
      });
      expect(result.problems).toEqual([]);
    }, 240_000);
  test.skipIf(noSync === undefined)(
    `the negative control: without syncs the loss is seen${noSync !== undefined ? '' : ' (not here: no package eatmydata)'}`,
    async () => {
      const result = await life({ seed: 2, kind: 'power', cuts: 4, brokerUrl: broker.url, preload: noSync ?? '' });
      expect(result.problems.join()).toContain('the store was lost');
    },
    240_000,
  );
});

test('20 kills: nothing lost, every number means one thing, everything equals the oracle', async () => {
  const result = await life({ seed: 3, kind: 'kill', cuts: 20, brokerUrl: broker.url });
  expect(result.problems).toEqual([]);
}, 240_000);
