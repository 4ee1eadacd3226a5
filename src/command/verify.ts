/**
 * From octets to an order that the central system signed: compact JWS (RFC 7515), EdDSA with Ed25519 and nothing else, by
 * keys that are pinned on the gateway. Nothing of what is unsigned is believed, repeated or answered.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { checked, isUnfit } from '../contract/parse.ts';
import { hasDuplicateMember } from './json-members.ts';
import type { OrderKeys } from './keys.ts';
import { type Order, orderLimit, orderPayload, orderStub, orderType } from './order.ts';

/** `forged`: nobody can say who sent it. `misfit`: signed, and no order that this version knows. */
export type Verified =
  | { readonly kind: 'order'; readonly order: Order; readonly digest: string }
  | { readonly kind: 'misfit'; readonly id: string; readonly action: string | null; readonly why: string }
  | { readonly kind: 'forged'; readonly why: string };

/** Strict: `crit`, `b64`, `jwk`, `jku`, `x5c` and whatever else would have us believe something is refused. */
const header = v.strictObject({
  alg: v.literal('EdDSA'),
  kid: v.pipe(v.string(), v.maxLength(128)),
  typ: v.literal(orderType),
});
const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}$/;
/** The bits that a last letter has too many are zero: one order has one spelling. */
const isCanonical = (part: string): boolean => Buffer.from(part, 'base64url').toString('base64url') === part;
/** Loaded by the first order: a gateway that takes none has no need of it. */
let verifier: Promise<typeof import('jose/jws/compact/verify')> | undefined;
const forged = (why: string): Verified => ({ kind: 'forged', why });

export async function verifyOrder(octets: Uint8Array, keys: OrderKeys): Promise<Verified> {
  if (octets.length > orderLimit) return forged('longer than an order may be');
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1');
  if (!shape.test(text) || !text.split('.').every(isCanonical)) return forged('no compact JWS');
  const head = jsonOf(Buffer.from(text.slice(0, text.indexOf('.')), 'base64url'));
  if (isUnfit(head)) return forged(`header: ${head.unfit}`);
  const fit = checked(header, head.value);
  if (isUnfit(fit)) return forged(`header: ${fit.unfit}`);
  const key = keys.get(fit.kid);
  if (!key) return forged('header: a kid that is not pinned here');
  verifier ??= import('jose/jws/compact/verify');
  const { compactVerify } = await verifier;
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(text, key, { algorithms: ['EdDSA'] }));
  } catch {
    return forged('signature');
  }
  return signedOrder(payload);
}

/** From here on the sender is known. */
function signedOrder(payload: Uint8Array): Verified {
  const content = jsonOf(payload);
  if (isUnfit(content)) return forged(`payload: ${content.unfit}`);
  const order = checked(orderPayload, content.value);
  if (!isUnfit(order)) return { kind: 'order', order, digest: createHash('sha256').update(payload).digest('hex') };
  const stub = checked(orderStub, content.value);
  if (isUnfit(stub)) return forged(`payload: ${stub.unfit}`);
  const { action } = content.value as { readonly action?: unknown };
  return {
    kind: 'misfit',
    id: stub.id,
    action: typeof action === 'string' ? action.slice(0, 32) : null,
    why: order.unfit,
  };
}

function jsonOf(octets: Uint8Array): { readonly value: unknown } | { readonly unfit: string } {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
    value = JSON.parse(text);
  } catch {
    return { unfit: 'not JSON' };
  }
  return hasDuplicateMember(text) ? { unfit: 'a member stands twice' } : { value };
}
