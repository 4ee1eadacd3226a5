/**
 * What a line of `decode --json` and of `decode --rows` is. docs/decode.md has it as a table and docs/decode as JSON Schema,
 * both out of this (scripts/generate/decode-schemas.ts); every recorded exchange is held to it.
 */
import * as v from 'valibot';
import type { AcseApdu } from '../dlms/acse/apdu.ts';
import type { LeafType } from '../dlms/axdr/data-types.ts';
import type { ApduKind } from '../dlms/xdlms/apdu.ts';

const integer = v.pipe(v.number(), v.integer());
const hex = v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2})*$/));
const logicalName = v.pipe(v.string(), v.regex(/^\d{1,3}(?:\.\d{1,3}){5}$/));
const described = <S extends v.GenericSchema>(schema: S, says: string) => v.pipe(schema, v.description(says));
const perhaps = <S extends v.GenericSchema>(schema: S, says: string) => v.optional(described(schema, says));
/** 64 bits do not fit a number of JSON. */
const decimal = v.pipe(v.string(), v.regex(/^-?\d+$/));

const leaves: Readonly<Record<LeafType, v.GenericSchema>> = {
  boolean: v.boolean(),
  'bit-string': v.pipe(v.string(), v.regex(/^[01]*$/)),
  'double-long': integer,
  'double-long-unsigned': integer,
  'octet-string': hex,
  'visible-string': v.string(),
  'utf8-string': v.string(),
  bcd: integer,
  integer,
  long: integer,
  unsigned: integer,
  'long-unsigned': integer,
  long64: decimal,
  'long64-unsigned': decimal,
  enum: integer,
  // JSON has no way to write infinities, and what is no number.
  float32: v.nullable(v.number()),
  float64: v.nullable(v.number()),
  'date-time': hex,
  date: hex,
  time: hex,
  'delta-integer': integer,
  'delta-long': integer,
  'delta-double-long': integer,
  'delta-unsigned': integer,
  'delta-long-unsigned': integer,
  'delta-double-long-unsigned': integer,
};
/** A value: an object whose only member has the name of its type; null-data is null. */
export const dataSchema: v.GenericSchema = v.union([
  v.null(),
  v.strictObject({ 'dont-care': v.literal(true) }),
  ...['array', 'structure', 'compact-array'].map((type) =>
    v.strictObject({ [type]: v.array(v.lazy(() => dataSchema)) }),
  ),
  ...Object.entries(leaves).map(([type, value]) => v.strictObject({ [type]: value })),
]);
const data = v.lazy(() => dataSchema);

const selection = v.strictObject({ selector: integer, parameters: data });
const descriptor = { classId: integer, logicalName };
const attribute = v.strictObject({ ...descriptor, attribute: integer });
const attributeWithSelection = v.strictObject({
  ...descriptor,
  attribute: integer,
  selection: v.optional(selection),
});
const method = v.strictObject({ ...descriptor, method: integer });
const numbered = { last: v.boolean(), number: integer };
const block = v.strictObject({ ...numbered, raw: hex });
const result = v.union([v.strictObject({ data }), v.strictObject({ refused: integer })]);
const blockResult = v.union([v.strictObject({ raw: hex }), v.strictObject({ refused: integer })]);
const actionResult = v.strictObject({ result: integer, returned: v.optional(result) });
/** One of several, which its kind names. */
const oneOf = (alternatives: Readonly<Record<string, v.GenericSchema>>) =>
  v.union(Object.entries(alternatives).map(([kind, value]) => v.strictObject({ kind: v.literal(kind), value })));
