/** Asks the running gateway at its local door. */
import { type IncomingMessage, request, type RequestOptions } from 'node:http';
import { createInterface } from 'node:readline';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCodeOf, Failure } from '../base/errors.ts';
import type { ScanEvent } from '../commission/scan.ts';
import { answerOf, ask, json, type Behind, maxAnswerBytes, unreachable } from '../door/client.ts';
import type { ReadingFact } from '../reading/facts.ts';
import type { CounterAccepted } from '../schedule/counter-accept.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { CounterLease } from '../schedule/technician-lease.ts';
import type { Capacity } from '../commission/capacity.ts';
import type { Signed } from '../commission/canonical.ts';
import type { CommissionEvent } from '../commission/commission.ts';
import type { SiteReport } from '../commission/site-report.ts';
import type { BrowseObjects, LogLine, OutputEvent, PageTicket, ReadObjects, ReloadAnswer, ScanWish } from './routes.ts';
import type { CommissionWishes, SignOffWishes } from './site-wishes.ts';
import type { PortUses, TraceEvent, TraceWish } from '../status/line-trace.ts';
import type { HeldRows, Snapshot } from '../status/snapshot.ts';

const gateway: Behind = { name: 'gateway', absent: 'no-gateway' };
/** Together less than anybody waits for an answer. */
const triesToLook = 10;
const pauseMs = 200;
const backupMs = 11 * 60_000;

export const askStatus = (path: string): Promise<Snapshot> => look<Snapshot>(path, '/v1/status', 5000);
export const askGaps = (path: string): Promise<SeriesGap[]> => look<SeriesGap[]>(path, '/v1/gaps', 30_000);
export const askQuarantine = (path: string): Promise<HeldRows[]> => look<HeldRows[]>(path, '/v1/quarantine', 30_000);
export const askRead = (path: string, meter: string, force = false): Promise<ReadingFact> =>
  act<ReadingFact>(path, '/v1/read', { meter, force }, 150_000);
export const askCounterAccept = (path: string, meter: string): Promise<CounterAccepted> =>
  act<CounterAccepted>(path, '/v1/counter/accept', { meter }, 30_000);
export const askCounterLease = (path: string, key: string): Promise<CounterLease> =>
  act<CounterLease>(path, '/v1/counter/lease', { key }, 10_000);
export const askReload = (path: string): Promise<ReloadAnswer> => act<ReloadAnswer>(path, '/v1/reload', {}, 60_000);

/** To act where that may be, else to look. */
export async function askPage(path: string): Promise<PageTicket> {
  try {
    return await act<PageTicket>(path, '/v1/page/ticket', {}, 10_000);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'not-permitted') throw error;
    const look = { path: '/v1/page/look', method: 'POST', headers: json };
    return ask<PageTicket>(path, look, '{}', { timeout: 10_000, behind: gateway });
  }
}

export const askSignOff = (path: string, wishes: SignOffWishes): Promise<Signed<SiteReport>> =>
  act<Signed<SiteReport>>(path, '/v1/sign-off', wishes, 60_000);
export const askCapacity = (
  path: string,
  wish: { readonly port: string; readonly period: string; readonly days: string },
): Promise<Capacity> => look<Capacity>(path, withQuery('/v1/capacity', wish), 30_000);

/** The state of the running gateway, as octets of a backup. Rejects before the first where it refuses. */
export async function askBackup(path: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    return await backupFrom(path);
  } catch (error) {
    return backupFrom(deskInstead(path, error));
  }
}
const backupFrom = (path: string): Promise<AsyncIterable<Uint8Array>> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: '/v1/backup', method: 'GET', agent: false }, (response) => {
      if (response.statusCode === 200) return resolve(toItsEnd<Buffer>(path, response));
      response.resume();
      if (response.statusCode === 403)
        return reject(new Failure('not-permitted', `at ${path} one may only look`, { onlyLooks: true }));
      return reject(
        new Failure('no-gateway', `the gateway at ${path} gives no backup (status ${response.statusCode})`),
      );
    });
    // The time that the gateway gives itself for the whole backup, and a little more.
    const late = setTimeout(() => asked.destroy(new Error(`no end within ${backupMs / 1000} s`)), backupMs);
    asked.on('close', () => clearTimeout(late));
    asked.on('error', (error) => reject(unreachable(path, error, gateway)));
    asked.end();
  });

