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
  /**
   * Reads every row up to the last closed interval, for a bounded while; false where one is not there yet. An act that
   * empties the buffer of the meter is not done then (R36).
   */
  readonly readRows: () => Promise<boolean>;
  /** Sets the clock within the limits of R30, whatever the policy is; `begin` is called right before. Or why it is left. */
  readonly setClock: (begin: () => Promise<void>) => Promise<ClockStep | { readonly left: string }>;
  /** Gives the meter its next keys, wrapped by whoever has its master key. Or why it is left. */
  readonly changeKeys: (
    keys: WrappedKeys,
    begin: () => Promise<void>,
  ) => Promise<{ readonly left: string } | undefined>;
}
/** A key as the order has it: wrapped (RFC 3394), and the print of what is wrapped; both in hex. */
interface WrappedKey {
  readonly wrapped: string;
  readonly print: string;
}
export interface WrappedKeys {
  readonly encryption?: WrappedKey | undefined;
  readonly authentication?: WrappedKey | undefined;
}
/** Deviations (meter − gateway), ms. */
export interface ClockStep {
  readonly beforeMs: number;
  readonly afterMs: number;
}
export type SessionWork<T> = (open: OpenSession) => Promise<T>;

export interface SessionRequest {
  /** Never rejects: what the work throws goes to whoever asked. Resolves to it, where it failed. */
  readonly work: (open: OpenSession) => Promise<unknown>;
  readonly reject: (error: Failure) => void;
}
