/** Meter models are data (hardware/meters/*.toml): what a kind of meter needs, with the exchange that proves it. */
import * as v from 'valibot';

const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
export const meterModelSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/)),
  /** A recorded exchange under test/traces that shows this model. */
  evidence: v.string(),
  max_info: v.optional(whole(32, 2030), 1024),
  window: v.optional(whole(1, 7), 1),
  max_pdu: v.optional(whole(64, 65535), 65535),
  /** 1, 2 or 4 octets; left out: the smallest that holds the address. */
  address_size: v.optional(v.picklist([1, 2, 4])),
  /** Whether several attributes may be asked for in one GET; some meters announce it and fail (meter-quirks 38). */
  multiple_references: v.optional(v.boolean(), true),
  /** Whether RLRQ is understood. */
  release: v.optional(v.boolean(), true),
  /** Deviation of range bounds in minutes; left out: written as not specified. */
  range_deviation_min: v.optional(whole(-840, 840)),
  /** Taken where row stamps leave their deviation open: meters on standard time all year. */
  stamp_deviation_min: v.optional(whole(-840, 840)),
  /** The deviation counts from UTC to local time. */
  deviation_inverted: v.optional(v.boolean(), false),
});
export type MeterModel = v.InferOutput<typeof meterModelSchema>;

export const genericModel: MeterModel = v.parse(meterModelSchema, {
  name: 'generic',
  evidence: 'c-tcp-hdlc-lls.tap',
  range_deviation_min: 0,
});
