/** Numbers and times as a person reads them. What machines read (JSON, MQTT, logs) keeps the raw number, and UTC. */

/** The time zone of this machine, and of who sits at it (TZ). */
export const systemZone = (): string => usableZone(new Intl.DateTimeFormat().resolvedOptions().timeZone);

/** A zone that this machine's tables know; UTC where they do not. */
export function usableZone(zone: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone: zone ?? 'UTC' }).resolvedOptions().timeZone;
  } catch {
    return 'UTC';
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();
function partsOf(at: number, zone: string): Partial<Record<Intl.DateTimeFormatPartTypes, string>> {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB-u-ca-gregory-nu-latn', {
      timeZone: zone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    });
    formats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
}
const offsetOf = ({ timeZoneName = '' }: ReturnType<typeof partsOf>): string =>
  timeZoneName === 'GMT' ? '+00:00' : timeZoneName.replace('GMT', '').replace('−', '-');

/** `2026-11-28 10:24:35 +02:00`: local time with its offset, so that no hour has two meanings. */
export function localTime(at: number, zone: string): string {
  if (Number.isNaN(new Date(at).getTime())) return 'no time';
  const parts = partsOf(at, zone);
  return `${parts.year?.padStart(4, '0')}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second} ${offsetOf(parts)}`;
}

/** The same for a column: `11-28 10:24`, with the year and the offset where they are not those of `now`. */
export function shortLocalTime(at: number, now: number, zone: string): string {
  const full = localTime(at, zone);
  if (Number.isNaN(new Date(at).getTime())) return full;
  const today = localTime(now, zone);
  const [day = '', time = '', offset = ''] = full.split(' ');
  const date = day.slice(0, 4) === today.slice(0, 4) ? day.slice(5) : day;
  return `${date} ${time.slice(0, 5)}${today.endsWith(offset) ? '' : offset.replace(':00', '')}`;
}

/** Times of UTC within a sentence of the gateway, each as it is written here. */
export const withTimes = (text: string, written: (at: number) => string): string =>
  text.replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z/g, (instant) => {
    const at = Date.parse(instant);
    return Number.isNaN(at) ? instant : written(at);
  });
/** They become local ones. */
export const withLocalTimes = (text: string, zone: string): string => withTimes(text, (at) => localTime(at, zone));

/** A clock that is no further off is left as it is (R29), and called right. */
const rightWithinS = 2;
/** From here on days say more. */
const manySeconds = 200_000;
/** How a meter's clock deviates from the gateway's, in words. Seconds; null: it could not be read. */
export function deviationWords(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return 'not read';
  const off = Math.abs(seconds);
  if (off <= rightWithinS) return 'right';
  const size = off < 10 ? `${Math.round(off * 10) / 10} s` : off < manySeconds ? `${Math.round(off)} s` : daysOf(off);
  return `${size} ${seconds > 0 ? 'ahead' : 'behind'}`;
}
const daysOf = (seconds: number): string => `${Math.round(seconds / 86_400)} days`;

/** `3 days 4 h`, `4 h 12 min`, `12 min 3 s`: two of the largest. */
export function durationWords(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? [parts[3]] : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

/** An integer times a power of ten as a decimal, digit by digit: no floating point comes near it. */
export function decimal(raw: string, exponent: number): string {
  const [, sign = '', digits = ''] = /^(-?)(\d+)$/.exec(raw) ?? [];
  if (digits === '') return raw;
  if (exponent >= 0) return `${sign}${digits === '0' ? '0' : digits + '0'.repeat(exponent)}`;
  const padded = digits.padStart(1 - exponent, '0');
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}
