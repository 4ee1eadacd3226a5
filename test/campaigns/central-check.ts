/** What a store of the central system must be after whatever happened to it, when everything is acknowledged. */
import { auditAccounts } from '../../src/central/audit.ts';
import { openStore } from '../../src/central/open-store.ts';
import { exportLines } from '../../src/central/read-store.ts';
import { centralStatus } from '../../src/central/status.ts';
import type { Fleet } from '../support/central-fleet.ts';

/** Nothing lost, nothing doubled, every account verified. */
export async function checkStore(
  store: string,
  tenant: string,
  fleet: Fleet,
): Promise<{ readonly problems: readonly string[]; readonly verified: number }> {
  const problems: string[] = [];
  const engine = await openStore(store, tenant);
  const expected = fleet.twins.flatMap(({ messages }) => messages.map((message) => JSON.stringify(message))).toSorted();
  const found: string[] = [];
  for await (const line of exportLines(engine)) found.push(line);
  found.sort();
  if (found.length !== expected.length) problems.push(`${found.length} messages stored, ${expected.length} were sent`);
  if (found.some((line, i) => line !== expected[i])) problems.push('what is stored is not what was sent');
  // A look takes in so many accounts at most: until there is nothing new.
  for (let before = -1; ; ) {
    await auditAccounts(engine, Date.now(), 100_000);
    const [known] = await engine.all('SELECT count(*) AS n FROM account');
    if (Number(known?.['n']) === before) break;
    before = Number(known?.['n']);
  }
  const { accounts, losses, quarantined, gateways } = await centralStatus(engine, Date.now());
  const owed = fleet.twins.reduce(
    (sum, { messages }) => sum + messages.filter(({ kind }) => kind === 'manifest').length,
    0,
  );
  if (accounts.verified !== owed) problems.push(`${accounts.verified} accounts verified of ${owed}`);
  if (accounts.different + accounts.waiting > 0) problems.push(`accounts: ${JSON.stringify(accounts)}`);
  if (losses.length + quarantined > 0) problems.push(`${losses.length} losses, ${quarantined} in quarantine`);
  if (gateways.some(({ conflicts, holes }) => conflicts + holes > 0))
    problems.push('numbers with two contents, or holes');
  await engine.close();
  return { problems, verified: accounts.verified };
}
