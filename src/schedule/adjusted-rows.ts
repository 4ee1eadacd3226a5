/** Around each adjustment of the clock what was read before it is read again. */
import { millis } from '../base/time.ts';
import type { Session } from '../meter/session.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { readSlice } from './series.ts';
import { boundsOf } from './series-bounds.ts';
import { graceMs } from './series-context.ts';

/** Adjustments of the clock whose rows are read again in one session. */
const maxAdjustments = 20;

export async function readAdjusted(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { store } = port;
  const { meter } = state.polled.origin;
  const known = () => state.logs ?? store.meterLogs(meter);
  // A clock that was set back writes the rows of its way again when it comes by: before that there is nothing new to read.
  const meterNow = port.clock.wall() + (state.identity?.clockDeviationMs ?? 0);
  const longest = Math.max(...state.polled.series.map(({ periodMs }) => periodMs));
  const passed = (at: number) => Math.floor(at / longest + 1) * longest + graceMs <= meterNow;
  const stamps = (known().adjusted ?? []).filter(passed).slice(0, maxAdjustments);
  if (stamps.length === 0) return;
  for (const settings of state.polled.series) {
    const { series, periodMs } = settings;
    const { until } = boundsOf(port, state, settings);
    if (until !== undefined && until <= port.clock.wall()) continue;
    const slots = new Set(stamps.map((at) => Math.floor(at / periodMs) * periodMs));
    for (const slot of slots) {
      const coverage = store.seriesState(meter, series)?.coverage ?? [];
      const covered = coverage.find(([from, to]) => from < slot + 2 * periodMs && to > slot - periodMs);
      if (!covered) continue;
      const from = millis(Math.max(covered[0], slot - periodMs));
      const to = millis(Math.min(covered[1], slot + 2 * periodMs));
      await readSlice(port, state, session, { series, from, to, live: true });
    }
  }
  // A session that fails half-way, or the power, reads them in the next one.
  const { adjusted = [], ...others } = known();
  const done = new Set(stamps);
  state.logs = { ...others, adjusted: adjusted.filter((at) => !done.has(at)) };
}
