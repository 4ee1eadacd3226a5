/**
 * Stores what came: facts as they were delivered, and which numbers are here, in one transaction; what to answer is known
 * when it is on disk. Gateways are locked in the order of their names, so that workers never wait for each other in a circle.
 */
import { randomUUID } from 'node:crypto';
import { type Millis } from '../base/time.ts';
import type { AckPayload, UpPayload } from '../contract/payloads.ts';
import { type Arrival, type Received, refusalOf, type Refused } from './arrival.ts';
import {
  ackOf,
  type GatewayNumbers,
  greet,
  hold,
  isForgotten,
  isHeld,
  isPlausible,
  type Lost,
  newNumbers,
} from './numbering.ts';
import { type Cell, type Engine, monthOf, type Row, type Sql } from './sql.ts';

export interface Ingested {
  /** To be published on `down/ack`: what moved, was repeated, or was born. */
  readonly answers: ReadonlyMap<string, AckPayload>;
  readonly stored: number;
  readonly repeated: number;
  readonly unfit: number;
  /** Messages whose number had another content before. */
  readonly conflicts: number;
  /** Of gateways that were just found to have acknowledged what is not here. */
  readonly lost: readonly (Lost & { readonly gateway: string })[];
}
type FactArrival = Arrival & { kind: 'fact' };

/** So many raw messages are kept of a gateway; all are counted. */
const quarantineLimit = 1000;

/** Where a message stands in time: what it is about. */
export function spanOf(message: UpPayload): readonly [from: number, to: number] {
  switch (message.kind) {
    case 'profile': {
      const from = Date.parse(message.start);
      return [from, Math.ceil(from + message.count * message.periodS * 1000)];
    }
    case 'gap':
      return [Date.parse(message.start), Date.parse(message.end)];
    case 'manifest': {
      const from = Date.parse(`${message.day}T00:00:00Z`);
      return [from, from + 86_400_000];
    }
    case 'event':
    case 'reading':
      return [Date.parse(message.readAt), Date.parse(message.readAt)];
    case 'result':
      return [Date.parse(message.at), Date.parse(message.at)];
    case 'void':
      return [0, 0];
  }
}
function rowOf({ message, text }: FactArrival, at: Millis): Row {
  const [start, end] = spanOf(message);
  return {
    gateway: message.gateway,
    epoch: message.epoch,
    seq: message.seq,
    month: monthOf(start),
    kind: message.kind,
    meter: 'meter' in message ? message.meter : '_',
    point: 'point' in message ? message.point : '',
    series: 'series' in message && typeof message.series === 'string' ? message.series : '',
    start_ms: start,
    end_ms: end,
    received_ms: at,
    body: text,
  };
}

const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ');
/**
 * Gateways that are new begin, before any is locked: two workers that make what the other one holds would wait for each other
 * (found by scripts/central-orders).
 */
async function beginGateways(engine: Engine, unknown: readonly string[]): Promise<void> {
  await engine.transaction(async (sql) => {
    for (const name of unknown)
      await sql.all(
        'INSERT INTO gateway (gateway, numbers) VALUES (?, ?) ON CONFLICT (gateway) DO NOTHING',
        name,
        JSON.stringify(newNumbers(name)),
      );
  });
}
/** The gateways of a batch, locked until its end. */
async function lockGateways(engine: Engine, sql: Sql, sorted: readonly string[]): Promise<Map<string, GatewayNumbers>> {
  if (sorted.length === 0) return new Map();
  const rows = await sql.all(
    `SELECT gateway, numbers FROM gateway WHERE gateway IN (${marks(sorted.length)}) ORDER BY gateway${engine.forUpdate}`,
    ...sorted,
  );
  return new Map(
    rows.map(({ gateway, numbers }) => [gateway as string, JSON.parse(numbers as string) as GatewayNumbers]),
  );
}

/** Facts of a batch: new ones, and those whose number was here before. */
interface Sorted {
  readonly fresh: { arrival: FactArrival; at: Millis }[];
  readonly again: { arrival: FactArrival; at: Millis }[];
}
const numberKey = ({ gateway, epoch, seq }: { gateway: string; epoch: number; seq: number }): string =>
  `${gateway}|${epoch}|${seq}`;

function sortFacts(batch: readonly Received[], known: ReadonlyMap<string, GatewayNumbers>): Sorted {
  const sorted: Sorted = { fresh: [], again: [] };
  const inBatch = new Set<string>();
  for (const { arrival, at } of batch) {
    if (arrival.kind !== 'fact') continue;
    const { message, gateway } = arrival;
    const key = numberKey(message);
    const numbers = known.get(gateway) as GatewayNumbers;
    const before =
      inBatch.has(key) || isHeld(numbers, message.epoch, message.seq) || isForgotten(numbers, message.epoch);
    inBatch.add(key);
    (before ? sorted.again : sorted.fresh).push({ arrival, at });
  }
  return sorted;
}

