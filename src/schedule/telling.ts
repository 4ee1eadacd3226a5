/** What the gateway says of the meters of a line that answer or do not (R23 to R26). */
import { messageOf } from '../base/errors.ts';
import { mismatchDetail } from '../meter/identity.ts';
import { controlStateName } from '../dlms/cosem/value-names.ts';
import { iso, longAgo, millis } from '../base/time.ts';
import { type EventFact, gatewayFact } from '../reading/facts.ts';
import type { Line, MeterState, LineContext } from './meter-state.ts';
import { answers, isSilent, judge, type Observation } from './reachability.ts';
import type { Verdict } from '../reading/verdict.ts';
import { isRefused } from './refusals.ts';
import { gatewayEvent } from './gateway-event.ts';

/** Characters of a failure's words, in an event. */
const maxWhy = 300;

interface Telling {
  readonly port: LineContext;
  readonly line: Line;
  /** Without those that are not polled. */
  readonly all: readonly MeterState[];
  readonly verdictOf: (state: MeterState) => Verdict;
}
/** An event that could not be stored comes with the next change; the status shows the verdict meanwhile. */
async function commit({ store, log }: LineContext, meter: string, event: EventFact): Promise<void> {
  try {
    await store.commit({ meter, entryClass: 0, facts: [event] });
  } catch (error) {
    log.error({ meter, error: messageOf(error) }, 'verdict not stored');
  }
}

/** What changed in the verdicts is an event: for each meter, or one for the bus (R23, R24, R25). */
export async function tellReachability(port: LineContext, line: Line): Promise<void> {
  const verdicts = judged(port, line);
  const all = [...line.states.values()].filter(({ polled }) => polled.unusable === undefined);
  const verdictOf = (state: MeterState) => verdicts.get(state.polled.origin.meter) as Verdict;
  const telling = { port, line, all, verdictOf };
  await tellBus(telling);
  await tellUnusable(port, line);
  // Whose fault it is shows only when the neighbours have been asked as well.
  const newestSuccess = Math.max(longAgo, ...all.map(({ lastSuccess }) => lastSuccess ?? longAgo));
  for (const state of all) await tellVerdict(telling, state, newestSuccess);
  for (const state of all) await tellSilence(port, state);
}

async function tellBus({ port, line, all, verdictOf }: Telling): Promise<void> {
  const { clock } = port;
  const busFault = all.length > 1 && all.every((state) => verdictOf(state) === 'BUS_FAULT');
  if (busFault === line.busFaultReported) return;
  line.busFaultReported = busFault;
  if (!busFault) {
    // The line is back: everybody is asked again soon, and judged anew.
    line.silentNotBefore = clock.now();
    for (const state of all) {
      // What refused us is left alone whatever the bus did.
      if (state.failures === 0 || isRefused(state)) continue;
      state.failures = 1;
      state.notBefore = clock.now();
    }
  }
  const detail = { port: port.name, meters: all.length };
  await commit(port, '_', gatewayFact(clock.wall(), busFault ? 'BUS_FAULT' : 'BUS_ANSWERS', detail));
}

/** Meters that are not polled, for their configuration does not hold. */
async function tellUnusable(port: LineContext, line: Line): Promise<void> {
  for (const state of line.states.values()) {
    const { unusable, origin } = state.polled;
    if (unusable === undefined || state.reportedVerdict === 'CONFIG_FAULT') continue;
    const { code: evidence, message, nextStep: next } = unusable;
    const detail = { state: 'FAULT', evidence, why: message.slice(0, maxWhy), next };
    await commit(port, origin.meter, gatewayEvent(port, state, 'CONFIG_FAULT', detail));
    state.reportedVerdict = 'CONFIG_FAULT';
  }
}

