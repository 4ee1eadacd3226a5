/**
 * The accounts of the days are proven from what is stored; what is not the same is asked for again. Each step is done by
 * whichever worker comes first, and may be done twice.
 */
import type { Message } from '../contract/payloads.ts';
import { accountSpan, judgeAccount } from './manifest.ts';
import { type GatewayNumbers, isForgotten } from './numbering.ts';
import { has, runOf } from './ranges.ts';
import { gatewayNumbers, intervalFacts } from './read-store.ts';
import { makeRequests } from './requests.ts';
import type { Engine, Row } from './sql.ts';

type SeriesAccount = Message<'manifest'>['series'][number];
const cursorKey = 'manifests noted up to';
/** A commit may take so long: what it stores bears the time before it. */
const overlapMs = 600_000;

/** Where a look at the manifests stands; all that are of the same time have an order. */
type Place = readonly [receivedMs: number, gateway: string, epoch: number, seq: number];
const pageRows = 500;

/** Each series of each manifest that came becomes an account to be proven; a later one of the same day stands instead. */
async function noteManifests(engine: Engine): Promise<void> {
  const [cursor] = await engine.all('SELECT value FROM meta WHERE key = ?', cursorKey);
  const since = Number(cursor?.['value'] ?? 0);
  let upTo = since;
  // Those that a later one stands for, and empty ones, are seen each time: they must not hide what comes behind them.
  for (let place: Place = [Math.max(0, since - overlapMs), '', -1, 0]; ; ) {
    const rows = await engine.all(
      `SELECT gateway, epoch, seq, received_ms, body FROM fact f WHERE kind = 'manifest' AND received_ms >= ?
       AND (received_ms, gateway, epoch, seq) > (?, ?, ?, ?) AND NOT EXISTS
       (SELECT 1 FROM account a WHERE a.gateway = f.gateway AND a.epoch = f.epoch AND a.seq = f.seq)
       ORDER BY received_ms, gateway, epoch, seq LIMIT ${pageRows}`,
      place[0],
      ...place,
    );
    const last = rows.at(-1);
    if (!last) return;
    place = [last['received_ms'], last['gateway'], last['epoch'], last['seq']] as unknown as Place;
    upTo = Math.max(upTo, place[0]);
    await noteAll(engine, rows, upTo);
    if (rows.length < pageRows) return;
  }
}
async function noteAll(engine: Engine, rows: readonly Row[], upTo: number): Promise<void> {
  await engine.transaction(async (sql) => {
    for (const { gateway, epoch, seq, body } of rows) {
      const manifest = JSON.parse(body as string) as Message<'manifest'>;
      for (const row of manifest.series)
        await sql.all(
          `INSERT INTO account (id, gateway, day, meter, series, epoch, seq, row, verdict, checked_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', NULL) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch,
           seq = excluded.seq, row = excluded.row, verdict = 'waiting', checked_ms = NULL
           WHERE excluded.epoch > account.epoch OR (excluded.epoch = account.epoch AND excluded.seq > account.seq)`,
          [gateway, manifest.day, row.meter, row.series, row.from ?? ''].join('|'),
          gateway as string,
          manifest.day,
          row.meter,
          row.series,
          epoch as number,
          seq as number,
          JSON.stringify(row),
        );
    }
    await sql.all(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      cursorKey,
      String(upTo),
    );
  });
}

/** Everything up to the manifest is here, or is known to be lost. */
function isDue(numbers: GatewayNumbers, epoch: number, seq: number): boolean {
  if (isForgotten(numbers, epoch)) return true;
  const { epochs } = numbers;
  const newest = epochs.at(-1);
  const own = epochs.find((one) => one.epoch === epoch);
  // Of an epoch that ended nothing more will come.
  return own !== undefined && (runOf(own.held) >= seq || (newest !== own && has(own.held, seq)));
}

async function judgeOne(engine: Engine, account: Row, now: number): Promise<void> {
  const [gateway, meter, series] = [account['gateway'], account['meter'], account['series']] as string[];
  const row = JSON.parse(account['row'] as string) as SeriesAccount;
  const manifest = {
    day: account['day'] as string,
    epoch: account['epoch'] as number,
    seq: account['seq'] as number,
  };
  const [from, to] = accountSpan(manifest.day, row);
  const name = { gateway, meter, series } as { gateway: string; meter: string; series: string };
  const verdict = judgeAccount(manifest, row, await intervalFacts(engine, name, { from, to }));
  const id = account['id'] as string;
  await engine.transaction(async (sql) => {
    if (verdict === 'different' && account['verdict'] === 'waiting')
      await makeRequests(sql, { ...name, periodS: row.periodS, cause: `account|${id}` }, [[from, to]], now);
    await sql.all(
      'UPDATE account SET verdict = ?, checked_ms = ? WHERE id = ? AND epoch = ? AND seq = ?',
      verdict,
      now,
      id,
      manifest.epoch,
      manifest.seq,
    );
  });
}

/** Proves what can be proven now. An account that differed is looked at again when what was asked for has come. */
export async function auditAccounts(engine: Engine, now: number, limit = 500): Promise<void> {
  await noteManifests(engine);
  const states = new Map((await gatewayNumbers(engine)).map((one) => [one.gateway, one]));
  const due = [
    ...(await engine.all(
      `SELECT a.* FROM account a WHERE a.verdict = 'different' AND EXISTS (SELECT 1 FROM request r
       WHERE r.cause = 'account|' || a.id AND r.done_ms > a.checked_ms) ORDER BY a.gateway, a.epoch, a.seq, a.id LIMIT ?`,
      limit,
    )),
  ];
  const manifests = await engine.all(
    `SELECT gateway, epoch, seq FROM account WHERE verdict = 'waiting' GROUP BY gateway, epoch, seq ORDER BY gateway, epoch, seq`,
  );
  for (const { gateway, epoch, seq } of manifests) {
    if (due.length >= limit) break;
    const state = states.get(gateway as string);
    if (!state || !isDue(state, epoch as number, seq as number)) continue;
    const accounts = await engine.all(
      "SELECT * FROM account WHERE verdict = 'waiting' AND gateway = ? AND epoch = ? AND seq = ? ORDER BY id",
      gateway as string,
      epoch as number,
      seq as number,
    );
    due.push(...accounts);
  }
  for (const account of due) await judgeOne(engine, account, now);
}
