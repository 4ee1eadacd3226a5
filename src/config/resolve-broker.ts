/** The way to the head-end, judged: certificates and keys are parsed, and nothing secret goes where it can be read. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Failure, messageOf } from '../base/errors.ts';
import { isLoopback } from '../door/loopback.ts';
import type { BrokerSettings } from '../forward/mqtt-client.ts';
import type { Findings, Sources } from './findings.ts';
import type { Config } from './schema.ts';

type Mqtt = Config['mqtt'];
export type BrokerPlan = Omit<BrokerSettings, 'will'>;

const urlPath = ['mqtt', 'url'];
/** Where plain MQTT and MQTT in TLS are spoken by custom. */
const customary: Readonly<Record<string, string>> = { 'mqtts:': '1883', 'mqtt:': '8883' };

function judgeUrl({ url, password, ca_file, cert_file, key }: Mqtt, findings: Findings): void {
  const error = (message: string, next: string) => findings.add('error', urlPath, message, { next });
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return error('is no URL', 'Write mqtts://host:8883.');
  }
  if (parsed.hostname === '') error('names no host', 'Write mqtts://host:8883.');
  if (parsed.port === '0') error('port 0 is nobody’s', 'Write the port of the broker, 8883 by custom.');
  // The message repeats nothing of it.
  if (parsed.username !== '' || parsed.password !== '')
    error(
      'holds credentials, which would stand in logs',
      'Write mqtt.username, and mqtt.password as file:/path or credential:name.',
    );
  if (parsed.search !== '' || parsed.hash !== '')
    error('has a query or fragment, which would stand in logs', 'Leave out what begins with ? or #.');
  const { protocol, pathname, port } = parsed;
  if ((protocol === 'mqtt:' || protocol === 'mqtts:') && pathname !== '' && pathname !== '/')
    findings.add('warning', urlPath, 'MQTT over TCP has no path: it is not used', {
      next: 'Leave out what follows the port.',
    });
  if (customary[protocol] === port && port !== '')
    findings.add('warning', urlPath, `${protocol}// at port ${port}: that is by custom the port of the other one`, {
      next: 'mqtts:// is at 8883 by custom, mqtt:// at 1883.',
    });
  if (protocol === 'mqtts:' || protocol === 'wss:') return;
  const safe = protocol === 'ws:' ? 'wss' : 'mqtts';
  for (const [name, value] of Object.entries({ ca_file, cert_file, key })) {
    if (value !== undefined)
      findings.add('error', ['mqtt', name], `is for TLS, and ${protocol}// does not use TLS`, {
        next: `Write ${safe}:// in mqtt.url, or leave it out.`,
        restsOn: [urlPath],
      });
  }
  if (isLoopback(parsed.hostname)) return;
  findings.add(
    'warning',
    urlPath,
    password === undefined
      ? `${protocol}// is not encrypted: the network can read every value, and acknowledge in the head-end's name`
      : `THE PASSWORD GOES OVER THE NETWORK IN THE CLEAR with ${protocol}//, and so does every value`,
    { next: `Write ${safe}://, and mqtt.ca_file.` },
  );
}

