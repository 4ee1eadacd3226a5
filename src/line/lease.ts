/**
 * A port on loan: what the device does not do in time fails, and who owns the port can take it back from whoever waits for it.
 * A library that never calls back (a write after an unplug, a close of a hung driver) holds nobody.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, later } from '../base/time.ts';
import type { Port } from './port.ts';

/** A device takes what it is given at once, or as fast as the slowest line lets it go out, twice. */
const writeLimitMs = 30_000;
const octetLimitMs = (2 * 10_000) / 300;
const setLimitMs = 10_000;
const closeLimitMs = 10_000;

export interface Lease extends Port {
  /** Everything that waits for the port fails with this, and so does all that comes later. */
  revoke(why: Failure): void;
}

/** The work, or a failure when it does not end in time; a result that comes later goes to `late`. */
export async function inTime<T>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  why: () => Failure,
  late: (result: T) => void = () => {},
): Promise<T> {
  const done = new AbortController();
  let over = false;
  const limit = clock.sleepUntil(later(clock.now(), limitMs), done.signal).then(() => {
    if (done.signal.aborted) return undefined as never;
    over = true;
    throw why();
  });
  work.then(
    (result) => (over ? late(result) : undefined),
    () => {},
  );
  try {
    return await Promise.race([work, limit]);
  } finally {
    done.abort();
    limit.catch(() => {});
  }
}

export function leased(port: Port, clock: Clock): Lease {
  const { device, connection } = port;
  const code = connection ? 'connection-lost' : 'port-lost';
  let revoked: Failure | undefined;
  const waiting = new Set<(why: Failure) => void>();
  const held = <T>(work: () => Promise<T>): Promise<T> => {
    if (revoked) return Promise.reject(revoked);
    return new Promise<T>((resolve, reject) => {
      waiting.add(reject);
      const end = () => waiting.delete(reject);
      work().then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  };
  const bounded = (limitMs: number, what: string, work: () => Promise<void>): Promise<void> =>
    held(() => inTime(clock, limitMs, work(), () => new Failure(code, `${device}: the ${what} does not end`)));
  return {
    device,
    connection,
    get closed() {
      return revoked !== undefined || port.closed;
    },
    read: (until) => held(() => port.read(until)),
    write: (octets) => bounded(writeLimitMs + octets.length * octetLimitMs, 'write', () => port.write(octets)),
    setBaud: (baud) => bounded(setLimitMs, 'change of speed', () => port.setBaud(baud)),
    close: () =>
      inTime(clock, closeLimitMs, port.close(), () => new Failure(code, `${device}: the close does not end`)),
    revoke(why) {
      revoked ??= why;
      for (const reject of waiting) reject(why);
      waiting.clear();
    },
  };
}
