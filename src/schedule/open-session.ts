/** What somebody asks of a session with a configured meter, and what the work is given. */
import type { Failure } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { MeterAccess } from '../meter/access.ts';
import type { Identity } from '../meter/identity-reading.ts';
import type { MeterModel } from '../meter/model.ts';
import type { Session } from '../meter/session.ts';
import type { Origin } from '../reading/facts.ts';

/** What the work is given: an associated session with the meter that is configured, its identity read. */
export interface OpenSession {
  readonly session: Session;
  readonly model: MeterModel;
  readonly access: MeterAccess;
  readonly origin: Origin;
  readonly identity: Identity | undefined;
  readonly clock: Clock;
}
export type SessionWork<T> = (open: OpenSession) => Promise<T>;

export interface SessionRequest {
  /** Never rejects: what the work throws goes to whoever asked. Resolves to it, where it failed. */
  readonly work: (open: OpenSession) => Promise<unknown>;
  readonly reject: (error: Failure) => void;
}
