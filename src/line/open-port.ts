/**
 * Opens a line: `serial:/dev/serial/by-id/…`, a plain device path, or `tcp://host:port`. Serial ports run 8N1 always
 * (parity is made in software), locked against a second program.
 */
import { existsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { SerialPort } from 'serialport';
import { concat } from '../base/cursor.ts';
import { Failure, messageOf } from '../base/errors.ts';
import type { Clock, Millis } from '../base/time.ts';
import { arrivals } from './arrivals.ts';
import { inTime, leased } from './lease.ts';
import { deviceControl, directed, type Direction } from './direction.ts';
import type { Port } from './port.ts';

/** Received octets that nobody has read; a meter's longest answer is far below. */
const receiveLimit = 1 << 20;
/** Opening a serial device; some drivers wait for a carrier. */
const openTimeoutMs = 10_000;
const connectTimeoutMs = 10_000;

export type Selector =
  | { readonly kind: 'serial'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };
/** Datagrams can be listened to, and nobody is polled by them. */
export type ListenSelector = Selector | { readonly kind: 'udp'; readonly host: string; readonly port: number };

/** A line that is listened to: port 0 is any free one. */
export function parseListenSelector(text: string): ListenSelector {
  const udp = /^udp:(\/\/.*)$/.exec(text);
  if (!udp) return parseSelector(text, 0);
  const selector = parseSelector(`tcp:${udp[1]}`, 0);
  return selector.kind === 'tcp' ? { ...selector, kind: 'udp' } : selector;
}

/** `lowestPort`: 0 where a listener may take any free port. */
export function parseSelector(text: string, lowestPort: 0 | 1 = 1): Selector {
  const tcp = /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5})$/.exec(text);
  if (tcp && Number(tcp[2]) >= lowestPort && Number(tcp[2]) < 65536) {
    return { kind: 'tcp', host: (tcp[1] as string).replace(/^\[|\]$/g, ''), port: Number(tcp[2]) };
  }
  const path = text.startsWith('serial:') ? text.slice('serial:'.length) : text;
  if (path.startsWith('/')) return { kind: 'serial', path };
  throw new Failure('bad-argument', `'${text}' is no line: write serial:/dev/serial/by-id/… or tcp://host:port`);
}

/** Hands received chunks to one reader that waits with a deadline. */
export function receiver(device: string, clock: Clock, code: 'port-lost' | 'connection-lost') {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let lost: Failure | undefined;
  let arrived: AbortController | undefined;
  return {
    push(chunk: Uint8Array): void {
      // Nobody listens for so long only between sessions: old octets are worthless.
      if (size > receiveLimit) {
        chunks = [];
        size = 0;
      }
      chunks.push(chunk);
      size += chunk.length;
      arrived?.abort();
    },
    lose(reason: string): void {
      lost ??= new Failure(code, `${device}: ${reason}`);
      arrived?.abort();
    },
    get lost(): Failure | undefined {
      return lost;
    },
    async read(until: Millis | undefined): Promise<Uint8Array | undefined> {
      if (chunks.length === 0 && !lost) {
        const waiting = new AbortController();
        arrived = waiting;
        await clock.sleepUntil(until ?? (Number.MAX_SAFE_INTEGER as Millis), waiting.signal);
        arrived = undefined;
      }
      if (chunks.length > 0) {
        const all = chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks);
        chunks = [];
        size = 0;
        return all;
      }
      if (lost) throw lost;
      return undefined;
    },
  };
}

const done = (resolve: () => void, reject: (error: Error) => void) => (error?: Error | null) =>
  error ? reject(error) : resolve();

/** serialport does not say that its binding has it; on Linux every one does. */
function descriptorOf({ port, path }: SerialPort): number {
  if (port && 'fd' in port && typeof port.fd === 'number') return port.fd;
  throw new Failure('port-lost', `${path}: closed`);
}

