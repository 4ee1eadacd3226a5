/** What is stored at once: intervals of a series, or facts alone; and what is held back and released. */
import type { Fact } from '../reading/facts.ts';
import type { Mark } from '../reading/ledger.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { EntryClass } from './keys.ts';
import type { LedgerChange } from './order-ledger.ts';
import type { PublishedMarks } from './marks.ts';
import type { MeterLogs, PushMark, SeriesState } from './records.ts';

interface CommitBase {
  readonly meter: string;
  readonly entryClass: EntryClass;
  readonly facts: readonly Fact[];
  /** How far the logs of the meter are forwarded with this commit. */
  readonly logs?: MeterLogs;
  /** How far the pushes of the meter were heard with this commit. */
  readonly pushed?: PushMark | undefined;
  /** Nothing is stored, Failure `store-damaged`, where another epoch has begun: what this was computed from is void. */
  readonly epoch?: number;
}
/** Intervals of a series, with how far it is accounted for then. */
export interface SliceCommit extends CommitBase {
  readonly series: SeriesKey;
  readonly state: SeriesState;
  /** What is said of each interval with this commit. */
  readonly marks?: readonly Mark[];
  readonly afterMarks?: undefined;
  readonly orders?: undefined;
  /** The facts are held back, not delivered: this meter answered where another one is configured (R32). */
  readonly quarantine?: { readonly meter: string; readonly serial: string };
}
export interface FactsCommit extends CommitBase {
  readonly series?: undefined;
  readonly quarantine?: undefined;
  /** What is remembered of an order with it. */
  readonly orders?: LedgerChange;
  /** Nothing is stored, Failure `busy`, where other marks were stored since this number of them. */
  readonly afterMarks?: number;
}
export type Commit = SliceCommit | FactsCommit;
/** A fact of the outbox, and what it says of the intervals of its series. */
export interface Released extends PublishedMarks {
  readonly fact: Fact;
}
export interface Quarantined {
  readonly key: string;
  readonly meter: string;
  readonly serial: string;
  readonly fact: Fact;
}
