/** Values of a meter for the person at the command line: codes by name, values scaled, times local. */
import { deviationWords, localTime } from '../base/words.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { whyNoInstant } from '../dlms/cosem/date-time.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { dataWords } from '../dlms/cosem/value-names.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import type { MeterModel } from '../meter/model.ts';
import { isScaled } from '../reading/column.ts';
import type { LoadProfileRow, ScalerUnit } from '../reading/load-profile-row.ts';
import { eventName } from '../reading/meter-event.ts';
import { standardBits, statusWords } from '../reading/quality.ts';
import { valueWords } from '../reading/value-words.ts';

export const isScaledValue = ({ classId, logicalName, attribute }: Attribute): boolean =>
  isScaled({ classId, logicalName, attribute, dataIndex: 0 });

/** The status word of a meter by name, where its model or the AMR profile says what the bits mean. */
const statusNames = (status: number, model: MeterModel): string =>
  statusWords(model.status_bits ? standardBits(status, model.status_bits) : status);

/** What the code of this object means, by its OBIS code: 0-0:96.10.x is a status, 0-0:96.11.x the code of an event. */
function codeName({ logicalName, attribute }: Attribute, value: bigint, model: MeterModel): string | undefined {
  const [a, , c, d] = logicalName.split('.').map(Number);
  if (a !== 0 || c !== 96 || attribute !== 2) return undefined;
  if (d === 10) return statusNames(Number(value), model);
  return d === 11 ? eventName(model.companion, Number(value)) : undefined;
}

export function objectWords(of: Attribute, data: Data, model: MeterModel, scalerUnit?: ScalerUnit): string {
  const value = integerOf(data);
  if (value !== undefined) {
    const name = codeName(of, value, model);
    if (name !== undefined) return `${dataText(data)} (${name})`;
    if (scalerUnit && isScaledValue(of)) return valueWords(value, scalerUnit.scaler, unitName(scalerUnit.unit));
  }
  return dataWords(data, of);
}

/** A row of a profile on one line; `status` and values by what the meter's model says of them. */
export function rowText(row: LoadProfileRow, zone: string): string {
  const { status, bits, end, clock, doubt, besideMs } = row;
  const values = row.channels.flatMap(({ key, scalerUnit }, i) => {
    const cell = row.cells[i];
    if (cell === null || cell === undefined) return [];
    const { scaler = null, unit } = scalerUnit ?? {};
    return [`${key} ${valueWords(cell, scaler, unit === undefined ? null : unitName(unit))}`];
  });
  const parts = [
    end === null ? `(${clock === null ? 'no instant' : whyNoInstant(clock)})` : localTime(end, zone),
    status === null ? '' : `status 0x${status.toString(16).padStart(2, '0')} (${statusWords(bits ?? status)})`,
    ...values,
    besideMs === undefined ? '' : `stamped ${besideMs / 1000} s beside it`,
    doubt ? `clock says ${doubt}` : '',
  ];
  return parts.filter((part) => part !== '').join('  ');
}

/** How a clock stands against that of this machine. */
export const clockWords = (deviationMs: number): string =>
  `${deviationWords(deviationMs / 1000)}, against this machine's`;
