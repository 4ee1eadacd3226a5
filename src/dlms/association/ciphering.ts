/**
 * Ciphered APDUs of an association (Green Book 9.5: glo-, ded-, general-glo-, general-ded-ciphering), both roles. Every
 * counter is taken from outside, where it was made durable before; what comes must carry a counter above the last one.
 */
import { Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { octetString } from '../axdr/length.ts';
import { protect, type ProtectionKeys, securityControl, type Suite, unprotect } from '../security/protection.ts';
import type { Apdu } from '../xdlms/apdu.ts';

export interface CipheringSettings {
  readonly suite: Suite;
  readonly ownTitle: Uint8Array;
  /** Global unicast encryption key and authentication key. */
  readonly keys: ProtectionKeys;
  /** What every service APDU gets. */
  readonly policy: 'authenticated' | 'encrypted' | 'authenticated-encrypted';
  /** Per-service tags (glo-get-request …) or the general APDUs. */
  readonly wrapping: 'service' | 'general';
  /** Used instead of the global key once the association stands. */
  readonly dedicated?: Secret;
  /** The next invocation counter of the encryption key; never the same twice (R37). */
  readonly nextCounter: () => number;
}

/** Plain tag → global and dedicated tag. */
const cipheredTag: Readonly<Record<number, readonly [glo: number, ded: number]>> = {
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
  'get-request': 0xc0,
  'set-request': 0xc1,
  'event-notification': 0xc2,
  'action-request': 0xc3,
  'get-response': 0xc4,
  'set-response': 0xc5,
  'action-response': 0xc7,
};
const initiateTag: Readonly<Record<number, number>> = { 0x01: 0x21, 0x08: 0x28, 0x0e: 0x2e };
const policyBits = {
  authenticated: securityControl.authentication,
  encrypted: securityControl.encryption,
  'authenticated-encrypted': securityControl.authentication | securityControl.encryption,
} as const;

const isDedicated = (apdu: Apdu): boolean => apdu.kind.startsWith('ded-') || apdu.kind === 'general-ded-ciphering';

export class Ciphering {
  peerTitle: Uint8Array = new Uint8Array(0);
  private readonly settings: CipheringSettings;
  /** The highest counter that came with each key. */
  private readonly heard = { global: -1, dedicated: -1 };
  private dedicatedCounter = 0;
  dedicated: Secret | undefined;

  constructor(settings: CipheringSettings) {
    this.settings = settings;
    this.dedicated = settings.dedicated;
  }

  /** InitiateRequest and InitiateResponse, always authenticated and encrypted with the global key. */
  wrapInitiate(plain: Uint8Array): Uint8Array {
    const { suite, ownTitle, keys, nextCounter } = this.settings;
    const control = policyBits['authenticated-encrypted'] | suite;
    const w = new Writer(plain.length + 24);
    w.u8(initiateTag[plain[0] as number] as number);
    octetString.write(w, protect(plain, control, nextCounter(), ownTitle, keys));
    return w.octets();
  }

  /** An answer is wrapped as its request was (`like`). */
  wrap(plain: Uint8Array, like?: Apdu): Uint8Array {
    const { suite, ownTitle, keys, policy, nextCounter } = this.settings;
    const wrapping = like ? (like.kind.startsWith('general') ? 'general' : 'service') : this.settings.wrapping;
    const dedicated = like && !isDedicated(like) ? undefined : this.dedicated;
    const control = policyBits[policy] | suite;
    const counter = dedicated ? this.dedicatedCounter++ : nextCounter();
    const used: ProtectionKeys = dedicated ? { ...keys, encryption: dedicated } : keys;
    const content = protect(plain, control, counter, ownTitle, used);
    const w = new Writer(content.length + 16);
    const tags = cipheredTag[plain[0] as number];
    if (wrapping === 'general' || !tags) {
      w.u8(dedicated ? 0xdc : 0xdb);
      octetString.write(w, ownTitle);
    } else w.u8(dedicated ? tags[1] : tags[0]);
    octetString.write(w, content);
    return w.octets();
  }

  /** Whether this APDU is ciphered, in any of the ways that `unwrap` knows. */
  static isCiphered(apdu: Apdu): apdu is Apdu & { content: Uint8Array } {
    return 'content' in apdu && apdu.kind !== 'general-block-transfer';
  }

  /** The plain octets. Failure where tag, title, counter or policy do not fit; the state is unchanged then. */
  unwrap(apdu: Apdu & { content: Uint8Array }): Uint8Array {
    const { keys, policy } = this.settings;
    const withDedicated = isDedicated(apdu);
    if (withDedicated && !this.dedicated)
      throw new Failure('deciphering-failed', `${apdu.kind} without a dedicated key`);
    if ('systemTitle' in apdu && apdu.systemTitle.length > 0 && this.peerTitle.length > 0) {
      if (Buffer.compare(apdu.systemTitle, this.peerTitle) !== 0) {
        throw new Failure('deciphering-failed', 'the APDU carries another system title than the association');
      }
    }
    const title = 'systemTitle' in apdu && apdu.systemTitle.length === 8 ? apdu.systemTitle : this.peerTitle;
    const used: ProtectionKeys = withDedicated ? { ...keys, encryption: this.dedicated as Secret } : keys;
    const { control, counter, text } = unprotect(apdu.content, title, used);
    const initiate = apdu.kind.startsWith('glo-initiate') || apdu.kind === 'glo-confirmed-service-error';
    const wanted = initiate ? policyBits.authenticated : policyBits[policy];
    if ((control & wanted) !== wanted) {
      throw new Failure(
        'deciphering-failed',
        `protection 0x${control.toString(16)} is weaker than the policy (${policy})`,
      );
    }
    const which = withDedicated ? 'dedicated' : 'global';
    if (counter <= this.heard[which]) {
      throw new Failure('replayed-counter', `counter ${counter} after ${this.heard[which]}`, { counter });
    }
    const expected = plainTag[apdu.kind.slice(4)];
    if (!apdu.kind.startsWith('general') && expected !== text[0]) {
      throw new Failure('deciphering-failed', `${apdu.kind} holds something else (tag ${text[0]})`);
    }
    this.heard[which] = counter;
    return text;
  }

  /** Counters up to here came in an association before. */
  startAfter(counter: number): void {
    this.heard.global = Math.max(this.heard.global, counter);
  }
  get heardGlobal(): number {
    return this.heard.global;
  }

  /** A counter that came outside of an APDU, in the proof of HLS by GMAC. */
  get global(): { readonly keys: ProtectionKeys; readonly suite: Suite; nextCounter(): number } {
    return this.settings;
  }
}
