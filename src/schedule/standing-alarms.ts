/** Alarms of a meter that answers: each is an event at once, and once a day while it stands. */
import { dayMs, type Millis } from '../base/time.ts';

/** What is wrong, as long as it is so. */
export interface StandingAlarm {
  readonly text: string;
  /** When it was reported to the head-end. */
  readonly reportedAt: Millis;
}
const reportEveryMs = dayMs;

/** Raises or clears an alarm of the status. Returns whether its event is due. */
export function stand(alarms: Map<string, StandingAlarm>, key: string, text: string | undefined, now: Millis): boolean {
  if (text === undefined) {
    alarms.delete(key);
    return false;
  }
  const before = alarms.get(key);
  const due = !before || now - before.reportedAt >= reportEveryMs;
  alarms.set(key, { text, reportedAt: due ? now : before.reportedAt });
  return due;
}
