/** Values that are codes, by name (Blue Book 4): enumerations by class and attribute, bits of the clock status, stamps. */
import { type Data, integerOf } from '../axdr/data.ts';
import { dataText, octetsText } from '../axdr/print.ts';
import { scalerUnitAttribute } from './class-table.ts';
import { deviationOf, deviationUnspecified } from './date-time.ts';
import { logicalNameOf, obis } from './logical-name.ts';
import { unitName } from './unit.ts';

const named = (names: Readonly<Record<number, string>>, code: number): string => names[code] ?? `unknown: ${code}`;

const controlStates = { 0: 'disconnected', 1: 'connected', 2: 'ready for reconnection' };
const controlModes = {
  0: 'always connected',
  1: 'off remotely, by hand or locally; on again by hand after a remote release',
  2: 'off remotely, by hand or locally; on again remotely or by hand',
  3: 'off remotely or locally; on again by hand after a remote release',
  4: 'off remotely or locally; on again remotely or by hand',
  5: 'off remotely, by hand or locally; on again by hand after a remote release, or locally',
  6: 'off remotely or locally; on again by hand after a remote release, or locally',
};
export const controlStateName = (code: number): string => named(controlStates, code);
export const controlModeName = (code: number): string => `mode ${code} (${named(controlModes, code)})`;
export const outputName = (on: boolean): string => (on ? 'supply on' : 'supply OFF');

const bauds = [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200];
const speeds = Object.fromEntries(bauds.map((baud, code) => [code, `${baud} Bd`]));
/** By `class.attribute`. */
const enumerations: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  '7.5': { 1: 'FIFO', 2: 'LIFO', 3: 'largest', 4: 'smallest', 5: 'nearest to zero', 6: 'farthest from zero' },
  '8.9': {
    0: 'not defined',
    1: 'internal crystal',
    2: 'mains 50 Hz',
    3: 'mains 60 Hz',
    4: 'satellite time',
    5: 'radio controlled',
  },
  '15.8': { 0: 'not associated', 1: 'association pending', 2: 'associated' },
  '18.6': {
    0: 'transfer not initiated',
    1: 'transfer initiated',
    2: 'verification initiated',
    3: 'verification successful',
    4: 'verification failed',
    5: 'activation initiated',
    6: 'activation successful',
    7: 'activation failed',
  },
  '19.2': { 0: 'mode C', 1: 'mode E', 2: 'no sign-on, HDLC at once' },
  '19.3': speeds,
  '19.4': speeds,
  '23.2': speeds,
  '64.3': { 0: 'suite 0: AES-GCM-128', 1: 'suite 1: ECDH and ECDSA P-256', 2: 'suite 2: ECDH and ECDSA P-384' },
  '70.3': controlStates,
  '70.4': controlModes,
};

/** Clock status (Blue Book 4.1.6.1). */
const clockBits = ['invalid', 'doubtful', 'another clock base', 'invalid status', '', '', '', 'summer time'];
export function clockStatusNames(status: number): string {
  if (status === 0xff) return 'not specified';
  const names = clockBits.flatMap((name, bit) =>
    (status & (1 << bit)) === 0 ? [] : [name === '' ? `bit ${bit}, which has no meaning` : name],
  );
  return names.length > 0 ? names.join(', ') : 'nothing against it';
}

/** The name of a value, where it is a code; undefined where it speaks for itself. */
function valueName(classId: number, attribute: number, data: Data): string | undefined {
  if (classId === 70 && attribute === 2 && data.type === 'boolean') return outputName(data.value);
  if (attribute === scalerUnitAttribute(classId)) return scalerUnitName(data);
  const value = integerOf(data);
  if (value === undefined) return undefined;
  if (classId === 8 && attribute === 4) return clockStatusNames(Number(value));
  if (classId === 8 && attribute === 3) return zoneName(Number(value));
  const names = enumerations[`${classId}.${attribute}`];
  return names && named(names, Number(value));
}

function scalerUnitName(data: Data): string | undefined {
  const [scaler, unit] = data.type === 'structure' ? data.value.map(integerOf) : [];
  return scaler === undefined || unit === undefined ? undefined : `× 10^${scaler} ${unitName(Number(unit))}`.trimEnd();
}

/** time_zone of a clock: minutes from local standard time to UTC. */
const zoneName = (minutes: number): string => `standard time is UTC${minutes === 0 ? '' : offsetOf(minutes)}`;
/** Of minutes from local time to UTC: how far local time is from UTC. */
const offsetOf = (minutes: number): string => {
  const off = Math.abs(minutes);
  return `${minutes > 0 ? '-' : '+'}${twoDigits(Math.floor(off / 60))}:${twoDigits(off % 60)}`;
};
const twoDigits = (value: number): string => String(value).padStart(2, '0');

const open = 0xff;
/**
 * A date-time as the meter wrote it, in its own local time, with what its clock says of itself; undefined where these
 * octets are none. Only years in which meters of this kind hang: other strings have 12 octets, too.
 */
export function stampWords(octets: Uint8Array): string | undefined {
  const [high = 0, low = 0, month = 0, day = 0, weekday = 0, hour = 0, minute = 0, second = 0, hundredths = 0] = octets;
  const year = high * 256 + low;
  const deviation = octets.length === 12 ? deviationOf(octets) : 0;
  const status = octets[11] ?? open;
  const fits =
    octets.length === 12 &&
    year >= 1990 &&
    year < 2100 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= 31 &&
    (weekday <= 7 || weekday === open) &&
    hour <= 23 &&
    [minute, second].every((one) => one <= 59 || one === open) &&
    (hundredths <= 99 || hundredths === open) &&
    (Math.abs(deviation) <= 840 || deviation === deviationUnspecified);
  if (!fits) return undefined;
  const time = [hour, minute, second].filter((one) => one !== open).map(twoDigits);
  const offset = deviation === deviationUnspecified ? '(deviation left open)' : offsetOf(deviation);
  const says = status === 0 || status === open ? '' : `, ${clockStatusNames(status)}`;
  return `${year}-${twoDigits(month)}-${twoDigits(day)} ${time.join(':')} ${offset}${says}`;
}

/** Media of the first value group (Blue Book 7.2). */
const lastMedium = 19;
/** Octets for people: what they say where they are a stamp or an OBIS code, beside what they are. */
function octetsWords(octets: Uint8Array): string {
  const [medium = open] = octets;
  const code = octets.length === 6 && octets[5] === open && medium <= lastMedium;
  const words = code ? obis(logicalNameOf(octets)) : stampWords(octets);
  return words === undefined ? octetsText(octets) : `${words} (${octetsText(octets)})`;
}

/** A value on one line, with the names of codes, stamps and OBIS codes in it. */
export function dataWords(data: Data, of?: { readonly classId: number; readonly attribute: number }): string {
  const name = of && valueName(of.classId, of.attribute, data);
  const text = dataText(data, octetsWords);
  return name === undefined ? text : `${text} (${name})`;
}
