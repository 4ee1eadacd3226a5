/** Which configuration is in force, for the status. */
import { iso } from '../base/time.ts';
import type { Snapshot } from '../status/snapshot.ts';
import type { InForce } from './reload.ts';

export const configurationStatus = ({
  plan,
  since,
  warnings,
  refused,
}: InForce): NonNullable<Snapshot['configuration']> => ({
  hash: plan.hash,
  since: iso(since),
  warnings,
  refused: refused ? { at: iso(refused.at), why: refused.why } : null,
});
