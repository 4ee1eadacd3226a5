/**
 * A log that the line does not bring in its time is read in windows, the oldest first, one in each session: the cursor follows,
 * and nothing is left out. Kept in memory; after a start it is learned anew.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, dayMs, hourMs, later, type Millis, millis } from '../base/time.ts';

/** Where the next window begins, and how long it is, by log. */
export type LogWindows = Map<string, { readonly from: Millis; readonly spanMs: number }>;
interface Range {
  readonly from: Millis;
  readonly to: Millis;
}
/** A window that came sooner than this lets the next one be twice as long. */
const soonMs = 30_000;

/** Reads a range, or the window of it that is next. True where the end of the range was read. */
export async function readWindow(
  windows: LogWindows,
  log: string,
  whole: Range,
  clock: Pick<Clock, 'now' | 'wall'>,
  readRange: (range: Range) => Promise<void>,
): Promise<boolean> {
  const wall = clock.wall();
  const known = windows.get(log);
  const from = millis(Math.max(whole.from, known?.from ?? whole.from));
  const next = known && later(from, known.spanMs);
  const part = next !== undefined && next < wall ? { from, to: next } : { from, to: whole.to };
  const began = clock.now();
  try {
    await readRange(part);
  } catch (error) {
    const slow = error instanceof Failure && (error.code === 'answer-too-slow' || error.code === 'answer-too-long');
    // Beyond now there is nothing that would take long.
    const spanMs = Math.max(hourMs, (Math.min(part.to, wall + dayMs) - from) / 4);
    if (slow) windows.set(log, { from, spanMs });
    throw error;
  }
  const done = part.to === whole.to;
  const spanMs = (known?.spanMs ?? 0) * (clock.now() - began < soonMs ? 2 : 1);
  if (known) windows.set(log, { from: done ? whole.from : part.to, spanMs });
  return done;
}
