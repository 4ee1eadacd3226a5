/**
 * What is remembered of signed orders, `c/<id>`: an order is written down before anything is done for it, so that none is
 * done twice, whatever happens in between. An entry stays beyond the end of its order; what comes later has expired.
 */
import type { ResultFact } from '../reading/facts.ts';
import type { Operation } from './database.ts';
import { orderKey } from './keys.ts';
import { type OrderFloor, putRecord } from './records.ts';

export interface OrderEntry {
  readonly id: string;
  /** Of what was signed: another order under this id is none. */
  readonly digest: string;
  readonly issued: number;
  readonly expires: number;
  readonly receivedAt: number;
  /** `accepted`: nothing was done yet. `begun`: something may have been done. */
  readonly state: 'accepted' | 'begun' | 'done';
  /** As it was signed, until it is done. */
  readonly order?: unknown;
  /** What it was answered, and is answered again. */
  readonly result?: ResultFact;
}
/** What changes in the ledger with one commit. */
export interface LedgerChange {
  readonly entry?: OrderEntry;
  /** Ids that are forgotten. */
  readonly forget?: readonly string[];
  readonly floor?: OrderFloor;
}

export interface OrderLedger {
  /** By their id. */
  readonly entries: ReadonlyMap<string, OrderEntry>;
  /** undefined where it is not known what was done before: no order is taken then. */
  readonly floor: number | undefined;
}
export const ledgerOf = (memory: {
  readonly orders: ReadonlyMap<string, OrderEntry>;
  readonly state: { readonly epoch: number; readonly orderFloor?: OrderFloor };
}): OrderLedger => {
  const { epoch, orderFloor } = memory.state;
  return { entries: memory.orders, floor: orderFloor?.epoch === epoch ? orderFloor.at : undefined };
};

/** The operations of a change, and how many entries there are after it; `sequence`: of the commit. */
export function ledgerOperations(
  known: ReadonlyMap<string, OrderEntry>,
  { entry, forget = [] }: LedgerChange,
  sequence: number,
): { readonly operations: Operation[]; readonly size: number } {
  const gone = forget.filter((id) => known.has(id) && id !== entry?.id);
  const operations: Operation[] = gone.map((id) => ({ type: 'del', key: orderKey(id) }));
  if (entry) operations.push(putRecord(orderKey(entry.id), sequence, entry));
  return { operations, size: known.size - gone.length + (entry && !known.has(entry.id) ? 1 : 0) };
}
/** After it was stored. */
export function rememberChange(known: Map<string, OrderEntry>, { entry, forget = [] }: LedgerChange): void {
  for (const id of forget) known.delete(id);
  if (entry) known.set(entry.id, entry);
}
