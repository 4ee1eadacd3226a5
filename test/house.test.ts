/** The whole house in virtual time. */
import { describe, expect, test } from 'vitest';
import { dayMs, type Millis, millis } from '../src/base/time.ts';
import { isUnfit, parsePayload, healthPayload, statePayload, type UpPayload } from '../src/forward/payload.ts';
import { valueKey, verifyManifest } from '../src/central/ingest.ts';
import { seeded } from '../src/simulator/random.ts';
import type { ScenarioInput } from '../src/simulator/scenario.ts';
import { gapsText } from '../src/status/answer-texts.ts';
import type { VirtualMeter } from '../src/simulator/virtual-meter.ts';
import { virtualHouse, type VirtualHouse } from './support/virtual-house.ts';

const minute = 60_000;
const complete = (it: VirtualHouse, meters: number[], graceMs = 2 * minute) => {
  const compared = it.compare(graceMs);
  for (const meter of meters) {
    const one = compared.get(meter) as { expected: number; right: number; wrong: string[] };
    expect(one.wrong, `meter ${meter}`).toEqual([]);
    expect(one.right, `meter ${meter}`).toBe(one.expected);
    expect(one.expected).toBeGreaterThan(0);
  }
  expect(it.ingest.counters.conflicts).toBe(0);
  expect(it.ingest.counters.unfit).toBe(0);
};

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

test('one dead, one flipping 1 % of its octets: the other six complete on time, the two show as what they are', async () => {
  const it = await virtualHouse({
    meters: { count: 8 },
    fault: [
      { kind: 'power-cut', meter: 2, from_s: -600, to_s: 1e9 },
      { kind: 'flip', meter: 5, rate: 0.01 },
    ],
  });
  it.broker.connect();
  await it.run(8 * minute);
  const six = [0, 1, 3, 4, 6, 7];
  complete(it, six);
  // The next hour: within two minutes after its end all six are there.
  await it.run(34 * minute);
  complete(it, six);
  const { ports } = await it.house.snapshot();
  const shown = ports[0]?.meters.map(({ verdict }) => verdict);
  expect(shown).toEqual([
    'REACHABLE',
    'REACHABLE',
    'SUSPECT_MAINS_OR_METER',
    'REACHABLE',
    'REACHABLE',
    'LINE_QUALITY',
    'REACHABLE',
    'REACHABLE',
  ]);
  expect(ports[0]?.meters[2]?.nextStep).toContain('power');
  // What did come through the bad line is right.
  expect(it.compare(0).get(5)?.wrong).toEqual([]);
  expect(it.compare(2 * minute).get(5)?.right).toBeGreaterThan(0);
});

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

