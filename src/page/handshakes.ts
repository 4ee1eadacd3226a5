/** Connections that have not shown yet that they speak TLS: bounded, the oldest leaves. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}|${remotePort}`;

/** Returns what cuts them all: a server that closes waits for them otherwise, for it does not know them yet. */
export function handshakes(server: Server, most: number, secure: (socket: TLSSocket) => void): () => void {
  const raw = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const [oldest] = raw;
    if (raw.size >= most && oldest) {
      raw.delete(oldest[0]);
      oldest[1].destroy();
    }
    raw.set(key, socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      if (raw.get(key) === socket) raw.delete(key);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    raw.delete(keyOf(socket));
    secure(socket);
  });
  server.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy());
  return () => {
    for (const socket of raw.values()) socket.destroy();
  };
}
