/** A batch with a message that the store refuses is taken without it: one message must not hold up the others. */
import { messageOf } from '../base/errors.ts';
import { type Received, refusalOf } from './arrival.ts';
import { ingest, type Ingested } from './ingest.ts';
import type { Engine } from './sql.ts';

/** Classes of PostgreSQL: data exception, integrity constraint, limit of the program. */
const ofContent = /^(22|23|54)/;
/** Of SQLite: too big, constraint, mismatch. */
const sqliteCodes = new Set([18, 19, 20]);
/** What was given is at fault, not the store or the way to it: the same again fails again. */
export function isOfContent(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError) return true;
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (typeof errcode === 'number') return sqliteCodes.has(errcode % 256);
  return typeof code === 'string' && code.length === 5 && ofContent.test(code);
}

function refused({ at, arrival }: Received, error: unknown): Received {
  const why = `the store does not take it: ${messageOf(error)}`;
  return {
    at,
    arrival: arrival.kind === 'unfit' ? { ...arrival, why, raw: new Uint8Array() } : refusalOf(arrival, why),
  };
}
const both = (a: Ingested, b: Ingested): Ingested => ({
  answers: new Map([...a.answers, ...b.answers]),
  stored: a.stored + b.stored,
  repeated: a.repeated + b.repeated,
  unfit: a.unfit + b.unfit,
  conflicts: a.conflicts + b.conflicts,
  lost: [...a.lost, ...b.lost],
});

/** As `ingest`; what cannot be stored is halved until the message is found, and that one is kept raw. */
export async function ingestApart(engine: Engine, batch: readonly Received[]): Promise<Ingested> {
  try {
    return await ingest(engine, batch);
  } catch (error) {
    const [only] = batch;
    if (!isOfContent(error) || only === undefined) throw error;
    if (batch.length === 1) return ingest(engine, [refused(only, error)]);
    const half = batch.length >> 1;
    const first = await ingestApart(engine, batch.slice(0, half));
    return both(first, await ingestApart(engine, batch.slice(half)));
  }
}
