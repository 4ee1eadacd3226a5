/**
 * COSEM date-time, 12 octets (Blue Book 4.1.6.1): year 2, month, day, weekday, hour, minute, second, hundredths,
 * deviation (int16, minutes from local time to UTC), clock status. 0xFF / 0xFFFF / 0x8000 = not specified.
 */
import { millis, type Millis, minuteMs } from '../../base/time.ts';

export const deviationUnspecified = -0x8000;

export function deviationOf(octets: Uint8Array): number {
  return (((octets[9] as number) << 24) >> 16) | (octets[10] as number);
}

export interface StampReading {
  /** Minutes from local time to UTC, taken where the stamp leaves the deviation open (meters on standard time all year). */
  readonly deviationMin?: number;
  /** Some meters count the deviation from UTC to local time (R10). */
  readonly inverted?: boolean;
  /** `deviationMin` holds even where a stamp says otherwise: rows with deviation 0 beside a clock that has another. */
  readonly overridden?: boolean;
}

/** The instant of a stamp; undefined where it names no instant. Unspecified minutes and less are 0. */
export const utcOf = (octets: Uint8Array, reading: StampReading = {}): Millis | undefined =>
  octets.length === 12 ? utcAt(octets, 0, reading) : undefined;

/** The same for the 12 octets from `at`, without a view of them. */
export function utcAt(octets: Uint8Array, at: number, reading: StampReading): Millis | undefined {
  const year = ((octets[at] as number) << 8) | (octets[at + 1] as number);
  const month = octets[at + 2] as number;
  const day = octets[at + 3] as number;
  const hour = octets[at + 5] as number;
  if (year === 0xffff || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23) return undefined;
  let deviation = (((octets[at + 9] as number) << 24) >> 16) | (octets[at + 10] as number);
  if (deviation === deviationUnspecified || reading.overridden === true) {
    if (reading.deviationMin === undefined) return undefined;
    deviation = reading.deviationMin;
  } else if (reading.inverted === true) deviation = -deviation;
  if (deviation < -840 || deviation > 840) return undefined;
  const minute = octets[at + 6] as number;
  const second = octets[at + 7] as number;
  const hundredths = octets[at + 8] as number;
  const minutes = (daysOf(year, month, day) * 24 + hour) * 60 + (minute > 59 ? 0 : minute) + deviation;
  return millis(minutes * minuteMs + (second > 59 ? 0 : second) * 1000 + (hundredths > 99 ? 0 : hundredths) * 10);
}

/** Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is the last one. */
function daysOf(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const monthFromMarch = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leapDays + Math.floor((153 * monthFromMarch + 2) / 5) + day - 719_469;
}

/** Minutes from local time to UTC; `written` false leaves them open in the stamp, which is local time all the same. */
export interface WrittenDeviation {
  readonly min: number;
  readonly written: boolean;
}
export const inUtc: WrittenDeviation = { min: 0, written: true };

/** Writes an instant as local time of the given deviation. */
export function dateTimeOctets(
  instant: Millis,
  deviation: WrittenDeviation | number = inUtc,
  clockStatus = 0,
): Uint8Array {
  const { min, written } = typeof deviation === 'number' ? { min: deviation, written: true } : deviation;
  const local = new Date(instant - min * minuteMs);
  const year = local.getUTCFullYear();
  const field = written ? min : deviationUnspecified;
  return Uint8Array.of(
    year >> 8,
    year & 0xff,
    local.getUTCMonth() + 1,
    local.getUTCDate(),
    local.getUTCDay() === 0 ? 7 : local.getUTCDay(),
    local.getUTCHours(),
    local.getUTCMinutes(),
    local.getUTCSeconds(),
    Math.floor(local.getUTCMilliseconds() / 10),
    (field >> 8) & 0xff,
    field & 0xff,
    clockStatus,
  );
}
