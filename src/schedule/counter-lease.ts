/** The invocation counters of a session with one meter: leased where they are known, else from the meter's word (R37). */
import { type ErrorCode, errorCodeOf, Failure, messageOf } from '../base/errors.ts';
import type { CipheringSettings, PeerMemory } from '../dlms/association/ciphering.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Port } from '../line/port.ts';
import {
  askCounter,
  counterAlarm,
  counterLimit,
  freshTitle,
  implausible,
  raisedBy,
  unheardMargin,
} from '../meter/invocation-counter.ts';
import type { MeterAccess } from '../meter/access.ts';
import type { Standing } from '../store/counters.ts';
import { acceptedOf, peerOf, remember, wasMet } from './meter-memory.ts';
import type { MeterSecurity, MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';

/** More than any session sends; what is left is given to the next one. */
const countersPerSession = 500;

export interface CipheredEntry {
  readonly ciphering: CipheringSettings;
  readonly peer: PeerMemory;
  /** The meter answered: where it authenticated itself, what it said of our counter before is believed from now on. */
  authenticated(): Promise<void>;
}

export async function cipheredEntry(
  settings: PortContext,
  state: MeterState,
  security: MeterSecurity,
  port: Port,
  access: MeterAccess,
): Promise<CipheredEntry> {
  const { counters, log, clock } = settings;
  const { counterName } = security;
  const standing = await counters.standing(counterName);
  let from = 0;
  let { ownTitle } = security.settings;
  try {
    if (state.askCounter || standing.doubtful || state.counterUnconfirmed)
      from = await askedStart(settings, state, standing, { port, access, object: security.counterObject });
  } catch (error) {
    if (!keepsItsCounter(error) || (standing.doubtful && security.titlePinned)) throw error;
    if (!standing.doubtful && state.askCounter) throw error;
    if (standing.doubtful) {
      // Nobody knows which counters were used with our title: none was with a title of this session's own.
      ownTitle = freshTitle();
      from = standing.reserved + unheardMargin;
    }
  }
  state.counterUnconfirmed = false;
  const ours = counters.next(counterName) ?? standing.reserved;
  const claim = standing.doubtful || from > ours;
  // The meter refused us, and heard less than we would send: the counter is not the reason, and another try is one too many.
  if (state.askCounter && !claim && state.memory?.refusal) {
    const { code, message } = state.memory.refusal;
    throw new Failure(
      errorCodeOf(code) ?? 'association-refused',
      `${message}; the invocation counter is not the reason`,
    );
  }
  const peer = peerOf(state, security);
  const { next, confirm } = claim
    ? await counters.claim(counterName, countersPerSession, from)
    : { next: await counters.lease(counterName, countersPerSession), confirm: undefined };
  if (!state.counterAlarmed && Math.max(from, counters.next(counterName) ?? 0) >= counterAlarm) {
    state.counterAlarmed = true;
    log.warn({ meter: state.polled.origin.meter }, 'invocation counter above 2·10⁹: change the encryption key');
  }
  // Where the InitiateResponse carries no tag, only what comes after it shows that the meter has the keys.
  const tagless = state.model.initiate_protection === 'encrypted' && security.settings.policy !== 'encrypted';
  let shown = false;
  return {
    ciphering: {
      ...security.settings,
      ownTitle,
      peer,
      ...(security.freshKey && { dedicated: security.freshKey }),
      nextCounter: next,
    },
    peer,
    async authenticated() {
      if (shown || (tagless && peer.proven !== true)) return;
      shown = true;
      await confirm?.(raisedBy(standing, from, clock.wall()));
    },
  };
}

/** The meter answers, and does not tell its counter to the public client. */
const keepsItsCounter = (error: unknown): boolean => error instanceof Failure && counterRefusals.includes(error.code);
const counterRefusals: readonly ErrorCode[] = [
  'access-refused',
  'value-unavailable',
  'association-refused',
  'authentication-refused',
  'authentication-required',
  'mechanism-refused',
  'service-exception',
  'unexpected-apdu',
];

/** Where the meter says that our counter must begin, as far as that can be believed. */
async function askedStart(
  settings: PortContext,
  state: MeterState,
  standing: Standing,
  { port, access, object }: { readonly port: Port; readonly access: MeterAccess; readonly object: LogicalName },
): Promise<number> {
  const { clock, log } = settings;
  const { meter } = state.polled.origin;
  const claimed = await askCounter(port, clock, access, object);
  const limit = counterLimit(standing, wasMet(state), acceptedOf(state), clock.wall());
  if (claimed > limit) {
    const failure = implausible(claimed, limit, standing.reserved);
    if (state.memory?.claimed !== claimed) await remember(settings, state, { claimed });
    throw failure;
  }
  const from = claimed + 1 + (standing.doubtful ? unheardMargin : 0);
  if (from > standing.reserved && claimed !== state.counterLogged) {
    log.info({ meter, claimed, from }, 'invocation counter of the meter read');
    state.counterLogged = claimed;
  }
  return from;
}

/** Alarms about who the meter is and what it counts: each change is reported once. */
type SecurityEvent = 'COUNTER_IMPLAUSIBLE' | 'COUNTER_USED_UP' | 'TITLE_CHANGED' | 'REPLAYED_COUNTER';
export async function tellSecurity(settings: PortContext, state: MeterState, failure: Failure): Promise<void> {
  const name = securityEvents[failure.code];
  if (name === undefined) return;
  // A counter that came again is another one each time.
  const alarm = `${failure.code} ${JSON.stringify({ ...failure.detail, counter: null })}`;
  if (state.reportedSecurity === alarm) return;
  const { meter } = state.polled.origin;
  const {
    claimed = null,
    limit = null,
    reserved = null,
    title = null,
    counter = null,
  } = failure.detail as Record<string, number | string | undefined>;
  const text = title === null ? null : String(title);
  const detail = { reason: failure.message, claimed, limit, reserved, title: text, counter };
  try {
    if (failure.code === 'title-changed' || failure.code === 'replayed-counter')
      await remember(settings, state, { strange: failure.code });
    await settings.store.commit({ meter, entryClass: 0, facts: [gatewayEvent(settings, state, name, detail)] });
    state.reportedSecurity = alarm;
  } catch (error) {
    // The verdict shows it meanwhile; the event is committed with the next try.
    settings.log.error({ meter, error: messageOf(error) }, 'security alarm not stored');
  }
}
const securityEvents: Partial<Record<Failure['code'], SecurityEvent>> = {
  'counter-implausible': 'COUNTER_IMPLAUSIBLE',
  'counter-used-up': 'COUNTER_USED_UP',
  'title-changed': 'TITLE_CHANGED',
  'replayed-counter': 'REPLAYED_COUNTER',
};