async function openSerial(path: string, baud: number, direction: Direction, clock: Clock): Promise<Port> {
  const port = new SerialPort({
    path,
    baudRate: baud,
    dataBits: 8,
    parity: 'none',
    stopBits: 1,
    lock: true,
    hupcl: false,
    autoOpen: false,
  });
  try {
    const opening = new Promise<void>((resolve, reject) => port.open(done(resolve, reject)));
    const why = () => new Failure('port-missing', `the device does not open within ${openTimeoutMs / 1000} s`);
    await inTime(clock, openTimeoutMs, opening, why, () => port.close());
  } catch (error) {
    const message = messageOf(error);
    if (/EACCES|EPERM|permission denied|not permitted/i.test(message))
      throw new Failure('port-denied', `${path} may not be opened by this user: ${message.replace(/^Error: /, '')}`);
    if (/lock|EBUSY|busy/i.test(message)) throw new Failure('port-busy', `${path} is in use by another program`);
    throw new Failure('port-missing', `${path}: ${message.replace(/^Error: /, '')}`);
  }
  const received = receiver(path, clock, 'port-lost');
  port.on('data', (chunk: Buffer) => received.push(chunk));
  port.on('close', (error: (Error & { disconnected?: boolean }) | null) =>
    received.lose(error ? 'the adapter is gone' : 'closed'),
  );
  port.on('error', (error) => received.lose(messageOf(error)));
  const usable = () => {
    if (received.lost) throw received.lost;
    if (!port.isOpen) throw new Failure('port-lost', `${path}: closed`);
  };
  const serial: Port = {
    device: path,
    connection: false,
    get closed() {
      // A device that vanished soon after it was opened is not always reported; its name is gone with it.
      return received.lost !== undefined || !port.isOpen || !existsSync(path);
    },
    read: (until) => received.read(until),
    async write(octets) {
      usable();
      const work = new Promise<void>((resolve, reject) => port.write(Buffer.from(octets), done(resolve, reject))).then(
        () => new Promise<void>((resolve, reject) => port.drain(done(resolve, reject))),
      );
      try {
        await work;
      } catch (error) {
        throw error instanceof Failure ? error : new Failure('port-lost', `${path}: ${messageOf(error)}`);
      }
    },
    async setBaud(next) {
      usable();
      await new Promise<void>((resolve, reject) => port.update({ baudRate: next }, done(resolve, reject)));
    },
    close: () => new Promise<void>((resolve) => (port.isOpen ? port.close(() => resolve()) : resolve())),
  };
  if (direction === 'auto') return serial;
  try {
    return directed(serial, direction, await deviceControl(descriptorOf(port)));
  } catch (error) {
    await serial.close();
    throw error;
  }
}

function socketPort(socket: Socket, device: string, clock: Clock): Port {
  const received = receiver(device, clock, 'connection-lost');
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.on('error', (error) => received.lose(messageOf(error)));
  socket.on('close', () => received.lose('the other side closed the connection'));
  return {
    device,
    connection: true,
    get closed() {
      return received.lost !== undefined || socket.destroyed || socket.readableEnded;
    },
    read: (until) => received.read(until),
    async write(octets) {
      if (received.lost) throw received.lost;
      try {
        await new Promise<void>((resolve, reject) => socket.write(octets, done(resolve, reject)));
      } catch (error) {
        throw new Failure('connection-lost', `${device}: ${messageOf(error)}`);
      }
    },
    setBaud: () => Promise.resolve(),
    close: () =>
      new Promise((resolve) => {
        if (socket.destroyed) return resolve();
        socket.once('close', () => resolve());
        socket.destroy();
      }),
  };
}

async function openTcp(host: string, tcpPort: number, clock: Clock): Promise<Port> {
  const device = `tcp://${host}:${tcpPort}`;
  const socket = connect({ host, port: tcpPort });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Failure('host-missing', `${device}: no connection within ${connectTimeoutMs / 1000} s`));
    }, connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(new Failure('host-missing', `${device}: ${messageOf(error)}`));
    });
  });
  socket.removeAllListeners('error');
  return socketPort(socket, device, clock);
}

/** `direction`: of a serial line. */
export async function openPort(
  selector: string,
  baud: number,
  clock: Clock,
  direction: Direction = 'auto',
): Promise<Port> {
  const parsed = parseSelector(selector);
  const open =
    parsed.kind === 'serial'
      ? openSerial(parsed.path, baud, direction, clock)
      : openTcp(parsed.host, parsed.port, clock);
  return leased(await open, clock);
}

/** Connections that meters and converters make to us. */
export interface Listening {
  readonly port: number;
  /** The next connection; undefined when the listener is closed. */
  accept(): Promise<Port | undefined>;
  close(): Promise<void>;
}

/** Why we cannot listen: another program, our rights, or an address that this machine does not have. */
export function listenCode({ code }: NodeJS.ErrnoException): 'port-busy' | 'port-denied' | 'bad-argument' {
  if (code === 'EADDRINUSE') return 'port-busy';
  return code === 'EACCES' || code === 'EPERM' ? 'port-denied' : 'bad-argument';
}

/** Connections at one time; a concentrator has 32 meters on a bus. Who said nothing for longest makes room for a new one. */
const connectionLimit = 256;

export async function listenTcp(host: string, port: number, clock: Clock, limit = connectionLimit): Promise<Listening> {
  const { add, accept, end } = arrivals();
  /** When each was heard last. */
  const sockets = new Map<Socket, Millis>();
  const server = createServer((socket) => {
    if (sockets.size >= limit) {
      const [silent] = [...sockets].reduce((oldest, one) => (one[1] < oldest[1] ? one : oldest));
      sockets.delete(silent);
      silent.destroy();
    }
    sockets.set(socket, clock.now());
    socket.on('data', () => sockets.has(socket) && sockets.set(socket, clock.now()));
    socket.on('close', () => sockets.delete(socket));
    add(leased(socketPort(socket, `tcp://${socket.remoteAddress}:${socket.remotePort}`, clock), clock));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Failure(listenCode(error), `tcp://${host}:${port}: ${messageOf(error)}`)),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    accept,
    close() {
      end();
      for (const socket of sockets.keys()) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
