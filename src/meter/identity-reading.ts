/** Which meter answers, by its own word, and how its clock stands: what is asked first in a session. */
import type { Clock } from '../base/time.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { type StampDoubt, stampOf } from '../dlms/cosem/date-time.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { askedAgain, type Unreadable, unreadable } from './asked-again.ts';
import { attribute, dataOf } from './attribute.ts';
import { type Disconnector, disconnectorName, disconnectorOf } from './disconnector.ts';
import type { MeterModel } from './model.ts';
import type { Session } from './session.ts';
import { stampReading } from './stamp-reading.ts';

export interface Identity {
  readonly logicalDeviceName: string | undefined;
  readonly serial: string | undefined;
  /** Meter clock minus gateway clock; undefined where the clock names no instant. */
  readonly clockDeviationMs: number | undefined;
  /** Changes of the configuration so far; undefined where the model names no counter or the meter refuses it. */
  readonly changes: bigint | undefined;
  /** The meter's own switch; undefined where it has none, or was not asked. */
  readonly disconnector: Disconnector | undefined;
  /** What the clock says of itself. */
  readonly clockDoubt: StampDoubt | null;
  /** What was asked for and did not come, although it was asked for alone once more. */
  readonly unreadable: readonly Unreadable[];
}

/** A longer name is none; it stands in messages, logs and the status. */
const nameOctets = 128;
export const textOf = (data: Data | undefined): string | undefined => {
  if (data?.type === 'octet-string') return Buffer.from(data.value.subarray(0, nameOctets)).toString('latin1').trim();
  return data?.type === 'visible-string' || data?.type === 'utf8-string'
    ? data.value.slice(0, nameOctets).trim()
    : undefined;
};
const clockOctets = (data: Data | undefined): Uint8Array | undefined =>
  data?.type === 'octet-string' || data?.type === 'date-time' ? data.value : undefined;

/** How far from the middle of a quick exchange an answer is made. */
const quickMs = 1000;
/** The least deviation that an answer proves which took long: on a slow line, or asked for again, it was made at any time of it. */
function certainly(deviationMs: number, uncertainMs: number): number {
  const doubt = Math.max(0, uncertainMs - quickMs);
  return Math.round(deviationMs - Math.min(doubt, Math.max(-doubt, deviationMs)));
}
const clockLength = 12;

/** Logical device name, serial number, clock and change counter, in one request where lists are allowed. */
export async function identify(
  session: Session,
  clock: Clock,
  model: MeterModel,
  askDisconnector = false,
): Promise<Identity> {
  const [sentAt, sentOn] = [clock.wall(), clock.now()];
  const counter = model.change_counter === undefined ? undefined : parseLogicalName(model.change_counter);
  const named = [attribute(1, '0.0.42.0.0.255', 2), attribute(1, '0.0.96.1.0.255', 2)];
  const clockTime = attribute(8, '0.0.1.0.0.255', 2);
  const switched = askDisconnector ? [2, 3, 4].map((id) => attribute(70, disconnectorName, id)) : [];
  const [firstName, firstSerial, firstTime, ...more] = await session.get([
    ...named,
    clockTime,
    ...switched,
    ...(counter === undefined ? [] : [attribute(1, counter, 2)]),
  ]);
  const counted = counter === undefined ? undefined : dataOf(more.at(-1));
  let octets = clockOctets(dataOf(firstTime));
  let time = firstTime;
  let [before, asked, spentMs] = [sentAt, sentOn, clock.now() - sentOn];
  if (!octets) {
    [before, asked] = [clock.wall(), clock.now()];
    [time] = await askedAgain(session, [clockTime], [firstTime], true);
    octets = clockOctets(dataOf(time));
    spentMs = clock.now() - asked;
  }
  // A clock that is none, in a list only (meter-quirks 86).
  if (octets && octets.length !== clockLength) {
    const single = await session.getOutsideLists(attribute(8, '0.0.1.0.0.255', 2), 'list wraps the clock twice');
    octets = clockOctets(dataOf(single)) ?? octets;
  }
  const stamp = octets && stampOf(octets, stampReading(model));
  const meterClock = stamp?.instant;
  const [name, serial] = await askedAgain(session, named, [firstName, firstSerial]);
  const states = await askedAgain(session, switched, more.slice(0, switched.length));
  const disconnector = askDisconnector ? disconnectorOf(states) : undefined;
  const [logicalDeviceName, serialNumber] = [textOf(dataOf(name)), textOf(dataOf(serial))];
  // The answer was made between the request and now: the middle is the fairest guess.
  const gatewayClock = before + spentMs / 2;
  return {
    logicalDeviceName,
    serial: serialNumber,
    clockDeviationMs: meterClock === undefined ? undefined : certainly(meterClock - gatewayClock, spentMs / 2),
    changes: counted && integerOf(counted),
    disconnector,
    clockDoubt: stamp?.instant === undefined ? null : stamp.doubt,
    unreadable: [
      ...(meterClock === undefined
        ? [unreadable('clock', time, stamp && 'why' in stamp ? stamp.why : 'it is no date-time')]
        : []),
      ...(serialNumber === undefined ? [unreadable('serial number', serial, 'it is no text')] : []),
      ...(logicalDeviceName === undefined ? [unreadable('logical device name', name, 'it is no text')] : []),
      ...(askDisconnector && !disconnector
        ? [
            unreadable(
              'disconnector',
              states.find((one) => !one || 'refused' in one),
              'its states are no states',
            ),
          ]
        : []),
    ],
  };
}
