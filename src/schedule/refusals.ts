/**
 * Meters lock for up to 24 h after wrong passwords (R26): after a refusal a meter is left alone, whoever asks, and across
 * reloads and starts. Silence and hang-ups right after our credentials are refusals too, from the third on.
 */
import { type ErrorCode, errorCodeOf, Failure } from '../base/errors.ts';
import { dayMs, iso, later, millis } from '../base/time.ts';
import { freshFallbacks } from '../meter/fallbacks.ts';
import { sameSerial } from '../meter/identity.ts';
import type { Session } from '../meter/session.ts';
import type { MeterMemory } from '../store/counters.ts';
import { remember } from './meter-memory.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { backOffMs } from './plan.ts';

export type Refusal = NonNullable<MeterMemory['refusal']>;
export const refusalCodes: readonly ErrorCode[] = [
  'authentication-refused',
  'authentication-required',
  'mechanism-refused',
  'meter-unproven',
  'association-refused',
  'proposal-refused',
  'protection-weaker',
  'deciphering-failed',
];
const hangUps: readonly ErrorCode[] = [
  'no-answer',
  'fell-silent',
  'echo-only',
  'link-disconnected',
  'port-lost',
  'connection-lost',
  'frame-rejected',
];
/** So many entries in a row may end without an answer that lets us in or refuses us. */
const toleratedSilences = 2;
const minPauseMs = 15 * 60_000;
/** A meter that said nothing at all in the session may have no power: it is not left alone for a day. */
const maxMutePauseMs = 60 * 60_000;

const standing = ({ count, silent }: Pick<Refusal, 'count' | 'silent'>): number =>
  count + Math.max(0, silent - toleratedSilences);
/** The meter refused us, and is left alone for that. */
export const isRefused = (state: MeterState): boolean =>
  state.memory?.refusal !== undefined && standing(state.memory.refusal) > 0;

/** How an entry that failed counts. `none`: our credentials were not shown, or the line is to blame. */
export function entryOf(
  failure: Failure,
  session: Pick<Session, 'entered' | 'lost'> & { stack: { asked: boolean; counters: { damaged: number } } },
  access: { readonly auth: string; readonly secured: boolean; readonly serial: boolean },
): 'refused' | 'silent' | 'none' {
  if (!session.stack.asked || (access.auth === 'none' && !access.secured)) return 'none';
  if (refusalCodes.includes(failure.code)) return 'refused';
  // An adapter that was unplugged is no hang-up, and neither is a damaged answer.
  if (session.entered || session.stack.counters.damaged > 0 || (access.serial && session.lost)) return 'none';
  return hangUps.includes(failure.code) ? 'silent' : 'none';
}

/** `pauseMs`: how long the meter is left alone, undefined where it is not; `lastError`: the failure as a person is to read it. */
export interface Counted {
  readonly pauseMs: number | undefined;
  readonly lastError: Failure;
}
/** Counts a failed entry, durably. */
export async function refused(
  settings: PortContext,
  state: MeterState,
  failure: Failure,
  entry: 'refused' | 'silent' | 'none',
  heard: boolean,
): Promise<Counted> {
  const before = state.memory?.refusal;
  if (entry === 'none')
    return {
      pauseMs: before && standing(before) > 0 ? backOffMs(standing(before), true) : undefined,
      lastError: failure,
    };
  const counted = {
    count: (before?.count ?? 0) + (entry === 'refused' ? 1 : 0),
    silent: (before?.silent ?? 0) + (entry === 'silent' ? 1 : 0),
  };
  const times = standing(counted);
  const whole = times === 0 ? 0 : backOffMs(times, true);
  const pauseMs = entry === 'silent' && !heard ? Math.min(whole, maxMutePauseMs) : whole;
  // It is there, and will not have us: that is what somebody must see to, not the line that it hung up on.
  const there = entry === 'silent' && (heard || failure.code === 'connection-lost');
  const shown =
    there && times > 0
      ? new Failure(
          'association-refused',
          `${counted.silent} entries in a row ended before the meter let us in: ${failure.message}`,
        )
      : failure;
  const { code, message } = shown;
  await remember(settings, state, {
    refusal: { ...counted, until: settings.clock.wall() + pauseMs, code, message: message.slice(0, 200) },
  });
  return { pauseMs: times === 0 ? undefined : pauseMs, lastError: shown };
}

/** The meter let us in: nothing is left of what it refused. */
export async function letIn(settings: PortContext, state: MeterState): Promise<void> {
  if (state.memory?.refusal) await remember(settings, state, { refusal: undefined });
}

/**
 * At a start: what is left of the back-off. The wall clock may have been set meanwhile: it is never less than a quarter of
 * an hour, so that a start is no try, and never more than the refusals are worth.
 */
export function recall(settings: PortContext, state: MeterState, memory: MeterMemory | undefined): void {
  state.memory = memory;
  if (memory?.fallbacks && sameSerial(memory.serial, state.polled.origin.serial))
    state.fallbacks = freshFallbacks(memory.fallbacks);
  const refusal = memory?.refusal;
  if (!refusal || standing(refusal) === 0) return;
  const { clock } = settings;
  const left = Math.min(Math.max(refusal.until - clock.wall(), minPauseMs), backOffMs(standing(refusal), true));
  state.failures = Math.max(1, state.failures);
  state.lastError = new Failure(errorCodeOf(refusal.code) ?? 'association-refused', refusal.message);
  state.notBefore = later(clock.now(), left);
}

/** For a person who looks at `status`. */
export function leftAlone(settings: Pick<PortContext, 'clock'>, state: MeterState): string[] {
  const left = state.notBefore - settings.clock.now();
  if (!isRefused(state) || left <= 0) return [];
  const until = iso(millis(settings.clock.wall() + Math.min(left, dayMs)));
  return [`left alone until ${until}, for it refused us; once before: poll ${state.polled.origin.meter} --force`];
}

/** The answer to whoever asks for a meter that refused us: why it is not tried, and what is to be done. */
export function requireNotRefused(settings: PortContext, state: MeterState): void {
  const refusal = state.memory?.refusal;
  const left = state.notBefore - settings.clock.now();
  if (!refusal || standing(refusal) === 0 || left <= 0) return;
  const at = iso(millis(settings.clock.wall() + Math.min(left, dayMs)));
  const times = standing(refusal);
  throw new Failure(
    'backed-off',
    `${state.polled.origin.meter} refused us ${times} time${times === 1 ? '' : 's'} (${refusal.code}: ${refusal.message}); it is tried again at ${at}`,
    { until: at },
  );
}
