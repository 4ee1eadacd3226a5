/** A line that meters speak on unasked: a serial device, or connections and datagrams that come to a port of this machine. */
import type { Clock } from '../base/time.ts';
import type { Direction } from './direction.ts';
import { listenUdp } from './listen-udp.ts';
import { type Listening, listenTcp, openPort, parseListenSelector } from './open-port.ts';
import type { Port } from './port.ts';

/** Throws Failure as `openPort` and `listenTcp` do. A serial line is one port; when that is lost, nothing more is accepted. */
export async function listenLine(
  device: string,
  baud: number,
  clock: Clock,
  direction: Direction = 'auto',
): Promise<Listening> {
  const selector = parseListenSelector(device);
  if (selector.kind === 'tcp') return listenTcp(selector.host, selector.port, clock);
  if (selector.kind === 'udp') return listenUdp(selector.host, selector.port, clock);
  const port = await openPort(device, baud, clock, direction);
  const waiting: Port[] = [port];
  let over: (() => void) | undefined;
  let closed = false;
  return {
    port: 0,
    async accept() {
      const next = waiting.shift();
      if (next || closed) return next;
      await new Promise<void>((resolve) => {
        over = resolve;
      });
      return undefined;
    },
    async close() {
      closed = true;
      over?.();
      await port.close();
    },
  };
}
