/** `meter-gateway browse`: a meter's objects with access rights and values, and a snapshot file of them. */
import { writeFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { cut } from '../base/log.ts';
import { type Clock, iso } from '../base/time.ts';
import { refusalName } from '../dlms/association/client.ts';
import { scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { isSecretAttribute } from '../dlms/cosem/secrets.ts';
import { type Seen, snapshotObject, type Snapshot, type SnapshotObject } from '../dlms/cosem/snapshot.ts';
import { readObject, readObjectList, readShortNameList } from '../meter/browse.ts';
import { bad, type ConnectionOptions, whole, withSession } from './connection.ts';
import type { ListedObject } from '../dlms/cosem/object-list.ts';
import type { Session } from '../meter/session.ts';
import type { MeterModel } from '../meter/model.ts';
import { scalerUnitOf } from '../reading/load-profile-row.ts';
import { objectWords } from '../recording/object-words.ts';
import { note, progress } from './terminal.ts';

export interface BrowseWishes {
  readonly only?: readonly string[];
  readonly rows: string;
  readonly json?: boolean;
}
export type BrowseOptions = ConnectionOptions & BrowseWishes & { readonly save?: string };

/** Characters of one value that are printed. */
const maxValueText = 200;
const modes = ['-', 'r', 'w', 'rw', 'r (authenticated)', 'w (authenticated)', 'rw (authenticated)'];

/** What a person is shown of one attribute, by what the object tells of its scaler and unit. */
function shownValue(object: ListedObject, seen: ReadonlyMap<number, Seen>, id: number, model: MeterModel): string {
  const { classId, logicalName } = object;
  const value = seen.get(id);
  if (!value) return isSecretAttribute(classId, id) ? '(secret: not read)' : '';
  if ('refused' in value) return `refused: ${refusalName(value.refused)}`;
  const scaler = seen.get(scalerUnitAttribute(classId) ?? 0);
  const scalerUnit = scaler && 'data' in scaler ? scalerUnitOf(scaler.data) : undefined;
  return cut(objectWords({ classId, logicalName, attribute: id }, value.data, model, scalerUnit ?? null), maxValueText);
}

function lines(object: SnapshotObject, shown: (id: number) => string): string[] {
  const methods = object.methods.filter(({ access }) => access > 0).map(({ id }) => id);
  return [
    `${object.name.padEnd(20)} ${object.className} (${object.class}) version ${object.version}`,
    ...object.attributes.map(({ id, attribute, access }) =>
      `  ${String(id).padStart(3)} ${attribute.padEnd(32)} ${(modes[access] ?? `unknown access ${access}`).padEnd(3)} ${shown(id)}`.trimEnd(),
    ),
    ...(methods.length > 0 ? [`      methods ${methods.join(', ')}`] : []),
  ];
}

/** Where what is found goes. */
export interface BrowseOutput {
  readonly print: (line: string) => void;
  readonly note: (line: string) => void;
  readonly progress: (text: string) => void;
  readonly found: (object: SnapshotObject) => void;
}
/** Sessions with the meter: work that takes longer than `shareMs` goes on in the next one. */
export interface BrowseSessions {
  readonly inSession: <T>(work: (session: Session, model: MeterModel) => Promise<T>) => Promise<T>;
  readonly shareMs: number;
  readonly clock: Clock;
}

/** What `browse` does, wherever the sessions come from. What is wrong with the options is thrown at once. */
export function browseWork(
  options: BrowseWishes,
  { print, note, progress, found }: BrowseOutput,
): (sessions: BrowseSessions) => Promise<void> {
  const rows = whole('--rows', options.rows, 0, 100_000);
  const only = new Set((options.only ?? []).map(parseLogicalName));
  return async ({ inSession, shareMs, clock }) => {
    const { objects, problems } = await inSession((session, model) =>
      model.referencing === 'short-name'
        ? readShortNameList(session)
        : readObjectList(session, parseLogicalName(model.association_object)),
    );
    const chosen = only.size === 0 ? objects : objects.filter(({ logicalName }) => only.has(logicalName));
    for (const name of only)
      if (!chosen.some(({ logicalName }) => logicalName === name)) bad(`the object list has no ${obis(name)}`);
    for (const problem of problems) note(`object list: ${problem}`);
    let next = 0;
    while (next < chosen.length)
      await inSession(async (session, model) => {
        const until = clock.now() + shareMs;
        do {
          const object = chosen[next] as ListedObject;
          const seen = await readObject(session, object, rows);
          next++;
          const one = snapshotObject(object, seen);
          found(one);
          if (options.json) print(JSON.stringify(one));
          else for (const line of lines(one, (id) => shownValue(object, seen, id, model))) print(line);
          progress(`${next} of ${chosen.length} objects `);
        } while (next < chosen.length && clock.now() < until);
      });
  };
}

/** The objects that were found, in a file that the simulator serves. */
export function saveSnapshot(file: string, objects: readonly SnapshotObject[], taken: string): void {
  const snapshot: Snapshot = { snapshot: 1, taken, objects: [...objects] };
  try {
    writeFileSync(file, `${JSON.stringify(snapshot, undefined, 1)}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new Failure('file-unusable', `--save ${file}: ${messageOf(error)}`);
  }
  note(`${objects.length} objects saved in ${file}`);
}

export async function browse(
  device: string,
  options: BrowseOptions,
  clock: Clock,
  print: (line: string) => void,
): Promise<void> {
  const read: SnapshotObject[] = [];
  const work = browseWork(options, { print, note, progress, found: (one) => void read.push(one) });
  await withSession(device, options, clock, (session, { model }) =>
    work({ inSession: (inOne) => inOne(session, model), shareMs: Number.POSITIVE_INFINITY, clock }),
  );
  if (options.save !== undefined) saveSnapshot(options.save, read, iso(clock.wall()));
}
