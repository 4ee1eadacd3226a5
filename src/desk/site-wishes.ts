/** What may be asked of the site at the desk: commission, displays, attachments, reports. */
import * as v from 'valibot';
import { entrySchema } from '../commission/work-list.ts';

const id = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const short = v.pipe(v.string(), v.maxLength(60));
const words = v.pipe(v.string(), v.maxLength(200));
const ratio = v.nullable(v.pipe(v.string(), v.regex(/^\d{1,6}\/\d{1,6}$/)));
const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const expectation = { place: v.nullable(words), currentTransformer: ratio, voltageTransformer: ratio };
const proposals = v.pipe(
  v.array(v.strictObject({ port: id, ...expectation, place: words, keys: v.record(v.string(), v.unknown()) })),
  v.maxLength(200),
);
export const commissionWishes = v.strictObject({
  meters: v.optional(v.pipe(v.array(id), v.maxLength(1000))),
  expected: v.optional(v.array(v.strictObject({ meter: id, ...expectation }))),
  proposals: v.optional(proposals),
  who: v.optional(words),
  exchanges: v.optional(whole(1, 1000)),
  again: v.optional(v.boolean()),
});
const address = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16_383));
export const planWishes = v.strictObject({
  port: id,
  found: v.pipe(
    v.array(
      v.strictObject({
        entry: entrySchema,
        serial: v.optional(words),
        reach: v.optional(v.strictObject({ logical: address, physical: v.optional(v.nullable(address)) })),
      }),
    ),
    v.maxLength(200),
  ),
  like: v.optional(id),
  client: v.optional(whole(1, 127)),
  auth: v.optional(short),
  secret: v.optional(words),
  encryptionKey: v.optional(words),
  authenticationKey: v.optional(words),
  model: v.optional(short),
});
export const takeWishes = v.strictObject({ proposals, who: v.optional(words) });
export const displayWishes = v.strictObject({ meter: id, obis: short, shown: short });
/** A photo of eight megabytes in base64. */
const maxOctetsText = 11_200_000;
export const attachWishes = v.strictObject({
  meter: id,
  note: v.optional(v.pipe(v.string(), v.maxLength(2000))),
  name: v.optional(words),
  octets: v.optional(v.pipe(v.string(), v.maxLength(maxOctetsText), v.base64())),
});
export const signOffWishes = v.strictObject({
  who: v.optional(words),
  note: v.optional(v.pipe(v.string(), v.maxLength(2000))),
});
export type CommissionWishes = v.InferOutput<typeof commissionWishes>;
export type PlanWishes = v.InferOutput<typeof planWishes>;
export type DisplayWishes = v.InferOutput<typeof displayWishes>;
export type AttachWishes = v.InferOutput<typeof attachWishes>;
export const reportForms = ['json', 'html', 'pdf'] as const;
export type ReportForm = (typeof reportForms)[number];
/** A report in the folder of the site. */
export interface ReportEntry {
  readonly name: string;
  /** UTC. */
  readonly at: string;
  readonly state: 'pending' | 'final';
  readonly who: string | null;
}
export type TakeWishes = v.InferOutput<typeof takeWishes>;
export interface MetersTaken {
  /** Ids of those that were written. */
  readonly written: readonly string[];
  /** The file as it was before; null where nothing was written. */
  readonly backup: string | null;
}
export type SignOffWishes = v.InferOutput<typeof signOffWishes>;
