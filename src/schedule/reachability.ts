/** From observations to verdicts (domain: reachability). The verdict says where to look first. */
import { type ErrorCode, errorTable, type Fault } from '../base/errors.ts';
import type { Millis } from '../base/time.ts';
import type { Verdict } from '../reading/verdict.ts';

export interface Observation {
  readonly lastSuccess: Millis | undefined;
  readonly failures: number;
  readonly lastError: ErrorCode | undefined;
  /** Damaged frames, frames sent again and sessions, over the last sessions. */
  readonly damaged: number;
  readonly sessions: number;
  /** The meter's switch; undefined where it has none. */
  readonly supplyOff?: boolean | undefined;
  /** The last power event of its log was a power-down. */
  readonly powerDown?: boolean;
  /** It is not polled. */
  readonly unusable?: boolean;
}

/** More damaged frames than this in each session, on the average, is a line that needs a visit. */
const damagePerSession = 0.5;
/** Fewer say nothing of a line: somebody switched a lamp on, or a machine stood still for a moment. */
const minDamaged = 3;

function verdictOfMeter(observation: Observation): Verdict {
  const { failures, lastError, sessions, damaged } = observation;
  if (observation.unusable === true) return 'CONFIG_FAULT';
  if (sessions === 0) return 'UNKNOWN';
  const rough = damaged >= minDamaged && damaged / sessions > damagePerSession;
  if (failures === 0) {
    if (observation.supplyOff === true) return 'SUPPLY_OFF_BY_METER_SWITCH';
    return rough ? 'LINE_QUALITY' : 'REACHABLE';
  }
  if (lastError === undefined) return 'METER_FAULT';
  const verdict = verdictOf(lastError);
  // A line that damages most of what comes is the reason of what else goes wrong on it.
  if (rough && roughens.has(verdict)) return 'LINE_QUALITY';
  return verdict === 'SUSPECT_MAINS_OR_METER' && observation.powerDown === true ? 'POWER_LOST' : verdict;
}
const roughens: ReadonlySet<Verdict> = new Set(['SUSPECT_MAINS_OR_METER', 'METER_FAULT']);

/** Whose fault a failure is says where to look first: whoever is sent to the meter must find the reason there. */
const verdictOfFault: Readonly<Record<Fault, Verdict>> = {
  meter: 'METER_FAULT',
  line: 'BUS_FAULT',
  gateway: 'GATEWAY_FAULT',
  operator: 'CONFIG_FAULT',
  'head-end': 'GATEWAY_FAULT',
};
/** Where the failure tells more than whose fault it is. */
const verdictOfCode: Partial<Record<ErrorCode, Verdict>> = {
  'authentication-refused': 'SECURITY_FAULT',
  'authentication-required': 'SECURITY_FAULT',
  'mechanism-refused': 'SECURITY_FAULT',
  'meter-unproven': 'SECURITY_FAULT',
  'association-refused': 'SECURITY_FAULT',
  'protection-weaker': 'SECURITY_FAULT',
  'deciphering-failed': 'SECURITY_FAULT',
  'replayed-counter': 'SECURITY_FAULT',
  'counter-implausible': 'SECURITY_FAULT',
  'counter-used-up': 'SECURITY_FAULT',
  'title-changed': 'SECURITY_FAULT',
  'identity-mismatch': 'IDENTITY_MISMATCH',
  'damaged-answer': 'LINE_QUALITY',
  // Nothing was heard at all; one that answered first is `fell-silent`.
  'no-answer': 'SUSPECT_MAINS_OR_METER',
  'echo-only': 'SUSPECT_MAINS_OR_METER',
  'no-push': 'SUSPECT_MAINS_OR_METER',
  'port-denied': 'BUS_FAULT',
  'port-busy': 'BUS_FAULT',
};
export const verdictOf = (code: ErrorCode): Verdict => verdictOfCode[code] ?? verdictOfFault[errorTable[code].fault];

/** Nothing was heard. */
const silent: ReadonlySet<Verdict> = new Set(['SUSPECT_MAINS_OR_METER', 'POWER_LOST']);
export const isSilent = (verdict: Verdict): boolean => silent.has(verdict);
/** Verdicts with which the meter answers. */
export const answers = (verdict: Verdict): boolean =>
  verdict === 'REACHABLE' || verdict === 'SUPPLY_OFF_BY_METER_SWITCH' || verdict === 'LINE_QUALITY';

const broken = (one: Observation | undefined): boolean =>
  one !== undefined && one.failures > 0 && one.lastError === 'connection-lost';

/** Verdicts of all meters of one port: when everybody is silent, it is the bus (R23). */
export function judge(observations: ReadonlyMap<string, Observation>): Map<string, Verdict> {
  const judged = new Map([...observations].map(([meter, observation]) => [meter, verdictOfMeter(observation)]));
  // A meter that nobody asks says nothing of the bus.
  const asked = [...judged].filter(([meter]) => observations.get(meter)?.unusable !== true);
  const allSilent = asked.length > 1 && asked.every(([, verdict]) => silent.has(verdict));
  // One meter that hangs up is that meter; where every connection of a converter breaks off, it is the line.
  const allBroken = asked.length > 1 && asked.every(([meter]) => broken(observations.get(meter)));
  if (allSilent || allBroken) for (const [meter] of asked) judged.set(meter, 'BUS_FAULT');
  return judged;
}
