/**
 * xDLMS APDUs in A-XDR (Green Book 9.4 and 9.5). One row per APDU: name, tag octet, choice octet where the APDU is
 * itself a CHOICE, grammar. Encoder, decoder and types fall out of the rows.
 */
import { type AnyCodec, boolean, type Codec, mapped, type Of, optional, sequence, unsigned } from '../../base/codec.ts';
import { type Budget, Reader, Writer } from '../../base/cursor.ts';
import { CodecError } from '../../base/errors.ts';
import { type Data, dataCodec } from '../axdr/data.ts';
import { octetString, sequenceOf } from '../axdr/length.ts';
import { logicalNameCodec } from '../cosem/logical-name.ts';
import { conformanceCodec } from './conformance.ts';

const u8 = unsigned(1);
const u16 = unsigned(2);
const u32 = unsigned(4);
const i8: Codec<number> = mapped(
  u8,
  (octet) => (octet << 24) >> 24,
  (value) => value & 0xff,
);

const attributeDescriptor = sequence({ classId: u16, logicalName: logicalNameCodec, attribute: i8 });
const methodDescriptor = sequence({ classId: u16, logicalName: logicalNameCodec, method: i8 });
const selection = sequence({ selector: u8, parameters: dataCodec });
const attributeWithSelection = sequence({
  classId: u16,
  logicalName: logicalNameCodec,
  attribute: i8,
  selection: optional(selection),
});
const block = sequence({ last: boolean, number: u32, raw: octetString });

/** Get-Data-Result: data, or a data-access-result (0 would be success and is no result here). */
export type GetResult = { readonly data: Data } | { readonly refused: number };
const getResult: Codec<GetResult> = {
  read: (r) => {
    const tag = r.u8();
    if (tag === 0) return { data: dataCodec.read(r) };
    if (tag === 1) return { refused: r.u8() };
    r.offset -= 1;
    return r.fail(`choice ${tag} is no Get-Data-Result`);
  },
  write: (w, value) => {
    w.u8('data' in value ? 0 : 1);
    if ('data' in value) dataCodec.write(w, value.data);
    else w.u8(value.refused);
  },
};
type BlockResult = { readonly raw: Uint8Array } | { readonly refused: number };
const blockResult: Codec<BlockResult> = {
  read: (r) => {
    const tag = r.u8();
    if (tag === 0) return { raw: octetString.read(r) };
    if (tag === 1) return { refused: r.u8() };
    r.offset -= 1;
    return r.fail(`choice ${tag} is no datablock result`);
  },
  write: (w, value) => {
    w.u8('raw' in value ? 0 : 1);
    if ('raw' in value) octetString.write(w, value.raw);
    else w.u8(value.refused);
  },
};
/** Some meters end the APDU where the absence of a returned value should be said (meter-quirks 51). */
const returnedValue: Codec<GetResult | undefined> = {
  read: (r) => (r.remaining === 0 ? undefined : optional(getResult).read(r)),
  write: (w, value) => optional(getResult).write(w, value),
};
const actionResult = sequence({ result: u8, returned: optional(getResult) });
const lastActionResult = sequence({ result: u8, returned: returnedValue });
/** Default TRUE: a presence octet, then the value. */
const defaultTrue: Codec<boolean> = {
  read: (r) => (r.u8() === 0 ? true : r.u8() !== 0),
  write: (w, value) => {
    w.u8(value ? 0 : 1);
    if (!value) w.u8(0);
  },
};
/** Counter of the invocation-counter-error, only with that error (Green Book 9.5). */
const exception: Codec<{ stateError: number; serviceError: number; invocationCounter?: number }> = {
  read: (r) => {
    const stateError = r.u8();
    const serviceError = r.u8();
    return serviceError === 6 && r.remaining >= 4
      ? { stateError, serviceError, invocationCounter: r.u32() }
      : { stateError, serviceError };
  },
  write: (w, value) => {
    w.u8(value.stateError);
    w.u8(value.serviceError);
    if (value.invocationCounter !== undefined) w.u32(value.invocationCounter);
  },
};
/** A number at the end of an InitiateResponse that some leave out, and that limits or names nothing then. */
const lastU16 = (absent: number): Codec<number> => ({
  read: (r) => (r.remaining === 0 ? absent : r.u16()),
  write: (w, value) => u16.write(w, value),
});
const ciphered = sequence({ content: octetString });

