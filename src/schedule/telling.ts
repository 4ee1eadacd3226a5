/** What the gateway says of the meters of a line that answer or do not (R23 to R26). */
import { messageOf } from '../base/errors.ts';
import { mismatchDetail } from '../meter/identity.ts';
import { controlStateName } from '../dlms/cosem/value-names.ts';
import { iso, longAgo, millis } from '../base/time.ts';
import { type EventFact, gatewayFact } from '../reading/facts.ts';
import type { Line, MeterState, RunnerSettings } from './meter-state.ts';
import { answers, isSilent, judge, type Observation, type Verdict } from './reachability.ts';
import { isRefused } from './refusals.ts';
import { gatewayEvent } from './gateway-event.ts';

/** Of a failure's words, in an event. */
const whyMost = 300;

/** What changed in the verdicts is an event: for each meter, or one for the bus (R23, R24, R25). */
export async function tellReachability(house: RunnerSettings, line: Line): Promise<void> {
  const { clock, store, log } = house;
  const verdicts = judged(house, line);
  const all = [...line.states.values()].filter(({ polled }) => polled.unusable === undefined);
  const verdictOf = (state: MeterState) => verdicts.get(state.polled.origin.meter) as Verdict;
  const busFault = all.length > 1 && all.every((state) => verdictOf(state) === 'BUS_FAULT');
  const wall = clock.wall();
  const commit = async (meter: string, event: EventFact): Promise<void> => {
    try {
      await store.commit({ meter, entryClass: 0, facts: [event] });
    } catch (error) {
      // It is told with the next change; the status shows it all the while.
      log.error({ meter, error: messageOf(error) }, 'verdict not stored');
    }
  };
  if (busFault !== line.busFaultTold) {
    line.busFaultTold = busFault;
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
    const detail = { port: house.name, meters: all.length };
    await commit('_', gatewayFact(wall, busFault ? 'BUS_FAULT' : 'BUS_ANSWERS', detail));
  }
  for (const state of line.states.values()) {
    const { unusable, origin } = state.polled;
    if (unusable === undefined || state.told === 'CONFIG_FAULT') continue;
    const detail = {
      state: 'FAULT',
      evidence: unusable.code,
      why: unusable.message.slice(0, whyMost),
      next: unusable.nextStep,
    };
    await commit(origin.meter, gatewayEvent(house, state, 'CONFIG_FAULT', detail));
    state.told = 'CONFIG_FAULT';
  }
  // Whose fault it is shows only when the neighbours have been asked as well.
  const newestSuccess = Math.max(longAgo, ...all.map(({ lastSuccess }) => lastSuccess ?? longAgo));
  for (const state of all) {
    const { meter } = state.polled.origin;
    const verdict = verdictOf(state);
    const control = state.identity?.disconnector?.control;
    // Another meter than the one that was told is another story.
    const mismatch = verdict === 'IDENTITY_MISMATCH' ? state.lastError?.message : undefined;
    const told = verdict === state.told && (mismatch === undefined || mismatch === state.toldMismatch);
    if (verdict === 'UNKNOWN' || verdict === 'BUS_FAULT' || told) continue;
    // The log of a failure tells the first in a row; who it is may change within the row.
    if (mismatch !== undefined && state.toldMismatch !== undefined) log.warn({ port: house.name, meter }, mismatch);
    state.toldMismatch = mismatch;
    if (!answers(verdict)) {
      const neighbourAnswers = all.length === 1 || newestSuccess >= (state.silentSince ?? longAgo);
      // A meter that falls silent in a session may have lost its mains just then: the next one tells.
      const unsure = isSilent(verdict) || state.lastError?.code === 'fell-silent';
      if ((unsure && state.failures < 2) || (isSilent(verdict) && !neighbourAnswers)) continue;
      state.toldSilent = isSilent(verdict);
      await commit(
        meter,
        gatewayEvent(house, state, verdict, {
          state: isSilent(verdict) ? 'UNREACHABLE' : 'FAULT',
          lastSeen: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
          failures: state.failures,
          confidence: state.failures >= 4 ? 'high' : 'medium',
          evidence: state.lastError?.code ?? null,
          ...mismatchDetail(state.lastError),
        }),
      );
    } else if (state.told !== 'UNKNOWN' || verdict !== 'REACHABLE') {
      await commit(
        meter,
        gatewayEvent(house, state, verdict, {
          state: 'REACHABLE',
          before: state.told,
          controlState: control ?? null,
          ...(control !== undefined && { control: controlStateName(control) }),
        }),
      );
    }
    state.told = verdict;
  }
  for (const state of all) {
    if (state.failures > 0 || state.silentSince === undefined) continue;
    const { meter } = state.polled.origin;
    const since = state.silentSince;
    // Before the first failure everything may have been well since the last poll that succeeded.
    const from = state.lastSuccessBefore ?? since;
    const span = store.meterLogs(meter).dark.findLast(([down, up]) => down < wall && up > from);
    state.silentSince = undefined;
    state.lastSuccessBefore = undefined;
    // Of a fault of the bus one event was told, and one tells its end.
    const toldSilent = state.toldSilent;
    state.toldSilent = false;
    if (!toldSilent) continue;
    await commit(
      meter,
      span
        ? gatewayEvent(house, state, 'MAINS_OFF', { from: iso(millis(span[0])), to: iso(millis(span[1])) })
        : gatewayEvent(house, state, 'COMM_FAULT', { from: iso(since), to: iso(wall) }),
    );
  }
}

/** As the switch was read last: one that cannot be read now is no switch that is on. */
function supplyOff({ identity, hasDisconnector, disconnectorSeen }: MeterState): boolean | undefined {
  const known = identity?.disconnector ?? (hasDisconnector ? disconnectorSeen : undefined);
  return known && !known.output;
}

export function judged(house: RunnerSettings, line: Line): Map<string, Verdict> {
  const { store } = house;
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
