/**
 * The blast radius of one meter: which meter was on turn when the process ended unasked is known at the next start, because
 * each turn is noted outside of the process. That meter waits, longer each time, while the others are read.
 */
import { Failure, messageOf } from '../base/errors.ts';
import { iso, later } from '../base/time.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';

/**
 * After the first ends the meter only comes last: whoever kills a process hits some meter's turn, and on a short bus the
 * same one more than once. Then it waits for long. The others are read before it at each start.
 */
const firstMs = [1000, 1000, 5000, 60_000];
const nextMs = 15 * 60_000;
const longestMs = 24 * 3_600_000;
export const setAsideMs = (ends: number): number =>
  firstMs[ends - 1] ?? Math.min(longestMs, nextMs * 2 ** Math.min(16, ends - 1 - firstMs.length));

/** A meter that is suspected waits from now on. */
export function setAside({ turns, clock }: PortContext, state: MeterState): void {
  const suspect = turns?.suspects.get(state.polled.origin.meter);
  if (!suspect) return;
  state.notBefore = later(clock.now(), setAsideMs(suspect.ends));
  state.lastTurn = clock.now();
  state.lastError = new Failure(
    'meter-set-aside',
    `the gateway ended unasked ${suspect.ends === 1 ? 'once' : `${suspect.ends} times`} while it read this meter; it waits for ${setAsideMs(suspect.ends) / 1000} s`,
  );
}

/** Once for each start that sets a meter aside. */
export async function tellSetAside(port: PortContext, state: MeterState): Promise<void> {
  const { turns, clock, store, log } = port;
  const { meter } = state.polled.origin;
  const suspect = turns?.suspects.get(meter);
  if (!suspect || suspect.reported) return;
  suspect.reported = true;
  const pauseMs = setAsideMs(suspect.ends);
  log.error(
    { meter, ends: suspect.ends, pauseS: pauseMs / 1000 },
    'meter set aside: the gateway ended while it read it',
  );
  const detail = { ends: suspect.ends, until: iso(later(clock.wall(), pauseMs)) };
  await store
    .commit({ meter, entryClass: 0, facts: [gatewayEvent(port, state, 'METER_SET_ASIDE', detail)] })
    .catch((error: unknown) => log.warn({ meter, error: messageOf(error) }, 'METER_SET_ASIDE not stored'));
}

/** A turn in the record. A crash of the house leaves it open. */
export async function onRecord(
  { turns, name, log }: PortContext,
  state: MeterState,
  turn: () => Promise<void>,
): Promise<void> {
  const { meter } = state.polled.origin;
  turns?.begin(name, meter);
  await turn();
  turns?.end(name);
  if (turns?.suspects.has(meter) && turns.behaved(meter)) log.info({ meter }, 'meter is no longer set aside');
}
