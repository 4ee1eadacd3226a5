/** Messages that the broker or the head-end refused: each waits, and is sent again after a pause that doubles. */
import { later, longAgo, type Millis } from '../base/time.ts';
import type { OutboxEntry } from '../store/outbox-record.ts';
import type { Store } from '../store/store.ts';
import { awaited } from './acknowledgement.ts';

const firstAgainMs = 5000;
const longestAgainMs = 30_000;

interface Waiting {
  at: Millis;
  tries: number;
  sending: boolean;
}
/** What waits to be sent again, by the number of the message. */
export type Again = Map<number, Waiting>;

/** Notes that a message was refused now. */
export function sendAgain(again: Again, sequence: number, now: Millis): void {
  const one = again.get(sequence) ?? { at: longAgo, tries: 0, sending: false };
  one.at = later(now, Math.min(longestAgainMs, firstAgainMs * 2 ** Math.min(one.tries++, 10)));
  one.sending = false;
  again.set(sequence, one);
}
/** Notes that a message has other words now, and may go at once. */
export const sendAtOnce = (again: Again, sequence: number, now: Millis): void =>
  void again.set(sequence, { at: now, tries: 0, sending: false });
export function sendAllAt(again: Again, at: Millis): void {
  for (const one of again.values()) one.at = at;
}
/** When the next one may go; never, where none waits. */
export function nextAgain(again: Again): number {
  let at = Number.POSITIVE_INFINITY;
  for (const one of again.values()) if (!one.sending) at = Math.min(at, one.at);
  return at;
}
/** A refused entry whose time has come. */
export async function dueAgain(again: Again, now: Millis, store: Store): Promise<OutboxEntry | undefined> {
  for (const [sequence, one] of again) {
    if (one.sending || one.at > now) continue;
    const entry = await store.entry(sequence);
    if (entry && awaited(sequence, store) && again.get(sequence) === one) {
      one.sending = true;
      return entry;
    }
    again.delete(sequence);
  }
  return undefined;
}
