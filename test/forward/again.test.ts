/** What passes between a head-end and the whole house about losses: of the head-end, and of the gateway's state. */
import { expect, test } from 'vitest';
import { hourMs } from '../../src/base/time.ts';
import { topics } from '../../src/contract/topics.ts';
import { virtualHouse } from '../support/virtual-house.ts';

const of = topics('t1', 'g1');
const series = '1-0:99.1.0*255';
type House = Awaited<ReturnType<typeof virtualHouse>>;
const right = (it: House) => [...it.compare(hourMs).values()].map(({ expected, right: good }) => [expected, good]);

test('down/again: what the head-end lost after it had acknowledged it is said again, at the same values', async () => {
  const it = await virtualHouse({ meters: { count: 2 } });
  it.broker.connect();
  await it.run(6 * hourMs);
  for (const [expected, good] of right(it)) expect(good).toBe(expected);
  const serial = it.simulated.meters[0]?.settings.serial;
  const before = new Map(it.ingest.values);
  for (const key of it.ingest.values.keys()) if (key.startsWith(`m${serial}|`)) it.ingest.values.delete(key);
  expect(right(it)[0]?.[1]).toBe(0);
  const from = new Date(it.since).toISOString();
  const to = new Date(it.clock.wall()).toISOString();
  it.broker.send(of.again, JSON.stringify({ meter: `m${serial}`, series, from, to }));
  await it.run(6 * hourMs);
  for (const [expected, good] of right(it)) expect(good).toBe(expected);
  expect(it.ingest.counters).toMatchObject({ conflicts: 0, unfit: 0 });
  for (const [key, value] of before)
    expect(it.ingest.values.get(key)).toMatchObject({ register: value.register, energy: value.energy });
  await it.house.stop();
});

test('down/again for what there is not, without end, or wrong in itself: named, counted, and nothing else happens', async () => {
  const it = await virtualHouse({ meters: { count: 1 } });
  it.broker.connect();
  await it.run(3 * hourMs);
  const published = it.broker.published.length;
  const [from, to] = ['2026-11-20T00:00:00Z', '2026-11-21T00:00:00Z'];
  const meter = `m${it.simulated.meters[0]?.settings.serial}`;
  const wrong: [object | string, RegExp][] = [
    [{ meter: 'other', series, from, to }, /no meter 'other'/],
    [{ meter, series: '1-0:99.2.0*255', from, to }, /no series 1-0:99.2.0/],
    [{ meter, series: 'x'.repeat(100), from, to }, /no series xxx/],
    [{ meter, series, from: to, to: from }, /at most 400 days/],
    [{ meter, series, from: '1970-01-01T00:00:00Z', to }, /at most 400 days/],
    [{ meter, series, from, to: '+012026-01-01T00:00:00Z' }, /did not fit the contract/],
    ['{', /did not fit the contract/],
  ];
  for (const [request, trouble] of wrong) {
    it.broker.send(of.again, typeof request === 'string' ? request : JSON.stringify(request));
    await it.run(1000);
    expect((await it.house.snapshot()).broker.trouble).toMatch(trouble);
  }
  for (let n = 0; n < 500; n++) it.broker.send(of.again, JSON.stringify({ meter: `x${n}`, series, from, to }));
  await it.run(1000);
  expect(it.broker.published.length - published).toBeLessThan(10);
  await it.house.stop();
});

test.each([
  [0, 'the answer to the birth proves it, a new epoch begins before a row is said'],
  [
    1,
    'incident: started again before it met the head-end, it took its numbers for heard (harsh simulation, seed 2020)',
  ],
  [3, 'sibling: started again three times'],
])('a state that was copied back, %i starts before: %s', async (startsBefore) => {
  const it = await virtualHouse({ meters: { count: 2 } });
  it.broker.connect();
  await it.run(2 * hourMs);
  const [copy, checkpoint] = [new Map(it.database.data), it.checkpoint];
  const { epoch } = it.store;
  await it.run(4 * hourMs);
  await it.house.stop();
  it.broker.disconnect();
  const before = it.broker.published.length;
  it.database.replace(copy);
  it.checkpoint = checkpoint;
  await it.restart();
  for (let n = 0; n < startsBefore; n++) {
    // Away, it numbers as many as the other life did; then it is started again.
    await it.run(6 * hourMs);
    await it.house.stop();
    await it.restart();
  }
  it.broker.connect();
  await it.run(6 * hourMs);
  expect(it.store.epoch).toBeGreaterThan(epoch);
  const rows = it.broker.published.slice(before).filter(({ topic }) => topic.includes('/up/'));
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.every(({ payload }) => (JSON.parse(payload) as { epoch: number }).epoch === it.store.epoch)).toBe(true);
  expect(rows.some(({ payload }) => payload.includes('STATE_FELL_BACK'))).toBe(true);
  for (const [expected, good] of right(it)) expect(good).toBe(expected);
  await it.house.stop();
});
