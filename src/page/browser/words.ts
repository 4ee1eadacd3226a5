/** Times, durations and numbers as people read them, in the language and the zone of the page. */
import { withTimes } from '../../base/words.ts';
import { current, t } from './language.ts';

/** As the numbers and times of the language are written: Finnish ones, or the unmistakable ones of ISO. */
const locale = (): string => (current() === 'fi' ? 'fi-FI' : 'en-GB');

let zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** The zone of the gateway; where its configuration names none (UTC), that of whoever looks. */
export function useZone(given: string | undefined): void {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  try {
    zone =
      given === undefined || given === 'UTC'
        ? own
        : new Intl.DateTimeFormat('en', { timeZone: given }).resolvedOptions().timeZone;
  } catch {
    zone = own;
  }
}
export const shownZone = (): string => zone;

const formats = new Map<string, Intl.DateTimeFormat>();
function format(at: number, options: Intl.DateTimeFormatOptions): string {
  const key = `${locale()} ${zone} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found)
    formats.set(key, (found = new Intl.DateTimeFormat(locale(), { timeZone: zone, hourCycle: 'h23', ...options })));
  return found.format(at);
}
const atOf = (instant: string | number): number => (typeof instant === 'number' ? instant : Date.parse(instant));

/** With the zone: no hour has two meanings. */
export function fullTime(instant: string | number): string {
  const at = atOf(instant);
  if (Number.isNaN(at)) return String(instant);
  return format(at, {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  });
}
export function shortTime(instant: string | number): string {
  const at = atOf(instant);
  if (Number.isNaN(at)) return String(instant);
  return format(at, { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' });
}
export const dayOf = (at: number): string => format(at, { weekday: 'short', day: 'numeric', month: 'numeric' });
export const hourOf = (at: number): string => format(at, { hour: '2-digit', minute: '2-digit' });

const units = { en: ['d', 'h', 'min', 's'], fi: ['pv', 'h', 'min', 's'] } as const;
/** Two of the largest: `4 h 12 min`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const counts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const begin = counts.findIndex((count) => count > 0);
  const from = begin < 0 ? 3 : begin;
  return counts
    .slice(from, from + 2)
    .map((count, i) => `${count} ${units[current()][from + i]}`)
    .join(' ');
}

const rightWithinS = 2;
export function deviation(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return t('notRead');
  if (Math.abs(seconds) <= rightWithinS) return t('right');
  const size = duration(Math.round(Math.abs(seconds)));
  return t(seconds > 0 ? 'ahead' : 'behind', size);
}

/** An integer times a power of ten, digit by digit, with blanks between thousands and the comma of the language. */
export function decimal(raw: string | number, exponent: number): string {
  const [, sign = '', digits = ''] = /^(-?)(\d+)$/.exec(String(raw)) ?? [];
  if (digits === '') return String(raw);
  const places = Math.max(0, -exponent);
  const padded = (digits + '0'.repeat(Math.max(0, digits === '0' ? 0 : exponent))).padStart(places + 1, '0');
  const whole = padded.slice(0, padded.length - places).replaceAll(/\B(?=(\d{3})+$)/g, '\u202f');
  const fraction = padded.slice(padded.length - places);
  return `${sign}${whole}${fraction === '' ? '' : `${current() === 'fi' ? ',' : '.'}${fraction}`}`;
}
/** Energy as displays show it, in kilo-units. */
export function quantity(raw: string | number, scaler: number | null, unit: string | null): string {
  const kilo = unit === 'Wh' || unit === 'varh' || unit === 'VAh';
  return `${decimal(raw, (scaler ?? 0) - (kilo ? 3 : 0))} ${kilo ? 'k' : ''}${unit ?? ''}`.trim();
}
/** Instants of UTC within a sentence of the gateway become local ones. */
export const withLocalTimes = (text: string): string => withTimes(text, fullTime);
