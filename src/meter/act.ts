/**
 * What the gateway does to a meter: its clock, its disconnector, its firmware image. Each act reads the state before and
 * after; none repeats itself. Who may order an act, and when, is not decided here.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, later, type Millis } from '../base/time.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
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
import { refusalCode, refusedBy, type Session } from './session.ts';

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
  const told = deviationOf(before.octets);
  const open = told === deviationUnspecified;
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
        ? -told
        : told;
  const octets = dateTimeOctets(clock.wall(), { min: deviation, written: !open }, clearedStatus(status));
  if (!open && reading.inverted) {
    octets[9] = (told >> 8) & 0xff;
    octets[10] = told & 0xff;
  }
  await write(session, clockTime, { type: 'octet-string', value: octets });
  const after = await readClock(session, model);
  if (after.utc === undefined) throw new Failure('unexpected-apdu', 'the clock names no instant after it was set');
  return { beforeMs, afterMs: after.utc - clock.wall() };
}

// ---- Disconnect control (class 70, Blue Book 4.5.8)

export async function readDisconnector(session: Session, name = disconnectorName): Promise<Disconnector> {
  const results = await session.get([2, 3, 4].map((attribute) => ({ classId: 70, logicalName: name, attribute })));
  const told = disconnectorOf(results);
  if (!told) throw new Failure('unexpected-apdu', `${obis(name)} does not tell the state of a disconnector`);
  return told;
}
/** Remote disconnect (method 1) or reconnect (method 2), and the state that it led to. */
export async function switchSupply(
  session: Session,
  order: 'disconnect' | 'reconnect',
  name = disconnectorName,
): Promise<{ readonly before: Disconnector; readonly after: Disconnector }> {
  const before = await readDisconnector(session, name);
  const method = order === 'disconnect' ? 1 : 2;
  await invoke(session, { classId: 70, logicalName: name, method, parameters: { type: 'integer', value: 0 } });
  return { before, after: await readDisconnector(session, name) };
}

// ---- Image transfer (class 18, Blue Book 4.4.6)

const imageName: LogicalName = '0.0.44.0.0.255';
export const imageStatus = [
  'not initiated',
  'initiated',
  'verification initiated',
  'verification successful',
  'verification failed',
  'activation initiated',
  'activation successful',
  'activation failed',
] as const;
export interface ImageOptions {
  readonly logicalName?: LogicalName;
  /** Goes on with the image that the meter already has parts of; the caller knows that it is this one. */
  readonly resume?: boolean;
  /** After each block: how many of how many the meter has. */
  readonly progress?: (blocks: number, of: number) => void;
  /** How long the meter may take to verify. */
  readonly verifyForMs?: number;
}
export interface TransferredImage {
  readonly blocks: number;
  /** Blocks sent in this session: fewer than all where an earlier one got somewhere. */
  readonly sent: number;
  /** What image_to_activate_info tells of the image. */
  readonly identification: Uint8Array;
}
const temporaryFailure = 2;
/** A block that the meter says it has not got is sent again so often. */
const rounds = 3;
const verifyPollMs = 5000;

/**
 * Brings an image to the meter: initiate, blocks, the missing ones again, verify. It is not activated. An interrupted
 * transfer goes on with `resume` where the meter still has its blocks.
 */
export async function transferImage(
  session: Session,
  clock: Clock,
  image: Uint8Array,
  identifier: Uint8Array,
  options: ImageOptions = {},
): Promise<TransferredImage> {
  const { logicalName = imageName, resume = false, progress, verifyForMs = 600_000 } = options;
  const attribute = (id: number): Attribute => ({ classId: 18, logicalName, attribute: id });
  const method = (id: number, parameters: Data): Invocation => ({ classId: 18, logicalName, method: id, parameters });
  const whole = async (id: number): Promise<number> => {
    const data = await session.value(attribute(id));
    const value = integerOf(data);
    if (value === undefined)
      throw new Failure('unexpected-apdu', `${obis(logicalName)}:${id} is ${data.type}, not a number`);
    return Number(value);
  };
  const enabled = await session.value(attribute(5));
  if (enabled.type !== 'boolean' || !enabled.value)
    throw new Failure('access-refused', 'image transfer is not enabled in the meter');
  const size = await whole(2);
  if (size < 1 || size > 65_535) throw new Failure('unexpected-apdu', `image_block_size is ${size}`);
  const blocks = Math.ceil(image.length / size);
  let status = await whole(6);
  if (!(resume && status === 1)) {
    await invoke(
      session,
      method(1, {
        type: 'structure',
        value: [
          { type: 'octet-string', value: identifier },
          { type: 'double-long-unsigned', value: image.length },
        ],
      }),
    );
  }
  let sent = 0;
  const send = async (number: number) => {
    const value = image.subarray(number * size, (number + 1) * size);
    await invoke(
      session,
      method(2, {
        type: 'structure',
        value: [
          { type: 'double-long-unsigned', value: number },
          { type: 'octet-string', value },
        ],
      }),
    );
    sent++;
  };
  for (let round = 0; ; round++) {
    const first = await whole(4);
    if (first >= blocks) break;
    if (round === rounds)
      throw new Failure('answer-stalled', `the meter still lacks block ${first} after ${rounds} rounds`);
    const bits = await session.value(attribute(3));
    const has = (number: number) => bits.type === 'bit-string' && bits.value[number] === '1';
    for (let number = first; number < blocks; number++) {
      if (!has(number)) await send(number);
      progress?.(number + 1, blocks);
    }
  }
  const verifyUntil = later(clock.now(), verifyForMs);
  try {
    await invoke(session, method(3, { type: 'integer', value: 0 }));
  } catch (error) {
    // The meter verifies while we wait.
    if (!(error instanceof Failure) || error.detail['refused'] !== temporaryFailure) throw error;
  }
  for (;;) {
    status = await whole(6);
    if (status === 3) break;
    if (status === 4) throw new Failure('service-exception', 'the meter did not verify the image');
    if (clock.now() >= verifyUntil)
      throw new Failure(
        'answer-stalled',
        `verification took more than ${verifyForMs / 1000} s: ${imageStatus[status as 0]}`,
      );
    await clock.sleepUntil(later(clock.now(), verifyPollMs));
  }
  const info = await session.value(attribute(7));
  const [element] = info.type === 'array' ? info.value : [];
  const [length, identification] = element?.type === 'structure' ? element.value : [];
  if (integerOf(length as Data) !== BigInt(image.length) || identification?.type !== 'octet-string')
    throw new Failure('unexpected-apdu', 'image_to_activate_info names another image');
  return { blocks, sent, identification: identification.value };
}

/** Activates the verified image. Meters restart with it: no answer is as good as success, and the state is read later. */
export async function activateImage(session: Session, logicalName = imageName): Promise<void> {
  try {
    await invoke(session, { classId: 18, logicalName, method: 4, parameters: { type: 'integer', value: 0 } });
  } catch (error) {
    const silent = error instanceof Failure && (error.code === 'no-answer' || error.code === 'fell-silent');
    if (!silent && refusedBy(error) !== temporaryFailure) throw error;
  }
}
