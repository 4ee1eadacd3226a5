/** Facts of meters that answer where others are configured: held back, not delivered (R32). */
import type { Fact } from '../reading/facts.ts';
import type { Quarantined } from './commit.ts';
import type { Database, Operation } from './database.ts';
import { heldKey, parseHeldKey, spaceOf } from './keys.ts';
import { walk } from './outbox-log.ts';
import { decodeRecord } from './record.ts';
import { putRecord } from './records.ts';

export const putHeld = (
  facts: readonly Fact[],
  { meter, serial }: { readonly meter: string; readonly serial: string },
  sequence: number,
  storedAt: number,
): Operation[] => facts.map((fact, i) => putRecord(heldKey(meter, serial, storedAt, i), sequence, fact));

/** Oldest first. */
export async function readHeld(database: Database): Promise<Quarantined[]> {
  const held: Quarantined[] = [];
  for await (const pairs of walk(database, spaceOf('k')))
    for (const [key, value] of pairs) {
      const record = decodeRecord(key, value);
      // A damaged one was of no point, and the meter has it still.
      if (record) held.push({ key, ...parseHeldKey(key), fact: record.body as Fact });
    }
  return held;
}
