/** Rows of a meter that answers where another one is configured: held back, and released when somebody says that it hangs here (R32). */
import { messageOf } from '../base/errors.ts';
import { dayMs, millis } from '../base/time.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { sameSerial } from '../meter/identity.ts';
import type { Session } from '../meter/session.ts';
import { marksOf } from '../reading/interval-hash.ts';
import { seriesKey } from '../reading/series-key.ts';
import { freshState, type MeterState, type PortContext } from './meter-state.ts';
import { slicesOf } from './plan.ts';
import { plannedMeter } from './planned-meter.ts';
import { seriesAt } from './polled-series.ts';
import { readSlice } from './series.ts';

/** What is known of meters that answered where others are configured, by both. */
export type Strangers = Map<string, MeterState>;
/** Slices of another meter that are read in one session. */
const heldSlices = 3;

export async function holdBack(
  port: PortContext,
  strangers: Strangers,
  state: MeterState,
  session: Session,
): Promise<void> {
  const { clock, log } = port;
  const { origin } = state.polled;
  const serial = state.identity?.serial ?? state.identity?.logicalDeviceName ?? '';
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(serial)) return;
  const key = `${origin.meter}~${serial}`;
  const midnight = Math.floor(clock.wall() / dayMs) * dayMs;
  const stranger =
    strangers.get(key) ??
    freshState({
      origin: { meter: key, point: '', serial },
      access: state.polled.access,
      // The series of its point as they are now: its own changes of the period come when it is configured.
      series: state.polled.series.slice(-1).map(({ profile, periodMs }) => ({
        series: seriesKey(profile),
        profile,
        periodMs,
        since: undefined,
        sinceByDefault: millis(midnight),
      })),
    });
  strangers.set(key, stranger);
  stranger.model = state.model;
  stranger.identity = state.identity;
  stranger.quarantine = { meter: origin.meter, serial };
  try {
    const slices = slicesOf(plannedMeter(port, stranger), clock.wall(), port.plan).slice(0, heldSlices);
    for (const slice of slices) await readSlice(port, stranger, session, slice);
  } catch (error) {
    // The mismatch is what is said; what could not be read is in that meter's buffer.
    log.info({ meter: origin.meter, serial, error: messageOf(error) }, 'rows of the other meter not held back');
  }
}

/** What was held back of a meter that is configured now becomes the series of its point. */
export async function releaseHeld(port: PortContext, states: Iterable<MeterState>): Promise<void> {
  const { store, log } = port;
  const all = await store.quarantined();
  for (const state of states) {
    const { origin, swap, series: polled } = state.polled;
    const held = all.filter(({ meter, serial }) => meter === origin.meter && sameSerial(serial, origin.serial));
    if (held.length === 0) continue;
    const since = swap?.at ?? 0;
    const released = await store.release(held, (fact) => {
      if (fact.kind !== 'profile' && fact.kind !== 'gap') return undefined;
      // What it counted before it hung here, and the interval of the change itself, are read from it again.
      if (Date.parse(fact.start) < since) return undefined;
      const settings = seriesAt(polled, parseLogicalName(fact.series), Date.parse(fact.start));
      if (!settings) return undefined;
      const marks = marksOf(fact, settings.periodMs);
      return { meter: origin.meter, series: settings.series, fact: { ...fact, ...origin }, marks };
    });
    // The coverage stays open: what the meter still has is read again, and said only where it is not the same; what it no
    // longer has was said from what was held back.
    log.info({ meter: origin.meter, serial: origin.serial, released }, 'held rows released');
  }
}
