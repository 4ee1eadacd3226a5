/**
 * Work that somebody has for a session with a configured meter: an object to be read, an order to be carried out. It is
 * done in a visit like any other, after the newest rows, so that identity, counters and refusals are watched as always.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, later } from '../base/time.ts';
import { octetMsOf } from '../meter/patience.ts';
import type { MeterState } from './meter-state.ts';
import type { OpenSession, SessionRequest, SessionWork } from './open-session.ts';

/** Who waits for a meter waits so long at most; and so many octets longer, on a slow line, for the turn that is under way. */
const waitLimitMs = 120_000;
const waitOctets = 8000;

/** Somebody waits for this meter. */
export const isRequested = ({ readRequests, sessionRequests }: MeterState): boolean =>
  readRequests.length > 0 || sessionRequests.length > 0;

export const gatewayStops = (): Failure =>
  new Failure('gateway-stops', 'the gateway stops, or takes another configuration');
/** Everybody who waits for this meter learns why it is not for them. */
export function rejectRequests(state: MeterState, why: Failure): void {
  for (const { reject } of state.readRequests.splice(0)) reject(why);
  for (const { reject } of state.sessionRequests.splice(0)) reject(why);
}

/** What `ask` begins, or Failure `busy` where the line does not come to it; once begun it may take its time. */
export async function beforeLate<T>(
  clock: Clock,
  { polled }: MeterState,
  ask: (resolve: (value: T) => void, reject: (error: unknown) => void, begun: () => void) => () => void,
): Promise<T> {
  const over = new AbortController();
  const limitMs = waitLimitMs + Math.round(waitOctets * octetMsOf(polled.access));
  let forget = () => {};
  const waiting = new Promise<T>((resolve, reject) => {
    forget = ask(resolve, reject, () => over.abort());
  });
  const late = clock.sleepUntil(later(clock.now(), limitMs), over.signal).then((): Promise<never> | never => {
    if (over.signal.aborted) return new Promise(() => {});
    forget();
    const seconds = Math.round(limitMs / 1000);
    throw new Failure('busy', `${polled.origin.meter} could not be read within ${seconds} s: the line is at work`);
  });
  try {
    return await Promise.race([waiting, late]);
  } finally {
    over.abort();
  }
}

/** Has the work done in the next visit of this meter. Rejects with what kept it from being done, or with what it threw. */
export function askSession<T>(clock: Clock, state: MeterState, work: SessionWork<T>): Promise<T> {
  return beforeLate<T>(clock, state, (resolve, reject, begun) => {
    const request: SessionRequest = {
      reject,
      work: async (open) => {
        begun();
        try {
          resolve(await work(open));
          return undefined;
        } catch (error) {
          reject(error);
          return error;
        }
      },
    };
    state.sessionRequests.push(request);
    return () => {
      state.sessionRequests = state.sessionRequests.filter((one) => one !== request);
    };
  });
}

/**
 * Does the work that waits, one after the other. Where one of them ended the session, that ends the visit too; what a meter
 * refuses is between it and whoever asked.
 */
export async function serveSessions(
  state: MeterState,
  open: Omit<OpenSession, 'origin' | 'model' | 'identity'>,
): Promise<void> {
  const { identity, model, polled } = state;
  while (state.sessionRequests.length > 0 && open.session.associated) {
    const request = state.sessionRequests.shift() as SessionRequest;
    const failed = await request.work({ ...open, model, identity, origin: polled.origin });
    if (failed !== undefined && !open.session.associated) throw failed;
  }
}
