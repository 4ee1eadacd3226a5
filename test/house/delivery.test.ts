/** The whole house: what is read reaches the head-end, is acknowledged, accounted for, and said again where it was lost. */
import { describe, expect, test } from 'vitest';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { healthPayload, statePayload } from '../../src/contract/payloads.ts';
import { verifyManifest } from '../support/memory-central.ts';
import { complete, factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';

test('eight meters, two days behind: all there, acknowledged, equal to the oracle; then hour by hour', async () => {
  const it = await virtualHouse({ meters: { count: 8 } });
  it.broker.connect();
  await it.run(5 * minute);
  complete(it, [0, 1, 2, 3, 4, 5, 6, 7]);
  for (let hour = 0; hour < 5; hour++) {
    await it.run(60 * minute);
    complete(it, [0, 1, 2, 3, 4, 5, 6, 7]);
  }
  const { store, ports } = await it.house.snapshot();
  expect(store.pending).toBe(0);
  expect(ports[0]?.meters.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 8 }, () => 'REACHABLE'));
  expect(it.ingest.counters.duplicates).toBe(0);
  expect(it.ingest.counters.gaps).toBe(0);
  expect(await it.house.stuck()).toBeUndefined();
});

describe('the head-end', () => {
  test('without its acknowledgement nothing is deleted and everything is sent again; with it, nothing is left', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.broker.acknowledging = false;
    it.broker.connect();
    await it.run(3 * minute);
    const { store } = await it.house.snapshot();
    expect(store.pending).toBeGreaterThan(0);
    expect(store.acknowledged).toBe(0);
    expect(it.ingest.counters.duplicates).toBeGreaterThan(0);
    it.broker.acknowledging = true;
    await it.run(5 * minute);
    complete(it, [0, 1]);
    expect((await it.house.snapshot()).store.pending).toBe(0);
  });

  test('nothing is published while offline; after the return all of it is, live rows before back-fill', async () => {
    const it = await virtualHouse({ meters: { count: 3 } });
    await it.run(5 * minute);
    expect(it.broker.published).toEqual([]);
    const { pending } = (await it.house.snapshot()).store;
    expect(pending).toBeGreaterThan(3);
    it.broker.connect();
    await it.run(minute);
    complete(it, [0, 1, 2], 7 * minute);
    const starts = it.broker.published
      .filter(({ topic }) => topic.endsWith('/profile'))
      .map(({ payload }) => Date.parse((JSON.parse(payload) as { start: string }).start));
    const today = Date.UTC(2026, 10, 24);
    expect(starts.slice(0, 3).every((at) => at >= today)).toBe(true);
    expect(starts.slice(3).every((at) => at < today)).toBe(true);
  });

  test('a connection that breaks in the middle: sent again, one value for each key', async () => {
    const it = await virtualHouse({ meters: { count: 3 } });
    for (let i = 0; i < 20; i++) {
      it.broker.connect();
      await it.run(7000);
      it.broker.disconnect();
      await it.run(3000);
    }
    it.broker.connect();
    await it.run(3 * minute);
    complete(it, [0, 1, 2]);
    expect((await it.house.snapshot()).store.pending).toBe(0);
  });

  test('the window holds while PUBACK is missing', async () => {
    const it = await virtualHouse({ meters: { count: 8 } }, { days: 3 });
    await it.run(5 * minute);
    it.broker.stall = true;
    it.broker.connect();
    // Rows wait for the answer to the birth for ten seconds.
    await it.run(20_000);
    expect(it.broker.maxInFlight).toBe(16);
    // A broker that swallows everything: the connection is given up (mqtt-client), and on the next one all of it is sent.
    it.broker.disconnect();
    it.broker.stall = false;
    it.broker.connect();
    await it.run(2 * minute);
    expect((await it.house.snapshot()).store.pending).toBe(0);
  });

  test('payloads outside of the contract, another epoch, the future: counted, ignored, nothing deleted', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.broker.acknowledging = false;
    it.broker.connect();
    await it.run(2 * minute);
    const before = (await it.house.snapshot()).store.pending;
    expect(before).toBeGreaterThan(0);
    for (const payload of [
      '',
      'hello',
      '{}',
      '[]',
      'null',
      '{"epoch":1}',
      '{"epoch":1,"upTo":"all"}',
      '{"epoch":2,"upTo":5}',
      '{"epoch":1,"upTo":999999}',
      '{"epoch":1,"upTo":-1}',
      '{"epoch":1,"upTo":1e400}',
      'x'.repeat(300_000),
      `{"epoch":1,"upTo":3,"nack":[${'0,'.repeat(2000)}0]}`,
    ]) {
      it.broker.send(it.broker.ackTopic, payload);
      it.broker.send('amr/v1/t1/g1/down/nonsense', payload);
    }
    await it.run(5000);
    expect((await it.house.snapshot()).store.pending).toBeGreaterThanOrEqual(before);
    it.broker.acknowledging = true;
    await it.run(3 * minute);
    complete(it, [0, 1]);
  });

  test('birth before rows, health each minute with expiry, the will says offline', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    it.broker.connect();
    await it.run(3 * minute);
    expect(it.broker.published.slice(0, 2).map(({ topic }) => topic.split('/').at(-1))).toEqual(['birth', 'state']);
    const health = it.broker.published.filter(({ topic }) => topic.endsWith('/health'));
    expect(health.length).toBeGreaterThanOrEqual(3);
    expect(health[0]?.options).toMatchObject({ qos: 0, expiryS: 300 });
    for (const { payload } of health) expect(isUnfit(parsePayload(healthPayload, Buffer.from(payload)))).toBe(false);
    expect(JSON.parse(it.broker.will as string)).toMatchObject({ online: false });
    expect(isUnfit(parsePayload(statePayload, Buffer.from(it.broker.will as string)))).toBe(false);
  });
});

