/** Keys, titles, challenges and counters of one association, as far as the recording and whoever reads it give them. */
import { concat } from '../base/cursor.ts';
import { messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import type { AcseApdu } from '../dlms/acse/apdu.ts';
import { Ciphering, headerOctets, type ProtectedApdu } from '../dlms/association/ciphering.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { type HlsMechanism, hlsVerify } from '../dlms/security/hls.ts';
import {
  type ProtectionKeys,
  securityControl,
  tagLength,
  type Unprotected,
  unprotect,
} from '../dlms/security/protection.ts';
import type { Apdu } from '../dlms/xdlms/apdu.ts';
import { controlWords, proofText } from './apdu-text.ts';
import type { DecodeKeys } from './explained.ts';
import type { Direction } from './link.ts';

const noOctets = new Uint8Array(0);
const titleOctets = 8;
/** Senders whose counters are compared. */
const maxSenders = 4096;

const hlsByNumber: Readonly<Record<number, HlsMechanism>> = {
  2: 'hls-manufacturer',
  3: 'hls-md5',
  4: 'hls-sha1',
  5: 'hls-gmac',
  6: 'hls-sha256',
};

interface Entry {
  clientTitle: Uint8Array;
  serverTitle: Uint8Array;
  mechanism: HlsMechanism | undefined;
  clientChallenge: Uint8Array;
  serverChallenge: Uint8Array;
  proofAwaited: boolean;
  dedicated: Secret | undefined;
}
const freshEntry = (): Entry => ({
  clientTitle: noOctets,
  serverTitle: noOctets,
  mechanism: undefined,
  clientChallenge: noOctets,
  serverChallenge: noOctets,
  proofAwaited: false,
  dedicated: undefined,
});

/** `plain`: the APDU inside. `problem`: why there is none, or what is wrong with it. */
export interface Opened {
  readonly text: string;
  readonly plain?: Uint8Array;
  readonly problem?: string;
}
const isDedicated = (apdu: ProtectedApdu): boolean =>
  apdu.kind.startsWith('ded-') || apdu.kind === 'general-ded-ciphering';

/** Where there is no authentication key the text is decrypted all the same, and its tag is not looked at. */
function openedUnchecked(content: Uint8Array, title: Uint8Array, keys: ProtectionKeys): Unprotected {
  const [control = 0] = content;
  const bare = concat([
    Uint8Array.of(control & ~securityControl.authentication),
    content.subarray(1, content.length - tagLength),
  ]);
  return { ...unprotect(bare, title, keys), control };
}

export class HeardSecurity {
  private readonly keys: DecodeKeys;
  private entry = freshEntry();
  /** The newest ciphered text of each sender and kind of key. */
  private readonly heard = new Map<string, { readonly counter: number; readonly content: Uint8Array }>();

  constructor(keys: DecodeKeys) {
    this.keys = keys;
  }

  private titleOf(apdu: ProtectedApdu, direction: Direction): Uint8Array {
    const given = 'systemTitle' in apdu ? apdu.systemTitle : 'originator' in apdu ? apdu.originator : noOctets;
    if (given.length === titleOctets) return given;
    return direction === 'to-meter' ? this.entry.clientTitle : this.entry.serverTitle;
  }
  private keyFor(apdu: ProtectedApdu): Secret | undefined {
    if (isDedicated(apdu)) return this.entry.dedicated;
    if (apdu.kind !== 'general-ciphering') return this.keys.encryption;
    const { keyInfo } = apdu;
    return keyInfo === undefined || keyInfo.kind === 'identified-key' ? this.keys.encryption : undefined;
  }
  private counterProblem(name: string, counter: number, content: Uint8Array): string | undefined {
    const before = this.heard.get(name);
    if (before && counter <= before.counter) {
      if (counter === before.counter && Buffer.compare(before.content, content) === 0) return undefined;
      return `counter ${counter} came after ${before.counter}: sent again, replayed, or counted anew`;
    }
    const [eldest] = this.heard.keys();
    if (!before && eldest !== undefined && this.heard.size >= maxSenders) this.heard.delete(eldest);
    this.heard.set(name, { counter, content });
    return undefined;
  }

  /** Undefined where there is no key for it. */
  open(apdu: ProtectedApdu, direction: Direction): Opened | undefined {
    if (apdu.kind === 'general-signing')
      return { text: `${apdu.kind}, the signature is not verified: no certificate is given`, plain: apdu.content };
    const key = this.keyFor(apdu);
    const [control = 0] = apdu.content;
    const open = (control & (securityControl.authentication | securityControl.encryption)) === 0;
    if (!key && !open) return undefined;
    const title = this.titleOf(apdu, direction);
    const head = `${apdu.kind}, system title ${title.length === 0 ? 'not known' : toHex(title)}`;
    const header = apdu.kind === 'general-ciphering' ? headerOctets(apdu) : undefined;
    const keys = {
      encryption: key ?? new Secret(noOctets),
      authentication: this.keys.authentication ?? new Secret(noOctets),
    };
    const isTagged = (control & securityControl.authentication) !== 0;
    const unchecked = isTagged && !this.keys.authentication;
    try {
      const { counter, text } =
        unchecked && (control & securityControl.encryption) !== 0
          ? openedUnchecked(apdu.content, title, keys)
          : unchecked
            ? { counter: 0, text: apdu.content.subarray(5, apdu.content.length - tagLength) }
            : unprotect(apdu.content, title, keys, header);
      const proof = unchecked ? 'its tag is not checked: no authentication key' : proofText(control);
      const shown = `${head}, security control 0x${control.toString(16).padStart(2, '0')} (${controlWords(control)}; ${proof}), counter ${counter}`;
      const problem = this.counterProblem(`${toHex(title)} ${isDedicated(apdu)}`, counter, apdu.content);
      return { text: shown, plain: text, ...(problem !== undefined && { problem: `${apdu.kind}: ${problem}` }) };
    } catch (error) {
      return { text: head, problem: `${apdu.kind}: ${messageOf(error)}` };
    }
  }

  private verdict(who: string, given: Data | undefined, byClient: boolean): Opened | undefined {
    const { mechanism, clientTitle, serverTitle, clientChallenge, serverChallenge } = this.entry;
    const { encryption, authentication, secret } = this.keys;
    if (given?.type !== 'octet-string' || !mechanism) return undefined;
    const keys = encryption && authentication && { encryption, authentication };
    if (mechanism === 'hls-gmac' ? !keys : !secret) return undefined;
    const right = hlsVerify(mechanism, given.value, {
      secret,
      keys,
      suite: 0,
      ownTitle: byClient ? serverTitle : clientTitle,
      peerTitle: byClient ? clientTitle : serverTitle,
      ownChallenge: byClient ? serverChallenge : clientChallenge,
      peerChallenge: byClient ? clientChallenge : serverChallenge,
    });
    const text = `${mechanism}: proof of the ${who} ${right ? 'verified' : 'is WRONG'}`;
    return right ? { text } : { text, problem: `the ${who}'s ${mechanism} proof does not fit the keys` };
  }

  /** A new association begins. */
  restart(): void {
    this.entry = freshEntry();
  }
  /** Titles, challenges and mechanism, as the association tells them. */
  learn(apdu: AcseApdu): void {
    if (apdu.kind === 'aarq') {
      this.entry = {
        ...freshEntry(),
        clientTitle: apdu.callingApTitle ?? noOctets,
        clientChallenge: apdu.authenticationValue ?? noOctets,
        mechanism: hlsByNumber[apdu.mechanism ?? 0],
      };
    } else if (apdu.kind === 'aare') {
      this.entry.serverTitle = apdu.respondingApTitle ?? noOctets;
      this.entry.serverChallenge = apdu.authenticationValue ?? noOctets;
    }
  }
  learnInitiate(apdu: Apdu): void {
    if (apdu.kind === 'initiate-request' && apdu.dedicatedKey && [16, 32].includes(apdu.dedicatedKey.length))
      this.entry.dedicated = new Secret(apdu.dedicatedKey);
  }
  /** The second pass of HLS: whether the proofs fit keys or secret, where we have them. */
  proof(apdu: Apdu): Opened | undefined {
    if (apdu.kind === 'action-request-normal' && apdu.method.classId === 15 && apdu.method.method === 1) {
      this.entry.proofAwaited = true;
      return this.verdict('client', apdu.parameters, true);
    }
    if (apdu.kind !== 'action-response-normal' || !this.entry.proofAwaited) return undefined;
    this.entry.proofAwaited = false;
    const { returned } = apdu.response;
    return this.verdict('meter', returned && 'data' in returned ? returned.data : undefined, false);
  }
}

export const isProtected = (apdu: Apdu): apdu is ProtectedApdu => Ciphering.isCiphered(apdu);
