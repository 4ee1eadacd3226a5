/**
 * Our own losses: numbers that a gateway knows as acknowledged and that are not here (a backup was restored, a disk was
 * lost). What they said is not known; so everything of the time in which they must have come is asked for again, and every
 * hole before it. Events and readings cannot be asked for: their numbers stay listed.
 */
import { hourMs } from '../base/time.ts';
import type { AckPayload, BirthPayload, Message } from '../contract/payloads.ts';
import { versionsOf } from './intervals.ts';
import { recordLoss } from './ingest.ts';
import { ackOf, askForHoles, type GatewayNumbers } from './numbering.ts';
import type { Ranges } from './ranges.ts';
import { intervalFacts, storedSeries } from './read-store.ts';
import { beginOf, makeRequests, stepBackMs } from './requests.ts';
import type { Engine, Row } from './sql.ts';

/** Holes are asked for as far back as one request may reach. */
const longestMs = 400 * 24 * hourMs;
/** The newest rows of a meter come first, those of before follow for so long. */
const catchingUpMs = 14 * 24 * hourMs;
/** A row is read some time after its interval. */
const readingMs = 6 * hourMs;

interface KnownSeries {
  readonly meter: string;
  readonly series: string;
  readonly periodS: number;
}
/** As the gateway introduced them; where its birth had no room for series, as they came. */
async function seriesOf(engine: Engine, gateway: string): Promise<KnownSeries[]> {
  const [standing] = await engine.all('SELECT birth FROM standing WHERE gateway = ?', gateway);
  const birth = typeof standing?.['birth'] === 'string' ? (JSON.parse(standing['birth']) as BirthPayload) : undefined;
  const introduced = (birth?.meters ?? []).flatMap(({ meter, series }) =>
    series.map(({ profile, periodS }) => ({ meter, series: profile, periodS })),
  );
  const known = new Set(introduced.map(({ meter, series }) => `${meter}|${series}`));
  const stored = (await storedSeries(engine, gateway)).filter((one) => !known.has(`${one.meter}|${one.series}`));
  const others: KnownSeries[] = [];
  for (const { meter, series } of stored) {
    const [last] = await engine.all(
      "SELECT body FROM fact WHERE gateway = ? AND meter = ? AND series = ? AND kind = 'profile' ORDER BY start_ms DESC LIMIT 1",
      gateway,
      meter,
      series,
    );
    const periodS = last ? (JSON.parse(last['body'] as string) as Message<'profile'>).periodS : 3600;
    // A capture beside the grid has its own length.
    others.push({ meter, series, periodS: Math.max(60, Math.round(periodS / 60) * 60) });
  }
  return [...introduced, ...others];
}

/** Spans of a series that are to be asked for: holes of before, and all of the time of the loss. */
async function spansOf(
  engine: Engine,
  gateway: string,
  { meter, series, periodS }: KnownSeries,
  [lostFrom, foundAt]: readonly [from: number, to: number],
): Promise<(readonly [number, number])[]> {
  const name = { gateway, meter, series };
  const periodMs = periodS * 1000;
  const span = { from: lostFrom - longestMs, to: lostFrom };
  const messages = await intervalFacts(engine, name, span);
  const there = new Set(messages.flatMap((one) => versionsOf(one, periodMs, span).map(({ start }) => start as number)));
  const first = [...there].reduce((a, b) => Math.min(a, b), lostFrom);
  const holes: (readonly [number, number])[] = [];
  let hole: number | undefined;
  for (let at = Math.ceil(first / periodMs) * periodMs; at < lostFrom; at += periodMs) {
    if (!there.has(at)) hole ??= at;
    else if (hole !== undefined) {
      holes.push([hole, at]);
      hole = undefined;
    }
  }
  const begun = await beginOf(engine, name);
  // Before what is here of a series that had only begun to come, there may have been more.
  const isYoung = begun !== undefined && begun.start > span.from && lostFrom - begun.receivedAt < catchingUpMs;
  const before: (readonly [number, number])[] = isYoung ? [[first - stepBackMs, first]] : [];
  // Newest first, as the gateway would read them itself.
  return [[hole ?? lostFrom, foundAt], ...holes.toReversed(), ...before];
}

async function askFor(engine: Engine, loss: Row): Promise<void> {
  const [id, gateway, foundAt] = [loss['id'], loss['gateway'], loss['found_ms']] as [string, string, number];
  const ranges = JSON.parse(loss['ranges'] as string) as Ranges;
  const [before] = await engine.all(
    'SELECT max(received_ms) AS at FROM fact WHERE gateway = ? AND seq < ? AND received_ms < ?',
    gateway,
    ranges[0]?.[0] ?? 1,
    foundAt,
  );
  const last = before?.['at'] as number | null | undefined;
  const lostFrom = last === null || last === undefined ? foundAt - stepBackMs : last - readingMs;
  const wanting = await Promise.all(
    (await seriesOf(engine, gateway)).map(
      async (one) => [one, await spansOf(engine, gateway, one, [lostFrom, foundAt])] as const,
    ),
  );
  await engine.transaction(async (sql) => {
    const [still] = await sql.all(`SELECT asked FROM loss WHERE id = ?${engine.forUpdate}`, id);
    if (still?.['asked'] !== 0) return;
    for (const [one, spans] of wanting)
      await makeRequests(sql, { gateway, ...one, cause: `loss|${id}` }, spans, foundAt);
    await sql.all('UPDATE loss SET asked = 1 WHERE id = ?', id);
  });
}

/** Makes requests of what is lost, once its gateway has introduced itself; and notes what is whole again. */
export async function followLosses(engine: Engine, now: number): Promise<void> {
  const open = await engine.all(
    'SELECT l.* FROM loss l WHERE l.asked = 0 AND EXISTS (SELECT 1 FROM standing s WHERE s.gateway = l.gateway AND s.birth IS NOT NULL)',
  );
  for (const loss of open) await askFor(engine, loss);
  await engine.transaction((sql) =>
    sql.all(
      `UPDATE loss SET whole_ms = ? WHERE whole_ms IS NULL AND asked = 1
       AND NOT EXISTS (SELECT 1 FROM request r WHERE r.cause = 'loss|' || loss.id AND r.done_ms IS NULL)`,
      now,
    ),
  );
}

/** Holes that stay are asked for by `nack`, and given up in the end. Returns what is to be answered. */
export async function followHoles(engine: Engine, now: number): Promise<Map<string, AckPayload>> {
  const answers = new Map<string, AckPayload>();
  const some = await engine.all(
    `SELECT gateway FROM gateway WHERE numbers LIKE '%"hole":{%'
     OR replace(numbers, '"nackedAt":null', '') LIKE '%"nackedAt":%' ORDER BY gateway`,
  );
  for (const { gateway } of some)
    await engine.transaction(async (sql) => {
      const [row] = await sql.all(
        `SELECT numbers FROM gateway WHERE gateway = ?${engine.forUpdate}`,
        gateway as string,
      );
      const before = JSON.parse(row?.['numbers'] as string) as GatewayNumbers;
      const { numbers, lost, changed } = askForHoles(before, now);
      if (!changed) return;
      if (lost) await recordLoss(sql, gateway as string, lost, now);
      await sql.all('UPDATE gateway SET numbers = ? WHERE gateway = ?', JSON.stringify(numbers), gateway as string);
      const ack = ackOf(numbers);
      if (ack) answers.set(gateway as string, ack);
    });
  return answers;
}
