/** Values of a meter for the person at the command line: codes by name, values scaled, times local. */
import { deviationWords, localTime } from '../base/words.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { whyNoInstant } from '../dlms/cosem/date-time.ts';
import { type LogicalName, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { dataWords } from '../dlms/cosem/value-names.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import type { MeterModel } from '../meter/model.ts';
import { isScaled } from '../reading/column.ts';
import type { Cell, LoadProfileRow, ProfileChannel, ScalerUnit } from '../reading/load-profile-row.ts';
import { eventName } from '../reading/meter-event.ts';
import { standardBits, statusWords } from '../reading/quality.ts';
import { valueWords } from '../reading/value-words.ts';

export const isScaledValue = ({ classId, logicalName, attribute }: Attribute): boolean =>
  isScaled({ classId, logicalName, attribute, dataIndex: 0 });

/** A status by name: `bits` are those of the AMR profile status, where the model says what the meter's own mean. */
const statusNames = (status: number, bits: number | null | undefined): string =>
  bits === 0 && status !== 0 ? 'no bit that the model names' : statusWords(bits ?? status);

/** What the code of this object means, by its OBIS code: 0-0:96.10.x is a status, 0-0:96.11.x the code of an event. */
function codeName(name: LogicalName, value: bigint, model: MeterModel): string | undefined {
  const [a, , c, d] = name.split('.').map(Number);
  if (a !== 0 || c !== 96) return undefined;
  const code = Number(value);
  if (d === 10) return statusNames(code, model.status_bits && standardBits(code, model.status_bits));
  return d === 11 ? eventName(model.companion, code) : undefined;
}

/** `scalerUnit`: null where the meter was asked and does not tell it, left out where nobody asked. */
export function objectWords(of: Attribute, data: Data, model: MeterModel, scalerUnit?: ScalerUnit | null): string {
  const value = integerOf(data);
  if (value !== undefined) {
    const name = of.attribute === 2 ? codeName(of.logicalName, value, model) : undefined;
    if (name !== undefined) return `${dataText(data)} (${name})`;
    if (isScaledValue(of) && scalerUnit) return valueWords(value, scalerUnit.scaler, unitName(scalerUnit.unit));
    const untold = scalerUnit === null && scalerUnitAttribute(of.classId) !== undefined;
    if (isScaledValue(of) && untold) return valueWords(value, null, null);
  }
  return dataWords(data, of);
}

/** A cell of a row. The keys of values themselves are plain OBIS codes. */
function cellWords({ key, scalerUnit, unscaled, kind }: ProfileChannel, cell: Cell, model: MeterModel): string {
  if (cell === null) return '';
  if (scalerUnit) return valueWords(cell, scalerUnit.scaler, unitName(scalerUnit.unit));
  const name =
    typeof cell === 'string' || !/^[\d.:*-]+$/.test(key) || key.split(':').length !== 2
      ? undefined
      : codeName(parseLogicalName(key), BigInt(cell), model);
  if (name !== undefined) return `${cell} (${name})`;
  // A counter, a text: it has no scaler, and none is missed.
  return unscaled || kind !== 'value' ? valueWords(cell, null, null) : String(cell);
}

/** A row of a profile on one line; `status` and values by what the meter's model says of them. */
export function rowText(row: LoadProfileRow, zone: string, model: MeterModel): string {
  const { status, bits, end, clock, doubt, besideMs } = row;
  const values = row.channels.map((channel, i) => {
    const words = cellWords(channel, row.cells[i] ?? null, model);
    return words === '' ? '' : `${channel.key} ${words}`;
  });
  const parts = [
    end === null ? `(${clock === null ? 'no instant' : whyNoInstant(clock)})` : localTime(end, zone),
    status === null ? '' : `status 0x${status.toString(16).padStart(2, '0')} (${statusNames(status, bits)})`,
    ...values,
    besideMs === undefined ? '' : `stamped ${Math.abs(besideMs) / 1000} s ${besideMs < 0 ? 'before' : 'after'} it`,
    doubt ? `clock says ${doubt}` : '',
  ];
  return parts.filter((part) => part !== '').join('  ');
}

/** How a clock stands against that of this machine. */
export const clockWords = (deviationMs: number): string =>
  `${deviationWords(deviationMs / 1000)}, against this machine's`;
