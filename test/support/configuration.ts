/** The configuration file of a test: tables as objects, typed by the schema, written as TOML in the order of their keys. */
import type { InferInput } from 'valibot';
import type { configSchema } from '../../src/config/schema.ts';

type Given = InferInput<typeof configSchema>;
type GivenPort = NonNullable<Given['port']>[number];
type GivenListen = NonNullable<Given['listen']>[number];
export type GatewayKeys = Partial<Given['gateway']>;
export type MqttKeys = Partial<Given['mqtt']>;
export type OrdersKeys = NonNullable<Given['orders']>;
export type MeterKeys = Partial<NonNullable<GivenPort['meter']>[number]>;
export type PushingKeys = Partial<NonNullable<GivenListen['meter']>[number]>;
export type PortKeys = Partial<Omit<GivenPort, 'meter'>>;
export interface ConfigurationKeys {
  readonly gateway?: GatewayKeys;
  readonly mqtt?: MqttKeys;
  readonly orders?: OrdersKeys | undefined;
  readonly log?: Given['log'];
  /** Left out: no page, for many gateways run side by side. */
  readonly page?: Given['page'];
  readonly port?: readonly (PortKeys & { readonly meter?: readonly MeterKeys[] })[];
  readonly listen?: readonly (Partial<Omit<GivenListen, 'meter'>> & { readonly meter?: readonly PushingKeys[] })[];
}

/** How the clients of a simulated meter are entered whose secrets are virtual (virtual-house.ts). */
export const lls = { client: 17, auth: 'lls', secret: 'file:/secret' } as const satisfies MeterKeys;
export const gmac = {
  client: 5,
  auth: 'hls-gmac',
  encryption_key: 'file:/ek',
  authentication_key: 'file:/ak',
} as const satisfies MeterKeys;
/** A meter that is called by its serial number. */
export const meterOf = (serial: number | string, keys: MeterKeys = {}): MeterKeys => ({
  id: `m${serial}`,
  point: `p${serial}`,
  serial: String(serial),
  ...keys,
});

/** One value: tables within are inline, so that every key stands on one line. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return `{ ${linesOf(value).join(', ')} }`;
  return JSON.stringify(value);
}
const linesOf = (keys: object): string[] =>
  Object.entries(keys).flatMap(([key, value]) =>
    value === undefined ? [] : [`${/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)} = ${valueText(value)}`],
  );
const table = (head: string, keys: object): string => [head, ...linesOf(keys), ''].join('\n');

/** A sound file; what is not given is one meter, m1, behind a converter where nobody listens. */
export function configuration({
  gateway,
  mqtt,
  orders,
  log,
  page = { listen: 'off' },
  port = [{}],
  listen = [],
}: ConfigurationKeys): string {
  let meters = 0;
  return [
    table('[gateway]', { id: 'g', tenant: 't', ...gateway }),
    table('[mqtt]', { url: 'mqtt://localhost', ...mqtt }),
    ...(orders === undefined ? [] : [table('[orders]', orders)]),
    ...(log === undefined ? [] : [table('[log]', log)]),
    ...port.flatMap(({ meter = [{}], ...keys }, i) => [
      table('[[port]]', { name: i === 0 ? 'bus' : `bus${i}`, device: 'tcp://127.0.0.1:1', ...keys }),
      ...meter.map((one) => table('[[port.meter]]', { ...meterOf(++meters), ...one })),
    ]),
    ...listen.flatMap(({ meter = [], ...keys }, i) => [
      table('[[listen]]', { name: i === 0 ? 'push' : `push${i}`, device: 'tcp://127.0.0.1:0', ...keys }),
      ...meter.map((one) => table('[[listen.meter]]', { ...meterOf(++meters), ...one })),
    ]),
    table('[page]', page),
  ].join('');
}
