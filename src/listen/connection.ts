/** One port that meters push on: octets in, notifications out, as far as its peer may send. */
import { Failure } from '../base/errors.ts';
import type { Clock, Millis } from '../base/time.ts';
import type { NotificationEvent, NotificationReceiver } from '../dlms/stack/notification.ts';
import type { Port } from '../line/port.ts';
import { type Bucket, costOf, take } from './rate-limit.ts';

export interface ConnectionSettings {
  readonly clock: Clock;
  readonly perMinute: number;
  /** Shared by all connections of the peer. */
  readonly bucket: Bucket;
  /** A datagram holds whole frames. */
  readonly datagrams: boolean;
  /** Octets wait on the line while what they said is stored. */
  readonly notified: (event: NotificationEvent) => Promise<void>;
}

/** Resolves when the signal comes. Throws Failure `connection-lost` or `port-lost`, and `push-flood` where the peer sends too much. */
export async function readPushes(
  port: Port,
  receiver: NotificationReceiver,
  { clock, perMinute, bucket, datagrams, notified }: ConnectionSettings,
  signal: AbortSignal,
): Promise<void> {
  const close = () => void port.close().catch(() => {});
  signal.addEventListener('abort', close);
  try {
    while (!signal.aborted) {
      const octets = await port.read(receiver.deadline());
      const now = clock.now();
      if (octets) {
        spend(port, bucket, perMinute, costOf(octets.length), now);
        receiver.receive(octets, now);
        if (datagrams) receiver.endOfDatagram(now);
      } else receiver.wake(now);
      for (let event = receiver.pollEvent(); event; event = receiver.pollEvent()) {
        spend(port, bucket, perMinute, 1, now);
        await notified(event);
      }
    }
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}
function spend(port: Port, bucket: Bucket, perMinute: number, cost: number, now: Millis): void {
  if (take(bucket, perMinute, cost, now)) return;
  throw new Failure('push-flood', `${port.device} sends more than ${perMinute} messages a minute`);
}
