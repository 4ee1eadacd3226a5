/** How to reach and enter one meter, and the settings of the stack that follow from it. */
import type { Secret } from '../base/secret.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import {
  type AssociationSettings,
  proposedByDefault,
  proposedWithShortNames,
} from '../dlms/association/client-entry.ts';
import { type LogicalName, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { type HdlcAddress, serverAddress } from '../dlms/hdlc/frame.ts';
import type { ClientStackSettings } from '../dlms/stack/client.ts';
import { type Conformance, conformance } from '../dlms/xdlms/conformance.ts';
import type { Fallbacks } from './fallbacks.ts';
import type { MeterModel } from './model.ts';
import { octetMsOf, stepPatience } from './patience.ts';

/** How to reach and enter one meter. */
export interface MeterAccess {
  readonly link: 'hdlc' | 'wrapper';
  readonly modeE: boolean;
  /** Address between '/?' and '!' in mode E. */
  readonly signOnAddress: string;
  readonly client: number;
  readonly logical: number;
  readonly physical: number | undefined;
  readonly auth: AssociationSettings['mechanism'];
  readonly secret: Secret | undefined;
  /** Fresh for every session that authenticates by HLS. */
  readonly challenge?: () => Uint8Array;
  readonly ciphering?: CipheringSettings;
  /** HLS by ECDSA. */
  readonly signing?: NonNullable<AssociationSettings['signing']>;
  readonly systemTitle?: Uint8Array;
  /** Short-name referencing: base names, learned from the object list. */
  readonly shortNames?: Map<LogicalName, number>;
  readonly model: MeterModel;
  /** What the meter mishandles, as far as it is known; what is found out is noted there. */
  readonly fallbacks?: Fallbacks;
  readonly baud: number;
  /** The line is serial: octets take the time of its speed. Behind TCP nobody knows. */
  readonly timed: boolean;
  readonly answerTimeoutMs: number;
  readonly retries: number;
  /** Silence between the meter's last octet and our next. */
  readonly guardMs: number;
  /** The total of a session, whatever still comes; its end is not counted in. */
  readonly sessionMs: number;
}

export const stackSettings = (access: MeterAccess): ClientStackSettings => ({
  link: linkSettings(access),
  ...(access.modeE && { signOn: signOnSettings(access) }),
  association: associationSettings(access),
  patience: stepPatience(access),
  release: access.model.release,
});

function linkSettings(access: MeterAccess): ClientStackSettings['link'] {
  if (access.link === 'wrapper') return { kind: 'wrapper', client: access.client, server: access.logical };
  const { model } = access;
  const own: HdlcAddress = { logical: access.client, size: 1 };
  const peer = serverAddress(access.logical, access.physical, model.address_size);
  const maxInfo = model.max_info - model.max_info_header;
  const size = { maxInfoTransmit: maxInfo, maxInfoReceive: maxInfo };
  const window = { windowTransmit: model.window, windowReceive: model.window };
  return {
    kind: 'hdlc',
    settings: {
      role: 'client',
      own,
      peer,
      parameters: { ...size, ...window },
      answerTimeoutMs: access.answerTimeoutMs,
      quietMs: 250,
      retries: access.retries,
      octetMs: octetMsOf(access),
      inactivityMs: 0,
      // The longest APDU that we offer to take, and its LLC header.
      reassemblyLimit: 0xffff + 3,
      explicitParameters: model.explicit_parameters,
      pinnedSequence: model.pinned_sequence,
    },
  };
}

const signOnSettings = (access: MeterAccess): NonNullable<ClientStackSettings['signOn']> => ({
  mode: 'E',
  address: access.signOnAddress,
  maxBaud: access.baud,
  answerTimeoutMs: 2200,
  retries: access.retries,
  settleMs: 300,
  wakeUp: access.model.wake_up,
});

function proposal(model: MeterModel): Conformance {
  const all = model.referencing === 'short-name' ? proposedWithShortNames : proposedByDefault;
  const some = model.multiple_references ? all : all & ~conformance('multiple-references');
  return model.transfer_window > 0 ? some | conformance('general-block-transfer') : some;
}

function associationSettings(access: MeterAccess): AssociationSettings {
  const { model } = access;
  return {
    mechanism: access.auth,
    ...(access.secret && { secret: access.secret }),
    ...(access.challenge && { challenge: access.challenge() }),
    ...(access.ciphering && {
      ciphering: {
        ...access.ciphering,
        ...(model.initiate_protection && { initiate: model.initiate_protection }),
      },
    }),
    ...(access.signing && { signing: access.signing }),
    ...(access.systemTitle && { systemTitle: access.systemTitle }),
    proposed: proposal(model),
    listLimit: model.list_limit,
    ...(model.transfer_window > 0 && { transferWindow: model.transfer_window }),
    ...(access.shortNames && { shortNames: access.shortNames }),
    associationObject: parseLogicalName(model.association_object),
    ...(model.mechanism_name !== 'with-authentication' && { mechanismName: model.mechanism_name }),
    oneSidedProof: model.one_sided_proof,
    maxPdu: model.max_pdu,
    // The safety net above the link's repeats; behind the wrapper it is the only time-out.
    answerTimeoutMs:
      access.link === 'wrapper'
        ? access.answerTimeoutMs * 5
        : access.answerTimeoutMs * (access.retries + 2) * 10 + stepPatience(access).stepMs,
    valueLimit: 8 << 20,
  };
}
