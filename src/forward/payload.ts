/**
 * The contract with the central system: topics, and the schema of every payload. The same schemas build, validate and
 * document; the reference central system imports only this.
 */
import * as v from 'valibot';
import { cut } from '../base/log.ts';
import type { Fact } from '../reading/facts.ts';
import { orderOutcomes, orderRefusalNames } from '../reading/order-words.ts';
import { flags, gapCauses, qualities, reasons, voidCauses } from '../reading/quality.ts';

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

/** Words of the contract are short: what is longer is no name, no serial number and no unit. */
export const wordLimit = 200;
export const word = v.pipe(v.string(), v.maxLength(wordLimit));
/** What is said to people: an error, a detail. */
export const lineLimit = 2000;
const line = v.pipe(v.string(), v.maxLength(lineLimit));
/** Fields that the detail of an event may have. */
export const detailLimit = 64;
const number = v.pipe(v.number(), v.finite());
/** Beyond 2^53 as a decimal string. */
const integer = v.union([
  v.pipe(v.number(), v.integer(), v.minValue(Number.MIN_SAFE_INTEGER), v.maxValue(Number.MAX_SAFE_INTEGER)),
  v.pipe(v.string(), v.regex(/^-?\d{1,60}$/)),
]);
/** Only UTC, and only years of four digits. */
export const instant = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/, 'an instant in UTC'),
);
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const numbering = {
  v: v.literal(contractVersion),
  epoch: count,
  seq: v.pipe(count, v.minValue(1)),
  gateway: topicPart,
};
const origin = { meter: topicPart, point: word, serial: word };
const detail = v.nullable(
  v.pipe(v.record(word, v.nullable(v.union([line, number, v.boolean()]))), v.maxEntries(detailLimit)),
);
/** Of an order, chosen by whoever signs it: no order has the id of another one. */
export const orderId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,64}$/, '16 to 64 letters, digits, - and _'));

