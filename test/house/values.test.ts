/** The whole house, and meters whose profiles hold more than registers, tell no scaler, or stamp beside the grid. */
import { describe, expect, test } from 'vitest';
import { later, millis } from '../../src/base/time.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { genericModel } from '../../src/meter/model.ts';
import { onGrid } from '../../src/reading/grid.ts';
import { accountFor } from '../../src/reading/interval-block.ts';
import { meterWorld, profile, start } from '../support/meter-world.ts';
import { eventsOf, factsOf, statusOf, hourMs } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const minute = 60_000;
const allRight = (it: VirtualHouse) => {
  const [one] = it.compare(hourMs).values();
  expect(one?.wrong).toEqual([]);
  expect(one?.right).toBe(one?.expected);
  expect(one?.expected).toBeGreaterThan(20);
};

describe('columns that are no energies', () => {
  test('incident: a counter of power failures gave its neighbours REGISTER_BACKWARD, and turned OUTAGE into MISSING', async () => {
    const it = await virtualHouse(
      {
        meters: { count: 1, quirks: ['odd-columns'] },
        // Over midnight, when the counter is set to zero.
        fault: [{ kind: 'power-cut', meter: 0, from_s: -16 * 3600, to_s: -9 * 3600 }],
      },
      { days: 1 },
    );
    it.broker.connect();
    await it.run(10 * minute);
    const blocks = factsOf(it, 'profile');
    expect(new Set(blocks.flatMap(({ quality }) => quality))).toEqual(new Set(['MEASURED']));
    expect(new Set(factsOf(it, 'gap').map(({ cause }) => cause))).toEqual(new Set(['OUTAGE']));
    const channels = blocks.flatMap((block) => block.channels);
    const kinds = new Map(
      channels.map(({ obis, register, energy, value }) => [obis, [register, energy, value].map((one) => Boolean(one))]),
    );
    expect(Object.fromEntries(kinds)).toEqual({
      '1-0:1.8.0*255': [true, true, false],
      '1-0:2.8.0*255': [true, true, false],
      '0-0:96.7.21*255': [false, false, true],
      '1-0:1.6.0*255': [false, false, true],
      // Two columns of one object are two channels.
      '0-0:96.8.0*255#1': [false, false, true],
      '0-0:96.8.0*255#2': [false, false, true],
    });
    // Edges of gaps hold registers only.
    expect(Object.keys(factsOf(it, 'gap')[0]?.before ?? {})).toEqual(['1-0:1.8.0*255', '1-0:2.8.0*255']);
    await it.house.stop();
  });

  test('columns that are left out are said once', async () => {
    const it = await virtualHouse({ meters: { count: 1, quirks: ['odd-columns'] } }, { days: 1 });
    it.broker.connect();
    await it.run(26 * hourMs);
    expect(eventsOf(it, 'COLUMNS_LEFT_OUT').map(({ detail }) => detail)).toEqual([
      { series: '1-0:99.1.0*255', columns: '1-0:1.6.0*255:5' },
    ]);
    allRight(it);
    await it.house.stop();
  });

  const words = { power_down: [20], daylight_saving: [1], clock_adjusted: [2] };
  test.each([
    [
      'status-elsewhere',
      { status_column: { object: '0-0:96.240.12*255', attribute: 18 }, status_bits: words },
      'OUTAGE',
    ],
    ['status-mapping', { status_column: { object: '0-0:96.5.1*255', attribute: 2 }, status_bits: words }, 'OUTAGE'],
    // Nobody says what its bits mean: nothing is proven, and nothing is uncertain by them.
    ['status-elsewhere', { status_column: { object: '0-0:96.240.12*255', attribute: 18 } }, 'MISSING'],
    ['status-elsewhere', {}, 'MISSING'],
  ] as const)('a status word under another code: %s, the model %j: %s', async (quirk, more, cause) => {
    const model = { ...genericModel, ...more };
    const world = meterWorld(
      {
        meters: { quirks: [quirk] },
        fault: [{ kind: 'power-cut', meter: 0, from_s: -10 * 3600, to_s: -4 * 3600 - 1201 }],
      },
      { model },
    );
    const { clock, session } = world;
    const from = later(start, -20 * hourMs - 20 * minute);
    const to = later(start, -20 * minute);
    const rows = await clock.complete(
      (async () => {
        await session.connect();
        return readRange({ session, layout: await readLayout(session, profile, model), model }, from, to);
      })(),
    );
    const accounted = accountFor({
      origin: { meter: 'm', point: 'p', serial: 's' },
      series: '1-0:99.1.0*255',
      rows,
      from,
      to,
      periodMs: hourMs,
      openAfter: to,
      readAt: start,
      clockDeviationMs: 0,
      clockTrust: 'system',
    });
    expect(accounted.gaps.map((gap) => gap.cause)).toEqual([cause]);
    const channels = new Set(accounted.blocks.flatMap((block) => block.channels));
    expect([...channels].every(({ obis, energy }) => obis.startsWith('1-0:') || energy === undefined)).toBe(true);
    expect(new Set(accounted.blocks.flatMap(({ quality }) => quality))).toEqual(new Set(['MEASURED']));
  });
});

