/**
 * What the central system holds: messages as they were delivered, one row of the store each. Validation, estimation and
 * billing are pure functions over these; nothing here is ever changed in place.
 */
import type { Millis } from '../base/time.ts';
import type { Message, UpPayload } from '../contract/payloads.ts';
import type { Integer } from '../reading/facts.ts';
import type { Flag, GapCause, Quality, Reason } from '../reading/quality.ts';

/**
 * One message, as it came and as it is stored. (gateway, epoch, seq) is its identity: a number means one message. `message`
 * has passed the schema of the contract, so its columns are as long as its `count`, its instants exist, and its gateway is
 * that of the topic.
 */
export interface Delivered<K extends UpPayload['kind'] = UpPayload['kind']> {
  readonly gateway: string;
  readonly epoch: number;
  readonly seq: number;
  /** When it was committed here. */
  readonly receivedAt: Millis;
  readonly message: Message<K>;
}
export type DeliveredInterval = Delivered<'profile'> | Delivered<'gap'>;

/** What one channel of a row says. Integers are exact: in units of the register, value = raw × 10^scaler. */
export interface ChannelValue {
  /** E.g. `1-0:1.8.0*255`. */
  readonly obis: string;
  readonly unit: string | null;
  readonly scaler: number | null;
  /** SCALER_UNKNOWN: not to be billed before scaler and unit are known. */
  readonly note: string | undefined;
  /** Of the interval; null where it is not known, which is not zero. */
  readonly energy: bigint | null;
  /** Cumulative register at the end of the interval; null where the meter captures none. */
  readonly register: bigint | null;
  /** Of a channel that counts nothing: a demand, a voltage. */
  readonly value: bigint | null;
}

/** One thing that was said of one interval. Later ones do not replace earlier ones: they stand above them (`newest`). */
interface Version {
  /** Start and end, UTC. Off the grid only where the quality is not MEASURED. */
  readonly start: Millis;
  readonly end: Millis;
  readonly gateway: string;
  readonly meter: string;
  readonly serial: string;
  readonly epoch: number;
  readonly seq: number;
  readonly rev: number;
  readonly reason: Reason | null;
  readonly receivedAt: Millis;
}
/** The meter has a row of it. */
export interface RowVersion extends Version {
  readonly kind: 'row';
  readonly quality: Quality;
  /** Raw status of the row, AMR profile status where the meter has a standard one. */
  readonly status: number | null;
  readonly flags: readonly Flag[];
  readonly channels: readonly ChannelValue[];
}
/**
 * It has none. A gap of several intervals is one version for each of them; its registers are those of the edges of the whole
 * gap, which `gapStart` and `gapEnd` bound. OUTAGE is proven zero.
 */
export interface GapVersion extends Version {
  readonly kind: 'gap';
  readonly cause: GapCause;
  readonly gapStart: Millis;
  readonly gapEnd: Millis;
  /** By OBIS code; null where no register of that edge is known. */
  readonly before: Readonly<Record<string, Integer>> | null;
  readonly after: Readonly<Record<string, Integer>> | null;
}
export type IntervalVersion = RowVersion | GapVersion;
