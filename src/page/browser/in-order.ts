/** What a person enters reaches the gateway in the order in which it was entered, and before what is asked about it. */
import { ask } from './api.ts';

let last: Promise<unknown> = Promise.resolve();
const ended = (): Promise<unknown> => last.catch(() => {});

/** Changes what the gateway holds, behind every change before it. */
export function send<T>(path: string, body: unknown, limitMs?: number): Promise<T> {
  const answer = ended().then(() => ask<T>(path, body, limitMs));
  last = answer;
  return answer;
}
/** Asks about what was entered: behind it, and in nobody's way. */
export const askAbout = <T>(path: string, body?: unknown, limitMs?: number): Promise<T> =>
  ended().then(() => ask<T>(path, body, limitMs));

/** Puts a name under what was entered: where the last of it did not arrive, that is the answer, once. */
export function sendIfAllArrived<T>(path: string, body: unknown, limitMs?: number): Promise<T> {
  const before = last;
  last = ended();
  return before.then(() => send<T>(path, body, limitMs));
}
