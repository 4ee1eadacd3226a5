/**
 * The head-end's side of an order: what a central system signs. The first key is that of RFC 8037, appendix A, which
 * everybody knows: it is for tests and for the example in docs/contract.md, and belongs on no gateway.
 */
import { createHash, createPrivateKey, type JsonWebKey, sign } from 'node:crypto';
import { orderType } from '../../src/command/order.ts';

const jwk = (x: string, d: string): JsonWebKey => ({ kty: 'OKP', crv: 'Ed25519', x, d });
export const centralKey = jwk(
  '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
);
/** The key that comes after it. */
export const nextKey = jwk(
  'cLUzKFZGnTHFja_TjRbJEURzru6Dj5tSrKke4gyXsHQ',
  'FG7c8-pTQOMa7POOWeX8rR795UiYQG3H0cmEuR9n6fU',
);
/** Of somebody else. */
export const foreignKey = jwk(
  'ZORwFNxngfz1T3CCUHOFAXydwIIJEtBGqGVoi5YAmto',
  'yWWRZ4NFWCfd-nuHNj9wpqBhISEgyw5JUf7pYJ6-VM4',
);

/** As it stands in the configuration of the gateway: without what is secret, and so without a name but its thumbprint. */
export const publicOf = ({ kty, crv, x }: JsonWebKey): JsonWebKey => ({
  kty: kty as string,
  crv: crv as string,
  x: x as string,
});
/** RFC 7638. */
export const kidOf = ({ crv, kty, x }: JsonWebKey): string =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');

const part = (content: unknown): string =>
  Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)).toString('base64url');

/** A compact JWS. `header` and `payload` may be what no honest sender writes; a text is taken as it is. */
export function signed(payload: object | string, key = centralKey, header: object | string = {}): string {
  const head = typeof header === 'string' ? header : { alg: 'EdDSA', kid: kidOf(key), typ: orderType, ...header };
  const input = `${part(head)}.${part(payload)}`;
  return `${input}.${sign(null, Buffer.from(input), createPrivateKey({ key, format: 'jwk' })).toString('base64url')}`;
}

let orders = 0;
/** An order of five minutes for a simulated meter of the virtual house. */
export function order(
  wall: number,
  action: string,
  more: Readonly<Record<string, unknown>> & { readonly serial?: number } = {},
): Record<string, unknown> & { readonly id: string } {
  const { serial = 60_120_001, ...rest } = more;
  const instant = (at: number) => new Date(at).toISOString();
  const meter = action === 'version' ? {} : { meter: `m${serial}`, serial: String(serial), point: `p${serial}` };
  return {
    v: 1,
    id: `order-${String(++orders).padStart(12, '0')}`,
    gateway: 'g1',
    issued: instant(wall),
    expires: instant(wall + 300_000),
    ...meter,
    action,
    ...rest,
  };
}