describe('scaler and unit', () => {
  test('incident: refused, the values were MEASURED with no word of it', async () => {
    const it = await virtualHouse({ meters: { count: 1, quirks: ['scaler-refused'] } }, { days: 1 });
    it.broker.connect();
    await it.run(3 * hourMs);
    const blocks = factsOf(it, 'profile');
    expect(new Set(blocks.flatMap(({ quality }) => quality))).toEqual(new Set(['UNCERTAIN/device']));
    for (const { scaler, unit, note } of blocks.flatMap(({ channels }) => channels))
      expect([scaler, unit, note]).toEqual([null, null, 'SCALER_UNKNOWN']);
    expect(eventsOf(it, 'SCALER_UNKNOWN')).toMatchObject([
      { detail: { objects: expect.stringContaining('1-0:1.8.0*255 refused: read-write-denied') } },
    ]);
    expect((await statusOf(it)).alarms.join()).toContain('SCALER_UNKNOWN: 1-0:99.1.0*255 captures objects');
    // The register stands as it is, and so does what was counted.
    allRight(it);
    await it.house.stop();
  });

  test.each(['scaler-unsigned', 'scaler-long'] as const)('%s is understood', async (quirk) => {
    const it = await virtualHouse({ meters: { count: 1, quirks: [quirk] } }, { days: 1 });
    it.broker.connect();
    await it.run(10 * minute);
    const channels = factsOf(it, 'profile').flatMap((block) => block.channels);
    expect(new Set(channels.map(({ scaler, unit, note }) => `${scaler} ${unit} ${note}`))).toEqual(
      new Set(['-3 Wh undefined']),
    );
    expect(eventsOf(it, 'SCALER_UNKNOWN')).toEqual([]);
    await it.house.stop();
  });

  test('an upgrade: the layout of a series whose scalers were not understood then is no other one now', async () => {
    const it = await virtualHouse({ meters: { count: 1, quirks: ['scaler-refused'] } }, { days: 1 });
    it.broker.connect();
    await it.run(10 * minute);
    const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
    // The meter tells its scalers now, as a version that understands them would find.
    meter?.quirks.splice(0);
    await it.run(3 * hourMs);
    expect(eventsOf(it, 'CONFIG_CHANGED')).toEqual([]);
    expect((await statusOf(it)).alarms).toEqual([]);
    const last = factsOf(it, 'profile').at(-1);
    expect([last?.quality.at(-1), last?.channels[0]?.scaler, last?.channels[0]?.energy?.includes(null)]).toEqual([
      'MEASURED',
      0,
      false,
    ]);
    await it.house.stop();
  });
});

describe('rows a second or two beside the grid', () => {
  test.each([3600, 900] as const)(
    'incident: every interval twice, one of them MISSING (period %i s)',
    async (period_s) => {
      const it = await virtualHouse({ meters: { count: 1, period_s, quirks: ['stamps-beside-grid'] } }, { days: 1 });
      it.broker.connect();
      await it.run(26 * hourMs);
      allRight(it);
      expect(factsOf(it, 'gap')).toEqual([]);
      const seen = new Map<number, number>();
      const blocks = factsOf(it, 'profile');
      for (const { start: from, count, periodS, quality, stampedOffS, rev } of blocks) {
        expect(periodS).toBe(period_s);
        for (let i = 0; i < count; i++) {
          const at = Date.parse(from) + i * periodS * 1000;
          seen.set(at, (seen.get(at) ?? 0) + 1);
          const even = new Date(at + periodS * 1000).getUTCHours() % 2 === 0;
          // The hour of the stamp itself: two seconds before an odd hour it is even.
          expect([quality[i], rev[i], stampedOffS?.[i]]).toEqual(['MEASURED', 0, even ? 1 : -2]);
        }
      }
      expect(new Set(seen.values())).toEqual(new Set([1]));
      expect(it.store.seriesState('m60120001', storedSeriesKey(profile))).toMatchObject({ exceptions: [] });
      await it.house.stop();
    },
  );

  test('two rows that fall on one point are both said, uncertain (R11); further off they keep their own bounds', () => {
    const row = (s: number, register: number) => ({
      start: null,
      end: millis(start - 20 * minute + s * 1000),
      clock: null,
      status: 0,
      channels: [{ key: '1-0:1.8.0*255', scalerUnit: undefined, kind: 'register' as const }],
      cells: [register],
    });
    const rows = [row(-3600, 1), row(0, 2), row(12, 3), row(31, 4), row(3600, 5)].map((one) =>
      onGrid(one, hourMs, 30_000),
    );
    expect(rows.map(({ end, besideMs }) => [(end as number) - start + 20 * minute, besideMs])).toEqual([
      [-3_600_000, undefined],
      [0, undefined],
      [0, 12_000],
      [31_000, undefined],
      [3_600_000, undefined],
    ]);
    expect(onGrid(row(-29, 1), hourMs, 30_000)).toMatchObject({ besideMs: -29_000 });
    expect(onGrid(row(20, 1), 60_000, 30_000).besideMs).toBeUndefined();
    expect(onGrid(row(1, 1), hourMs, 0).besideMs).toBeUndefined();
  });
});