/**
 * Numbers of messages that were here before: the same content is harmless, none means that it had been given up, or that
 * nobody remembers its epoch.
 */
async function judgeRepeated(
  sql: Sql,
  { fresh, again }: Sorted,
): Promise<{
  readonly late: Sorted['fresh'];
  readonly repeated: Sorted['again'];
  readonly conflicts: Sorted['again'];
}> {
  if (again.length === 0) return { late: [], repeated: [], conflicts: [] };
  const bodies = new Map(fresh.map(({ arrival }) => [numberKey(arrival.message), arrival.text]));
  const byEpoch = Map.groupBy(again, ({ arrival }) => `${arrival.gateway}|${arrival.message.epoch}`);
  for (const [, some] of byEpoch) {
    const { gateway, message } = (some[0] as (typeof some)[0]).arrival;
    const seqs = [...new Set(some.map(({ arrival }) => arrival.message.seq))];
    const rows = await sql.all(
      `SELECT seq, body FROM fact WHERE gateway = ? AND epoch = ? AND seq IN (${marks(seqs.length)})`,
      gateway,
      message.epoch,
      ...seqs,
    );
    for (const { seq, body } of rows)
      bodies.set(numberKey({ gateway, epoch: message.epoch, seq: seq as number }), body as string);
  }
  const late: Sorted['fresh'] = [];
  const repeated: Sorted['again'] = [];
  for (const one of again) {
    const key = numberKey(one.arrival.message);
    const body = bodies.get(key);
    (body === undefined ? late : repeated).push(one);
    if (body === undefined) bodies.set(key, one.arrival.text);
  }
  const conflicts = repeated.filter(({ arrival }) => bodies.get(numberKey(arrival.message)) !== arrival.text);
  return { late, repeated, conflicts };
}

const quarantined = (
  { gateway = '', topic, why, number, raw }: Omit<Refused, 'kind'>,
  at: Millis,
): Record<string, Cell> => ({
  id: randomUUID(),
  gateway,
  topic: topic.slice(0, 1000),
  why,
  epoch: number?.epoch ?? null,
  seq: number?.seq ?? null,
  received_ms: at,
  raw,
});

/** Raw messages, so many of a gateway; those of topics that are none of the contract count as one more gateway. */
async function keepRaw(sql: Sql, rows: readonly Record<string, Cell>[]): Promise<void> {
  for (const [gateway, some] of Map.groupBy(rows, (row) => row['gateway'] as string)) {
    const [counted] = await sql.all('SELECT count(*) AS n FROM quarantine WHERE gateway = ?', gateway);
    const room = quarantineLimit - Number(counted?.['n'] ?? 0);
    if (room > 0) await sql.insert('quarantine', some.slice(0, room));
  }
}

/** What a gateway has that was acknowledged to it, as it says in its births and now and then in between. */
function acknowledgedIn(arrival: Arrival): { readonly epoch: number; readonly acknowledged: number } | undefined {
  if (arrival.kind === 'birth') return arrival.birth;
  if (arrival.kind !== 'health' || arrival.health.acknowledged === undefined) return undefined;
  return { epoch: arrival.health.epoch, acknowledged: arrival.health.acknowledged };
}
/** Births answer what is held; what was acknowledged and is not here is lost. After the facts that came with them. */
async function greetAll(
  sql: Sql,
  batch: readonly Received[],
  states: Map<string, GatewayNumbers>,
): Promise<Ingested['lost'][number][]> {
  const all: Ingested['lost'][number][] = [];
  for (const { arrival, at } of batch) {
    const facts = acknowledgedIn(arrival);
    const { gateway } = arrival;
    if (!facts || gateway === undefined) continue;
    const { numbers, lost } = greet(states.get(gateway) as GatewayNumbers, facts, at);
    states.set(gateway, numbers);
    if (!lost) continue;
    all.push({ gateway, ...lost });
    await recordLoss(sql, gateway, lost, at);
  }
  return all;
}
export async function recordLoss(sql: Sql, gateway: string, { epoch, ranges }: Lost, at: number): Promise<void> {
  await sql.insert('loss', [
    { id: randomUUID(), gateway, epoch, ranges: JSON.stringify(ranges), found_ms: at, asked: 0, whole_ms: null },
  ]);
}

