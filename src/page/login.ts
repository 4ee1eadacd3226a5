/**
 * Who may use the page: whoever has a ticket of the local sockets, which the kernel guards, or the password. A session lives
 * for twelve hours and in memory only; wrong passwords wait, each address by itself and all of them together.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Permission } from '../door/rows.ts';

const ticketMs = 10 * 60_000;
const sessionMs = 12 * 3_600_000;
const maxTickets = 64;
const maxSessions = 256;
/** Wrong passwords of one address that cost no wait. */
const freeTries = 5;
const maxWaitMs = 5 * 60_000;
/** Wrong passwords of all addresses in a minute, whoever they are of. */
const triesInMinute = 30;
const minuteMs = 60_000;
/** Addresses whose tries are remembered. */
const maxAddresses = 1000;
/** Addresses of which one remembers that they knew the password. */
const maxRight = 50;
export const ticketS = ticketMs / 1000;
export const sessionS = sessionMs / 1000;

interface Pass {
  readonly permission: Permission;
  readonly until: number;
}
interface Tries {
  readonly count: number;
  /** No other try before. */
  readonly until: number;
}
/** A session as it is handed on to another login: by the digest of its token. */
export interface SessionLeft {
  readonly name: string;
  readonly permission: Permission;
  readonly leftMs: number;
}
export type LoginOutcome =
  | { readonly token: string; readonly permission: Permission }
  | { readonly refused: 'wrong' | 'no-password' }
  /** Too many tries: so long nothing is looked at. */
  | { readonly waitS: number };

const digestOf = (text: string | Uint8Array): Buffer => createHash('sha256').update(text).digest();
const nameOf = (secret: string): string => digestOf(secret).toString('base64url');
const newSecret = (): string => randomBytes(32).toString('base64url');

function trim(map: Map<string, unknown> | Set<string>, most: number): void {
  const [eldest] = map.keys();
  if (map.size > most && eldest !== undefined) map.delete(eldest);
}

/** Whoever has one IPv6 address has a network of them. */
const placeOf = (address: string): string =>
  isIPv6(address) && !address.startsWith('::ffff:') ? address.split(':').slice(0, 4).join(':') : address;

export class Login {
  /** By digest: what is in memory opens nothing. */
  private readonly tickets = new Map<string, Pass>();
  private readonly sessions = new Map<string, Pass>();
  private readonly tries = new Map<string, Tries>();
  private readonly wereRight = new Set<string>();
  private minute = { from: 0, count: 0 };
  private readonly now: () => number;
  private readonly password: () => Uint8Array | undefined;

  /** `now`: ms that only rise. `password`: as it is configured now; undefined where there is none. */
  constructor(now: () => number, password: () => Uint8Array | undefined) {
    this.now = now;
    this.password = password;
  }

  /** Opens one session, once, within ten minutes. */
  ticket(permission: Permission): string {
    const ticket = newSecret();
    this.tickets.set(nameOf(ticket), { permission, until: this.now() + ticketMs });
    trim(this.tickets, maxTickets);
    return ticket;
  }
  /** Nobody guesses 32 random octets, so nobody waits: whoever may ask the sockets gets in while a stranger tries passwords. */
  redeem(ticket: string): LoginOutcome {
    const name = nameOf(ticket);
    const pass = this.tickets.get(name);
    this.tickets.delete(name);
    if (!pass || pass.until <= this.now()) return { refused: 'wrong' };
    return this.begin(pass.permission);
  }
  enter(password: string, from: string): LoginOutcome {
    const outcome = this.check(password, from);
    return outcome === 'right' ? this.begin('act') : outcome;
  }
  /** Whether it is the password, without a session. */
  check(password: string, from: string): 'right' | Exclude<LoginOutcome, { readonly token: string }> {
    const expected = this.password();
    if (!expected) return { refused: 'no-password' };
    const place = placeOf(from);
    const waitS = this.waitS(place);
    if (waitS > 0) return { waitS };
    // Digests have one length, and their comparison one duration.
    if (!timingSafeEqual(digestOf(password), digestOf(expected))) return this.failed(place);
    this.tries.delete(place);
    this.wereRight.delete(place);
    this.wereRight.add(place);
    trim(this.wereRight, maxRight);
    return 'right';
  }
  permissionOf(token: string | undefined): Permission | undefined {
    const pass = token === undefined ? undefined : this.sessions.get(nameOf(token));
    return pass && pass.until > this.now() ? pass.permission : undefined;
  }
  leave(token: string): void {
    this.sessions.delete(nameOf(token));
  }
  /** For whoever serves the page next: nobody has to log in once more. */
  sessionsLeft(): SessionLeft[] {
    const now = this.now();
    return [...this.sessions].map(([name, { permission, until }]) => ({ name, permission, leftMs: until - now }));
  }
  admit(sessions: readonly SessionLeft[]): void {
    for (const { name, permission, leftMs } of sessions)
      if (leftMs > 0 && leftMs <= sessionMs) this.sessions.set(name, { permission, until: this.now() + leftMs });
  }
  /** The password is another one now: nobody stays by the old one. */
  endAll(): void {
    this.sessions.clear();
    this.tickets.clear();
  }

  private begin(permission: Permission): LoginOutcome {
    const token = newSecret();
    for (const [name, { until }] of this.sessions) if (until <= this.now()) this.sessions.delete(name);
    this.sessions.set(nameOf(token), { permission, until: this.now() + sessionMs });
    trim(this.sessions, maxSessions);
    return { token, permission };
  }
  private waitS(from: string): number {
    const now = this.now();
    if (now - this.minute.from >= minuteMs) this.minute = { from: now, count: 0 };
    // Who was right before has tries of its own, whatever strangers do meanwhile.
    const isFull = this.minute.count >= triesInMinute && !this.wereRight.has(from);
    const all = isFull ? this.minute.from + minuteMs - now : 0;
    const own = (this.tries.get(from)?.until ?? 0) - now;
    return Math.ceil(Math.max(0, own, all) / 1000);
  }
  private failed(from: string): { readonly refused: 'wrong' } {
    const count = (this.tries.get(from)?.count ?? 0) + 1;
    const waitMs = count < freeTries ? 0 : Math.min(maxWaitMs, 1000 * 2 ** (count - freeTries));
    this.tries.delete(from);
    this.tries.set(from, { count, until: this.now() + waitMs });
    trim(this.tries, maxAddresses);
    this.minute.count++;
    return { refused: 'wrong' };
  }
}