/** One of several grammars, which an octet before the value names. `kind` names the alternative. */
function choice<C extends Record<string, readonly [number, AnyCodec]>>(alternatives: C): Codec<ChoiceOf<C>> {
  const byOctet = new Map(Object.entries(alternatives).map(([kind, [octet, codec]]) => [octet, { kind, codec }]));
  return {
    read: (r) => {
      const octet = r.u8();
      const found = byOctet.get(octet);
      if (!found) {
        r.offset -= 1;
        return r.fail(`choice ${octet} is none of ${Object.keys(alternatives).join(', ')}`);
      }
      return { kind: found.kind, value: found.codec.read(r) as unknown } as ChoiceOf<C>;
    },
    write: (w, value) => {
      const [octet, codec] = alternatives[value.kind] as readonly [number, AnyCodec];
      w.u8(octet);
      codec.write(w, value.value);
    },
  };
}
type ChoiceOf<C extends Record<string, readonly [number, AnyCodec]>> = {
  [K in keyof C & string]: { readonly kind: K; readonly value: Of<C[K][1]> };
}[keyof C & string];
const nothing: Codec<null> = { read: () => null, write: () => {} };

/** Variable-Access-Specification of short-name referencing (Green Book 9.5). */
const variable = choice({
  'variable-name': [2, u16],
  'parameterized-access': [4, sequence({ name: u16, selector: u8, parameter: dataCodec })],
  'block-number-access': [5, u16],
  'read-data-block-access': [6, sequence({ last: boolean, number: u16, raw: octetString })],
  'write-data-block-access': [7, sequence({ last: boolean, number: u16 })],
});
export type Variable = Of<typeof variable>;
const readResult = choice({
  data: [0, dataCodec],
  refused: [1, u8],
  'data-block': [2, sequence({ last: boolean, number: u16, raw: octetString })],
  'block-number': [3, u16],
});
export type ReadResult = Of<typeof readResult>;
const writeResult = choice({ success: [0, nothing], refused: [1, u8], 'block-number': [2, u16] });

/** Access-Request-Specification and Access-Response-Specification (Green Book 9.5). */
const accessRequest = choice({
  get: [1, attributeDescriptor],
  set: [2, attributeDescriptor],
  action: [3, methodDescriptor],
  'get-with-selection': [4, sequence({ attribute: attributeDescriptor, selection })],
  'set-with-selection': [5, sequence({ attribute: attributeDescriptor, selection })],
});
export type AccessSpecification = Of<typeof accessRequest>;
const accessResponse = choice({ get: [1, u8], set: [2, u8], action: [3, u8] });

/** Key-Info of general-ciphering (Green Book 9.5): which key protects the content. */
const keyInfo = choice({
  'identified-key': [0, u8],
  'wrapped-key': [1, sequence({ kekId: u8, key: octetString })],
  'agreed-key': [2, sequence({ parameters: octetString, key: octetString })],
});
export type KeyInfo = Of<typeof keyInfo>;
/** The header that general-ciphering and general-signing share. */
const generalHeader = {
  transactionId: octetString,
  originator: octetString,
  recipient: octetString,
  dateTime: octetString,
  otherInformation: octetString,
};

/** Octets of a date-time. Some meters write its tag before its length (`09 0C`), where no tag belongs (meter-quirks 96). */
const dateTimeField: Codec<Uint8Array> = {
  read: (r) => {
    const tagged = r.offset + 1 < r.end && r.octets[r.offset] === 0x09 && r.octets[r.offset + 1] === 0x0c;
    if (tagged) r.offset++;
    return octetString.read(r);
  },
  write: (w, value) => octetString.write(w, value),
};