const variables = v.array(
  oneOf({
    'variable-name': integer,
    'parameterized-access': v.strictObject({ name: integer, selector: integer, parameter: data }),
    'block-number-access': integer,
    'read-data-block-access': block,
    'write-data-block-access': v.strictObject(numbered),
  }),
);
const specifications = v.array(
  oneOf({
    get: attribute,
    set: attribute,
    action: method,
    'get-with-selection': v.strictObject({ attribute, selection }),
    'set-with-selection': v.strictObject({ attribute, selection }),
  }),
);
const written = { variables, values: v.array(data) };
const user = { userInformation: v.optional(hex) };
const titled = { systemTitle: hex, content: hex };
const general = { transactionId: hex, originator: hex, recipient: hex, dateTime: hex, otherInformation: hex };
const keyInfo = oneOf({
  'identified-key': integer,
  'wrapped-key': v.strictObject({ kekId: integer, key: hex }),
  'agreed-key': v.strictObject({ parameters: hex, key: hex }),
});
const authentication = {
  authentication: v.optional(v.boolean()),
  mechanism: v.optional(integer),
  // Withheld where it is a password.
  authenticationValue: v.optional(v.union([hex, v.literal('(withheld)')])),
  ...user,
};
const invoked = { invokeId: integer };

type CipheredKind = Extract<ApduKind, `glo-${string}` | `ded-${string}`>;
/** The members of each kind of APDU. */
export const apduMembers: Readonly<Record<Exclude<ApduKind, CipheredKind> | AcseApdu['kind'], v.ObjectEntries>> = {
  aarq: {
    applicationContext: integer,
    callingApTitle: v.optional(hex),
    callingAeQualifier: v.optional(hex),
    callingAeInvocationId: v.optional(integer),
    ...authentication,
  },
  aare: {
    applicationContext: v.optional(integer),
    result: integer,
    diagnostic: v.optional(
      v.strictObject({ source: v.picklist(['acse-service-user', 'acse-service-provider']), code: integer }),
    ),
    respondingApTitle: v.optional(hex),
    respondingAeQualifier: v.optional(hex),
    respondingAeInvocationId: v.optional(integer),
    ...authentication,
  },
  rlrq: { reason: v.optional(integer), ...user },
  rlre: { reason: v.optional(integer), ...user },
  'initiate-request': {
    dedicatedKey: v.optional(v.literal('(withheld)')),
    responseAllowed: v.boolean(),
    qualityOfService: v.optional(integer),
    version: integer,
    conformance: integer,
    maxPdu: integer,
  },
  'initiate-response': {
    qualityOfService: v.optional(integer),
    version: integer,
    conformance: integer,
    maxPdu: integer,
    vaaName: integer,
  },
  'confirmed-service-error': { service: integer, error: integer, value: integer },
  'exception-response': {
    stateError: integer,
    serviceError: integer,
    invocationCounter: v.optional(integer),
  },
  'read-request': { variables },
  'write-request': written,
  'unconfirmed-write-request': written,
  'information-report-request': { time: v.optional(hex), ...written },
  'read-response': {
    results: v.array(oneOf({ data, refused: integer, 'data-block': block, 'block-number': integer })),
  },
  'write-response': { results: v.array(oneOf({ success: v.null(), refused: integer, 'block-number': integer })) },
  'data-notification-confirm': { longInvokeId: integer, dateTime: hex },
  'data-notification': { longInvokeId: integer, dateTime: hex, body: data },
  'event-notification': { time: v.optional(hex), attribute, value: data },
  'get-request-normal': { ...invoked, attribute, selection: v.optional(selection) },
  'get-request-next': { ...invoked, number: integer },
  'get-request-with-list': { ...invoked, attributes: v.array(attributeWithSelection) },
  'get-response-normal': { ...invoked, result },
  'get-response-with-datablock': { ...invoked, ...numbered, result: blockResult },
  'get-response-with-list': { ...invoked, results: v.array(result) },
  'set-request-normal': { ...invoked, attribute, selection: v.optional(selection), value: data },
  'set-request-with-first-datablock': { ...invoked, attribute, selection: v.optional(selection), block },
  'set-request-with-datablock': { ...invoked, block },
  'set-request-with-list-and-first-datablock': { ...invoked, attributes: v.array(attributeWithSelection), block },
  'set-request-with-list': { ...invoked, attributes: v.array(attributeWithSelection), values: v.array(data) },
  'set-response-normal': { ...invoked, result: integer },
  'set-response-datablock': { ...invoked, number: integer },
  'set-response-last-datablock': { ...invoked, result: integer, number: integer },
  'set-response-last-datablock-with-list': { ...invoked, results: v.array(integer), number: integer },
  'set-response-with-list': { ...invoked, results: v.array(integer) },
  'action-request-normal': { ...invoked, method, parameters: v.optional(data) },
  'action-request-next-pblock': { ...invoked, number: integer },
  'action-request-with-list': { ...invoked, methods: v.array(method), parameters: v.array(data) },
  'action-request-with-first-pblock': { ...invoked, method, block },
  'action-request-with-list-and-first-pblock': { ...invoked, methods: v.array(method), block },
  'action-request-with-pblock': { ...invoked, block },
  'action-response-normal': { ...invoked, response: actionResult },
  'action-response-with-pblock': { ...invoked, block },
  'action-response-next-pblock': { ...invoked, number: integer },
  'action-response-with-list': { ...invoked, responses: v.array(actionResult) },
  'access-request': { longInvokeId: integer, dateTime: hex, specifications, data: v.array(data) },
  'access-response': {
    longInvokeId: integer,
    dateTime: hex,
    specifications: v.optional(specifications),
    data: v.array(data),
    results: v.array(oneOf({ get: integer, set: integer, action: integer })),
  },
  'general-glo-ciphering': titled,
  'general-ded-ciphering': titled,
  'general-ciphering': { ...general, keyInfo: v.optional(keyInfo), content: hex },
  'general-signing': { ...general, content: hex, signature: hex },
  'general-block-transfer': { control: integer, number: integer, acknowledged: integer, content: hex },
};
/** A service that is ciphered by itself. */
const ciphered = v.strictObject({ kind: v.pipe(v.string(), v.regex(/^(?:glo|ded)-[a-z-]+$/)), content: hex });
export const apduSchema: v.GenericSchema = v.union([
  ...Object.entries(apduMembers).map(([kind, members]) => v.strictObject({ kind: v.literal(kind), ...members })),
  ciphered,
]);

