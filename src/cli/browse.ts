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
import type { MeterModel } from '../meter/model.ts';
import { scalerUnitOf } from '../reading/load-profile-row.ts';
import { objectWords } from './object-words.ts';
import { note, progress } from './terminal.ts';

export interface BrowseOptions extends ConnectionOptions {
  readonly only?: readonly string[];
  readonly rows: string;
  readonly save?: string;
  readonly json?: boolean;
}

/** Of one value. */
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

export async function browse(
  device: string,
  options: BrowseOptions,
  clock: Clock,
  print: (line: string) => void,
): Promise<void> {
  const rows = whole('--rows', options.rows, 0, 100_000);
  const only = new Set((options.only ?? []).map(parseLogicalName));
  await withSession(device, options, clock, async (session, access) => {
    const { model } = access;
    const { objects, problems } =
      model.referencing === 'short-name'
        ? await readShortNameList(session)
        : await readObjectList(session, parseLogicalName(model.association_object));
    const chosen = only.size === 0 ? objects : objects.filter(({ logicalName }) => only.has(logicalName));
    for (const name of only)
      if (!chosen.some(({ logicalName }) => logicalName === name)) bad(`the object list has no ${obis(name)}`);
    for (const problem of problems) note(`object list: ${problem}`);
    const read: SnapshotObject[] = [];
    for (const object of chosen) {
      const seen = await readObject(session, object, rows);
      const one = snapshotObject(object, seen);
      read.push(one);
      if (options.json) print(JSON.stringify(one));
      else for (const line of lines(one, (id) => shownValue(object, seen, id, model))) print(line);
      progress(`${read.length} of ${chosen.length} objects `);
    }
    if (options.save === undefined) return;
    const snapshot: Snapshot = { snapshot: 1, taken: iso(clock.wall()), objects: read };
    try {
      writeFileSync(options.save, `${JSON.stringify(snapshot, undefined, 1)}\n`, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      throw new Failure('file-unusable', `--save ${options.save}: ${messageOf(error)}`);
    }
    note(`${read.length} objects saved in ${options.save}`);
  });
}
