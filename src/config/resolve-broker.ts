/** The way to the head-end, judged: certificates and keys are parsed, and nothing secret goes where it can be read. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Failure, messageOf } from '../base/errors.ts';
import type { BrokerSettings } from '../forward/mqtt-client.ts';
import type { Findings, Sources } from './findings.ts';
import type { Config } from './schema.ts';

type Mqtt = Config['mqtt'];
export type BrokerPlan = Omit<BrokerSettings, 'will'>;

/** Hosts that only this machine hears. */
const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

function judgeUrl({ url, password, ca_file, cert_file, key }: Mqtt, findings: Findings): void {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    findings.add('error', 'mqtt.url', 'is no URL; write mqtts://host:8883');
    return;
  }
  // The message repeats nothing of it.
  if (parsed.username !== '' || parsed.password !== '')
    findings.add(
      'error',
      'mqtt.url',
      'holds credentials, which would stand in logs; write mqtt.username, and mqtt.password as file:/path or credential:name',
    );
  if (parsed.search !== '' || parsed.hash !== '')
    findings.add('error', 'mqtt.url', 'has a query or fragment, which would stand in logs; leave it out');
  const encrypted = parsed.protocol === 'mqtts:' || parsed.protocol === 'wss:';
  if (encrypted) return;
  const safe = parsed.protocol === 'ws:' ? 'wss' : 'mqtts';
  for (const [name, value] of Object.entries({ ca_file, cert_file, key })) {
    if (value !== undefined)
      findings.add(
        'error',
        `mqtt.${name}`,
        `is for TLS, and ${parsed.protocol}// does not use TLS; write ${safe}:// in mqtt.url, or leave it out`,
      );
  }
  if (isLoopback(parsed.hostname)) return;
  findings.add(
    'warning',
    'mqtt.url',
    password === undefined
      ? `${parsed.protocol}// is not encrypted: the network can read every value, and acknowledge in the head-end's name; write ${safe}://`
      : `THE PASSWORD GOES OVER THE NETWORK IN THE CLEAR with ${parsed.protocol}//, and so does every value; write ${safe}://`,
  );
}

/** The certificates of a PEM file. Failure where there is none, or one does not parse. */
function certificatesOf(octets: Uint8Array, path: string): X509Certificate[] {
  const blocks = Buffer.from(octets)
    .toString('latin1')
    .match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END [^-]*CERTIFICATE-----/g);
  if (!blocks) throw new Failure('config-invalid', `${path} holds no certificate in PEM`);
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Failure('config-invalid', `${path}: certificate ${i + 1} of ${blocks.length} does not parse`);
    }
  });
}

/** OpenSSL's words, which hold nothing of the key. */
function privateKey(octets: Uint8Array, reference: string) {
  try {
    return createPrivateKey(Buffer.from(octets));
  } catch {
    throw new Failure('key-unfit', `${reference} is no private key in PEM without a passphrase`);
  }
}

function judgeIdentity(certificate: X509Certificate, key: Uint8Array, { cert_file, key: reference }: Mqtt): void {
  if (!certificate.checkPrivateKey(privateKey(key, String(reference))))
    throw new Failure(
      'config-invalid',
      `${String(reference)} is not the key of the certificate in ${String(cert_file)}`,
    );
}

export function brokerPlan(config: Config, sources: Sources, findings: Findings): BrokerPlan | undefined {
  const { mqtt, gateway } = config;
  judgeUrl(mqtt, findings);
  const { ca_file, cert_file, key: keyReference, password: passwordReference } = mqtt;
  const read = (name: string, source: () => Uint8Array) => findings.attempt('error', `mqtt.${name}`, source);
  const password =
    passwordReference === undefined ? undefined : read('password', () => sources.secret(passwordReference));
  if (mqtt.protocol === '3.1.1' && passwordReference !== undefined && mqtt.username === undefined)
    findings.add('error', 'mqtt.username', 'MQTT 3.1.1 has no password without a user name');
  const ca =
    ca_file === undefined
      ? undefined
      : read('ca_file', () => {
          const octets = sources.file(ca_file);
          certificatesOf(octets, ca_file);
          return octets;
        });
  let own: X509Certificate | undefined;
  const cert =
    cert_file === undefined
      ? undefined
      : read('cert_file', () => {
          const octets = sources.file(cert_file);
          [own] = certificatesOf(octets, cert_file);
          return octets;
        });
  const key =
    keyReference === undefined
      ? undefined
      : read('key', () => {
          const octets = sources.secret(keyReference);
          privateKey(octets, keyReference);
          return octets;
        });
  if ((cert_file === undefined) !== (keyReference === undefined))
    findings.add('error', cert_file === undefined ? 'mqtt.cert_file' : 'mqtt.key', 'cert_file and key go together');
  const tls = findings.attempt('error', 'mqtt', () => {
    if (own && key) judgeIdentity(own, key, mqtt);
    try {
      // What TLS itself says of them, before a broker is asked.
      const given = [ca && { ca: Buffer.from(ca) }, cert && key && { cert: Buffer.from(cert), key: Buffer.from(key) }];
      createSecureContext(Object.assign({}, ...given.map((one) => one ?? {})) as object);
    } catch (error) {
      throw new Failure('config-invalid', `TLS does not take ca_file, cert_file or key: ${messageOf(error)}`);
    }
    return true;
  });
  if (tls === undefined) return undefined;
  return {
    url: mqtt.url,
    protocol: mqtt.protocol === '5' ? 5 : 4,
    clientId: `meter-gateway-${gateway.tenant}-${gateway.id}`,
    ...(mqtt.username !== undefined && { username: mqtt.username }),
    ...(password && { password }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    keepaliveS: mqtt.keepalive_s,
    window: mqtt.window,
  };
}
