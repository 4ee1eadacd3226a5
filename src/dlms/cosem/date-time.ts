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
  /**
   * Minutes from local standard time to UTC, taken where the stamp leaves the deviation open. Where its clock status says
   * summer time, local time is `summerShiftMin` ahead of that.
   */
  readonly deviationMin?: number;
  /** Some meters count the deviation from UTC to local time (R10). */
  readonly inverted?: boolean;
  /** `deviationMin` holds even where a stamp says otherwise: rows with deviation 0 beside a clock that has another. */
  readonly overridden?: boolean;
  /** How far summer time is ahead of standard time; left out: an hour. 0: the meter's clock status means nothing here. */
  readonly summerShiftMin?: number;
}

/** Clock status (Blue Book 4.1.6.1): bit 2, another clock base, changes nothing of the time. */
const statusUnspecified = 0xff;
const statusBits = { invalid: 0x01, doubtful: 0x02, statusInvalid: 0x08, summer: 0x80 } as const;
const usualShiftMin = 60;
export const shiftOf = ({ summerShiftMin = usualShiftMin }: StampReading): number => summerShiftMin;

/** What the clock said of itself when it made a stamp: such an instant may be another one. */
export type StampDoubt = 'invalid' | 'doubtful' | 'status-invalid';
export function doubtOf(status: number): StampDoubt | null {
  if (status === statusUnspecified) return null;
  if ((status & statusBits.invalid) !== 0) return 'invalid';
  if ((status & statusBits.doubtful) !== 0) return 'doubtful';
  return (status & statusBits.statusInvalid) !== 0 ? 'status-invalid' : null;
}
export const saysSummer = (status: number): boolean =>
  status !== statusUnspecified && (status & statusBits.summer) !== 0;

/** A stamp as it is read everywhere: an instant with what the clock says of it, or why it names none. */
export type Stamp =
  | { readonly instant: Millis; readonly doubt: StampDoubt | null }
  | { readonly instant: undefined; readonly why: string };
export function stampOf(octets: Uint8Array, reading: StampReading = {}): Stamp {
  const instant = utcOf(octets, reading);
  return instant === undefined
    ? { instant, why: whyNoInstant(octets, reading) }
    : { instant, doubt: doubtOf(octets[11] as number) };
}

/** The instant of a stamp; undefined where it names no instant. Minutes and less that are not specified are 0. */
export const utcOf = (octets: Uint8Array, reading: StampReading = {}): Millis | undefined =>
  octets.length === 12 ? utcAt(octets, 0, reading) : undefined;

/** The same for the 12 octets from `at`, without a view of them. What the calendar does not have is never rolled over. */
export function utcAt(octets: Uint8Array, at: number, reading: StampReading): Millis | undefined {
  const year = ((octets[at] as number) << 8) | (octets[at + 1] as number);
  const month = octets[at + 2] as number;
  const day = octets[at + 3] as number;
  const hour = octets[at + 5] as number;
  if (year > lastYear || month < 1 || month > 12 || day < 1 || hour > 23) return undefined;
  if (day > 28 && day > daysIn(year, month)) return undefined;
  let deviation = (((octets[at + 9] as number) << 24) >> 16) | (octets[at + 10] as number);
  if (deviation === deviationUnspecified || reading.overridden === true) {
    if (reading.deviationMin === undefined) return undefined;
    deviation = reading.deviationMin;
    if (saysSummer(octets[at + 11] as number)) deviation -= shiftOf(reading);
  } else if (reading.inverted === true) deviation = -deviation;
  if (deviation < -longestDeviation || deviation > longestDeviation) return undefined;
  const minute = octets[at + 6] as number;
  const second = octets[at + 7] as number;
  const hundredths = octets[at + 8] as number;
  if ((minute > 59 && minute !== 0xff) || (second > 59 && second !== 0xff)) return undefined;
  const minutes = (daysOf(year, month, day) * 24 + hour) * 60 + (minute > 59 ? 0 : minute) + deviation;
  return millis(minutes * minuteMs + (second > 59 ? 0 : second) * 1000 + (hundredths > 99 ? 0 : hundredths) * 10);
}
/** An instant is written with a year of four digits, in whatever zone. 65535 = not specified. */
const lastYear = 9998;
const longestDeviation = 840;
const daysIn = (year: number, month: number): number => {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
};

/** Why a stamp names no instant, for people. */
export function whyNoInstant(octets: Uint8Array, reading: StampReading = {}): string {
  if (octets.length !== 12) return `${octets.length} octets, where a date-time has 12`;
  const [high, low, month, day, , hour, minute, second] = [...octets] as [number, number, ...number[]];
  const year = (high << 8) | low;
  const open = (value: number | undefined) => value === 0xff;
  if (year === 0xffff || open(month) || open(day) || open(hour)) return 'year, month, day or hour is not specified';
  if (year > lastYear) return `the year ${year}`;
  if (!month || month > 12 || !day || day > daysIn(year, month))
    return `no day of the calendar: ${year}-${month}-${day}`;
  if ((hour as number) > 23) return `hour ${hour}`;
  if (!open(minute) && (minute as number) > 59) return `minute ${minute}`;
  if (!open(second) && (second as number) > 59) return `second ${second}`;
  const deviation = deviationOf(octets);
  if (deviation === deviationUnspecified || reading.overridden === true) {
    if (reading.deviationMin === undefined)
      return 'the deviation is left open, and the model has no stamp_deviation_min';
  }
  return `the deviation ${deviation} min`;
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