export const profilePayload = v.object({
  ...numbering,
  kind: v.literal('profile'),
  ...origin,
  series: word,
  start: instant,
  periodS: v.pipe(v.number(), v.minValue(0)),
  count: v.pipe(count, v.minValue(1)),
  channels: v.array(
    v.object({
      obis: word,
      unit: v.nullable(word),
      scaler: v.nullable(number),
      /** SCALER_UNKNOWN: not to be billed before its scaler and unit are known. */
      note: v.optional(word),
      register: v.optional(v.array(integer)),
      energy: v.optional(v.array(v.nullable(integer))),
      value: v.optional(v.array(integer)),
    }),
  ),
  status: v.array(v.nullable(number)),
  quality: v.array(v.picklist(qualities)),
  rev: v.array(count),
  reason: v.optional(v.array(v.nullable(v.picklist(reasons)))),
  /** Seconds that the row was stamped beside the grid of its period. */
  stampedOffS: v.optional(v.array(v.nullable(number))),
  /** What the meter's clock said of itself: invalid, doubtful, status-invalid. */
  clockSays: v.optional(v.array(v.nullable(word))),
  flags: v.optional(v.array(v.array(v.picklist(flags)))),
  readAt: instant,
  clockDeviationS: v.nullable(number),
  clockTrust: word,
});
const registers = v.nullable(v.record(word, integer));
export const gapPayload = v.object({
  ...numbering,
  kind: v.literal('gap'),
  ...origin,
  series: word,
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
  registers: v.record(word, v.object({ raw: integer, scaler: v.nullable(number), unit: v.nullable(word) })),
  clockDeviationS: v.nullable(number),
  disconnector: v.optional(v.object({ output: v.boolean(), control: number, mode: number })),
});
export const eventPayload = v.object({
  ...numbering,
  kind: v.literal('event'),
  ...origin,
  source: v.picklist(['meter', 'gateway']),
  log: v.nullable(word),
  code: v.nullable(number),
  name: word,
  at: v.nullable(instant),
  occurrence: count,
  detail,
  readAt: instant,
});
export const manifestPayload = v.object({
  ...numbering,
  kind: v.literal('manifest'),
  day: v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d$/, 'a day')),
  part: count,
  parts: count,
  series: v.array(
    v.object({
      meter: topicPart,
      point: word,
      series: word,
      from: v.optional(instant),
      to: v.optional(instant),
      periodS: number,
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
export const resultPayload = v.object({
  ...numbering,
  kind: v.literal('result'),
  id: orderId,
  action: v.nullable(word),
  about: v.nullable(v.object(origin)),
  outcome: v.picklist(orderOutcomes),
  reason: v.nullable(v.picklist(orderRefusalNames)),
  code: v.nullable(word),
  why: v.nullable(line),
  detail,
  receivedAt: instant,
  at: instant,
});
/**
 * A number under which nothing is said. SPLIT: too large for the broker, or stored by a version that did not check it; said
 * in parts, or in other words, under later numbers.
 * TOO_LARGE: it has no parts; an event UNSAYABLE_FACT tells what it was.
 */
export const voidPayload = v.object({ ...numbering, kind: v.literal('void'), cause: v.picklist(voidCauses) });
export const upPayload = v.variant('kind', [
  profilePayload,
  gapPayload,
  readingPayload,
  eventPayload,
  manifestPayload,
  resultPayload,
  voidPayload,
]);
export type UpPayload = v.InferOutput<typeof upPayload>;
/** The same without the numbers: what is checked before they are given. */
export const factSchema = v.variant('kind', [
  v.omit(profilePayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(gapPayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(readingPayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(eventPayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(manifestPayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(resultPayload, ['v', 'epoch', 'seq', 'gateway']),
  v.omit(voidPayload, ['v', 'epoch', 'seq', 'gateway']),
]);

/** What no schema of one field can say: lengths that go together, days of the calendar, each channel once. */
export function inconsistent(fact: v.InferOutput<typeof factSchema>): string | undefined {
  const days = Object.entries(fact).filter(([name]) => name === 'day' || dayFields.has(name));
  const day = days.find(([, value]) => typeof value === 'string' && !isCalendarDay(value));
  if (day) return `${day[0]}: no day of the calendar`;
  if (fact.kind === 'gap') return Date.parse(fact.end) > Date.parse(fact.start) ? undefined : 'end: not after start';
  if (fact.kind !== 'profile') return undefined;
  const { count: rows, channels, periodS } = fact;
  if (rows > 1 && periodS <= 0) return 'periodS: several intervals at one time';
  if (new Set(channels.map(({ obis }) => obis)).size < channels.length) return 'channels: one of them twice';
  const columns = [
    fact.status,
    fact.quality,
    fact.rev,
    fact.reason,
    fact.flags,
    fact.clockSays,
    fact.stampedOffS,
    ...channels.flatMap(({ register, energy, value }) => [register, energy, value]),
  ];
  return columns.every((column) => column === undefined || column.length === rows)
    ? undefined
    : `count: ${rows}, and a column of another length`;
}
const dayFields = new Set(['start', 'end', 'at', 'readAt', 'receivedAt']);
export function isCalendarDay(instant: string): boolean {
  const day = instant.slice(0, 10);
  const at = Date.parse(instant);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(day);
}

export const statePayload = v.object({
  v: v.literal(contractVersion),
  online: v.boolean(),
  boot: word,
  at: v.nullable(instant),
});
export const birthPayload = v.object({
  v: v.literal(contractVersion),
  gateway: topicPart,
  version: word,
  boot: word,
  epoch: count,
  /** Everything up to here was acknowledged before: a central system without memory begins after it. */
  acknowledged: count,
  clockTrust: word,
  configHash: word,
  capabilities: v.array(word),
  meters: v.array(v.object({ ...origin, series: v.array(v.object({ profile: word, periodS: number })) })),
  /** Where all would be too long for the broker. */
  seriesLeftOut: v.optional(v.boolean()),
  metersLeftOut: v.optional(count),
  at: instant,
});
export type BirthPayload = v.InferOutput<typeof birthPayload>;
export const healthPayload = v.object({
  v: v.literal(contractVersion),
  at: instant,
  boot: word,
  epoch: count,
  pending: count,
  oldestUnacknowledgedS: v.nullable(number),
  clockTrust: word,
  /** Why the gateway does not trust its time. */
  timeTrouble: v.optional(v.nullable(line)),
  /** What is in force, and why the file as it is now is not. */
  configuration: v.optional(v.object({ hash: word, refused: v.nullable(line) })),
  disk: v.nullable(v.object({ freeBytes: number, totalBytes: number })),
  ports: v.array(v.object({ name: word, device: line, open: v.boolean(), error: v.nullable(line) })),
  meters: v.array(
    v.object({
      meter: word,
      verdict: word,
      lastSuccess: v.nullable(word),
      missing: number,
      alarms: v.array(line),
      /** What to do about a meter that does not answer, or is not asked. */
      next: v.optional(v.nullable(line)),
    }),
  ),
  metersLeftOut: v.optional(count),
  /** What is amiss between the gateway and the head-end, and payloads of the head-end that did not fit the contract. */
  uplink: v.optional(v.object({ trouble: v.nullable(line), unfit: count, refused: count })),
  store: v.object({ failure: v.nullable(line), quarantined: number, missing: number }),
});
export type HealthPayload = v.InferOutput<typeof healthPayload>;

/** Epochs begin with the minutes since 1970: one of the year 2097 is nobody's. */
const epochLimit = 2 ** 52;
/**
 * central → gateway. Everything up to `upTo` is the head-end's, except the sequences in `nack`. `seen` is the highest
 * number of the epoch that ever came: numbers beyond a hole. Said after each birth, and when it moves.
 */
export const ackPayload = v.object({
  epoch: v.pipe(count, v.maxValue(epochLimit)),
  upTo: count,
  seen: v.optional(count),
  nack: v.optional(v.pipe(v.array(v.pipe(count, v.minValue(1))), v.maxLength(1000)), []),
});
export type AckPayload = v.InferOutput<typeof ackPayload>;

/** central → gateway: what the head-end lost after it had acknowledged it. Said again from the ledger, or read again. */
export const againPayload = v.object({ meter: topicPart, series: word, from: instant, to: instant });
export type AgainPayload = v.InferOutput<typeof againPayload>;

/** No payload of ours or theirs is longer. */
export const payloadLimit = 256 * 1024;
/** A fact, so that its message is not: what stands before it takes less. */
export const factLimit = payloadLimit - 512;

/** Parses JSON against a schema; the error says where it does not fit, without repeating what stands there. */
export function parsePayload<S extends v.GenericSchema>(
  schema: S,
  octets: Uint8Array,
): v.InferOutput<S> | { readonly unfit: string } {
  if (octets.length > payloadLimit) return { unfit: 'longer than a payload may be' };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8'));
  } catch {
    return { unfit: 'not JSON' };
  }
  return checked(schema, value);
}
/** The value, where it fits its schema. */
export function checked<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
): v.InferOutput<S> | { readonly unfit: string } {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = cut(v.getDotPath(issue) ?? '(top)', 80);
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return { unfit: `${path}: there is no such member` };
  if (issue.type === 'strict_object' && issue.received === 'undefined') return { unfit: `${path}: missing` };
  return { unfit: `${path}: ${cut(issue.expected ?? issue.type, 80)} expected` };
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