describe('the manifest', () => {
  test('one a day; the central system recomputes its digests, and sees one lost message', async () => {
    const it = await virtualHouse(
      {
        meters: { count: 4, quirks: [] },
        meter: [
          { index: 1, period_s: 900 },
          { index: 2, quirks: ['missing-row'] },
        ],
        fault: [{ kind: 'power-cut', meter: 3, from_s: -40 * 3600, to_s: -20 * 3600 }],
      },
      { days: 2 },
    );
    it.broker.connect();
    await it.run(70 * 60 * minute);
    const { manifests } = it.ingest;
    expect(manifests.map(({ day }) => day)).toEqual(['2026-11-23', '2026-11-24', '2026-11-25', '2026-11-26']);
    for (const manifest of manifests) {
      expect(verifyManifest(it.ingest, manifest)).toEqual([]);
      for (const { expected, measured, uncertain, outage, missing, lost, pending } of manifest.series)
        expect(measured + uncertain + outage + missing + lost + pending).toBe(expected);
    }
    const second = manifests[1] as (typeof manifests)[0];
    expect(
      second.series.map(({ meter, expected, measured, missing, pending }) => [
        meter,
        expected,
        measured,
        missing,
        pending,
      ]),
    ).toEqual([
      ['m60120001', 24, 24, 0, 0],
      ['m60120002', 96, 96, 0, 0],
      ['m60120003', 24, 23, 1, 0],
      ['m60120004', 24, 24, 0, 0],
    ]);
    expect(manifests[0]?.series[3]).toMatchObject({ expected: 24, outage: 16, missing: 0 });
    // One interval of one meter did not arrive.
    it.ingest.intervals.get('m60120001|1-0:99.1.0*255')?.delete(Date.UTC(2026, 10, 24, 5));
    expect(verifyManifest(it.ingest, second)).toEqual(['m60120001|1-0:99.1.0*255']);
  });
  test('days that changed since are told again with the next one, days without the gateway are told after it', async () => {
    const hours = 3600;
    const it = await virtualHouse(
      { meters: { count: 2 }, fault: [{ kind: 'silence', meter: 1, from_s: 2 * hours, to_s: 40 * hours }] },
      { days: 1 },
    );
    it.broker.connect();
    const days = () =>
      it.ingest.manifests.map(({ day, series }) => [day.slice(-2), ...series.map(({ pending }) => pending)]);
    await it.run(20 * 60 * minute);
    // Its rows of the 24th come on the 26th, after the account of that day.
    const before = [
      ['23', 0, 0],
      ['24', 0, 10],
    ];
    expect(days()).toEqual(before);
    await it.run(24 * 60 * minute);
    expect(days()).toEqual([...before, ['24', 0, 0], ['25', 0, 0]]);
    await it.clock.complete(it.house.stop());
    it.broker.disconnect();
    await it.run(3 * 24 * 60 * minute);
    await it.restart();
    it.broker.connect();
    await it.run(3 * 60 * minute);
    expect(days().slice(4)).toEqual([
      ['26', 0, 0],
      ['27', 0, 0],
      ['28', 0, 0],
    ]);
    expect(it.ingest.manifests.flatMap((manifest) => verifyManifest(it.ingest, manifest))).toEqual([]);
  });
});

