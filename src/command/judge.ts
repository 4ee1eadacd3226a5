/** Whether a signed order is for this gateway, for now, and for a meter as it is configured. Pure. */
import { iso, type Millis, millis } from '../base/time.ts';
import type { Origin } from '../reading/facts.ts';
import type { OrderAction, OrderRefusal } from '../reading/order-words.ts';
import type { OrderEntry, OrderLedger } from '../store/order-ledger.ts';
import { isRead, maxLifeMs, type Order } from './order.ts';

/** The clock of whoever signs may be so much ahead. */
export const futureToleranceMs = 120_000;
/** An entry stays so long beyond the end of its order: longer than any order lives that was issued before. */
export const keepMs = maxLifeMs;
/** Entries, and orders that wait or are under way. */
export const ledgerLimit = 1000;
export const openLimit = 16;

export interface JudgeContext {
  readonly gateway: string;
  readonly now: Millis;
  readonly trusted: boolean;
  readonly ledger: OrderLedger;
  readonly open: number;
  readonly enabled: ReadonlySet<OrderAction>;
  /** A configured meter, by its id. */
  readonly meterOf: (id: string) => Origin | undefined;
}
export type Judgement =
  | { readonly kind: 'take' }
  | { readonly kind: 'repeat'; readonly entry: OrderEntry }
  /** `remember`: what is wrong lies in the order itself, so that its id has its answer for good. */
  | { readonly kind: 'refuse'; readonly reason: OrderRefusal; readonly why: string; readonly remember: boolean };

const refuse = (reason: OrderRefusal, why: string, remember = false): Judgement => ({
  kind: 'refuse',
  reason,
  why,
  remember,
});

export function judgeOrder(order: Order, digest: string, context: JudgeContext): Judgement {
  const { gateway, ledger } = context;
  if (order.gateway !== gateway) return refuse('wrong-gateway', `this is ${gateway}`);
  const known = ledger.entries.get(order.id);
  if (known)
    return known.digest === digest
      ? { kind: 'repeat', entry: known }
      : refuse('id-reused', 'another order had this id');
  return timeRefusal(order, context) ?? meterRefusal(order, context) ?? roomRefusal(context) ?? { kind: 'take' };
}

/** Why the order is not valid at this moment. */
export function timeRefusal(
  order: Order,
  context: Pick<JudgeContext, 'now' | 'trusted' | 'ledger'>,
): Judgement | undefined {
  const { now, trusted, ledger } = context;
  if (!trusted) return refuse('clock-untrusted', 'the gateway does not know the time');
  const [issued, expires] = [Date.parse(order.issued), Date.parse(order.expires)];
  if (expires <= issued || expires - issued > maxLifeMs) return refuse('lives-too-long', 'at most 24 h');
  if (issued > now + futureToleranceMs) return refuse('from-the-future', `here it is ${iso(now)}`);
  if (expires <= now) return refuse('expired', `here it is ${iso(now)}`);
  const { floor } = ledger;
  if (floor === undefined) return refuse('before-ledger', 'no order is remembered yet');
  return issued <= floor ? refuse('before-ledger', `orders are remembered since ${iso(millis(floor))}`) : undefined;
}

function meterRefusal(order: Order, { meterOf, enabled }: JudgeContext): Judgement | undefined {
  if (order.action !== 'version') {
    const meter = meterOf(order.meter);
    if (!meter) return refuse('wrong-meter', 'no meter of this id is configured', true);
    if (meter.serial !== order.serial) return refuse('wrong-serial', 'the configured meter has another one', true);
    if (meter.point !== order.point) return refuse('wrong-point', 'the configured meter hangs at another one', true);
  }
  return enabled.has(order.action)
    ? undefined
    : refuse('not-enabled', `[orders] does not enable ${order.action}`, true);
}

const roomRefusal = ({ open, ledger }: JudgeContext): Judgement | undefined =>
  open >= openLimit || ledger.entries.size >= ledgerLimit
    ? refuse('too-many', `${open} orders are open, ${ledger.entries.size} are remembered`)
    : undefined;

/**
 * Orders that are so long over that they cannot come again, and up to when the last of them was issued. What changes nothing is
 * forgotten as soon as it has expired: there may be many of them, and it would do no harm.
 */
export function forgettable(
  { entries }: OrderLedger,
  now: Millis,
): { readonly ids: string[]; readonly issued: number } {
  const done = [...entries.values()].filter(({ state }) => state === 'done');
  const changing = done.filter(({ result, expires }) => !isRead(result) && expires + keepMs < now);
  const reads = done.filter(({ result, expires }) => isRead(result) && expires < now);
  return {
    ids: [...changing, ...reads].map(({ id }) => id),
    issued: Math.max(0, ...changing.map(({ issued }) => issued)),
  };
}
