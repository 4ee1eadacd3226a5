/** A line of the log for people: time, level, what happened, and the fields behind it. */
import type { LogLine } from '../desk/routes.ts';

export function logText({ at, line }: LogLine): string {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return `${at} ${line}`;
  }
  const { level, msg, time: _time, ...more } = fields;
  const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  const rest = Object.entries(more).map(([name, value]) => `${name}=${text(value)}`);
  return [at, text(level).padEnd(5), text(msg), ...rest].join(' ');
}
