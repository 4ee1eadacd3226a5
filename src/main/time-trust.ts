/** How the gateway's time stands, in the words of the log. */
import type { Snapshot } from '../status/snapshot.ts';

export function timeTrust({ trust, trouble }: Snapshot['time']): {
  readonly level: 'info' | 'warn';
  readonly words: string;
  readonly why?: string;
} {
  if (trouble === null)
    return {
      level: 'info',
      words:
        trust === 'system' ? 'the time is taken for right without proof (clock_trust = "assume")' : 'the time is known',
    };
  const words =
    trust === 'untrusted'
      ? 'the time is not known: no clock is set, and rows say TIME_UNTRUSTED'
      : 'the time cannot be right: nothing is read until it is set';
  return { level: 'warn', words, why: trouble };
}
