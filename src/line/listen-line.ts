/** A line that meters speak on unasked: a serial device, or connections and datagrams that come to a port of this machine. */
import type { Clock } from '../base/time.ts';
import { arrivals } from './arrivals.ts';
import type { Direction } from './direction.ts';
import { listenUdp } from './listen-udp.ts';
import { type Listening, listenTcp, openPort, parseListenSelector } from './open-port.ts';

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
  const { accept, end } = arrivals(port);
  return {
    port: 0,
    accept,
    async close() {
      end();
      await port.close();
    },
  };
}
