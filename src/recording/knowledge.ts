/**
 * What a recording tells of one meter: columns, scalers and periods of its profiles, its short names. Buffers wait for
 * them, for they may be asked for later.
 */
import { newBudget } from '../base/cursor.ts';
import { messageOf } from '../base/errors.ts';
import { decode, encode } from '../base/codec.ts';
import { type Data, dataCodec, integerOf } from '../dlms/axdr/data.ts';
import { classTable, scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { stampOf } from '../dlms/cosem/date-time.ts';
import { type LogicalName, logicalNameOf, obis } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectsOf, clockColumn } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret } from '../dlms/cosem/secrets.ts';
import { associationBaseName, associationShortNameObject, memberOf } from '../dlms/cosem/short-name.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import type { MeterModel } from '../meter/model.ts';
import { statusOf } from '../meter/profile-layout.ts';
import { rowReading } from '../meter/stamp-reading.ts';
import { capturePeriodMsOf, type LoadProfileRow, type ScalerUnit, scalerUnitOf } from '../reading/load-profile-row.ts';
import { ProfileReader } from '../reading/profile-reader.ts';
import type { Reading } from './explained.ts';

interface Buffer {
  readonly name: LogicalName | undefined;
  /** One A-XDR value: an array of rows. */
  readonly octets: Uint8Array;
  readonly line: number;
}
/** Buffers wait for what is read after them up to here, octets. */
const maxWaiting = 1 << 20;
/** Far more than any value of a meter has; a buffer of rows is not built up as a tree. */
const valueElements = 200_000;

/** Only where all of its stamps can be those of rows: the clock, a status octet, the rest by position. */
function guessColumns(rows: Data): CaptureObject[] | undefined {
  if (rows.type !== 'array') return undefined;
  const [row] = rows.value;
  if (row?.type !== 'structure') return undefined;
  const [first] = row.value;
  if (first?.type !== 'octet-string' || first.value.length !== 12) return undefined;
  const stamp = stampOf(first.value);
  if (stamp.instant === undefined && (first.value[2] === 0xff || (first.value[2] ?? 0) > 12)) return undefined;
  return row.value.map((cell, i): CaptureObject => {
    if (i === 0) return clockColumn;
    if (i === 1 && cell.type === 'unsigned')
      return { classId: 1, logicalName: '0.0.96.10.1.255', attribute: 2, dataIndex: 0 };
    return { classId: 3, logicalName: `255.255.255.255.255.${i}`, attribute: 2, dataIndex: 0 };
  });
}

/** The value, or undefined where it is too large to be built up. */
export function valueOf(octets: Uint8Array): Data | undefined {
  const budget = { ...newBudget(), elements: valueElements };
  try {
    return decode(dataCodec, octets, () => {}, budget);
  } catch (error) {
    if (budget.elements < 0) return undefined;
    throw error;
  }
}

function rowsOf(
  { name, octets }: Buffer,
  known: Pick<Knowledge, 'columns' | 'scalers'>,
  periodMs: number,
  model: MeterModel,
): LoadProfileRow[] {
  let columns = name === undefined ? undefined : known.columns.get(name);
  if (!columns) {
    const value = valueOf(octets);
    if (value?.type === 'array' && value.value.length === 0) return [];
    columns = value && guessColumns(value);
  }
  if (!columns) throw new Error('its capture objects are not in the recording');
  if (holdsSecret(columns)) throw new Error('a column holds a secret; its rows are withheld');
  const reader = new ProfileReader(
    { columns: [...columns], capturePeriodMs: periodMs, scalers: known.scalers, ...statusOf(model) },
    rowReading(model),
  );
  const rows = reader.push(octets);
  reader.end();
  return rows;
}

/** Of a class that the table does not have. */
const unknownAttributes: readonly string[] = Array.from({ length: 15 }, () => '');
interface ShortObject {
  readonly classId: number;
  readonly name: LogicalName;
}

export type ShortName = Attribute | { readonly classId: number; readonly method: number; readonly object: string };

