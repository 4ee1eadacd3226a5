/** The facts that leave the house. Plain JSON: integers beyond 2^53 are decimal strings; instants are ISO 8601 in UTC. */
import { iso, type Millis } from '../base/time.ts';
import type { ObisCode } from '../dlms/cosem/logical-name.ts';
import type { GatewayEventDetail, GatewayEventName } from './gateway-events.ts';
import type { OrderOutcome, OrderRefusal } from './order-words.ts';
import type { Flag, GapCause, Quality, Reason, VoidCause } from './quality.ts';

export type Integer = number | string;
export const integerJson = (value: bigint): Integer =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();

/** Where a fact comes from: the series belongs to the point, the rows come from the meter. */
export interface Origin {
  readonly meter: string;
  readonly point: string;
  readonly serial: string;
}
export interface Channel {
  readonly obis: string;
  readonly unit: string | null;
  readonly scaler: number | null;
  /** SCALER_UNKNOWN: the meter has a scaler and unit for it and does not tell them; nothing may be billed by it as it is. */
  readonly note?: string;
  /** Register at the end of each interval, where the meter captures registers. */
  readonly register?: readonly Integer[];
  /**
   * Register minus the register before, in units of the register; null where there is none. Of a meter that captures what
   * it counted in each interval: that.
   */
  readonly energy?: readonly (Integer | null)[];
  /** What is neither: a demand, a voltage. */
  readonly value?: readonly Integer[];
}
/** Consecutive intervals, columnar (CIM 61968-9 IntervalBlock). */
export interface ProfileFact extends Origin {
  readonly kind: 'profile';
  readonly series: ObisCode;
  readonly start: string;
  readonly periodS: number;
  readonly count: number;
  readonly channels: readonly Channel[];
  readonly status: readonly (number | null)[];
  readonly quality: readonly Quality[];
  readonly rev: readonly number[];
  /** Left out where every value is said for the first time. */
  readonly reason?: readonly (Reason | null)[];
  /** Seconds that the meter stamped the row beside the grid of its period; null where on it. Left out where all are. */
  readonly stampedOffS?: readonly (number | null)[];
  /** What the meter's clock said of itself in the stamp: the interval is UNCERTAIN/clock. Left out where it said nothing. */
  readonly clockSays?: readonly (string | null)[];
  /** Left out where no interval has a flag. */
  readonly flags?: readonly (readonly Flag[])[];
  readonly readAt: string;
  readonly clockDeviationS: number | null;
  readonly clockTrust: string;
}
export interface GapFact extends Origin {
  readonly kind: 'gap';
  readonly series: ObisCode;
  readonly start: string;
  readonly end: string;
  readonly cause: GapCause;
  /** Registers by OBIS code at both edges, where known. */
  readonly before: Readonly<Record<string, Integer>> | null;
  readonly after: Readonly<Record<string, Integer>> | null;
  readonly rev: number;
  readonly reason?: Reason;
  readonly readAt: string;
}
export interface ReadingFact extends Origin {
  readonly kind: 'reading';
  readonly readAt: string;
  readonly registers: Readonly<
    Record<string, { readonly raw: Integer; readonly scaler: number | null; readonly unit: string | null }>
  >;
  readonly clockDeviationS: number | null;
  /** The meter's own switch (class 70); left out where it has none. */
  readonly disconnector?: { readonly output: boolean; readonly control: number; readonly mode: number };
}
/** Something that happened: an entry of a log of the meter, or what the gateway found. Each is delivered once. */
export interface EventFact extends Origin {
  readonly kind: 'event';
  readonly source: 'meter' | 'gateway';
  /** OBIS code of the meter's log. */
  readonly log: string | null;
  /** Code in that log; null where the gateway speaks. */
  readonly code: number | null;
  /** Words of the companion specification, or one of the gateway's own (gateway-events.ts). */
  readonly name: string;
  /** The meter's stamp in UTC, or the gateway's time. */
  readonly at: string | null;
  /** Counts equal entries of one log and stamp, from 0. */
  readonly occurrence: number;
  readonly detail: Readonly<Record<string, string | number | boolean | null>> | null;
  readonly readAt: string;
}
const gatewayItself: Origin = { meter: '_', point: '', serial: '' };
/** What the gateway says of a meter, or of itself. */
export const gatewayFact = <Name extends GatewayEventName>(
  wall: Millis,
  name: Name,
  detail: GatewayEventDetail<Name>,
  origin = gatewayItself,
): EventFact => eventOfGateway(wall, name, detail, origin);
/** An event under any name: that of another version, or one that is cut so that it fits. */
export function eventOfGateway(
  wall: Millis,
  name: string,
  detail: EventFact['detail'],
  origin = gatewayItself,
): EventFact {
  const at = iso(wall);
  return {
    kind: 'event',
    ...origin,
    source: 'gateway',
    log: null,
    code: null,
    name,
    at,
    occurrence: 0,
    detail,
    readAt: at,
  };
}
/** What the gateway accounts for in one UTC day; the central system recomputes the digests from what it received. */
export interface ManifestFact {
  readonly kind: 'manifest';
  readonly day: string;
  readonly part: number;
  readonly parts: number;
  readonly series: readonly {
    readonly meter: string;
    readonly point: string;
    readonly series: ObisCode;
    /** Where the series begins or ends within the day: a change of the period. */
    readonly from?: string;
    readonly to?: string;
    readonly periodS: number;
    readonly expected: number;
    readonly measured: number;
    readonly uncertain: number;
    readonly outage: number;
    readonly missing: number;
    readonly lost: number;
    readonly pending: number;
    /** dayDigest of everything that was said of the day's intervals. */
    readonly digest: string;
  }[];
  readonly readAt: string;
}
/** What became of a signed order of the central system. It belongs to the gateway; `about` is the meter that it named. */
export interface ResultFact {
  readonly kind: 'result';
  /** Of the order. */
  readonly id: string;
  /** As the order has it; null where it could not be understood. */
  readonly action: string | null;
  readonly about: Origin | null;
  readonly outcome: OrderOutcome;
  /** Of what was refused. */
  readonly reason: OrderRefusal | null;
  /** Of what failed: docs/errors.md. */
  readonly code: string | null;
  readonly why: string | null;
  readonly detail: Readonly<Record<string, string | number | boolean | null>> | null;
  readonly receivedAt: string;
  readonly at: string;
}
/**
 * A sequence number under which nothing is said: its record was damaged in the store, what it held is read from the meters
 * again; or it was too large for the broker, what it held is said under later numbers.
 */
export interface VoidFact {
  readonly kind: 'void';
  readonly cause: VoidCause;
}
export type Fact = ProfileFact | GapFact | ReadingFact | EventFact | ManifestFact | ResultFact | VoidFact;
