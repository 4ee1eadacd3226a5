/** A port that is listened to: its listeners get whatever goes over it, and can change nothing of it. */
import type { Port } from './port.ts';

/** What went over the line: octets, or `undefined` where nothing came before the deadline. Must not throw. */
export type Listener = (direction: '->' | '<-', octets: Uint8Array | undefined) => void;

export function tapped(port: Port, listeners: ReadonlySet<Listener>): Port {
  const tell: Listener = (direction, octets) => {
    for (const listener of listeners) listener(direction, octets);
  };
  return {
    device: port.device,
    connection: port.connection,
    get closed() {
      return port.closed;
    },
    async read(until) {
      const octets = await port.read(until);
      tell('<-', octets);
      return octets;
    },
    async write(octets) {
      // Listeners get it first: the device may take its time, and what is heard meanwhile comes after it.
      tell('->', octets);
      await port.write(octets);
    },
    setBaud: (baud) => port.setBaud(baud),
    close: () => port.close(),
  };
}
