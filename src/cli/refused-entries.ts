/**
 * Entries from the command line that a meter refused, kept on disk: meters lock for up to 24 h after a few of them (R26), and
 * count those of every program. The running gateway keeps its own.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { dayMs, iso, millis } from '../base/time.ts';
import { backOffMs } from '../schedule/plan.ts';
import { refusalCodes } from '../schedule/refusals.ts';

/** From here on another try needs --force. */
const warned = 2;

interface Refused {
  readonly count: number;
  readonly at: number;
}
export interface EntryCount {
  /** Failure `backed-off` where too many were refused already; a line on the terminal where some were. */
  check(force: boolean): void;
  failed(error: unknown): void;
  entered(): void;
}

/** `who`: line, addresses and mechanism: what a meter counts by. */
export function entryCount(
  directory: string,
  who: readonly string[],
  wall: () => number,
  note: (line: string) => void,
): EntryCount {
  const folder = join(directory, 'refused');
  const file = join(folder, createHash('sha256').update(JSON.stringify(who)).digest('hex').slice(0, 24));
  const before = (): Refused | undefined => {
    try {
      const { count, at } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Refused>;
      // What a clock that was set says of the future is no older than a day.
      const known = Number.isSafeInteger(count) && Number.isSafeInteger(at) && Math.abs(wall() - Number(at)) < dayMs;
      return known ? { count: Number(count), at: Number(at) } : undefined;
    } catch (error) {
      // Nothing was refused yet; anything else leaves this meter without the protection.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        note(`earlier refusals of this meter cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  };
  return {
    check(force) {
      const known = before();
      if (!known) return;
      const times = `${known.count} time${known.count === 1 ? '' : 's'} since yesterday`;
      const until = known.at + backOffMs(known.count - warned, true);
      if (known.count > warned && wall() < until && !force)
        throw new Failure('backed-off', `this meter refused us ${times}; not tried before ${iso(millis(until))}`);
      note(`this meter refused us ${times}: many lock for a day after three to five`);
    },
    failed(error) {
      if (!(error instanceof Failure) || !refusalCodes.includes(error.code)) return;
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const count = (before()?.count ?? 0) + 1;
        writeFileSync(file, JSON.stringify({ count, at: wall() }), { mode: 0o600 });
      } catch (problem) {
        note(`the refusal could not be kept in mind: ${messageOf(problem)}`);
      }
    },
    entered: () => rmSync(file, { force: true }),
  };
}
