/**
 * The page's HTTP server: files, login, the rows of the desk, metrics and health. On the loopback without TLS, elsewhere
 * only with it. Whatever comes in, it is answered or cut; it never ends the process.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Answer, answerOf, bodyOf, refusal, send, sendLines, stream } from '../door/answering.ts';
import { findRoute, inputOf, type Permission, type Route } from '../door/rows.ts';
import type { Asset, Assets } from './assets.ts';
import { sendEventStream } from './event-stream.ts';
import { headersOf, isOurHost, isOwnOrigin, sessionCookie, sessionOf } from './guard.ts';
import { type Login, type LoginOutcome, sessionS } from './login.ts';
import type { Shared } from './shared.ts';

export type PageMode = 'running' | 'first-run' | 'refused';
export interface Listen {
  readonly host: string;
  readonly port: number;
}
export interface PageSettings<House> {
  readonly listen: Listen;
  /** PEM. Left out: without TLS, which is for the loopback only. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  /** Names of this host; asked for with each request. */
  readonly hosts: () => readonly string[];
  readonly login: Login;
  readonly rows: readonly Route<House>[];
  readonly house: () => House;
  readonly me: () => { readonly mode: PageMode; readonly gateway: string; readonly version: string };
  readonly assets: Assets;
  /** Rows whose events are the same for everybody, by path. */
  readonly shared?: Readonly<Record<string, Shared>>;
  /** In the text format of Prometheus; `counts` are those of the page itself. */
  readonly metrics?: ((counts: PageCounts) => Promise<string>) | undefined;
  /** Whether the gateway lives, and whether it does what it is for. */
  readonly health: () => Promise<{ readonly live: boolean; readonly ready: boolean }>;
  readonly log?: Log | undefined;
}
export interface PageCounts {
  requests: number;
  refused: number;
  wrongLogins: number;
  policyReports: number;
  readers: number;
}
export interface Page {
  readonly address: Listen;
  close(): Promise<void>;
}

const maxConnections = 256;
/** Of one address: a browser has six for a host, and keeps two of them for what goes on. */
const maxOfAddress = 128;
const maxReaders = 100;
const maxAtWork: Readonly<Record<Permission, number>> = { look: 16, act: 6 };
const maxHeaderBytes = 8192;
const requestMs = 10_000;
/** Photographs of a display come in one request. */
const maxBodyBytes = 8 << 20;
const slowBodyMs = 120_000;

export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.');

interface Context<House> extends PageSettings<House> {
  readonly secure: boolean;
  readonly counts: PageCounts;
  readonly atWork: Record<Permission, number>;
}
type Handler = (incoming: IncomingMessage, response: ServerResponse) => Promise<void> | void;

const plain = (response: ServerResponse, status: number, code: string, message: string): void =>
  send(response, { status, body: { code, message } });

function sendAsset(
  incoming: IncomingMessage,
  response: ServerResponse,
  { type, plain: octets, packed, lasting }: Asset,
): void {
  const mayPack = /\bgzip\b/.test(incoming.headers['accept-encoding'] ?? '');
  const body = mayPack ? packed : octets;
  response.writeHead(200, {
    'content-type': type,
    'content-length': body.length,
    ...(mayPack && { 'content-encoding': 'gzip' }),
    vary: 'accept-encoding',
    'cache-control': lasting ? 'max-age=31536000, immutable' : 'no-cache',
    connection: 'close',
  });
  response.end(incoming.method === 'HEAD' ? undefined : body);
}

/** Fails are counted and wait; what was given is never repeated. */
function answerLogin(response: ServerResponse, outcome: LoginOutcome, { secure, counts }: Context<unknown>): void {
  if ('token' in outcome) {
    response.setHeader('set-cookie', sessionCookie(outcome.token, sessionS, secure));
    return send(response, { status: 200, body: { permission: outcome.permission } });
  }
  if ('waitS' in outcome) {
    response.setHeader('retry-after', outcome.waitS);
    return plain(response, 429, 'not-permitted', `too many wrong tries: wait ${outcome.waitS} s`);
  }
  counts.wrongLogins++;
  const words =
    outcome.refused === 'wrong'
      ? 'this is not the password, or the link was used or is older than ten minutes; `meter-gateway page` makes another'
      : 'no password is configured (page.password); `meter-gateway page` on the gateway makes a link that logs in';
  plain(response, 401, 'not-permitted', words);
}

