/** The whole house, and capture periods: beside each other, and changed by word of the operator. */
import { describe, expect, test } from 'vitest';
import { dayMs, millis } from '../../src/base/time.ts';
import { valueKey, verifyManifest } from '../support/memory-central.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { gapsText } from '../../src/status/answer-texts.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { complete, factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';

test('quarter-hourly and hourly meters on one bus', async () => {
  const it = await virtualHouse({
    meters: { count: 4 },
    meter: [
      { index: 1, period_s: 900 },
      { index: 2, period_s: 900 },
    ],
  });
  it.broker.connect();
  await it.run(5 * minute);
  complete(it, [0, 1, 2, 3]);
  await it.run(30 * minute);
  complete(it, [0, 1, 2, 3]);
});

test('R02: a meter that captures energies of 10 Wh: each day their sum beside the advance of the register, once', async () => {
  const it = await virtualHouse({ meters: { count: 2 }, meter: [{ index: 0, captures_energies: true }] }, { days: 3 });
  it.broker.connect();
  await it.run(5 * minute);
  await it.clock.complete(it.house.stop());
  await it.restart();
  it.broker.connect();
  await it.run(26 * 60 * minute);
  const sums = factsOf(it, 'event').filter(({ name }) => name === 'DAY_SUM' || name === 'SUM_CHECK');
  expect(sums.map(({ meter, name, detail }) => [meter, name, detail?.['day'], detail?.['agrees']])).toEqual(
    ['2026-11-21', '2026-11-22', '2026-11-23', '2026-11-24'].map((day) => ['m60120001', 'DAY_SUM', day, true]),
  );
  const { curve } = it.simulated.meters[0] as VirtualMeter;
  const from = Date.UTC(2026, 10, 22);
  expect(sums[1]?.detail).toMatchObject({
    energies: '1-0:1.29.0*255',
    register: '1-0:1.8.0*255',
    advance: curve.register(0, millis(from + dayMs)) - curve.register(0, millis(from)),
    energyScaler: 1,
    registerScaler: 0,
    intervals: 24,
  });
  // The energies are delivered as they were captured, without a register.
  const [block] = factsOf(it, 'profile').filter(({ meter }) => meter === 'm60120001');
  const energies = block?.channels.find(({ obis }) => obis === '1-0:1.29.0*255');
  expect([energies?.register, energies?.scaler, energies?.energy?.length]).toEqual([undefined, 1, block?.count]);
  complete(it, [0, 1]);
});

describe('R35, R36: a meter is told another capture period at local midnight', () => {
  // Midnight in Helsinki; the house begins at 20:20 UTC.
  const midnight = Date.UTC(2026, 10, 24, 22);
  async function changing(fault: NonNullable<ScenarioInput['fault']> = []) {
    const it = await virtualHouse(
      { meters: { count: 2 }, fault },
      { start: midnight - 100 * minute, days: 1, gateway: { time_zone: 'Europe/Helsinki' } },
    );
    const profile = '{ obis = "1-0:99.1.0*255", period_s = 3600';
    it.configText = it.configText.replace(
      `${profile} }`,
      `${profile}, until = "2026-11-24T22:00:00Z" }, { obis = "1-0:99.1.0*255", period_s = 900 }`,
    );
    await it.clock.complete(it.house.stop());
    await it.restart();
    it.broker.connect();
    return it;
  }
  const [changed, other] = ['m60120001', 'm60120002'] as const;
  const starts = (it: VirtualHouse, meter: string, periodS: number) =>
    factsOf(it, 'profile')
      .filter((fact) => fact.meter === meter && fact.periodS === periodS)
      .flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => Date.parse(start) + i * periodS * 1000))
      .toSorted((a, b) => a - b);
  const events = (it: VirtualHouse, name: string) => factsOf(it, 'event').filter((event) => event.name === name);

  test('hours up to midnight, quarters from then on, energies that add up across, and manifests that verify', async () => {
    const it = await changing();
    await it.run(8 * 60 * minute);
    expect(events(it, 'PERIOD_CHANGED').map(({ meter, detail }) => [meter, detail])).toEqual([
      [changed, { series: '1-0:99.1.0*255', beforeS: 3600, nowS: 900, from: '2026-11-24T22:00:00Z' }],
    ]);
    const [hours, quarters] = [starts(it, changed, 3600), starts(it, changed, 900)];
    expect([hours.at(-1), quarters[0]]).toEqual([midnight - 60 * minute, midnight]);
    expect(quarters).toHaveLength(25);
    expect(quarters.every((start, i) => start === midnight + i * 15 * minute)).toBe(true);
    const delivered = [...hours.slice(-3), ...quarters].map((start) =>
      it.ingest.values.get(valueKey(changed, '1-0:99.1.0*255', '1-0:1.8.0*255', start)),
    );
    const sum = delivered.reduce((all, one) => all + Number(one?.energy), 0);
    const { curve } = it.simulated.meters[0] as VirtualMeter;
    const last = millis(midnight + 25 * 15 * minute);
    expect(sum).toBe(curve.register(0, last) - curve.register(0, millis(midnight - 180 * minute)));
    expect(it.ingest.gaps).toEqual([]);
    expect(events(it, 'CONFIG_CHANGED')).toEqual([]);
    // The neighbour keeps its hours.
    expect(starts(it, other, 900)).toEqual([]);
    expect(starts(it, other, 3600).at(-1)).toBe(midnight + 5 * 60 * minute);
    await it.run(24 * 60 * minute);
    const both = it.ingest.manifests.find(({ day }) => day === '2026-11-24');
    expect(both?.series.filter(({ meter }) => meter === changed)).toMatchObject([
      { periodS: 3600, to: '2026-11-24T22:00:00Z', expected: 22, measured: 22 },
      { periodS: 900, from: '2026-11-24T22:00:00Z', expected: 8, measured: 8 },
    ]);
    expect(it.ingest.manifests.flatMap((manifest) => verifyManifest(it.ingest, manifest))).toEqual([]);
    expect((await it.house.gaps()).filter(({ state }) => state !== 'UNACKNOWLEDGED')).toEqual([]);
    // Another start of the gateway, also without the line of the old period, goes on with the quarters.
    it.configText = it.configText.replace(/\{ obis = "1-0:99.1.0\*255", period_s = 3600, until = "[^"]*" \}, /, '');
    await it.clock.complete(it.house.stop());
    await it.restart();
    it.broker.connect();
    await it.run(60 * minute);
    expect(starts(it, changed, 900).length).toBeGreaterThan(25 + 24 * 4);
    expect(it.ingest.gaps).toEqual([]);
  });

  test('incident: hours and quarters of one OBIS code were told as one run of intervals of an hour', async () => {
    const it = await changing();
    await it.clock.run(midnight - 90 * minute);
    it.broker.disconnect();
    await it.clock.run(midnight + 140 * minute);
    const waiting = (await it.house.gaps()).filter(
      ({ meter, state }) => meter === changed && state === 'UNACKNOWLEDGED',
    );
    expect(waiting.map(({ periodS, from, to, intervals }) => [periodS, from, to, intervals])).toEqual([
      [3600, '2026-11-24T20:00:00Z', '2026-11-24T22:00:00Z', 2],
      [900, '2026-11-24T22:00:00Z', '2026-11-25T00:15:00Z', 9],
    ]);
    const lines = gapsText(waiting, { width: 200, zone: 'UTC', now: it.clock.wall() });
    expect(lines.slice(0, 2).map((line) => line.split('  ')[0])).toEqual([
      '2 UNACKNOWLEDGED of 60 min',
      '9 UNACKNOWLEDGED of 15 min',
    ]);
    // A sibling: what is not read yet.
    const meter = it.simulated.meters[0] as VirtualMeter;
    Object.assign(meter, { buffer: () => ({ refused: 2 }) });
    await it.clock.run(midnight + 190 * minute);
    const pending = (await it.house.gaps()).filter(({ meter: id, state }) => id === changed && state === 'PENDING');
    expect(pending.map(({ periodS, intervals }) => [periodS, intervals])).toEqual([[900, 3]]);
    // One spelling of a series everywhere.
    it.broker.connect();
    await it.run(30 * minute);
    const spelled = new Set(factsOf(it, 'profile').map(({ series }) => series));
    expect(spelled).toEqual(new Set(['1-0:99.1.0*255']));
    expect(it.broker.birth?.meters.flatMap(({ series }) => series.map((one) => one.profile))).toEqual(
      [1, 2, 3].map(() => '1-0:99.1.0*255'),
    );
  });

  test('R36: while the profile cannot be read nothing is written, though the meter would take it', async () => {
    const it = await changing();
    const meter = it.simulated.meters[0] as VirtualMeter;
    await it.clock.run(midnight - 10 * minute);
    // Temporary failure (data-access-result 2) of everything that reads rows; the rest answers.
    const refusing = Object.assign(meter, { buffer: () => ({ refused: 2 }) });
    await it.clock.run(midnight + 3 * minute);
    expect(meter.capturePeriodS).toBe(3600);
    Reflect.deleteProperty(refusing, 'buffer');
    // Read at the next try, within the first quarter: then it is written.
    await it.clock.run(midnight + 14 * minute);
    expect(meter.capturePeriodS).toBe(900);
    await it.clock.run(midnight + 120 * minute);
    expect(starts(it, changed, 3600).at(-1)).toBe(midnight - 60 * minute);
    expect(starts(it, changed, 900)[0]).toBe(midnight);
    expect(it.ingest.gaps).toEqual([]);
  });

  test('a meter that is silent at midnight keeps its hours until the next one', async () => {
    const seconds = 100 * 60;
    const it = await changing([{ kind: 'silence', meter: 0, from_s: seconds - 600, to_s: seconds + 3 * 3600 }]);
    await it.run(20 * 60 * minute);
    expect((it.simulated.meters[0] as VirtualMeter).capturePeriodS).toBe(3600);
    expect(events(it, 'PERIOD_CHANGE_POSTPONED')).toHaveLength(1);
    await it.run(12 * 60 * minute);
    expect(events(it, 'PERIOD_CHANGED').map(({ detail }) => detail?.['from'])).toEqual(['2026-11-25T22:00:00Z']);
    expect(starts(it, changed, 3600).at(-1)).toBe(midnight + 23 * 60 * minute);
    expect(starts(it, changed, 900)[0]).toBe(midnight + dayMs);
    expect(it.ingest.gaps).toEqual([]);
  });
});