export const frameSchema = v.strictObject({
  line: described(
    integer,
    'line of the recording where it ended; in captures the number of the packet, in raw octets the offset of the piece',
  ),
  time: described(v.string(), 'as the recording writes it; empty where it has none'),
  direction: described(v.picklist(['to-meter', 'from-meter', 'unknown']), 'which way it went'),
  text: described(
    v.array(v.string()),
    'the frame in words, then its APDU and what is known of its values; for people, not for programs',
  ),
  meter: perhaps(
    v.string(),
    'address of the meter, as text; left out where the frame tells none, empty for APDUs without a frame',
  ),
  apdu: perhaps(
    v.lazy(() => apduSchema),
    'the APDU that ended here, deciphered where keys are given; left out where none did, or where it cannot be read',
  ),
  block: perhaps(
    v.strictObject({ kind: v.literal('general-block-transfer'), ...apduMembers['general-block-transfer'] }),
    'the general block that came; `apdu` is then what the blocks carried, with the last of them. Its content is stars (`2a`) where it may hold a secret',
  ),
});

const instant = v.nullable(v.pipe(v.string(), v.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/)));
export const rowSchema = v.strictObject({
  start: described(instant, 'begin of the interval, UTC; null where the capture period is not known'),
  end: described(instant, 'the stamp of the row, UTC; null where it names no instant'),
  clock: described(v.nullable(hex), 'the stamp as the meter wrote it; null where it left it out'),
  why: perhaps(v.string(), 'why the stamp names no instant; only there where it does not'),
  stampedOffS: perhaps(v.number(), 'seconds that the meter stamped it beside the grid of its period'),
  clockSays: perhaps(
    v.picklist(['invalid', 'doubtful', 'status-invalid']),
    "what the meter's clock said of itself in the stamp",
  ),
  status: described(v.nullable(v.number()), 'status of the row as the meter sent it; null where the profile has none'),
  values: described(
    v.record(
      v.string(),
      v.strictObject({ raw: v.string(), scaler: v.nullable(integer), unit: v.nullable(v.string()) }),
    ),
    'of each column, by its OBIS code: `raw` as text, `scaler` and `unit` (value = raw × 10^scaler), null where the recording does not tell them',
  ),
});