test('incident: power failed between the log that told of a clock set back and the rows read again for it', async () => {
  const it = await virtualHouse(
    { meters: { count: 1, first_serial: 60_120_001 } },
    { start: Date.UTC(2026, 10, 24, 12, 20) },
  );
  it.broker.connect();
  const one = Date.UTC(2026, 10, 24, 13);
  await it.clock.run(one + 2 * minute);
  // Five minutes back: the row of 13:00 is written once more at 13:05.
  const meter = it.simulated.meters[0] as VirtualMeter;
  meter.moveClock(it.clock.now(), -5 * minute);
  const value = () => it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', one - 60 * minute));
  const first = value()?.register;
  const logs = () => Buffer.from(it.database.data.get('e/m60120001') ?? []).toString('latin1');
  await it.clock.run(one + 120 * minute, () => /"adjusted":\[\d/.test(logs()));
  expect(it.clock.now()).toBeLessThan(one + 120 * minute);
  const disk = new Map(it.database.data);
  await it.clock.complete(it.house.stop());
  it.broker.disconnect();
  it.database.replace(disk);
  it.checkpoint = undefined;
  await it.restart();
  it.broker.connect();
  await it.run(150 * minute);
  expect(value()).toMatchObject({ register: meter.registers(millis(one + 5 * minute))[0] });
  expect(value()?.rev).toBeGreaterThan(0);
  expect(value()?.register).not.toBe(first);
  expect(logs()).toContain('"adjusted":[]');
});

test('incident: the log told of a clock set back before the meter had written its rows again (seed 30)', async () => {
  const it = await virtualHouse({ meters: { count: 1, period_s: 900 } });
  it.broker.connect();
  const at = (min: number) => millis(Date.UTC(2026, 10, 24, 12, min));
  await it.clock.run(at(44) + 50_000);
  const meter = it.simulated.meters[0] as VirtualMeter;
  // 20 minutes back: the row of 12:30 is written once more at 12:50, and that of 12:45 at 13:05.
  meter.moveClock(it.clock.now(), -20 * minute);
  await it.clock.run(at(120));
  for (const [start, written] of [
    [at(15), at(50)],
    [at(30), at(65)],
  ] as const)
    expect(it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', start))?.register).toBe(
      meter.registers(written)[0],
    );
});

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

describe('R35, R36: a meter is told another capture period at local midnight', () => {
  // Midnight in Helsinki; the house begins at 20:20 UTC.
  const midnight = Date.UTC(2026, 10, 24, 22);
  async function changing(fault: NonNullable<ScenarioInput['fault']> = []) {
    const it = await virtualHouse(
      { meters: { count: 2 }, fault },
      { start: midnight - 100 * minute, days: 1, gateway: 'time_zone = "Europe/Helsinki"' },
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
    const told = [...hours.slice(-3), ...quarters].map((start) =>
      it.ingest.values.get(valueKey(changed, '1-0:99.1.0*255', '1-0:1.8.0*255', start)),
    );
    const sum = told.reduce((all, one) => all + Number(one?.energy), 0);
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
    expect(it.broker.mostInFlight).toBe(16);
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

const factsOf = <K extends UpPayload['kind']>(it: VirtualHouse, kind: K) =>
  it.broker.published
    .filter(({ topic }) => topic.includes('/up/'))
    .map(({ payload }) => JSON.parse(payload) as UpPayload)
    .filter((payload): payload is UpPayload & { kind: K } => payload.kind === kind);

describe('R06, R07, R25: a meter that was dark', () => {
  test('from 02:20 to 08:20: its log proves five zero intervals; the register then gives the sixth its energy', async () => {
    const it = await virtualHouse({
      meters: { count: 2 },
      fault: [{ kind: 'power-cut', meter: 1, from_s: -10 * 3600, to_s: -4 * 3600 }],
    });
    it.broker.connect();
    await it.run(5 * minute);
    complete(it, [0]);
    const gaps = it.ingest.gaps.filter((gap) => gap.kind === 'gap');
    const register = (hour: number) => it.simulated.meters[1]?.curve.register(0, millis(Date.UTC(2026, 10, 24, hour)));
    expect(gaps).toMatchObject([
      {
        meter: 'm60120002',
        cause: 'OUTAGE',
        start: '2026-11-24T03:00:00Z',
        end: '2026-11-24T08:00:00Z',
        before: { '1-0:1.8.0*255': register(3) },
        after: { '1-0:1.8.0*255': register(9) },
        rev: 0,
      },
    ]);
    const { right, expected, wrong } = it.compare(2 * minute).get(1) as {
      right: number;
      expected: number;
      wrong: string[];
    };
    expect(expected - right).toBe(5);
    expect(wrong).toEqual([]);
    const power = factsOf(it, 'event').filter(({ code }) => code === 1 || code === 2);
    expect(power.map(({ meter, name, at, source }) => [meter, name, at, source])).toEqual([
      ['m60120002', 'power down', '2026-11-24T02:20:00Z', 'meter'],
      ['m60120002', 'power up', '2026-11-24T08:20:00Z', 'meter'],
    ]);
  });
  test('for three days: one gap with both edges, not one for each day', async () => {
    const it = await virtualHouse(
      { fault: [{ kind: 'power-cut', meter: 0, from_s: -100 * 3600, to_s: -20 * 3600 }] },
      { days: 6 },
    );
    it.broker.connect();
    await it.run(10 * minute);
    const gaps = it.ingest.gaps.filter((gap) => gap.kind === 'gap');
    expect(gaps.map(({ start, end, cause, rev }) => [start, end, cause, rev])).toEqual([
      ['2026-11-20T09:00:00Z', '2026-11-23T16:00:00Z', 'OUTAGE', 0],
    ]);
    expect(it.compare(2 * minute).get(0)?.wrong).toEqual([]);
  });
});

describe('R23 to R27: who is silent, and why', () => {
  const names = (it: VirtualHouse) =>
    factsOf(it, 'event')
      .filter(({ source }) => source === 'gateway')
      .map(({ meter, name }) => [meter, name]);
  test('R23: one of 31 silent: told within two polls, once; R25: its log says mains off', async () => {
    const it = await virtualHouse(
      { meters: { count: 31 }, fault: [{ kind: 'power-cut', meter: 4, from_s: 3000, to_s: 30_000 }] },
      { days: 1 },
    );
    it.broker.connect();
    // Dark since 13:10: the row of 14:00 is asked for, and again after the back-off.
    await it.run(105 * minute);
    expect(names(it)).toEqual([['m60120005', 'SUSPECT_MAINS_OR_METER']]);
    await it.run(9 * 60 * minute);
    expect(names(it)).toEqual([
      ['m60120005', 'SUSPECT_MAINS_OR_METER'],
      ['m60120005', 'REACHABLE'],
      ['m60120005', 'MAINS_OFF'],
    ]);
    const off = factsOf(it, 'event').find(({ name }) => name === 'MAINS_OFF');
    expect(off?.detail).toEqual({ from: '2026-11-24T13:10:00Z', to: '2026-11-24T20:40:00Z' });
  });
  test('R23: all silent: one event for the bus, none for the meters; R25: rows were written all the time', async () => {
    const it = await virtualHouse(
      { meters: { count: 31 }, fault: [{ kind: 'silence', from_s: 3000, to_s: 30_000 }] },
      { days: 1 },
    );
    it.broker.connect();
    await it.run(10 * 60 * minute);
    expect(names(it)).toEqual([
      ['_', 'BUS_FAULT'],
      ['_', 'BUS_ANSWERS'],
    ]);
    complete(
      it,
      Array.from({ length: 31 }, (_, i) => i),
    );
  });
  test('R25: one silent on the line only: COMM_FAULT', async () => {
    const it = await virtualHouse(
      { meters: { count: 3 }, fault: [{ kind: 'silence', meter: 1, from_s: 3000, to_s: 30_000 }] },
      { days: 1 },
    );
    it.broker.connect();
    await it.run(10 * 60 * minute);
    expect(names(it)).toEqual([
      ['m60120002', 'SUSPECT_MAINS_OR_METER'],
      ['m60120002', 'REACHABLE'],
      ['m60120002', 'COMM_FAULT'],
    ]);
    complete(it, [0, 1, 2]);
  });
  test('R24, R27: the customer’s switch: told apart from mains off, its events once each, zero is measured', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { days: 1 });
    it.broker.connect();
    await it.run(30 * minute);
    it.simulated.meters[1]?.pressButton(it.clock.now());
    await it.run(3 * 60 * minute);
    expect(names(it)).toEqual([['m60120002', 'SUPPLY_OFF_BY_METER_SWITCH']]);
    const { ports } = await it.house.snapshot();
    expect(ports[0]?.meters.map(({ verdict }) => verdict)).toEqual(['REACHABLE', 'SUPPLY_OFF_BY_METER_SWITCH']);
    it.simulated.meters[1]?.pressButton(it.clock.now());
    await it.run(3 * 60 * minute);
    expect(names(it).at(-1)).toEqual(['m60120002', 'REACHABLE']);
    const manual = factsOf(it, 'event').filter(({ source }) => source === 'meter');
    expect(manual.map(({ code, name, at, log }) => [code, name, at?.slice(0, 16), log])).toEqual([
      [60, 'manual disconnection', '2026-11-24T12:50', '0-0:99.98.2*255'],
      [59, 'disconnector ready for manual reconnection', '2026-11-24T12:50', '0-0:99.98.2*255'],
      [61, 'manual connection', '2026-11-24T15:50', '0-0:99.98.2*255'],
    ]);
    complete(it, [0, 1]);
    // While it was off nothing was consumed, and that is measured.
    const off = it.ingest.values.get(
      valueKey('m60120002', '1-0:99.1.0*255', '1-0:1.8.0*255', Date.UTC(2026, 10, 24, 13)),
    );
    expect(off).toMatchObject({ energy: 0, quality: 'MEASURED' });
  });
  test('R27: events are forwarded once, across restarts', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { days: 1 });
    it.broker.connect();
    for (let i = 0; i < 6; i++) {
      await it.run(20 * minute);
      it.simulated.meters[0]?.pressButton(it.clock.now());
      await it.run(7 * minute);
      await it.clock.complete(it.house.stop());
      await it.restart();
      it.broker.connect();
    }
    await it.run(120 * minute);
    const keys = new Map<string, Set<number>>();
    for (const { log, at, code, occurrence, seq, source } of factsOf(it, 'event')) {
      if (source !== 'meter') continue;
      const key = `${log} ${at} ${code} ${occurrence}`;
      keys.set(key, (keys.get(key) ?? new Set()).add(seq));
    }
    expect(keys.size).toBe(9);
    // The same message may be published again after a reconnect; another message with the same event may not.
    expect([...keys.values()].map(({ size }) => size)).toEqual(Array.from({ length: 9 }, () => 1));
  });
});

describe('R29 to R31: clocks', () => {
  const gatewayEvents = (it: VirtualHouse) =>
    factsOf(it, 'event')
      .filter(({ source }) => source === 'gateway')
      .map(({ name }) => name);
  const offsets = async (offset: number, hours: number, config = '') => {
    const it = await virtualHouse({ meters: { clock_offset_s: offset } }, { days: 1, config });
    it.broker.connect();
    await it.run(hours * 60 * minute);
    const deviation = ((it.simulated.meters[0]?.clock(it.clock.now()) ?? 0) - it.clock.now()) / 1000;
    return { it, deviation };
  };
  test('5 s: corrected after the profile was read; the day is complete', async () => {
    const { it, deviation } = await offsets(5, 3);
    expect(gatewayEvents(it)).toEqual(['CLOCK_SET']);
    expect(Math.abs(deviation)).toBeLessThan(1);
    const set = factsOf(it, 'event').find(({ name }) => name === 'CLOCK_SET');
    expect(set?.detail?.['beforeS']).toBeCloseTo(5, 0);
    expect(it.ingest.counters.conflicts).toBe(0);
    expect([...it.ingest.values.values()].every(({ quality }) => quality === 'MEASURED')).toBe(true);
  });
  test('40 s: told, set once, the interval is uncertain', async () => {
    const { it, deviation } = await offsets(40, 3);
    expect(gatewayEvents(it)).toEqual(['CLOCK_DEVIATION', 'CLOCK_SET']);
    expect(Math.abs(deviation)).toBeLessThan(1);
    const uncertain = [...it.ingest.values].filter(([, { quality }]) => quality === 'UNCERTAIN/clock');
    expect(new Set(uncertain.map(([key]) => key.split('|').at(-1)))).toEqual(
      new Set([String(Date.UTC(2026, 10, 24, 12))]),
    );
    expect(await it.house.gaps()).toMatchObject([
      { state: 'UNCERTAIN/clock', intervals: 1, from: '2026-11-24T12:00:00Z' },
    ]);
  });
  test('90 s: an alarm, and left to the operator; with his word it is set', async () => {
    const left = await offsets(90, 3);
    expect(gatewayEvents(left.it)).toEqual(['CLOCK_ALARM']);
    expect(left.deviation).toBeCloseTo(90, 0);
    const set = await virtualHouse(
      { meters: { clock_offset_s: 90 } },
      { days: 1, gateway: 'set_large_deviations = true' },
    );
    set.broker.connect();
    await set.run(3 * 60 * minute);
    expect(gatewayEvents(set)).toEqual(['CLOCK_ALARM', 'CLOCK_SET']);
  });
  test('R29: the gateway does not know the time: it reads, tags and sets nothing; later the tag is gone', async () => {
    const it = await virtualHouse({ meters: { clock_offset_s: 5 } }, { days: 1 });
    it.timeIsKnown = false;
    it.broker.connect();
    await it.run(10 * minute);
    expect(gatewayEvents(it)).toEqual([]);
    const tagged = factsOf(it, 'profile');
    expect(tagged.length).toBeGreaterThan(0);
    for (const { flags, clockTrust } of tagged) {
      expect(clockTrust).toBe('untrusted');
      expect(flags?.every((own) => own.includes('TIME_UNTRUSTED'))).toBe(true);
    }
    it.timeIsKnown = true;
    await it.run(3 * 60 * minute);
    expect(gatewayEvents(it)).toEqual(['CLOCK_SET']);
    expect(factsOf(it, 'profile').at(-1)).toMatchObject({ clockTrust: 'kernel' });
    expect(factsOf(it, 'profile').at(-1)).not.toHaveProperty('flags');
  });
});

describe('incident: a first start in 1970 planned half a million intervals and told 658 gaps a minute', () => {
  const nothingIsSaid = async (it: VirtualHouse, step: number, trusted: boolean, code = 'time-unknown') => {
    it.clock.wallOffsetMs = step;
    it.timeIsKnown = trusted;
    it.broker.connect();
    await it.run(3 * 60 * minute);
    expect(it.broker.published.filter(({ topic }) => topic.includes('/up/'))).toEqual([]);
    expect((await it.house.snapshot()).store.nextSequence).toBe(1);
    expect(await it.house.stuck()).toBeUndefined();
    const asked = it.house.readNow('m60120001').catch((error: unknown) => error);
    await it.run(minute);
    expect(await asked).toMatchObject({ code });
  };
  const everythingIsRead = async (it: VirtualHouse) => {
    it.clock.wallOffsetMs = 0;
    it.timeIsKnown = true;
    await it.run(8 * minute);
    complete(it, [0, 1]);
    expect(factsOf(it, 'gap')).toEqual([]);
    expect(Math.min(...factsOf(it, 'profile').map(({ start }) => Date.parse(start)))).toBe(it.since);
  };
  test('nothing is planned, numbered or told before the clock is set; then all is read, and no gap was told', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    await nothingIsSaid(it, -56 * 365 * dayMs, false);
    await everythingIsRead(it);
  });
  test('sibling: a kernel that believes itself in 2099, and a disk that fills up meanwhile', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.disk = { freeBytes: 1, totalBytes: 1e9 };
    await nothingIsSaid(it, 73 * 365 * dayMs, true, 'store-failed');
    it.disk = { freeBytes: 1e9, totalBytes: 1e9 };
    await everythingIsRead(it);
  });
  test('sibling: a day ahead, and the meter’s clock names no instant: what has not happened there yet is not missing', async () => {
    const it = await virtualHouse({ meters: { count: 2, quirks: ['clock-without-deviation'] } });
    it.broker.connect();
    it.clock.wallOffsetMs = dayMs;
    it.timeIsKnown = false;
    await it.run(3 * 60 * minute);
    expect(factsOf(it, 'gap')).toEqual([]);
    it.clock.wallOffsetMs = 0;
    it.timeIsKnown = true;
    await it.run(2 * 60 * minute);
    complete(it, [0, 1]);
    expect(factsOf(it, 'gap')).toEqual([]);
  });
  test('a series that begins before any meter’s buffer begins where a buffer may reach back to', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    it.configText = it.configText.replace(/since = "[^"]*"/, 'since = "2000-01-01T00:00:00Z"');
    await it.clock.complete(it.house.stop());
    await it.restart();
    const [open] = await it.house.gaps();
    expect(it.clock.wall() - Date.parse(open?.from ?? '')).toBeLessThan(1102 * dayMs);
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
    it.ingest.told.get('m60120001|1-0:99.1.0*255')?.delete(Date.UTC(2026, 10, 24, 5));
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

describe('R13: other capture objects', () => {
  test.each([
    ['told by the change counter', { device_name: 'SIM1030060120001' }, 'auto'],
    ['seen by the width of the rows', {}, 'generic'],
  ])('%s: CONFIG_CHANGED before any further value, no energy across', async (_, meters, model) => {
    const it = await virtualHouse(
      { meters },
      { days: 1, meter: `client = 17\nauth = "lls"\nsecret = "file:/secret"\nmodel = "${model}"` },
    );
    it.broker.connect();
    await it.run(60 * minute);
    const before = factsOf(it, 'profile').length;
    it.simulated.meters[0]?.reconfigure(it.clock.now());
    await it.run(3 * 60 * minute);
    const changed = factsOf(it, 'event').filter(({ name }) => name === 'CONFIG_CHANGED');
    expect(changed).toHaveLength(1);
    expect(changed[0]?.detail?.['columns']).toBe('0-0:1.0.0*255 0-0:96.10.1*255 1-0:1.8.0*255');
    const after = factsOf(it, 'profile').slice(before);
    expect(after.length).toBeGreaterThan(0);
    for (const { seq, channels } of after) {
      expect(seq).toBeGreaterThan(changed[0]?.seq as number);
      expect(channels.map(({ obis }) => obis)).toEqual(['1-0:1.8.0*255']);
    }
    expect(after[0]?.channels[0]?.energy?.[0]).toBeNull();
    expect(after.at(-1)?.channels[0]?.energy?.[0]).not.toBeNull();
  });
});

test.each([
  ['2026-10-25', Date.UTC(2026, 9, 24, 21), 25, 3600],
  ['2027-03-28', Date.UTC(2027, 2, 27, 22), 23, 3600],
  ['2026-10-25', Date.UTC(2026, 9, 24, 21), 100, 900],
  ['2027-03-28', Date.UTC(2027, 2, 27, 22), 92, 900],
] as const)(
  'R09: %s in Helsinki, from %i: %i intervals of %i s, each with its own UTC start',
  async (_, from, intervals, period) => {
    const it = await virtualHouse(
      { meters: { dst: true, period_s: period } },
      { start: from - 3 * 3_600_000, days: 0 },
    );
    it.broker.connect();
    await it.run(30 * 60 * minute);
    const to = from + intervals * period * 1000;
    const starts = [...it.ingest.values.keys()]
      .filter((key) => key.includes('1-0:1.8.0*255'))
      .map((key) => Number(key.split('|').at(-1)))
      .filter((start) => start >= from && start < to);
    expect(new Set(starts).size).toBe(intervals);
    expect(it.ingest.gaps).toEqual([]);
    const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Helsinki', hour: '2-digit', minute: '2-digit' });
    expect([from, to].map((at) => local.format(at))).toEqual(['00:00', '00:00']);
    const [one] = it.compare(2 * minute).values();
    expect(one?.wrong).toEqual([]);
  },
);

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

describe('R33: the meter of a point is replaced', () => {
  // At 14:37 the old one is taken down, at 14:52 the new one hangs there, at the same address.
  const from = Date.UTC(2026, 10, 24, 14, 37);
  const started = Date.UTC(2026, 10, 24, 12, 20);
  const seconds = (from - started) / 1000;
  async function swapped(
    swap: (old: VirtualMeter, fresh: VirtualMeter) => string,
    toldAfterHours = 3,
    faults: NonNullable<ScenarioInput['fault']> = [
      { kind: 'power-cut', meter: 1, from_s: -40 * 86_400, to_s: seconds + 900 },
    ],
  ) {
    const it = await virtualHouse(
      {
        meters: { count: 2, history_days: 30 },
        meter: [{ index: 1, physical: 1001 }],
        fault: [{ kind: 'power-cut', meter: 0, from_s: seconds, to_s: 90 * 86_400 }, ...faults],
      },
      { days: 1, configured: 1 },
    );
    it.broker.connect();
    await it.run(toldAfterHours * 60 * minute);
    const keys = () => [...it.database.data.keys()].filter((key) => key.startsWith('k/')).length;
    const early = {
      mismatch: factsOf(it, 'event').filter(({ name }) => name === 'IDENTITY_MISMATCH').length,
      foreign: factsOf(it, 'profile').filter(({ serial, start }) => serial !== '60120001' || Date.parse(start) >= from)
        .length,
      held: keys(),
      told: await it.house.quarantine(),
    };
    await it.clock.complete(it.house.stop());
    const [old, fresh] = it.simulated.meters as [VirtualMeter, VirtualMeter];
    it.configText = it.configText.replace('serial = "60120001"', `serial = "60120002"\n${swap(old, fresh)}`);
    await it.restart();
    it.broker.connect();
    await it.run(4 * 60 * minute);
    const value = (hour: number) =>
      it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', Date.UTC(2026, 10, 24, hour)));
    return { it: Object.assign(it, { published: () => early, held: keys }), old, fresh, value };
  }
  const at = (hour: number, min = 0) => millis(Date.UTC(2026, 10, 24, hour, min));
  test('incident: the log of the new meter told of its time on the shelf, and hours of the old one became an outage', async () => {
    const { it } = await swapped(
      () => 'swap = { from = "60120001", at = "2026-11-24T14:52:00Z", final = {}, first = {} }',
      3,
      [
        // Tried out in the workshop in the morning, then without power until it hangs there.
        { kind: 'power-cut', meter: 1, from_s: -40 * 86_400, to_s: seconds - 5 * 3600 },
        { kind: 'power-cut', meter: 1, from_s: seconds - 4 * 3600, to_s: seconds + 900 },
        { kind: 'silence', meter: 1, from_s: -86_400, to_s: seconds + 900 },
        // What the old one counted after 12:50 is lost with it.
        { kind: 'silence', meter: 0, from_s: 1800 },
      ],
    );
    const gaps = factsOf(it, 'gap').filter(({ start }) => start >= '2026-11-24T12:00:00Z');
    expect(new Set(gaps.map(({ cause }) => cause))).toEqual(new Set(['LOST']));
    // What it logged before it hung there is of no point.
    const events = () =>
      factsOf(it, 'event').filter(({ source, serial }) => source === 'meter' && serial === '60120002');
    expect(events().map(({ name, at: stamp }) => [name, stamp])).toEqual([['power up', '2026-11-24T14:52:00Z']]);

    // Incident: the record of its logs was damaged, and the same came of it again.
    await it.clock.complete(it.house.stop());
    const before = factsOf(it, 'gap').length;
    expect(it.database.data.delete('e/m60120001')).toBe(true);
    await it.restart();
    it.broker.connect();
    await it.run(2 * 60 * minute);
    const again = factsOf(it, 'gap').slice(before);
    expect(again.length).toBeGreaterThan(0);
    expect(again.filter(({ cause }) => cause === 'OUTAGE')).toEqual([]);
    expect(new Set(events().map(({ at: stamp }) => stamp))).toEqual(new Set(['2026-11-24T14:52:00Z']));
  });
  test('with both registers the split interval is the sum of both parts, flagged', async () => {
    const { it, old, fresh, value } = await swapped((before, after) => {
      const [final] = before.registers(at(14, 37));
      const [first] = after.registers(at(14, 52));
      return `swap = { from = "60120001", at = "2026-11-24T14:52:00Z", final = { "1-0:1.8.0*255" = ${final} }, first = { "1-0:1.8.0*255" = ${first} } }`;
    });
    const part = (meter: VirtualMeter, start: Millis, end: Millis) =>
      meter.registers(end)[0] - meter.registers(start)[0];
    expect(value(14)).toMatchObject({
      energy: part(old, at(14), at(14, 37)) + part(fresh, at(14, 52), at(15)),
      register: fresh.registers(at(15))[0],
    });
    expect(value(13)).toMatchObject({ register: old.registers(at(14))[0] });
    expect(value(15)).toMatchObject({ energy: part(fresh, at(15), at(16)) });
    const flagged = factsOf(it, 'profile').filter(({ flags }) => flags?.flat().includes('SWAP'));
    expect(flagged.map(({ start, serial }) => [start, serial])).toEqual([['2026-11-24T14:00:00Z', '60120002']]);
    const swap = factsOf(it, 'event').filter(({ name }) => name === 'SWAP');
    expect(swap.map(({ detail }) => [detail?.['from'], detail?.['to'], detail?.['at']])).toEqual([
      ['60120001', '60120002', '2026-11-24T14:52:00Z'],
    ]);
    // Energies add up: what the old meter counted to its end, and the new one from its beginning.
    const values = Array.from({ length: 6 }, (_, i) => Number(value(12 + i)?.energy));
    expect(values.reduce((sum, energy) => sum + energy, 0)).toBe(
      part(old, at(12), at(14, 37)) + part(fresh, at(14, 52), at(18)),
    );
  });
  test('R32: rows of the new meter are held back until the swap is told, then they are the series of the point', async () => {
    const { it, fresh, value } = await swapped(
      () => 'swap = { from = "60120001", at = "2026-11-24T14:52:00Z" }',
      // Held back for two days before anybody told the gateway.
      50,
    );
    const early = it.published();
    expect(early.mismatch).toBe(1);
    // Nothing of the other meter went out under the old point.
    expect(early.foreign).toBe(0);
    expect(early.held).toBeGreaterThan(0);
    expect(early.told).toMatchObject([{ meter: 'm60120001', serial: '60120002', from: '2026-11-24T00:00:00Z' }]);
    for (let hour = 15; hour < 24; hour++) expect(value(hour)?.register).toBe(fresh.registers(at(hour + 1))[0]);
    expect(it.ingest.counters.conflicts).toBe(0);
    expect(it.held()).toBe(0);
    expect(factsOf(it, 'event').filter(({ name }) => name === 'SWAP')).toHaveLength(1);
  });
  test('incident: the head-end lost what only the old meter had, asked again, and was never answered (harsh simulation, seed 601)', async () => {
    const { it } = await swapped(
      () => `swap = { from = "60120001", at = "${new Date(from + 900_000).toISOString()}" }`,
    );
    const before = factsOf(it, 'gap').length;
    it.broker.send(
      'amr/v1/t1/g1/down/again',
      JSON.stringify({
        meter: 'm60120001',
        series: '1-0:99.1.0*255',
        from: '2026-11-24T03:00:00Z',
        to: '2026-11-24T06:00:00Z',
      }),
    );
    await it.run(10 * minute);
    const [told] = factsOf(it, 'gap').slice(before);
    expect(told).toMatchObject({ start: '2026-11-24T03:00:00Z', end: '2026-11-24T06:00:00Z', cause: 'LOST' });
    expect(it.ingest.counters.conflicts).toBe(0);
  });

  test('without the registers: two partial spans, no interval energy across the change', async () => {
    const { it, fresh, value } = await swapped(() => '');
    expect(value(14)).toMatchObject({ energy: null, register: fresh.registers(at(15))[0] });
    expect(value(15)?.energy).toBe(fresh.registers(at(16))[0] - fresh.registers(at(15))[0]);
    expect(factsOf(it, 'event').filter(({ name }) => name === 'SWAP')).toHaveLength(1);
  });
});

describe('R16: the meter’s buffer does not reach back far enough', () => {
  test('LOST with exact bounds within one poll, DATA_AT_RISK before it', async () => {
    const it = await virtualHouse({ meters: { depth_days: 5, history_days: 40 } }, { days: 10 });
    it.broker.connect();
    await it.run(10 * minute);
    const gaps = it.ingest.gaps.filter((gap) => gap.kind === 'gap');
    // Started at 12:20: the oldest of 120 rows is stamped 2026-11-19T13:00.
    expect(gaps).toMatchObject([
      { start: '2026-11-14T00:00:00Z', end: '2026-11-19T12:00:00Z', cause: 'LOST', before: null, rev: 0 },
    ]);
    expect(gaps[0]?.after).not.toBeNull();
    expect(factsOf(it, 'event').map(({ name }) => name)).toEqual(['DATA_AT_RISK']);
    const { expected, right } = it.compare(2 * minute).get(0) as { expected: number; right: number };
    // The oldest row has its register, and no row before it to give it an energy.
    expect(expected - right).toBe((Date.UTC(2026, 10, 19, 12) - Date.UTC(2026, 10, 14)) / 3_600_000 + 1);
  });
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
  const said = factsOf(it, 'event').filter(({ name }) => name === 'DATA_AT_RISK');
  expect(said.map(({ meter }) => meter)).toEqual(['m60120001']);
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
    const said = late.flatMap(({ start, rev, reason, count, periodS }) =>
      Array.from({ length: count }, (_, i) => [
        new Date(Date.parse(start) + i * periodS * 1000).toISOString(),
        rev[i],
        reason?.[i],
      ]),
    );
    expect(said).toEqual([
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

describe('what the head-end lost is said again', () => {
  const profile = '1-0:99.1.0*255';
  test('ten hours that it had acknowledged: the same values at the same revisions, and nothing else', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.broker.connect();
    await it.run(6 * minute);
    complete(it, [0, 1]);
    const kept = new Map(it.ingest.values);
    const from = it.since + 5 * 60 * minute;
    const to = from + 10 * 60 * minute;
    for (const key of kept.keys()) {
      const at = Number(key.split('|').at(-1));
      if (key.startsWith('m60120001') && at >= from && at < to) it.ingest.values.delete(key);
    }
    expect(it.ingest.values.size).toBe(kept.size - 20);
    const messages = it.broker.published.length;
    // Off the grid: whole intervals are said again.
    const asked = it.house.sayAgain('m60120001', profile, from + 1, to - 1);
    await it.run(3 * minute);
    expect(await asked).toBe(10);
    expect(it.ingest.values).toEqual(kept);
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

test('incident: a meter whose clock is two hours behind was asked for its newest row every 20 seconds', async () => {
  const it = await virtualHouse({ meters: { count: 1 }, meter: [{ index: 0, clock_offset_s: -7200 }] });
  it.broker.connect();
  await it.run(5 * minute);
  const octets = it.simulated.bus.octetsIn;
  await it.run(60 * minute);
  // A session is some 430 octets to the meter; every ten minutes is enough.
  expect(it.simulated.bus.octetsIn - octets).toBeLessThan(8 * 500);
  const { ports } = await it.house.snapshot();
  expect(ports[0]?.meters[0]).toMatchObject({
    verdict: 'REACHABLE',
    clockDeviationS: expect.closeTo(-7200, 0) as number,
  });
});

describe('ciphered meters', () => {
  const gmac = 'client = 5\nauth = "hls-gmac"\nencryption_key = "file:/ek"\nauthentication_key = "file:/ak"';
  test('HLS by GMAC, suite 0: complete, hour by hour', async () => {
    const it = await virtualHouse({ meters: { count: 3 } }, { meter: gmac });
    it.broker.connect();
    await it.run(5 * minute);
    complete(it, [0, 1, 2]);
    await it.run(60 * minute);
    complete(it, [0, 1, 2]);
  });
  test.each(['hls-md5', 'hls-sha1', 'hls-sha256'])('%s', async (mechanism) => {
    const client = { 'hls-md5': 3, 'hls-sha1': 4, 'hls-sha256': 6 }[mechanism];
    const it = await virtualHouse(
      { meters: { count: 1 } },
      { meter: `client = ${client}\nauth = "${mechanism}"\nsecret = "file:/secret"` },
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
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: `${gmac}\ndedicated_key = true` });
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

test('the adapter is pulled out and comes back: the port is opened again by itself', async () => {
  const it = await virtualHouse({ meters: { count: 2 } });
  it.broker.connect();
  await it.run(4000);
  it.port?.unplug();
  await it.run(3 * minute);
  complete(it, [0, 1]);
  expect((await it.house.snapshot()).ports[0]).toMatchObject({ open: true });
});

test('pulled out in every phase of a session: the next ones read what it did not', async () => {
  // A session of a meter that is a day behind takes about two seconds from its first frame.
  for (let phase = 0; phase < 40; phase++) {
    const it = await virtualHouse({ bus: { turnaround_ms: 60 }, meters: { count: 1 } }, { days: 1 });
    it.broker.connect();
    await it.run(phase * 60 + 5);
    it.port?.unplug();
    await it.run(2 * minute);
    complete(it, [0]);
    expect(it.ingest.counters.gaps, `phase ${phase}`).toBe(0);
  }
});

test('24 hours of noise on the line: every row comes through, and none is wrong', async () => {
  const it = await virtualHouse({ meters: { count: 3 } }, { days: 1 });
  it.broker.connect();
  const random = seeded(11);
  for (let second = 0; second < 24 * 3600; second += 5) {
    // Flags and addresses are among it, whole short frames are not unlikely.
    const octets = Array.from({ length: 1 + Math.floor(random() * 30) }, () =>
      random() < 0.2 ? 0x7e : Math.floor(random() * 256),
    );
    it.port?.hear(Uint8Array.from(octets));
    await it.run(5000);
  }
  complete(it, [0, 1, 2]);
  expect(it.ingest.counters.gaps).toBe(0);
});

test('another meter at a configured address: nothing of it is taken', async () => {
  const it = await virtualHouse({ meters: { count: 2 } });
  // Both answer at the first one's address formula only if serials agree; here the second answers with a foreign serial.
  const second = it.simulated.meters[1] as unknown as { settings: { serial: number } };
  const configured = second.settings.serial;
  Object.defineProperty(second, 'settings', { value: { ...second.settings, serial: 77 } });
  (second as unknown as { powerUp(): void }).powerUp();
  it.broker.connect();
  await it.run(5 * minute);
  const { ports } = await it.house.snapshot();
  expect(ports[0]?.meters[1]).toMatchObject({ verdict: 'IDENTITY_MISMATCH', intervalsRead: 0 });
  expect([...it.ingest.values.keys()].some((key) => key.startsWith(`m${configured}`))).toBe(false);
});

describe('meter models', () => {
  /** How often the capture objects of the load profile were asked for. */
  async function askedFor(days: number, scenario: Parameters<typeof virtualHouse>[0], model: string) {
    const it = await virtualHouse(scenario, {
      meter: `client = 17\nauth = "lls"\nsecret = "file:/secret"\nmodel = "${model}"`,
    });
    it.broker.connect();
    const { bus } = it.simulated;
    const receive = bus.receive.bind(bus);
    let asked = 0;
    bus.receive = (octets, now) => {
      if (Buffer.from(octets).toString('hex').includes('00070100630100ff03')) asked++;
      receive(octets, now);
    };
    await it.run(days * dayMs);
    const [one] = it.compare(120_000).values();
    expect(one?.wrong).toEqual([]);
    expect(one?.right).toBe(one?.expected);
    await it.clock.complete(it.house.stop());
    return asked;
  }
  const idis = { meters: { device_name: 'SIM1030060120001' } };
  test('auto: found out by the name; the layout is read once, for the change counter proves it', async () => {
    // Once as the generic model, before the name was known, and once as IDIS.
    expect(await askedFor(3, idis, 'auto')).toBeLessThanOrEqual(2);
  });
  test('without a change counter the layout is read again every day', async () => {
    expect(await askedFor(3, {}, 'auto')).toBeGreaterThanOrEqual(3);
    expect(await askedFor(3, idis, 'generic')).toBeGreaterThanOrEqual(3);
  });
});
