/** Small doses of scripts/power-cut, scripts/kill and scripts/kill --store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RealBroker, realBroker } from '../support/broker.ts';
import { cannotCut, life, noSyncLibrary } from './cuts.ts';
import { storeLife } from './store-kills.ts';

let broker: RealBroker;
beforeAll(async () => {
  broker = await realBroker();
});
afterAll(() => broker.remove());

const why = cannotCut();
const noSync = noSyncLibrary();

describe.skipIf(why !== undefined)(`power cuts on a real ext4${why === undefined ? '' : ` (not here: ${why})`}`, () => {
  test('6 cuts: nothing lost, every number means one thing, everything equals the oracle', async () => {
    const result = await life({ seed: 1, kind: 'power', cuts: 6, brokerUrl: broker.url });
    expect(result.problems).toEqual([]);
    expect(result.intervals).toBeGreaterThan(600);
  });
  // These wait for the daemon more than they work: together they take as long as one of them.
  test.concurrent('R22: the disk is filled to the last octet: it is told, and without a restart everything is delivered', async () => {
    const result = await life({ seed: 4, kind: 'power', cuts: 0, brokerUrl: broker.url, fullForMs: 8000 });
    expect(result.problems).toEqual([]);
    expect(result.storage).toEqual(expect.arrayContaining(['STORAGE_FULL', 'STORAGE_OK']));
  });
  for (const [seed, how] of [
    [5, 'input/output error'],
    [6, 'read-only'],
  ] as const)
    test.concurrent(`${how} while it reads and sends, and another disk in its place: without a restart everything is delivered`, async () => {
      const result = await life({
        seed,
        kind: 'power',
        cuts: 0,
        brokerUrl: broker.url,
        failing: { how, forMs: 5000 },
      });
      expect(result.problems).toEqual([]);
    });
  test
    .skipIf(noSync === undefined)
    .concurrent(
      `the negative control: without syncs the loss is seen${noSync !== undefined ? '' : ' (not here: no package eatmydata)'}`,
      async () => {
        const result = await life({ seed: 2, kind: 'power', cuts: 4, brokerUrl: broker.url, preload: noSync ?? '' });
        expect(result.problems.join()).toContain('the store was lost');
      },
    );
});

test('20 kills of the store in a process of its own: what was committed is there, what was not is not', async () => {
  const { problems, within, commits } = await storeLife(1, 20);
  expect(problems).toEqual([]);
  expect(within).toBeGreaterThan(5);
  expect(commits).toBeGreaterThan(within);
});

test('the negative control: a commit that is called done before it is', async () => {
  const { problems } = await storeLife(2, 20, true);
  expect(problems.join()).toMatch(/the next number is|gone/);
});

test('6 kills: nothing lost, every number means one thing, everything equals the oracle', async () => {
  const result = await life({ seed: 3, kind: 'kill', cuts: 6, brokerUrl: broker.url });
  expect(result.problems).toEqual([]);
});
