/**
 * Orders of the central system, from the octets to the result. An order is written down before anything is done for it, and
 * once more right before the act: a repeat gets the first answer, and after a crash nothing is done twice.
 */
import { type ErrorCode, Failure, messageOf } from '../base/errors.ts';
import { cut, type Log } from '../base/log.ts';
import { type Clock, iso, later, longAgo, type Millis, millis } from '../base/time.ts';
import { gatewayFact, type Origin, type ResultFact } from '../reading/facts.ts';
import type { OrderAction } from '../reading/order-words.ts';
import type { OrderEntry } from '../store/order-ledger.ts';
import type { Store } from '../store/store.ts';
import { type Outcome, type OrderTools, perform, refusal, Refused } from './execute.ts';
import { forgettable, judgeOrder, timeRefusal } from './judge.ts';
import type { OrderKeys } from './keys.ts';
import { isRead, type Order } from './order.ts';
import { verifyOrder } from './verify.ts';

export interface OrderSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly gateway: string;
  readonly keys: OrderKeys;
  readonly enabled: ReadonlySet<OrderAction>;
  readonly meterOf: (id: string) => Origin | undefined;
  /** Whether the gateway knows the time. */
  readonly trusted: () => boolean;
  readonly tools: OrderTools;
}
export interface OrderRoom {
  /** An order as it came; resolves when it was judged, to why it is none. Never rejects. */
  receive(octets: Uint8Array): Promise<string | undefined>;
  /** Until it is aborted; rejects with our own bugs. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the orders under way have their results, or cannot have them in this life any more. */
  stop(): Promise<void>;
}

/** Octets that wait to be verified. */
const inboxLimit = 64;
/** What was answered is answered again once in this time; so many refusals that nobody remembers go out in it. */
const quietMs = 60_000;
const refusalLimit = 30;
const forgedEveryMs = 3_600_000;
const tendEveryMs = 10_000;
const retryMs = 5000;
/** Whoever waits for a meter of a house that stops has been sent away by then. */
const stopMs = 1000;

interface Room extends OrderSettings {
  /** When each id was answered last. */
  readonly answered: Map<string, Millis>;
  readonly open: Map<string, Promise<void>>;
  refusals: { since: Millis; count: number };
  forgeries: { since: Millis; count: number };
  readonly stopped: AbortController;
  crash: (error: unknown) => void;
}

export function orderRoom(settings: OrderSettings): OrderRoom {
  const room: Room = {
    ...settings,
    answered: new Map(),
    open: new Map(),
    refusals: { since: longAgo, count: 0 },
    forgeries: { since: longAgo, count: 0 },
    stopped: new AbortController(),
    crash: () => {},
  };
  const crashed = new Promise<never>((_, reject) => {
    room.crash = reject;
  });
  crashed.catch(() => {});
  let inbox = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    receive(octets) {
      if (inbox >= inboxLimit) return Promise.resolve('more orders at once than are looked at');
      inbox++;
      // In the order in which they came: what is remembered of one counts for the next.
      const judged = last.then(() => received(room, octets)).finally(() => inbox--);
      last = judged.catch(() => {});
      return judged.catch((error: unknown) => {
        if (!(error instanceof Failure)) room.crash(error);
        room.log.error({ error: cut(messageOf(error)) }, 'an order could not be taken');
        return undefined;
      });
    },
    run: (signal) => Promise.race([tend(room, signal), crashed]),
    async stop() {
      const over = later(room.clock.now(), stopMs);
      await Promise.race([Promise.allSettled([last, ...room.open.values()]), room.clock.sleepUntil(over)]);
      room.stopped.abort();
    },
  };
}

async function received(room: Room, octets: Uint8Array): Promise<string | undefined> {
  const { clock, keys } = room;
  const verified = await verifyOrder(octets, keys);
  if (room.stopped.signal.aborted) return undefined;
  if (verified.kind === 'forged') {
    await reportForged(room, verified.why).catch(() => {});
    return `no order: ${verified.why}`;
  }
  const now = clock.wall();
  if (verified.kind === 'misfit') {
    const { id, action, why } = verified;
    return answerOnce(room, resultOf({ id, action }, refusal('not-understood', why), now, now));
  }
  const { order, digest } = verified;
  const judgement = judgeOrder(order, digest, {
    ...room,
    now,
    trusted: room.trusted(),
    ledger: room.store.ledger,
    open: room.open.size,
  });
  if (judgement.kind === 'repeat') {
    const { result } = judgement.entry;
    // Under way still: its result comes.
    return result ? answerOnce(room, result) : undefined;
  }
  if (judgement.kind === 'refuse') {
    const { reason, why, remember } = judgement;
    const result = resultOf(order, refusal(reason, why), now, now);
    if (!remember) return answerOnce(room, result);
    await finish(room, entryOf(order, digest, now), result);
    return undefined;
  }
  const entry = entryOf(order, digest, now);
  await remember(room, entry);
  const { id, action } = order;
  room.log.info({ id, action, meter: 'meter' in order ? order.meter : null }, 'order taken');
  start(room, order, entry);
  return undefined;
}

