/**
 * The contract with the central system: topics, and the schema of every payload. The same schemas build, validate and
 * document; the reference central system imports only this.
 */
import * as v from 'valibot';
import type { Fact } from '../reading/facts.ts';
import { flags, gapCauses, qualities, reasons } from '../reading/quality.ts';

export const contractVersion = 1;
/** One level of a topic: never from free text. */
export const topicPart = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'only letters, digits, - and _, at most 64'),
);

export interface Topics {
  readonly state: string;
  readonly birth: string;
  readonly health: string;
  readonly ack: string;
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
    command: `${base}/down/cmd`,
    result: `${base}/up/_/result`,
    up: (meter, what) => `${base}/up/${meter}/${what}`,
  };
}
/** What a central system subscribes to for a tenant. */
export const upFilter = (tenant: string): string => `amr/v1/${tenant}/+/up/+/+`;
export const birthFilter = (tenant: string): string => `amr/v1/${tenant}/+/birth`;

const integer = v.union([v.pipe(v.number(), v.integer()), v.pipe(v.string(), v.regex(/^-?\d+$/))]);
const instant = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const numbering = {
  v: v.literal(contractVersion),
  epoch: count,
  seq: v.pipe(count, v.minValue(1)),
  gateway: topicPart,
};
const origin = { meter: topicPart, point: v.string(), serial: v.string() };

export const profilePayload = v.object({
  ...numbering,
  kind: v.literal('profile'),
  ...origin,
  series: v.string(),
  start: instant,
  periodS: v.pipe(v.number(), v.minValue(0)),
  count: v.pipe(count, v.minValue(1)),
  channels: v.array(
    v.object({
      obis: v.string(),
      unit: v.nullable(v.string()),
      scaler: v.nullable(v.number()),
      register: v.optional(v.array(integer)),
      energy: v.optional(v.array(v.nullable(integer))),
      value: v.optional(v.array(integer)),
    }),
  ),
  status: v.array(v.nullable(v.number())),
  quality: v.array(v.picklist(qualities)),
  rev: v.array(count),
  reason: v.optional(v.array(v.nullable(v.picklist(reasons)))),
  flags: v.optional(v.array(v.array(v.picklist(flags)))),
  readAt: instant,
  clockDeviationS: v.nullable(v.number()),
  clockTrust: v.string(),
});
const registers = v.nullable(v.record(v.string(), integer));
export const gapPayload = v.object({
  ...numbering,
  kind: v.literal('gap'),
  ...origin,
  series: v.string(),
  start: instant,
  end: instant,
  cause: v.picklist(gapCauses),
  before: registers,
  after: registers,
  rev: count,
  reason: v.optional(v.picklist(reasons)),
  readAt: instant,
});
export const readingPayload = v.object({
  ...numbering,
  kind: v.literal('reading'),
  ...origin,
  readAt: instant,
  registers: v.record(
    v.string(),
    v.object({ raw: integer, scaler: v.nullable(v.number()), unit: v.nullable(v.string()) }),
  ),
  clockDeviationS: v.nullable(v.number()),
  disconnector: v.optional(v.object({ output: v.boolean(), control: v.number(), mode: v.number() })),
});
export const eventPayload = v.object({
  ...numbering,
  kind: v.literal('event'),
  ...origin,
  source: v.picklist(['meter', 'gateway']),
  log: v.nullable(v.string()),
  code: v.nullable(v.number()),
  name: v.string(),
  at: v.nullable(instant),
  occurrence: count,
  detail: v.nullable(v.record(v.string(), v.nullable(v.union([v.string(), v.number(), v.boolean()])))),
  readAt: instant,
});
export const manifestPayload = v.object({
  ...numbering,
  kind: v.literal('manifest'),
  day: v.pipe(v.string(), v.isoDate()),
  part: count,
  parts: count,
  series: v.array(
    v.object({
      meter: topicPart,
      point: v.string(),
      series: v.string(),
      from: v.optional(instant),
      to: v.optional(instant),
      periodS: v.number(),
      expected: count,
      measured: count,
      uncertain: count,
      outage: count,
      missing: count,
      lost: count,
      pending: count,
      digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    }),
  ),
  readAt: instant,
});
export const voidPayload = v.object({ ...numbering, kind: v.literal('void'), cause: v.literal('STORE_DAMAGED') });
export const upPayload = v.variant('kind', [
  profilePayload,
  gapPayload,
  readingPayload,
  eventPayload,
  manifestPayload,
  voidPayload,
]);
export type UpPayload = v.InferOutput<typeof upPayload>;

