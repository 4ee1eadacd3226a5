/** The whole house, and meters and lines that fail: who is silent and why, what is a gap, and what comes through all the same. */
import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { valueKey } from '../support/memory-central.ts';
import { seeded } from '../../src/simulator/random.ts';
import { complete, factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';

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
