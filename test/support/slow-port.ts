/** Lines and meters that take their time, for ever if they are let: each is a port in virtual time. */
import { concat } from '../../src/base/cursor.ts';
import { Failure } from '../../src/base/errors.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import type { Port } from '../../src/line/port.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What comes from another port, so many octets at a time and so long apart: a meter that trickles. */
export function trickling(inner: Port, clock: VirtualClock, octets: number, everyMs: number): Port {
  let held = new Uint8Array(0);
  let nextAt = clock.now();
  return {
    ...inner,
    async read(until) {
      const end = until ?? millis(Number.MAX_SAFE_INTEGER);
      for (;;) {
        if (held.length === 0) {
          const come = await inner.read(end);
          if (!come) return undefined;
          held = Uint8Array.from(come);
          nextAt = later(clock.now(), everyMs);
        }
        if (nextAt > end) {
          await clock.sleepUntil(end);
          return undefined;
        }
        await clock.sleepUntil(nextAt);
        const part = held.slice(0, octets);
        held = held.slice(octets);
        nextAt = later(clock.now(), everyMs);
        return part;
      }
    },
  };
}

type Answer = { readonly afterMs: number; readonly octets: Uint8Array };
/**
 * A meter by script: `answer` gives what follows each write, after which pauses; a generator may go on for ever. A new write
 * ends what was under way, unless the script is deaf.
 */
export function scripted(
  clock: VirtualClock,
  answer: (sent: Uint8Array) => Iterable<Answer>,
  { deaf = false }: { readonly deaf?: boolean } = {},
): Port & { readonly sent: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  let coming: Iterator<Answer> | undefined;
  let next: { readonly at: Millis; readonly octets: Uint8Array } | undefined;
  let lost: Failure | undefined;
  const advance = (from: Millis) => {
    const step = coming?.next();
    next = step && step.done !== true ? { at: later(from, step.value.afterMs), octets: step.value.octets } : undefined;
  };
  return {
    device: 'scripted',
    connection: false,
    closed: false,
    sent,
    write(octets) {
      if (lost) return Promise.reject(lost);
      sent.push(Uint8Array.from(octets));
      if (deaf && coming) return Promise.resolve();
      coming = answer(octets)[Symbol.iterator]();
      advance(clock.now());
      return Promise.resolve();
    },
    async read(until) {
      const end = until ?? millis(Number.MAX_SAFE_INTEGER);
      if (lost) throw lost;
      if (!next || next.at > end) {
        await clock.sleepUntil(end);
        if (lost) throw lost as Failure;
        return undefined;
      }
      await clock.sleepUntil(next.at);
      if (lost) throw lost as Failure;
      const parts: Uint8Array[] = [];
      for (const due = () => next !== undefined && next.at <= clock.now(); due() && parts.length < 1000; ) {
        parts.push((next as { octets: Uint8Array }).octets);
        advance((next as { at: Millis }).at);
      }
      return concat(parts);
    },
    setBaud: () => Promise.resolve(),
    close() {
      lost ??= new Failure('port-lost', 'closed');
      return Promise.resolve();
    },
  };
}
