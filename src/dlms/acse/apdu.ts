/**
 * ACSE APDUs in BER (Green Book 9.4.2, ISO/IEC 8650-1): AARQ, AARE, RLRQ, RLRE. Elements may stand in any order; lengths
 * that disagree with the APDU's end are survived (meter-quirks 35, 46), because the elements themselves are exact. Of an
 * answer only that is demanded on which something hangs: elements that nobody here reads may be missing or odd.
 */
import { Reader, Writer } from '../../base/cursor.ts';
import { CodecError } from '../../base/errors.ts';
import { octetString, readLength, writeLength } from '../axdr/length.ts';

/** Last arc of the application context name 2.16.756.5.8.1.x. */
export const applicationContext = {
  'logical-name': 1,
  'short-name': 2,
  'logical-name-ciphered': 3,
  'short-name-ciphered': 4,
} as const;
/** Last arc of the mechanism name 2.16.756.5.8.2.x. */
export const mechanism = {
  none: 0,
  lls: 1,
  'hls-manufacturer': 2,
  'hls-md5': 3,
  'hls-sha1': 4,
  'hls-gmac': 5,
  'hls-sha256': 6,
  'hls-ecdsa': 7,
} as const;

export interface Aarq {
  readonly kind: 'aarq';
  readonly applicationContext: number;
  readonly callingApTitle?: Uint8Array;
  readonly callingAeQualifier?: Uint8Array;
  readonly callingAeInvocationId?: number;
  /** ACSE requirements: authentication is used. */
  readonly authentication?: boolean;
  readonly mechanism?: number;
  readonly authenticationValue?: Uint8Array;
  readonly userInformation?: Uint8Array;
}
export interface Aare {
  readonly kind: 'aare';
  readonly applicationContext?: number;
  /** 0 accepted, 1 rejected permanent, 2 rejected transient. */
  readonly result: number;
  readonly diagnostic?: { readonly source: 'acse-service-user' | 'acse-service-provider'; readonly code: number };
  readonly respondingApTitle?: Uint8Array;
  readonly respondingAeQualifier?: Uint8Array;
  readonly respondingAeInvocationId?: number;
  readonly authentication?: boolean;
  readonly mechanism?: number;
  readonly authenticationValue?: Uint8Array;
  readonly userInformation?: Uint8Array;
}
export interface Release {
  readonly kind: 'rlrq' | 'rlre';
  readonly reason?: number;
  readonly userInformation?: Uint8Array;
}
export type AcseApdu = Aarq | Aare | Release;

/** Green Book 9.4.2.1.4, associate-source-diagnostic of the service user. */
/** Of the ACSE service provider. */
export const providerDiagnostic: readonly string[] = ['null', 'no reason given', 'no common ACSE version'];
export const userDiagnostic: readonly string[] = [
  'null',
  'no reason given',
  'application context name not supported',
  'calling AP title not recognised',
  'calling AP invocation identifier not recognised',
  'calling AE qualifier not recognised',
  'calling AE invocation identifier not recognised',
  'called AP title not recognised',
  'called AP invocation identifier not recognised',
  'called AE qualifier not recognised',
  'called AE invocation identifier not recognised',
  'authentication mechanism name not recognised',
  'authentication mechanism name required',
  'authentication failure',
  'authentication required',
];

interface Element {
  readonly tag: number;
  readonly name: string;
  /** Nothing hangs on it: where it cannot be read it is left out. */
  readonly spare?: true;
  read(r: Reader): unknown;
  write(w: Writer, value: never): void;
}
const objectIdentifier = (tag: number, name: string, arcs: readonly number[], inner: boolean): Element => ({
  tag,
  name,
  read: (r) => {
    if (inner && r.u8() !== 0x06) r.fail('OBJECT IDENTIFIER expected');
    const octets = inner ? octetString.read(r) : r.rest();
    if (octets.length !== arcs.length + 1 || arcs.some((arc, i) => octets[i] !== arc)) {
      r.fail('an object identifier outside 2.16.756.5.8');
    }
    return octets[arcs.length];
  },
  write: (w, value: number) => {
    if (inner) {
      w.u8(0x06);
      w.u8(arcs.length + 1);
    }
    for (const arc of arcs) w.u8(arc);
    w.u8(value);
  },
});
/** An explicit tag around one OCTET STRING (or, for `universal` 0x80, a charstring). */
const wrapped = (tag: number, name: string, universal: number): Element => ({
  tag,
  name,
  read: (r) => {
    const found = r.u8();
    if (found !== universal) r.fail(`tag 0x${universal.toString(16)} expected, 0x${found.toString(16)} found`);
    return octetString.read(r);
  },
  write: (w, value: Uint8Array) => {
    w.u8(universal);
    octetString.write(w, value);
  },
});
const spare = (element: Element): Element => ({ ...element, spare: true });
/** Some write an ENUMERATED. */
const integer = (tag: number, name: string): Element => ({
  tag,
  name,
  read: (r) => {
    const type = r.u8();
    if (type !== 0x02 && type !== 0x0a) r.fail('INTEGER expected');
    let value = 0;
    for (const octet of octetString.read(r)) value = value * 256 + octet;
    return value;
  },
  write: (w, value: number) => {
    const octets: number[] = [];
    for (let rest = value; ; rest = Math.floor(rest / 256)) {
      octets.unshift(rest & 0xff);
      if (rest < 256) break;
    }
    w.u8(0x02);
    w.u8(octets.length);
    for (const octet of octets) w.u8(octet);
  },
});
const requirements = (tag: number): Element => ({
  tag,
  name: 'authentication',
  read: (r) => {
    r.u8();
    return r.remaining > 0 && (r.u8() & 0x80) !== 0;
  },
  write: (w, value: boolean) => {
    w.u8(0x07);
    w.u8(value ? 0x80 : 0);
  },
});
const arcs = { context: [0x60, 0x85, 0x74, 0x05, 0x08, 0x01], mechanism: [0x60, 0x85, 0x74, 0x05, 0x08, 0x02] };
const octetStringTag = 0x04;
/** Some leave the inner tag out. What stands there, an APDU or a system title, does not begin like it. */
const perhapsWrapped = (tag: number, name: string): Element => ({
  ...wrapped(tag, name, octetStringTag),
  read: (r) => {
    if (r.peek() !== octetStringTag) return r.rest();
    r.u8();
    return octetString.read(r);
  },
});
const userInformation = perhapsWrapped(0xbe, 'userInformation');

