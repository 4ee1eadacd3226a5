/** A door: HTTP on a unix socket, for the gateway and for the simulator. Whatever comes in, it is answered or cut; it never ends the process. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { claimSocketPath } from './socket-file.ts';
import { type Answer, answerOf, bodyOf, refusal, send, sendLines, stream } from './answering.ts';
import { findRoute, inputOf, type Permission, type Route } from './rows.ts';

type Socket = IncomingMessage['socket'];

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

const maxConnections = 16;
/** Together fewer than connections, so that one of them can always make room. A look never waits for the acts. */
const maxAtWork: Readonly<Record<Permission, number>> = { look: 6, act: 6 };
const maxHeaderBytes = 4096;
/** How long a request may take, from the connection to its last octet. */
const requestMs = 5000;

const tooSlow = `a request is whole within ${requestMs / 1000} s of its connection`;
const noRequest = `this is no request of HTTP/1.1 with a head of at most ${maxHeaderBytes} octets`;
/** Where there is no response to write on, because there was no whole request. */
function refuseRaw(socket: Duplex, status: string, message: string): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(refusal(0, message).body);
  const head = ['content-type: application/json', 'connection: close', `content-length: ${Buffer.byteLength(body)}`];
  socket.end([`HTTP/1.1 ${status}`, ...head, '', body].join('\r\n'), () => socket.destroy());
}

type Stage = 'silent' | Permission | 'taking';

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
      const slow = setTimeout(() => {
        if (stages.get(socket) === 'silent') refuseRaw(socket, '408 Request Timeout', tooSlow);
      }, requestMs).unref();
      socket.once('close', () => {
        clearTimeout(slow);
        stages.delete(socket);
      });
      // A peer that resets is no error of ours.
      socket.on('error', () => socket.destroy());
    },
    /** False where as many of the kind as may work at once do so already. */
    begin(socket: Socket, permission: Permission): boolean {
      if ([...stages.values()].filter((stage) => stage === permission).length >= maxAtWork[permission]) return false;
      if (stages.has(socket)) stages.set(socket, permission);
      return true;
    },
    answered(socket: Socket): void {
      if (stages.has(socket)) stages.set(socket, 'taking');
    },
  };
}

/** Takes one request: finds its row, judges what is given, has it answered. */
function receiver<House>(
  connections: ReturnType<typeof connectionTable>,
  { rows, house, log, takeMs, may }: DoorSettings<House>,
) {
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { socket } = incoming;
    const found = findRoute(rows, incoming.method ?? '', incoming.url ?? '');
    if ('status' in found) {
      incoming.resume();
      return send(response, refusal(found.status, found.message, found.allow));
    }
    const { route, query } = found;
    if (may?.permission() === 'look' && route.permission === 'act') {
      incoming.resume();
      return send(response, { status: 403, body: { code: 'not-permitted', message: may.refusal } });
    }
    if (!connections.begin(socket, route.permission)) {
      incoming.resume();
      const message = `${maxAtWork[route.permission]} such requests are being answered already`;
      return send(response, { status: 503, body: { code: 'busy', message } });
    }
    const body = route.method === 'POST' ? await bodyOf(incoming) : { value: query };
    if (route.method === 'GET') incoming.resume();
    const input = 'refused' in body ? undefined : inputOf(route, body.value);
    if (!input || 'misfit' in input) {
      connections.answered(socket);
      return send(response, input ? refusal(400, input.misfit) : (body as { refused: Answer }).refused);
    }
    const { given } = input;
    if (route.permission === 'act')
      log?.info(
        { asked: `${route.method} ${route.path}`, ...(given as Readonly<Record<string, unknown>>) },
        'local door',
      );
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const answered = await answerOf(route, given, house(), gone.signal);
    if (answered.status === 200 && route.answers === 'octets')
      return stream(response, answered.body as AsyncIterable<Uint8Array>, log, takeMs);
    if (answered.status === 200 && route.answers === 'lines')
      return sendLines(response, answered.body as AsyncIterable<unknown>, takeMs);
    connections.answered(socket);
    send(response, answered, takeMs);
  };
  return (incoming: IncomingMessage, response: ServerResponse): void => {
    answer(incoming, response).catch((error: unknown) => {
      log?.warn({ error: messageOf(error) }, 'local door');
      response.destroy();
    });
  };
}

/** Serves until the returned function is called. Failure `config-invalid` where the path cannot be taken. */
export async function serveDoor<House>(path: string, settings: DoorSettings<House>): Promise<() => Promise<void>> {
  const { key, open, log } = settings;
  await claimSocketPath(path, key);
  const connections = connectionTable();
  const receive = receiver(connections, settings);
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
  server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? refuseRaw(socket, '408 Request Timeout', tooSlow)
      : refuseRaw(socket, '400 Bad Request', noRequest),
  );
  // Neither a tunnel nor another protocol is offered.
  for (const event of ['connect', 'upgrade'] as const) server.on(event, (_incoming, socket) => socket.destroy());
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