export const statePayload = v.object({
  v: v.literal(contractVersion),
  online: v.boolean(),
  boot: v.string(),
  at: v.nullable(instant),
});
export const birthPayload = v.object({
  v: v.literal(contractVersion),
  gateway: topicPart,
  version: v.string(),
  boot: v.string(),
  epoch: count,
  /** Everything up to here was acknowledged before: a central system without memory begins after it. */
  acknowledged: count,
  clockTrust: v.string(),
  configHash: v.string(),
  capabilities: v.array(v.string()),
  meters: v.array(v.object({ ...origin, series: v.array(v.object({ profile: v.string(), periodS: v.number() })) })),
  at: instant,
});
export type BirthPayload = v.InferOutput<typeof birthPayload>;
export const healthPayload = v.object({
  v: v.literal(contractVersion),
  at: instant,
  boot: v.string(),
  epoch: count,
  pending: count,
  oldestUnacknowledgedS: v.nullable(v.number()),
  clockTrust: v.string(),
  disk: v.nullable(v.object({ freeBytes: v.number(), totalBytes: v.number() })),
  ports: v.array(v.object({ name: v.string(), device: v.string(), open: v.boolean(), error: v.nullable(v.string()) })),
  meters: v.array(
    v.object({
      meter: v.string(),
      verdict: v.string(),
      lastSuccess: v.nullable(v.string()),
      missing: v.number(),
      alarms: v.array(v.string()),
    }),
  ),
  store: v.object({ failure: v.nullable(v.string()), quarantined: v.number(), missing: v.number() }),
});
export type HealthPayload = v.InferOutput<typeof healthPayload>;

/** central → gateway. Everything up to `upTo` is the head-end's, except the sequences in `nack`. */
export const ackPayload = v.object({
  epoch: count,
  upTo: count,
  nack: v.optional(v.pipe(v.array(v.pipe(count, v.minValue(1))), v.maxLength(1000)), []),
});
export type AckPayload = v.InferOutput<typeof ackPayload>;

/** No payload of ours or theirs is longer. */
export const payloadLimit = 256 * 1024;

/** Parses JSON against a schema; the error says where it does not fit. */
export function parsePayload<S extends v.GenericSchema>(
  schema: S,
  octets: Uint8Array,
): v.InferOutput<S> | { readonly unfit: string } {
  if (octets.length > payloadLimit) return { unfit: `${octets.length} octets` };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8'));
  } catch {
    return { unfit: 'not JSON' };
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  return { unfit: `${v.getDotPath(issue) ?? '(top)'}: ${issue.message}` };
}
export const isUnfit = (value: unknown): value is { readonly unfit: string } =>
  typeof value === 'object' && value !== null && 'unfit' in value;

/** The message of a fact that is JSON already: its topic, and its payload with the numbers before it. */
export function messageOfFact(
  { kind, meter, text }: { readonly kind: Fact['kind']; readonly meter: string; readonly text: string },
  numbers: { epoch: number; seq: number; gateway: string },
  of: Topics,
): { topic: string; payload: string } {
  const head = JSON.stringify({ v: contractVersion, ...numbers });
  return { topic: of.up(meter, kind === 'void' ? 'event' : kind), payload: `${head.slice(0, -1)},${text.slice(1)}` };
}
