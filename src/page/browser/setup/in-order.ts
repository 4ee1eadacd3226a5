/** What a person enters reaches the gateway in the order in which it was entered, and before what is asked about it. */
import { ask } from '../api.ts';

let underWay: Promise<unknown> = Promise.resolve();

/** Changes what the gateway holds, behind every change before it. */
export function send<T>(path: string, body: unknown, limitMs?: number): Promise<T> {
  const answer = underWay.then(() => ask<T>(path, body, limitMs));
  underWay = answer.catch(() => {});
  return answer;
}
/** Asks about what was entered: behind it, and in nobody's way. */
export const askAbout = <T>(path: string, body?: unknown, limitMs?: number): Promise<T> =>
  underWay.then(() => ask<T>(path, body, limitMs));
