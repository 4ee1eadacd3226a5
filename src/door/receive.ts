/** One request at a door: finds its row, judges what is given, has it answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../base/log.ts';
import { type Answer, answerOf, bodyOf, refusal, send, sendLines, stream } from './answering.ts';
import type { ConnectionTable, Work } from './connections.ts';
import { findRoute, inputOf, type Permission, type Route } from './rows.ts';

export interface Asker {
  readonly permission: Permission;
  /** Why somebody who may only look is refused what acts. */
  readonly refusal: string;
}
export interface Receiving<House> {
  readonly rows: readonly Route<House>[];
  readonly house: () => House;
  readonly connections: ConnectionTable;
  /** Of the door, in the log. */
  readonly name: string;
  readonly log?: Log | undefined;
  readonly takeMs?: number | undefined;
  /** Answers a row in another way; undefined where it is answered as always. */
  readonly instead?: ((route: Route<House>, response: ServerResponse) => Promise<void> | undefined) | undefined;
  /** How lines go out; left out: NDJSON. */
  readonly lines?: typeof sendLines | undefined;
}

/** A long text, such as a photo, is no line of a log. */
const longestLogged = 200;
const shortened = (given: unknown): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(given as Readonly<Record<string, unknown>>).map(([key, value]) => [
      key,
      typeof value === 'string' && value.length > longestLogged ? `${value.length} characters` : value,
    ]),
  );

export async function receive<House>(
  incoming: IncomingMessage,
  response: ServerResponse,
  asker: Asker,
  receiving: Receiving<House>,
): Promise<void> {
  const { rows, house, connections, name, log, takeMs, instead, lines = sendLines } = receiving;
  const { socket } = incoming;
  const found = findRoute(rows, incoming.method ?? '', incoming.url ?? '');
  if ('status' in found) {
    incoming.resume();
    return send(response, refusal(found.status, found.message, found.allow));
  }
  const { route, query } = found;
  if (asker.permission === 'look' && route.permission === 'act') {
    incoming.resume();
    return send(response, { status: 403, body: { code: 'not-permitted', message: asker.refusal } });
  }
  const work: Work = route.permission === 'look' && route.answers === 'lines' ? 'watch' : route.permission;
  if (!connections.begin(socket, work)) {
    incoming.resume();
    const message = `${connections.most(work)} such requests are being answered already`;
    return send(response, { status: 503, body: { code: 'busy', message } });
  }
  const body = route.method === 'POST' ? await bodyOf(incoming, route.maxBodyBytes) : { value: query };
  if (route.method === 'GET') incoming.resume();
  const input = 'refused' in body ? undefined : inputOf(route, body.value);
  if (!input || 'misfit' in input) {
    connections.answered(socket);
    return send(response, input ? refusal(400, input.misfit) : (body as { refused: Answer }).refused);
  }
  const { given } = input;
  if (route.permission === 'act')
    log?.info({ asked: `${route.method} ${route.path}`, ...(route.holdsSecrets ? {} : shortened(given)) }, name);
  const other = instead?.(route, response);
  if (other) return other;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answered = await answerOf(route, given, { house: house(), signal: gone.signal, permission: asker.permission });
  if (answered.status === 200 && route.answers === 'octets')
    return stream(response, answered.body as AsyncIterable<Uint8Array>, log, takeMs);
  if (answered.status === 200 && route.answers === 'lines')
    return lines(response, answered.body as AsyncIterable<unknown>, takeMs);
  connections.answered(socket);
  send(response, answered, takeMs);
}
