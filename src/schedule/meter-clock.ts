/** The clock of a meter after its rows were read: its deviation is an event, and it is set as far as the policy lets (R29 to R31). */
import { dayMs, later, longAgo, type Millis } from '../base/time.ts';
import { deviationWords } from '../base/words.ts';
import { setClock } from '../meter/act.ts';
import type { Session } from '../meter/session.ts';
import {
  clockAlarm,
  clockNextStep,
  type ClockState,
  type ClockVerdict,
  decideClock,
  nearBoundary,
} from './clock-policy.ts';
import { logsOf } from './event-logs.ts';
import type { ClockStep } from './open-session.ts';
import type { LineContext, MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';

/** Past the minute around a boundary in which no clock is set, for both clocks. */
const visitAfterMs = 200_000;
const maxClockSets = 50;

function clockState(port: LineContext, state: MeterState, deviationMs: number): ClockState {
  const { clock, clockTrust } = port;
  return {
    deviationMs,
    wall: clock.wall(),
    trusted: clockTrust() !== 'untrusted',
    periodMs: Math.min(...state.polled.series.map(({ periodMs }) => periodMs)),
    lastSet: logsOf(port, state).clockSets?.at(-1)?.[0] as Millis | undefined,
  };
}

/** For `status`: what is wrong with the clock, and what to do about it. */
export function clockFinding(
  port: LineContext,
  state: MeterState,
): { readonly verdict: ClockVerdict; readonly nextStep: string } | undefined {
  const deviationMs = state.identity?.clockDeviationMs;
  const verdict = deviationMs === undefined ? undefined : clockAlarm(deviationMs);
  if (deviationMs === undefined || verdict === undefined) return undefined;
  return { verdict, nextStep: clockNextStep(decideClock(clockState(port, state, deviationMs), port.clockPolicy)) };
}

export async function keepClock(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { clock, clockPolicy } = port;
  const deviationMs = state.identity?.clockDeviationMs;
  if (deviationMs === undefined) return;
  const decision = decideClock(clockState(port, state, deviationMs), clockPolicy);
  announceAlarm(port, state, deviationMs, decision.kind === 'set' ? 'set' : decision.why);
  if (decision.kind === 'leave' && decision.why === nearBoundary) state.visitAt = later(clock.now(), visitAfterMs);
  if (decision.kind === 'set') await applyClock(port, state, session, { deviationMs, flag: decision.flag });
}

/** Sets it, and tells what it was and is. */
async function applyClock(
  port: PortContext,
  state: MeterState,
  session: Session,
  { deviationMs, flag }: { readonly deviationMs: number; readonly flag: boolean },
): Promise<ClockStep> {
  const { clock, log } = port;
  const before = logsOf(port, state);
  const { beforeMs = deviationMs, afterMs } = await setClock(session, clock, state.model);
  const at = clock.wall();
  const was = deviationWords(beforeMs / 1000);
  const is = deviationWords(afterMs / 1000);
  log.info({ meter: state.polled.origin.meter, beforeMs, afterMs, was, is }, 'clock of the meter set');
  const detail = { beforeS: beforeMs / 1000, afterS: afterMs / 1000, was, is };
  state.pendingEvents.push(gatewayEvent(port, state, 'CLOCK_SET', detail));
  const clockSets = [...(before.clockSets ?? []), [at, flag ? 1 : 0] as const].slice(-maxClockSets);
  state.logs = { ...before, clockSets };
  return { beforeMs, afterMs };
}

/** By an order: large deviations too, and again on the same day; neither near a boundary nor by half a period (R30). */
export async function setOrderedClock(
  port: PortContext,
  state: MeterState,
  session: Session,
  begin: () => Promise<void>,
): Promise<ClockStep | { readonly left: string }> {
  const deviationMs = state.identity?.clockDeviationMs;
  if (deviationMs === undefined) return { left: 'the clock of the meter names no instant' };
  const now = { ...clockState(port, state, deviationMs), lastSet: undefined };
  const decision = decideClock(now, { set: true, setLarge: true });
  if (decision.kind === 'leave') return { left: decision.why };
  await begin();
  return applyClock(port, state, session, { deviationMs, flag: decision.flag });
}

/** When it changes, and once a day. */
function announceAlarm(port: PortContext, state: MeterState, deviationMs: number, action: string): void {
  const wall = port.clock.wall();
  const alarm = clockAlarm(deviationMs);
  if (alarm === state.reportedClock?.alarm && wall - (state.reportedClock?.at ?? longAgo) < dayMs) return;
  const detail = { deviationS: Math.round(deviationMs / 100) / 10, clock: deviationWords(deviationMs / 1000), action };
  if (alarm) state.pendingEvents.push(gatewayEvent(port, state, alarm, detail));
  state.reportedClock = { alarm, at: wall };
}
