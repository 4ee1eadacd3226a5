/**
 * Whether the gateway knows the time (R29): the kernel says that its clock is synchronised, and it is not before the
 * floor, the last time that was known, kept in the state directory for boots without a clock of their own.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { thisVersionMadeAt } from '../schedule/possible-time.ts';
import { no, type Synchronised } from './synchronised.ts';

export interface KernelTime {
  timeIsKnown(): boolean;
  /** Why the time is not known. */
  trouble(): string | undefined;
  /** The last time that was known, ms; 0 where none was. */
  floor(): number;
  /** Keeps the floor; called now and then. */
  remember(): void;
}
const askEveryMs = 10_000;
const hourMs = 3_600_000;
/** So long the kernel must say that it is synchronised below the floor, before the floor is given up: it may have been a lie. */
const lowerAfterMs = hourMs;

export function kernelTime(
  directory: string,
  wall: () => number,
  tell: (trouble: string) => void,
  ask: () => Synchronised,
  evenly: () => number = () => performance.now(),
): KernelTime {
  const path = join(directory, 'last-known-time');
  let floor = 0;
  try {
    floor = Number(readFileSync(path, 'utf8')) || 0;
  } catch (error) {
    // At the first boot there is none.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      tell(`the last known time is not read: ${messageOf(error)}`);
  }
  let last: Synchronised = no('not asked yet');
  let asked = Number.NEGATIVE_INFINITY;
  const judge = (): Synchronised => {
    const now = wall();
    if (now < floor) return no(`the clock is before ${new Date(floor).toISOString()}, when the time was known last`);
    if (Math.abs(now - asked) >= askEveryMs) {
      asked = now;
      last = ask();
    }
    return last;
  };
  /** Since when the kernel is synchronised below the floor (evenly running ms). */
  let belowSince: number | undefined;
  const lower = (now: number): void => {
    if (now >= floor || now < thisVersionMadeAt || !ask().known) belowSince = undefined;
    else if (belowSince === undefined) belowSince = evenly();
    else if (evenly() - belowSince >= lowerAfterMs) {
      // A time server once gave a time in the future, and that became the floor: it must not stop the gateway for ever.
      tell(
        `the last known time ${new Date(floor).toISOString()} is given up: the kernel has told an earlier one for an hour`,
      );
      belowSince = undefined;
      floor = 0;
    }
  };
  let loggedTrouble = '';
  return {
    timeIsKnown: () => judge().known,
    trouble() {
      const judged = judge();
      return judged.known ? undefined : judged.why;
    },
    floor: () => floor,
    remember() {
      const now = wall();
      lower(now);
      if (!judge().known || now - floor < hourMs) return;
      try {
        writeFileSync(`${path}.new`, String(now));
        renameSync(`${path}.new`, path);
        floor = now;
      } catch (error) {
        // The floor stays where it is, which is safe. Each reason is logged once.
        const why = messageOf(error);
        if (why !== loggedTrouble) tell(`the last known time is not kept: ${why}`);
        loggedTrouble = why;
      }
    },
  };
}
