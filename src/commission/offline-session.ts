/** A session with a planned meter over a line that is open: what is fresh for each session is made here. */
import { randomBytes } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import type { Clock } from '../base/time.ts';
import type { MeterPlan } from '../config/resolve-meter.ts';
import type { Port, Trace } from '../line/port.ts';
import type { MeterAccess } from '../meter/access.ts';
import type { MeterModel } from '../meter/model.ts';
import { Session } from '../meter/session.ts';

/** Title and counters that nobody used before with this key. `plain`: the same entry without keys, to ask the meter for its counter. */
export type TakeCounters = (
  security: NonNullable<MeterPlan['security']>,
  port: Port,
  plain: MeterAccess,
) => Promise<{ readonly title: Uint8Array; readonly next: () => number }>;

export interface EntryWatch {
  /** Failure `backed-off` where the meter refused us lately. */
  check(): void;
  entered(): void;
  failed(error: unknown): void;
}
/** A noisy stub is to be measured, not to be given up. */
const minRetries = 4;

export interface PlannedSession {
  readonly plan: MeterPlan;
  readonly clock: Clock;
  readonly counters: TakeCounters;
  readonly trace?: Trace | undefined;
  /** Who was refused is not asked again and again. */
  readonly entries?: EntryWatch | undefined;
  /** `logical/physical`, where it is another one than planned. */
  readonly address?: string | undefined;
}

async function accessOf({ plan, counters, address }: PlannedSession, port: Port): Promise<MeterAccess> {
  const { security, challengeOctets, dedicatedKeyOctets } = plan;
  const [logical, physical] = address === undefined ? [] : address.split('/').map(Number);
  const access: MeterAccess = {
    ...plan.access,
    ...(logical !== undefined && { logical, physical }),
    retries: Math.max(plan.access.retries, minRetries),
    challenge: () => randomBytes(challengeOctets),
  };
  if (!security) return access;
  const { title, next } = await counters(security, port, access);
  return {
    ...access,
    systemTitle: title,
    ciphering: {
      ...security.settings,
      ownTitle: title,
      nextCounter: next,
      ...(dedicatedKeyOctets > 0 && { dedicated: () => new Secret(randomBytes(dedicatedKeyOctets)) }),
    },
  };
}

/** Opens the association, works, and closes it whatever happened. */
export async function inPlannedSession<T>(
  planned: PlannedSession,
  port: Port,
  work: (session: Session, model: MeterModel) => Promise<T>,
): Promise<T> {
  const { clock, trace, entries } = planned;
  entries?.check();
  const access = await accessOf(planned, port);
  const session = new Session(port, clock, access, { trace });
  try {
    await session.connect();
    entries?.entered();
    return await work(session, access.model);
  } catch (error) {
    if (!session.entered && session.stack.asked) entries?.failed(error);
    throw error;
  } finally {
    await session.close();
  }
}
