/** Time stamps in the usual shapes: found in a line, taken out of it, and read as an instant. */

const shapes = [
  // 2026-11-28T12:34:56.789Z, 2026/11/28 12:34:56,789
  /\d{4}[-/.]\d{2}[-/.]\d{2}[T _]\d{2}:\d{2}(?::\d{2}(?:[.,:]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}(?![0-9a-fA-F]))?/,
  // 28.11.2026 12:34:56.789, 11/28/2026 1:34:56 PM
  /\d{1,2}[./-]\d{1,2}[./-]\d{4},? \d{1,2}:\d{2}:\d{2}(?:[.,:]\d{1,9})?(?: [AP]M)?/,
  // Nov 28 12:34:56
  /(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?/,
  // 12:34:56, 12:34:56.789, 1:34:56 PM; not three octets out of many with colons between
  /(?<![0-9a-fA-F:])(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d(?:(?:[.,]\d{1,9}|:\d{3})(?![0-9a-fA-F]))?(?: [AP]M)?(?!:?[0-9a-fA-F])/,
  // Seconds at the beginning: 12.345678, [   12.345678], +12.345s; at the end: (12.345 s)
  /^\s*\[?\s*\+?\d{1,10}(?:\.\d{1,9}(?=s?(?:[\s\],;:]|$))|,\d{3,9}(?=s?(?:[\s\];:]|$)))/,
  /(?<=[\s(@])\d{1,10}\.\d{2,9}(?=\s*m?s?\)?\s*$)/,
] as const;
const any = new RegExp(shapes.map(({ source }) => `(?:${source})`).join('|'), 'g');

/** The first stamp of a line, and the line with blanks where stamps stand: other things keep their place. */
export function takeStamps(text: string): { readonly time: string; readonly rest: string } {
  let time = '';
  if (!/\d[:.,]\d/.test(text)) return { time, rest: text };
  const rest = text.replace(any, (stamp) => {
    if (time === '') time = stamp.replace(/^[\s[+]+/, '').trim();
    return ' '.repeat(stamp.length);
  });
  return { time, rest };
}

/** ms since 1970, as far as the stamp tells it; without a date the day is 1970-01-01, and so it is for seconds. */
export function instantOf(time: string): number | undefined {
  const seconds = /^\d{1,10}(?:[.,]\d+)?$/.exec(time);
  if (seconds) return Number(time.replace(',', '.')) * 1000;
  const clock = /^(\d{1,2}):(\d{2}):(\d{2})(?:[.,:](\d+))?( [AP]M)?$/.exec(time);
  if (clock) {
    const [, hour = '', minute = '', second = '', fraction = '', half] = clock;
    const hours = half === undefined ? Number(hour) : (Number(hour) % 12) + (half === ' PM' ? 12 : 0);
    return ((hours * 60 + Number(minute)) * 60 + Number(second) + Number(`0.${fraction || 0}`)) * 1000;
  }
  const day = /^(\d{1,2})\.(\d{1,2})\.(\d{4}),? (.*)$/.exec(time);
  const text = day ? `${day[3]}-${day[2]?.padStart(2, '0')}-${day[1]?.padStart(2, '0')}T${day[4]}` : time;
  const iso = text
    .replace(/^(\d{4})[/.](\d{2})[/.]/, '$1-$2-')
    .replace(/[ _]/, 'T')
    .replace(',', '.');
  const at = Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/.test(iso) ? iso : `${iso}Z`);
  return Number.isFinite(at) ? at : undefined;
}
