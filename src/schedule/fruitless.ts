/**
 * A session that succeeds and accounts for nothing is not held again at once: a meter whose answers make no progress, by its
 * stamps or the depth that it claims, would have the line for itself.
 */
import { later } from '../base/time.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import type { PlannedSlice } from './plan.ts';

const firstPauseMs = 20_000;
const longestPauseMs = 10 * 60_000;

/** How much of the meter's series is accounted for. */
function coveredMs({ store }: PortContext, { polled }: MeterState): number {
  let sum = 0;
  for (const { series } of polled.series)
    for (const [from, to] of store.seriesState(polled.origin.meter, series)?.coverage ?? []) sum += to - from;
  return sum;
}

/** Runs a turn; where it was to read rows, ended well and accounted for none of them, the next one waits. */
export async function withProgress(
  port: PortContext,
  state: MeterState,
  slices: readonly PlannedSlice[],
  turn: () => Promise<void>,
): Promise<void> {
  const { clock } = port;
  const before = coveredMs(port, state);
  await turn();
  if (slices.length === 0 || state.failures > 0 || coveredMs(port, state) !== before) {
    state.fruitless = 0;
    return;
  }
  const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(10, state.fruitless++));
  const until = later(clock.now(), pauseMs);
  if (until > state.notBefore) state.notBefore = until;
}
