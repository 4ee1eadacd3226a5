/** Image transfer (class 18, Blue Book 4.4.6): brings a firmware image to a meter, and activates it. */
import { Failure } from '../base/errors.ts';
import { type Clock, later } from '../base/time.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import { invoke } from './act.ts';
import { refusedBy, type Session } from './session.ts';

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

/** The image transfer object of one meter, in one session. */
interface Transfer {
  readonly session: Session;
  readonly logicalName: LogicalName;
}
const attribute = (logicalName: LogicalName, id: number): Attribute => ({ classId: 18, logicalName, attribute: id });
const act = ({ session, logicalName }: Transfer, method: number, parameters: Data) =>
  invoke(session, { classId: 18, logicalName, method, parameters });
async function numberOf({ session, logicalName }: Transfer, id: number): Promise<number> {
  const data = await session.value(attribute(logicalName, id));
  const value = integerOf(data);
  if (value === undefined)
    throw new Failure('unexpected-apdu', `${obis(logicalName)}:${id} is ${data.type}, not a number`);
  return Number(value);
}

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
  const transfer: Transfer = { session, logicalName };
  const enabled = await session.value(attribute(logicalName, 5));
  if (enabled.type !== 'boolean' || !enabled.value)
    throw new Failure('access-refused', 'image transfer is not enabled in the meter');
  const size = await numberOf(transfer, 2);
  if (size < 1 || size > 65_535) throw new Failure('unexpected-apdu', `image_block_size is ${size}`);
  const status = await numberOf(transfer, 6);
  if (!(resume && status === 1)) await initiate(transfer, image, identifier);
  const sent = await sendBlocks(transfer, image, size, progress);
  await verify(transfer, clock, verifyForMs);
  const identification = await imageToActivate(transfer, image);
  return { blocks: Math.ceil(image.length / size), sent, identification };
}

const initiate = (transfer: Transfer, image: Uint8Array, identifier: Uint8Array) =>
  act(transfer, 1, {
    type: 'structure',
    value: [
      { type: 'octet-string', value: identifier },
      { type: 'double-long-unsigned', value: image.length },
    ],
  });

/** The blocks that the meter has not got, until it has all. Returns how many were sent. */
async function sendBlocks(
  transfer: Transfer,
  image: Uint8Array,
  size: number,
  progress: ImageOptions['progress'],
): Promise<number> {
  const { session, logicalName } = transfer;
  const blocks = Math.ceil(image.length / size);
  let sent = 0;
  const send = async (number: number) => {
    await act(transfer, 2, {
      type: 'structure',
      value: [
        { type: 'double-long-unsigned', value: number },
        { type: 'octet-string', value: image.subarray(number * size, (number + 1) * size) },
      ],
    });
    sent++;
  };
  for (let round = 0; ; round++) {
    const first = await numberOf(transfer, 4);
    if (first >= blocks) return sent;
    if (round === rounds)
      throw new Failure('answer-stalled', `the meter still lacks block ${first} after ${rounds} rounds`);
    const bits = await session.value(attribute(logicalName, 3));
    const has = (number: number) => bits.type === 'bit-string' && bits.value[number] === '1';
    for (let number = first; number < blocks; number++) {
      if (!has(number)) await send(number);
      progress?.(number + 1, blocks);
    }
  }
}

/** Orders the verification, and waits until the meter has found the image good. */
async function verify(transfer: Transfer, clock: Clock, verifyForMs: number): Promise<void> {
  const verifyUntil = later(clock.now(), verifyForMs);
  try {
    await act(transfer, 3, { type: 'integer', value: 0 });
  } catch (error) {
    // The meter verifies while we wait.
    if (!(error instanceof Failure) || error.detail['refused'] !== temporaryFailure) throw error;
  }
  for (;;) {
    const status = await numberOf(transfer, 6);
    if (status === 3) return;
    if (status === 4) throw new Failure('service-exception', 'the meter did not verify the image');
    if (clock.now() >= verifyUntil)
      throw new Failure(
        'answer-stalled',
        `verification took more than ${verifyForMs / 1000} s: ${imageStatus[status as 0]}`,
      );
    await clock.sleepUntil(later(clock.now(), verifyPollMs));
  }
}

/** What image_to_activate_info tells of the image; a Failure where it names another one. */
async function imageToActivate({ session, logicalName }: Transfer, image: Uint8Array): Promise<Uint8Array> {
  const info = await session.value(attribute(logicalName, 7));
  const [element] = info.type === 'array' ? info.value : [];
  const [length, identification] = element?.type === 'structure' ? element.value : [];
  if (integerOf(length as Data) !== BigInt(image.length) || identification?.type !== 'octet-string')
    throw new Failure('unexpected-apdu', 'image_to_activate_info names another image');
  return identification.value;
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
