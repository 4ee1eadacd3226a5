/** Strikes secrets out of APDUs before anything is made of them: what a recording holds need not be in what is printed. */
import { type AcseApdu, mechanism } from '../dlms/acse/apdu.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { type CaptureObject, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret, isSecretAttribute, isSecretMethod } from '../dlms/cosem/secrets.ts';
import {
  type AccessSpecification,
  type Apdu,
  type Attribute,
  decodeApdu,
  encodeApdu,
  type GetResult,
} from '../dlms/xdlms/apdu.ts';

/** Stands where a password or a key stood. */
export const withheld = '(withheld)';
const struck: Data = { type: 'visible-string', value: withheld };
/** Octets that may not be shown. */
export const stars = (octets: Uint8Array): Uint8Array => new Uint8Array(octets.length).fill(0x2a);
/** Not even its length is shown. */
const hidden = Buffer.from('********');

/** The initiate in AARQ and RLRQ, where it is not ciphered; its dedicated key is struck out. */
function struckUser(octets: Uint8Array): Uint8Array {
  if (octets[0] !== 0x01) return octets;
  try {
    const { apdu } = decodeApdu(octets);
    if (apdu.kind !== 'initiate-request' || !apdu.dedicatedKey) return octets;
    return encodeApdu({ ...apdu, dedicatedKey: hidden });
  } catch {
    return stars(octets);
  }
}

const secretSpecification = ({ kind, value }: AccessSpecification): boolean => {
  if (kind === 'action') return isSecretMethod(value.classId, value.method);
  const { classId, attribute } = kind === 'get' || kind === 'set' ? value : value.attribute;
  return isSecretAttribute(classId, attribute);
};

/** A pushed list that begins with its description: each element is the value of the column of its place. */
function struckPush(body: Data): Data {
  const [first] = body.type === 'structure' ? body.value : [];
  if (body.type !== 'structure' || first?.type !== 'array') return body;
  let columns: CaptureObject[];
  try {
    const value = first.value.map((one) => (one.type === 'structure' ? { ...one, value: one.value.slice(0, 4) } : one));
    columns = captureObjectsOf({ type: 'array', value });
  } catch {
    return body;
  }
  return {
    type: 'structure',
    value: body.value.map((one, i) => (i > 0 && holdsSecret(columns.slice(i, i + 1)) ? struck : one)),
  };
}

/** What is known of one association: its answers are known by the questions before them. */
export interface Withholding {
  strike<T extends Apdu | AcseApdu>(apdu: T): T;
  /** Whether octets that nobody can read may be shown: not where a secret was asked for or is being sent. */
  mayShow(octets: Uint8Array): boolean;
}

/** What is known of the questions, for the answers to them. */
interface Asked {
  /** Whether each attribute that was asked for last is secret, in the order of the request. */
  secret: boolean[];
  /** The blocks that are being sent belong to something secret. */
  sending: boolean;
  readonly isSecret: (attribute: Attribute) => boolean;
}
/** Undefined: an APDU of another service. */
type Struck = Apdu | AcseApdu | undefined;

function struckEntry(apdu: Apdu | AcseApdu): Struck {
  switch (apdu.kind) {
    case 'aarq':
    case 'rlrq': {
      const user = apdu.userInformation && { userInformation: struckUser(apdu.userInformation) };
      // What goes with another mechanism is a challenge.
      const password = apdu.kind === 'aarq' && apdu.mechanism === mechanism.lls && apdu.authenticationValue;
      return { ...apdu, ...user, ...(password && { authenticationValue: hidden }) };
    }
    case 'initiate-request':
      return apdu.dedicatedKey ? { ...apdu, dedicatedKey: hidden } : apdu;
    default:
      return undefined;
  }
}

function struckGet(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  const result = (one: GetResult, i: number): GetResult => (asked.secret[i] && 'data' in one ? { data: struck } : one);
  switch (apdu.kind) {
    case 'get-request-normal':
      asked.secret = [asked.isSecret(apdu.attribute)];
      return apdu;
    case 'get-request-with-list':
      asked.secret = apdu.attributes.map(asked.isSecret);
      return apdu;
    case 'get-response-normal':
      return { ...apdu, result: result(apdu.result, 0) };
    case 'get-response-with-list':
      return { ...apdu, results: apdu.results.map(result) };
    case 'get-response-with-datablock':
      return asked.secret.includes(true) && 'raw' in apdu.result
        ? { ...apdu, result: { raw: stars(apdu.result.raw) } }
        : apdu;
    default:
      return undefined;
  }
}

const values = (all: readonly Data[], secret: readonly boolean[]): Data[] =>
  all.map((one, i) => (secret[i] && one.type !== 'null-data' ? struck : one));

