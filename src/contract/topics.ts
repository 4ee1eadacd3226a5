/** The topics of the contract. Who speaks is said by the topic, which the access rules of the broker guard. */
export interface Topics {
  readonly state: string;
  readonly birth: string;
  readonly health: string;
  readonly ack: string;
  readonly again: string;
  readonly command: string;
  readonly result: string;
  up(meter: string, what: string): string;
}
export function topics(tenant: string, gateway: string): Topics {
  const base = `amr/v1/${tenant}/${gateway}`;
  return {
    state: `${base}/state`,
    birth: `${base}/birth`,
    health: `${base}/health`,
    ack: `${base}/down/ack`,
    again: `${base}/down/again`,
    command: `${base}/down/cmd`,
    result: `${base}/up/_/result`,
    up: (meter, what) => `${base}/up/${meter}/${what}`,
  };
}
/** What a central system subscribes to for a tenant. */
export const upFilter = (tenant: string): string => `amr/v1/${tenant}/+/up/+/+`;
export const birthFilter = (tenant: string): string => `amr/v1/${tenant}/+/birth`;

/** Who speaks on a topic, and about what; undefined where it is no topic from a gateway. */
export type Speaker =
  | { readonly tenant: string; readonly gateway: string; readonly what: 'state' | 'birth' | 'health' }
  | {
      readonly tenant: string;
      readonly gateway: string;
      readonly what: 'up';
      readonly meter: string;
      readonly kind: string;
    };
const parts = /^[A-Za-z0-9_-]{1,64}$/;
export function speakerOf(topic: string): Speaker | undefined {
  const [amr, version, tenant = '', gateway = '', what, meter = '', kind = '', ...more] = topic.split('/');
  if (amr !== 'amr' || version !== 'v1' || !parts.test(tenant) || !parts.test(gateway) || more.length > 0)
    return undefined;
  if (what === 'up') return parts.test(meter) && parts.test(kind) ? { tenant, gateway, what, meter, kind } : undefined;
  if (meter !== '' || topic.endsWith('/')) return undefined;
  return what === 'state' || what === 'birth' || what === 'health' ? { tenant, gateway, what } : undefined;
}
