/**
 * Security setup (class 64, Blue Book 4.4.7): keys of a meter are changed under its master key or by agreement, and its
 * certificates are listed, imported and exported. A new key takes effect with the next association.
 */
import type { KeyObject } from 'node:crypto';
import { concat } from '../base/cursor.ts';
import { Failure } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { Data } from '../dlms/axdr/data.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { agree, deriveKey, ecdsaSign, ecdsaVerify, type KeyPair, publicKeyOf, wrapKey } from '../dlms/security/keys.ts';
import { invoke } from './act.ts';
import type { Session } from './session.ts';

export const securitySetupName: LogicalName = '0.0.43.0.0.255';
/** key_id of the book. */
export const keyId = {
  'global-unicast-encryption': 0,
  'global-broadcast-encryption': 1,
  authentication: 2,
  master: 3,
} as const;
export type KeyId = keyof typeof keyId;

const structure = (...value: Data[]): Data => ({ type: 'structure', value });
const octetString = (value: Uint8Array): Data => ({ type: 'octet-string', value });

/** key_transfer (method 2): new keys, each wrapped with the master key (RFC 3394). All of them or none. */
export async function transferKeys(
  session: Session,
  keys: ReadonlyMap<KeyId, Secret>,
  master: Secret,
  logicalName = securitySetupName,
): Promise<void> {
  const wrapped = new Map([...keys].map(([id, key]) => [id, wrapKey(key, master)]));
  await transferWrappedKeys(session, wrapped, logicalName);
}
/** The same with keys that somebody else has wrapped: who has the master key need not be here. */
export async function transferWrappedKeys(
  session: Session,
  wrapped: ReadonlyMap<KeyId, Uint8Array>,
  logicalName = securitySetupName,
): Promise<void> {
  const value = [...wrapped].map(([id, key]) => structure({ type: 'enum', value: keyId[id] }, octetString(key)));
  await invoke(session, { classId: 64, logicalName, method: 2, parameters: { type: 'array', value } });
}

/** What key agreement needs of both sides: our signing key, the meter's public one, and both system titles. */
export interface Agreement {
  readonly suite: 1 | 2;
  readonly ephemeral: KeyPair;
  readonly signing: KeyObject;
  readonly peer: KeyObject;
  readonly ownTitle: Uint8Array;
  readonly peerTitle: Uint8Array;
}
/** key_agreement (method 3): ephemeral unified model; both sides derive the key, it never crosses the line. */
export async function agreeKey(
  session: Session,
  id: KeyId,
  agreement: Agreement,
  logicalName = securitySetupName,
): Promise<Secret> {
  const { suite, ephemeral, signing, peer, ownTitle, peerTitle } = agreement;
  const signed = concat([Uint8Array.of(keyId[id]), ephemeral.publicOctets]);
  const ours = concat([ephemeral.publicOctets, ecdsaSign(signed, signing, suite)]);
  const parameters: Data = {
    type: 'array',
    value: [structure({ type: 'enum', value: keyId[id] }, octetString(ours))],
  };
  const returned = await invoke(session, { classId: 64, logicalName, method: 3, parameters });
  const answer = returned && 'data' in returned ? returned.data : undefined;
  const [element] = answer?.type === 'array' ? answer.value : [];
  const [, data] = element?.type === 'structure' ? element.value : [];
  const size = suite === 1 ? 64 : 96;
  if (data?.type !== 'octet-string' || data.value.length !== 2 * size)
    throw new Failure('unexpected-apdu', 'key_agreement returned no public key with a signature');
  const theirs = data.value.subarray(0, size);
  if (!ecdsaVerify(concat([Uint8Array.of(keyId[id]), theirs]), data.value.subarray(size), peer, suite))
    throw new Failure('deciphering-failed', 'the meter’s signature of its ephemeral key does not verify');
  return deriveKey(agree(ephemeral.privateKey, publicKeyOf(theirs, suite)), suite, ownTitle, peerTitle);
}

const entities = ['server', 'client', 'certification authority', 'other'] as const;
const types = ['digital signature', 'key agreement', 'TLS', 'other'] as const;
export interface CertificateInfo {
  readonly entity: (typeof entities)[number];
  readonly type: (typeof types)[number];
  readonly serialNumber: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
}
/** Attribute 6: the certificates that the meter holds, described. */
export async function listCertificates(session: Session, logicalName = securitySetupName): Promise<CertificateInfo[]> {
  const list = await session.value({ classId: 64, logicalName, attribute: 6 });
  if (list.type !== 'array') throw new Failure('unexpected-apdu', `certificates are ${list.type}, not an array`);
  return list.value.map((item) => {
    const [entity, type, serial, issuer, subject] = item.type === 'structure' ? item.value : [];
    if (entity?.type !== 'enum' || type?.type !== 'enum' || serial?.type !== 'octet-string')
      throw new Failure('unexpected-apdu', 'a certificate is not {entity, type, serial number, issuer, subject …}');
    const text = (data: Data | undefined) =>
      data?.type === 'octet-string' ? Buffer.from(data.value).toString('utf8') : '';
    return {
      entity: entities[entity.value] ?? 'other',
      type: types[type.value] ?? 'other',
      serialNumber: serial.value,
      issuer: text(issuer),
      subject: text(subject),
    };
  });
}
/** import_certificate (method 6): X.509 in DER. */
export async function importCertificate(
  session: Session,
  der: Uint8Array,
  logicalName = securitySetupName,
): Promise<void> {
  await invoke(session, { classId: 64, logicalName, method: 6, parameters: octetString(der) });
}
/** export_certificate (method 7), named by serial number and issuer: X.509 in DER. */
export async function exportCertificate(
  session: Session,
  { serialNumber, issuer }: Pick<CertificateInfo, 'serialNumber' | 'issuer'>,
  logicalName = securitySetupName,
): Promise<Uint8Array> {
  const bySerial = structure(
    { type: 'enum', value: 1 },
    structure(octetString(serialNumber), octetString(Buffer.from(issuer))),
  );
  const returned = await invoke(session, { classId: 64, logicalName, method: 7, parameters: bySerial });
  if (!returned || !('data' in returned) || returned.data.type !== 'octet-string')
    throw new Failure('unexpected-apdu', 'export_certificate returned no octets');
  return returned.data.value;
}
