/** Does what was ordered, and says what became of it. What is judged here is the outcome; whether it may be done is not. */
import { Failure } from '../base/errors.ts';
import { type Clock, later } from '../base/time.ts';
import { controlStateName } from '../dlms/cosem/value-names.ts';
import { readDisconnector, switchSupply } from '../meter/act.ts';
import type { Disconnector } from '../meter/disconnector.ts';
import { activateImage, transferImage } from '../meter/image-transfer.ts';
import { refusedBy } from '../meter/session.ts';
import type { ReadingFact, ResultFact } from '../reading/facts.ts';
import type { OrderRefusal } from '../reading/order-words.ts';
import type { OpenSession, SessionWork } from '../schedule/open-session.ts';
import type { MeterOrder, Order } from './order.ts';

export type Detail = NonNullable<ResultFact['detail']>;
/** What the house can do for an order. */
export interface OrderTools {
  readonly clock: Clock;
  readNow(meter: string): Promise<ReadingFact>;
  inSession<T>(meter: string, work: SessionWork<T>): Promise<T>;
  /** Resolves to how many intervals. */
  sayAgain(meter: string, series: string, from: number, to: number): Promise<number>;
  version(): Detail;
  /** What goes over the line of a meter in its turns, for so long, without secrets. */
  trace(meter: string, forMs: number): Promise<Detail>;
  /** The firmware image with this SHA-256. */
  image(digest: string): Promise<Uint8Array>;
}
export type Outcome = Pick<ResultFact, 'outcome' | 'reason' | 'code' | 'why' | 'detail'>;
/** Written down right before something happens that cannot be undone. Throws where it must not happen any more. */
export type Begin = () => Promise<void>;

/** Nothing was done, and why. */
export class Refused extends Error {
  readonly reason: OrderRefusal;
  constructor(reason: OrderRefusal, why: string) {
    super(why);
    this.name = 'Refused';
    this.reason = reason;
  }
}
export const refusal = (reason: OrderRefusal, why: string): Outcome => ({
  outcome: 'refused',
  reason,
  code: null,
  why,
  detail: null,
});

/** Never rejects but with our own bugs. */
export async function perform(order: Order, tools: OrderTools, begin: Begin): Promise<Outcome> {
  let begun = false;
  const noted = async () => {
    await begin();
    begun = true;
  };
  try {
    return { outcome: 'done', reason: null, code: null, why: null, detail: await act(order, tools, noted) };
  } catch (error) {
    if (error instanceof Refused) return refusal(error.reason, error.message);
    if (!(error instanceof Failure)) throw error;
    // A meter that refuses has done nothing; of silence nobody knows.
    const known = !begun || refusedBy(error) !== undefined;
    const detail = known || !isSwitch(order) ? null : await stateNow(order, tools);
    return { outcome: known ? 'failed' : 'unknown', reason: null, code: error.code, why: error.message, detail };
  }
}

type Switch = MeterOrder & { readonly action: 'disconnect' | 'reconnect' };
const isSwitch = (order: Order): order is Switch => order.action === 'disconnect' || order.action === 'reconnect';

function act(order: Order, tools: OrderTools, begin: Begin): Promise<Detail> {
  switch (order.action) {
    case 'read':
      return read(order, tools);
    case 'again':
      return again(order, tools);
    case 'set-clock':
      return setClock(order, tools, begin);
    case 'disconnect':
    case 'reconnect':
      return switched(order, tools, begin);
    case 'firmware':
      return firmware(order, tools, begin);
    case 'change-keys':
      return changeKeys(order, tools, begin);
    case 'trace':
      return tools.trace(order.meter, order.minutes * 60_000);
    case 'version':
      return Promise.resolve(tools.version());
  }
}

/** The reading itself goes its own way, before the result. */
async function read({ meter }: MeterOrder, tools: OrderTools): Promise<Detail> {
  const { readAt, registers, clockDeviationS } = await tools.readNow(meter);
  return { readAt, registers: Object.keys(registers).length, clockDeviationS };
}

/** Days that one order may ask for. */
const againDays = 400;
async function again(order: MeterOrder & { action: 'again' }, tools: OrderTools): Promise<Detail> {
  const [from, to] = [Date.parse(order.from), Date.parse(order.to)];
  if (!(to > from && to - from <= againDays * 86_400_000))
    throw new Refused('not-understood', `from and to: at most ${againDays} days`);
  return { intervals: await tools.sayAgain(order.meter, order.series, from, to) };
}

