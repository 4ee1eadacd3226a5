/** A door: HTTP on a unix socket, for the gateway and for the simulator. Whatever comes in, it is answered or cut; it never ends the process. */
import { createServer, type Server } from 'node:http';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { claimSocketPath } from './socket-file.ts';
import { type ConnectionLimits, connectionTable, refuseRaw, type Socket, tooSlow } from './connections.ts';
import { receive } from './receive.ts';
import type { Permission, Route } from './rows.ts';

export interface DoorSettings<House> {
  /** The key of the configuration, or the option, that names the path. */
  readonly key: string;
  readonly rows: readonly Route<House>[];
  /** Asked for with each request: what answers may be another one then. */
  readonly house: () => House;
  /** Gives the socket, which is there, to whoever may use it. */
  readonly open: (path: string) => void;
  readonly log?: Log | undefined;
  /** How long who is answered may take nothing of it, ms. */
  readonly takeMs?: number | undefined;
  /** `look`: rows that act are refused here, with these words. Left out: all rows. */
  readonly may?: { readonly permission: () => Permission; readonly refusal: string } | undefined;
}

const limits: ConnectionLimits = {
  connections: 16,
  atWork: { look: 5, act: 6, watch: 4 },
  requestMs: 5000,
  headerBytes: 4096,
};

/** A server that is given whole requests only, in time and of bounded heads; who sends anything else is refused or cut. */
export function harden(server: Server, { requestMs, headerBytes }: ConnectionLimits): void {
  server.maxRequestsPerSocket = 1;
  const noRequest = `this is no request of HTTP/1.1 with a head of at most ${headerBytes} octets`;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? refuseRaw(socket, '408 Request Timeout', tooSlow(requestMs))
      : refuseRaw(socket, '400 Bad Request', noRequest),
  );
  // Neither a tunnel nor another protocol is offered.
  for (const event of ['connect', 'upgrade'] as const) server.on(event, (_incoming, socket) => socket.destroy());
}
export const serverOptions = ({ requestMs, headerBytes, bodyMs = requestMs }: ConnectionLimits) => ({
  maxHeaderSize: headerBytes,
  headersTimeout: requestMs,
  requestTimeout: bodyMs,
  connectionsCheckingInterval: 1000,
  keepAlive: false,
});

/** Serves until the returned function is called. Failure `config-invalid` where the path cannot be taken. */
export async function serveDoor<House>(path: string, settings: DoorSettings<House>): Promise<() => Promise<void>> {
  const { key, open, log } = settings;
  await claimSocketPath(path, key);
  const connections = connectionTable(limits);
  const { rows, house, takeMs, may } = settings;
  const receiving = { rows, house, connections, name: 'local door', log, takeMs };
  const server = createServer(serverOptions(limits), (incoming, response) => {
    const asker = { permission: may?.permission() ?? 'act', refusal: may?.refusal ?? '' } as const;
    receive(incoming, response, asker, receiving).catch((error: unknown) => {
      log?.warn({ error: messageOf(error) }, 'local door');
      response.destroy();
    });
  });
  server.on('connection', (socket: Socket) => connections.add(socket));
  harden(server, limits);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Failure('config-invalid', `${key} ${path}: ${error.message}`)));
    server.listen(path, resolve);
  });
  server.on('error', (error) => log?.warn({ error: error.message }, 'local door'));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    open(path);
  } catch (error) {
    await close();
    throw error;
  }
  return close;
}