async function login(incoming: IncomingMessage, response: ServerResponse, context: Context<unknown>): Promise<void> {
  const body = await bodyOf(incoming);
  if ('refused' in body) return send(response, body.refused);
  const { ticket, password, ...more } = (body.value ?? {}) as Readonly<Record<string, unknown>>;
  const given = typeof ticket === 'string' ? ticket : typeof password === 'string' ? password : undefined;
  if (given === undefined || given.length > 1024 || Object.keys(more).length > 0)
    return send(response, refusal(400, 'POST /login takes {password} or {ticket}'));
  const from = incoming.socket.remoteAddress ?? '';
  const outcome = typeof ticket === 'string' ? context.login.redeem(given, from) : context.login.enter(given, from);
  if (!('token' in outcome)) context.log?.warn({ from }, 'page: a login was refused');
  answerLogin(response, outcome, context);
}

/** A row of the desk, for whoever may ask it. */
async function answerRow<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: Context<House>,
  permission: Permission,
): Promise<void> {
  const { rows, house, log, atWork, counts, shared = {}, secure } = context;
  const found = findRoute(rows, incoming.method ?? '', incoming.url ?? '');
  if ('status' in found) {
    const message = found.status === 404 ? 'no such path' : found.message;
    return send(response, refusal(found.status, message, found.allow));
  }
  const { route, query } = found;
  if (permission === 'look' && route.permission === 'act')
    return plain(
      response,
      403,
      'not-permitted',
      'this session only looks: log in with a link of the desk, or the password',
    );
  const isStream = route.answers === 'lines' && /\btext\/event-stream\b/.test(incoming.headers.accept ?? '');
  if (isStream ? counts.readers >= maxReaders : atWork[route.permission] >= maxAtWork[route.permission])
    return plain(response, 503, 'busy', 'as many are answered already as the gateway can: try again in a moment');
  const body = route.method === 'POST' ? await bodyOf(incoming, maxBodyBytes) : { value: query };
  const input = 'refused' in body ? undefined : inputOf(route, body.value);
  if (!input || 'misfit' in input)
    return send(response, input ? refusal(400, input.misfit) : (body as { refused: Answer }).refused);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const one = shared[route.path];
  if (isStream) {
    counts.readers++;
    response.once('close', () => counts.readers--);
    const headers = headersOf(secure);
    if (one) return sendEventStream(response, one.watch(gone.signal), { newest: true, headers });
    const answered = await answerOf(route, input.given, house(), gone.signal);
    if (answered.status !== 200) return send(response, answered);
    return sendEventStream(response, texts(answered.body as AsyncIterable<unknown>), { newest: false, headers });
  }
  atWork[route.permission]++;
  response.once('close', () => atWork[route.permission]--);
  if (route.permission === 'act') log?.info({ asked: `${route.method} ${route.path}` }, 'page');
  const answered = await answerOf(route, input.given, house(), gone.signal);
  if (answered.status === 200 && route.answers === 'octets')
    return stream(response, answered.body as AsyncIterable<Uint8Array>, log);
  if (answered.status === 200 && route.answers === 'lines')
    return sendLines(response, answered.body as AsyncIterable<unknown>);
  send(response, answered);
}
async function* texts(events: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const event of events) yield JSON.stringify(event);
}

/** What anybody may ask, without a session. */
function openPaths<House>(context: Context<House>): Readonly<Record<string, Handler>> {
  const { health, counts, metrics, listen } = context;
  const answerHealth =
    (which: 'live' | 'ready' | undefined): Handler =>
    async (_, response) => {
      const found = await health();
      const good = which === undefined ? found.live && found.ready : found[which];
      send(response, { status: good ? 200 : 503, body: which === undefined ? found : { [which]: good } });
    };
  return {
    'POST /login': (incoming, response) => login(incoming, response, context),
    'GET /healthz': answerHealth(undefined),
    'GET /healthz/live': answerHealth('live'),
    'GET /healthz/ready': answerHealth('ready'),
    'POST /csp-report': (incoming, response) => {
      counts.policyReports++;
      incoming.resume();
      response.writeHead(204, { connection: 'close' }).end();
    },
    ...(metrics && isLoopback(listen.host) && { 'GET /metrics': (_, response) => answerMetrics(response, context) }),
  };
}
async function answerMetrics(response: ServerResponse, { metrics, counts }: Context<unknown>): Promise<void> {
  const text = (await metrics?.(counts)) ?? '';
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', connection: 'close' });
  response.end(text);
}

