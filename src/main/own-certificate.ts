/**
 * A certificate of the gateway's own, for a page beyond the loopback where nobody gives one: made once, by the library that
 * knows X.509, and shown by its digest so that people can compare it.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { putWhole } from '../disk/put-whole.ts';

export interface OwnCertificate {
  readonly cert: string;
  readonly key: string;
  /** SHA-256, as browsers show it. */
  readonly fingerprint: string;
}
const validDays = 3650;

function stored(file: string): OwnCertificate | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(text)?.[0] ?? '';
    const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n?/.exec(text)?.[0] ?? '';
    return { cert, key, fingerprint: new X509Certificate(cert).fingerprint256 };
  } catch {
    return undefined;
  }
}

/** None where the sandbox of the unit forbids to ask for them (no AF_NETLINK): the fingerprint is what people compare. */
function ownAddresses(): string[] {
  try {
    return Object.values(networkInterfaces()).flatMap(
      (all) => all?.map(({ address }) => address.split('%')[0] ?? '') ?? [],
    );
  } catch {
    return [];
  }
}

async function made(hosts: readonly string[]): Promise<{ readonly cert: string; readonly private: string }> {
  const { generate } = await import('selfsigned');
  const names = [...new Set([hostname(), `${hostname()}.local`, 'localhost', ...hosts])];
  const addresses = ownAddresses();
  const now = Date.now();
  return generate([{ name: 'commonName', value: hostname() }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // Whatever this machine takes the time for, the certificate is not from tomorrow.
    notBeforeDate: new Date(Math.min(now, Date.UTC(2026, 0, 1))),
    notAfterDate: new Date(now + validDays * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...[...new Set(addresses)].map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
}

/** From the state directory; made where it is not there yet. */
export async function ownCertificate(stateDirectory: string, hosts: readonly string[]): Promise<OwnCertificate> {
  const file = join(stateDirectory, 'page-certificate.pem');
  const before = stored(file);
  if (before) return before;
  try {
    const { cert, private: key } = await made(hosts);
    putWhole(file, `${cert}\n${key}\n`, 0o600);
  } catch (error) {
    throw new Failure('file-unusable', `no certificate can be made for the page: ${messageOf(error)}`);
  }
  const after = stored(file);
  if (!after) throw new Failure('file-unusable', `${file} was written and cannot be read`);
  return after;
}
