/** The account of one UTC day: every expected interval in exactly one state, and a digest of what was said. */
import { dayMs, iso, type Millis, millis } from '../base/time.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import { missing } from '../reading/coverage.ts';
import type { ManifestFact, Origin } from '../reading/facts.ts';
import { dayDigest } from '../reading/interval-hash.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { Store } from '../store/store.ts';

export interface AccountedSeries {
  readonly origin: Origin;
  readonly series: SeriesKey;
  readonly profile: LogicalName;
  readonly periodMs: number;
  readonly since: Millis;
  readonly until?: Millis | undefined;
}
/** Series in one message: far below the longest payload. */
const perPart = 200;

const overlap = (from: number, to: number, low: number, high: number): number =>
  Math.max(0, Math.min(to, high) - Math.max(from, low));

export async function manifestOf(
  store: Store,
  series: readonly AccountedSeries[],
  day: number,
  readAt: Millis,
): Promise<ManifestFact[]> {
  const rows: ManifestFact['series'][number][] = [];
  for (const { origin, series: key, profile, periodMs, since, until = Number.MAX_SAFE_INTEGER } of series) {
    const from = Math.max(day, since);
    const to = Math.min(day + dayMs, until);
    if (from >= to) continue;
    const stored = store.seriesState(origin.meter, key);
    const count = (ms: number) => Math.round(ms / periodMs);
    const of = (states: (state: string) => boolean) =>
      count(
        (stored?.exceptions ?? [])
          .filter(([, , state]) => states(state))
          .reduce((sum, [start, end]) => sum + overlap(start, end, from, to), 0),
      );
    const pending = count(
      missing(stored?.coverage ?? [], millis(from), millis(to)).reduce((sum, [start, end]) => sum + end - start, 0),
    );
    const outage = of((state) => state === 'OUTAGE');
    const absent = of((state) => state === 'MISSING' || state === 'STORE_DAMAGED');
    const lost = of((state) => state === 'LOST');
    const uncertain = of((state) => state.startsWith('UNCERTAIN') || state === 'REGISTER_BACKWARD');
    const expected = count(to - from);
    rows.push({
      meter: origin.meter,
      point: origin.point,
      series: obis(profile),
      ...(to < day + dayMs && { to: iso(millis(to)) }),
      ...(from > day && { from: iso(millis(from)) }),
      periodS: periodMs / 1000,
      expected,
      measured: expected - pending - outage - absent - lost - uncertain,
      uncertain,
      outage,
      missing: absent,
      lost,
      pending,
      // Marks that a damaged store forgot are of an epoch before.
      digest: dayDigest(
        [...(await store.marks(origin.meter, key, from, to)).values()].filter(({ hash }) => hash !== 0),
      ),
    });
  }
  const parts = Math.ceil(rows.length / perPart);
  return Array.from({ length: parts }, (_, part) => ({
    kind: 'manifest',
    day: new Date(day).toISOString().slice(0, 10),
    part: part + 1,
    parts,
    series: rows.slice(part * perPart, (part + 1) * perPart),
    readAt: iso(readAt),
  }));
}
