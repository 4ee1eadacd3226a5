/**
 * What a telegram of the P1 port says, as a pushed list: registers as integers with scaler and unit, the stamp by the meter's
 * local time, device ids as text. Values of other devices (M-Bus) carry stamps of their own and are shown as they stand.
 */
import { type LogicalName, logicalNameIn, obis } from '../dlms/cosem/logical-name.ts';
import { type Stamp, type StampReading, stampOf } from '../dlms/cosem/date-time.ts';
import type { P1Entry, P1Telegram } from '../dlms/p1/telegram.ts';
import type { NotificationEvent } from '../dlms/stack/notification.ts';
import type { ScalerUnit } from './load-profile-row.ts';
import {
  identityName,
  type KnownScalers,
  type ListOrder,
  type PushedList,
  pushedList,
  type PushedReading,
} from './pushed-list.ts';

/** Units of telegrams: the unit of the Blue Book, and the power of ten before it. */
const units: Readonly<Record<string, readonly [unit: number, power: number]>> = {
  Wh: [30, 0],
  kWh: [30, 3],
  MWh: [30, 6],
  W: [27, 0],
  kW: [27, 3],
  varh: [32, 0],
  kvarh: [32, 3],
  var: [29, 0],
  kvar: [29, 3],
  VAh: [31, 0],
  kVAh: [31, 3],
  VA: [28, 0],
  kVA: [28, 3],
  V: [35, 0],
  A: [33, 0],
  Hz: [44, 0],
  s: [7, 0],
  m3: [13, 0],
  GJ: [25, 9],
  MJ: [25, 6],
  J: [25, 0],
};
const clock: LogicalName = '0.0.1.0.0.255';
const number = /^-?\d+(?:\.(\d+))?$/;
const stampText = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SW]?)$/;
const summerStatus = 0x80;
const unspecified = 0xff;

/** Local time, whose deviation the telegram does not tell; S and W say whether it is summer time. */
function stampOctets(text: string): Uint8Array | undefined {
  const found = stampText.exec(text);
  if (!found) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number);
  const full = 2000 + year;
  const status = found[7] === 'S' ? summerStatus : found[7] === 'W' ? 0 : unspecified;
  return Uint8Array.of(full >> 8, full & 0xff, month, day, unspecified, hour, minute, second, 0, 0x80, 0x00, status);
}

/** An integer and what it is counted in; undefined where the text is no number. */
function scaled(
  text: string,
  unit: string | undefined,
): { readonly value: number | bigint; readonly scalerUnit: ScalerUnit | undefined } | undefined {
  const found = number.exec(text);
  if (!found) return undefined;
  const whole = BigInt(text.replace('.', ''));
  const value = whole <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(whole) : whole;
  const known = unit === undefined ? undefined : units[unit];
  const decimals = found[1]?.length ?? 0;
  if (!known) return decimals === 0 ? { value, scalerUnit: undefined } : undefined;
  return { value, scalerUnit: { unit: known[0], scaler: known[1] - decimals } };
}

/** Device ids are octets in hex, of letters mostly. */
function identityOf(text: string): string {
  const letters = /^(?:[0-9A-Fa-f]{2})+$/.test(text) ? Buffer.from(text, 'hex').toString('latin1') : '';
  return /^[\x21-\x7e]+$/.test(letters) ? letters : text;
}

function readingOf({ obis: code, values }: P1Entry): PushedReading {
  const name = logicalNameIn(code);
  const [first] = values;
  const single = values.length === 1 && first ? scaled(first.text, first.unit) : undefined;
  const text = values.map((one) => (one.unit === undefined ? one.text : `${one.text} ${one.unit}`)).join(' ');
  return {
    key: name === undefined ? code : obis(name),
    value: single?.value ?? text,
    scalerUnit: single?.scalerUnit,
    ...(name !== undefined && { of: { classId: 0, logicalName: name, attribute: 2, dataIndex: 0 } }),
  };
}

export function telegramList({ entries }: P1Telegram, reading: StampReading = {}): PushedList {
  const problems: string[] = [];
  const identities: string[] = [];
  let stamp: Stamp | undefined;
  for (const { obis: code, values } of entries) {
    const name = logicalNameIn(code);
    const [first] = values;
    if (name === undefined || !first) continue;
    if (identityName.test(name)) identities.push(identityOf(first.text));
    if (name !== clock) continue;
    const octets = stampOctets(first.text);
    stamp = octets ? stampOf(octets, reading) : { instant: undefined, why: `${JSON.stringify(first.text)} is no time` };
  }
  if (stamp && stamp.instant === undefined)
    problems.push(`a stamp of the meter's clock names no instant: ${stamp.why}`);
  return {
    at: stamp?.instant ?? null,
    clockSays: stamp?.instant === undefined ? null : stamp.doubt,
    readings: entries.map(readingOf),
    rows: [],
    buffers: [],
    identities,
    problems,
  };
}

/** What was heard unasked, whichever of the two it is. */
export const heardList = (
  heard: Exclude<NotificationEvent, { readonly kind: 'unreadable' }>,
  reading: StampReading = {},
  orders: readonly ListOrder[] = [],
  scalers?: KnownScalers,
): PushedList =>
  heard.kind === 'telegram' ? telegramList(heard.telegram, reading) : pushedList(heard.apdu, reading, orders, scalers);
