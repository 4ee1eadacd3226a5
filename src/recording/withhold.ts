/** Strikes secrets out of APDUs before anything is made of them: what a recording holds need not be in what is printed. */
import { concat, Reader } from '../base/cursor.ts';
import { CodecError, Failure } from '../base/errors.ts';
import { type AcseApdu, mechanism } from '../dlms/acse/apdu.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { octetString, readLength } from '../dlms/axdr/length.ts';
import { type CaptureObject, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret, isSecretAttribute, isSecretMethod } from '../dlms/cosem/secrets.ts';
import { securityControl, tagLength } from '../dlms/security/protection.ts';
import {
  type AccessSpecification,
  type Apdu,
  type ApduOf,
  type Attribute,
  decodeApdu,
  encodeApdu,
  type GetResult,
} from '../dlms/xdlms/apdu.ts';

/** Stands where a password or a key stood. */
export const withheld = '(withheld)';
export const struck: Data = { type: 'visible-string', value: withheld };
/** Octets that may not be shown. */
export const stars = (octets: Uint8Array): Uint8Array => new Uint8Array(octets.length).fill(0x2a);
/** Not even its length is shown. */
const hidden = Buffer.from('********');

/** The initiate in AARQ and RLRQ, where it is not ciphered; its dedicated key is struck out. */
function struckUser(octets: Uint8Array): Uint8Array {
  if (octets[0] === 0x21 && isReadable(octets)) return stars(octets);
  if (octets[0] !== 0x01) return octets;
  try {
    const { apdu } = decodeApdu(octets);
    if (apdu.kind !== 'initiate-request' || !apdu.dedicatedKey) return octets;
    return encodeApdu({ ...apdu, dedicatedKey: hidden });
  } catch {
    return stars(octets);
  }
}

/** Whether a method is given a secret. */
export const isSecretCall = ({ classId, method }: { readonly classId: number; readonly method: number }): boolean =>
  isSecretMethod(classId, method);
function isSecretSpecification({ kind, value }: AccessSpecification, { isSecret }: Asked): boolean {
  if (kind === 'action') return isSecretCall(value);
  return isSecret({ ...(kind === 'get' || kind === 'set' ? value : value.attribute), selection: undefined });
}

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

