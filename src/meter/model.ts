/** Meter models are data (hardware/meters/*.toml): what a kind of meter needs, with the exchange that proves it. */
import * as v from 'valibot';
import { type LogicalName, parseLogicalName } from '../dlms/cosem/logical-name.ts';

const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const isRegularExpression = (text: string): boolean => {
  try {
    return RegExp(text).source !== '';
  } catch {
    return false;
  }
};
const obisCode = v.pipe(v.string(), v.regex(/^\d+-\d+:\d+\.\d+\.\d+(\*\d+)?$/));
export const meterModelSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/)),
  /** A recorded exchange under test/traces that shows this model. */
  evidence: v.string(),
  max_info: v.optional(whole(32, 2030), 1024),
  window: v.optional(whole(1, 7), 7),
  max_pdu: v.optional(whole(64, 65535), 65535),
  /** 1, 2 or 4 octets; left out: the smallest that holds the address. */
  address_size: v.optional(v.picklist([1, 2, 4])),
  /** Whether several attributes may be asked for in one GET; some meters announce it and fail (meter-quirks 38). */
  multiple_references: v.optional(v.boolean(), true),
  /** Whether RLRQ is understood. */
  release: v.optional(v.boolean(), true),
  /** Most attributes in one request (meter-quirks 53). */
  list_limit: v.optional(whole(1, 100), 10),
  /** logical-name referencing, or short names as in older meters (meter-quirks 61). */
  referencing: v.optional(v.picklist(['logical-name', 'short-name']), 'logical-name'),
  /** General block transfer: blocks that we take in one go; 0 = not proposed. */
  transfer_window: v.optional(whole(0, 63), 0),
  /** SNRM carries its parameters even where they are the defaults (meter-quirks 19). */
  explicit_parameters: v.optional(v.boolean(), false),
  /** Octets of the frame's header that the meter counts inside max_info (meter-quirks 18). */
  max_info_header: v.optional(whole(0, 16), 0),
  /** N(S) stands still at 0 in every I-frame of the meter (meter-quirks 22). */
  pinned_sequence: v.optional(v.boolean(), false),
  /** Mode E: NUL octets before the request wake the meter up (meter-quirks 33). */
  wake_up: v.optional(v.boolean(), false),
  /** Mechanism name in AARQ: only with authentication, always, or never (meter-quirks 37). */
  mechanism_name: v.optional(v.picklist(['with-authentication', 'always', 'never']), 'with-authentication'),
  /** The association object that takes our proof (meter-quirks 39). */
  association_object: v.optional(v.pipe(v.string(), v.regex(/^\d+(\.\d+){5}$/)), '0.0.40.0.0.255'),
  /** The meter never returns its own proof: its identity is then not shown (meter-quirks 36). */
  one_sided_proof: v.optional(v.boolean(), false),
  /**
   * How InitiateRequest and InitiateResponse are protected where the meter wants them otherwise than authenticated and
   * encrypted (meter-quirks 42, 82). It holds for these two alone: every other APDU is protected by the meter's policy.
   */
  initiate_protection: v.optional(v.picklist(['encrypted', 'authenticated'])),
  /**
   * The meter's own invocation counter begins anew with each association or power-up. Without high level security a
   * recording of it can then be played again, and nothing tells.
   */
  counter_restarts: v.optional(v.boolean(), false),
  /** How rows are asked for: by range of stamps, or by number where ranges are not supported, or the whole buffer (71). */
  selection: v.optional(v.picklist(['range', 'entry', 'whole']), 'range'),
  /** A data-access-result that means "no rows in this range" (meter-quirks 72). */
  refusal_when_empty: v.optional(whole(1, 255)),
  /** Stamps without tag and length (meter-quirks 62). */
  untagged_stamps: v.optional(v.boolean(), false),
  /** Pushed lists of bare values: the objects of each, in order; lists differ by their number (meter-quirks 62). */
  push_lists: v.optional(v.array(v.strictObject({ objects: v.pipe(v.array(obisCode), v.minLength(1)) })), []),
  /** Scaler and unit (Blue Book enumeration) of pushed registers whose lists do not tell them. */
  push_scalers: v.optional(v.record(obisCode, v.strictObject({ scaler: whole(-128, 127), unit: whole(0, 255) })), {}),
  /** In pushes `06 09` stands for `09 06` before an OBIS code (meter-quirks 62). */
  push_swapped_obis: v.optional(v.boolean(), false),
  /**
   * Counts changes of the configuration (Blue Book 6.2.10): while it stands still, capture objects and scalers are not
   * read again. Left out: they are read again every day.
   */
  change_counter: v.optional(obisCode),
  /** A register that falls from above 90 % to below 10 % of this has wrapped (R08). */
  register_modulus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1000))),
  /** Event logs that are forwarded; one that a meter does not have is left out by itself. */
  event_logs: v.optional(v.array(obisCode), ['0-0:99.98.0*255', '0-0:99.98.1*255', '0-0:99.98.2*255']),
  /** The companion specification that the event codes follow. */
  companion: v.optional(v.picklist(['idis', 'dsmr']), 'idis'),
  /** Logical device names of this model, as a regular expression; for detection. */
  detect: v.optional(v.pipe(v.string(), v.check(isRegularExpression, 'is no regular expression'))),
  /**
   * Where the serial number stands in the logical device name: a regular expression whose one group it is. Left out: behind
   * the three letters of the maker (Green Book 4.3.4).
   */
  name_serial: v.optional(
    v.pipe(v.string(), v.check(isRegularExpression, 'is no regular expression'), v.regex(/^\^.*\$$/)),
    '^[A-Z]{3}(.+)$',
  ),
  /** Mode E sign-on before the link. */
  mode_e: v.optional(v.boolean(), false),
  /** Physical address from the serial number: serial mod 10000 + 1000, its last digits, or none (meter-quirks 15). */
  address_formula: v.optional(
    v.picklist(['mod-10000-plus-1000', 'last-2-digits', 'last-3-digits', 'last-4-digits', 'none']),
    'mod-10000-plus-1000',
  ),
  /** Range bounds are local time of this deviation, minutes; 0 = UTC. */
  range_deviation_min: v.optional(whole(-840, 840), 0),
  /** Whether range bounds say their deviation; some meters refuse one or the other (meter-quirks 71). */
  range_deviation_written: v.optional(v.boolean(), true),
  /** The deviation of standard time, taken where stamps leave theirs open; summer time stands in their clock status (meter-quirks 77). */
  stamp_deviation_min: v.optional(whole(-840, 840)),
  /** The column that holds the status of the rows; left out: the first 0-0:96.10.x (meter-quirks 79). */
  status_column: v.optional(v.strictObject({ object: obisCode, attribute: v.optional(whole(1, 127), 2) })),
  /** Which bits of it, from 0, mean what; left out: those of the AMR profile status, and of a status_column none (meter-quirks 79). */
  status_bits: v.optional(
    v.strictObject({
      critical_error: v.optional(v.array(whole(0, 63))),
      clock_invalid: v.optional(v.array(whole(0, 63))),
      data_not_valid: v.optional(v.array(whole(0, 63))),
      daylight_saving: v.optional(v.array(whole(0, 63))),
      clock_adjusted: v.optional(v.array(whole(0, 63))),
      power_down: v.optional(v.array(whole(0, 63))),
    }),
  ),
  /** Rows stamped so many seconds beside the grid of their period are the grid's (meter-quirks 81). */
  stamp_tolerance_s: v.optional(whole(0, 120), 30),
  /** How far summer time is ahead of it where the clock status tells summer time; 0: that bit means nothing. */
  summer_shift_min: v.optional(whole(0, 120), 60),
  /** The deviation counts from UTC to local time. */
  deviation_inverted: v.optional(v.boolean(), false),
  /** `stamp_deviation_min` holds even where a stamp says otherwise (meter-quirks 69). */
  stamp_deviation_overridden: v.optional(v.boolean(), false),
});
export type MeterModel = v.InferOutput<typeof meterModelSchema>;

