/** What a visit means for the meter: how it stands from then on, and when it is visited again. Pure. */
import { type Failure, type ErrorCode, isOfStore } from '../base/errors.ts';
import { later, type Millis } from '../base/time.ts';
import type { MeterState } from './meter-state.ts';
import { backOffMs, silentPauseMs } from './plan.ts';

/** What of a meter's state the outcome of a visit decides. */
export type Health = Pick<
  MeterState,
  | 'failures'
  | 'degradedLine'
  | 'askCounter'
  | 'qualityWindow'
  | 'lastSuccess'
  | 'lastSuccessBefore'
  | 'silentSince'
  | 'reportedSecurity'
  | 'notBefore'
  | 'lastError'
>;
export interface VisitResult {
  /** Why it did not end well. */
  readonly failure: Failure | undefined;
  /** The same as a person is to read it, where repeated silence means more than silence. */
  readonly lastError?: Failure | undefined;
  /** Whether our credentials were shown, and how that ended (refusals.ts). */
  readonly entry: 'refused' | 'silent' | 'none';
  /** The meter said something. */
  readonly heard: boolean;
  /** Frames that were damaged, and that had to be repeated. */
  readonly damaged: number;
  readonly repeated: number;
  /** With keys. */
  readonly secured: boolean;
  /** Something was learned that may help the next session. */
  readonly anotherWay: boolean;
  /** The meter is left alone so long for what it refused. */
  readonly refusalMs: number | undefined;
  readonly spentMs: number;
}
export interface Outcome {
  readonly health: Health;
  /** Silent meters do not get the line for so long. */
  readonly linePauseMs: number | undefined;
}

/** Sessions over which the line to a meter is judged. */
const windowSessions = 20;
/** After so many sessions without damage long frames are tried again. */
const calmSessions = 5;
export const storePauseMs = 5000;
const soonMs = 1000;
/** What somebody must see to: it is tried seldom, as after a refusal. */
const slowCodes: readonly ErrorCode[] = [
  'identity-mismatch',
  'identity-unknown',
  'counter-implausible',
  'counter-used-up',
];
/** What the line or its adapter took is not the meter's to pay for. */
const ofTheLine: readonly ErrorCode[] = ['turn-stuck', 'port-lost'];

/** `now` is monotonic, `wall` the time of day. */
export function visitOutcome(before: Health, result: VisitResult, now: Millis, wall: Millis): Outcome {
  const { failure, damaged, repeated } = result;
  const qualityWindow = [...before.qualityWindow.slice(1 - windowSessions), { damaged, repeated }];
  if (!failure) return { health: afterSuccess({ ...before, qualityWindow }, wall), linePauseMs: undefined };
  const lastError = result.lastError ?? failure;
  // Not the meter's fault: it keeps its good name, and nothing more is read before the store takes it.
  if (isOfStore(failure.code))
    return {
      health: { ...before, qualityWindow, lastError, notBefore: later(now, storePauseMs) },
      linePauseMs: undefined,
    };
  const health = afterFailure({ ...before, qualityWindow, lastError }, { ...result, failure }, now, wall);
  const linePauseMs = ofTheLine.includes(failure.code) ? undefined : silentPauseMs(result.spentMs, result.heard);
  return { health, linePauseMs };
}

function afterSuccess(health: Health, wall: Millis): Health {
  const calm = health.qualityWindow.slice(-calmSessions);
  return {
    ...health,
    lastSuccessBefore: health.failures > 0 ? health.lastSuccess : health.lastSuccessBefore,
    failures: 0,
    reportedSecurity: undefined,
    askCounter: false,
    lastError: undefined,
    lastSuccess: wall,
    degradedLine: health.degradedLine && !(calm.length === calmSessions && calm.every((one) => one.damaged === 0)),
  };
}

function afterFailure(
  health: Health,
  { failure, entry, heard, damaged, secured, anotherWay, refusalMs }: VisitResult & { readonly failure: Failure },
  now: Millis,
  wall: Millis,
): Health {
  const failures = health.failures + 1;
  // A counter that is behind looks like a refusal: one question to the public client tells (R37), then once more.
  const counterSuspect = secured && !health.askCounter && (entry === 'refused' || failure.code === 'service-exception');
  // Very short frames are for lines that damage long ones; some meters lose count of them (meter-quirks 88).
  const losesCount = failure.code === 'answer-stalled' && damaged === 0;
  // Sessions on a damaging line fail half-way: go on with smaller frames and slices, soon.
  const degradedLine = (damaged > 0 && heard) || (health.degradedLine && !losesCount);
  // What the meter refuses, and who it is, shorter frames do not change.
  const ofDamage = degradedLine && heard && refusalMs === undefined && failure.family !== 'refusal';
  const soon = counterSuspect || anotherWay || ofDamage;
  const pauseMs = soon ? soonMs : (refusalMs ?? backOffMs(failures, slowCodes.includes(failure.code)));
  return {
    ...health,
    failures,
    silentSince: health.silentSince ?? wall,
    askCounter: counterSuspect || failure.code === 'counter-implausible',
    degradedLine,
    notBefore: later(now, pauseMs),
  };
}
