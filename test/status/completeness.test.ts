import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { parseLogicalName } from '../../src/dlms/cosem/logical-name.ts';
import type { AccountedSeries } from '../../src/schedule/manifest.ts';
import type { SeriesGap } from '../../src/schedule/series-gaps.ts';
import { completenessOf } from '../../src/status/completeness.ts';

const at = (text: string) => millis(Date.parse(`2026-11-28T${text}:00Z`));
const profile = parseLogicalName('1-0:99.1.0*255');
const seriesOf = (meter: string, more: Partial<AccountedSeries> = {}): AccountedSeries => ({
  origin: { meter, point: 'p', serial: '1' },
  series: 'k' as unknown as AccountedSeries['series'],
  profile,
  periodMs: 3_600_000,
  since: at('00:00'),
  ...more,
});
const gap = (meter: string, from: string, to: string, state: SeriesGap['state'], periodS = 3600): SeriesGap =>
  ({
    meter,
    series: '1-0:99.1.0*255',
    periodS,
    from: `2026-11-28T${from}:00Z`,
    to: `2026-11-28T${to}:00Z`,
    state,
  }) as unknown as SeriesGap;

describe('one character for each interval', () => {
  test('what is in no gap is measured and acknowledged; what has not ended is not there', () => {
    const found = completenessOf([seriesOf('m1')], [], 1, at('06:30'));
    expect(found.series).toEqual([
      {
        meter: 'm1',
        series: '1-0:99.1.0*255',
        periodS: 3600,
        from: '2026-11-27T06:00:00Z',
        // Eighteen hours before the series began, then six that have ended.
        marks: `${'-'.repeat(18)}aaaaaa`,
      },
    ]);
  });
  test('each state has its mark, and of two that overlap the worse is shown', () => {
    const gaps = [
      gap('m1', '00:00', '01:00', 'UNACKNOWLEDGED'),
      gap('m1', '01:00', '02:00', 'UNCERTAIN/clock'),
      gap('m1', '02:00', '03:00', 'OUTAGE'),
      gap('m1', '03:00', '04:00', 'LOST'),
      gap('m1', '04:00', '05:00', 'MISSING'),
      gap('m1', '04:00', '05:00', 'UNACKNOWLEDGED'),
      gap('m1', '05:00', '06:00', 'PENDING'),
      // Of others: a meter, a period.
      gap('m2', '00:00', '06:00', 'LOST'),
      gap('m1', '00:00', '06:00', 'LOST', 900),
    ];
    expect(completenessOf([seriesOf('m1')], gaps, 1, at('06:00')).series[0]?.marks.slice(-6)).toBe('muolxp');
  });
  test('a series that ended owes nothing behind its end, and a gap before its begin is none', () => {
    const series = seriesOf('m1', { since: at('02:00'), until: at('04:00') });
    const gaps = [gap('m1', '00:00', '06:00', 'MISSING')];
    expect(completenessOf([series], gaps, 1, at('06:00')).series[0]?.marks.slice(-6)).toBe('--xx--');
  });
  test('500 meters, 31 days, a gap each day: one answer', () => {
    const meters = Array.from({ length: 500 }, (_, i) => `m${i}`);
    const since = millis(at('00:00') - 31 * 86_400_000);
    const gaps = meters.flatMap((meter) =>
      Array.from({ length: 31 }, (_, day): SeriesGap => {
        const from = since + day * 86_400_000;
        const iso = (ms: number) => new Date(ms).toISOString();
        return { ...gap(meter, '00:00', '01:00', 'OUTAGE'), from: iso(from), to: iso(from + 3_600_000) };
      }),
    );
    const { series } = completenessOf(
      meters.map((meter) => seriesOf(meter, { since })),
      gaps,
      31,
      at('00:00'),
    );
    expect(series).toHaveLength(500);
    for (const { marks } of series) expect(marks).toBe(`o${'a'.repeat(23)}`.repeat(31));
  });
});
