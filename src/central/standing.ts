/** What gateways say of themselves: birth, health and will. Nothing hangs on it but what is shown. */
import type { Arrival, Received } from './arrival.ts';
import type { Cell, Engine } from './sql.ts';

type Column = 'birth' | 'birth_ms' | 'health' | 'health_ms' | 'online' | 'online_ms';
function columnsOf(arrival: Arrival, at: number): Partial<Record<Column, Cell>> | undefined {
  if (arrival.kind === 'birth') return { birth: arrival.text, birth_ms: at };
  if (arrival.kind === 'health') return { health: arrival.text, health_ms: at };
  if (arrival.kind === 'state') return { online: Number(arrival.state.online), online_ms: at };
  return undefined;
}
/** The newest of each kind of each gateway. */
export async function noteStanding(engine: Engine, batch: readonly Received[]): Promise<void> {
  const newest = new Map<string, Partial<Record<Column, Cell>>>();
  for (const { arrival, at } of batch) {
    const columns = columnsOf(arrival, at);
    if (columns && arrival.gateway !== undefined)
      newest.set(arrival.gateway, { ...newest.get(arrival.gateway), ...columns });
  }
  if (newest.size === 0) return;
  const sorted = [...newest].toSorted(([a], [b]) => (a < b ? -1 : 1));
  await engine.transaction(async (sql) => {
    for (const [gateway, columns] of sorted) {
      const names = Object.keys(columns);
      await sql.all(
        `INSERT INTO standing (gateway, ${names.join(', ')}) VALUES (?${', ?'.repeat(names.length)})
         ON CONFLICT (gateway) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`,
        gateway,
        ...Object.values(columns),
      );
    }
  });
}
