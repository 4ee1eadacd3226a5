/** What may be asked at a door: a table with one row for each method and path. */
import * as v from 'valibot';

export type Permission = 'look' | 'act';
/** Shape of what is asked: of a GET the query, of a POST its body in JSON. A strict object: what no row knows is refused. */
type Input = v.GenericSchema<unknown, Readonly<Record<string, unknown>>>;

export interface Route<House> {
  readonly method: 'GET' | 'POST';
  /** Under the version of the door: a later one stands beside it. */
  readonly path: `/v1/${string}`;
  /** `look` changes nothing; `act` does, and is logged. */
  readonly permission: Permission;
  readonly meaning: string;
  readonly input: Input;
  /** One value; octets part by part; or events as they come, one JSON line each. */
  readonly answers: 'value' | 'octets' | 'lines';
  /** Answered at the local sockets, which the kernel guards, and not on the page. */
  readonly socketsOnly?: true;
  /** What is given holds secrets: that it was asked is logged, and nothing of what was given. */
  readonly holdsSecrets?: true;
  /** Left out: 64 KiB. */
  readonly maxBodyBytes?: number;
  /** `given` has the shape of `input`. `signal`: whoever asked has gone. `permission`: what whoever asked may. */
  handle(house: House, given: unknown, signal: AbortSignal, permission: Permission): unknown;
}

interface RouteOf<House, Shape extends Input> extends Omit<Route<House>, 'input' | 'handle'> {
  readonly input: Shape;
  handle(house: House, given: v.InferOutput<Shape>, signal: AbortSignal, permission: Permission): unknown;
}
/** Makes rows of a table whose handlers are given what their schemas say. */
export const rowOf =
  <House>() =>
  <Shape extends Input>(row: RouteOf<House, Shape>): Route<House> =>
    row;

export type Found<House> =
  | { readonly route: Route<House>; readonly query: Readonly<Record<string, string>> }
  | { readonly status: 400 | 404 | 405; readonly message: string; readonly allow?: string };

type Asked = Pick<Route<never>, 'method' | 'path' | 'input'>;

const namesOf = ({ input }: Asked): string[] =>
  Object.keys((input as unknown as { readonly entries?: Readonly<Record<string, unknown>> }).entries ?? {});
const usage = (routes: readonly Asked[]): string =>
  routes
    .map((one) => {
      const { method, path } = one;
      const names = namesOf(one);
      if (names.length === 0) return `${method} ${path}`;
      return method === 'GET'
        ? `${method} ${path}?${names.map((name) => `${name}=…`).join('&')}`
        : `${method} ${path} {${names.join(', ')}}`;
    })
    .join(', ');

/** The row that is asked for. Nothing of what was asked is repeated in a refusal: it is a stranger's text. */
export function findRoute<House>(routes: readonly Route<House>[], method: string, target: string): Found<House> {
  if (!target.startsWith('/')) return { status: 400, message: 'the target must be a path that begins with one /' };
  const [path = '', query, ...more] = target.split('?');
  const here = routes.filter((one) => one.path === path);
  if (here.length === 0) return { status: 404, message: `no such path; there are ${usage(routes)}` };
  const found = here.find((one) => one.method === method);
  if (!found) {
    const allow = here.map((one) => one.method).join(', ');
    return { status: 405, message: `this path takes ${allow}`, allow };
  }
  const given = more.length > 0 ? undefined : parametersOf(query ?? '');
  if (!given) return { status: 400, message: 'the query is not name=value&…, percent-encoded UTF-8' };
  const names = given.map(([name]) => name);
  if (new Set(names).size < names.length) return { status: 400, message: 'a parameter stands twice' };
  if (method === 'POST' && names.length > 0)
    return { status: 400, message: 'what is given to a POST stands in its body, as JSON' };
  return { route: found, query: Object.fromEntries(given) };
}

/** In words, because `never is expected` tells nobody that the field is unknown. */
function misfitOf({ type, expected, received }: v.BaseIssue<unknown>): string {
  if (type === 'strict_object' && expected === 'never') return 'there is no such field';
  if (type === 'strict_object' && received === 'undefined') return 'missing';
  if (expected === 'Object') return 'a JSON object is expected';
  if (expected === 'Array') return 'a list is expected';
  return `${expected ?? 'another value'} is expected`;
}

/** What was given, in the shape of the row; or what does not fit, by its place, without repeating it. */
export function inputOf(
  { input, method, path }: Asked,
  given: unknown,
): { readonly given: unknown } | { readonly misfit: string } {
  const result = v.safeParse(input, given);
  if (result.success) return { given: result.output };
  const misfits = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'it'}: ${misfitOf(issue)}`);
  return { misfit: `${method} ${path}: ${misfits.slice(0, 5).join('; ')}` };
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
