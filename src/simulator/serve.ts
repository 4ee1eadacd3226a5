/** Puts a simulated bus on a real pty, on a TCP port of this machine, or on a connection that its meters make. */
import { connect, createServer, type Socket } from 'node:net';
import { millis } from '../base/time.ts';
import { Failure, messageOf } from '../base/errors.ts';
import type { SimulatedBus } from './bus.ts';
import { openPty } from './pty.ts';

export interface ServedBus {
  /** What a gateway opens: a device path or tcp://host:port. */
  readonly device: string;
  /** Something about the bus was changed from outside: what comes next may come earlier. */
  wake(): void;
  close(): Promise<void>;
}

/** Moves the bus with real time. Wake-ups are at least 2 ms apart: a chunk carries what has become due since. */
function drive(bus: SimulatedBus, transmit: (octets: Uint8Array) => void) {
  let timer: NodeJS.Timeout | undefined;
  const now = () => millis(Date.now());
  const step = () => {
    for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit()) transmit(octets);
    clearTimeout(timer);
    const deadline = bus.deadline();
    if (deadline === undefined) return;
    timer = setTimeout(
      () => {
        bus.wake(now());
        step();
      },
      Math.max(2, Math.min(deadline - Date.now(), 60_000)),
    );
  };
  // Meters may have something to say before they are asked.
  step();
  return {
    receive: (octets: Uint8Array) => {
      bus.receive(octets, now());
      step();
    },
    wake: () => {
      bus.wake(now());
      step();
    },
    stop: () => clearTimeout(timer),
  };
}

export function servePty(bus: SimulatedBus, link?: string): ServedBus {
  const pty = openPty(link);
  const driver = drive(bus, (octets) => pty.write(octets));
  pty.onData((octets) => {
    const baud = pty.baud();
    if (baud > 0 && bus.lineBaud !== 0) bus.lineBaud = baud;
    driver.receive(octets);
  });
  return {
    device: pty.path,
    wake: driver.wake,
    close: () => {
      driver.stop();
      pty.close();
      return Promise.resolve();
    },
  };
}

/** A URL has an address of IPv6 in brackets. */
const deviceOf = (host: string, port: number): string => `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;

export async function serveTcp(bus: SimulatedBus, port: number, host = '127.0.0.1'): Promise<ServedBus> {
  let current: Socket | undefined;
  const driver = drive(bus, (octets) => {
    current?.write(octets);
    if (bus.hangsUp) current?.end();
  });
  const server = createServer((socket) => {
    // A serial converter serves one master: the newest.
    current?.destroy();
    current = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (octets) => driver.receive(octets));
    socket.on('close', () => {
      if (current === socket) current = undefined;
      bus.connectionClosed();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    device: deviceOf(host, typeof address === 'object' && address ? address.port : port),
    wake: driver.wake,
    close: () =>
      new Promise((resolve) => {
        driver.stop();
        current?.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Meters that make the connection themselves, to a listener on this machine; made again when it is lost. */
function connectTcp(bus: SimulatedBus, port: number): ServedBus {
  let socket: Socket | undefined;
  let again: NodeJS.Timeout | undefined;
  const driver = drive(bus, (octets) => socket?.write(octets));
  const dial = () => {
    const made = connect({ host: '127.0.0.1', port });
    socket = made;
    made.on('data', (octets: Buffer) => driver.receive(octets));
    made.on('error', () => {});
    made.on('close', () => {
      bus.connectionClosed();
      again = setTimeout(dial, 1000);
    });
  };
  dial();
  return {
    device: deviceOf('127.0.0.1', port),
    wake: driver.wake,
    close: () => {
      driver.stop();
      socket?.removeAllListeners('close');
      socket?.destroy();
      clearTimeout(again);
      return Promise.resolve();
    },
  };
}

export interface Place {
  readonly kind: 'pty' | 'tcp' | 'push';
  readonly path?: string | undefined;
  readonly port: number;
  readonly bind: string;
}
/** Each on the place of the scenario; several on ports from that one upwards. Failure `bad-argument` where one cannot be had. */
export async function serveAll(
  buses: readonly SimulatedBus[],
  { kind, path, port, bind }: Place,
): Promise<ServedBus[]> {
  const served: ServedBus[] = [];
  try {
    for (const [i, bus] of buses.entries()) {
      if (kind === 'tcp') served.push(await serveTcp(bus, port === 0 ? 0 : port + i, bind));
      else served.push(kind === 'push' ? connectTcp(bus, port) : servePty(bus, path));
    }
    return served;
  } catch (error) {
    for (const one of served) await one.close();
    throw new Failure('bad-argument', messageOf(error));
  }
}
