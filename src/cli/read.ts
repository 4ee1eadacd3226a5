/** `meter-gateway read`: talks to one meter directly, without the daemon. */
import { Failure } from '../base/errors.ts';
import type { Clock, Millis } from '../base/time.ts';
import { systemZone } from '../base/words.ts';
import { attributeName, scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { holdsSecret, isSecretAttribute } from '../dlms/cosem/secrets.ts';
import { dataJson } from '../dlms/axdr/print.ts';
import { refusalName } from '../dlms/association/client.ts';
import { type LogicalName, logicalNameOf, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { Attribute, GetResult } from '../dlms/xdlms/apdu.ts';
import { identify } from '../meter/identity-reading.ts';
import type { MeterModel } from '../meter/model.ts';
import { readLayout } from '../meter/profile-layout.ts';
import { readRange } from '../meter/profile-range.ts';
import { type ProfileSource, readEntries } from '../meter/profile-rows.ts';
import { refusalCode, type Session } from '../meter/session.ts';
import { type LoadProfileRow, rowJson, type ScalerUnit, scalerUnitOf } from '../reading/load-profile-row.ts';
import { bad, type ConnectionOptions, instant, whole, withSession } from './connection.ts';
import { clockWords, isScaledValue, objectWords, rowText } from '../recording/object-words.ts';

/** What is to be read, as the command line says it. */
export interface ReadWishes {
  readonly object?: readonly string[];
  readonly class?: string;
  readonly profile?: string;
  readonly from?: string;
  readonly to?: string;
  readonly entries?: string;
  readonly json?: boolean;
}

export type ReadOptions = ConnectionOptions & ReadWishes;

/** The class of objects that are the same everywhere; others are looked up in the meter's object list. */
function knownClass(name: LogicalName): number | undefined {
  const [a, , c, d, e] = name.split('.').map(Number);
  if (name === '0.0.1.0.0.255') return 8;
  if (a === 0 && c === 40) return 15;
  if (a === 0 && c === 22 && d === 0) return 23;
  if (a === 0 && c === 96 && d === 3 && e === 10) return 70;
  if (c === 99) return 7;
  if (a === 0 && (c === 42 || c === 43 || (c === 96 && d === 1))) return 1;
  if (a === 1 && (d === 7 || d === 8) && (c as number) > 0 && (c as number) < 96) return 3;
  return undefined;
}

async function classOf(session: Session, name: LogicalName): Promise<number> {
  const known = knownClass(name);
  if (known !== undefined) return known;
  const list = await session.value({ classId: 15, logicalName: '0.0.40.0.0.255', attribute: 2 });
  if (list.type === 'array') {
    for (const entry of list.value) {
      const [classId, , listed] = entry.type === 'structure' ? entry.value : [];
      if (classId?.type === 'long-unsigned' && listed?.type === 'octet-string' && logicalNameOf(listed.value) === name)
        return classId.value;
    }
  }
  throw new Failure('access-refused', `the meter's object list has no ${obis(name)}; name its class with --class`);
}

/** What is read, as the command line says it. */
interface Wishes {
  readonly objects: readonly { readonly name: LogicalName; readonly attribute: number }[];
  readonly classId: number | undefined;
  readonly profile: LogicalName | undefined;
  readonly rows: (source: ProfileSource) => Promise<LoadProfileRow[]>;
}

/** Everything that can be wrong on the command line is said here, before the line is touched. */
function wishesOf(options: ReadWishes): Wishes {
  const objects = (options.object ?? []).map((text) => {
    const match = /^(.+):(-?\d+)$/.exec(text);
    return {
      name: parseLogicalName(match?.[1] ?? text),
      attribute: match ? whole('attribute', match[2] as string, -128, 127) : 2,
    };
  });
  const classId = options.class === undefined ? undefined : whole('--class', options.class, 1, 65535);
  const profile = options.profile === undefined ? undefined : parseLogicalName(options.profile);
  const entries = options.entries === undefined ? undefined : /^(\d+)-(\d+)$/.exec(options.entries);
  if (entries === null) bad(`--entries takes FIRST-LAST, not '${options.entries}'`);
  if (profile !== undefined && !entries && (options.from === undefined || options.to === undefined)) {
    bad('--profile needs --from and --to, or --entries');
  }
  const from = options.from === undefined ? undefined : instant('--from', options.from);
  const to = options.to === undefined ? undefined : instant('--to', options.to);
  if (from !== undefined && to !== undefined && from > to) bad('--from is later than --to');
  const rows = (source: ProfileSource) =>
    entries
      ? readEntries(source, Number(entries[1]), Number(entries[2]))
      : readRange(source, from as Millis, to as Millis);
  return { objects, classId, profile, rows };
}

/** One reading: the meter's session, and where what is read goes. */
interface Reading {
  readonly session: Session;
  readonly model: MeterModel;
  readonly json: boolean;
  readonly print: (line: string) => void;
}

/** What `read` does in a session that stands, wherever it was opened. What is wrong with the options is thrown at once. */
export function readWork(
  options: ReadWishes,
  clock: Clock,
  print: (line: string) => void,
): (session: Session, model: MeterModel) => Promise<void> {
  const wishes = wishesOf(options);
  const { objects, profile } = wishes;
  return async (session, model) => {
    const reading: Reading = { session, model, json: options.json === true, print };
    if (objects.length === 0 && profile === undefined) await printIdentity(reading, clock);
    if (objects.length > 0) await printObjects(reading, wishes);
    if (profile !== undefined) await printRows(reading, profile, wishes.rows);
  };
}

export async function read(
  device: string,
  options: ReadOptions,
  clock: Clock,
  print: (line: string) => void,
): Promise<void> {
  const work = readWork(options, clock, print);
  await withSession(device, options, clock, (session, { model }) => work(session, model));
}

async function printIdentity({ session, model, json, print }: Reading, clock: Clock): Promise<void> {
  const identity = await identify(session, clock, model);
  if (json) {
    print(JSON.stringify(identity));
    return;
  }
  const { clockDeviationMs, unreadable } = identity;
  print(`logical device name  ${identity.logicalDeviceName ?? '(refused)'}`);
  print(`serial number        ${identity.serial ?? '(refused)'}`);
  print(
    `clock                ${clockDeviationMs === undefined ? `not read (${unreadable.find(({ object }) => object === 'clock')?.why ?? 'no instant'})` : clockWords(clockDeviationMs)}`,
  );
}

/** With the class that was given, or that they have. A secret of the meter is not asked for. */
async function attributesOf(session: Session, { objects, classId }: Wishes): Promise<Attribute[]> {
  const attributes: Attribute[] = [];
  for (const { name, attribute } of objects) {
    attributes.push({ classId: classId ?? (await classOf(session, name)), logicalName: name, attribute });
  }
  for (const { logicalName, classId: object, attribute } of attributes) {
    // Whatever class was given, an association is one by its OBIS code too.
    const classes = [object, knownClass(logicalName) ?? object];
    if (classes.some((one) => isSecretAttribute(one, attribute)))
      bad(`${obis(logicalName)}:${attribute} is a ${attributeName(object, attribute)} of the meter: it is not read`);
  }
  return attributes;
}

/** All of them, and only then the first that was refused as a Failure. */
async function printObjects({ session, model, json, print }: Reading, wishes: Wishes): Promise<void> {
  const attributes = await attributesOf(session, wishes);
  const results = await session.get(attributes);
  // For people only: JSON says what was asked for.
  const scalers = json ? new Map<LogicalName, ScalerUnit>() : await scalersOf(session, attributes);
  let refused: Failure | undefined;
  results.forEach((result, i) => {
    const asked = attributes[i] as Attribute;
    const { logicalName, attribute, classId: object } = asked;
    const key = `${obis(logicalName)}:${attribute}`;
    if ('data' in result) {
      print(
        json
          ? JSON.stringify({ object: key, class: object, value: dataJson(result.data) })
          : `${key}  ${objectWords(asked, result.data, model, scalers.get(logicalName) ?? null)}`,
      );
    } else {
      const why = refusalName(result.refused);
      if (json) print(JSON.stringify({ object: key, class: object, refused: why }));
      refused ??= new Failure(refusalCode(result.refused), `${key} refused: ${why}`);
    }
  });
  if (refused) throw refused;
}

async function printRows(
  { session, model, json, print }: Reading,
  profile: LogicalName,
  rowsOf: Wishes['rows'],
): Promise<void> {
  const layout = await readLayout(session, profile, model);
  if (holdsSecret(layout.columns)) bad(`${obis(profile)} captures a secret of the meter: its rows are not read`);
  for (const row of await rowsOf({ session, layout, model }))
    print(json ? JSON.stringify(rowJson(row)) : rowText(row, systemZone(), model));
}

/** Scaler and unit of those values that have one, as far as the meter tells them. */
async function scalersOf(session: Session, attributes: readonly Attribute[]): Promise<Map<LogicalName, ScalerUnit>> {
  const scaled = attributes.filter(isScaledValue).flatMap(({ classId, logicalName }): Attribute[] => {
    const attribute = scalerUnitAttribute(classId);
    return attribute === undefined ? [] : [{ classId, logicalName, attribute }];
  });
  const asked = [...new Map(scaled.map((one) => [one.logicalName, one])).values()];
  let results: readonly GetResult[] = [];
  try {
    if (asked.length > 0) results = await session.get(asked);
  } catch (error) {
    // The values are there, and are shown without.
    if (!(error instanceof Failure)) throw error;
  }
  return new Map(
    results.flatMap((result, i): [LogicalName, ScalerUnit][] => {
      const scalerUnit = 'data' in result ? scalerUnitOf(result.data) : undefined;
      return scalerUnit ? [[(asked[i] as Attribute).logicalName, scalerUnit]] : [];
    }),
  );
}
