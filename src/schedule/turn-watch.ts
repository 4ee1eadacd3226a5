/**
 * Ends a turn that outlives its total: its port is taken back and opened anew, and that is said with whose fault it is. A
 * session has totals of its own; this is for what hangs below them, an adapter or a driver, before the watchdog must act.
 */
import { Failure, messageOf } from '../base/errors.ts';
import { later } from '../base/time.ts';
import { gatewayFact } from '../reading/facts.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { turnLimitMs } from './turn-time.ts';

type Watched = Pick<PortContext, 'clock' | 'owner' | 'log' | 'store' | 'name'>;

/** Begins to watch; the returned function ends it, at the end of the turn. */
export function watchTurn(port: Watched, state: MeterState): () => void {
  const { clock, owner, log, store, name } = port;
  const { meter } = state.polled.origin;
  const over = new AbortController();
  const seconds = Math.round(turnLimitMs(state.polled.access) / 1000);
  const act = async () => {
    await clock.sleepUntil(later(clock.now(), seconds * 1000), over.signal);
    if (over.signal.aborted) return;
    const why = new Failure('turn-stuck', `the turn with ${meter} did not end within ${seconds} s: ${name} was closed`);
    log.error({ port: name, meter, code: why.code, fault: why.fault, next: why.nextStep }, why.message);
    owner.takeBack(why);
    const detail = { port: name, meter, seconds, fault: why.fault };
    await store.commit({ meter: '_', entryClass: 0, facts: [gatewayFact(clock.wall(), 'PORT_STUCK', detail)] });
  };
  act().catch((error: unknown) => log.error({ port: name, error: messageOf(error) }, 'PORT_STUCK not stored'));
  return () => over.abort();
}
