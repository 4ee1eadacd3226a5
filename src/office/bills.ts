/** Bills and what was sent on, in the store beside the facts: a standby has them, and a backup. No bill is ever written over. */
import { Failure } from '../base/errors.ts';
import type { Bill } from '../billing/bill.ts';
import type { FeedValue } from '../billing/datahub.ts';
import { feedKey } from '../billing/datahub.ts';
import type { Channel } from '../billing/registry.ts';
import type { Engine } from '../central/sql.ts';

type Reader = Pick<Engine, 'all'>;
/** Those of a contract, in their order. */
export async function readBills(engine: Reader, contract: string): Promise<Bill[]> {
  const rows = await engine.all('SELECT number, body FROM bill WHERE contract = ? ORDER BY number', contract);
  return rows.map(({ number, body }, i) => {
    if (number !== i + 1)
      throw new Failure('store-failed', `bill ${i + 1} of contract ${contract} is not there, a later one is`, {
        next: 'Restore the backup of the store that has it: the bills after it stand on it.',
      });
    return JSON.parse(body as string) as Bill;
  });
}
export async function billedContracts(engine: Reader): Promise<string[]> {
  const rows = await engine.all('SELECT DISTINCT contract FROM bill ORDER BY contract');
  return rows.map(({ contract }) => contract as string);
}
export const addBill = (engine: Engine, bill: Bill): Promise<void> =>
  engine.transaction(async (sql) => {
    const { contract, number, digest, madeAt } = bill;
    const added = await sql.all(
      'INSERT INTO bill (contract, number, digest, made_ms, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (contract, number) DO NOTHING RETURNING number',
      contract,
      number,
      digest,
      madeAt,
      JSON.stringify(bill),
    );
    if (added.length === 0)
      throw new Failure('store-failed', `bill ${bill.bill} is there already: somebody else made it meanwhile`, {
        next: 'Run meter-central bill again: it goes on behind that bill.',
      });
  });

export async function readSent(
  engine: Reader,
  point: string,
  channel: Channel,
  [from, to]: readonly [number, number],
): Promise<ReadonlyMap<string, FeedValue>> {
  const rows = await engine.all(
    'SELECT start_ms, end_ms, energy, status FROM sent WHERE point = ? AND channel = ? AND start_ms >= ? AND start_ms < ?',
    point,
    channel,
    from,
    to,
  );
  return new Map(
    rows.map(({ start_ms, end_ms, energy, status }) => {
      const value = { start: start_ms, end: end_ms, energy, status } as unknown as FeedValue;
      return [feedKey(value), value];
    }),
  );
}
export const noteSent = (
  engine: Engine,
  point: string,
  channel: Channel,
  values: readonly FeedValue[],
  at: number,
): Promise<void> =>
  engine.transaction((sql) =>
    sql.put(
      'sent',
      values.map(({ start, end, energy, status }) => ({
        point,
        channel,
        start_ms: start,
        end_ms: end,
        energy,
        status,
        sent_ms: at,
      })),
    ),
  );
