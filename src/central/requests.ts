/** What is asked of a gateway by `down/again`, and whether it has come. */
import { randomUUID } from 'node:crypto';
import { dayMs, iso, millis } from '../base/time.ts';
import type { AgainPayload, HealthPayload } from '../contract/payloads.ts';
import { versionsOf } from './intervals.ts';
import { intervalFacts } from './read-store.ts';
import type { Engine, Row, Sql } from './sql.ts';

/** A request that was not answered is made again after this time. */
const sendAgainMs = 600_000;
/** A gateway holds sixteen of them; half of those are ours. */
const openLimit = 8;
/** One asks for so much, so that a meter is not busy with one for hours. */
const spanLimitMs = 40 * dayMs;
/** So far back is asked where nobody knows when a series began; as far again as long as that is full, and in all. */
export const stepBackMs = 40 * dayMs;
const farthestMs = 800 * dayMs;
/** An answer comes in several messages. */
const quietMs = 30_000;
/** Health comes so often. */
const healthMs = 60_000;

type Span = readonly [from: number, to: number];

/** Writes down what is to be asked for; on the grid of the series, none of it twice for one cause. */
export async function makeRequests(
  sql: Sql,
  { gateway, meter, series, periodS, cause }: Pick<Request, keyof Name | 'periodS' | 'cause'>,
  spans: readonly Span[],
  now: number,
): Promise<void> {
  const periodMs = Math.max(1000, periodS * 1000);
  const pieces = spans.flatMap(([from, to]): Span[] => {
    const [low, high] = [Math.floor(from / periodMs) * periodMs, Math.ceil(to / periodMs) * periodMs];
    const all: Span[] = [];
    for (let at = low; at < high; at += spanLimitMs) all.push([at, Math.min(high, at + spanLimitMs)]);
    return all;
  });
  const open = await sql.all(
    'SELECT from_ms, to_ms FROM request WHERE cause = ? AND meter = ? AND series = ? AND done_ms IS NULL',
    cause,
    meter,
    series,
  );
  const known = new Set(open.map(({ from_ms, to_ms }) => `${Number(from_ms)}-${Number(to_ms)}`));
  await sql.insert(
    'request',
    pieces
      .filter(([from, to]) => !known.has(`${from}-${to}`))
      .map(([from, to]) => ({
        id: randomUUID(),
        gateway,
        meter,
        series,
        period_s: Math.round(periodS),
        from_ms: from,
        to_ms: to,
        cause,
        made_ms: now,
        sent_ms: null,
        times: 0,
        done_ms: null,
      })),
  );
}

interface Name {
  readonly gateway: string;
  readonly meter: string;
  readonly series: string;
}
/** A row of `request`. */
interface Request extends Name {
  readonly id: string;
  readonly periodS: number;
  readonly from: number;
  readonly to: number;
  /** The loss or account that it is for. */
  readonly cause: string;
  readonly made: number;
  /** 0: never. */
  readonly sent: number;
  readonly times: number;
}
const requestOf = (row: Row): Request => ({
  id: row['id'] as string,
  gateway: row['gateway'] as string,
  meter: row['meter'] as string,
  series: row['series'] as string,
  periodS: row['period_s'] as number,
  from: row['from_ms'] as number,
  to: row['to_ms'] as number,
  cause: row['cause'] as string,
  made: row['made_ms'] as number,
  sent: (row['sent_ms'] as number | null) ?? 0,
  times: row['times'] as number,
});

/** Whether a gateway is there, and the intervals that it still owes of each meter, by its own word, and when it said so. */
interface Debtor {
  readonly isGone: boolean;
  readonly heardAt: number;
  readonly missing: ReadonlyMap<string, number>;
}
async function debtorOf(engine: Engine, gateway: string): Promise<Debtor> {
  const [row] = await engine.all('SELECT online, health, health_ms FROM standing WHERE gateway = ?', gateway);
  const health = typeof row?.['health'] === 'string' ? (JSON.parse(row['health']) as HealthPayload) : undefined;
  return {
    isGone: row?.['online'] === 0,
    heardAt: (row?.['health_ms'] as number | null | undefined) ?? 0,
    missing: new Map((health?.meters ?? []).map((one) => [one.meter, one.missing])),
  };
}

/** When something of what was asked for came last; 0: nothing did. */
async function newestAnswer(engine: Engine, { gateway, meter, series, from, to, made }: Request): Promise<number> {
  const [newest] = await engine.all(
    `SELECT max(received_ms) AS at FROM fact WHERE gateway = ? AND meter = ? AND series = ? AND start_ms < ? AND end_ms > ?
     AND received_ms >= ? AND kind IN ('profile', 'gap')`,
    gateway,
    meter,
    series,
    to,
    from,
    made,
  );
  return (newest?.['at'] as number | null | undefined) ?? 0;
}

