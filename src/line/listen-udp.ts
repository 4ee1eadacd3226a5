/** Datagrams of meters: each peer is a port of its own, which reads one datagram at a time. */
import { createSocket, type Socket } from 'node:dgram';
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, later, type Millis } from '../base/time.ts';
import { arrivals } from './arrivals.ts';
import { leased } from './lease.ts';
import { type Listening, listenCode } from './open-port.ts';
import type { Port } from './port.ts';

/** Peers at one time; who said nothing for longest makes room for a new one. */
const peerLimit = 256;
/** A peer that says nothing for so long has ended. */
const idleMs = 10 * 60_000;
/** Datagrams of one peer that nobody has read. */
const waitingLimit = 64;

interface Peer {
  readonly port: Port;
  push(datagram: Uint8Array): void;
  end(): void;
  heardAt: Millis;
}

function newPeer(device: string, clock: Clock, ended: () => void): Peer {
  const waiting: Uint8Array[] = [];
  let closed = false;
  let arrived: AbortController | undefined;
  const end = () => {
    closed = true;
    arrived?.abort();
    ended();
  };
  const peer: Peer = {
    heardAt: clock.now(),
    push(datagram) {
      if (waiting.length >= waitingLimit) waiting.shift();
      waiting.push(datagram);
      peer.heardAt = clock.now();
      arrived?.abort();
    },
    end,
    port: {
      device,
      connection: true,
      get closed() {
        return closed;
      },
      async read(until) {
        const idleAt = later(peer.heardAt, idleMs);
        if (waiting.length === 0 && !closed) {
          arrived = new AbortController();
          await clock.sleepUntil(until !== undefined && until < idleAt ? until : idleAt, arrived.signal);
          arrived = undefined;
        }
        const next = waiting.shift();
        if (next) return next;
        if (!closed && clock.now() >= later(peer.heardAt, idleMs)) end();
        if (closed) throw new Failure('connection-lost', `${device}: nothing more came`);
        return undefined;
      },
      write: () => Promise.reject(new Failure('connection-lost', `${device}: a listener sends nothing`)),
      setBaud: () => Promise.resolve(),
      close() {
        end();
        return Promise.resolve();
      },
    },
  };
  return peer;
}

const bound = (socket: Socket, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('error', (error) =>
      reject(new Failure(listenCode(error), `udp://${host}:${port}: ${messageOf(error)}`)),
    );
    socket.bind(port, host, resolve);
  });

export async function listenUdp(host: string, port: number, clock: Clock): Promise<Listening> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const peers = new Map<string, Peer>();
  const { add, accept, end } = arrivals();
  const newcomer = (device: string): Peer => {
    if (peers.size >= peerLimit) {
      const silent = [...peers.values()].reduce((oldest, one) => (one.heardAt < oldest.heardAt ? one : oldest));
      silent.end();
    }
    const peer = newPeer(device, clock, () => {
      if (peers.get(device) === peer) peers.delete(device);
    });
    peers.set(device, peer);
    add(leased(peer.port, clock));
    return peer;
  };
  socket.on('message', (datagram, { address, port: from }) => {
    const device = `udp://${address.includes(':') ? `[${address}]` : address}:${from}`;
    (peers.get(device) ?? newcomer(device)).push(Uint8Array.from(datagram));
  });
  await bound(socket, host, port);
  // A datagram that could not be delivered somewhere is no reason to stop listening.
  socket.on('error', () => {});
  return {
    port: socket.address().port,
    accept,
    close() {
      end();
      for (const peer of peers.values()) peer.end();
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}