const entryOf = (order: Order, digest: string, now: Millis): OrderEntry => ({
  id: order.id,
  digest,
  issued: Date.parse(order.issued),
  expires: Date.parse(order.expires),
  receivedAt: now,
  state: 'accepted',
  order,
});
const aboutOf = (order: Partial<Order>): Origin | null => {
  const { meter, serial, point } = order as { readonly [Key in keyof Origin]?: string };
  return meter === undefined || serial === undefined || point === undefined ? null : { meter, point, serial };
};
const resultOf = (
  order: Pick<Order, 'id'> & { readonly action: string | null },
  outcome: Outcome,
  receivedAt: number,
  at: Millis,
): ResultFact => ({
  kind: 'result',
  id: order.id,
  action: order.action,
  about: aboutOf(order as Partial<Order>),
  ...outcome,
  why: outcome.why === null ? null : cut(outcome.why, 500),
  receivedAt: iso(millis(receivedAt)),
  at: iso(at),
});

const remember = ({ store }: Room, entry: OrderEntry) =>
  store.commit({ meter: '_', entryClass: 0, facts: [], orders: { entry } });

/** Entry and result in one batch; tried until the store takes it, or the house stops: the next life finds the entry open. */
async function finish(room: Room, entry: OrderEntry, result: ResultFact): Promise<void> {
  const { store, clock, log, stopped, answered } = room;
  const { order: _, ...rest } = entry;
  while (!stopped.signal.aborted) {
    try {
      await store.commit({
        meter: '_',
        entryClass: 0,
        facts: [result],
        orders: { entry: { ...rest, state: 'done', result } },
      });
      answered.set(result.id, clock.now());
      const { id, action, outcome, reason, code } = result;
      log.info({ id, action, outcome, reason, code }, 'order answered');
      return;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ id: result.id, error: cut(error.message) }, 'the result of an order is not stored yet');
      await clock.sleepUntil(later(clock.now(), retryMs), stopped.signal);
    }
  }
}

const stopping: ErrorCode = 'gateway-stops';
/** Does it, unless the house stops meanwhile. */
function start(room: Room, order: Order, entry: OrderEntry): void {
  const { clock, store, stopped, tools } = room;
  const begin = async () => {
    if (stopped.signal.aborted) throw new Refused('interrupted', 'the gateway stops');
    const late = timeRefusal(order, { now: clock.wall(), trusted: room.trusted(), ledger: store.ledger });
    if (late?.kind === 'refuse') throw new Refused(late.reason, late.why);
    await remember(room, { ...entry, state: 'begun' });
  };
  const done = (async () => {
    const outcome = await perform(order, tools, begin);
    // Nothing was changed: whoever comes after this house finds the order accepted, and does it.
    if (outcome.code === stopping && isRead(order)) return;
    await finish(room, entry, resultOf(order, outcome, entry.receivedAt, clock.wall()));
  })();
  room.open.set(
    order.id,
    done.catch((error: unknown) => room.crash(error)).finally(() => room.open.delete(order.id)),
  );
}

/** The same answer goes out once in a while only: whoever repeats an order without end must not fill the store. */
async function answerOnce(room: Room, result: ResultFact): Promise<string | undefined> {
  const { clock, store, answered, refusals } = room;
  const now = clock.now();
  for (const [id, at] of answered) if (now - at >= quietMs) answered.delete(id);
  if (answered.has(result.id)) return undefined;
  if (now - refusals.since >= quietMs) Object.assign(refusals, { since: now, count: 0 });
  if (++refusals.count > refusalLimit) return 'more orders than are answered: repeated, or refused';
  await store.commit({ meter: '_', entryClass: 0, facts: [result] });
  answered.set(result.id, now);
  return undefined;
}

/** Somebody sends what the central system has not signed: it is reported once in a while. */
async function reportForged({ clock, store, forgeries }: Room, why: string): Promise<void> {
  forgeries.count++;
  if (clock.now() - forgeries.since < forgedEveryMs) return;
  const event = gatewayFact(clock.wall(), 'ORDERS_FORGED', { why: cut(why, 200), count: forgeries.count });
  Object.assign(forgeries, { since: clock.now(), count: 0 });
  await store.commit({ meter: '_', entryClass: 0, facts: [event] });
}

/** What an earlier life left open is answered; from when on orders are remembered; what is over is forgotten. */
async function tend(room: Room, signal: AbortSignal): Promise<void> {
  const { clock, store, log } = room;
  for (let opened = false; !signal.aborted; await clock.sleepUntil(later(clock.now(), tendEveryMs), signal)) {
    try {
      if (!opened) await closeOpen(room);
      opened = true;
      if (!room.trusted()) continue;
      const [now, { epoch, ledger }] = [clock.wall(), store];
      const { ids: forget, issued } = forgettable(ledger, now);
      if (ledger.floor !== undefined && forget.length === 0) continue;
      // Though the clock went back, what is forgotten cannot come again: what lives longer was issued later.
      const floor = { epoch, at: Math.max(ledger.floor ?? now, issued) };
      await store.commit({ meter: '_', entryClass: 0, facts: [], epoch, orders: { forget, floor } });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ error: cut(error.message) }, 'what is remembered of orders cannot be stored');
    }
  }
}

async function closeOpen(room: Room): Promise<void> {
  const left = [...room.store.ledger.entries.values()].filter(
    ({ state, id }) => state !== 'done' && !room.open.has(id),
  );
  for (const entry of left) {
    const order = entry.order as Order;
    if (isRead(order)) {
      start(room, order, entry);
      continue;
    }
    const outcome: Outcome =
      entry.state === 'accepted'
        ? refusal('interrupted', 'the gateway stopped before it came to the order')
        : {
            outcome: 'unknown',
            reason: null,
            code: null,
            why: 'the gateway stopped while it carried out the order: read the meter, and decide',
            detail: null,
          };
    await finish(room, entry, resultOf(order, outcome, entry.receivedAt, room.clock.wall()));
  }
}