describe('R39: a meter is read on demand', () => {
  test('31 meters that catch up: 95 of 100 within 30 s, and no hourly row is late for it', async () => {
    const it = await virtualHouse({ bus: { turnaround_ms: 170 }, meters: { count: 31 } }, { days: 20 });
    it.broker.connect();
    const took: number[] = [];
    for (let i = 0; i < 100; i++) {
      await it.run(20_000 + ((i * 7919) % 60_000));
      const from = it.clock.now();
      const reading = await it.clock.complete(it.house.readNow(`m${60120001 + ((i * 13) % 31)}`));
      took.push(it.clock.now() - from);
      expect(reading.registers['1-0:1.8.0*255']?.unit).toBe('Wh');
      expect(reading.disconnector).toEqual({ output: true, control: 1, mode: 2 });
    }
    const sorted = took.toSorted((a, b) => a - b);
    expect(sorted[94] as number).toBeLessThanOrEqual(30_000);
    const late = factsOf(it, 'profile').filter(({ start, periodS, count, readAt }) => {
      const end = Date.parse(start) + periodS * count * 1000;
      return end > Date.UTC(2026, 10, 24, 12, 20) && Date.parse(readAt) - end > 5 * minute;
    });
    expect(late).toEqual([]);
  });
  test('a meter that does not answer, one that is not there', async () => {
    const it = await virtualHouse({ meters: { count: 2 }, fault: [{ kind: 'silence', meter: 1 }] }, { days: 1 });
    it.broker.connect();
    await it.run(30 * minute);
    await expect(it.clock.complete(it.house.readNow('m60120002'))).rejects.toMatchObject({ code: 'no-answer' });
    await expect(it.house.readNow('nobody')).rejects.toMatchObject({ code: 'unknown-meter' });
    const reading = await it.clock.complete(it.house.readNow('m60120001'));
    expect(factsOf(it, 'reading').length).toBeGreaterThan(0);
    expect(reading.meter).toBe('m60120001');
  });
});

