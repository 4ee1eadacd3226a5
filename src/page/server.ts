/**
 * The page's HTTP server: files, login, the rows of the desk, metrics and health. On the loopback without TLS, elsewhere
 * only with it. Whatever comes in, it is answered or cut; it never ends the process.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { isLoopback } from '../door/loopback.ts';
import { bodyOf, refusal, send } from '../door/answering.ts';
import { type ConnectionLimits, type ConnectionTable, connectionTable, type Socket } from '../door/connections.ts';
import { receive } from '../door/receive.ts';
import type { Permission, Route } from '../door/rows.ts';
import { harden, serverOptions } from '../door/server.ts';
import type { Asset, Assets } from './assets.ts';
import { sendEventStream } from './event-stream.ts';
import { headersOf, isOurHost, isOwnOrigin, sessionCookie, sessionOf } from './guard.ts';
import { handshakes } from './handshakes.ts';
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
  /** Of host names that are not ours, or by the page of another site. */
  foreign: number;
  readers: number;
}
export interface Page {
  readonly address: Listen;
  /** Listens no more at once; whoever is being answered is cut after so long. */
  close(lingerMs?: number): Promise<void>;
}

/** For fifty browsers: each watches by one connection and asks by others, one request for each. */
const limits: ConnectionLimits = {
  connections: 160,
  atWork: { look: 30, act: 8, watch: 100 },
  requestMs: 10_000,
  headerBytes: 8192,
  bodyMs: 120_000,
};
/** How long nothing may go over a connection. Streams say something every ten seconds, and long jobs too. */
const takeMs = 45_000;
/** A password, a ticket, the report of a browser. */
const maxSmallBytes = 16 << 10;

interface Context<House> extends PageSettings<House> {
  readonly secure: boolean;
  readonly counts: PageCounts;
  readonly connections: ConnectionTable;
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
function answerLogin<House>(
  { headers }: IncomingMessage,
  response: ServerResponse,
  outcome: LoginOutcome,
  { secure, counts }: Context<House>,
): void {
  if ('token' in outcome) {
    response.setHeader('set-cookie', sessionCookie(headers, outcome.token, sessionS, secure));
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

async function login<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: Context<House>,
): Promise<void> {
  const body = await bodyOf(incoming, maxSmallBytes);
  if ('refused' in body) return send(response, body.refused);
  const { ticket, password, ...more } = (body.value ?? {}) as Readonly<Record<string, unknown>>;
  const given = typeof ticket === 'string' ? ticket : typeof password === 'string' ? password : undefined;
  if (given === undefined || given.length > 1024 || Object.keys(more).length > 0)
    return send(response, refusal(400, 'POST /login takes {password} or {ticket}'));
  const from = incoming.socket.remoteAddress ?? '';
  const outcome = typeof ticket === 'string' ? context.login.redeem(given) : context.login.enter(given, from);
  if (!('token' in outcome)) context.log?.warn({ from }, 'page: a login was refused');
  answerLogin(incoming, response, outcome, context);
}

const looksOnly = 'this session only looks: log in with a link of the desk, or the password';
/** Until whoever watches is not let in any more. */
async function* whileIn(texts: AsyncIterable<string>, isIn: () => boolean): AsyncGenerator<string> {
  for await (const text of texts) {
    if (!isIn()) return;
    yield text;
  }
}

/** A row of the desk, for whoever may ask it. */
async function answerRow<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: Context<House>,
  { token, permission }: { readonly token: string; readonly permission: Permission },
): Promise<void> {
  const { rows, house, log, counts, shared = {}, secure, connections, login } = context;
  const wantsEvents = incoming.method === 'GET' && /\btext\/event-stream\b/.test(incoming.headers.accept ?? '');
  const headers = headersOf(secure);
  const isIn = (): boolean => login.permissionOf(token) !== undefined;
  const stream = (events: AsyncIterable<string>, newest: boolean): Promise<void> => {
    counts.readers++;
    response.once('close', () => counts.readers--);
    return sendEventStream(response, whileIn(events, isIn), { newest, headers });
  };
  // A meter that is read may take minutes; who takes nothing of the answer is cut there.
  incoming.socket.setTimeout(0);
  await receive(
    incoming,
    response,
    { permission, refusal: looksOnly },
    {
      rows,
      house,
      connections,
      name: 'page',
      log,
      ...(wantsEvents && {
        lines: (_: ServerResponse, events: AsyncIterable<unknown>) => stream(texts(events), false),
        instead(route: Route<House>) {
          const one = shared[route.path];
          if (!one) return undefined;
          const gone = new AbortController();
          response.once('close', () => gone.abort());
          return stream(one.watch(gone.signal), true);
        },
      }),
    },
  );
}
async function* texts(events: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const event of events) yield JSON.stringify(event);
}

