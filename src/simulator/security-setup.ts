/** Security setup of a virtual meter (class 64): its keys change by wrap or agreement, it keeps certificates. */
import { concat } from '../base/cursor.ts';
import { Failure } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { Data } from '../dlms/axdr/data.ts';
import {
  accessResult,
  array,
  octets,
  readable,
  type ServerMethod,
  type ServerObject,
  structure,
} from '../dlms/cosem/server-object.ts';
import { parseCertificate } from '../dlms/security/certificate.ts';
import {
  agree,
  deriveKey,
  ecdsaSign,
  ecdsaVerify,
  type KeyPair,
  newKeyPair,
  publicKeyOf,
  unwrapKey,
} from '../dlms/security/keys.ts';

export interface SecurityState {
  /** The keys by key_id: 0 global unicast encryption, 1 broadcast, 2 authentication, 3 master. */
  readonly keys: Map<number, Secret>;
  readonly certificates: Uint8Array[];
  policy: number;
}
export interface SecuritySettings {
  readonly suite: 0 | 1 | 2;
  readonly clientTitle: Uint8Array;
  readonly ownTitle: Uint8Array;
  /** What key agreement needs: the own signing key, and the client's. */
  readonly signing?: { readonly own: KeyPair; readonly client: Uint8Array };
  /** Keys were changed: counters begin anew. */
  changed(ids: readonly number[]): void;
}
const elements = (parameters: Data | undefined): [number, Uint8Array][] | undefined => {
  if (parameters?.type !== 'array') return undefined;
  const pairs: [number, Uint8Array][] = [];
  for (const item of parameters.value) {
    const [id, data] = item.type === 'structure' ? item.value : [];
    if (id?.type !== 'enum' || data?.type !== 'octet-string') return undefined;
    pairs.push([id.value, data.value]);
  }
  return pairs;
};
const refuse = (code: keyof typeof accessResult) => ({ result: accessResult[code] });

type Act = ServerMethod['act'];

/** security_activate: a policy is only ever made stronger. */
const activate =
  (state: SecurityState): Act =>
  (parameters) => {
    if (parameters?.type !== 'enum' || parameters.value < state.policy) return refuse('other-reason');
    state.policy = parameters.value;
    return { result: 0 };
  };

/** key_transfer: new keys, wrapped by the master key. */
const transferKeys =
  (state: SecurityState, settings: SecuritySettings): Act =>
  (parameters) => {
    const master = state.keys.get(3);
    const wrapped = elements(parameters);
    if (!wrapped || !master) return refuse('type-unmatched');
    let keys: [number, Secret][];
    try {
      keys = wrapped.map(([id, key]) => [id, unwrapKey(key, master)]);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return refuse('other-reason');
    }
    for (const [id, key] of keys) state.keys.set(id, key);
    settings.changed(keys.map(([id]) => id));
    return { result: 0 };
  };

/** key_agreement: a new key out of two ephemeral ones, each signed by its owner. */
const agreeKey =
  (state: SecurityState, settings: SecuritySettings): Act =>
  (parameters) => {
    const { suite, signing, clientTitle, ownTitle } = settings;
    const [item] = elements(parameters) ?? [];
    if (!item || suite === 0 || !signing) return refuse('other-reason');
    const [id, data] = item;
    const size = data.length / 2;
    const theirs = data.subarray(0, size);
    const client = publicKeyOf(signing.client, suite);
    if (!ecdsaVerify(concat([Uint8Array.of(id), theirs]), data.subarray(size), client, suite))
      return refuse('other-reason');
    const ephemeral = newKeyPair(suite);
    const shared = agree(ephemeral.privateKey, publicKeyOf(theirs, suite));
    state.keys.set(id, deriveKey(shared, suite, clientTitle, ownTitle));
    settings.changed([id]);
    const signature = ecdsaSign(concat([Uint8Array.of(id), ephemeral.publicOctets]), signing.own.privateKey, suite);
    const returned = structure({ type: 'enum', value: id }, octets(concat([ephemeral.publicOctets, signature])));
    return { result: 0, returned: { data: array(returned) } };
  };

/** import_certificate. */
const importCertificate =
  (state: SecurityState): Act =>
  (parameters) => {
    if (parameters?.type !== 'octet-string') return refuse('type-unmatched');
    try {
      parseCertificate(parameters.value);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return refuse('other-reason');
    }
    state.certificates.push(parameters.value.slice());
    return { result: 0 };
  };

/** export_certificate, by the serial number of the certificate. */
const exportCertificate =
  (state: SecurityState): Act =>
  (parameters) => {
    const [, identification] = parameters?.type === 'structure' ? parameters.value : [];
    const [serial] = identification?.type === 'structure' ? identification.value : [];
    const found =
      serial?.type === 'octet-string' &&
      state.certificates.find((der) => Buffer.compare(parseCertificate(der).serialNumber, serial.value) === 0);
    return found ? { result: 0, returned: { data: octets(found) } } : refuse('object-undefined');
  };

const described = (der: Uint8Array): Data => {
  const { serialNumber, issuer, subject } = parseCertificate(der);
  return structure(
    { type: 'enum', value: 1 },
    { type: 'enum', value: 0 },
    octets(serialNumber),
    octets(Buffer.from(issuer)),
    octets(Buffer.from(subject)),
    octets(new Uint8Array(0)),
  );
};

export const securitySetup = (state: SecurityState, settings: SecuritySettings): ServerObject => ({
  classId: 64,
  version: 1,
  logicalName: '0.0.43.0.0.255',
  attributes: [
    readable(2, () => ({ type: 'enum', value: state.policy })),
    readable(3, { type: 'enum', value: settings.suite }),
    readable(4, octets(settings.clientTitle)),
    readable(5, octets(settings.ownTitle)),
    readable(6, () => array(...state.certificates.map(described))),
  ],
  methods: [
    { id: 1, act: activate(state) },
    { id: 2, act: transferKeys(state, settings) },
    { id: 3, act: agreeKey(state, settings) },
    { id: 6, act: importCertificate(state) },
    { id: 7, act: exportCertificate(state) },
  ],
});
