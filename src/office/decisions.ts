/** What persons decided, in the store beside the facts: values that they put, and findings that they let go. Only ever added to. */
import { randomUUID } from 'node:crypto';
import { Failure } from '../base/errors.ts';
import type { Edit, Release } from '../billing/registry.ts';
import type { Engine } from '../central/sql.ts';

type Reader = Pick<Engine, 'all'>;
/** Each part of each edit in the order in which they came. */
async function partsOf(engine: Reader, point: string): Promise<Edit[]> {
  const rows = await engine.all('SELECT body FROM edit WHERE point = ? ORDER BY made_ms, edit, part', point);
  return rows.map(({ body }) => JSON.parse(body as string) as Edit);
}
/** Of one edit the last part counts: it has the word of the second person. */
export const readEdits = async (engine: Reader, point: string): Promise<Edit[]> => [
  ...new Map((await partsOf(engine, point)).map((edit) => [edit.edit, edit])).values(),
];
export async function readEdit(engine: Reader, name: string): Promise<Edit | undefined> {
  const [last] = await engine.all('SELECT body FROM edit WHERE edit = ? ORDER BY part DESC LIMIT 1', name);
  return last && (JSON.parse(last['body'] as string) as Edit);
}
/** Two persons who edit at once get two numbers: the second one's is refused, and made again. */
export async function addEdit(engine: Engine, given: Omit<Edit, 'edit'>): Promise<Edit> {
  for (let tries = 0; ; tries++) {
    const [count] = await engine.all('SELECT count(DISTINCT edit) AS n FROM edit WHERE point = ?', given.point);
    const edit = { edit: `${given.point}-${Number(count?.['n'] ?? 0) + 1 + tries}`, ...given };
    if (await addPart(engine, edit, 1, given.at)) return edit;
    if (tries > 20) throw new Failure('store-failed', `no number is free for an edit of ${given.point}`);
  }
}
/** The second person's word. Another one before it is no harm: the last one counts. */
export async function addAgreement(engine: Engine, edit: Edit, at: number): Promise<void> {
  const [last] = await engine.all('SELECT max(part) AS n FROM edit WHERE edit = ?', edit.edit);
  if (!(await addPart(engine, edit, Number(last?.['n'] ?? 0) + 1, at)))
    throw new Failure('store-failed', `somebody else agreed to edit ${edit.edit} at the same time`);
}
const addPart = (engine: Engine, edit: Edit, part: number, at: number): Promise<boolean> =>
  engine.transaction(async (sql) => {
    const added = await sql.all(
      'INSERT INTO edit (edit, part, point, made_ms, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (edit, part) DO NOTHING RETURNING part',
      edit.edit,
      part,
      edit.point,
      at,
      JSON.stringify(edit),
    );
    return added.length === 1;
  });

export async function readReleases(engine: Reader, point: string): Promise<Release[]> {
  const rows = await engine.all('SELECT body FROM release WHERE point = ? ORDER BY made_ms, id', point);
  return rows.map(({ body }) => JSON.parse(body as string) as Release);
}
export const addRelease = (engine: Engine, release: Release): Promise<void> =>
  engine.transaction((sql) =>
    sql.insert('release', [
      { id: randomUUID(), point: release.point, made_ms: release.at, body: JSON.stringify(release) },
    ]),
  );
