/** What a gateway is given from outside, and what may be asked of it while it runs. */
import type { Log } from './base/log.ts';
import type { Clock, Millis } from './base/time.ts';
import type { ForwarderSettings } from './forward/forwarder.ts';
import type { Direction } from './line/direction.ts';
import type { LineMemory } from './line/port-owner.ts';
import type { Listening } from './line/open-port.ts';
import type { Port } from './line/port.ts';
import type { ReadingFact } from './reading/facts.ts';
import type { Commissioned } from './schedule/commissioned-with.ts';
import type { CounterAccepted } from './schedule/counter-accept.ts';
import type { AccountedSeries } from './schedule/manifest.ts';
import type { LineState, MeterState } from './schedule/meter-state.ts';
import type { PortWork } from './schedule/loan.ts';
import type { SeriesGap } from './schedule/series-gaps.ts';
import type { SessionWork } from './schedule/open-session.ts';
import type { Disk } from './schedule/storage.ts';
import type { CounterLease } from './schedule/technician-lease.ts';
import type { TurnRecord } from './schedule/turn-record.ts';
import type { PortUses, TraceEvent, TraceWish } from './status/line-trace.ts';
import type { HeldRows, Snapshot } from './status/snapshot.ts';
import type { Counters } from './store/counters.ts';
import type { Store } from './store/store.ts';

/** Everything outside of the house: on a concentrator the real thing, in a test a seeded twin. */
export interface World {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly counters: Counters;
  readonly version: string;
  readonly boot: string;
  readonly random: () => number;
  openPort(device: string, baud: number, direction: Direction): Promise<Port>;
  /** A line that is listened to: a serial device, or a TCP or UDP port of this machine. */
  listen(device: string, baud: number): Promise<Listening>;
  disk(): Disk | null;
  /** Deletes what nobody needs, when the disk is nearly full; tells what went. */
  relieve(): Promise<readonly { readonly what: string; readonly bytes: number }[]>;
  rssBytes(): number;
  /** The kernel's clock is synchronised, and not before a time that was known once. */
  timeIsKnown(): boolean;
  /** Why it is not. */
  timeTrouble(): string | undefined;
  /** What a meter was commissioned with (R13); left out: nothing is known of that. */
  readonly commissioned?: (meter: string) => Commissioned | undefined;
  /** Why the configuration file as it is now was not taken. */
  configurationRefused(): string | undefined;
  /** Why the time of day cannot be right; undefined where it can. */
  timeImpossible(): string | undefined;
  /** A firmware image that lies in this folder, by its SHA-256. Failure `file-unusable` where it does not. */
  image(directory: string, digest: string): Promise<Uint8Array>;
  readonly openBroker?: ForwarderSettings['open'];
  /** Which meter is on turn, noted where it outlives the process. */
  readonly turns?: TurnRecord;
}
export interface House {
  /** Resolves when the house has stopped; rejects when a part of it crashed. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
  snapshot(): Promise<Snapshot>;
  /** What is held back of meters that answer where others are configured. */
  quarantine(): Promise<HeldRows[]>;
  /** Reads a meter now (R39). */
  readNow(meter: string, force?: boolean): Promise<ReadingFact>;
  /** Has work done in a session with a configured meter. */
  inSession<T>(meter: string, work: SessionWork<T>, force?: boolean): Promise<T>;
  /** Lends a line, between two sessions of its meters. */
  lend<T>(port: string, work: PortWork<T>): Promise<T>;
  /** What goes over the lines from now on, secrets struck out. */
  trace(wish: TraceWish, signal: AbortSignal): AsyncIterable<TraceEvent>;
  /** How each line serves its meters, since the start. */
  lineUses(): PortUses[];
  acceptCounter(meter: string): Promise<CounterAccepted>;
  leaseCounters(key: string): Promise<CounterLease>;
  /** Reads and says intervals of a series once more, because the head-end lost them; resolves to how many. */
  sayAgain(meter: string, series: string, from: number, to: number): Promise<number>;
  /** Every interval that is not delivered and plainly measured, and why. */
  gaps(): Promise<SeriesGap[]>;
  /** Every series, and since when it is accounted for. */
  series(): AccountedSeries[];
  /** What is known of the meters, for the house that takes this one's place. */
  known(): Known;
  /** What stands in the way of progress; undefined when all is well. Feeds the watchdog. */
  stuck(): Promise<string | undefined>;
}
/** What one house leaves to the next: of meters by id, of lines by name. */
export interface Known {
  readonly upSince: Millis;
  readonly meters: ReadonlyMap<string, MeterState>;
  readonly lines: ReadonlyMap<
    string,
    { readonly device: string; readonly owner: LineMemory; readonly runner: LineState }
  >;
}