/** What anybody may ask, without a session. */
function openPaths<House>(context: Context<House>): Readonly<Record<string, Handler>> {
  const { health, counts, metrics } = context;
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
    'POST /csp-report': async (incoming, response) => {
      let length = 0;
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > maxSmallBytes) return send(response, refusal(413, `a report has at most ${maxSmallBytes} octets`));
      }
      counts.policyReports++;
      response.writeHead(204, { connection: 'close' }).end();
    },
    ...(metrics && {
      'GET /metrics': (incoming: IncomingMessage, response: ServerResponse) => measure(incoming, response, context),
    }),
  };
}
/**
 * Whoever measures has no browser: on this machine it is let in as it comes, from elsewhere with the password (Basic, of any
 * user name). A session does as well.
 */
async function measure<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: Context<House>,
): Promise<void> {
  const { login, secure } = context;
  const from = incoming.socket.remoteAddress ?? '';
  const isLocal = isLoopback(from);
  if (isLocal || login.permissionOf(sessionOf(incoming.headers, secure)) !== undefined)
    return answerMetrics(response, context);
  const given = /^Basic ([A-Za-z0-9+/=]{1,2000})$/.exec(incoming.headers.authorization ?? '')?.[1];
  if (given === undefined) {
    response.setHeader('www-authenticate', 'Basic realm="meter-gateway"');
    return plain(response, 401, 'not-permitted', 'metrics are for whoever knows the password, or has a session');
  }
  const text = Buffer.from(given, 'base64').toString('utf8');
  const outcome = login.check(text.slice(text.indexOf(':') + 1), from);
  if (outcome === 'right') return answerMetrics(response, context);
  answerLogin(incoming, response, outcome, context);
}
async function answerMetrics<House>(response: ServerResponse, { metrics, counts }: Context<House>): Promise<void> {
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
  const { secure, me } = context;
  const token = sessionOf(incoming.headers, secure);
  const permission = context.login.permissionOf(token);
  if (permission === undefined || token === undefined)
    return plain(response, 401, 'not-permitted', 'log in: `meter-gateway page` on the gateway makes a link for it');
  if (path === '/v1/me' && incoming.method === 'GET')
    return send(response, { status: 200, body: { ...me(), permission } });
  if (path === '/logout' && incoming.method === 'POST') {
    context.login.leave(token);
    response.setHeader('set-cookie', sessionCookie(incoming.headers, '', 0, secure));
    return send(response, { status: 200, body: {} });
  }
  return answerRow(incoming, response, context, { token, permission });
}

function receiver<House>(context: Context<House>): (incoming: IncomingMessage, response: ServerResponse) => void {
  const { secure, assets, counts, hosts, log, connections } = context;
  const open = openPaths(context);
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers, socket } = incoming;
    counts.requests++;
    // Until a row takes it up it can make room, and whoever takes nothing of a file is cut.
    connections.answered(socket);
    socket.setTimeout(takeMs, () => socket.destroy());
    for (const [name, value] of Object.entries(headersOf(secure))) response.setHeader(name, value);
    const [path = ''] = url.split('?');
    if (!isOurHost(headers.host, hosts())) {
      counts.foreign++;
      return plain(response, 421, 'bad-argument', 'this host name is none of this gateway: see page.hosts');
    }
    const asset = method === 'GET' || method === 'HEAD' ? assets.get(path) : undefined;
    if (asset) return sendAsset(incoming, response, asset);
    if (path === '/' && method === 'GET')
      return plain(response, 404, 'not-supported', 'this gateway was built without its page');
    const isReport = path === '/csp-report';
    const isUnsafe = method !== 'GET' && method !== 'HEAD';
    if (!isReport && !isOwnOrigin(headers, secure, isUnsafe)) {
      counts.foreign++;
      return plain(
        response,
        403,
        'not-permitted',
        'another site asks for this, or nobody says who: it is not answered',
      );
    }
    if (!isReport && isUnsafe && !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
      return send(response, refusal(415, 'a body is application/json'));
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

/** Serves until it is closed. Failure `config-invalid` where the address cannot be had. */
export async function servePage<House>(settings: PageSettings<House>): Promise<Page> {
  const { listen, tls, log } = settings;
  if (!tls && !isLoopback(listen.host))
    throw new Failure(
      'config-invalid',
      `page.listen ${listen.host}: outside of this machine the page is served with TLS only`,
    );
  const counts: PageCounts = { requests: 0, refused: 0, wrongLogins: 0, policyReports: 0, foreign: 0, readers: 0 };
  const connections = connectionTable(limits);
  const rows = settings.rows.filter(({ socketsOnly }) => socketsOnly !== true);
  const context: Context<House> = { ...settings, secure: tls !== undefined, rows, counts, connections };
  const options = serverOptions(limits);
  const taken = receiver(context);
  const server: Server = tls
    ? createSecureServer({ ...options, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: limits.requestMs }, taken)
    : createServer(options, taken);
  // One stranger must not keep everybody out.
  const cut = tls && handshakes(server, limits.connections, (socket) => connections.add(socket));
  if (!cut) server.on('connection', (socket: Socket) => connections.add(socket));
  harden(server, limits);
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
    close: async (lingerMs = 0) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const cutAll = () => {
        server.closeAllConnections();
        cut?.();
      };
      if (lingerMs > 0) return void setTimeout(cutAll, lingerMs).unref();
      cutAll();
      await closed;
    },
  };
}