async function tellVerdict({ port, all, verdictOf }: Telling, state: MeterState, newestSuccess: number): Promise<void> {
  const { meter } = state.polled.origin;
  const verdict = verdictOf(state);
  // Another meter than the one that was reported is another event.
  const mismatch = verdict === 'IDENTITY_MISMATCH' ? state.lastError?.message : undefined;
  const reported = verdict === state.reportedVerdict && (mismatch === undefined || mismatch === state.reportedMismatch);
  if (verdict === 'UNKNOWN' || verdict === 'BUS_FAULT' || reported) return;
  // The log of a failure tells the first in a row; who it is may change within the row.
  if (mismatch !== undefined && state.reportedMismatch !== undefined)
    port.log.warn({ port: port.name, meter }, mismatch);
  state.reportedMismatch = mismatch;
  if (!answers(verdict)) {
    const neighbourAnswers = all.length === 1 || newestSuccess >= (state.silentSince ?? longAgo);
    // A meter that falls silent in a session may have lost its mains just then: the next one tells.
    const unsure = isSilent(verdict) || state.lastError?.code === 'fell-silent';
    if ((unsure && state.failures < 2) || (isSilent(verdict) && !neighbourAnswers)) return;
    state.reportedSilent = isSilent(verdict);
    const detail = {
      state: isSilent(verdict) ? 'UNREACHABLE' : 'FAULT',
      lastSeen: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
      failures: state.failures,
      confidence: state.failures >= 4 ? 'high' : 'medium',
      evidence: state.lastError?.code ?? null,
      ...mismatchDetail(state.lastError),
    };
    await commit(port, meter, gatewayEvent(port, state, verdict, detail));
  } else if (state.reportedVerdict !== 'UNKNOWN' || verdict !== 'REACHABLE') {
    const control = state.identity?.disconnector?.control;
    const detail = {
      state: 'REACHABLE',
      before: state.reportedVerdict,
      controlState: control ?? null,
      ...(control !== undefined && { control: controlStateName(control) }),
    };
    await commit(port, meter, gatewayEvent(port, state, verdict, detail));
  }
  state.reportedVerdict = verdict;
}

/** A meter that was reported as silent answers: its log shows what the silence was, and that is an event. */
async function tellSilence(port: LineContext, state: MeterState): Promise<void> {
  if (state.failures > 0 || state.silentSince === undefined) return;
  const wall = port.clock.wall();
  const { meter } = state.polled.origin;
  const since = state.silentSince;
  // Before the first failure everything may have been well since the last poll that succeeded.
  const from = state.lastSuccessBefore ?? since;
  const span = port.store.meterLogs(meter).dark.findLast(([down, up]) => down < wall && up > from);
  state.silentSince = undefined;
  state.lastSuccessBefore = undefined;
  // A fault of the bus has one event for its beginning and one for its end.
  const { reportedSilent } = state;
  state.reportedSilent = false;
  if (!reportedSilent) return;
  const event = span
    ? gatewayEvent(port, state, 'MAINS_OFF', { from: iso(millis(span[0])), to: iso(millis(span[1])) })
    : gatewayEvent(port, state, 'COMM_FAULT', { from: iso(since), to: iso(wall) });
  await commit(port, meter, event);
}

/** Whether the switch was open when it was read last: one that cannot be read now is not taken for closed. */
function supplyOff({ identity, hasDisconnector, disconnectorSeen }: MeterState): boolean | undefined {
  const known = identity?.disconnector ?? (hasDisconnector ? disconnectorSeen : undefined);
  return known && !known.output;
}

export function judged(port: LineContext, line: Line): Map<string, Verdict> {
  const { store } = port;
  const sum = (state: MeterState) => state.qualityWindow.reduce((total, one) => total + one.damaged, 0);
  return judge(
    new Map<string, Observation>(
      [...line.states].map(([meter, state]) => [
        meter,
        {
          lastSuccess: state.lastSuccess,
          failures: state.failures,
          lastError: state.lastError?.code,
          damaged: sum(state),
          sessions: state.qualityWindow.length,
          supplyOff: supplyOff(state),
          powerDown: store.meterLogs(meter).lastPower === 'down',
          unusable: state.polled.unusable !== undefined,
        },
      ]),
    ),
  );
}
