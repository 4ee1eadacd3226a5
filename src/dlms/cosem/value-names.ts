/** Values that are codes, by name (Blue Book 4): enumerations by class and attribute, bits of the clock status. */
import { type Data, integerOf } from '../axdr/data.ts';

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
export function valueName(classId: number, attribute: number, data: Data): string | undefined {
  if (classId === 70 && attribute === 2 && data.type === 'boolean') return outputName(data.value);
  const value = integerOf(data);
  if (value === undefined) return undefined;
  if (classId === 8 && attribute === 4) return clockStatusNames(Number(value));
  if (classId === 8 && attribute === 3) return zoneName(Number(value));
  const names = enumerations[`${classId}.${attribute}`];
  return names && named(names, Number(value));
}

/** time_zone of a clock: minutes from local standard time to UTC. */
const zoneName = (minutes: number): string =>
  minutes === 0
    ? 'standard time is UTC'
    : `standard time is UTC${minutes > 0 ? '-' : '+'}${hoursOf(Math.abs(minutes))}`;
const hoursOf = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
