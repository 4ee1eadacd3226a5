/** The whole house, and another meter, or another layout, where one was known. */
import { describe, expect, test } from 'vitest';
import { dayMs, type Millis, millis } from '../../src/base/time.ts';
import { valueKey } from '../support/memory-central.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { lls } from '../support/configuration.ts';

describe('R13: other capture objects', () => {
  test.each([
    ['told by the change counter', { device_name: 'SIM1030060120001' }, 'auto'],
    ['seen by the width of the rows', {}, 'generic'],
  ])('%s: CONFIG_CHANGED before any further value, no energy across', async (_, meters, model) => {
    const it = await virtualHouse({ meters }, { days: 1, meter: { ...lls, model } });
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

describe('R13: the commissioned record', () => {
  const serial = '60120001';
  const profile = '1-0:99.1.0*255';
  const was = {
    serial,
    profile,
    periodS: 3600,
    fingerprint: '0',
    currentTransformer: '200/5',
    voltageTransformer: null,
  } as const;
  const started = async (more: Partial<typeof was> | Record<string, string>, meters: ScenarioInput['meters'] = {}) => {
    const known = { ...was, ...more };
    const it = await virtualHouse(
      { meters: { current_transformer: '200/5', ...meters } },
      { days: 1, meter: lls, commissioned: (meter) => (meter === `m${serial}` ? known : undefined) },
    );
    it.broker.connect();
    await it.run(30 * minute);
    const changed = factsOf(it, 'event').filter(({ name }) => name === 'CONFIG_CHANGED');
    return { it, changed, rows: factsOf(it, 'profile') };
  };
  test('a meter that captures otherwise than it was commissioned with: said before its first value, once', async () => {
    const { it, changed, rows } = await started({});
    expect(changed.map(({ detail }) => detail?.['before'])).toEqual(['0']);
    expect(rows.length).toBeGreaterThan(0);
    for (const { seq } of rows) expect(seq).toBeGreaterThan(changed[0]?.seq as number);
    await it.run(5 * 60 * minute);
    expect(factsOf(it, 'event').filter(({ name }) => name === 'CONFIG_CHANGED')).toHaveLength(1);
    // As it is now it was commissioned: nothing is said.
    const now = changed[0]?.detail?.['now'] as string;
    expect((await started({ fingerprint: now })).changed).toEqual([]);
    // Of another meter that hung here nothing follows.
    expect((await started({ serial: '7' })).changed).toEqual([]);
  });
  test('another transformer ratio is said before any value', async () => {
    const { changed: layouts } = await started({});
    const fingerprint = layouts[0]?.detail?.['now'] as string;
    const { it, changed, rows } = await started({ fingerprint }, { current_transformer: '400/5' });
    expect(changed.map(({ detail }) => [detail?.['before'], detail?.['now']])).toEqual([
      ['CT 200/5, VT none', 'CT 400/5, VT none'],
    ]);
    expect(rows.length).toBeGreaterThan(0);
    for (const { seq } of rows) expect(seq).toBeGreaterThan(changed[0]?.seq as number);
    await it.run(5 * 60 * minute);
    expect(factsOf(it, 'event').filter(({ name }) => name === 'CONFIG_CHANGED')).toHaveLength(1);
    const { ports } = await it.house.snapshot();
    expect(JSON.stringify(ports)).toContain('nothing is to be billed by the old factor');
  });
});

describe('R33: the meter of a point is replaced', () => {
  // At 14:37 the old one is taken down, at 14:52 the new one hangs there, at the same address.
  const from = Date.UTC(2026, 10, 24, 14, 37);
  const started = Date.UTC(2026, 10, 24, 12, 20);
  const seconds = (from - started) / 1000;
  async function swapped(
    swap: (old: VirtualMeter, fresh: VirtualMeter) => string,
    swapAfterHours = 3,
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
    await it.run(swapAfterHours * 60 * minute);
    const keys = () => [...it.database.data.keys()].filter((key) => key.startsWith('k/')).length;
    const early = {
      mismatch: factsOf(it, 'event').filter(({ name }) => name === 'IDENTITY_MISMATCH').length,
      foreign: factsOf(it, 'profile').filter(({ serial, start }) => serial !== '60120001' || Date.parse(start) >= from)
        .length,
      held: keys(),
      quarantine: await it.house.quarantine(),
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
    expect(early.quarantine).toMatchObject([{ meter: 'm60120001', serial: '60120002', from: '2026-11-24T00:00:00Z' }]);
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
    const [gap] = factsOf(it, 'gap').slice(before);
    expect(gap).toMatchObject({ start: '2026-11-24T03:00:00Z', end: '2026-11-24T06:00:00Z', cause: 'LOST' });
    expect(it.ingest.counters.conflicts).toBe(0);
  });

  test('without the registers: two partial spans, no interval energy across the change', async () => {
    const { it, fresh, value } = await swapped(() => '');
    expect(value(14)).toMatchObject({ energy: null, register: fresh.registers(at(15))[0] });
    expect(value(15)?.energy).toBe(fresh.registers(at(16))[0] - fresh.registers(at(15))[0]);
    expect(factsOf(it, 'event').filter(({ name }) => name === 'SWAP')).toHaveLength(1);
  });
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
      meter: { ...lls, model },
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
