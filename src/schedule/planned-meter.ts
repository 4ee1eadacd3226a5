/** A meter as the plan sees it: what is accounted for, what is to be looked at again, when it may be visited. */
import { dayMs, later } from '../base/time.ts';
import type { Range } from '../reading/coverage.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { SeriesState } from '../store/records.ts';
import type { MeterState, LineContext } from './meter-state.ts';
import type { PlannedMeter } from './plan.ts';
import { boundsOf } from './series-bounds.ts';
import { isRequested } from './session-request.ts';
import { sliceRowsOf } from './slice-size.ts';

const firstRecheckMs = 3_600_000;
const recheckDays = 10;

export function plannedMeter(port: LineContext, state: MeterState): PlannedMeter {
  const { origin } = state.polled;
  return {
    id: origin.meter,
    series: state.polled.series.map((settings) => {
      const { series, periodMs } = settings;
      const { stored, since, until } = boundsOf(port, state, settings);
      const ended = until !== undefined && until <= port.clock.wall();
      const recheck = ended ? undefined : gapsToRecheck(port, state, { series, periodMs, stored });
      return {
        ...(recheck && { recheck }),
        series,
        periodMs,
        since,
        until,
        coverage: stored?.coverage ?? [],
        sliceRows: sliceRowsOf(state.sliceRows, series, state.polled.access),
      };
    }),
    failures: state.failures,
    notBefore: state.notBefore,
    lastTurn: state.lastTurn,
    degradedLine: state.degradedLine,
    visitAt: state.visitAt,
    requested: isRequested(state),
  };
}

/** Gaps of the last days, an hour after the start and then once a day: rows may have been written late (R17). */
function gapsToRecheck(
  { clock }: LineContext,
  state: MeterState,
  {
    series,
    periodMs,
    stored,
  }: { readonly series: SeriesKey; readonly periodMs: number; readonly stored: SeriesState | undefined },
): Range[] | undefined {
  const now = clock.now();
  const due = state.recheckAt.get(series);
  if (due === undefined) state.recheckAt.set(series, later(now, firstRecheckMs));
  if (due === undefined || due > now) return undefined;
  const youngest = clock.wall() - recheckDays * dayMs;
  const gaps = (stored?.exceptions ?? []).filter(([, to, kind]) => kind === 'MISSING' && to > youngest);
  // With the interval after it, whose energy hangs on the last of them.
  return gaps.map(([from, to]) => [Math.max(from, youngest - (youngest % periodMs)), to + periodMs]);
}

/** All gaps of a meter were looked at in a visit that began at `started` (monotonic). */
export function recheckDone({ clock }: LineContext, state: MeterState, started: number): void {
  for (const { series } of state.polled.series) {
    const due = state.recheckAt.get(series);
    if (due !== undefined && due <= started) state.recheckAt.set(series, later(clock.now(), dayMs));
  }
}
