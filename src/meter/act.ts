/**
 * What the gateway does to a meter: its clock, its disconnector (image-transfer.ts: its firmware). Each act reads the state before and
 * after; none repeats itself. Who may order an act, and when, is not decided here.
 */
import { Failure } from '../base/errors.ts';
import type { Clock, Millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { refusalName } from '../dlms/association/client.ts';
import type { Invocation } from '../dlms/association/exchange.ts';
import {
  dateTimeOctets,
  deviationOf,
  deviationUnspecified,
  saysSummer,
  shiftOf,
  utcOf,
} from '../dlms/cosem/date-time.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import type { Attribute, GetResult } from '../dlms/xdlms/apdu.ts';
import { type Disconnector, disconnectorName, disconnectorOf } from './disconnector.ts';
import { stampReading } from './stamp-reading.ts';
import type { MeterModel } from './model.ts';
import { refusalCode, type Session } from './session.ts';

/** Writes one attribute, or a Failure of `refusalCode`. */
export async function write(session: Session, attribute: Attribute, value: Data): Promise<void> {
  const { results } = await session.exchange({ kind: 'set', assignments: [{ attribute, value }] }, 'was-set');
  const refused = results[0] ?? 250;
  if (refused !== 0)
    throw new Failure(
      refusalCode(refused),
      `${obis(attribute.logicalName)}:${attribute.attribute}: ${refusalName(refused)}`,
      {
        refused,
      },
    );
}

/** Invokes one method; its action-result other than success is a Failure of `refusalCode` with `refused`. */
export async function invoke(session: Session, invocation: Invocation): Promise<GetResult | undefined> {
  const { results } = await session.exchange({ kind: 'action', invocations: [invocation] }, 'acted');
  const { result = 250, returned } = results[0] ?? {};
  if (result !== 0)
    throw new Failure(
      refusalCode(result),
      `${obis(invocation.logicalName)} method ${invocation.method}: ${refusalName(result, true)}`,
      { refused: result },
    );
  return returned;
}

// ---- Clock (class 8, Blue Book 4.5.1)

const clockName: LogicalName = '0.0.1.0.0.255';
const clockTime: Attribute = { classId: 8, logicalName: clockName, attribute: 2 };

export interface MeterClock {
  readonly octets: Uint8Array;
  /** The instant; undefined where the stamp names none. */
  readonly utc: Millis | undefined;
  readonly daylightSaving: boolean;
}
export async function readClock(session: Session, model: MeterModel): Promise<MeterClock> {
  const data = await session.value(clockTime);
  const octets = data.type === 'octet-string' || data.type === 'date-time' ? data.value : undefined;
  if (octets?.length !== 12) throw new Failure('unexpected-apdu', 'the clock is no date-time');
  return {
    octets,
    utc: utcOf(octets, stampReading(model)),
    daylightSaving: saysSummer(octets[11] as number),
  };
}

/** The time that we write is neither invalid nor doubtful, whatever the meter's was. */
const clearedStatus = (status: number): number => (status === 0xff ? status : status & ~doubtBits);
const doubtBits = 0x0b;

/**
 * Sets the clock to the gateway's, in the way the meter itself tells the time: its deviation, or none, and whether daylight
 * saving is active. It is read before and after. Returns the deviations (meter − gateway), ms.
 */
export async function setClock(
  session: Session,
  clock: Clock,
  model: MeterModel,
): Promise<{ readonly beforeMs: number | undefined; readonly afterMs: number }> {
  const before = await readClock(session, model);
  const beforeMs = before.utc === undefined ? undefined : before.utc - clock.wall();
  const deviationAsRead = deviationOf(before.octets);
  const open = deviationAsRead === deviationUnspecified;
  const reading = stampReading(model);
  if (open && reading.deviationMin === undefined)
    throw new Failure('config-invalid', 'the clock leaves its deviation open: deviation_min of the model must tell it');
  const status = before.octets[11] as number;
  const standard = open || reading.overridden ? reading.deviationMin : undefined;
  // It is written as the meter tells it: local summer time where its clock status says summer time.
  const deviation =
    standard !== undefined
      ? standard - (before.daylightSaving ? shiftOf(reading) : 0)
      : reading.inverted
        ? -deviationAsRead
        : deviationAsRead;
  const octets = dateTimeOctets(clock.wall(), { min: deviation, written: !open }, clearedStatus(status));
  if (!open && reading.inverted) {
    octets[9] = (deviationAsRead >> 8) & 0xff;
    octets[10] = deviationAsRead & 0xff;
  }
  await write(session, clockTime, { type: 'octet-string', value: octets });
  const after = await readClock(session, model);
  if (after.utc === undefined) throw new Failure('unexpected-apdu', 'the clock names no instant after it was set');
  return { beforeMs, afterMs: after.utc - clock.wall() };
}

// ---- Disconnect control (class 70, Blue Book 4.5.8)

export async function readDisconnector(session: Session, name = disconnectorName): Promise<Disconnector> {
  const results = await session.get([2, 3, 4].map((attribute) => ({ classId: 70, logicalName: name, attribute })));
  const disconnector = disconnectorOf(results);
  if (!disconnector) throw new Failure('unexpected-apdu', `${obis(name)} does not tell the state of a disconnector`);
  return disconnector;
}
/**
 * Remote disconnect (method 1) or reconnect (method 2), and the state that it led to. `begin` is called when everything else
 * is ready, right before the supply may change.
 */
export async function switchSupply(
  session: Session,
  order: 'disconnect' | 'reconnect',
  begin: () => Promise<void> = () => Promise.resolve(),
  name = disconnectorName,
): Promise<{ readonly before: Disconnector; readonly after: Disconnector }> {
  const before = await readDisconnector(session, name);
  await begin();
  const method = order === 'disconnect' ? 1 : 2;
  await invoke(session, { classId: 70, logicalName: name, method, parameters: { type: 'integer', value: 0 } });
  return { before, after: await readDisconnector(session, name) };
}
