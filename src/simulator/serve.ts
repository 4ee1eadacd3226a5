/** Puts a simulated bus on a real pty or a TCP port of this machine. */
import { connect, createServer, type Socket } from 'node:net';
import { millis } from '../base/time.ts';
import type { SimulatedBus } from './bus.ts';
import { openPty } from './pty.ts';

export interface ServedBus {
  /** What a gateway opens: a device path or tcp://host:port. */
  readonly device: string;
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
    close: () => {
      driver.stop();
      pty.close();
      return Promise.resolve();
    },
  };
}

export async function serveTcp(bus: SimulatedBus, port: number): Promise<ServedBus> {
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
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    device: `tcp://127.0.0.1:${typeof address === 'object' && address ? address.port : port}`,
    close: () =>
      new Promise((resolve) => {
        driver.stop();
        current?.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Meters that make the connection themselves, to a listener on this machine; made again when it is lost. */
export function connectTcp(bus: SimulatedBus, port: number): ServedBus {
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
    device: `tcp://127.0.0.1:${port}`,
    close: () => {
      driver.stop();
      socket?.removeAllListeners('close');
      socket?.destroy();
      clearTimeout(again);
      return Promise.resolve();
    },
  };
}
