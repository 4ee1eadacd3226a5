/**
 * Whether the time of day can be right at all. A concentrator without a clock of its own wakes up in 1970; a time server that
 * lies may say anything. While it cannot be right nothing is planned, given a number or reported as a gap: stamps, grids and
 * what is missing all hang on it.
 */
import { dayMs, iso, type Millis, millis } from '../base/time.ts';

/** No clock that is right shows less: this version was made then. */
export const thisVersionMadeAt = millis(Date.UTC(2026, 10, 28));
/** Nothing of this version runs for so long. */
const lifetimeMs = 20 * 366 * dayMs;

/** Why not; undefined where it can be right. `floor`: the last time that was known, ms; 0 where none was. */
export function timeImpossible(wall: Millis, floor: Millis, madeAt = thisVersionMadeAt): string | undefined {
  const earliest = millis(Math.max(madeAt, floor));
  if (wall < earliest)
    return `the gateway's clock shows ${iso(wall)}, and it was ${iso(earliest)} before: nothing is read until it is set`;
  if (wall > madeAt + lifetimeMs)
    return `the gateway's clock shows ${iso(wall)}, which is beyond belief: nothing is read until it is set`;
  return undefined;
}
