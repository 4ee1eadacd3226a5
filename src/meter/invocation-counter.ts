/**
 * The meter's word about our invocation counter: what it heard last, asked by the public client, who proves nothing. Asked
 * by the daemon and by the command line; both believe it only up to a plausible step above what they know themselves.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Failure } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { Clock } from '../base/time.ts';
import { integerOf } from '../dlms/axdr/data.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import type { Port, Trace } from '../line/port.ts';
import { attribute } from './attribute.ts';
import { askingLimitMs } from './patience.ts';
import type { MeterAccess } from './access.ts';
import { Session } from './session.ts';

/** Client SAP of the public client (Green Book 9.1.4). */
const publicClient = 16;
/** From here on the key should be changed (R37): half of what a counter can be is left for that. */
export const counterAlarm = 2_000_000_000;
/** A meter that was never met may have had another gateway with this key before: believed up to where the alarm begins. */
const firstContactLimit = counterAlarm;
/** A bus of 30 meters with one key, read every 15 minutes, uses so many in half a year. */
const plausibleStep = 1_000_000;
const stepRecoversMs = 182 * 86_400_000;
/** Where our own counters are in doubt (an old copy of the state): what a bus uses in ten years. */
const doubtfulStep = 20 * plausibleStep;
/**
 * Counters that we may have used and this meter never heard, where ours were lost: none of them may be used again. Meters
 * with one key share its counters: as many as a bus uses in half a year, and as far as a meter's word may have led us.
 */
export const unheardMargin = 2 * plausibleStep;

/** A system title that nobody used before: with it no counter was used either. Three letters of ours, 40 random bits. */
export const freshTitle = (): Uint8Array => Buffer.concat([Buffer.from('MGW'), randomBytes(5)]);

/** Names a key without telling it: between the command line and the gateway, which both have it. */
export const keyPrint = (key: Secret): string =>
  createHash('sha256').update('meter-gateway key').update(key.reveal()).digest('hex').slice(0, 32);

export interface KnownCounter {
  /** Values below were given out by us. */
  readonly reserved: number;
  readonly doubtful: boolean;
  readonly absent: boolean;
  /** What meters raised it by lately. */
  readonly raised: { readonly by: number; readonly at: number } | undefined;
}
/** What of the last raises still counts: it fades at the speed at which a busy bus uses counters. */
const recentRaise = (known: KnownCounter, wall: number): number => {
  const { by = 0, at = wall } = known.raised ?? {};
  return Math.max(0, by - (Math.max(0, wall - at) / stepRecoversMs) * plausibleStep);
};
/** What is remembered of raises after one more. */
export const raisedBy = (known: KnownCounter, value: number, wall: number): { by: number; at: number } => ({
  by: recentRaise(known, wall) + Math.max(0, value - known.reserved),
  at: wall,
});

/**
 * The highest counter that is taken from a meter at its word. `met`: it authenticated itself to us once; `accepted`: up to
 * here the operator says that it is right.
 */
export function counterLimit(known: KnownCounter, met: boolean, accepted: number | undefined, wall: number): number {
  const base = !met || known.absent ? firstContactLimit : known.reserved;
  const step =
    base === firstContactLimit
      ? 0
      : known.doubtful
        ? doubtfulStep
        : Math.max(0, plausibleStep - recentRaise(known, wall));
  return Math.max(Math.min(base + step, firstContactLimit), accepted ?? 0);
}

export const implausible = (claimed: number, limit: number, reserved: number): Failure =>
  new Failure(
    'counter-implausible',
    `the meter says that it heard invocation counter ${claimed}; ours stands at ${reserved}, believed is up to ${limit}`,
    { claimed, limit, reserved },
  );

/** The invocation counter that the meter heard last, from its object 0.0.43.1.x.255; for the public client. */
export async function readInvocationCounter(session: Session, object: LogicalName): Promise<number> {
  const value = integerOf(await session.value(attribute(1, object, 2)));
  if (value === undefined || value < 0n || value > 0xffff_ffffn) {
    throw new Failure('unexpected-apdu', `${obis(object)} is no invocation counter`);
  }
  return Number(value);
}

/** Asks by the public client, in a session of its own. Nothing of the answer is authenticated. */
export async function askCounter(
  port: Port,
  clock: Clock,
  access: MeterAccess,
  object: LogicalName,
  trace?: Trace,
): Promise<number> {
  const { ciphering: _, secret: __, signing: ___, systemTitle: ____, ...plain } = access;
  const asPublic: MeterAccess = {
    ...plain,
    secret: undefined,
    client: publicClient,
    auth: 'none',
    sessionMs: askingLimitMs,
  };
  const session = new Session(port, clock, asPublic, { trace });
  try {
    await session.connect();
    return await readInvocationCounter(session, object);
  } finally {
    await session.close();
  }
}
