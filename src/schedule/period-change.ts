/** The gateway writes another capture period to the meter at local midnight, after it read everything that the meter holds (R35, R36). */
import { Failure } from '../base/errors.ts';
import { iso, nextMidnight } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { write } from '../meter/act.ts';
import { requirePeriod } from '../meter/profile-layout.ts';
import type { Session } from '../meter/session.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';
import { boundsOf } from './series-bounds.ts';
import { gatewayEvent } from './gateway-event.ts';
import { layoutOf } from './series-context.ts';
import { readWhole } from './whole-profile.ts';

/** Left of the first new interval when the write begins, at least. */
const marginMs = 60_000;

/**
 * Writes the capture period of a series whose time has come, which empties the buffer of the meter: the profile is read up
 * to its last row first, and where that fails nothing is written. Too late for the first new interval, it waits for the next
 * midnight: the days before stay in the old series.
 */
export async function changePeriods(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { clock } = port;
  for (const next of state.polled.series) {
    const old = state.polled.series.find(({ series }) => series === next.after);
    if (!old) continue;
    const { until } = boundsOf(port, state, old);
    if (until === undefined || clock.wall() < until || boundsOf(port, state, next).stored) continue;
    const layout = await layoutOf(port, state, session, old.profile);
    requirePeriod(layout);
    if (layout.capturePeriodMs !== old.periodMs) continue;
    const late = () => clock.wall() >= until + next.periodMs - marginMs;
    if (late() || !(await readWhole(port, state, session, { settings: old, end: until })) || late()) {
      if (late()) await postpone(port, state, old, next);
      continue;
    }
    await write(
      session,
      { classId: 7, logicalName: old.profile, attribute: 4 },
      { type: 'double-long-unsigned', value: next.periodMs / 1000 },
    );
    state.layouts.delete(old.profile);
    const written = await layoutOf(port, state, session, old.profile);
    requirePeriod(written);
    const { capturePeriodMs } = written;
    if (capturePeriodMs !== next.periodMs)
      throw new Failure(
        'period-mismatch',
        `${state.polled.origin.meter} still captures every ${capturePeriodMs / 1000} s after it was told ${next.periodMs / 1000} s`,
      );
    port.log.info({ meter: state.polled.origin.meter, periodS: next.periodMs / 1000 }, 'capture period written');
    state.pendingEvents.push(
      gatewayEvent(port, state, 'PERIOD_CHANGED', {
        series: obis(old.profile),
        beforeS: old.periodMs / 1000,
        nowS: next.periodMs / 1000,
        from: iso(until),
      }),
    );
  }
}

async function postpone(port: PortContext, state: MeterState, old: PolledSeries, next: PolledSeries): Promise<void> {
  const { origin } = state.polled;
  const { stored, since } = boundsOf(port, state, old);
  const until = nextMidnight(port.clock.wall(), port.timeZone);
  const event = gatewayEvent(port, state, 'PERIOD_CHANGE_POSTPONED', {
    series: obis(old.profile),
    nowS: next.periodMs / 1000,
    from: iso(until),
  });
  await port.store.commit({
    meter: origin.meter,
    series: old.series,
    state: { coverage: [], ...stored, since, until },
    entryClass: 0,
    facts: [event],
  });
}