const rows = {
  'initiate-request': [
    0x01,
    null,
    sequence({
      dedicatedKey: optional(octetString),
      responseAllowed: defaultTrue,
      qualityOfService: optional(u8),
      version: u8,
      conformance: conformanceCodec,
      maxPdu: u16,
    }),
  ],
  'initiate-response': [
    0x08,
    null,
    sequence({
      qualityOfService: optional(u8),
      version: u8,
      conformance: conformanceCodec,
      maxPdu: lastU16(0),
      vaaName: lastU16(7),
    }),
  ],
  'confirmed-service-error': [0x0e, null, sequence({ service: u8, error: u8, value: u8 })],
  'read-request': [0x05, null, sequence({ variables: sequenceOf(variable) })],
  'write-request': [0x06, null, sequence({ variables: sequenceOf(variable), values: sequenceOf(dataCodec) })],
  'read-response': [0x0c, null, sequence({ results: sequenceOf(readResult) })],
  'write-response': [0x0d, null, sequence({ results: sequenceOf(writeResult) })],
  'unconfirmed-write-request': [
    0x16,
    null,
    sequence({ variables: sequenceOf(variable), values: sequenceOf(dataCodec) }),
  ],
  'information-report-request': [
    0x18,
    null,
    sequence({ time: optional(dateTimeField), variables: sequenceOf(variable), values: sequenceOf(dataCodec) }),
  ],
  'data-notification': [0x0f, null, sequence({ longInvokeId: u32, dateTime: dateTimeField, body: dataCodec })],
  // To a meter whose push asks to be confirmed (bit 30 of the long invoke-id).
  'data-notification-confirm': [0x10, null, sequence({ longInvokeId: u32, dateTime: dateTimeField })],
  'get-request-normal': [
    0xc0,
    1,
    sequence({ invokeId: u8, attribute: attributeDescriptor, selection: optional(selection) }),
  ],
  'get-request-next': [0xc0, 2, sequence({ invokeId: u8, number: u32 })],
  'get-request-with-list': [0xc0, 3, sequence({ invokeId: u8, attributes: sequenceOf(attributeWithSelection) })],
  'set-request-normal': [
    0xc1,
    1,
    sequence({ invokeId: u8, attribute: attributeDescriptor, selection: optional(selection), value: dataCodec }),
  ],
  'set-request-with-first-datablock': [
    0xc1,
    2,
    sequence({ invokeId: u8, attribute: attributeDescriptor, selection: optional(selection), block }),
  ],
  'set-request-with-datablock': [0xc1, 3, sequence({ invokeId: u8, block })],
  'set-request-with-list': [
    0xc1,
    4,
    sequence({ invokeId: u8, attributes: sequenceOf(attributeWithSelection), values: sequenceOf(dataCodec) }),
  ],
  'set-request-with-list-and-first-datablock': [
    0xc1,
    5,
    sequence({ invokeId: u8, attributes: sequenceOf(attributeWithSelection), block }),
  ],
  'event-notification': [
    0xc2,
    null,
    sequence({ time: optional(dateTimeField), attribute: attributeDescriptor, value: dataCodec }),
  ],
  'action-request-normal': [
    0xc3,
    1,
    sequence({ invokeId: u8, method: methodDescriptor, parameters: optional(dataCodec) }),
  ],
  'action-request-next-pblock': [0xc3, 2, sequence({ invokeId: u8, number: u32 })],
  'action-request-with-list': [
    0xc3,
    3,
    sequence({ invokeId: u8, methods: sequenceOf(methodDescriptor), parameters: sequenceOf(dataCodec) }),
  ],
  'action-request-with-first-pblock': [0xc3, 4, sequence({ invokeId: u8, method: methodDescriptor, block })],
  'action-request-with-list-and-first-pblock': [
    0xc3,
    5,
    sequence({ invokeId: u8, methods: sequenceOf(methodDescriptor), block }),
  ],
  'action-request-with-pblock': [0xc3, 6, sequence({ invokeId: u8, block })],
  'get-response-normal': [0xc4, 1, sequence({ invokeId: u8, result: getResult })],
  'get-response-with-datablock': [0xc4, 2, sequence({ invokeId: u8, last: boolean, number: u32, result: blockResult })],
  'get-response-with-list': [0xc4, 3, sequence({ invokeId: u8, results: sequenceOf(getResult) })],
  'set-response-normal': [0xc5, 1, sequence({ invokeId: u8, result: u8 })],
  'set-response-datablock': [0xc5, 2, sequence({ invokeId: u8, number: u32 })],
  'set-response-last-datablock': [0xc5, 3, sequence({ invokeId: u8, result: u8, number: u32 })],
  'set-response-last-datablock-with-list': [0xc5, 4, sequence({ invokeId: u8, results: sequenceOf(u8), number: u32 })],
  'set-response-with-list': [0xc5, 5, sequence({ invokeId: u8, results: sequenceOf(u8) })],
  'action-response-normal': [0xc7, 1, sequence({ invokeId: u8, response: lastActionResult })],
  'action-response-with-pblock': [0xc7, 2, sequence({ invokeId: u8, block })],
  'action-response-next-pblock': [0xc7, 4, sequence({ invokeId: u8, number: u32 })],
  'action-response-with-list': [0xc7, 3, sequence({ invokeId: u8, responses: sequenceOf(actionResult) })],
  'exception-response': [0xd8, null, exception],
  'access-request': [
    0xd9,
    null,
    sequence({
      longInvokeId: u32,
      dateTime: octetString,
      specifications: sequenceOf(accessRequest),
      data: sequenceOf(dataCodec),
    }),
  ],
  'access-response': [
    0xda,
    null,
    sequence({
      longInvokeId: u32,
      dateTime: octetString,
      specifications: optional(sequenceOf(accessRequest)),
      data: sequenceOf(dataCodec),
      results: sequenceOf(accessResponse),
    }),
  ],
  'glo-initiate-request': [0x21, null, ciphered],
  'glo-read-request': [0x25, null, ciphered],
  'glo-write-request': [0x26, null, ciphered],
  'glo-read-response': [0x2c, null, ciphered],
  'glo-write-response': [0x2d, null, ciphered],
  'glo-unconfirmed-write-request': [0x36, null, ciphered],
  'glo-information-report-request': [0x38, null, ciphered],
  'ded-read-request': [0x45, null, ciphered],
  'ded-write-request': [0x46, null, ciphered],
  'ded-read-response': [0x4c, null, ciphered],
  'ded-write-response': [0x4d, null, ciphered],
  'ded-unconfirmed-write-request': [0x56, null, ciphered],
  'ded-information-report-request': [0x58, null, ciphered],
  'glo-initiate-response': [0x28, null, ciphered],
  'glo-confirmed-service-error': [0x2e, null, ciphered],
  'glo-get-request': [0xc8, null, ciphered],
  'glo-set-request': [0xc9, null, ciphered],
  'glo-event-notification': [0xca, null, ciphered],
  'glo-action-request': [0xcb, null, ciphered],
  'glo-get-response': [0xcc, null, ciphered],
  'glo-set-response': [0xcd, null, ciphered],
  'glo-action-response': [0xcf, null, ciphered],
  'ded-get-request': [0xd0, null, ciphered],
  'ded-set-request': [0xd1, null, ciphered],
  'ded-event-notification': [0xd2, null, ciphered],
  'ded-action-request': [0xd3, null, ciphered],
  'ded-get-response': [0xd4, null, ciphered],
  'ded-set-response': [0xd5, null, ciphered],
  'ded-action-response': [0xd7, null, ciphered],
  'general-glo-ciphering': [0xdb, null, sequence({ systemTitle: octetString, content: octetString })],
  'general-ded-ciphering': [0xdc, null, sequence({ systemTitle: octetString, content: octetString })],
  'general-ciphering': [0xdd, null, sequence({ ...generalHeader, keyInfo: optional(keyInfo), content: octetString })],
  'general-signing': [0xdf, null, sequence({ ...generalHeader, content: octetString, signature: octetString })],
  'general-block-transfer': [
    0xe0,
    null,
    sequence({ control: u8, number: u16, acknowledged: u16, content: octetString }),
  ],
} as const satisfies Record<string, readonly [number, number | null, AnyCodec]>;