export class Knowledge {
  readonly scalers = new Map<LogicalName, ScalerUnit>();
  readonly columns = new Map<LogicalName, readonly CaptureObject[]>();
  private readonly periods = new Map<LogicalName, number>();
  private readonly bases = new Map<number, ShortObject>([
    [associationBaseName, { classId: 12, name: associationShortNameObject }],
  ]);
  private waiting: Buffer[] = [];
  private waitingOctets = 0;
  private readonly meter: string;
  private readonly model: MeterModel;
  private readonly out: () => Reading;

  /** `out`: where rows and problems go. */
  constructor(meter: string, model: MeterModel, out: () => Reading) {
    this.meter = meter;
    this.model = model;
    this.out = out;
  }

  /** A value of an attribute, as octets; `of` is undefined where the question is not in the recording. */
  learn(of: Attribute | undefined, octets: Uint8Array, line: number): void {
    try {
      if (of?.classId === 7 && of.attribute === 2) this.wait({ name: of.logicalName, octets, line });
      else if (of) this.learnValue(of, octets);
      else if (octets[0] === 1) {
        const data = valueOf(octets);
        if (data && guessColumns(data)) this.wait({ name: undefined, octets, line });
      }
    } catch (error) {
      this.problem(line, messageOf(error));
    }
  }

  /** What a short name stands for. */
  attributeOf(shortName: number): ShortName | undefined {
    let base = -1;
    for (const one of this.bases.keys()) if (one <= shortName && one > base) base = one;
    const object = this.bases.get(base);
    if (!object) return undefined;
    const { classId, name } = object;
    const attributes = (classTable[classId]?.attributes ?? unknownAttributes).map((_, i) => i + 2);
    const member = memberOf(shortName - base, classId, attributes);
    if (!member) return undefined;
    return 'attribute' in member
      ? { classId, logicalName: name, attribute: member.attribute, selection: undefined }
      : { classId, method: member.method, object: obis(name) };
  }

  /** Rows of the buffers that wait. */
  flush(): void {
    const buffers = this.waiting;
    this.waiting = [];
    this.waitingOctets = 0;
    const { meter } = this;
    for (const buffer of buffers) {
      const { name, line } = buffer;
      const periodMs = (name === undefined ? undefined : this.periods.get(name)) ?? 0;
      try {
        for (const row of rowsOf(buffer, this, periodMs, this.model))
          this.out().rows.push({ meter, profile: name, row });
      } catch (error) {
        this.problem(line, `profile ${name === undefined ? '(not named)' : obis(name)}: ${messageOf(error)}`);
      }
    }
  }

  private problem(line: number, message: string): void {
    this.out().problems.push(`line ${line}, ${message.startsWith('offset ') ? '' : 'offset 0: '}${message}`);
  }
  private wait(buffer: Buffer): void {
    this.waiting.push(buffer);
    this.waitingOctets += buffer.octets.length;
    if (this.waitingOctets > maxWaiting) this.flush();
  }
  private learnValue({ classId, logicalName: name, attribute: id }: Attribute, octets: Uint8Array): void {
    const isScaler = id === scalerUnitAttribute(classId);
    const matters = (classId === 7 && (id === 3 || id === 4)) || (classId === 12 && id === 2) || isScaler;
    const data = matters ? valueOf(octets) : undefined;
    if (!data) return;
    if (classId === 12) this.takeShortNames(data);
    else if (classId === 7 && id === 3) this.columns.set(name, captureObjectsOf(data));
    else if (classId === 7) this.periods.set(name, capturePeriodMsOf(data));
    else {
      const scalerUnit = scalerUnitOf(data);
      if (scalerUnit) this.scalers.set(name, scalerUnit);
    }
  }
  private takeShortNames(list: Data): void {
    for (const one of list.type === 'array' ? list.value : []) {
      const [base, classId, , name] = one.type === 'structure' ? one.value : [];
      const [address, id] = [base && integerOf(base), classId && integerOf(classId)];
      if (address === undefined || id === undefined || name?.type !== 'octet-string' || name.value.length !== 6)
        continue;
      this.bases.set(Number(address) & 0xffff, { classId: Number(id), name: logicalNameOf(name.value) });
    }
  }
}

/** A value that was built up already, as octets. */
export const octetsOf = (data: Data): Uint8Array => encode(dataCodec, data);
