/** What the rows of a profile mean: its capture objects, their scalers, its period and its order (class 7, class 3 and 4). */
import { Failure, messageOf } from '../base/errors.ts';
import { refusalName } from '../dlms/association/client.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { type LogicalName, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectsOf, isClockColumn } from '../dlms/cosem/profile-generic.ts';
import type { GetResult } from '../dlms/xdlms/apdu.ts';
import { isScaled } from '../reading/column.ts';
import { hashOf } from '../reading/ledger.ts';
import { capturePeriodMsOf, type ScalerUnit, scalerUnitOf } from '../reading/load-profile-row.ts';
import type { RowLayout } from '../reading/profile-reader.ts';
import { askedAgain } from './asked-again.ts';
import { attribute, dataOf } from './attribute.ts';
import { genericModel, type MeterModel } from './model.ts';
import { refusalCode, type Session } from './session.ts';

export interface ProfileLayout extends RowLayout {
  readonly profile: LogicalName;
  /** Rows that the buffer holds at most; undefined where the meter does not tell. */
  readonly entries: number | undefined;
  /** What rows mean: capture objects, scalers and period. Another one is another segment of the series (R13). */
  readonly fingerprint: string;
  /** What it may be called in a store although it is the same: scalers that were not known then. */
  readonly formerFingerprints: readonly string[];
  /** Why the capture period is not known, where the meter does not tell it. */
  readonly periodUnknown?: Failure;
  /** Objects whose scaler and unit the meter does not tell, with the reason. */
  readonly unscaled: ReadonlyMap<LogicalName, string>;
}

/** sort_method (Blue Book 4.3.6, attribute 5): 2 = LIFO. */
export const sortMethodLifo = 2;
/** A number of entries as it can be asked for; undefined where it is 0, negative or larger than any selection can say. */
export const entriesOf = (data: Data | undefined): number | undefined => {
  const count = data && integerOf(data);
  return count !== undefined && count > 0n && count <= 0xffff_ffffn ? Number(count) : undefined;
};

export async function readLayout(
  session: Session,
  profile: LogicalName,
  model: MeterModel = genericModel,
): Promise<ProfileLayout> {
  const asked = [3, 4, 5, 8].map((id) => attribute(7, profile, id));
  const [first, second, ...others] = await session.get(asked);
  // Without these two nothing is read of the series: a refusal is heard twice before it is believed.
  const [objects, period] = await askedAgain(session, asked.slice(0, 2), [first, second], true);
  const [sort, depth] = await askedAgain(session, asked.slice(2), others);
  const captured = dataOf(objects);
  if (!captured) throw refusedLayout(`capture objects of ${obis(profile)}`, objects);
  let columns: CaptureObject[];
  try {
    columns = captureObjectsOf(captured);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('malformed-octets', messageOf(error));
  }
  const { scalers, plain, unscaled } = await readScalers(session, columns);
  const periodData = dataOf(period);
  const periodUnknown =
    periodData && integerOf(periodData) !== undefined
      ? undefined
      : refusedLayout(`capture period of ${obis(profile)}`, period);
  const sortData = dataOf(sort);
  const descending = sortData?.type === 'enum' && sortData.value === sortMethodLifo;
  const depthData = dataOf(depth);
  const entries = entriesOf(depthData);
  const capturePeriodMs = periodData ? capturePeriodMsOf(periodData) : 0;
  const hashed = (known: Iterable<unknown>) => hashOf(columns, [...known], capturePeriodMs).toString(16);
  return {
    profile,
    columns,
    capturePeriodMs,
    ...(periodUnknown !== undefined && { periodUnknown }),
    scalers,
    unscaled,
    descending,
    entries: entries || undefined,
    fingerprint: hashed(scalers),
    formerFingerprints: scalers.size === 0 ? [] : [hashed(plain), hashed([])],
    ...statusOf(model),
  };
}

const refusedLayout = (what: string, result: GetResult | undefined): Failure =>
  result && 'refused' in result
    ? new Failure(refusalCode(result.refused), `${what}: refused: ${refusalName(result.refused)}`)
    : new Failure('unexpected-apdu', `${what}: another type than it should be`);

/** What is read or written by a period must know it: one that is refused is no period of 0. */
export function requirePeriod({ periodUnknown }: ProfileLayout): void {
  if (periodUnknown !== undefined) throw periodUnknown;
}

/** Where the status of the rows stands by the model. Of a word of the maker's nothing is known that the model does not say. */
export function statusOf({ status_column: column, status_bits: bits }: MeterModel): Partial<RowLayout> {
  return {
    ...(column && { statusColumn: { logicalName: parseLogicalName(column.object), attribute: column.attribute } }),
    ...((column || bits) && { statusMeaning: bits ?? {} }),
  };
}

/** `plain`: those in the types of the Blue Book. Versions before knew only them, and their layouts are no others for that. */
async function readScalers(session: Session, columns: readonly CaptureObject[]) {
  const registers = columns.filter(
    (column) => !isClockColumn(column) && scalerUnitAttribute(column.classId) !== undefined,
  );
  const unique = [...new Map(registers.map((column) => [column.logicalName, column])).values()];
  const scalers = new Map<LogicalName, ScalerUnit>();
  const plain = new Map<LogicalName, ScalerUnit>();
  const asked = unique.map(({ classId, logicalName }) =>
    attribute(classId, logicalName, scalerUnitAttribute(classId) as number),
  );
  const results = asked.length > 0 ? await askedAgain(session, asked, await session.get(asked)) : [];
  unique.forEach(({ logicalName }, i) => {
    const data = dataOf(results[i]);
    const scalerUnit = data && scalerUnitOf(data);
    if (!scalerUnit) return;
    scalers.set(logicalName, scalerUnit);
    const [scaler, unit] = data.type === 'structure' ? data.value : [];
    if (scaler?.type === 'integer' && unit?.type === 'enum') plain.set(logicalName, scalerUnit);
  });
  // The scaler of an object says nothing of its status or of a time.
  const scaled = new Set(columns.filter(isScaled).map(({ logicalName }) => logicalName));
  const unscaled = new Map(
    unique.flatMap(({ logicalName }, i): [LogicalName, string][] => {
      if (scalers.has(logicalName) || !scaled.has(logicalName)) return [];
      const result = results[i];
      const why =
        result && 'data' in result
          ? `is no scaler and unit: ${dataText(result.data).slice(0, 60)}`
          : `refused: ${refusalName(result?.refused ?? otherReason)}`;
      return [[logicalName, why]];
    }),
  );
  return { scalers, plain, unscaled };
}
const otherReason = 250;