/** Requests that are to be sent now, to gateways that are there; each is noted as sent before it is. */
export async function dueRequests(
  engine: Engine,
  now: number,
): Promise<readonly { readonly gateway: string; readonly request: AgainPayload }[]> {
  const open = await engine.all('SELECT * FROM request WHERE done_ms IS NULL ORDER BY gateway, times, to_ms DESC, id');
  const due: { gateway: string; request: AgainPayload }[] = [];
  for (const [gateway, all] of Map.groupBy(open.map(requestOf), (one) => one.gateway)) {
    const { isGone, heardAt, missing } = await debtorOf(engine, gateway);
    if (isGone) continue;
    const isUnderWay = ({ sent }: Request) => now - sent < sendAgainMs;
    /** It reads the meter for it: made again, the request would begin all of that anew. */
    const isWorkedAt = ({ sent, meter }: Request) =>
      sent > 0 && heardAt >= sent + healthMs && (missing.get(meter) ?? 0) > 0;
    const room = openLimit - all.filter(isUnderWay).length;
    // What was asked for most seldom goes first: requests that nobody answers take turns with the others.
    const next = all.filter((one) => !isUnderWay(one) && !isWorkedAt(one)).slice(0, Math.max(0, room));
    for (const one of next) {
      if (one.sent > 0 && now - (await newestAnswer(engine, one)) < sendAgainMs) continue;
      await engine.transaction((sql) =>
        sql.all('UPDATE request SET sent_ms = ?, times = times + 1 WHERE id = ?', now, one.id),
      );
      const { meter, series, from, to } = one;
      due.push({ gateway, request: { meter, series, from: iso(millis(from)), to: iso(millis(to)) } });
    }
  }
  return due;
}

/** The first interval of a series that ever came, and when something of it came first; `until`: of what came before that. */
export async function beginOf(
  engine: Pick<Engine, 'all'>,
  { gateway, meter, series }: Name,
  until = Number.MAX_SAFE_INTEGER,
): Promise<{ readonly start: number; readonly receivedAt: number } | undefined> {
  const [row] = await engine.all(
    `SELECT min(start_ms) AS start, min(received_ms) AS at FROM fact
     WHERE gateway = ? AND meter = ? AND series = ? AND kind IN ('profile', 'gap') AND received_ms < ?`,
    gateway,
    meter,
    series,
    until,
  );
  const { start = null, at = null } = (row ?? {}) as { start?: number | null; at?: number | null };
  return start === null || at === null ? undefined : { start, receivedAt: at };
}

/**
 * Whether each interval that the series has was published again since it was asked for: a row, or the cause why there is
 * none. Before the first interval that ever came nobody knows what there is, and the gateway's word is taken for it.
 */
async function isAnswered(
  engine: Engine,
  request: Request,
  { heardAt, missing }: Debtor,
  now: number,
): Promise<boolean> {
  const { meter, from, to, made, sent, times } = request;
  const periodMs = request.periodS * 1000;
  const answeredAt = await newestAnswer(engine, request);
  const first = await beginOf(engine, request);
  const isBegun = first !== undefined && first.start <= from;
  if (!isBegun && (heardAt < Math.max(sent, answeredAt) + healthMs || missing.get(meter) !== 0)) return false;
  const begin = Math.max(from, Math.ceil((first?.start ?? from) / periodMs) * periodMs);
  // What has not ended, or has just ended, comes by itself.
  const end = Math.min(to, Math.floor((now - 3_600_000) / periodMs) * periodMs);
  if (isBegun && begin >= end) return true;
  // Sent twice, so that it was not only waiting there.
  if (answeredAt === 0) return !isBegun && times > 1;
  if (now - Math.max(sent, answeredAt) < quietMs) return false;
  const messages = await intervalFacts(engine, request, { from, to, since: made });
  const there = new Set(
    messages.flatMap((one) => versionsOf(one, periodMs, { from, to }).map(({ start }) => start as number)),
  );
  for (let at = begin; at < end; at += periodMs) if (!there.has(at)) return false;
  return true;
}
/** Where the answer to a loss reaches as far back as it was asked for, there may be more before it. */
async function askFartherBack(sql: Sql, request: Request, now: number): Promise<void> {
  const { from, made, cause } = request;
  if (!cause.startsWith('loss|') || made - from > farthestMs) return;
  const [first, before] = [await beginOf(sql, request), await beginOf(sql, request, made)];
  const isReached = first !== undefined && first.start <= from && first.start > from - dayMs;
  if (isReached && !(before && before.start <= from))
    await makeRequests(sql, request, [[from - stepBackMs, from]], now);
}
export async function noteAnswers(engine: Engine, now: number): Promise<void> {
  const open = await engine.all('SELECT * FROM request WHERE done_ms IS NULL AND times > 0 ORDER BY made_ms');
  for (const [gateway, all] of Map.groupBy(open.map(requestOf), (one) => one.gateway)) {
    const debtor = await debtorOf(engine, gateway);
    for (const request of all)
      if (await isAnswered(engine, request, debtor, now))
        await engine.transaction(async (sql) => {
          await askFartherBack(sql, request, now);
          await sql.all('UPDATE request SET done_ms = ? WHERE id = ?', now, request.id);
        });
  }
}
