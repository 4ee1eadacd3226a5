/** The whole house with meters that cipher and authenticate. */
import { describe, expect, test } from 'vitest';
import { complete, minute } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { gmac } from '../support/configuration.ts';

describe('ciphered meters', () => {
  test('HLS by GMAC, suite 0: complete, hour by hour', async () => {
    const it = await virtualHouse({ meters: { count: 3 } }, { meter: gmac });
    it.broker.connect();
    await it.run(5 * minute);
    complete(it, [0, 1, 2]);
    await it.run(60 * minute);
    complete(it, [0, 1, 2]);
  });
  test.each(['hls-md5', 'hls-sha1', 'hls-sha256'] as const)('%s', async (mechanism) => {
    const client = { 'hls-md5': 3, 'hls-sha1': 4, 'hls-sha256': 6 }[mechanism];
    const it = await virtualHouse(
      { meters: { count: 1 } },
      { meter: { client, auth: mechanism, secret: 'file:/secret' } },
    );
    it.broker.connect();
    await it.run(3 * minute);
    complete(it, [0]);
  });
  test('R37: power cuts of the gateway: no counter is used twice, the meter never complains', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac, days: 5 });
    it.broker.connect();
    for (let cut = 0; cut < 12; cut++) {
      await it.run(1100 + cut * 130);
      await it.clock.complete(it.house.stop());
      it.database.powerCut();
      it.counters.powerCut();
      await it.restart();
      it.broker.connect();
    }
    await it.run(65 * minute);
    complete(it, [0]);
    const { ports } = await it.house.snapshot();
    // A replayed counter would have been a refusal, and a refusal a question to the public client.
    expect(ports[0]?.meters[0]).toMatchObject({ verdict: 'REACHABLE', failures: 0 });
  });
  test('incident: two meters with one key: the counters were lost, and the meter asked first had been silent', async () => {
    const it = await virtualHouse(
      { meters: { count: 2 }, fault: [{ kind: 'silence', meter: 0, from_s: 1800, to_s: 200 * 60 }] },
      { meter: gmac },
    );
    it.broker.connect();
    await it.run(200 * minute);
    await it.clock.complete(it.house.stop());
    it.counters.replace(new Map());
    await it.restart();
    it.broker.connect();
    await it.run(120 * minute);
    complete(it, [0, 1]);
    expect(it.reused).toEqual([]);
  });
  test('R37: the meter is ahead (another client used the key): asked by the public client, raised, and on it goes', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    const meter = it.simulated.meters[0] as unknown as { heard: Map<number, number> };
    meter.heard.set(5, 1_000_000);
    it.broker.connect();
    await it.run(5 * minute);
    complete(it, [0]);
    expect(meter.heard.get(5)).toBeGreaterThan(1_000_000);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.alarms).toEqual([]);
  });
  test('R37: above 2·10⁹ there is an alarm, in status and health, and the reading goes on', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    const meter = it.simulated.meters[0] as unknown as { heard: Map<number, number> };
    meter.heard.set(5, 2_000_000_000);
    it.broker.connect();
    await it.run(5 * minute);
    complete(it, [0]);
    expect((await it.house.snapshot()).ports[0]?.meters[0]?.alarms).toEqual(['INVOCATION_COUNTER_HIGH']);
    const health = it.broker.published.filter(({ topic }) => topic.endsWith('/health')).at(-1);
    expect(Buffer.from(health?.payload ?? '').toString()).toContain('INVOCATION_COUNTER_HIGH');
  });
  test('a dedicated key for each association', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: { ...gmac, dedicated_key: true } });
    it.broker.connect();
    await it.run(3 * 60 * minute);
    complete(it, [0]);
  });
  test('R26: a wrong password is SECURITY_FAULT and is not tried again for a quarter of an hour', async () => {
    const it = await virtualHouse({ meters: { count: 2, password: 'other' } });
    it.broker.connect();
    await it.run(14 * minute);
    const { ports } = await it.house.snapshot();
    expect(ports[0]?.meters.map(({ verdict, failures }) => [verdict, failures])).toEqual([
      ['SECURITY_FAULT', 1],
      ['SECURITY_FAULT', 1],
    ]);
  });
});
