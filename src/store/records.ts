/** What stands in the records of the store, and the format of all of them. */
import { Failure } from '../base/errors.ts';
import { dayMs } from '../base/time.ts';
import type { Coverage } from '../reading/coverage.ts';
import type { Integer } from '../reading/facts.ts';
import type { AccountedSwap, Exceptions, Mark } from '../reading/ledger.ts';
import type { StoredLogCursor } from '../reading/log-ledger.ts';
import type { DarkSpan } from '../reading/meter-event.ts';
import type { Operation } from './database.ts';
import { stateKey } from './keys.ts';
import { decodeRecord, encodeRecord } from './record.ts';

export interface SeriesState {
  readonly since: number;
  readonly periodMs?: number;
  /** Where it ended because the meter captures with another period since, or will. */
  readonly until?: number;
  /** Up to this UTC day sums were checked (R02), ms. */
  readonly summedTo?: number;
  readonly coverage: Coverage;
  /** What is covered and not plainly measured. */
  readonly exceptions?: Exceptions;
  /** The meter whose rows these are, and its registers at the newest boundary that was read. */
  readonly serial?: string;
  readonly newest?: { readonly end: number; readonly registers: Readonly<Record<string, Integer>> };
  /** The change of the meter that the series goes across. */
  readonly swap?: AccountedSwap;
  /** Fingerprint of capture objects, scalers and period that the series was commissioned with (R13). */
  readonly layout?: string;
}

export interface MeterLogs {
  readonly cursors: Readonly<Record<string, StoredLogCursor>>;
  readonly dark: readonly DarkSpan[];
  /** What the last power event of the log was. */
  readonly lastPower?: 'down' | 'up' | undefined;
  /** The meter whose logs these are, and where it replaced another: what it logged before belongs elsewhere. */
  readonly serial?: string;
  readonly installedAt?: number;
  /** Only for the gateway itself (meter `_`): the last UTC day whose manifest was published, ms. */
  readonly manifestDay?: number;
  /** Only for the gateway itself: earlier days of which something else was published since, ms. */
  readonly staleDays?: readonly number[];
  /** Stamps around which its clock was adjusted: what was read there is to be read again. */
  readonly adjusted?: readonly number[];
  /** When we set its clock, and whether the step was so large that its intervals are uncertain (1). */
  readonly clockSets?: readonly (readonly [at: number, flag: number])[];
}

/**
 * How far the pushes of a meter were heard: what comes with this counter or a lower one was heard before. Stored in one batch
 * with what the push said, so that neither is there without the other.
 */
export interface PushMark {
  /** System title of the meter, in hex, and the name of the key that was counted with. */
  readonly title: string;
  readonly key: string;
  readonly counter: number;
}

/** Up to format 3 `installedAt` was called `hungSince`. */
export function meterLogsOf(body: unknown): MeterLogs {
  const { ['hungSince']: installedAt, ...logs } = body as MeterLogs & Partial<Record<'hungSince', number>>;
  return installedAt === undefined ? logs : { installedAt, ...logs };
}

/** What is known of the gateway itself, where these marks change days whose manifest was said; else undefined. */
export function withStaleDays(own: MeterLogs, marks: readonly Mark[]): MeterLogs | undefined {
  const days = new Set(marks.map(({ start }) => Math.floor(start / dayMs) * dayMs));
  const fresh = [...days].filter((day) => day <= (own.manifestDay ?? 0) && !own.staleDays?.includes(day));
  return fresh.length > 0 ? { ...own, staleDays: [...(own.staleDays ?? []), ...fresh] } : undefined;
}

/** Orders that were issued up to `at` are not taken: what was done for them before is not remembered, or not any more. */
export interface OrderFloor {
  /** Another epoch of the store has begun since: entries may be lost. */
  readonly epoch: number;
  readonly at: number;
}

export interface StateRecord {
  /** The format of all records; left out up to format 2. */
  readonly format?: number;
  readonly epoch: number;
  readonly nextSequence: number;
  /** The head-end has everything up to here, except `nacked`. */
  readonly acknowledged: number;
  /** Entries up to `acknowledged` that the head-end refused (nack): they stay and are sent again. */
  readonly nacked: readonly number[];
  /** Damage was found and is being dealt with: a start after a crash in the middle begins with that again. */
  readonly mending?: true;
  /** Series, logs of meters, counters of pushes, and orders: records that must be there. */
  readonly records?: number;
  /**
   * Since this state was opened first without having been heard of, nothing was sent: nobody can have heard of this number
   * and those after it, through as many starts as there were. Left out from the first message on.
   */
  readonly unheardFrom?: number;
  /** This state came out of a backup: what was numbered since that was made is not known, so an epoch begins. */
  readonly restored?: true;
  /** Left out where no order was ever remembered. */
  readonly orderFloor?: OrderFloor;
}
/** Up to format 3 `nacked` was called `kept`. */
export function stateRecordOf(body: unknown): StateRecord {
  const { ['kept']: before = [], ...state } = body as StateRecord & Partial<Record<'kept', readonly number[]>>;
  return { ...state, nacked: state.nacked ?? before };
}
/** What was stored last, as it is kept outside of the database: it reveals a store that fell behind. */
export interface Checkpoint {
  readonly epoch: number;
  readonly nextSequence: number;
  readonly format?: number;
}

/**
 * The format of all records, which the state record and the checkpoint name. 1: entries of the outbox as one line of JSON.
 * 2: entries in two lines, packs; pages of marks with revisions up to 255. 3: pages that name their epoch. 4: `nacked` and
 * `installedAt` under these names. 5: orders, and results in the outbox. 6: counters of pushes. Each record is read by what it looks like and written anew when it changes. The envelope
 * of the state record never changes, so that every later program can read the format from it.
 */
export const storeFormat = 6;
/** A state of a later program is neither damage nor to be understood. */
export function refuseNewer(format = storeFormat, what = 'the state directory'): void {
  if (format > storeFormat)
    throw new Failure(
      'store-too-new',
      `${what} was written by a later version (format ${format}; this one knows formats up to ${storeFormat})`,
    );
}

export const putRecord = (key: string, sequence: number, body: unknown): Operation => ({
  type: 'put',
  key,
  value: encodeRecord(key, { sequence, body }),
});
export const putState = (state: StateRecord): Operation => putRecord(stateKey, state.nextSequence, state);

/** A record of a backup as it is put back: the state record says that this state was restored, so that an epoch begins. */
export function restoredState(key: string, value: Uint8Array): Uint8Array {
  const record = key === stateKey ? decodeRecord(key, value) : undefined;
  if (!record) return value;
  return encodeRecord(key, { ...record, body: { ...(record.body as StateRecord), restored: true } });
}
