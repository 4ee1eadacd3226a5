/** Sums of days, beside the advance of the register (R02). */
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { readRange } from '../meter/profile-range.ts';
import type { Session } from '../meter/session.ts';
import { columnKind } from '../reading/column.ts';
import { missing } from '../reading/coverage.ts';
import { daySums } from '../reading/day-sum.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { gatewayEvent } from './gateway-event.ts';
import { turnShareMs } from './line-load.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { boundsOf } from './series-bounds.ts';
import { modulusOf, type SeriesContext } from './series-context.ts';
import { learning, sliceRowsOf } from './slice-size.ts';

/** Days whose sums are made in one session. */
const maxSummedDays = 3;

/**
 * Of a meter that captures energies: each UTC day that is complete is read once more, and the sum is delivered beside the advance
 * of the register (R02).
 */
export async function sumDays(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { clock, store } = port;
  const { origin } = state.polled;
  for (const settings of state.polled.series) {
    const { series, profile, periodMs } = settings;
    const layout = state.layouts.get(profile)?.layout;
    if (!layout?.columns.some((column) => columnKind(column, undefined) === 'interval')) continue;
    const began = clock.now();
    for (let done = 0; done < maxSummedDays && clock.now() - began < turnShareMs; done++) {
      const { epoch } = store;
      const { stored, since, until } = boundsOf(port, state, settings);
      const from = millis(Math.max(stored?.summedTo ?? Math.ceil(since / dayMs) * dayMs, since));
      const to = later(from, dayMs);
      if (!stored || (until !== undefined && to > until) || missing(stored.coverage, from, to).length > 0) break;
      // Rows that left the buffer were delivered before; their sum can no longer be made.
      const stillBuffered = clock.wall() - (layout.entries ?? Number.MAX_SAFE_INTEGER) * periodMs < from;
      const rows = stillBuffered ? await rowsOfDay({ port, state, session, settings, layout }, from) : [];
      // Too much for this turn: the next one goes on with it.
      if (!rows) return;
      const facts = daySums(rows, from, to, periodMs, modulusOf(state).modulus).map((sum) =>
        gatewayEvent(port, state, sum.agrees === false ? 'SUM_CHECK' : 'DAY_SUM', {
          series: obis(profile),
          day: new Date(from).toISOString().slice(0, 10),
          ...sum,
        }),
      );
      await store.commit({
        epoch,
        meter: origin.meter,
        series,
        state: { ...stored, summedTo: to },
        entryClass: 1,
        facts,
      });
    }
  }
}
/** The rows of a day, in pieces that the line brings; undefined where they are not all there within a turn's share. */
async function rowsOfDay(
  { port: { clock }, state, session, settings, layout }: SeriesContext,
  from: Millis,
): Promise<LoadProfileRow[] | undefined> {
  const { series, periodMs } = settings;
  const line = state.polled.access;
  const to = later(from, dayMs);
  const begun = state.dayRows.get(series);
  const day =
    begun?.from === from && begun.layout === layout.fingerprint
      ? begun
      : { from, layout: layout.fingerprint, next: from, rows: [] as LoadProfileRow[] };
  state.dayRows.set(series, day);
  const since = clock.now();
  while (day.next <= to) {
    const end = millis(Math.min(to, day.next + sliceRowsOf(state.sliceRows, series, line) * periodMs));
    const range = { from: day.next, to: end };
    const rows = await learning({ sizes: state.sliceRows, polled: settings, line, now: () => clock.now() }, range, () =>
      readRange({ session, layout, model: state.model }, range.from, range.to),
    );
    day.rows.push(...rows);
    day.next = later(end, 1);
    if (day.next <= to && clock.now() - since > turnShareMs) return undefined;
  }
  state.dayRows.delete(series);
  return day.rows;
}
