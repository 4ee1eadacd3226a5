/** What a browser may be made to do by a stranger's page, and what it is not: hosts, origins, cookies and headers. */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Cookies do not know ports: two gateways that are forwarded to one machine have names of their own. Over TLS a browser takes
 * the name from us alone, for the whole host.
 */
const cookieName = (host: string | undefined, secure: boolean): string =>
  `${secure ? '__Host-' : ''}meter_gateway_session${/:(\d{1,5})$/.exec(host ?? '')?.[1] ?? ''}`;

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  'report-uri /csp-report',
].join('; ');
const always = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(self), geolocation=(), microphone=()',
  'cache-control': 'no-store',
} as const;
const oneYearS = 31_536_000;
export const headersOf = (secure: boolean): Readonly<Record<string, string>> =>
  secure ? { ...always, 'strict-transport-security': `max-age=${oneYearS}` } : always;

/** Without the port; undefined where it is no host. */
function hostNameOf(host: string | undefined): string | undefined {
  const found = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253})(:\d{1,5})?$/.exec(host ?? '');
  return found?.[1]?.toLowerCase().replace(/\.$/, '');
}
/**
 * Whether this gateway is meant. A name that a stranger lets point at us is none of ours; an address cannot be made to, and a
 * tunnel ends at localhost.
 */
export function isOurHost(host: string | undefined, names: readonly string[]): boolean {
  const name = hostNameOf(host);
  if (name === undefined) return false;
  if (name === 'localhost' || name.startsWith('[') || isIP(name) !== 0) return true;
  return names.some((one) => one.toLowerCase() === name || `${one.toLowerCase()}.local` === name);
}

/**
 * Whether the browser says that it was our own page, or nobody's, that asks. What may change something is asked with an
 * Origin: a program that is no browser writes it too.
 */
export function isOwnOrigin(
  { origin, host, ...headers }: IncomingHttpHeaders,
  secure: boolean,
  unsafe: boolean,
): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && (unsafe || site !== 'none')) return false;
  if (origin === undefined) return !unsafe;
  return host !== undefined && origin.toLowerCase() === `${secure ? 'https' : 'http'}://${host.toLowerCase()}`;
}

export function sessionOf({ cookie, host }: IncomingHttpHeaders, secure: boolean): string | undefined {
  const expected = cookieName(host, secure);
  const values = (cookie ?? '').split(';').flatMap((pair) => {
    const [name, value] = pair.trim().split('=');
    return name === expected && value !== undefined && value.length <= 100 ? [value] : [];
  });
  // One that somebody put beside ours is not chosen, and neither is ours.
  return values.length === 1 ? values[0] : undefined;
}
/** `maxAgeS` 0 takes it away. */
export const sessionCookie = ({ host }: IncomingHttpHeaders, token: string, maxAgeS: number, secure: boolean): string =>
  `${cookieName(host, secure)}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure ? '; Secure' : ''}`;
