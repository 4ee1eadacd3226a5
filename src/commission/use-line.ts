/** A line for short uses: lent by the running gateway, or opened here where there is none. The work is the same. */
import type { Direction } from '../line/direction.ts';
import { openPort } from '../line/open-port.ts';
import type { Port } from '../line/port.ts';
import type { Clock } from '../base/time.ts';

/** Has work done with the open line. Each use is short; between two of them the polls go on. */
export type UseLine = <T>(work: (port: Port) => Promise<T>) => Promise<T>;

export interface OwnLine {
  readonly use: UseLine;
  close(): Promise<void>;
}
/** A line of our own: opened when it is needed first, and anew after it was lost. */
export function ownLine(device: string, baud: number, clock: Clock, direction: Direction): OwnLine {
  let port: Port | undefined;
  const close = async (): Promise<void> => {
    const open = port;
    port = undefined;
    await open?.close();
  };
  return {
    close,
    use: async (work) => {
      if (port?.closed === true) await close();
      port ??= await openPort(device, baud, clock, direction);
      return work(port);
    },
  };
}
