/** The page, as it is configured: where it is served, by which certificate, and by which password. */
import { isLoopback } from '../door/loopback.ts';
import { Failure } from '../base/errors.ts';
import * as v from 'valibot';
import { Findings, type Sources } from './findings.ts';
import { certificatesOf, datesOf, privateKey } from './resolve-broker.ts';
import { type Config, configSchema } from './schema.ts';

export interface PagePlan {
  readonly host: string;
  readonly port: number;
  /** PEM; left out on the loopback, and where the gateway makes a certificate itself. */
  readonly tls?: { readonly cert: Uint8Array; readonly key: Uint8Array };
  /** Further names of this machine. */
  readonly hosts: readonly string[];
  readonly password?: Uint8Array;
}
type PageKeys = NonNullable<Config['page']>;
const minPassword = 10;
/** Where nothing else is said. */
export const defaultListen = '127.0.0.1:8080';

/** `host:port`, `[address]:port`; undefined where it is neither. */
export function listenOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host === undefined || port > 65_535) return undefined;
  return { host, port };
}

function pairOf({ certificate, key }: PageKeys, sources: Sources, findings: Findings): PagePlan['tls'] {
  if (certificate === undefined || key === undefined) {
    const given = certificate === undefined ? 'key' : 'certificate';
    if (certificate !== key)
      findings.add('error', ['page', given], 'certificate and key go together', {
        next: 'Add the other one, or leave both out: the gateway makes a certificate of its own then.',
      });
    return undefined;
  }
  const cert = findings.attempt('error', ['page', 'certificate'], () => {
    const octets = sources.file(certificate);
    const [first] = certificatesOf(octets, certificate);
    const dated = first && datesOf(first, sources.now());
    if (dated !== undefined)
      findings.add('warning', ['page', 'certificate'], `${certificate} ${dated}`, {
        next: 'Ask for a new one; is the clock of this machine right (timedatectl)?',
      });
    return { octets, first };
  });
  const secret = findings.attempt('error', ['page', 'key'], () => {
    const octets = sources.secret(key);
    const own = privateKey(octets, key);
    if (cert?.first && !cert.first.checkPrivateKey(own))
      throw new Failure('config-invalid', `${key} is not the key of the certificate in ${certificate}`);
    return octets;
  });
  return cert && secret && { cert: cert.octets, key: secret };
}

/** undefined where there is no page. */
export function pagePlan({ page }: Pick<Config, 'page'>, sources: Sources, findings: Findings): PagePlan | undefined {
  if (page.listen === 'off') return undefined;
  const listen = listenOf(page.listen);
  if (!listen) return undefined;
  const tls = pairOf(page, sources, findings);
  const { password: reference } = page;
  const password =
    reference === undefined
      ? undefined
      : findings.attempt('error', ['page', 'password'], () => {
          const octets = sources.secret(reference);
          if (octets.length < minPassword)
            throw new Failure(
              'config-invalid',
              `the password has ${octets.length} characters, not ${minPassword} or more`,
              {
                next: 'Choose a longer one: meter-gateway secret set NAME.',
              },
            );
          return octets;
        });
  if (!isLoopback(listen.host) && reference === undefined)
    findings.add('warning', ['page', 'listen'], 'the page is served beyond this machine and has no password', {
      next: 'Only links of meter-gateway page open it; add password = "credential:page-password" for whoever is not on the gateway.',
    });
  return { ...listen, hosts: page.hosts, ...(tls && { tls }), ...(password && { password }) };
}

/** Of a file that is refused for other reasons: its page, where nothing is wrong with that; `off` where it has none on purpose. */
export function pageOf(value: unknown, sources: Sources): PagePlan | 'off' | undefined {
  // A file that says nothing of the page leaves it where it is.
  if (value === undefined) return undefined;
  const parsed = v.safeParse(configSchema.entries.page, value);
  if (!parsed.success || parsed.output === undefined) return undefined;
  if (parsed.output.listen === 'off') return 'off';
  const findings = new Findings();
  const plan = pagePlan({ page: parsed.output }, sources, findings);
  return findings.all.some(({ severity }) => severity === 'error') ? undefined : plan;
}