/** Whether an attribute holds a secret, by itself or as a buffer with a column that does. */
export type IsSecret = (attribute: Attribute | undefined) => boolean;
interface Question {
  /** Whether each member of it is secret, in the order of the request. */
  readonly secret: readonly boolean[];
  isAnswered: boolean;
}
/** What is known of the questions, for the answers to them. */
interface Asked {
  /** By service and invoke-id. */
  readonly questions: Map<string, Question>;
  last: Question | undefined;
  /** Too many questions were open, and a secret one among those that were left. */
  lostSecret: boolean;
  /** What is being sent in blocks, by invoke-id: whether it is secret. */
  readonly sending: Map<number, boolean>;
  readonly isSecret: IsSecret;
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

const getKey = ({ invokeId }: { readonly invokeId: number }): string => `get ${invokeId & 0x0f}`;
const accessKey = ({ longInvokeId }: { readonly longInvokeId: number }): string => `access ${longInvokeId & 0xffffff}`;
/** Of ACCESS, whose invoke-ids do not come again soon. */
const maxQuestions = 256;
function ask(asked: Asked, key: string, secret: readonly boolean[]): void {
  const [oldest] = asked.questions.size > maxQuestions ? asked.questions : [];
  if (oldest) {
    asked.questions.delete(oldest[0]);
    asked.lostSecret ||= oldest[1].secret.includes(true);
  }
  asked.last = { secret, isAnswered: false };
  asked.questions.set(key, asked.last);
}
const isOpenSecret = (asked: Asked): boolean =>
  asked.lostSecret ||
  [asked.last, ...asked.questions.values()].some(
    (one) => one?.secret.includes(true) && (one === asked.last || !one.isAnswered),
  );
/** Whether anything of an answer is secret. `isLast`: no further part of it follows. */
function isSecretAnswer(asked: Asked, key: string, isLast: boolean): boolean {
  const question = asked.questions.get(key);
  if (question && isLast) question.isAnswered = true;
  return question ? question.secret.includes(true) : isOpenSecret(asked);
}
/** Which of `count` members of an answer are secret: all of them where nobody knows which is which. */
function secretIn(asked: Asked, key: string, count: number): readonly boolean[] {
  const isSecret = isSecretAnswer(asked, key, true);
  const { secret } = asked.questions.get(key) ?? {};
  return secret?.length === count ? secret : Array.from({ length: count }, () => isSecret);
}

function struckGet(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  switch (apdu.kind) {
    case 'get-request-normal':
      ask(asked, getKey(apdu), [asked.isSecret(apdu.attribute)]);
      return apdu;
    case 'get-request-with-list':
      ask(asked, getKey(apdu), apdu.attributes.map(asked.isSecret));
      return apdu;
    case 'get-response-normal':
      return secretIn(asked, getKey(apdu), 1)[0] && 'data' in apdu.result
        ? { ...apdu, result: { data: struck } }
        : apdu;
    case 'get-response-with-list': {
      const secret = secretIn(asked, getKey(apdu), apdu.results.length);
      const result = (one: GetResult, i: number): GetResult => (secret[i] && 'data' in one ? { data: struck } : one);
      return { ...apdu, results: apdu.results.map(result) };
    }
    case 'get-response-with-datablock':
      return 'raw' in apdu.result && isSecretAnswer(asked, getKey(apdu), apdu.last)
        ? { ...apdu, result: { raw: stars(apdu.result.raw) } }
        : apdu;
    default:
      return undefined;
  }
}

const values = (all: readonly Data[], secret: readonly boolean[]): Data[] =>
  all.map((one, i) => (secret[i] && one.type !== 'null-data' ? struck : one));

type SentBlock = ApduOf<'set-request-with-datablock' | 'action-request-with-pblock'>;
type FirstBlock = ApduOf<
  | 'set-request-with-first-datablock'
  | 'set-request-with-list-and-first-datablock'
  | 'action-request-with-first-pblock'
  | 'action-request-with-list-and-first-pblock'
>;
/** A block of which nobody knows the beginning may be of a secret. */
function struckBlock<T extends SentBlock | FirstBlock>(apdu: T, { sending }: Asked): T {
  const invokeId = apdu.invokeId & 0x0f;
  const isPlain = sending.get(invokeId) === false;
  if (apdu.block.last) sending.delete(invokeId);
  return isPlain ? apdu : { ...apdu, block: { ...apdu.block, raw: stars(apdu.block.raw) } };
}
function struckFirst<T extends FirstBlock>(apdu: T, asked: Asked, isSecret: boolean): T {
  asked.sending.set(apdu.invokeId & 0x0f, isSecret);
  return struckBlock(apdu, asked);
}
function struckSetOrAction(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  switch (apdu.kind) {
    case 'set-request-normal':
      return asked.isSecret(apdu.attribute) ? { ...apdu, value: struck } : apdu;
    case 'set-request-with-list':
      return { ...apdu, values: values(apdu.values, apdu.attributes.map(asked.isSecret)) };
    case 'set-request-with-first-datablock':
      return struckFirst(apdu, asked, asked.isSecret(apdu.attribute));
    case 'set-request-with-list-and-first-datablock':
      return struckFirst(apdu, asked, apdu.attributes.some(asked.isSecret));
    case 'action-request-with-first-pblock':
      return struckFirst(apdu, asked, isSecretCall(apdu.method));
    case 'action-request-with-list-and-first-pblock':
      return struckFirst(apdu, asked, apdu.methods.some(isSecretCall));
    case 'set-request-with-datablock':
    case 'action-request-with-pblock':
      return struckBlock(apdu, asked);
    case 'action-request-normal':
      return apdu.parameters && isSecretCall(apdu.method) ? { ...apdu, parameters: struck } : apdu;
    case 'action-request-with-list':
      return { ...apdu, parameters: values(apdu.parameters, apdu.methods.map(isSecretCall)) };
    default:
      return undefined;
  }
}

function struckAccess(apdu: Apdu | AcseApdu, asked: Asked): Struck {
  switch (apdu.kind) {
    case 'access-request': {
      const secret = apdu.specifications.map((one) => isSecretSpecification(one, asked));
      ask(asked, accessKey(apdu), secret);
      return { ...apdu, data: values(apdu.data, secret) };
    }
    case 'access-response': {
      const byQuestion = secretIn(asked, accessKey(apdu), apdu.data.length);
      const own = apdu.specifications?.map((one) => isSecretSpecification(one, asked));
      return {
        ...apdu,
        data: values(
          apdu.data,
          byQuestion.map((isSecret, i) => isSecret || own?.[i] === true),
        ),
      };
    }
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

/**
 * AARQ, RLRQ and an initiate with a key, SET, WRITE, ACTION, ACCESS and a READ that calls a method carry secrets outwards;
 * so may what is signed, a general block, and a ciphered text that is not encrypted.
 */
const carriesSecrets: ReadonlySet<number> = new Set([0x01, 0x05, 0x06, 0x16, 0x60, 0x62, 0xc1, 0xc3, 0xd9, 0xdf, 0xe0]);
export const mayShow = (octets: Uint8Array): boolean => {
  const [tag = 0] = octets;
  return !carriesSecrets.has(tag) && !(isCipheredTag(tag) && isReadable(octets));
};

/**
 * What may stand in general blocks for everybody to see: questions, answers that hold no value of themselves, what is
 * ciphered. Answers of GET and ACCESS are judged by their questions; of a push it is looked whether it describes a secret.
 */
const shownInBlocks: ReadonlySet<number> = new Set([
  0x08, 0x0d, 0x0e, 0x0f, 0x10, 0x21, 0x25, 0x26, 0x28, 0x2c, 0x2d, 0x2e, 0x36, 0x38, 0x45, 0x46, 0x4c, 0x4d, 0x56,
  0x58, 0x61, 0x63, 0xc0, 0xc4, 0xc5, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4,
  0xd5, 0xd7, 0xd8, 0xda, 0xdb, 0xdc, 0xdd,
]);
/** Tags of what is ciphered by itself, and of general ciphering. */
const isCipheredTag = (tag: number): boolean =>
  (tag >= 0x21 && tag <= 0x58) || (tag >= 0xc8 && tag <= 0xd7) || (tag >= 0xdb && tag <= 0xdd);
export const mayStandInBlocks = (octets: Uint8Array): boolean => {
  const [tag = 0] = octets;
  return shownInBlocks.has(tag) && !(isCipheredTag(tag) && isReadable(octets));
};
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

type Ciphered = Extract<Apdu, { readonly kind: `glo-${string}` | `ded-${string}` | `general-${string}ciphering` }>;
const isCiphered = (apdu: Apdu | AcseApdu): apdu is Ciphered => /^(?:glo|ded)-|^general-.*ciphering$/.test(apdu.kind);
/** Security control and counter. */
const protectionHead = 5;
/** Octets of a ciphered APDU that are not encrypted, or of which nobody knows it yet. */
function isReadable(octets: Uint8Array): boolean {
  const control = controlIn(octets);
  return control === undefined || (control & securityControl.encryption) === 0;
}
/** The security control in the beginning of a ciphered APDU; undefined where the octets do not reach it. */
function controlIn(octets: Uint8Array): number | undefined {
  const r = new Reader(octets);
  try {
    const tag = r.u8();
    // A system title; of general-ciphering transaction, titles, time and other information, and which key it is.
    for (let i = tag === 0xdd ? 5 : tag >= 0xdb ? 1 : 0; i > 0; i--) octetString.read(r);
    if (tag === 0xdd && r.u8() !== 0) {
      const kind = r.u8();
      if (kind === 2) octetString.read(r);
      else r.u8();
      if (kind !== 0) octetString.read(r);
    }
    readLength(r);
    return r.u8();
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
/** A text that is not encrypted, ciphered by name only, is struck out like a plain one: whole where a secret is in it. */
function struckReadable(apdu: Apdu | AcseApdu, strike: (inside: Apdu) => Apdu | AcseApdu): Struck {
  if (!isCiphered(apdu) || ((apdu.content[0] ?? 0) & securityControl.encryption) !== 0) return undefined;
  const { content } = apdu;
  const isTagged = ((content[0] ?? 0) & securityControl.authentication) !== 0;
  try {
    const { apdu: inside } = decodeApdu(
      content.subarray(protectionHead, isTagged ? content.length - tagLength : content.length),
    );
    // One layer is looked into: nobody ciphers a second time what is not encrypted.
    const isPlain = !isCiphered(inside) && !inside.kind.startsWith('general-');
    const shown = isPlain ? (strike(inside) as Apdu) : undefined;
    if (shown && Buffer.compare(encodeApdu(shown), encodeApdu(inside)) === 0) return apdu;
  } catch (error) {
    // Nobody knows what is in it.
    if (!(error instanceof CodecError || error instanceof Failure)) throw error;
  }
  return { ...apdu, content: concat([content.subarray(0, protectionHead), stars(content.subarray(protectionHead))]) };
}

export function withholding(isSecret: IsSecret): Withholding {
  const asked: Asked = {
    questions: new Map(),
    last: undefined,
    lostSecret: false,
    sending: new Map(),
    isSecret,
  };
  const strike = (apdu: Apdu | AcseApdu): Apdu | AcseApdu =>
    struckEntry(apdu) ??
    struckGet(apdu, asked) ??
    struckSetOrAction(apdu, asked) ??
    struckAccess(apdu, asked) ??
    struckUnasked(apdu, asked) ??
    struckReadable(apdu, strike) ??
    apdu;
  return {
    strike: <T extends Apdu | AcseApdu>(apdu: T) => strike(apdu) as T,
    mayShow: (octets) => ![...asked.sending.values()].includes(true) && !isOpenSecret(asked) && mayShow(octets),
  };
}
