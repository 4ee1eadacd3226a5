/**
 * What may be asked at the local door: one row for each method and path, in the order of the documentation. Whoever may
 * open the socket may ask all of it; rows that act, not only look, are written into the log.
 */
import type { ReadingFact } from '../reading/facts.ts';
import type { CounterAccepted } from '../schedule/counter-accept.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { CounterLease } from '../schedule/technician-lease.ts';
import type { HeldRows, Snapshot } from './snapshot.ts';

/** What the house answers here. */
export interface LocalAnswers {
  snapshot(): Promise<Snapshot>;
  gaps(): Promise<readonly SeriesGap[]>;
  readNow(meter: string, force?: boolean): Promise<ReadingFact>;
  quarantine(): Promise<readonly HeldRows[]>;
  /** Takes the configuration file as it is now; rejects where it is not taken and the one in force stays. */
  reload(): Promise<ReloadAnswer>;
  acceptCounter(meter: string): Promise<CounterAccepted>;
  leaseCounters(key: string): Promise<CounterLease>;
  /** The whole state, as it is now. */
  backup(): AsyncIterable<Uint8Array>;
}

export interface ReloadAnswer {
  readonly hash: string;
  /** When it came into force. */
  readonly since: string;
  /** Also the meters that cannot be polled with it, and why. */
  readonly warnings: readonly string[];
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** `look` changes nothing; `act` reaches meters, the store or the process, and is logged. */
  readonly permission: 'look' | 'act';
  /** Parameters of the query. Each must stand exactly once, and no other may. */
  readonly parameters: readonly string[];
  /** `given` holds exactly the parameters of the row. */
  handle(house: LocalAnswers, given: Readonly<Record<string, string>>): Promise<unknown>;
  /** What handle gives are octets, part by part, not a value for JSON. */
  readonly streamed?: true;
}

export const routes: readonly Route[] = [
  { method: 'GET', path: '/status', permission: 'look', parameters: [], handle: (house) => house.snapshot() },
  { method: 'GET', path: '/gaps', permission: 'look', parameters: [], handle: (house) => house.gaps() },
  { method: 'GET', path: '/quarantine', permission: 'look', parameters: [], handle: (house) => house.quarantine() },
  {
    method: 'POST',
    path: '/read',
    permission: 'act',
    parameters: ['meter'],
    handle: (house, { meter = '' }) => house.readNow(meter),
  },
  {
    method: 'GET',
    path: '/backup',
    permission: 'act',
    parameters: [],
    streamed: true,
    handle: (house) => Promise.resolve(house.backup()),
  },
  { method: 'POST', path: '/reload', permission: 'act', parameters: [], handle: (house) => house.reload() },
  {
    method: 'POST',
    path: '/read/forced',
    permission: 'act',
    parameters: ['meter'],
    handle: (house, { meter = '' }) => house.readNow(meter, true),
  },
  {
    method: 'POST',
    path: '/counter/accept',
    permission: 'act',
    parameters: ['meter'],
    handle: (house, { meter = '' }) => house.acceptCounter(meter),
  },
  {
    method: 'POST',
    path: '/counter/lease',
    permission: 'act',
    parameters: ['key'],
    handle: (house, { key = '' }) => house.leaseCounters(key),
  },
];

export type Found =
  | { readonly route: Route; readonly given: Readonly<Record<string, string>> }
  | { readonly status: 400 | 404 | 405; readonly message: string; readonly allow?: string };

const usage = (): string =>
  routes
    .map(({ method, path, parameters }) =>
      [`${method} ${path}`, parameters.map((name) => `${name}=…`).join('&')].filter((part) => part !== '').join('?'),
    )
    .join(', ');

/** The row that is asked for. Nothing of what was asked is repeated in a refusal: it is a stranger's text. */
export function findRoute(method: string, target: string): Found {
  if (!target.startsWith('/')) return { status: 400, message: 'the target must be a path that begins with one /' };
  const [path = '', query, ...more] = target.split('?');
  const here = routes.filter((route) => route.path === path);
  if (here.length === 0) return { status: 404, message: `no such path; there are ${usage()}` };
  const route = here.find((one) => one.method === method);
  if (!route) {
    const allow = here.map((one) => one.method).join(', ');
    return { status: 405, message: `this path takes ${allow}`, allow };
  }
  const given = more.length > 0 ? undefined : parametersOf(query ?? '');
  if (!given) return { status: 400, message: 'the query is not name=value&…, percent-encoded UTF-8' };
  const names = given.map(([name]) => name);
  if (names.length !== route.parameters.length || !route.parameters.every((name) => names.includes(name))) {
    const takes = route.parameters.length === 0 ? 'no parameters' : `each once: ${route.parameters.join(', ')}`;
    return { status: 400, message: `${route.method} ${route.path} takes ${takes}` };
  }
  return { route, given: Object.fromEntries(given) };
}

function parametersOf(query: string): [name: string, value: string][] | undefined {
  if (query === '') return [];
  try {
    return query.split('&').map((pair) => {
      const [name = '', value = '', ...more] = pair.split('=');
      if (more.length > 0) throw new URIError('two signs of equality');
      return [decodeURIComponent(name), decodeURIComponent(value)];
    });
  } catch {
    return undefined;
  }
}
