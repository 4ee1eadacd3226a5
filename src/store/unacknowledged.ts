/** What waits in the outbox, by series, for people who ask what is not delivered. */
import type { GapFact, ProfileFact } from '../reading/facts.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import { seriesStateKey } from './keys.ts';
import { entryClasses } from './outbox-log.ts';
import { factOf } from './outbox-record.ts';
import type { OutboxEntry } from './outbox-record.ts';
import type { Store } from './store.ts';

const step = 500;
/** Consecutive intervals that the head-end has not acknowledged, by their UTC instants in ms. */
export interface UnacknowledgedRun {
  readonly meter: string;
  readonly series: SeriesKey;
  readonly from: number;
  to: number;
}

/** What waits for the head-end's acknowledgement, by series, as runs; found by walking through the outbox. */
export async function unacknowledgedRuns(store: Pick<Store, 'outbox'>): Promise<UnacknowledgedRun[]> {
  const runs = new Map<string, UnacknowledgedRun[]>();
  for (const entryClass of entryClasses.toReversed()) {
    for (let after = 0; ; ) {
      const entries = await store.outbox(entryClass, after, step);
      if (entries.length === 0) break;
      after = (entries.at(-1) as OutboxEntry).sequence;
      for (const entry of entries) {
        const { meter, series } = entry;
        if (series === undefined || (entry.kind !== 'profile' && entry.kind !== 'gap')) continue;
        const fact = factOf(entry) as ProfileFact | GapFact;
        const from = Date.parse(fact.start);
        const to = fact.kind === 'gap' ? Date.parse(fact.end) : from + fact.periodS * fact.count * 1000;
        const key = seriesStateKey(meter, series);
        const own = runs.get(key) ?? [];
        const last = own.at(-1);
        if (last?.to === from) last.to = to;
        else own.push({ meter, series, from, to });
        runs.set(key, own);
      }
    }
  }
  return [...runs.values()].flat().toSorted((a, b) => a.from - b.from);
}