/** The certificates of a PEM file. Failure where there is none, or one does not parse. */
export function certificatesOf(octets: Uint8Array, path: string): X509Certificate[] {
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
export function privateKey(octets: Uint8Array, reference: string) {
  try {
    return createPrivateKey(Buffer.from(octets));
  } catch {
    throw new Failure('key-unfit', `${reference} is no private key in PEM without a passphrase`);
  }
}

function judgeIdentity(certificate: X509Certificate, key: Uint8Array, { cert_file, key: reference }: Mqtt): true {
  if (!certificate.checkPrivateKey(privateKey(key, String(reference))))
    throw new Failure(
      'config-invalid',
      `${String(reference)} is not the key of the certificate in ${String(cert_file)}`,
    );
  return true;
}

/** An expired certificate is a warning only: the broker may still take it, and this machine may not know the time. */
export function datesOf(certificate: X509Certificate, now: number): string | undefined {
  const day = (at: Date) => at.toISOString().slice(0, 10);
  const { validFromDate: from, validToDate: to } = certificate;
  if (now > to.getTime()) return `has expired on ${day(to)}`;
  if (now < from.getTime()) return `is not valid before ${day(from)}`;
  return to.getTime() - now < soonMs ? `expires on ${day(to)}` : undefined;
}
const soonMs = 21 * 86_400_000;

/** What is read for TLS and the password, each judged for itself. */
function materialOf({ password, ca_file, cert_file, key }: Mqtt, sources: Sources, findings: Findings) {
  const read = <T>(name: string, given: string | undefined, source: (given: string) => T): T | undefined =>
    given === undefined ? undefined : findings.attempt('error', ['mqtt', name], () => source(given));
  const certificates = (name: string, given: string | undefined) =>
    read(name, given, (path) => {
      const octets = sources.file(path);
      const all = certificatesOf(octets, path);
      const dated = all.map((one) => datesOf(one, sources.now())).find((dates) => dates !== undefined);
      if (dated !== undefined)
        findings.add('warning', ['mqtt', name], `${path} ${dated}`, {
          next: 'Ask the head-end for a new one; is the clock of this machine right (timedatectl)?',
        });
      return { octets, first: all[0] as X509Certificate };
    });
  return {
    password: read('password', password, (reference) => sources.secret(reference)),
    ca: certificates('ca_file', ca_file)?.octets,
    cert: certificates('cert_file', cert_file),
    key: read('key', key, (reference) => {
      const octets = sources.secret(reference);
      privateKey(octets, reference);
      return octets;
    }),
  };
}

/** That certificate and key are of one pair, and that TLS itself takes what it is given. */
function judgePair(mqtt: Mqtt, { ca, cert, key }: ReturnType<typeof materialOf>, findings: Findings): boolean {
  if ((mqtt.cert_file === undefined) !== (mqtt.key === undefined))
    findings.add(
      'error',
      ['mqtt', mqtt.cert_file === undefined ? 'key' : 'cert_file'],
      'cert_file and key go together',
      {
        next: `Add ${mqtt.cert_file === undefined ? 'cert_file = "/path", the certificate of this key' : 'key = "credential:NAME", the key of this certificate'}, or leave it out.`,
        restsOn: [
          ['mqtt', 'cert_file'],
          ['mqtt', 'key'],
        ],
      },
    );
  if (cert && key) {
    const pair = findings.attempt('error', ['mqtt', 'key'], () => judgeIdentity(cert.first, key, mqtt), {
      next: 'Name the key with which this certificate was asked for.',
    });
    if (pair === undefined) return false;
  }
  const tls = findings.attempt('error', ['mqtt'], () => {
    try {
      const given = [
        ca && { ca: Buffer.from(ca) },
        cert && key && { cert: Buffer.from(cert.octets), key: Buffer.from(key) },
      ];
      createSecureContext(Object.assign({}, ...given.map((one) => one ?? {})) as object);
    } catch (error) {
      throw new Failure('config-invalid', `TLS does not take ca_file, cert_file or key: ${messageOf(error)}`);
    }
    return true;
  });
  return tls === true;
}

export function brokerPlan(config: Config, sources: Sources, findings: Findings): BrokerPlan | undefined {
  const { mqtt, gateway } = config;
  judgeUrl(mqtt, findings);
  if (mqtt.password !== undefined && mqtt.username === undefined)
    findings.add('error', ['mqtt', 'password'], 'there is no password without a user name', {
      next: 'Add username = "…", or leave the password out.',
      restsOn: [['mqtt', 'username']],
    });
  const material = materialOf(mqtt, sources, findings);
  if (!judgePair(mqtt, material, findings)) return undefined;
  const { password, ca, cert, key } = material;
  return {
    url: mqtt.url,
    protocol: mqtt.protocol === '5' ? 5 : 4,
    clientId: `meter-gateway-${gateway.tenant}-${gateway.id}`,
    ...(mqtt.username !== undefined && { username: mqtt.username }),
    ...(password && { password }),
    ...(ca && { ca }),
    ...(cert && { cert: cert.octets }),
    ...(key && { key }),
    keepaliveS: mqtt.keepalive_s,
    window: mqtt.window,
  };
}
