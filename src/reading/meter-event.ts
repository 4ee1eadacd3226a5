/** Entries of a meter's event logs: codes as data, by companion specification, and the spans without power they prove. */
import type { StampDoubt } from '../dlms/cosem/date-time.ts';

/** Codes that IDIS and DSMR share. */
const common: Readonly<Record<number, string>> = {
  1: 'power down',
  2: 'power up',
  3: 'daylight saving time enabled or disabled',
  4: 'clock adjusted (old time)',
  5: 'clock adjusted (new time)',
  6: 'clock invalid',
  7: 'replace battery',
  8: 'battery voltage low',
  9: 'tariff switched',
  10: 'error register cleared',
  11: 'alarm register cleared',
  12: 'program memory error',
  13: 'RAM error',
  14: 'non-volatile memory error',
  15: 'watchdog error',
  16: 'measurement system error',
  17: 'firmware ready for activation',
  18: 'firmware activated',
  47: 'parameters changed',
  48: 'security keys changed',
  254: 'load profile cleared',
  255: 'event log cleared',
};
const disconnector: Readonly<Record<number, string>> = {
  59: 'disconnector ready for manual reconnection',
  60: 'manual disconnection',
  61: 'manual connection',
  62: 'remote disconnection',
  63: 'remote connection',
  64: 'local disconnection',
  65: 'limiter threshold exceeded',
  66: 'limiter threshold ok',
  67: 'limiter threshold changed',
  68: 'disconnect or reconnect failure',
  69: 'local reconnection',
};
const names: Readonly<Record<'idis' | 'dsmr', Readonly<Record<number, string>>>> = {
  idis: {
    ...common,
    ...disconnector,
    40: 'terminal cover removed',
    41: 'terminal cover closed',
    42: 'strong magnetic field detected',
    43: 'no strong magnetic field any more',
    44: 'meter cover removed',
    45: 'meter cover closed',
    46: 'association authentication failed n times',
    49: 'decryption or authentication failure',
    50: 'replay attack',
    88: 'phase asymmetry',
    89: 'missing neutral',
  },
  dsmr: {
    ...common,
    ...disconnector,
    40: 'terminal cover removed',
    41: 'terminal cover closed',
    42: 'strong DC field detected',
    43: 'no strong DC field any more',
    44: 'meter cover removed',
    45: 'meter cover closed',
    46: 'failed login attempt',
    48: 'module cover opened',
  },
};
/** The name of a code; one that the companion does not name is said to be unknown, with its number. */
export const eventName = (companion: 'idis' | 'dsmr', code: number): string =>
  names[companion][code] ?? `unknown code ${code}`;

export interface LogEntry {
  readonly at: number;
  readonly code: number;
  /** Counts equal entries of one stamp, in the order of the log. */
  readonly occurrence: number;
  /** What the clock said of itself when it made the stamp. */
  readonly doubt?: StampDoubt;
}

const powerDown = 1;
const powerUp = 2;
/** A power-down or a power-up. */
export const isPowerEvent = (code: number): boolean => code === powerDown || code === powerUp;
/** What the newest power event among these was. */
export function lastPowerOf(entries: readonly LogEntry[]): 'down' | 'up' | undefined {
  const last = entries.findLast(({ code }) => isPowerEvent(code));
  return last && (last.code === powerDown ? 'down' : 'up');
}
/** A span without power, as the meter logged it: [down, up). */
export type DarkSpan = readonly [from: number, to: number];
const maxSpans = 500;
/** The spans known so far and those that these entries prove: a power-down followed by a power-up. */
export function darkSpans(before: readonly DarkSpan[], entries: readonly LogEntry[]): readonly DarkSpan[] {
  const spans = new Map(before.map((span) => [span[0], span]));
  let down: number | undefined;
  for (const { at, code, doubt } of entries) {
    // A clock that was not right proves nothing about an interval, and the entries around it are no pair.
    if (doubt) down = undefined;
    else if (code === powerDown) down = at;
    else if (code === powerUp && down !== undefined && at > down) {
      spans.set(down, [down, at]);
      down = undefined;
    }
  }
  return [...spans.values()].toSorted(([a], [b]) => a - b).slice(-maxSpans);
}
