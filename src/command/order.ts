/**
 * The orders of the central system, as they stand in the payload of a JWS. Every schema is strict: what no row knows is
 * refused, and so is what a later version adds.
 */
import * as v from 'valibot';
import { instant, isCalendarDay, orderId, topicPart, word } from '../contract/words.ts';
import type { OrderAction } from '../reading/order-words.ts';

/** Of the JWS, octets: refused before anything of it is looked at. */
export const orderLimit = 8 * 1024;
/** `typ` of the header: what was signed for something else is no order. */
export const orderType = 'amr-order+jws';
/** So long an order lives at most. */
export const maxLifeMs = 24 * 3_600_000;

const day = v.pipe(instant, v.check(isCalendarDay, 'a day of the calendar'));
const common = {
  v: v.literal(1),
  id: orderId,
  gateway: topicPart,
  issued: day,
  expires: day,
};
const ofMeter = {
  ...common,
  meter: topicPart,
  serial: v.pipe(word, v.minLength(1)),
  point: v.pipe(word, v.minLength(1)),
};
const action = <const Name extends string>(name: Name) => ({ action: v.literal(name) });
const hex = (least: number, most: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^(?:[0-9a-f]{2}){${least},${most}}$`), `${least} to ${most} octets in hex`));

/** Under the master key of the meter (RFC 3394): a key of 16 or 32 octets takes 24 or 40. */
const wrappedKey = v.strictObject({
  wrapped: v.pipe(v.string(), v.regex(/^([0-9a-f]{48}|[0-9a-f]{80})$/, '24 or 40 octets in hex')),
  print: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, '32 digits in hex')),
});

export const orderPayloads = {
  read: v.strictObject({ ...ofMeter, ...action('read') }),
  again: v.strictObject({ ...ofMeter, ...action('again'), series: word, from: day, to: day }),
  'set-clock': v.strictObject({ ...ofMeter, ...action('set-clock') }),
  disconnect: v.strictObject({ ...ofMeter, ...action('disconnect') }),
  reconnect: v.strictObject({ ...ofMeter, ...action('reconnect') }),
  firmware: v.strictObject({
    ...ofMeter,
    ...action('firmware'),
    image: hex(32, 32),
    identifier: v.pipe(word, v.minLength(1), v.maxLength(64)),
    activate: v.boolean(),
  }),
  'change-keys': v.strictObject({
    ...ofMeter,
    ...action('change-keys'),
    keys: v.pipe(
      v.strictObject({ encryption: v.optional(wrappedKey), authentication: v.optional(wrappedKey) }),
      v.check(({ encryption, authentication }) => Boolean(encryption ?? authentication), 'at least one key'),
    ),
  }),
  trace: v.strictObject({
    ...ofMeter,
    ...action('trace'),
    minutes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10)),
  }),
  version: v.strictObject({ ...common, ...action('version') }),
} as const;
export const orderPayload = v.variant('action', [
  orderPayloads.read,
  orderPayloads.again,
  orderPayloads['set-clock'],
  orderPayloads.disconnect,
  orderPayloads.reconnect,
  orderPayloads.firmware,
  orderPayloads['change-keys'],
  orderPayloads.trace,
  orderPayloads.version,
]);
export type Order = v.InferOutput<typeof orderPayload>;
export type MeterOrder = Exclude<Order, { action: 'version' }>;

/** What of an order can be answered although it does not fit: its sender is known by the signature. */
export const orderStub = v.object({ id: orderId });

/** It changes nothing: after a crash it is done again. */
export const isRead = (order: { readonly action: string | null } | undefined): boolean =>
  reads.has(order?.action ?? '');
const reads: ReadonlySet<string> = new Set<OrderAction>(['read', 'again', 'trace', 'version']);