async function setClock({ meter }: MeterOrder, tools: OrderTools, begin: Begin): Promise<Detail> {
  const step = await tools.inSession(meter, (open) => open.setClock(begin));
  if ('left' in step) throw new Refused('clock-limits', step.left);
  return { beforeS: step.beforeMs / 1000, afterS: step.afterMs / 1000 };
}

const switchDetail = (of: 'before' | 'after', { output, control, mode }: Disconnector): Detail => ({
  [`${of}Output`]: output,
  [`${of}ControlState`]: control,
  [`${of}Control`]: controlStateName(control),
  ...(of === 'after' && { controlMode: mode }),
});
async function switched({ meter, action }: Switch, tools: OrderTools, begin: Begin): Promise<Detail> {
  const { before, after } = await tools.inSession(meter, ({ session }) => switchSupply(session, action, begin));
  return { ...switchDetail('before', before), ...switchDetail('after', after) };
}
/** Nobody knows whether the meter obeyed: how its switch stands is asked in another session, also a little later. */
async function stateNow({ meter }: Switch, tools: OrderTools): Promise<Detail | null> {
  for (let left = stateTries; left > 0; left--) {
    const found = await tools
      .inSession(meter, ({ session }) => readDisconnector(session))
      .catch((error: unknown) => {
        if (!(error instanceof Failure)) throw error;
      });
    if (found) return switchDetail('after', found);
    await tools.clock.sleepUntil(later(tools.clock.now(), stateEveryMs));
  }
  return null;
}
const stateTries = 5;
const stateEveryMs = 30_000;

/** Blocks are sent so long in one session; then the other meters of the line have it for as long. */
const sliceMs = 15_000;
/** Sessions in a row that brought no block across. */
const fruitlessLimit = 3;
class SliceOver extends Error {}

async function firmware(order: MeterOrder & { action: 'firmware' }, tools: OrderTools, begin: Begin): Promise<Detail> {
  const image = await imageOf(order.image, tools);
  let [sessions, fruitless, blocks] = [0, 0, 0];
  const work = async (open: OpenSession) => {
    const { session, clock } = open;
    if (sessions === 0) {
      await requireRows(open);
      await begin();
    }
    sessions++;
    const end = later(clock.now(), sliceMs);
    const { identification, ...sent } = await transferImage(session, clock, image, Buffer.from(order.identifier), {
      resume: blocks > 0,
      progress: (number) => {
        if (number > blocks) [blocks, fruitless] = [number, 0];
        if (clock.now() >= end) throw new SliceOver();
      },
    });
    if (order.activate) {
      // What was captured while the image came across.
      await requireRows(open);
      await activateImage(session);
    }
    return { blocks: sent.blocks, sessions, activated: order.activate, image: Buffer.from(identification).toString() };
  };
  for (;;) {
    try {
      return await tools.inSession(order.meter, work);
    } catch (error) {
      const line = error instanceof Failure && error.family === 'line' && sessions > 0;
      if (!(error instanceof SliceOver) && (!line || ++fruitless >= fruitlessLimit)) throw error;
    }
    await tools.clock.sleepUntil(later(tools.clock.now(), sliceMs));
  }
}

/** The meter is entered with its next keys before it is said that it has them. */
async function changeKeys(
  { meter, keys }: MeterOrder & { action: 'change-keys' },
  tools: OrderTools,
  begin: Begin,
): Promise<Detail> {
  const left = await tools.inSession(meter, async (open) => {
    await requireRows(open);
    return open.changeKeys(keys, begin);
  });
  if (left) throw new Refused('no-next-key', left.left);
  const serial = await tools.inSession(meter, ({ origin }) => Promise.resolve(origin.serial));
  return { changed: Object.keys(keys).join(' '), entered: serial };
}

async function imageOf(digest: string, tools: OrderTools): Promise<Uint8Array> {
  try {
    return await tools.image(digest);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Refused('no-image', error.message);
  }
}

/** R36: whatever may empty the buffer of the meter is refused where its rows are not read first. */
async function requireRows({ readRows }: OpenSession): Promise<void> {
  let whole: boolean;
  try {
    whole = await readRows();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Refused('profile-unread', `${error.code}: ${error.message}`);
  }
  if (!whole) throw new Refused('profile-unread', 'rows up to the last closed interval are not there yet');
}
