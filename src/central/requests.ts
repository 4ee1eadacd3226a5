/** What is asked of a gateway by `down/again`, and whether it has come. */
import { randomUUID } from 'node:crypto';
import { dayMs, iso, millis } from '../base/time.ts';
import type { AgainPayload } from '../contract/payloads.ts';
import { versionsOf } from './intervals.ts';
import { intervalFacts } from './read-store.ts';
import type { Engine, Row, Sql } from './sql.ts';

/** A request that was not answered is made again after this time. */
const sendAgainMs = 600_000;
/** A gateway holds sixteen of them; half of those are ours. */
const openLimit = 8;
/** One asks for so much, so that a meter is not busy with one for hours. */
const spanLimitMs = 40 * dayMs;
/** An answer comes in several messages. */
const quietMs = 30_000;

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

/** Requests that are to be sent now, to gateways that are there; each is noted as sent before it is. */
export async function dueRequests(
  engine: Engine,
  now: number,
): Promise<readonly { readonly gateway: string; readonly request: AgainPayload }[]> {
  const open = await engine.all(
    `SELECT r.*, s.online FROM request r LEFT JOIN standing s ON s.gateway = r.gateway
     WHERE r.done_ms IS NULL ORDER BY r.gateway, r.times, r.to_ms DESC, r.id`,
  );
  const due: { gateway: string; request: AgainPayload }[] = [];
  for (const [gateway, all] of Map.groupBy(open, (row) => row['gateway'] as string)) {
    const isUnderWay = ({ sent_ms }: Row) => now - ((sent_ms as number | null) ?? 0) < sendAgainMs;
    const room = openLimit - all.filter(isUnderWay).length;
    // What was asked for most seldom goes first: requests that nobody answers take turns with the others.
    const next = all.filter((row) => row['online'] !== 0 && !isUnderWay(row)).slice(0, Math.max(0, room));
    for (const row of next) {
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

/**
 * Whether each interval that the series has was published again since it was asked for: a row, or the cause why there is
 * none. Before the first interval that ever came of a series nobody owes anything.
 */
async function isAnswered(engine: Engine, row: Row, now: number): Promise<boolean> {
  const name = { gateway: row['gateway'], meter: row['meter'], series: row['series'] } as {
    gateway: string;
    meter: string;
    series: string;
  };
  const [from, to, made] = [row['from_ms'], row['to_ms'], row['made_ms']] as [number, number, number];
  const periodMs = (row['period_s'] as number) * 1000;
  const messages = await intervalFacts(engine, name, { from, to, since: made });
  if (messages.length === 0) return false;
  if (now - Math.max(...messages.map(({ receivedAt }) => receivedAt)) < quietMs) return false;
  const [first] = await engine.all(
    "SELECT min(start_ms) AS first_ms FROM fact WHERE gateway = ? AND meter = ? AND series = ? AND kind IN ('profile', 'gap')",
    name.gateway,
    name.meter,
    name.series,
  );
  const there = new Set(
    messages.flatMap((one) => versionsOf(one, periodMs, { from, to }).map(({ start }) => start as number)),
  );
  const begin = Math.max(from, Math.ceil(((first?.['first_ms'] as number | null) ?? from) / periodMs) * periodMs);
  // What has not ended, or has just ended, comes by itself.
  const end = Math.min(to, Math.floor((now - 3_600_000) / periodMs) * periodMs);
  for (let at = begin; at < end; at += periodMs) if (!there.has(at)) return false;
  return true;
}
export async function noteAnswers(engine: Engine, now: number): Promise<void> {
  const open = await engine.all('SELECT * FROM request WHERE done_ms IS NULL AND times > 0 ORDER BY made_ms');
  for (const row of open)
    if (await isAnswered(engine, row, now))
      await engine.transaction((sql) =>
        sql.all('UPDATE request SET done_ms = ? WHERE id = ?', now, row['id'] as string),
      );
}
