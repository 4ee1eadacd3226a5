/**
 * What is not the main job of a session (logs, registers, sums, clocks, changes of the period): each has its own try and
 * its own failure. Rows are read whatever becomes of it.
 */
import { Failure, isOfStore } from '../base/errors.ts';
import type { Session } from '../meter/session.ts';
import type { MeterState, PortContext } from './meter-state.ts';

/** Does it where the association stands. What fails is remembered and shown; only a store that fails is thrown. */
export async function optional(
  port: Pick<PortContext, 'log'>,
  state: MeterState,
  session: Session,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  if (!session.associated) return;
  try {
    await work();
    state.troubles.delete(what);
  } catch (error) {
    // Our own bugs must be seen, and what the store does not take is no fault of the meter.
    if (!(error instanceof Failure) || isOfStore(error.code)) throw error;
    const { meter } = state.polled.origin;
    if (!state.troubles.has(what))
      port.log.warn({ meter, code: error.code, error: error.message }, `${what}: not done`);
    state.troubles.set(what, error);
  }
}
