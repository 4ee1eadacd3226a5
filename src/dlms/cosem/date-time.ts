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
}

/** The instant of a stamp; undefined where it names no instant. Unspecified minutes and less are 0. */
export function utcOf(octets: Uint8Array, reading: StampReading = {}): Millis | undefined {
  if (octets.length !== 12) return undefined;
  const year = ((octets[0] as number) << 8) | (octets[1] as number);
  const month = octets[2] as number;
  const day = octets[3] as number;
  const hour = octets[5] as number;
  if (year === 0xffff || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23) return undefined;
  const or0 = (octet: number, limit: number) => (octet <= limit ? octet : 0);
  let deviation = deviationOf(octets);
  if (deviation === deviationUnspecified) {
    if (reading.deviationMin === undefined) return undefined;
    deviation = reading.deviationMin;
  } else if (reading.inverted) deviation = -deviation;
  if (deviation < -840 || deviation > 840) return undefined;
  const local = Date.UTC(
    year,
    month - 1,
    day,
    hour,
    or0(octets[6] as number, 59),
    or0(octets[7] as number, 59),
    or0(octets[8] as number, 99) * 10,
  );
  return millis(local + deviation * minuteMs);
}

/** Writes an instant as local time of the given deviation. `deviationMin` undefined writes it as not specified, in UTC. */
export function dateTimeOctets(instant: Millis, deviationMin: number | undefined = 0, clockStatus = 0): Uint8Array {
  const local = new Date(instant - (deviationMin ?? 0) * minuteMs);
  const year = local.getUTCFullYear();
  const deviation = deviationMin ?? deviationUnspecified;
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
    (deviation >> 8) & 0xff,
    deviation & 0xff,
    clockStatus,
  );
}
