/** What a browser may be made to do by a stranger's page, and what it is not: hosts, origins, cookies and headers. */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

const cookieName = 'meter_gateway_session';
/** A browser takes this name from us alone, over TLS, for the whole host. */
const hostCookieName = `__Host-${cookieName}`;

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data: blob:",
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

/** Whether the browser says that it was our own page, or nobody's, that asks. A program that is no browser says nothing. */
export function isOwnOrigin({ origin, host, ...headers }: IncomingHttpHeaders, secure: boolean): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  return origin === undefined || origin === `${secure ? 'https' : 'http'}://${host}`;
}

export function sessionOf({ cookie }: IncomingHttpHeaders, secure: boolean): string | undefined {
  const expected = secure ? hostCookieName : cookieName;
  for (const pair of (cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=');
    if (name === expected && value !== undefined && value.length <= 100) return value;
  }
  return undefined;
}
/** `maxAgeS` 0 takes it away. */
export const sessionCookie = (token: string, maxAgeS: number, secure: boolean): string =>
  `${secure ? hostCookieName : cookieName}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure ? '; Secure' : ''}`;
