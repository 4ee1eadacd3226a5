/**
 * Protected APDUs of an association (Green Book 9.5: glo-, ded-, general-glo-, general-ded-ciphering, general-ciphering,
 * general-signing), both roles. Every counter is taken from outside, where it was made durable before; what comes must
 * carry a counter above the last one.
 */
import type { KeyObject } from 'node:crypto';
import { concat, Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { toHex } from '../../base/hex.ts';
import type { Secret } from '../../base/secret.ts';
import { octetString } from '../axdr/length.ts';
import {
  agree,
  deriveKey,
  ecdsaSign,
  ecdsaVerify,
  type KeyPair,
  publicKeyOf,
  unwrapKey,
  wrapKey,
} from '../security/keys.ts';
import { protect, type ProtectionKeys, securityControl, type Suite, unprotect } from '../security/protection.ts';
import { type Apdu, type ApduOf, decodeApdu, encodeApdu, type KeyInfo } from '../xdlms/apdu.ts';

/** Keys of the public-key part of suites 1 and 2. Each side needs what it uses. */
export interface PublicKeys {
  /** For digital signatures: ours, and the peer's public one. */
  readonly signing?: { readonly own: KeyObject; readonly peer: KeyObject };
  /** For key agreement: ours, and the peer's public one. */
  readonly agreement?: { readonly own: KeyObject; readonly peer: KeyObject };
  /** A fresh key pair, for one-pass key agreement. */
  readonly ephemeral?: () => KeyPair;
}
/**
 * What is known of the peer from one association to the next; only an APDU whose tag fits the keys changes it. Without it a
 * whole association that was recorded once can be played again.
 */
export interface PeerMemory {
  /** The system title that it authenticated itself with; undefined before the first time. */
  title: Uint8Array | undefined;
  /** The highest counter that came authenticated with the global key; -1 before the first. */
  heard: number;
  /**
   * The peer proves over a fresh challenge of ours that it is there (HLS): nothing of it can be played again from the
   * beginning, and a counter that begins anew is odd and no replay.
   */
  readonly challenged?: boolean;
  /** Its counter began anew. */
  restarted?: boolean;
  /** A tag of its fitted the keys in this association. */
  proven?: boolean;
}
/** How an APDU is protected. */
export type Protection = 'authenticated' | 'encrypted' | 'authenticated-encrypted';
export interface CipheringSettings {
  readonly peer?: PeerMemory;
  readonly suite: Suite;
  readonly ownTitle: Uint8Array;
  /** The peer's, where its AARE carries none and it was never met. */
  readonly peerTitle?: Uint8Array;
  /** Global unicast encryption key and authentication key. */
  readonly keys: ProtectionKeys;
  /** What every service APDU gets, and what an answer must have at least. */
  readonly policy: Protection;
  /**
   * What InitiateRequest gets and what InitiateResponse must have at least, where that is not as usual: authenticated and
   * encrypted what goes out, by the policy what comes (meter-quirks 42, 82).
   */
  readonly initiate?: Protection;
  /** Per-service tags (glo-get-request …), general-glo/-ded-ciphering, or general-ciphering. */
  readonly wrapping: 'service' | 'general' | 'general-ciphering';
  /** general-ciphering: which key protects the content. Default: the global key by its identifier. */
  readonly keyInfo?: 'identified' | 'wrapped' | 'one-pass' | 'static-unified';
  /** general-ciphering with a wrapped key: the key encryption key, and a fresh key for each APDU. */
  readonly master?: Secret;
  readonly freshKey?: () => Secret;
  readonly publicKeys?: PublicKeys;
  /** Every protected APDU is signed as well (general-signing), and every answer must be. */
  readonly signed?: boolean;
  /** Used instead of the global key once the association stands: a fresh key for each, for its counter begins at 0. */
  readonly dedicated?: () => Secret;
  /** The next invocation counter of the encryption key; never the same twice (R37). */
  readonly nextCounter: () => number;
}

/** Plain tag → global and dedicated tag. */
const cipheredTag: Readonly<Record<number, readonly [glo: number, ded: number]>> = {
  0x05: [0x25, 0x45],
  0x06: [0x26, 0x46],
  0x0c: [0x2c, 0x4c],
  0x0d: [0x2d, 0x4d],
  0x16: [0x36, 0x56],
  0x18: [0x38, 0x58],
  0xc0: [0xc8, 0xd0],
  0xc1: [0xc9, 0xd1],
  0xc2: [0xca, 0xd2],
  0xc3: [0xcb, 0xd3],
  0xc4: [0xcc, 0xd4],
  0xc5: [0xcd, 0xd5],
  0xc7: [0xcf, 0xd7],
};
/** What must be inside of glo-X and ded-X: the outer tag is not covered by the authentication. */
const plainTag: Readonly<Record<string, number>> = {
  'initiate-request': 0x01,
  'initiate-response': 0x08,
  'confirmed-service-error': 0x0e,
  'read-request': 0x05,
  'write-request': 0x06,
  'read-response': 0x0c,
  'write-response': 0x0d,
  'unconfirmed-write-request': 0x16,
  'information-report-request': 0x18,
  'get-request': 0xc0,
  'set-request': 0xc1,
  'event-notification': 0xc2,
  'action-request': 0xc3,
  'get-response': 0xc4,
  'set-response': 0xc5,
  'action-response': 0xc7,
};
const initiateTag: Readonly<Record<number, number>> = { 0x01: 0x21, 0x08: 0x28, 0x0e: 0x2e };
export const protectionBits = {
  authenticated: securityControl.authentication,
  encrypted: securityControl.encryption,
  'authenticated-encrypted': securityControl.authentication | securityControl.encryption,
} as const;
/** Key-parameters of an agreed key (Green Book 9.5): the scheme. */
const onePass = 0x01;
const staticUnified = 0x02;
const none = new Uint8Array(0);

/** exception-response and confirmed-service-error have no tags of their own, and stand behind those of what was asked for. */
const errorTags: ReadonlySet<number> = new Set([0xd8, 0x0e]);

const isDedicated = (apdu: Apdu): boolean => apdu.kind.startsWith('ded-') || apdu.kind === 'general-ded-ciphering';
const refuse = (message: string): never => {
  throw new Failure('deciphering-failed', message);
};
const weaker = (message: string): never => {
  throw new Failure('protection-weaker', message);
};
const keyless = (message: string): never => {
  throw new Failure('secret-missing', message);
};
type GeneralHeader = Pick<
  ApduOf<'general-signing'>,
  'transactionId' | 'originator' | 'recipient' | 'dateTime' | 'otherInformation'
>;
/** The fields before the content, with their lengths, as they are authenticated and signed. */
export function headerOctets(header: GeneralHeader): Uint8Array {
  const w = new Writer(64);
  for (const field of [
    header.transactionId,
    header.originator,
    header.recipient,
    header.dateTime,
    header.otherInformation,
  ])
    octetString.write(w, field);
  return w.octets();
}
function signedText(apdu: ApduOf<'general-signing'>): Uint8Array {
  const w = new Writer(apdu.content.length + 80);
  w.put(headerOctets(apdu));
  octetString.write(w, apdu.content);
  return w.octets();
}
export type ProtectedApdu = Apdu & { readonly content: Uint8Array };

export class Ciphering {
  peerTitle: Uint8Array = new Uint8Array(0);
  private readonly settings: CipheringSettings;
  /** The highest counter that came with each kind of key. */
  private readonly heard = { global: -1, dedicated: -1, agreed: -1 };
  private dedicatedCounter = 0;
  private transaction = 0;
  dedicated: Secret | undefined;

  constructor(settings: CipheringSettings) {
    this.settings = settings;
    this.dedicated = settings.dedicated?.();
  }

  /** Octets that protection adds to an APDU, at most: tags, lengths, titles, control, counter, key, authentication tag. */
  get overhead(): number {
    const { wrapping, keyInfo, signed, suite } = this.settings;
    const point = suite === 2 ? 96 : 64;
    const key = keyInfo === 'one-pass' ? 2 * point + 6 : keyInfo === 'wrapped' ? 48 : 5;
    const ciphered = wrapping === 'general-ciphering' ? 54 + key : 36;
    return ciphered + (signed ? point + 38 : 0);
  }

  /** InitiateRequest and InitiateResponse, with the global key. */
  wrapInitiate(plain: Uint8Array): Uint8Array {
    const { suite, ownTitle, keys, nextCounter, initiate = 'authenticated-encrypted' } = this.settings;
    if (this.dedicated && initiate === 'authenticated')
      throw new Failure(
        'config-invalid',
        'a dedicated key would go out in the clear: InitiateRequest is not encrypted',
      );
    const w = new Writer(plain.length + 24);
    w.u8(initiateTag[plain[0] as number] as number);
    const control = protectionBits[initiate] | suite;
    octetString.write(w, protect(plain, { control, counter: nextCounter(), systemTitle: ownTitle }, keys));
    return w.octets();
  }
  /** The title of the AARE; where it carries none, the one that is known of this meter. */
  meetTitle(given: Uint8Array | undefined): void {
    if (given && given.length !== 8) refuse(`the AARE carries a system title of ${given.length} octets, not of 8`);
    const known = given ?? this.settings.peer?.title ?? this.settings.peerTitle;
    if (!known)
      return refuse(
        'the AARE carries no system title, and none is known of this meter: give its own (meter_title, --meter-title)',
      );
    this.peerTitle = known;
  }

  /** An answer is wrapped as its request was (`like`). */
  wrap(plain: Uint8Array, like?: Apdu): Uint8Array {
    const ciphered = this.wrapCiphered(plain, like);
    return this.settings.signed ? this.sign(ciphered) : ciphered;
  }

  private wrapCiphered(plain: Uint8Array, like?: Apdu): Uint8Array {
    const { suite, ownTitle, keys, policy, nextCounter } = this.settings;
    const likeWrapping = like && like.kind !== 'general-signing' ? wrappingOf(like) : undefined;
    const wrapping = likeWrapping ?? this.settings.wrapping;
    if (wrapping === 'general-ciphering') return this.wrapGeneral(plain);
    const dedicated = like && !isDedicated(like) ? undefined : this.dedicated;
    const control = protectionBits[policy] | suite;
    const counter = dedicated ? this.dedicatedCounter++ : nextCounter();
    const used: ProtectionKeys = dedicated ? { ...keys, encryption: dedicated } : keys;
    const content = protect(plain, { control, counter, systemTitle: ownTitle }, used);
    const w = new Writer(content.length + 16);
    const tags = cipheredTag[plain[0] as number];
    if (wrapping === 'general' || !tags) {
      w.u8(dedicated ? 0xdc : 0xdb);
      octetString.write(w, ownTitle);
    } else w.u8(dedicated ? tags[1] : tags[0]);
    octetString.write(w, content);
    return w.octets();
  }

  private header(): GeneralHeader {
    const transactionId = new Uint8Array(8);
    new DataView(transactionId.buffer).setUint32(4, ++this.transaction);
    return {
      transactionId,
      originator: this.settings.ownTitle,
      recipient: this.peerTitle,
      dateTime: none,
      otherInformation: none,
    };
  }

  private wrapGeneral(plain: Uint8Array): Uint8Array {
    const { suite, ownTitle, policy, nextCounter, keys } = this.settings;
    const header = this.header();
    const { keyInfo, encryption } = this.sendingKey(header);
    const content = protect(
      plain,
      { control: protectionBits[policy] | suite, counter: nextCounter(), systemTitle: ownTitle },
      { ...keys, encryption },
      headerOctets(header),
    );
    return encodeApdu({ kind: 'general-ciphering', ...header, keyInfo, content });
  }

  private sendingKey(header: GeneralHeader): { keyInfo: KeyInfo; encryption: Secret } {
    const { keyInfo = 'identified', keys, master, freshKey, publicKeys } = this.settings;
    const missing = (): never => {
      throw new Failure('secret-missing', `general-ciphering with a key that is ${keyInfo} needs more keys`);
    };
    switch (keyInfo) {
      case 'identified':
        return { keyInfo: { kind: 'identified-key', value: 0 }, encryption: keys.encryption };
      case 'wrapped': {
        if (!master || !freshKey) return missing();
        const encryption = freshKey();
        return { keyInfo: { kind: 'wrapped-key', value: { kekId: 0, key: wrapKey(encryption, master) } }, encryption };
      }
      case 'one-pass': {
        const { signing, agreement, ephemeral } = publicKeys ?? {};
        if (!signing || !agreement || !ephemeral) return missing();
        const { privateKey, publicOctets } = ephemeral();
        const signature = ecdsaSign(publicOctets, signing.own, this.publicSuite);
        const encryption = deriveKey(
          agree(privateKey, agreement.peer),
          this.publicSuite,
          header.originator,
          header.recipient,
        );
        const key = concat([publicOctets, signature]);
        return {
          keyInfo: { kind: 'agreed-key', value: { parameters: Uint8Array.of(onePass), key } },
          encryption,
        };
      }
      case 'static-unified': {
        const { agreement } = publicKeys ?? {};
        if (!agreement) return missing();
        return {
          keyInfo: { kind: 'agreed-key', value: { parameters: Uint8Array.of(staticUnified), key: none } },
          encryption: this.staticKey(header),
        };
      }
    }
  }
  private get publicSuite(): 1 | 2 {
    const { suite } = this.settings;
    return suite === 0 ? refuse('security suite 0 has no public keys') : suite;
  }
  /** C(0e, 2s): the transaction identifier is the nonce of the originator. */
  private staticKey(header: GeneralHeader): Secret {
    const { agreement } = this.settings.publicKeys ?? {};
    if (!agreement) return keyless('an agreed key came, and there is no key agreement key for it');
    const w = new Writer();
    w.put(header.originator);
    octetString.write(w, header.transactionId);
    return deriveKey(agree(agreement.own, agreement.peer), this.publicSuite, w.octets(), header.recipient);
  }

  private receivingKey(apdu: ApduOf<'general-ciphering'>): { encryption: Secret; which: 'global' | 'agreed' } {
    const { keys, master, publicKeys } = this.settings;
    const { keyInfo } = apdu;
    if (!keyInfo) return { encryption: keys.encryption, which: 'global' };
    if (keyInfo.kind === 'identified-key') {
      if (keyInfo.value !== 0)
        refuse(`general-ciphering names key ${keyInfo.value}; only the global unicast key (0) is known`);
      return { encryption: keys.encryption, which: 'global' };
    }
    if (keyInfo.kind === 'wrapped-key') {
      if (!master) return keyless('a wrapped key came, and there is no master key for it');
      return { encryption: unwrapKey(keyInfo.value.key, master), which: 'agreed' };
    }
    const { parameters, key } = keyInfo.value;
    if (parameters.length === 1 && parameters[0] === staticUnified)
      return { encryption: this.staticKey(apdu), which: 'agreed' };
    if (parameters.length !== 1 || parameters[0] !== onePass) return refuse('a key agreement scheme that is not known');
    const { signing, agreement } = publicKeys ?? {};
    if (!signing || !agreement) return keyless('an agreed key came, and there are no keys for it');
    const suite = this.publicSuite;
    const half = key.length / 2;
    const publicOctets = key.subarray(0, half);
    if (!ecdsaVerify(publicOctets, key.subarray(half), signing.peer, suite)) {
      return refuse('the signature of the ephemeral public key is wrong');
    }
    const shared = agree(agreement.own, publicKeyOf(publicOctets, suite));
    return { encryption: deriveKey(shared, suite, apdu.originator, apdu.recipient), which: 'agreed' };
  }

  private sign(content: Uint8Array): Uint8Array {
    const { publicKeys } = this.settings;
    if (!publicKeys?.signing) throw new Failure('secret-missing', 'general-signing needs a signing key');
    const apdu = { kind: 'general-signing', ...this.header(), content, signature: none } as const;
    const signature = ecdsaSign(signedText(apdu), publicKeys.signing.own, this.publicSuite);
    return encodeApdu({ ...apdu, signature });
  }

  /** What was unwrapped last carried a right tag or signature. What is only encrypted proves nothing of its sender. */
  authentic = false;

  /** Whether this APDU is protected, in any of the ways that `unwrap` knows. */
  static isCiphered(apdu: Apdu): apdu is ProtectedApdu {
    return 'content' in apdu && apdu.kind !== 'general-block-transfer';
  }

  /** The plain octets. Failure where tag, title, counter, signature or policy do not fit; the state is unchanged then. */
  unwrap(apdu: ProtectedApdu, initiate = false): Uint8Array {
    const { settings } = this;
    if (apdu.kind === 'general-signing') {
      const { signing } = settings.publicKeys ?? {};
      if (!signing) return keyless('a signed APDU came, and there is no key to verify it');
      this.requireTitle(apdu.originator);
      if (!ecdsaVerify(signedText(apdu), apdu.signature, signing.peer, this.publicSuite)) {
        return refuse('the signature of the APDU is wrong');
      }
      const inner = decodeApdu(apdu.content).apdu;
      if (!Ciphering.isCiphered(inner) || inner.kind === 'general-signing') {
        return weaker('a signed APDU that is not ciphered is weaker than the policy');
      }
      const plain = this.decipher(inner, false);
      this.authentic = true;
      return plain;
    }
    const mayBeUnsigned = initiate || apdu.kind === 'glo-confirmed-service-error';
    if (settings.signed && !mayBeUnsigned) return weaker(`${apdu.kind} came without a signature`);
    return this.decipher(apdu, initiate);
  }

  private requireTitle(title: Uint8Array): void {
    if (title.length > 0 && this.peerTitle.length > 0 && Buffer.compare(title, this.peerTitle) !== 0) {
      refuse('the APDU carries another system title than the association');
    }
  }

  private decipher(apdu: ProtectedApdu, initiate: boolean): Uint8Array {
    const { keys, policy } = this.settings;
    const least = initiate ? (this.settings.initiate ?? policy) : policy;
    const withDedicated = isDedicated(apdu);
    if (withDedicated && !this.dedicated) refuse(`${apdu.kind} without a dedicated key`);
    const general = apdu.kind === 'general-ciphering' ? apdu : undefined;
    const given = general ? general.originator : 'systemTitle' in apdu ? apdu.systemTitle : none;
    this.requireTitle(given);
    if (general && general.recipient.length > 0 && Buffer.compare(general.recipient, this.settings.ownTitle) !== 0) {
      refuse('the APDU is for another system title than ours');
    }
    const title = given.length === 8 ? given : this.peerTitle;
    const agreed = general && this.receivingKey(general);
    const encryption = agreed?.encryption ?? (withDedicated && this.dedicated ? this.dedicated : keys.encryption);
    const { control, counter, text } = unprotect(
      apdu.content,
      title,
      { ...keys, encryption },
      general && headerOctets(general),
    );
    if ((control & protectionBits[least]) !== protectionBits[least]) {
      const ruledBy = initiate && least !== policy ? 'the model says' : 'the policy';
      weaker(`${apdu.kind} with security control 0x${control.toString(16)} is weaker than ${ruledBy} (${least})`);
    }
    const which = agreed?.which ?? (withDedicated ? 'dedicated' : 'global');
    if (counter <= this.heard[which]) {
      throw new Failure('replayed-counter', `counter ${counter} after ${this.heard[which]}`, { counter });
    }
    const expected = plainTag[apdu.kind.slice(4)];
    if (!apdu.kind.startsWith('general') && expected !== text[0] && !errorTags.has(text[0] as number)) {
      // Where a tag was right the key is: the meter put something else in. Without one this is what a wrong key gives.
      const tagged = (control & securityControl.authentication) !== 0;
      const holds = `${apdu.kind} holds something else (tag ${text[0]})`;
      throw new Failure(tagged ? 'unexpected-apdu' : 'deciphering-failed', holds);
    }
    const authentic = (control & securityControl.authentication) !== 0;
    this.authentic = authentic;
    if (which === 'global' && authentic) this.meet(title, counter);
    // What carries no tag where answers must have one says nothing of the counters that count.
    if (authentic || policy === 'encrypted') this.heard[which] = counter;
    return text;
  }

  /** The tag fits: the peer has the keys. Whether it is the one that was met before, and not a recording of it. */
  private meet(title: Uint8Array, counter: number): void {
    const { peer } = this.settings;
    if (!peer) return;
    if (peer.title && Buffer.compare(peer.title, title) !== 0) {
      const [was, is] = [toHex(peer.title), toHex(title)];
      throw new Failure('title-changed', `system title ${is} answers with the keys of ${was}`, { title: is });
    }
    if (counter <= peer.heard && peer.challenged === true) peer.restarted = true;
    else if (counter <= peer.heard) {
      throw new Failure(
        'replayed-counter',
        `the meter's counter ${counter} came after ${peer.heard}, which was heard in an earlier association`,
        { counter },
      );
    }
    peer.title = title;
    peer.heard = counter;
    peer.proven = true;
  }

  /** Counters up to here came in an association before. */
  startAfter(counter: number): void {
    this.heard.global = Math.max(this.heard.global, counter);
  }
  get heardGlobal(): number {
    return this.heard.global;
  }

  /** A counter that came outside of an APDU, in the proof of HLS by GMAC. */
  get global(): {
    readonly keys: ProtectionKeys;
    readonly suite: Suite;
    readonly publicKeys?: PublicKeys;
    nextCounter(): number;
  } {
    return this.settings;
  }
}

function wrappingOf(apdu: Apdu): CipheringSettings['wrapping'] {
  if (apdu.kind === 'general-ciphering') return 'general-ciphering';
  return apdu.kind.startsWith('general') ? 'general' : 'service';
}
