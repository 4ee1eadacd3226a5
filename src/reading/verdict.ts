/** What a gateway says of a meter: where to look first. `health` carries it, and both sides have the same words for it. */
export const verdicts = [
  'UNKNOWN',
  'REACHABLE',
  'BUS_FAULT',
  'SUSPECT_MAINS_OR_METER',
  /** Silent, and the last power event of its log was a power-down. */
  'POWER_LOST',
  /** It answers; its own switch is open: zero is true (R24). */
  'SUPPLY_OFF_BY_METER_SWITCH',
  'SECURITY_FAULT',
  'IDENTITY_MISMATCH',
  'LINE_QUALITY',
  'METER_FAULT',
  /** Its configuration does not hold, or does not fit the meter: a secret, a key, its model, the period, a right of its client. */
  'CONFIG_FAULT',
  /** What failed is of the gateway itself; the meter is not to blame. */
  'GATEWAY_FAULT',
] as const;
export type Verdict = (typeof verdicts)[number];

export const verdictWords: Readonly<Record<Verdict, string>> = {
  UNKNOWN: 'not asked yet since the gateway started',
  REACHABLE: 'it answers',
  BUS_FAULT: 'nobody can be read over this line: its port, converter, cable, fuse or polarity',
  SUSPECT_MAINS_OR_METER: 'silent while its neighbours answer: its mains, its wires or the meter',
  POWER_LOST: 'silent, and the last that its log told was a power-down',
  SUPPLY_OFF_BY_METER_SWITCH: 'it answers, and its own switch is open: that nothing is counted is true',
  SECURITY_FAULT: 'it is alive and does not let us in, or cannot be trusted: password, keys, counter',
  IDENTITY_MISMATCH: 'another meter answers than the configured one; its rows are held back',
  LINE_QUALITY: 'it answers, and many frames come damaged: termination, shield, speed',
  METER_FAULT: 'it answers, but not as it should',
  CONFIG_FAULT: 'its configuration does not hold, or does not fit it: secret, key, model, period, right of its client',
  GATEWAY_FAULT: 'what failed is of the gateway itself; the meter is not to blame',
};
