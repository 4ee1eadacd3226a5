/** Image transfer of a virtual meter (class 18): blocks in any order, verification that takes time, activation. */
import { later, type Millis } from '../base/time.ts';
import {
  accessResult,
  array,
  octets,
  readable,
  type ServerMethod,
  type ServerObject,
  structure,
} from '../dlms/cosem/server-object.ts';

export interface ImageState {
  identification: Uint8Array;
  size: number;
  blocks: Map<number, Uint8Array>;
  status: number;
  verifiedAt: Millis | undefined;
  activations: number;
}
export const noImage = (): ImageState => ({
  identification: new Uint8Array(0),
  size: 0,
  blocks: new Map(),
  status: 0,
  verifiedAt: undefined,
  activations: 0,
});
export interface ImageSettings {
  readonly blockSize: number;
  readonly enabled: boolean;
  readonly verifyMs: number;
  /** What a good image is. */
  verify(image: Uint8Array): boolean;
  /** A block that is acknowledged and not kept, once. */
  readonly loses?: ReadonlySet<number>;
}
const refuse = (result: number) => ({ result });
const done = { result: 0 };

type Act = ServerMethod['act'];

/** What a meter knows of the image that it is being given. */
interface Progress {
  /** Blocks that the image has. */
  readonly count: () => number;
  readonly firstMissing: () => number;
  /** image_transfer_status: a verification is over when its time is. */
  readonly status: () => number;
}
function progressOf(state: ImageState, settings: ImageSettings, now: () => Millis): Progress {
  const count = () => Math.ceil(state.size / settings.blockSize);
  const whole = () => Buffer.concat([...state.blocks].toSorted(([a], [b]) => a - b).map(([, block]) => block));
  return {
    count,
    firstMissing() {
      let number = 0;
      while (number < count() && state.blocks.has(number)) number++;
      return number;
    },
    status() {
      if (state.status === 2 && state.verifiedAt !== undefined && now() >= state.verifiedAt)
        state.status = settings.verify(whole()) ? 3 : 4;
      return state.status;
    },
  };
}

const initiate =
  (state: ImageState, { enabled }: ImageSettings): Act =>
  (parameters) => {
    const [name, size] = parameters?.type === 'structure' ? parameters.value : [];
    if (!enabled) return refuse(accessResult['read-write-denied']);
    if (name?.type !== 'octet-string' || size?.type !== 'double-long-unsigned')
      return refuse(accessResult['type-unmatched']);
    Object.assign(state, noImage(), { identification: name.value.slice(), size: size.value, status: 1 });
    return done;
  };

function takeBlock(state: ImageState, { blockSize, loses }: ImageSettings, { count }: Progress): Act {
  const lost = new Set(loses);
  return (parameters) => {
    const [number, block] = parameters?.type === 'structure' ? parameters.value : [];
    if (number?.type !== 'double-long-unsigned' || block?.type !== 'octet-string')
      return refuse(accessResult['type-unmatched']);
    const last = number.value === count() - 1;
    const length = last ? state.size - number.value * blockSize : blockSize;
    if (state.status !== 1 || number.value >= count() || block.value.length !== length)
      return refuse(accessResult['other-reason']);
    if (!lost.delete(number.value)) state.blocks.set(number.value, block.value.slice());
    return done;
  };
}

const verifyImage =
  (state: ImageState, { verifyMs }: ImageSettings, { count, firstMissing }: Progress, now: () => Millis): Act =>
  () => {
    if (state.status === 3) return done;
    if (state.status === 2) return refuse(accessResult['temporary-failure']);
    if (state.status !== 1 || firstMissing() < count()) return refuse(accessResult['other-reason']);
    state.status = 2;
    state.verifiedAt = later(now(), verifyMs);
    return refuse(accessResult['temporary-failure']);
  };

const activate =
  (state: ImageState, { status }: Progress): Act =>
  () => {
    if (status() !== 3) return refuse(accessResult['other-reason']);
    state.status = 6;
    state.activations++;
    return done;
  };

/** `state` outlives power cuts; `now` is the meter's time. */
export function imageTransfer(state: ImageState, settings: ImageSettings, now: () => Millis): ServerObject {
  const progress = progressOf(state, settings, now);
  const { count, firstMissing, status } = progress;
  return {
    classId: 18,
    version: 0,
    logicalName: '0.0.44.0.0.255',
    attributes: [
      readable(2, { type: 'double-long-unsigned', value: settings.blockSize }),
      readable(3, () => ({
        type: 'bit-string',
        value: Array.from({ length: count() }, (_, i) => (state.blocks.has(i) ? '1' : '0')).join(''),
      })),
      readable(4, () => ({ type: 'double-long-unsigned', value: firstMissing() })),
      readable(5, { type: 'boolean', value: settings.enabled }),
      readable(6, () => ({ type: 'enum', value: status() })),
      readable(7, () =>
        status() < 3 || state.status === 4
          ? array()
          : array(
              structure(
                { type: 'double-long-unsigned', value: state.size },
                octets(state.identification),
                octets(new Uint8Array(0)),
              ),
            ),
      ),
    ],
    methods: [
      { id: 1, act: initiate(state, settings) },
      { id: 2, act: takeBlock(state, settings, progress) },
      { id: 3, act: verifyImage(state, settings, progress, now) },
      { id: 4, act: activate(state, progress) },
    ],
  };
}