export const genericModel: MeterModel = v.parse(meterModelSchema, {
  name: 'generic',
  evidence: 'c-tcp-hdlc-lls.tap',
});

/** Scaler and unit of pushed registers, by logical name. */
export const pushScalers = ({ push_scalers }: MeterModel): Map<LogicalName, { scaler: number; unit: number }> =>
  new Map(Object.entries(push_scalers).map(([code, scalerUnit]) => [parseLogicalName(code), scalerUnit]));

/** The physical address that a meter of this model has by its serial number; undefined where there is no formula. */
export function physicalAddressOf(model: MeterModel, serial: string): number | undefined {
  const digits = serial.replace(/\D/g, '');
  switch (model.address_formula) {
    case 'mod-10000-plus-1000':
      return (Number(digits.slice(-4)) % 10_000) + 1000;
    case 'last-2-digits':
      return Number(digits.slice(-2));
    case 'last-3-digits':
      return Number(digits.slice(-3));
    case 'last-4-digits':
      return Number(digits.slice(-4));
    case 'none':
      return undefined;
  }
}

/** The model whose names fit; detection by logical device name (Blue Book 4.1.8.1). No name fits two models. */
export const detectModel = (models: Iterable<MeterModel>, logicalDeviceName: string): MeterModel | undefined =>
  [...models].find(({ detect }) => detect !== undefined && RegExp(detect).test(logicalDeviceName));
