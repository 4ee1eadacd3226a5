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
/** So far back is asked in one step, where nobody knows when a series began; and in all. */
export const stepBackMs = 40 * dayMs;
const farthestMs = 800 * dayMs;
/** An answer comes in several messages. */
const quietMs = 30_000;
/** Health comes so often. */
const healthMs = 60_000;

interface RequestedSeries {
  readonly gateway: string;
  readonly meter: string;
  readonly series: string;
  readonly periodS: number;
  /** The loss or account that it is for. */
  readonly cause: string;
}
type Span = readonly [from: number, to: number];

/** Writes down what is to be asked for; on the grid of the series, none of it twice for one cause. */
export async function makeRequests(
  sql: Sql,
  { gateway, meter, series, periodS, cause }: RequestedSeries,
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

/** Intervals that the gateway still owes of each meter, by its own word, and when it said so. */
interface Owed {
  readonly at: number;
  readonly missing: ReadonlyMap<string, number>;
}
function owedIn(row: Row | undefined): Owed | undefined {
  if (typeof row?.['health'] !== 'string') return undefined;
  const { meters } = JSON.parse(row['health']) as HealthPayload;
  return { at: row['health_ms'] as number, missing: new Map(meters.map((one) => [one.meter, one.missing])) };
}

/** When something of what was asked for came last. */
async function newestAnswer(engine: Engine, row: Row): Promise<number> {
  const [newest] = await engine.all(
    `SELECT max(received_ms) AS at FROM fact WHERE gateway = ? AND meter = ? AND series = ? AND start_ms < ? AND end_ms > ?
     AND received_ms >= ? AND kind IN ('profile', 'gap')`,
    row['gateway'] as string,
    row['meter'] as string,
    row['series'] as string,
    row['to_ms'] as number,
    row['from_ms'] as number,
    row['made_ms'] as number,
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
  for (const [gateway, all] of Map.groupBy(open, (row) => row['gateway'] as string)) {
    const [standing] = await engine.all('SELECT online, health, health_ms FROM standing WHERE gateway = ?', gateway);
    if (standing?.['online'] === 0) continue;
    const owed = owedIn(standing);
    const sentAt = ({ sent_ms }: Row) => (sent_ms as number | null) ?? 0;
    const isUnderWay = (row: Row) => now - sentAt(row) < sendAgainMs;
    /** It reads the meter for it: made again, the request would begin all of that anew. */
    const isWorkedAt = (row: Row) =>
      owed !== undefined &&
      sentAt(row) > 0 &&
      owed.at >= sentAt(row) + healthMs &&
      (owed.missing.get(row['meter'] as string) ?? 0) > 0;
    const room = openLimit - all.filter(isUnderWay).length;
    // What was asked for most seldom goes first: requests that nobody answers take turns with the others.
    const next = all.filter((row) => !isUnderWay(row) && !isWorkedAt(row)).slice(0, Math.max(0, room));
    for (const row of next) {
      if (sentAt(row) > 0 && now - (await newestAnswer(engine, row)) < sendAgainMs) continue;
      await engine.transaction((sql) =>
        sql.all('UPDATE request SET sent_ms = ?, times = times + 1 WHERE id = ?', now, row['id'] as string),
      );
      due.push({
        gateway,
        request: {
          meter: row['meter'] as string,
          series: row['series'] as string,
          from: iso(millis(row['from_ms'] as number)),
          to: iso(millis(row['to_ms'] as number)),
        },
      });
    }
  }
  return due;
}

interface Name {
  readonly gateway: string;
  readonly meter: string;
  readonly series: string;
}
const nameOf = (row: Row): Name => ({
  gateway: row['gateway'] as string,
  meter: row['meter'] as string,
  series: row['series'] as string,
});
/** The first interval of a series that ever came, and when something of it came first; `until`: of what came before that. */
export async function beginOf(
  engine: Engine,
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
/** By the gateway's own word, which came after `since`. */
async function hasAll(engine: Engine, { gateway, meter }: Name, since: number): Promise<boolean> {
  const [standing] = await engine.all('SELECT health, health_ms FROM standing WHERE gateway = ?', gateway);
  const owed = owedIn(standing);
  return owed !== undefined && owed.at >= since && owed.missing.get(meter) === 0;
}

/**
 * Whether each interval that the series has was published again since it was asked for: a row, or the cause why there is
 * none. Before the first interval that ever came nobody knows what there is, and the gateway's word is taken for it.
 */
async function isAnswered(engine: Engine, row: Row, now: number): Promise<boolean> {
  const name = nameOf(row);
  const [from, to, made, sent] = [row['from_ms'], row['to_ms'], row['made_ms'], row['sent_ms']] as number[] as [
    number,
    number,
    number,
    number,
  ];
  const periodMs = (row['period_s'] as number) * 1000;
  const messages = await intervalFacts(engine, name, { from, to, since: made });
  const newest = Math.max(sent, ...messages.map(({ receivedAt }) => receivedAt));
  const first = await beginOf(engine, name);
  const isBegun = first !== undefined && first.start <= from;
  if (!isBegun && !(await hasAll(engine, name, newest + healthMs))) return false;
  const begin = Math.max(from, Math.ceil((first?.start ?? from) / periodMs) * periodMs);
  // What has not ended, or has just ended, comes by itself.
  const end = Math.min(to, Math.floor((now - 3_600_000) / periodMs) * periodMs);
  if (isBegun && begin >= end) return true;
  // Sent twice, so that it was not only waiting there.
  if (messages.length === 0) return !isBegun && (row['times'] as number) > 1;
  if (now - newest < quietMs) return false;
  const there = new Set(
    messages.flatMap((one) => versionsOf(one, periodMs, { from, to }).map(({ start }) => start as number)),
  );
  for (let at = begin; at < end; at += periodMs) if (!there.has(at)) return false;
  return true;
}
/** Where an answer reaches as far back as it was asked for, there may be more before it. */
async function askFartherBack(engine: Engine, sql: Sql, row: Row, now: number): Promise<void> {
  const name = nameOf(row);
  const [from, made, cause] = [row['from_ms'], row['made_ms'], row['cause']] as [number, number, string];
  const first = await beginOf(engine, name);
  const before = await beginOf(engine, name, made);
  const isReached = first !== undefined && first.start <= from && first.start > from - dayMs;
  if (!isReached || (before && before.start <= from) || !cause.startsWith('loss|') || made - from > farthestMs) return;
  const periodS = row['period_s'] as number;
  await makeRequests(sql, { ...name, periodS, cause }, [[from - stepBackMs, from]], now);
}
export async function noteAnswers(engine: Engine, now: number): Promise<void> {
  const open = await engine.all('SELECT * FROM request WHERE done_ms IS NULL AND times > 0 ORDER BY made_ms');
  for (const row of open)
    if (await isAnswered(engine, row, now))
      await engine.transaction(async (sql) => {
        await askFartherBack(engine, sql, row, now);
        await sql.all('UPDATE request SET done_ms = ? WHERE id = ?', now, row['id'] as string);
      });
}
