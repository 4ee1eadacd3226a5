/** Instants of UTC as text. */
import { iso, millis } from '../base/time.ts';

export const utcText = (at: number): string => iso(millis(at));
/** One that exists: not the 30th of February. */
export function isUtcInstant(text: string): boolean {
  const shape = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d))?(?:\.0+)?Z$/.exec(text);
  if (!shape) return false;
  const at = new Date(text);
  return !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 16) === shape[1];
}
