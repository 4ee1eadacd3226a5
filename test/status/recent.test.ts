import { describe, expect, test } from 'vitest';
import type { Fact, ProfileFact } from '../../src/reading/facts.ts';
import { RecentFacts } from '../../src/status/recent.ts';

const day = 86_400_000;
const now = Date.parse('2026-11-28T12:00:00Z');
function profileOf(
  meter: string,
  start: number,
  count: number,
  energy: readonly (number | string | null)[],
): ProfileFact {
  return {
    kind: 'profile',
    meter,
    series: '1-0:99.1.0*255',
    periodS: 3600,
    start: new Date(start).toISOString(),
    count,
    quality: energy.map((one) => (one === null ? 'MISSING' : 'MEASURED')),
    channels: [
      {
        obis: '1-0:1.8.0*255',
        unit: 'Wh',
        scaler: 0,
        energy,
        register: energy.map((one, i) => (one === null ? null : 100 + i)),
      },
    ],
  } as unknown as ProfileFact;
}

describe('what was stored lately', () => {
  test('rows come in the order of time, the newest word for each, and nothing is invented where nothing was measured', () => {
    const recent = new RecentFacts();
    recent.add([profileOf('m1', now - 3_600_000, 1, [7]), profileOf('m1', now - 3 * 3_600_000, 2, [5, null])]);
    recent.add([profileOf('m1', now - 3 * 3_600_000, 1, [6])]);
    const [series] = recent.intervalsOf('m1', 1, now).series;
    expect(series?.rows).toEqual([
      { start: '2026-11-28T09:00:00.000Z', quality: 'MEASURED', values: [{ energy: '6', register: '100' }] },
      { start: '2026-11-28T10:00:00.000Z', quality: 'MISSING', values: [{ energy: null, register: null }] },
      { start: '2026-11-28T11:00:00.000Z', quality: 'MEASURED', values: [{ energy: '7', register: '100' }] },
    ]);
    expect(recent.intervalsOf('m2', 1, now)).toEqual({ meter: 'm2', series: [], registers: null });
  });
  test('a large number stays as it was read', () => {
    const recent = new RecentFacts();
    recent.add([profileOf('m1', now - 3_600_000, 1, ['9007199254740993'])]);
    expect(recent.intervalsOf('m1', 1, now).series[0]?.rows[0]?.values[0]?.energy).toBe('9007199254740993');
  });
  test('events are the newest first, and bounded', () => {
    const recent = new RecentFacts();
    for (let i = 0; i < 1000; i++)
      recent.add([
        {
          kind: 'event',
          meter: i % 2 ? 'm1' : '_',
          at: new Date(now + i).toISOString(),
          name: 'STORE_REPAIRED',
          source: 'gateway',
          detail: { i },
        } as unknown as Fact,
      ]);
    const events = recent.newestEvents();
    expect([events.length, events[0]?.detail, events[0]?.meter, events[1]?.meter]).toEqual([
      400,
      { i: 999 },
      'm1',
      null,
    ]);
  });
  test('500 meters with weeks of quarter hours: the memory is bounded, and every meter keeps its newest day', () => {
    const recent = new RecentFacts();
    for (let back = 20; back > 0; back--)
      for (let meter = 0; meter < 500; meter++)
        recent.add([
          profileOf(
            `m${meter}`,
            now - back * day,
            24,
            Array.from({ length: 24 }, (_, i) => i),
          ),
        ]);
    let rows = 0;
    for (let meter = 0; meter < 500; meter++) {
      const own = recent.intervalsOf(`m${meter}`, 14, now).series[0]?.rows ?? [];
      rows += own.length;
      expect(own.at(-1)?.start).toBe('2026-11-28T11:00:00.000Z');
      expect(own.length).toBeGreaterThanOrEqual(24);
    }
    expect(rows).toBeLessThanOrEqual(60_000);
  });
});