export type ApduKind = keyof typeof rows;
export type Apdu = { [K in ApduKind]: { readonly kind: K } & Readonly<Of<(typeof rows)[K][2]>> }[ApduKind];
export type ApduOf<K extends ApduKind> = Extract<Apdu, { kind: K }>;
export type Selection = Of<typeof selection>;
export type Attribute = Of<typeof attributeWithSelection>;

type Row = { readonly kind: ApduKind; readonly codec: Codec<object> };
const byTag: (Row | Map<number, Row> | undefined)[] = Array.from({ length: 256 });
for (const [kind, [tag, choice, codec]] of Object.entries(rows)) {
  const row: Row = { kind: kind as ApduKind, codec };
  if (choice === null) byTag[tag] = row;
  else {
    const choices = (byTag[tag] as Map<number, Row> | undefined) ?? new Map<number, Row>();
    choices.set(choice, row);
    byTag[tag] = choices;
  }
}

/** One APDU and the octets after it (some meters pad their messages, meter-quirks 51). */
export function decodeApdu(octets: Uint8Array, budget?: Budget): { apdu: Apdu; trailing: number } {
  const r = new Reader(octets, 0, octets.length, budget);
  const tag = r.u8();
  let row = byTag[tag];
  if (row instanceof Map) row = row.get(r.u8());
  if (!row) throw new CodecError(`no APDU has the tag 0x${tag.toString(16).padStart(2, '0')} with that choice`, 0);
  try {
    const body = row.codec.read(r);
    return { apdu: { kind: row.kind, ...body } as Apdu, trailing: r.remaining };
  } catch (error) {
    if (error instanceof CodecError) error.path.push(row.kind);
    throw error;
  }
}

