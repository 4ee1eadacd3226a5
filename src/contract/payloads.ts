/**
 * The contract with the central system: the schema of every payload. The same schemas build, validate and document; both
 * sides import them. What JSON Schema cannot say is a check with a sentence.
 */
import * as v from 'valibot';
import { orderOutcomes, orderRefusalNames } from '../reading/order-words.ts';
import { flags, gapCauses, qualities, reasons, voidCauses } from '../reading/quality.ts';
import { accountRule, blockRules, endRule } from './consistent.ts';
import {
  count,
  day,
  detailLimit,
  finite,
  instant,
  integer,
  line,
  measuredInstant,
  nominalPeriod,
  orderId,
  topicPart,
  word,
} from './words.ts';

export const contractVersion = 1;
/** Epochs begin with the minutes since 1970: one of the year 2097 is nobody's. */
const epochLimit = 2 ** 52;
const epoch = v.pipe(count, v.maxValue(epochLimit));
const numbering = {
  v: v.literal(contractVersion),
  epoch,
  seq: v.pipe(count, v.minValue(1)),
  gateway: topicPart,
};
const origin = { meter: topicPart, point: word, serial: word };
const detail = v.nullable(
  v.pipe(v.record(word, v.nullable(v.union([line, finite, v.boolean()]))), v.maxEntries(detailLimit)),
);
const profileEntries = {
  kind: v.literal('profile'),
  ...origin,
  series: word,
  start: measuredInstant,
  /** Whole seconds on the grid; a capture beside it has its own length. */
  periodS: v.pipe(v.number(), v.gtValue(0), v.maxValue(31 * 86_400)),
  count: v.pipe(count, v.minValue(1)),
  channels: v.array(
    v.object({
      obis: word,
      unit: v.nullable(word),
      scaler: v.nullable(finite),
      /** SCALER_UNKNOWN: not to be billed before its scaler and unit are known. */
      note: v.optional(word),
      register: v.optional(v.array(integer)),
      energy: v.optional(v.array(v.nullable(integer))),
      value: v.optional(v.array(integer)),
    }),
  ),
  status: v.array(v.nullable(finite)),
  quality: v.array(v.picklist(qualities)),
  rev: v.array(count),
  reason: v.optional(v.array(v.nullable(v.picklist(reasons)))),
  /** Seconds that the row was stamped beside the grid of its period. */
  stampedOffS: v.optional(v.array(v.nullable(finite))),
  /** What the meter's clock said of itself: invalid, doubtful, status-invalid. */
  clockSays: v.optional(v.array(v.nullable(word))),
  flags: v.optional(v.array(v.array(v.picklist(flags)))),
  readAt: instant,
  clockDeviationS: v.nullable(finite),
  clockTrust: word,
};
const registers = v.nullable(v.record(word, integer));
const gapEntries = {
  kind: v.literal('gap'),
  ...origin,
  series: word,
  start: measuredInstant,
  end: measuredInstant,
  cause: v.picklist(gapCauses),
  before: registers,
  after: registers,
  rev: count,
  reason: v.optional(v.picklist(reasons)),
  readAt: instant,
};
const readingEntries = {
  kind: v.literal('reading'),
  ...origin,
  readAt: instant,
  registers: v.record(word, v.object({ raw: integer, scaler: v.nullable(finite), unit: v.nullable(word) })),
  clockDeviationS: v.nullable(finite),
  disconnector: v.optional(v.object({ output: v.boolean(), control: finite, mode: finite })),
};
const eventEntries = {
  kind: v.literal('event'),
  ...origin,
  source: v.picklist(['meter', 'gateway']),
  log: v.nullable(word),
  code: v.nullable(finite),
  name: word,
  at: v.nullable(instant),
  occurrence: count,
  detail,
  readAt: instant,
};
const manifestEntries = {
  kind: v.literal('manifest'),
  day,
  part: count,
  parts: count,
  series: v.array(
    v.object({
      meter: topicPart,
      point: word,
      series: word,
      from: v.optional(measuredInstant),
      to: v.optional(measuredInstant),
      periodS: nominalPeriod,
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
};
const resultEntries = {
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
};
/**
 * A number under which nothing is said. SPLIT: too large for the broker, or stored by a version that did not check it; said
 * in parts, or in other words, under later numbers.
 * TOO_LARGE: it has no parts; an event UNSAYABLE_FACT tells what it was.
 */
const voidEntries = { kind: v.literal('void'), cause: v.picklist(voidCauses) };

/** A message has the numbers; a fact, which is checked before they are given, has not. */
export const profilePayload = v.pipe(
  v.object({ ...numbering, ...profileEntries }),
  v.check((block) => blockRules.columns[0](block), blockRules.columns[1]),
  v.check((block) => blockRules.grid[0](block), blockRules.grid[1]),
  v.check((block) => blockRules.channels[0](block), blockRules.channels[1]),
  v.check((block) => blockRules.century[0](block), blockRules.century[1]),
);
const profileFact = v.pipe(
  v.object(profileEntries),
  v.check((block) => blockRules.columns[0](block), blockRules.columns[1]),
  v.check((block) => blockRules.grid[0](block), blockRules.grid[1]),
  v.check((block) => blockRules.channels[0](block), blockRules.channels[1]),
  v.check((block) => blockRules.century[0](block), blockRules.century[1]),
);
export const gapPayload = v.pipe(
  v.object({ ...numbering, ...gapEntries }),
  v.check((gap) => endRule[0](gap), endRule[1]),
);
const gapFact = v.pipe(
  v.object(gapEntries),
  v.check((gap) => endRule[0](gap), endRule[1]),
);
export const readingPayload = v.object({ ...numbering, ...readingEntries });
export const eventPayload = v.object({ ...numbering, ...eventEntries });
export const manifestPayload = v.pipe(
  v.object({ ...numbering, ...manifestEntries }),
  v.check((account) => accountRule[0](account), accountRule[1]),
);
const manifestFact = v.pipe(
  v.object(manifestEntries),
  v.check((account) => accountRule[0](account), accountRule[1]),
);
export const resultPayload = v.object({ ...numbering, ...resultEntries });
export const voidPayload = v.object({ ...numbering, ...voidEntries });
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
/** The message of one kind. */
export type Message<K extends UpPayload['kind']> = UpPayload & { kind: K };
export const factSchema = v.variant('kind', [
  profileFact,
  gapFact,
  v.object(readingEntries),
  v.object(eventEntries),
  manifestFact,
  v.object(resultEntries),
  v.object(voidEntries),
]);

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
  epoch,
  /** Everything up to here was acknowledged before: a central system without memory begins after it. */
  acknowledged: count,
  clockTrust: word,
  configHash: word,
  capabilities: v.array(word),
  meters: v.array(v.object({ ...origin, series: v.array(v.object({ profile: word, periodS: nominalPeriod })) })),
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
  epoch,
  /** As in the birth, and of now: what a head-end lost since then is seen without a new connection. */
  acknowledged: v.optional(count),
  pending: count,
  oldestUnacknowledgedS: v.nullable(finite),
  clockTrust: word,
  /** Why the gateway does not trust its time. */
  timeTrouble: v.optional(v.nullable(line)),
  /** What is in force, and why the file as it is now is not. */
  configuration: v.optional(v.object({ hash: word, refused: v.nullable(line) })),
  disk: v.nullable(v.object({ freeBytes: finite, totalBytes: finite })),
  ports: v.array(v.object({ name: word, device: line, open: v.boolean(), error: v.nullable(line) })),
  meters: v.array(
    v.object({
      meter: word,
      verdict: word,
      lastSuccess: v.nullable(word),
      missing: finite,
      alarms: v.array(line),
      /** What to do about a meter that does not answer, or is not asked. */
      next: v.optional(v.nullable(line)),
    }),
  ),
  metersLeftOut: v.optional(count),
  /** What is amiss between the gateway and the head-end, and payloads of the head-end that did not fit the contract. */
  uplink: v.optional(v.object({ trouble: v.nullable(line), unfit: count, refused: count })),
  store: v.object({ failure: v.nullable(line), quarantined: finite, missing: finite }),
});
export type HealthPayload = v.InferOutput<typeof healthPayload>;

/**
 * central → gateway. Everything up to `upTo` is the head-end's, except the sequences in `nack`. `seen` is the highest
 * number of the epoch that ever came: numbers beyond a hole. Said after each birth, and when it moves.
 */
export const ackPayload = v.object({
  epoch,
  upTo: count,
  seen: v.optional(count),
  nack: v.optional(v.pipe(v.array(v.pipe(count, v.minValue(1))), v.maxLength(1000)), []),
});
export type AckPayload = v.InferOutput<typeof ackPayload>;

/** So much is asked for at once. */
const againDays = 400;
/** central → gateway: what the head-end lost after it had acknowledged it. Said again from the ledger, or read again. */
export const againPayload = v.pipe(
  v.object({ meter: topicPart, series: word, from: instant, to: instant }),
  v.check(
    ({ from, to }) => Date.parse(to) > Date.parse(from) && Date.parse(to) - Date.parse(from) <= againDays * 86_400_000,
    `from and to: at most ${againDays} days, and to after from`,
  ),
);
export type AgainPayload = v.InferOutput<typeof againPayload>;