describe('R17, R18: revisions', () => {
  test('a row that comes late is a new revision, with the interval after it; nothing else is said again', async () => {
    const it = await virtualHouse({ meters: { quirks: ['missing-row'] } }, { days: 1 });
    it.broker.connect();
    await it.run(10 * minute);
    const gap = it.ingest.gaps.filter(({ kind }) => kind === 'gap');
    expect(gap).toHaveLength(2);
    const before = factsOf(it, 'profile').length;
    // The rows appear after all.
    const [meter] = it.simulated.meters;
    (meter as unknown as { quirks: unknown[] }).quirks.length = 0;
    await it.run(62 * minute);
    const late = factsOf(it, 'profile')
      .slice(before)
      .filter(({ reason }) => reason);
    const delivered = late.flatMap(({ start, rev, reason, count, periodS }) =>
      Array.from({ length: count }, (_, i) => [
        new Date(Date.parse(start) + i * periodS * 1000).toISOString(),
        rev[i],
        reason?.[i],
      ]),
    );
    expect(delivered).toEqual([
      ['2026-11-23T06:00:00.000Z', 1, 'LATE'],
      ['2026-11-23T07:00:00.000Z', 1, 'CHANGED'],
      ['2026-11-24T06:00:00.000Z', 1, 'LATE'],
      ['2026-11-24T07:00:00.000Z', 1, 'CHANGED'],
    ]);
    complete(it, [0]);
    expect(await it.house.gaps()).toEqual([]);
    const messages = it.broker.published.filter(({ topic }) => topic.includes('/profile')).length;
    await it.run(25 * 60 * minute);
    // A day later: 25 new hours, and nothing of the old ones.
    const more = it.broker.published.filter(({ topic }) => topic.includes('/profile')).length - messages;
    expect(more).toBeLessThanOrEqual(26);
  });
});

describe('what the head-end lost is said again', () => {
  const profile = '1-0:99.1.0*255';
  test('ten hours that it had acknowledged: the same values at the same revisions, and nothing else', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.broker.connect();
    await it.run(6 * minute);
    complete(it, [0, 1]);
    const before = new Map(it.ingest.values);
    const from = it.since + 5 * 60 * minute;
    const to = from + 10 * 60 * minute;
    for (const key of before.keys()) {
      const at = Number(key.split('|').at(-1));
      if (key.startsWith('m60120001') && at >= from && at < to) it.ingest.values.delete(key);
    }
    expect(it.ingest.values.size).toBe(before.size - 20);
    const messages = it.broker.published.length;
    // Off the grid: whole intervals are said again.
    const asked = it.house.sayAgain('m60120001', profile, from + 1, to - 1);
    await it.run(3 * minute);
    expect(await asked).toBe(10);
    expect(it.ingest.values).toEqual(before);
    expect(it.broker.published.slice(messages).filter(({ topic }) => topic.endsWith('/profile')).length).toBe(1);
    complete(it, [0, 1]);
    // Only once.
    await it.run(90 * minute);
    complete(it, [0, 1]);
    expect(it.ingest.counters.duplicates).toBe(0);
  });

  test('gaps as well, whole', async () => {
    const it = await virtualHouse({
      meters: { count: 1 },
      fault: [{ kind: 'power-cut', meter: 0, from_s: -20 * 3600, to_s: -10 * 3600 }],
    });
    it.broker.connect();
    await it.run(6 * minute);
    const whole = (): unknown[] => {
      const last = it.ingest.gaps.at(-1);
      return last?.kind === 'gap' ? [last.start, last.end, last.cause, last.before, last.after] : [];
    };
    const [before, count] = [whole(), it.ingest.gaps.length];
    expect(before[2]).toBe('OUTAGE');
    const asked = it.house.sayAgain('m60120001', profile, it.since, it.clock.now());
    await it.run(5 * minute);
    expect(await asked).toBeGreaterThan(40);
    expect(it.ingest.gaps.length).toBeGreaterThan(count);
    expect(whole()).toEqual(before);
    expect(it.ingest.counters.conflicts).toBe(0);
  });

  test('what is not there is refused by name', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    await expect(it.house.sayAgain('m7', profile, 0, 1)).rejects.toThrow("no meter 'm7'");
    await expect(it.house.sayAgain('m60120001', '1-0:99.2.0*255', 0, 1)).rejects.toThrow('no series');
    const asked = it.house.sayAgain('m60120001', profile, 0, 1);
    await it.run(5 * minute);
    expect(await asked).toBe(0);
  });
});