function countUnfit(batch: readonly Received[], states: Map<string, GatewayNumbers>): Record<string, Cell>[] {
  const rows: Record<string, Cell>[] = [];
  for (const { arrival, at } of batch) {
    if (arrival.kind !== 'unfit') continue;
    const state = arrival.gateway === undefined ? undefined : states.get(arrival.gateway);
    const number = arrival.number && state && isPlausible(state, arrival.number) ? arrival.number : undefined;
    const repeated = number && state && isHeld(state, number.epoch, number.seq);
    if (!repeated) rows.push(quarantined({ ...arrival, number }, at));
    if (!state) continue;
    const counted = { ...state, unfit: state.unfit + 1 };
    states.set(state.gateway, number ? hold(counted, number.epoch, [number.seq], at) : counted);
  }
  return rows;
}

/** Which numbers are here now, and what is counted of the facts of a batch. */
function holdFacts(
  batch: readonly Received[],
  states: Map<string, GatewayNumbers>,
  { again, conflicts }: Pick<Sorted, 'again'> & { readonly conflicts: Sorted['again'] },
): void {
  for (const [gateway, some] of Map.groupBy(
    batch.filter(({ arrival }) => arrival.kind === 'fact'),
    ({ arrival }) => arrival.gateway as string,
  )) {
    let state = states.get(gateway) as GatewayNumbers;
    const at = Math.max(...some.map((one) => one.at));
    const messages = some.map(({ arrival }) => (arrival as FactArrival).message);
    for (const [epoch, own] of Map.groupBy(messages, (message) => message.epoch))
      state = hold(
        state,
        epoch,
        own.map(({ seq }) => seq),
        at,
      );
    const count = (all: Sorted['again']) => all.filter(({ arrival }) => arrival.gateway === gateway).length;
    states.set(gateway, {
      ...state,
      heardAt: Math.max(at, state.heardAt ?? 0),
      repeated: state.repeated + count(again),
      conflicts: state.conflicts + count(conflicts),
    });
  }
}

const isAnswered = ({ kind }: Arrival): boolean => kind !== 'health' && kind !== 'state';
const isJudged = (arrival: Arrival): boolean => isAnswered(arrival) || acknowledgedIn(arrival) !== undefined;

/** Everything that came, in one transaction. It may be given again as a whole where it failed. */
export async function ingest(engine: Engine, batch: readonly Received[]): Promise<Ingested> {
  const named = new Set(
    batch.flatMap(({ arrival }) => (arrival.gateway !== undefined && isJudged(arrival) ? [arrival.gateway] : [])),
  );
  // Whoever only says how it stands is answered where that changed something.
  const asked = new Set(batch.flatMap(({ arrival }) => (isAnswered(arrival) ? [arrival.gateway] : [])));
  const names = [...named].toSorted();
  const months = new Set(
    batch.flatMap(({ arrival }) => (arrival.kind === 'fact' ? [monthOf(spanOf(arrival.message)[0])] : [])),
  );
  const work = async (sql: Sql): Promise<Ingested | { readonly unknown: readonly string[] }> => {
    const before = await lockGateways(engine, sql, names);
    if (before.size < names.length) return { unknown: names.filter((name) => !before.has(name)) };
    const states = new Map(before);
    const sorted = sortFacts(batch, states);
    const { late, repeated, conflicts } = await judgeRepeated(sql, sorted);
    const rows = [...sorted.fresh, ...late].map(({ arrival, at }) => rowOf(arrival, at));
    await sql.insert('fact', rows);
    holdFacts(batch, states, { again: repeated, conflicts });
    const raw = countUnfit(batch, states);
    for (const { arrival, at } of conflicts)
      raw.push(
        quarantined(refusalOf(arrival, 'seq: this number had another content before (the first one counts)'), at),
      );
    if (raw.length > 0) await keepRaw(sql, raw);
    const lost = await greetAll(sql, batch, states);
    const moved = [...states].filter(([gateway, state]) => state !== before.get(gateway));
    if (moved.length > 0)
      await sql.put(
        'gateway',
        moved.map(([gateway, state]) => ({ gateway, numbers: JSON.stringify(state) })),
      );
    return {
      answers: new Map(
        [...states].flatMap(([gateway, state]) => {
          const ack = asked.has(gateway) || state !== before.get(gateway) ? ackOf(state) : undefined;
          return ack ? [[gateway, ack] as const] : [];
        }),
      ),
      stored: rows.length,
      repeated: repeated.length,
      unfit: raw.length - conflicts.length,
      conflicts: conflicts.length,
      lost,
    };
  };
  if (names.length === 0 && !batch.some(({ arrival }) => arrival.kind === 'unfit'))
    return { answers: new Map(), stored: 0, repeated: 0, unfit: 0, conflicts: 0, lost: [] };
  for (;;) {
    const outcome = await engine.transaction(work, months);
    if (!('unknown' in outcome)) return outcome;
    await beginGateways(engine, outcome.unknown);
  }
}
