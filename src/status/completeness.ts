/** What became of each interval of the newest days, one character for each: for the heat map. */
import { iso, millis } from '../base/time.ts';
import { obis, type ObisCode } from '../dlms/cosem/logical-name.ts';
import type { AccountedSeries } from '../schedule/manifest.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';

/**
 * a: measured, and the head-end has it. m: measured, and the head-end has not said that it has it. u: measured, and
 * uncertain. o: no power. x: missing. l: lost, it cannot come any more. p: not read yet. -: not of this series.
 */
export const markMeanings = {
  a: 'measured and acknowledged',
  m: 'measured, not acknowledged yet',
  u: 'measured, uncertain',
  o: 'no power',
  x: 'missing',
  l: 'lost',
  p: 'not read yet',
  '-': 'not due, or before the series began',
} as const;
type Mark = keyof typeof markMeanings;
const markOf: Readonly<Record<SeriesGap['state'], Mark>> = {
  PENDING: 'p',
  UNACKNOWLEDGED: 'm',
  'UNCERTAIN/device': 'u',
  'UNCERTAIN/clock': 'u',
  REGISTER_BACKWARD: 'u',
  MISSING: 'x',
  OUTAGE: 'o',
  LOST: 'l',
  STORE_DAMAGED: 'l',
};
/** What is worse is shown where two are true. */
const rank: readonly Mark[] = ['a', 'm', 'u', 'o', 'p', 'x', 'l'];

export interface Completeness {
  readonly from: string;
  readonly to: string;
  readonly series: readonly {
    readonly meter: string;
    /** OBIS code of the profile. */
    readonly series: ObisCode;
    readonly periodS: number;
    /** Start of the first interval. */
    readonly from: string;
    readonly marks: string;
  }[];
}

/** `now`: intervals that end after it are not due. */
export function completenessOf(
  all: readonly AccountedSeries[],
  gaps: readonly SeriesGap[],
  days: number,
  now: number,
): Completeness {
  const low = Math.floor((now - days * 86_400_000) / 3_600_000) * 3_600_000;
  const ofMeter = Map.groupBy(gaps, ({ meter }) => meter);
  const series = all.map(({ origin: { meter }, profile, periodMs, since, until }) => {
    const name = obis(profile);
    const from = Math.floor(low / periodMs) * periodMs;
    const count = Math.max(0, Math.floor((now - from) / periodMs));
    const marks = Array.from({ length: count }, (_, i): Mark => {
      const start = from + i * periodMs;
      return start < since || (until !== undefined && start >= until) ? '-' : 'a';
    });
    for (const gap of ofMeter.get(meter) ?? []) {
      if (gap.series !== name || gap.periodS * 1000 !== periodMs) continue;
      const mark = markOf[gap.state];
      const last = Math.min(count, Math.ceil((Date.parse(gap.to) - from) / periodMs));
      for (let i = Math.max(0, Math.floor((Date.parse(gap.from) - from) / periodMs)); i < last; i++)
        if (marks[i] !== '-' && rank.indexOf(mark) > rank.indexOf(marks[i] as Mark)) marks[i] = mark;
    }
    return { meter, series: name, periodS: periodMs / 1000, from: iso(millis(from)), marks: marks.join('') };
  });
  return { from: iso(millis(low)), to: iso(millis(now)), series };
}
