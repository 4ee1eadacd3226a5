/** The local door: HTTP on a unix socket. Whatever comes in, it is answered or cut; it never ends the process. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { claimSocketPath, openToGroup } from './local-socket.ts';
import { findRoute, type LocalAnswers, type Route } from './routes.ts';

type Socket = IncomingMessage['socket'];

export interface DoorSettings {
  /** The group whose members may connect; without it the group of the process. */
  readonly group?: string | undefined;
  readonly log?: Log | undefined;
  /** How long who is answered may take nothing of it, ms. */
  readonly takeMs?: number;
}

const maxConnections = 16;
/** Together fewer than connections, so that one of them can always make room. A look never waits for the acts. */
const maxAtWork: Readonly<Record<Route['permission'], number>> = { look: 6, act: 6 };
const maxHeaderBytes = 4096;
/** From the connection to the last octet of the request. */
const requestMs = 5000;
/** For the whole answer to be taken, once it is there; of a long one, for the next part of it. */
const defaultTakeMs = 30_000;
/** For the whole of an answer that comes part by part. */
const streamMs = 10 * 60_000;

type Answer = { readonly status: number; readonly allow?: string | undefined; readonly body: unknown };

const refusal = (status: number, message: string, allow?: string): Answer => ({
  status,
  allow,
  body: { code: 'bad-argument', message },
});

function send(response: ServerResponse, { status, allow, body }: Answer, takeMs = defaultTakeMs): void {
  if (response.destroyed) return;
  let text: string;
  try {
    text = JSON.stringify(body) ?? 'null';
  } catch (error) {
    text = JSON.stringify({ message: messageOf(error) });
    status = 500;
  }
  const { socket } = response;
  const late = setTimeout(() => socket?.destroy(), takeMs).unref();
  response.once('close', () => clearTimeout(late));
  // One request for each connection: pipelines and slow second requests do not come up.
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      connection: 'close',
      ...(allow !== undefined && { allow }),
    })
    .end(text, () => socket?.destroySoon());
}

async function answerOf(
  route: Route,
  given: Readonly<Record<string, string>>,
  house: () => LocalAnswers,
): Promise<Answer> {
  try {
    return { status: 200, body: await route.handle(house(), given) };
  } catch (error) {
    const code = error instanceof Failure ? error.code : undefined;
    return { status: code ? 409 : 500, body: { code, message: messageOf(error) } };
  }
}

/** An answer of any length. Where it breaks off the connection does: what came has no end. */
async function stream(
  response: ServerResponse,
  octets: AsyncIterable<Uint8Array>,
  log: Log | undefined,
  takeMs = defaultTakeMs,
): Promise<void> {
  const { socket } = response;
  // Who takes nothing must not keep the place of an act for as long as a whole backup may last.
  socket?.setTimeout(takeMs, () => socket.destroy());
  const late = setTimeout(() => socket?.destroy(), streamMs).unref();
  try {
    response.writeHead(200, { 'content-type': 'application/octet-stream', connection: 'close' });
    await pipeline(octets, response);
  } catch (error) {
    log?.warn({ error: messageOf(error) }, 'an answer broke off');
    socket?.destroy();
  } finally {
    clearTimeout(late);
  }
}

type Stage = 'silent' | Route['permission'] | 'taking';

/**
 * The connections there are, the oldest first. A new one takes the place of the oldest that has asked for nothing, or
 * else of the oldest that does not take its answer; who waits for an answer keeps the place.
 */
function connectionTable() {
  const stages = new Map<Socket, Stage>();
  const oldest = (stage: Stage) => [...stages].find(([, one]) => one === stage)?.[0];
  return {
    add(socket: Socket): void {
      if (stages.size >= maxConnections) {
        const leaves = oldest('silent') ?? oldest('taking') ?? socket;
        stages.delete(leaves);
        leaves.destroy();
        if (leaves === socket) return;
      }
      stages.set(socket, 'silent');
      const slow = setTimeout(() => stages.get(socket) === 'silent' && socket.destroy(), requestMs).unref();
      socket.once('close', () => {
        clearTimeout(slow);
        stages.delete(socket);
      });
      // A peer that resets is no error of ours.
      socket.on('error', () => socket.destroy());
    },
    /** False where as many of the kind as may work at once do so already. */
    begin(socket: Socket, permission: Route['permission']): boolean {
      if ([...stages.values()].filter((stage) => stage === permission).length >= maxAtWork[permission]) return false;
      if (stages.has(socket)) stages.set(socket, permission);
      return true;
    },
    answered(socket: Socket): void {
      if (stages.has(socket)) stages.set(socket, 'taking');
    },
  };
}

/** Serves until the returned function is called. Failure `config-invalid` where the path cannot be taken. */
export async function serveStatus(
  path: string,
  house: () => LocalAnswers,
  { group, log, takeMs }: DoorSettings = {},
): Promise<() => Promise<void>> {
  await claimSocketPath(path);
  const connections = connectionTable();
  const receive = (incoming: IncomingMessage, response: ServerResponse): void => {
    // A body is nothing that any row takes: it is not kept.
    incoming.resume();
    const found = findRoute(incoming.method ?? '', incoming.url ?? '');
    if ('status' in found) return send(response, refusal(found.status, found.message, found.allow));
    const { route, given } = found;
    const { socket } = incoming;
    if (!connections.begin(socket, route.permission)) {
      const message = `${maxAtWork[route.permission]} such requests are being answered already`;
      return send(response, { status: 503, body: { code: 'busy', message } });
    }
    if (route.permission === 'act') log?.info({ asked: `${route.method} ${route.path}`, ...given }, 'local door');
    void answerOf(route, given, house).then((answer) => {
      if (route.streamed && answer.status === 200)
        return stream(response, answer.body as AsyncIterable<Uint8Array>, log, takeMs);
      connections.answered(socket);
      send(response, answer, takeMs);
    });
  };
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: 1000,
      keepAlive: false,
    },
    receive,
  );
  server.maxRequestsPerSocket = 1;
  server.on('connection', (socket: Socket) => connections.add(socket));
  server.on('clientError', (_error, socket) => {
    if (!socket.writable) return socket.destroy();
    return socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n', () =>
      socket.destroy(),
    );
  });
  // Neither a tunnel nor another protocol is offered.
  for (const event of ['connect', 'upgrade'] as const) server.on(event, (_incoming, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Failure('config-invalid', `status_socket ${path}: ${error.message}`)));
    server.listen(path, resolve);
  });
  server.on('error', (error) => log?.warn({ error: error.message }, 'local door'));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    openToGroup(path, group);
  } catch (error) {
    await close();
    throw error;
  }
  return close;
}
