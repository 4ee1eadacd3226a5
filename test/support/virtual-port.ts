/** A line between the gateway and a simulated bus, in virtual time. */
import { concat } from '../../src/base/cursor.ts';
import { Failure } from '../../src/base/errors.ts';
import { type Clock, type Millis, millis } from '../../src/base/time.ts';
import type { Port } from '../../src/line/port.ts';
import type { SimulatedBus } from '../../src/simulator/bus.ts';

export interface VirtualPort extends Port {
  /** Octets that nobody sent. */
  hear(octets: Uint8Array): void;
  /** The adapter is pulled out. */
  unplug(): void;
}

export function virtualPort(bus: SimulatedBus, clock: Clock): VirtualPort {
  let received: Uint8Array[] = [];
  let lost: Failure | undefined;
  let arrived = new AbortController();
  const drain = () => {
    for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit()) received.push(octets.slice());
  };
  return {
    device: 'virtual',
    connection: false,
    closed: false,
    write(octets) {
      if (lost) return Promise.reject(lost);
      bus.receive(octets, clock.now());
      return Promise.resolve();
    },
    async read(until) {
      const end = until ?? millis(Number.MAX_SAFE_INTEGER);
      for (;;) {
        drain();
        if (received.length > 0) {
          const all = concat(received);
          received = [];
          return all;
        }
        if (lost) throw lost;
        if (clock.now() >= end) return undefined;
        const deadline = bus.deadline();
        const next = Math.min(
          end,
          deadline === undefined ? Number.MAX_SAFE_INTEGER : Math.max(deadline, clock.now() + 1),
        );
        await clock.sleepUntil(next as Millis, arrived.signal);
        bus.wake(clock.now());
      }
    },
    setBaud(baud) {
      if (bus.lineBaud !== 0) bus.lineBaud = baud;
      return Promise.resolve();
    },
    close() {
      lost ??= new Failure('port-lost', 'closed');
      arrived.abort();
      return Promise.resolve();
    },
    hear(octets) {
      received.push(octets);
      const heard = arrived;
      arrived = new AbortController();
      heard.abort();
    },
    unplug() {
      lost = new Failure('port-lost', 'unplugged');
      arrived.abort();
      arrived = new AbortController();
    },
  };
}
