/** The whole house, and its store: a full disk, power cuts, an image put back, a commit that failed. */
import { expect, test } from 'vitest';
import { complete, factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';

test('R22: the disk fills up: told, made room, nothing read while it is full, everything afterwards', async () => {
  const it = await virtualHouse({ meters: { count: 3 } }, { days: 1 });
  it.broker.connect();
  await it.run(5 * minute);
  const gib = 2 ** 30;
  const events = () =>
    factsOf(it, 'event')
      .filter(({ name }) => name.startsWith('STORAGE'))
      .map(({ name, detail }) => [name, detail?.['what'] ?? detail?.['freeBytes']]);
  it.disk = { freeBytes: 0.09 * gib, totalBytes: gib };
  it.relieved.push({ what: 'store.damaged-1', bytes: 1_000_000 });
  await it.run(2 * minute);
  expect(events()).toEqual([
    ['STORAGE_LOW', 0.09 * gib],
    ['STORAGE_FREED', 'store.damaged-1'],
  ]);
  it.disk = { freeBytes: 0.01 * gib, totalBytes: gib };
  await it.run(3 * 60 * minute);
  const read = factsOf(it, 'profile').map(({ readAt }) => Date.parse(readAt));
  expect(Math.max(...read)).toBeLessThan(it.clock.wall() - 150 * minute);
  await expect(it.clock.complete(it.house.readNow('m60120001'))).rejects.toThrow('the disk is full');
  it.disk = { freeBytes: 0.5 * gib, totalBytes: gib };
  await it.run(5 * minute);
  expect(events().slice(2)).toEqual([
    ['STORAGE_FULL', 0.01 * gib],
    ['STORAGE_OK', 0.5 * gib],
  ]);
  complete(it, [0, 1, 2]);
});

test('power cuts of the gateway at any moment: nothing acknowledged as stored is lost, no key with two values', async () => {
  const it = await virtualHouse({ meters: { count: 3 } });
  for (let cut = 0; cut < 25; cut++) {
    it.broker.connect();
    await it.run(1500 + cut * 370);
    it.broker.disconnect();
    const stopped = it.house.stop();
    await it.clock.complete(stopped);
    // Of what was not synced, a prefix survives.
    it.database.powerCut(cut % 4);
    await it.restart();
  }
  it.broker.connect();
  await it.run(5 * minute);
  complete(it, [0, 1, 2]);
  expect((await it.house.snapshot()).store).toMatchObject({ pending: 0, damage: { quarantined: 0, missing: 0 } });
});

test('incident: the line failed between what was to be said and the store, and it was never said', async () => {
  const it = await virtualHouse({ meters: { depth_days: 5, history_days: 40 } }, { days: 10 });
  const { bus } = it.simulated;
  const receive = bus.receive.bind(bus);
  let dropped = 0;
  bus.receive = (octets, now) => {
    // The registers of the daily reading: asked for when everything else of the slice is there.
    const asksRegister = Buffer.from(octets).toString('hex').includes('00030100010800ff02');
    if (asksRegister && dropped < 4) dropped++;
    else receive(octets, now);
  };
  it.broker.connect();
  await it.run(30 * minute);
  expect(dropped).toBe(4);
  const risks = factsOf(it, 'event').filter(({ name }) => name === 'DATA_AT_RISK');
  expect(risks.map(({ meter }) => meter)).toEqual(['m60120001']);
});

test('incident: an image of the card, put back while the broker was away, had passed the numbers of the other life when it came back (harsh simulation, seed 1010)', async () => {
  const it = await virtualHouse({ meters: { count: 2 } });
  it.broker.connect();
  await it.run(10 * minute);
  const [store, checkpoint] = [new Map(it.database.data), it.checkpoint];
  await it.run(2 * 60 * minute);
  it.broker.disconnect();
  const [heard] = it.ingest.received.values();
  await it.clock.complete(it.house.stop());
  it.database.replace(store);
  it.checkpoint = checkpoint;
  await it.restart();
  await it.run(6 * 60 * minute);
  expect((await it.house.snapshot()).store.nextSequence).toBeGreaterThan((heard?.seen ?? 0) + 1);
  it.broker.connect();
  await it.run(10 * minute);
  expect(it.broker.twoMeanings).toEqual([]);
  expect(factsOf(it, 'event').map(({ name }) => name)).toContain('STATE_FELL_BACK');
  complete(it, [0, 1]);
  // Once: the next connection of the same life is as any other.
  it.broker.disconnect();
  await it.run(60 * minute);
  it.broker.connect();
  await it.run(10 * minute);
  expect(factsOf(it, 'event').filter(({ name }) => name === 'STATE_FELL_BACK').length).toBe(1);
});
