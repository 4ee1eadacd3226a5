/** Everything that a meter holds is read before something is done that empties its buffer (R36). */
import { later, type Millis } from '../base/time.ts';
import type { Session } from '../meter/session.ts';
import { missing } from '../reading/coverage.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';
import { chop } from './plan.ts';
import { boundsOf } from './series-bounds.ts';
import { readSlice } from './series.ts';

/** An order waits for rows so long, for the other meters of the line wait too. */
const readLimitMs = 20_000;

interface Requested {
  readonly settings: PolledSeries;
  readonly end: Millis;
  readonly inTime?: () => boolean;
}
/** Whether all of a series is accounted for, up to `end`; throws where it cannot be read. */
export async function readWhole(
  port: PortContext,
  state: MeterState,
  session: Session,
  { settings, end, inTime = () => true }: Requested,
): Promise<boolean> {
  const holes = () => {
    const { stored, since } = boundsOf(port, state, settings);
    return missing(stored?.coverage ?? [], since, end);
  };
  for (const [from, to] of holes())
    for (const [start, until] of chop(from, to, to - from))
      if (inTime())
        await readSlice(port, state, session, { series: settings.series, from: start, to: until, live: true });
  return holes().length === 0;
}

/** Of all series of a meter, up to the last closed interval. */
export async function readRows(port: PortContext, state: MeterState, session: Session): Promise<boolean> {
  const { clock } = port;
  const limit = later(clock.now(), readLimitMs);
  const inTime = () => clock.now() < limit && session.associated;
  for (const settings of state.polled.series) {
    const { until } = boundsOf(port, state, settings);
    const { periodMs } = settings;
    const closed = (Math.floor(clock.wall() / periodMs) * periodMs) as Millis;
    const end = until !== undefined && until < closed ? until : closed;
    if (!(await readWhole(port, state, session, { settings, end, inTime }))) return false;
  }
  return true;
}