/** What a session is needed for. */
async function answerSession<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: Context<House>,
  path: string,
): Promise<void> {
  const { secure, me, metrics } = context;
  const token = sessionOf(incoming.headers, secure);
  const permission = context.login.permissionOf(token);
  if (permission === undefined || token === undefined)
    return plain(response, 401, 'not-permitted', 'log in: `meter-gateway page` on the gateway makes a link for it');
  if (path === '/v1/me' && incoming.method === 'GET')
    return send(response, { status: 200, body: { ...me(), permission } });
  if (path === '/metrics' && incoming.method === 'GET' && metrics) return answerMetrics(response, context);
  if (path === '/logout' && incoming.method === 'POST') {
    context.login.leave(token);
    response.setHeader('set-cookie', sessionCookie('', 0, secure));
    return send(response, { status: 200, body: {} });
  }
  return answerRow(incoming, response, context, permission);
}

function receiver<House>(context: Context<House>): (incoming: IncomingMessage, response: ServerResponse) => void {
  const { secure, assets, counts, hosts, log } = context;
  const open = openPaths(context);
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = incoming;
    counts.requests++;
    for (const [name, value] of Object.entries(headersOf(secure))) response.setHeader(name, value);
    const [path = ''] = url.split('?');
    if (!isOurHost(headers.host, hosts()))
      return plain(response, 421, 'bad-argument', 'this host name is none of this gateway: see page.hosts');
    const asset = method === 'GET' || method === 'HEAD' ? assets.get(path) : undefined;
    if (asset) return sendAsset(incoming, response, asset);
    if (path === '/' && method === 'GET')
      return plain(response, 404, 'not-supported', 'this gateway was built without its page');
    const isReport = path === '/csp-report';
    if (!isReport && !isOwnOrigin(headers, secure))
      return plain(response, 403, 'not-permitted', 'another site asks for this: it is not answered');
    const handler = open[`${method} ${path}`];
    if (handler) return handler(incoming, response);
    return answerSession(incoming, response, context, path);
  };
  return (incoming, response) => {
    response.once('close', () => {
      if (response.statusCode >= 400) counts.refused++;
      if (!incoming.complete) incoming.resume();
    });
    answer(incoming, response).catch((error: unknown) => {
      log?.warn({ error: messageOf(error) }, 'page');
      response.destroy();
    });
  };
}

/** One stranger must not keep everybody out. */
function guardConnections(server: Server): void {
  const sockets = new Map<Socket, string>();
  server.maxConnections = maxConnections;
  server.on('connection', (socket: Socket) => {
    const from = socket.remoteAddress ?? '';
    const own = [...sockets.values()].filter((one) => one === from).length;
    if (own >= maxOfAddress) return void socket.destroy();
    sockets.set(socket, from);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.on('clientError', (_, socket) => socket.destroy());
  for (const event of ['connect', 'upgrade'] as const) server.on(event, (_, socket) => socket.destroy());
}

/** Serves until it is closed. Failure `config-invalid` where the address cannot be had. */
export async function servePage<House>(settings: PageSettings<House>): Promise<Page> {
  const { listen, tls, log } = settings;
  if (!tls && !isLoopback(listen.host))
    throw new Failure(
      'config-invalid',
      `page.listen ${listen.host}: outside of this machine the page is served with TLS only`,
    );
  const counts: PageCounts = { requests: 0, refused: 0, wrongLogins: 0, policyReports: 0, readers: 0 };
  const context: Context<House> = { ...settings, secure: tls !== undefined, counts, atWork: { look: 0, act: 0 } };
  const options = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: requestMs,
    requestTimeout: slowBodyMs,
    connectionsCheckingInterval: 2000,
    keepAlive: false,
  };
  const receive = receiver(context);
  const server = tls
    ? createSecureServer({ ...options, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: requestMs }, receive)
    : createServer(options, receive);
  server.maxRequestsPerSocket = 1;
  guardConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Failure('config-invalid', `page.listen ${listen.host}:${listen.port}: ${error.message}`)),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  server.on('error', (error) => log?.warn({ error: error.message }, 'page'));
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: listen.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
