/** From observations to verdicts (domain: reachability). The verdict says where to look first. */
import type { ErrorCode } from '../base/errors.ts';
import type { Millis } from '../base/time.ts';

export const verdicts = [
  'UNKNOWN',
  'REACHABLE',
  'BUS_FAULT',
  'SUSPECT_MAINS_OR_METER',
  /** Silent, and the last that its log told was a power-down. */
  'POWER_LOST',
  /** It answers; its own switch is open: zero is true (R24). */
  'SUPPLY_OFF_BY_METER_SWITCH',
  'SECURITY_FAULT',
  'IDENTITY_MISMATCH',
  'LINE_QUALITY',
  'METER_FAULT',
  /** Its configuration does not hold: a secret, a key or its model is missing. It is not polled. */
  'CONFIG_FAULT',
] as const;
export type Verdict = (typeof verdicts)[number];

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
  /** It let us in, in the session that failed. */
  readonly entered?: boolean;
}

/** More damaged frames than this in each session, on the average, is a line that needs a visit. */
const damagePerSession = 0.5;

function alone(observation: Observation): Verdict {
  const { failures, lastError, sessions, damaged } = observation;
  if (observation.unusable === true) return 'CONFIG_FAULT';
  if (sessions === 0) return 'UNKNOWN';
  const rough = damaged / sessions > damagePerSession;
  if (failures === 0) {
    if (observation.supplyOff === true) return 'SUPPLY_OFF_BY_METER_SWITCH';
    return rough ? 'LINE_QUALITY' : 'REACHABLE';
  }
  switch (lastError) {
    case 'authentication-refused':
    case 'authentication-required':
    case 'association-refused':
    case 'deciphering-failed':
    case 'replayed-counter':
    case 'counter-implausible':
    case 'counter-used-up':
    case 'title-changed':
      return 'SECURITY_FAULT';
    case 'identity-mismatch':
      return 'IDENTITY_MISMATCH';
    case 'damaged-answer':
      return 'LINE_QUALITY';
    case 'no-answer':
    case 'echo-only':
      if (rough) return 'LINE_QUALITY';
      // A meter that let us in and then says nothing has mains, and a line.
      if (observation.entered === true) return 'METER_FAULT';
      return observation.powerDown === true ? 'POWER_LOST' : 'SUSPECT_MAINS_OR_METER';
    case 'port-missing':
    case 'host-missing':
    case 'port-denied':
    case 'port-busy':
    case 'port-lost':
    case 'turn-stuck':
      return 'BUS_FAULT';
    default:
      return rough ? 'LINE_QUALITY' : 'METER_FAULT';
  }
}

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
  const judged = new Map([...observations].map(([meter, observation]) => [meter, alone(observation)]));
  // A meter that nobody asks says nothing of the bus.
  const asked = [...judged].filter(([, verdict]) => verdict !== 'CONFIG_FAULT');
  const allSilent = asked.length > 1 && asked.every(([, verdict]) => silent.has(verdict));
  // One meter that hangs up is that meter; where every connection of a converter breaks off, it is the line.
  const allBroken = asked.length > 1 && asked.every(([meter]) => broken(observations.get(meter)));
  if (allSilent || allBroken) for (const [meter] of asked) judged.set(meter, 'BUS_FAULT');
  return judged;
}
