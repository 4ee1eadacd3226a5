/** What is known of a port and its meters, for status, health, gaps and the account of a day. */
import type { ErrorCode, Fault } from '../base/errors.ts';
import { iso } from '../base/time.ts';
import { missing } from '../reading/coverage.ts';
import type { ClockVerdict } from './clock-policy.ts';
import { cannotCarry, estimatedRowMs } from './line-load.ts';
import type { AccountedSeries } from './manifest.ts';
import { clockFinding } from './meter-clock.ts';
import type { Line, MeterState, PolledMeter, LineContext } from './meter-state.ts';
import { newestEnd } from './plan.ts';
import { plannedMeter } from './planned-meter.ts';
import type { Verdict } from '../reading/verdict.ts';
import { leftAlone } from './refusals.ts';
import { boundsOf } from './series-bounds.ts';
import { type SeriesGap, seriesGap } from './series-gaps.ts';
import { judged } from './telling.ts';
import { waysAround } from './ways-around.ts';

export interface MeterStatus {
  readonly meter: string;
  readonly serial: string;
  readonly verdict: Verdict;
  readonly lastSuccess: string | null;
  readonly failures: number;
  readonly lastError: string | null;
  /** Code and fault of the error table. */
  readonly lastCode: ErrorCode | null;
  readonly fault: Fault | null;
  readonly nextStep: string | null;
  readonly clockDeviationS: number | null;
  /** What is wrong with the clock, and what to do about it. */
  readonly clockVerdict: ClockVerdict | null;
  readonly clockNextStep: string | null;
  readonly intervalsRead: number;
  readonly intervalsMissing: number;
  readonly damagedFrames: number;
  readonly repeatedFrames: number;
  /** What is done in another way for this meter because it mishandles the usual one, and what is not done, with the reason. */
  readonly ways: readonly string[];
  /** What somebody should see to although the meter answers. */
  readonly alarms: readonly string[];
}

/** The series of a port, for the account of a day. */
export const accountedSeries = (port: LineContext): AccountedSeries[] =>
  port.meters.flatMap((polled: PolledMeter) =>
    polled.series.map((settings) => {
      const { series, profile, periodMs } = settings;
      const { since, until } = boundsOf(port, { polled }, settings);
      return { origin: polled.origin, series, profile, periodMs, since, until };
    }),
  );

/** That this line cannot carry what it has to, by the time that rows took. */
export const lineTrouble = (port: LineContext, states: Iterable<MeterState>): string | undefined =>
  cannotCarry(
    [...states].flatMap(({ polled: { access, series: all }, sliceRows }) =>
      all
        .filter(({ until }) => until === undefined || until > port.clock.wall())
        .map(({ series, periodMs }) => ({ periodMs, rowMs: sliceRows.get(series)?.rowMs ?? estimatedRowMs(access) })),
    ),
  );

/** What is missing, uncertain, dark or not read yet, by series. */
export function gapsOf(port: LineContext, states: Iterable<MeterState>): SeriesGap[] {
  const { clock, plan } = port;
  const found: SeriesGap[] = [];
  for (const { polled } of states)
    for (const one of polled.series) {
      const { stored, since, until } = boundsOf(port, { polled }, one);
      const end = newestEnd(clock.wall(), one.periodMs, plan.offsetMs, until);
      for (const [from, to] of missing(stored?.coverage ?? [], since, end))
        found.push(seriesGap(polled.origin, one, [from, to, 'PENDING']));
      for (const run of stored?.exceptions ?? []) found.push(seriesGap(polled.origin, one, run));
    }
  return found;
}

export function statusOf(port: LineContext, line: Line): MeterStatus[] {
  const verdicts = judged(port, line);
  const { open, lastError, oneSession } = port.owner.state;
  const connection = oneSession ? ['a connection for each session (a second association was not answered)'] : [];
  const portDown = !open && lastError !== undefined;
  return [...line.states].map(([meter, state]) => {
    const { unusable, origin } = state.polled;
    const failure = unusable ?? state.lastError;
    const deviationMs = state.identity?.clockDeviationMs;
    const clock = clockFinding(port, state);
    return {
      meter,
      serial: origin.serial,
      verdict: portDown && !unusable ? 'BUS_FAULT' : (verdicts.get(meter) as Verdict),
      lastSuccess: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
      failures: state.failures,
      lastError: failure?.message ?? null,
      lastCode: failure?.code ?? null,
      fault: failure?.fault ?? null,
      nextStep: failure?.nextStep ?? null,
      clockDeviationS: deviationMs === undefined ? null : deviationMs / 1000,
      clockVerdict: clock?.verdict ?? null,
      clockNextStep: clock?.nextStep ?? null,
      intervalsRead: state.intervalsRead,
      intervalsMissing: intervalsMissing(port, state),
      damagedFrames: state.qualityWindow.reduce((sum, { damaged }) => sum + damaged, 0),
      repeatedFrames: state.qualityWindow.reduce((sum, { repeated }) => sum + repeated, 0),
      ways: [...waysAround(state), ...connection, ...leftAlone(port, state)],
      alarms: alarmsOf(port, state),
    };
  });
}
function intervalsMissing(port: LineContext, state: MeterState): number {
  let count = 0;
  for (const { periodMs, coverage, since, until } of plannedMeter(port, state).series) {
    const end = newestEnd(port.clock.wall(), periodMs, port.plan.offsetMs, until);
    for (const [from, to] of missing(coverage, since, end)) count += Math.round((to - from) / periodMs);
  }
  return count;
}
const alarmsOf = ({ turns }: LineContext, state: MeterState): string[] => [
  // Change the key before the counter is used up (R37).
  ...(state.counterAlarmed ? ['INVOCATION_COUNTER_HIGH'] : []),
  ...[...state.rowAlarms.values()].map(({ text }) => text),
  // The gateway ended unasked while it read this meter; it is read seldom until that does not happen again.
  ...(turns?.suspects.has(state.polled.origin.meter) ? ['SET_ASIDE'] : []),
];