/** What only looks may be asked again: at a crowded door the place may be taken, or lost to somebody else. */
async function look<T>(path: string, what: string, timeout: number): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask<T>(path, { path: what, method: 'GET' }, undefined, { timeout, behind: gateway });
    } catch (error) {
      const crowded = error instanceof Failure && (error.code === 'busy' || error.detail['hungUp'] === true);
      if (!crowded || tries === triesToLook) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** The desk beside a status socket that only looks: in a folder of its own, where the unit made one for technicians. */
export function deskBeside(path: string): string {
  const folder = join(dirname(path), 'desk');
  return existsSync(folder) ? join(folder, 'desk.sock') : join(dirname(path), 'desk.sock');
}
/** Where what acts is asked instead, after a socket that only looks refused it; throws what it was given where there is no such place. */
function deskInstead(path: string, error: unknown): string {
  const onlyLooks = error instanceof Failure && error.detail['onlyLooks'] === true;
  const desk = deskBeside(path);
  if (!onlyLooks || !existsSync(desk)) throw error;
  return desk;
}

async function act<T>(path: string, what: string, given: object, timeout: number): Promise<T> {
  const asked = (at: string) =>
    ask<T>(at, { path: what, method: 'POST', headers: json }, JSON.stringify(given), { timeout, behind: gateway });
  try {
    return await asked(path);
  } catch (error) {
    return asked(deskInstead(path, error));
  }
}

/** The snapshot, again and again. */
export const watchStatus = (path: string): AsyncGenerator<Snapshot, void> =>
  linesFrom<Snapshot>(path, { path: '/v1/status/watch', method: 'GET' });

export const askLines = (path: string): Promise<PortUses[]> => look<PortUses[]>(path, '/v1/lines', 5000);
export const watchTrace = (path: string, wish: TraceWish): AsyncGenerator<TraceEvent, void> =>
  linesFrom<TraceEvent>(path, { path: withQuery('/v1/trace', { ...wish }), method: 'GET' });
export const watchLog = (path: string, follow: boolean): AsyncGenerator<LogLine, void> =>
  linesFrom<LogLine>(path, { path: withQuery('/v1/log', { follow: String(follow) }), method: 'GET' });

export const askObjects = (path: string, meter: string, wishes: ReadObjects): AsyncGenerator<OutputEvent, void> =>
  actLines<OutputEvent>(path, '/v1/objects/read', { meter, ...wishes });
export const askBrowse = (path: string, meter: string, wishes: BrowseObjects): AsyncGenerator<OutputEvent, void> =>
  actLines<OutputEvent>(path, '/v1/objects/browse', { meter, ...wishes });

export const askScan = (path: string, wish: ScanWish): AsyncGenerator<ScanEvent, void> =>
  actLines<ScanEvent>(path, '/v1/scan', wish);
export const askCommission = (path: string, wishes: CommissionWishes): AsyncGenerator<CommissionEvent, void> =>
  actLines<CommissionEvent>(path, '/v1/commission', wishes);

/** The events of an act; where the socket only looks, of the desk beside it. */
async function* actLines<Event>(path: string, what: string, given: object): AsyncGenerator<Event, void> {
  const asked = { path: what, method: 'POST', headers: json };
  try {
    yield* linesFrom<Event>(path, asked, JSON.stringify(given));
  } catch (error) {
    yield* linesFrom<Event>(deskInstead(path, error), asked, JSON.stringify(given));
  }
}

function withQuery(path: string, given: Readonly<Record<string, string | undefined>>): string {
  const query = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value as string)}`);
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}

const hungUp = (path: string): Failure =>
  new Failure('no-gateway', `the gateway at ${path} hung up in the midst of it`);
/** What comes of an answer. Node calls a connection that broke in the midst "aborted", which tells nobody what to do. */
async function* toItsEnd<Piece>(path: string, answer: AsyncIterable<Piece>): AsyncGenerator<Piece, void> {
  try {
    yield* answer;
  } catch {
    throw hungUp(path);
  }
}

/** How long nothing may come of a job, not even an empty line. */
const quietMs = 45_000;

/**
 * Events of the gateway as they come. Leaving the loop ends the job behind them. Rejects with what it failed of, and
 * `no-gateway` where the connection breaks in the midst.
 */
async function* linesFrom<Event>(path: string, what: RequestOptions, body?: string): AsyncGenerator<Event, void> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ socketPath: path, ...what, agent: false }, resolve);
    asked.setTimeout(quietMs, () => asked.destroy(new Error(`nothing for ${quietMs / 1000} s`)));
    asked.on('error', (error) => reject(unreachable(path, error, gateway)));
    asked.end(body);
  });
  try {
    if (response.statusCode !== 200) {
      response.setEncoding('utf8');
      let text = '';
      for await (const chunk of response as AsyncIterable<string>) if (text.length < maxAnswerBytes) text += chunk;
      answerOf<never>(path, response.statusCode, text, gateway);
    }
    for await (const line of toItsEnd(path, createInterface({ input: response }))) {
      if (line === '') continue;
      const event = lineOf<Event>(path, line);
      yield event;
    }
    if (!response.complete) throw hungUp(path);
  } finally {
    response.destroy();
  }
}

function lineOf<Event>(path: string, line: string): Event {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Failure('no-gateway', `what answers at ${path} is no gateway, or one of another version`);
  }
  const { failed } = (value ?? {}) as { failed?: { code?: unknown; message?: unknown } };
  if (failed === undefined) return value as Event;
  const known = errorCodeOf(failed.code);
  const why = typeof failed.message === 'string' ? failed.message : 'it failed';
  throw known ? new Failure(known, why) : new Error(why);
}