export function encodeApdu(apdu: Apdu): Uint8Array {
  const [tag, choice, codec] = rows[apdu.kind];
  const w = new Writer();
  w.u8(tag);
  if (choice !== null) w.u8(choice);
  (codec as AnyCodec).write(w, apdu);
  return w.octets();
}

/** The results of an ACTION, as they stand in reassembled blocks. */
export const actionResults: Codec<Of<typeof actionResult>[]> = sequenceOf(actionResult);

/** The values of a SET or the parameters of an ACTION with list, as they stand in reassembled blocks. */
export const valueList: Codec<Data[]> = sequenceOf(dataCodec);

/** The results of a READ, as they stand in reassembled blocks. */
export const readResults: Codec<ReadResult[]> = sequenceOf(readResult);

/**
 * The value of a get-response-normal as octets, without building it up as a tree: rows are read from the octets as they
 * come. Undefined for every other APDU.
 */
export function getResponseOctets(apdu: Uint8Array): { invokeId: number; octets: Uint8Array } | undefined {
  if (apdu[0] !== 0xc4 || apdu[1] !== 1 || apdu.length < 5 || apdu[3] !== 0) return undefined;
  return { invokeId: apdu[2] as number, octets: apdu.subarray(4) };
}

/** The results of a GET with list, as they stand in reassembled blocks. */
export const getResults: Codec<GetResult[]> = sequenceOf(getResult);

/** data-access-result (Green Book 9.5). */
export const dataAccessResult: Readonly<Record<number, string>> = {
  0: 'success',
  1: 'hardware-fault',
  2: 'temporary-failure',
  3: 'read-write-denied',
  4: 'object-undefined',
  9: 'object-class-inconsistent',
  11: 'object-unavailable',
  12: 'type-unmatched',
  13: 'scope-of-access-violated',
  14: 'data-block-unavailable',
  15: 'long-get-aborted',
  16: 'no-long-get-in-progress',
  17: 'long-set-aborted',
  18: 'no-long-set-in-progress',
  19: 'data-block-number-invalid',
  250: 'other-reason',
};
/** action-result (Green Book 9.5). */
export const actionResultName: Readonly<Record<number, string>> = {
  ...dataAccessResult,
  15: 'long-action-aborted',
  16: 'no-long-action-in-progress',
};
