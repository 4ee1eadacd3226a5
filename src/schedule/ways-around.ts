/** What a meter mishandled in a session, and what is done in another way for it from then on. */
import type { Failure } from '../base/errors.ts';
import {
  fallBack,
  fallbackTexts,
  learnFromFailure,
  misanswer,
  nonAnswer,
  storedFallbacks,
  suspect,
} from '../meter/fallbacks.ts';
import type { Session } from '../meter/session.ts';
import { forwardLogs } from './event-logs.ts';
import { remember } from './meter-memory.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { optional } from './optional.ts';

const logs = 'event logs';
/** Where the logs once ended a session they are asked for when the rows are read. */
export const logsComeLast = ({ fallbacks: { held, suspected } }: MeterState): boolean =>
  held.has('logs-last') || suspected.has('logs-last');

/**
 * The logs tell what rows that are missing mean, and so they are asked for first; where that ends the session, the rows
 * are read in another one, in this turn where it can be had.
 */
export async function readLogs(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { fallbacks } = state;
  const last = logsComeLast(state);
  await optional(port, state, session, logs, () => forwardLogs(port, state, session));
  const trouble = state.troubles.get(logs);
  if (session.associated) {
    if (!trouble) fallbacks.suspected.delete('logs-last');
    return;
  }
  if (!trouble) return;
  suspect(fallbacks, 'logs-last', misanswer(trouble) ?? nonAnswer(trouble) ?? trouble.code, port.clock.wall());
  if (last) return;
  if (session.lost || session.reopened) throw trouble;
  await session.reopen();
}

/** What is asked with the identity and need not be known ended the session. */
export function learnFromIdentity(state: MeterState, failure: Failure, wall: number): void {
  const bad = misanswer(failure);
  const reason = bad ?? nonAnswer(failure);
  if (reason === undefined) return;
  if (bad === undefined) suspect(state.fallbacks, 'bare-identity', reason, wall);
  else fallBack(state.fallbacks, 'bare-identity', reason, wall);
}

/**
 * After a session: what the meter mishandled is stored with what is remembered of it. Whether something is to be tried in
 * another way, so that it is worth while to come back soon.
 */
export async function learned(
  port: PortContext,
  state: MeterState,
  session: Session,
  failure: Failure | undefined,
  suspectedBefore: ReadonlySet<string>,
): Promise<boolean> {
  const { fallbacks } = state;
  if (!failure) {
    for (const name of ['ordinary-blocks', 'window-1', 'short-frames', 'bare-identity'] as const)
      fallbacks.suspected.delete(name);
  } else if (session.entered && session.stack.counters.damaged === 0 && !fallbacks.changed) {
    const newly = [...fallbacks.suspected.keys()].some((name) => !suspectedBefore.has(name));
    if (!newly) learnFromFailure(fallbacks, state.model, session.parameters, failure, port.clock.wall());
  }
  // Whether a suspicion is right the next session tells: it is not waited for.
  const soon = fallbacks.changed || [...fallbacks.suspected.keys()].some((name) => !suspectedBefore.has(name));
  if (fallbacks.changed) {
    try {
      await remember(port, state, { fallbacks: storedFallbacks(fallbacks) });
      fallbacks.changed = false;
      port.log.info({ meter: state.polled.origin.meter, fallbacks: fallbackTexts(fallbacks) }, 'read in another way');
    } catch (error) {
      port.log.warn(
        { meter: state.polled.origin.meter, error: String(error) },
        'what the meter mishandles is not stored',
      );
    }
  }
  return soon && failure !== undefined;
}

/** For `status`: what is done in another way for this meter, what is odd of it, and what is not done. */
export const waysAround = (state: MeterState): string[] => [
  ...fallbackTexts(state.fallbacks),
  ...state.fallbacks.tolerated,
  ...[...state.troubles].map(([what, failure]) => `${what} not done: ${failure.message}`),
];