function struckSetOrAction(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  switch (apdu.kind) {
    case 'set-request-normal':
      return asked.isSecret(apdu.attribute) ? { ...apdu, value: struck } : apdu;
    case 'set-request-with-list':
      return { ...apdu, values: values(apdu.values, apdu.attributes.map(asked.isSecret)) };
    case 'set-request-with-first-datablock':
      asked.sending = asked.isSecret(apdu.attribute);
      return asked.sending ? { ...apdu, block: { ...apdu.block, raw: stars(apdu.block.raw) } } : apdu;
    case 'action-request-with-first-pblock':
      asked.sending = isSecretMethod(apdu.method.classId, apdu.method.method);
      return asked.sending ? { ...apdu, block: { ...apdu.block, raw: stars(apdu.block.raw) } } : apdu;
    case 'set-request-with-datablock':
    case 'action-request-with-pblock':
      return asked.sending ? { ...apdu, block: { ...apdu.block, raw: stars(apdu.block.raw) } } : apdu;
    case 'action-request-normal':
      return apdu.parameters && isSecretMethod(apdu.method.classId, apdu.method.method)
        ? { ...apdu, parameters: struck }
        : apdu;
    case 'action-request-with-list': {
      const secret = apdu.methods.map(({ classId, method }) => isSecretMethod(classId, method));
      return { ...apdu, parameters: values(apdu.parameters, secret) };
    }
    default:
      return undefined;
  }
}

function struckAccess(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  switch (apdu.kind) {
    case 'access-request':
      asked.secret = apdu.specifications.map(secretSpecification);
      return { ...apdu, data: values(apdu.data, asked.secret) };
    case 'access-response':
      return { ...apdu, data: values(apdu.data, apdu.specifications?.map(secretSpecification) ?? asked.secret) };
    default:
      return undefined;
  }
}

function struckUnasked(apdu: Apdu | AcseApdu, { isSecret }: Asked): Struck {
  switch (apdu.kind) {
    case 'data-notification':
      return { ...apdu, body: struckPush(apdu.body) };
    case 'event-notification':
      return isSecret(apdu.attribute) ? { ...apdu, value: struck } : apdu;
    default:
      return undefined;
  }
}

/** AARQ, an initiate with its key, SET, WRITE, ACTION and ACCESS carry secrets outwards. */
export const mayShow = ([tag = 0]: Uint8Array): boolean => ![0x01, 0x06, 0x60, 0xc1, 0xc3, 0xd9].includes(tag);

/**
 * What may stand in general blocks for everybody to see: questions, answers that hold no value of themselves, what is
 * ciphered. Answers of GET and ACCESS are judged by their questions; of a push it is looked whether it describes a secret.
 */
const shownInBlocks: ReadonlySet<number> = new Set([
  0x05, 0x08, 0x0d, 0x0e, 0x0f, 0x21, 0x25, 0x26, 0x28, 0x2c, 0x2d, 0x2e, 0x36, 0x38, 0x45, 0x46, 0x4c, 0x4d, 0x56,
  0x58, 0x61, 0x63, 0xc0, 0xc4, 0xc5, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4,
  0xd5, 0xd7, 0xd8, 0xda, 0xdb, 0xdc, 0xdd,
]);
export const mayStandInBlocks = ([tag = 0]: Uint8Array): boolean => shownInBlocks.has(tag);
/** A description of a column that is secret: class in two octets, logical name, attribute. */
export function describesSecret(octets: Uint8Array): boolean {
  const at = (offset: number): number => octets[offset] as number;
  for (let i = 0; i + columnOctets <= octets.length; i++) {
    const isColumn = at(i) === 0x12 && at(i + 3) === 0x09 && at(i + 4) === 0x06 && at(i + 11) === 0x0f;
    if (isColumn && isSecretAttribute(at(i + 1) * 256 + at(i + 2), at(i + 12))) return true;
  }
  return false;
}
export const columnOctets = 13;

/** `secretBuffer`: whether the attribute is a buffer with a column that holds a secret. */
export function withholding(secretBuffer: (attribute: Attribute) => boolean): Withholding {
  const asked: Asked = {
    secret: [],
    sending: false,
    isSecret: (attribute) => isSecretAttribute(attribute.classId, attribute.attribute) || secretBuffer(attribute),
  };
  const strike = (apdu: Apdu | AcseApdu): Apdu | AcseApdu =>
    struckEntry(apdu) ??
    struckGet(apdu, asked) ??
    struckSetOrAction(apdu, asked) ??
    struckAccess(apdu, asked) ??
    struckUnasked(apdu, asked) ??
    apdu;
  return {
    strike: <T extends Apdu | AcseApdu>(apdu: T) => strike(apdu) as T,
    mayShow: (octets) => !asked.sending && !asked.secret.includes(true) && mayShow(octets),
  };
}