const grammar: Record<number, { kind: AcseApdu['kind']; elements: readonly Element[] }> = {
  0x60: {
    kind: 'aarq',
    elements: [
      objectIdentifier(0xa1, 'applicationContext', arcs.context, true),
      wrapped(0xa6, 'callingApTitle', 0x04),
      wrapped(0xa7, 'callingAeQualifier', 0x04),
      integer(0xa9, 'callingAeInvocationId'),
      requirements(0x8a),
      objectIdentifier(0x8b, 'mechanism', arcs.mechanism, false),
      wrapped(0xac, 'authenticationValue', 0x80),
      userInformation,
    ],
  },
  0x61: {
    kind: 'aare',
    elements: [
      spare(objectIdentifier(0xa1, 'applicationContext', arcs.context, true)),
      integer(0xa2, 'result'),
      {
        tag: 0xa3,
        name: 'diagnostic',
        spare: true,
        read: (r) => {
          const source = r.u8() === 0xa1 ? 'acse-service-user' : 'acse-service-provider';
          readLength(r);
          return { source, code: integer(0, '').read(r) as number };
        },
        write: (w, value: NonNullable<Aare['diagnostic']>) => {
          const inner = new Writer();
          integer(0, '').write(inner, value.code as never);
          w.u8(value.source === 'acse-service-user' ? 0xa1 : 0xa2);
          octetString.write(w, inner.octets());
        },
      },
      spare(perhapsWrapped(0xa4, 'respondingApTitle')),
      spare(wrapped(0xa5, 'respondingAeQualifier', 0x04)),
      spare(integer(0xa7, 'respondingAeInvocationId')),
      spare(requirements(0x88)),
      spare(objectIdentifier(0x89, 'mechanism', arcs.mechanism, false)),
      spare(wrapped(0xaa, 'authenticationValue', 0x80)),
      userInformation,
    ],
  },
};
const release = (kind: 'rlrq' | 'rlre') => ({
  kind,
  elements: [
    {
      tag: 0x80,
      name: 'reason',
      spare: true,
      read: (r: Reader) => r.u8(),
      write: (w: Writer, value: number) => w.u8(value),
    } as Element,
    userInformation,
  ],
});
grammar[0x62] = release('rlrq');
grammar[0x63] = release('rlre');
const required: Record<AcseApdu['kind'], readonly string[]> = {
  aarq: ['applicationContext'],
  aare: ['result'],
  rlrq: [],
  rlre: [],
};

export const isAcse = (tag: number): boolean => grammar[tag] !== undefined;

export function decodeAcse(octets: Uint8Array): AcseApdu {
  const r = new Reader(octets);
  const apdu = grammar[r.u8()];
  if (!apdu) return new Reader(octets).fail('no ACSE APDU');
  readLength(r);
  const value: Record<string, unknown> = { kind: apdu.kind };
  while (r.remaining > 0) {
    const tag = r.u8();
    const length = readLength(r);
    const element = apdu.elements.find((candidate) => candidate.tag === tag);
    if (!element) {
      // AP and AE identifiers that nothing here needs, and implementation data.
      r.take(Math.min(length, r.remaining));
      continue;
    }
    const lenient = element === userInformation;
    if (!lenient && length > r.remaining) r.fail(`${element.name} of ${length} octets, ${r.remaining} left`);
    const content = new Reader(octets, r.offset, lenient ? octets.length : r.offset + length);
    try {
      value[element.name] = element.read(content);
    } catch (error) {
      if (element.spare !== true || !(error instanceof CodecError)) throw error;
    }
    r.offset = lenient ? Math.min(octets.length, Math.max(content.offset, r.offset + length)) : r.offset + length;
  }
  for (const name of required[apdu.kind]) if (value[name] === undefined) r.fail(`${apdu.kind} without ${name}`);
  return value as unknown as AcseApdu;
}

export function encodeAcse(apdu: AcseApdu): Uint8Array {
  const [tag, { elements }] = Object.entries(grammar).find(([, { kind }]) => kind === apdu.kind) as [
    string,
    (typeof grammar)[number],
  ];
  const body = new Writer();
  for (const element of elements) {
    const value = (apdu as unknown as Record<string, unknown>)[element.name];
    if (value === undefined) continue;
    const content = new Writer();
    element.write(content, value as never);
    body.u8(element.tag);
    octetString.write(body, content.octets());
  }
  const w = new Writer();
  w.u8(Number(tag));
  writeLength(w, body.length);
  w.put(body.octets());
  return w.octets();
}
