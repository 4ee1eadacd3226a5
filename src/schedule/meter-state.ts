/** What a port is given, and what is known of a polled meter between its sessions. */
import type { Failure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import { type Clock, longAgo, type Millis } from '../base/time.ts';
import type { PortOwner } from '../line/port-owner.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Disconnector } from '../meter/disconnector.ts';
import type { LogWay } from '../meter/event-log.ts';
import type { Identity } from '../meter/identity-reading.ts';
import type { ProfileLayout } from '../meter/profile-layout.ts';
import { type Fallbacks, freshFallbacks } from '../meter/fallbacks.ts';
import type { MeterModel } from '../meter/model.ts';
import type { MeterAccess } from '../meter/access.ts';
import type { EventFact, Origin, ReadingFact } from '../reading/facts.ts';
import type { Swap } from '../reading/ledger.ts';
import { edge } from '../reading/interval-block.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { Counters, MeterMemory } from '../store/counters.ts';
import type { MeterLogs, SeriesState } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Commissioned, ComparedRatios } from './commissioned-with.ts';
import type { ClockPolicy } from './clock-policy.ts';
import type { LogWindows } from './log-window.ts';
import type { PlanSettings } from './plan.ts';
import type { Verdict } from '../reading/verdict.ts';
import type { SliceSizes } from './slice-size.ts';
import type { TurnRecord } from './turn-record.ts';
import type { SessionRequest } from './open-session.ts';
import type { StandingAlarm } from './standing-alarms.ts';

/** What is known of a line. */
export interface LineState {
  /** Silent meters may not have the line before (monotonic). */
  silentNotBefore: Millis;
  busFaultReported: boolean;
}
export interface Line extends LineState {
  readonly states: ReadonlyMap<string, MeterState>;
}
/** Of a line whose meters are polled, or listened to. */
export interface LineContext {
  readonly name: string;
  /** Speed of the line between two sessions; left out where it has none. */
  readonly baud?: number;
  readonly owner: Pick<PortOwner, 'state' | 'memory'>;
  readonly meters: readonly PolledMeter[];
  readonly store: Store;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly log: Log;
  readonly plan: PlanSettings;
  /** Whether the gateway believes its own time of day: `kernel`, `system` or `untrusted`. */
  readonly clockTrust: () => ClockTrust;
  readonly clockPolicy: ClockPolicy;
  /** Why nothing may be read now: no room for it, or a time of day that cannot be. */
  readonly standstill: () => Failure | undefined;
  /** What was known of the meters before a reload, by id. */
  readonly known?: ReadonlyMap<string, MeterState>;
  /** And of the line, where it goes on as it is. */
  readonly lineBefore?: LineState | undefined;
  /** IANA name of the zone of the days of the utility: periods change at its midnight. */
  readonly timeZone: string;
  /** Which meter is on turn, noted outside of the process; left out where nothing outlives it. */
  readonly turns?: TurnRecord;
}
export interface PortContext extends LineContext {
  readonly owner: PortOwner;
}
/** kernel: synchronised; system: assumed right; untrusted: tags what is read, sets no clock (R29). */
export type ClockTrust = 'kernel' | 'system' | 'untrusted';
/** A ciphered association: counters come from a lease, one for each session. */
export interface MeterSecurity {
  readonly settings: Omit<CipheringSettings, 'nextCounter'>;
  /** Names the key whose counter is counted; never the key itself. */
  readonly counterName: string;
  /** Our system title is the operator's choice, for the meter wants that one. */
  readonly titlePinned: boolean;
  readonly counterObject: LogicalName;
  /** A dedicated key for each association. */
  readonly freshKey?: () => Secret;
}
export interface PolledMeter {
  readonly origin: Origin;
  /** Without ciphering; the runner adds it for each session. */
  readonly access: MeterAccess;
  readonly security?: MeterSecurity;
  /** With the keys that an order may give it; taken into use when it has them. */
  readonly nextSecurity?: MeterSecurity;
  /** Where the model is found out by the meter's name: the models to choose from. */
  readonly detectFrom?: readonly MeterModel[];
  /** The meter replaced another one (R33). */
  readonly swap?: Swap | undefined;
  /** What it was commissioned with (R13). */
  readonly commissioned?: Commissioned | undefined;
  /** What the fuses let through, W (R12). */
  readonly powerLimitW?: number | undefined;
  readonly series: readonly PolledSeries[];
  /** Where its unprotected pushes come from: HDLC address, wPort or M-Bus address. */
  readonly pushAddress?: string;
  /** Why it cannot be polled as it is configured. That is shown and reported, and the other meters are read. */
  readonly unusable?: Failure;
  /** Changes with everything that is configured of it and of its port. */
  readonly fingerprint?: string;
}
/** A series of a meter: a profile with one capture period. */
export interface PolledSeries {
  readonly series: SeriesKey;
  readonly profile: LogicalName;
  readonly periodMs: number;
  /** First interval as configured; it overrides what the store remembers. */
  readonly since: Millis | undefined;
  /** First interval of a series that is new and not configured. */
  readonly sinceByDefault: Millis;
  /** The meter captures with another period from this local midnight on: a series of its own (R35). */
  readonly until?: Millis | undefined;
  /** The series before the change of the period. */
  readonly after?: SeriesKey | undefined;
}

export interface MeterState {
  readonly polled: PolledMeter;
  /** The model as configured, or as it follows from the meter's name. */
  model: MeterModel;
  failures: number;
  /** Sessions in a row that ended well and accounted for nothing. */
  fruitless: number;
  /** What is remembered of it from one start to the next. */
  memory: MeterMemory | undefined;
  /** What the meter said of our counter, as it was logged last. */
  counterLogged: number | undefined;
  /** It was logged that the meter's own counter began anew. */
  restartLogged: boolean;
  /** The security alarm that was reported last. */
  reportedSecurity: string | undefined;
  notBefore: Millis;
  lastTurn: Millis;
  degradedLine: boolean;
  lastSuccess: Millis | undefined;
  lastError: Failure | undefined;
  identity: Identity | undefined;
  /** Rows that one request may ask for, by series, as they were learned. */
  sliceRows: SliceSizes;
  /** A day whose sum is being made, as far as its rows were read, by series. */
  dayRows: Map<
    SeriesKey,
    { readonly from: Millis; readonly layout: string; next: Millis; readonly rows: LoadProfileRow[] }
  >;
  /** Logs that are read window by window. */
  logWindows: LogWindows;
  layouts: Map<LogicalName, { layout: ProfileLayout; at: Millis; changes: bigint | undefined }>;
  readingAt: Millis | undefined;
  qualityWindow: { damaged: number; repeated: number }[];
  intervalsRead: number;
  /** The meter may have heard a higher counter than ours: ask before the next association. */
  askCounter: boolean;
  counterAlarmed: boolean;
  /** Nobody said in this life that our counter is not behind what was used with our pinned title: the meter is asked first. */
  counterUnconfirmed: boolean;
  /** Series whose rows belong to no interval. */
  rowAlarms: Map<string, StandingAlarm>;
  /** Columns of a series that are not delivered, as they were reported last. */
  leftOut: Map<SeriesKey, string>;
  /** When its transformer ratios were compared with those that it was commissioned with. */
  comparedRatios: ComparedRatios | undefined;
  /** Series whose oldest unread row will soon be overwritten. */
  atRisk: Set<SeriesKey>;
  /** Who waits for this meter to be read now. */
  readRequests: { readonly resolve: (fact: ReadingFact) => void; readonly reject: (error: Failure) => void }[];
  /** Work that somebody has for a session with this meter. */
  sessionRequests: SessionRequest[];
  /** Gaps are looked at again at this time (monotonic), by series. */
  recheckAt: Map<SeriesKey, Millis>;
  /** What is to be said with the next commit. */
  pendingEvents: EventFact[];
  /** Cursors of what is to be said, stored with it. */
  logs: MeterLogs | undefined;
  /** The verdict that was delivered last. */
  reportedVerdict: Verdict;
  /** Who answered instead of it, as it was reported last. */
  reportedMismatch?: string | undefined;
  /** It was reported as unreachable: its return is reported with what the silence was. */
  reportedSilent: boolean;
  silentSince: Millis | undefined;
  /** The last success before the silence. */
  lastSuccessBefore: Millis | undefined;
  /** The clock waits for a moment away from the boundary of an interval (monotonic). */
  visitAt: Millis | undefined;
  reportedClock: { readonly alarm: string | undefined; readonly at: Millis } | undefined;
  /** Logs that the meter does not have. */
  lacks: Set<string>;
  /** What is not the main job and was not done last time, and why. */
  troubles: Map<string, Failure>;
  /** What the meter mishandles. */
  fallbacks: Fallbacks;
  /** How a log is asked for where the meter does not select by stamps. */
  logWays: Map<string, LogWay>;
  /** Logs of which something was said today that need not be said again. */
  logsReported: Set<string>;
  hasDisconnector: boolean;
  /** The switch as it was read last: while it cannot be read, nobody says that the supply is on again. */
  disconnectorSeen: Disconnector | undefined;
  /** The logs are read some days back once a day: a clock that was set back writes before the cursor. */
  logsDeepAt: Millis;
  /** This is another meter than the configured one: what it says is held back. */
  quarantine: { readonly meter: string; readonly serial: string } | undefined;
}

/**
 * A meter that goes on as it was through a reload keeps what is known of it, also its failures and the pause after them.
 * One whose configuration, model or secrets changed begins anew. (What a refusal forbids is remembered elsewhere, and
 * stays.)
 */
export const stateThroughReload = (polled: PolledMeter, before: MeterState | undefined): MeterState =>
  before !== undefined && before.polled.fingerprint !== undefined && before.polled.fingerprint === polled.fingerprint
    ? { ...before, polled, readRequests: [], sessionRequests: [] }
    : freshState(polled);

export const freshState = (polled: PolledMeter): MeterState => ({
  polled,
  model: polled.access.model,
  failures: 0,
  fruitless: 0,
  memory: undefined,
  counterLogged: undefined,
  restartLogged: false,
  reportedSecurity: undefined,
  notBefore: longAgo,
  lastTurn: longAgo,
  degradedLine: false,
  lastSuccess: undefined,
  lastError: undefined,
  identity: undefined,
  sliceRows: new Map(),
  dayRows: new Map(),
  logWindows: new Map(),
  layouts: new Map(),
  readingAt: undefined,
  qualityWindow: [],
  intervalsRead: 0,
  askCounter: false,
  counterAlarmed: false,
  counterUnconfirmed: polled.security?.titlePinned === true,
  rowAlarms: new Map(),
  leftOut: new Map(),
  comparedRatios: undefined,
  atRisk: new Set(),
  recheckAt: new Map(),
  readRequests: [],
  sessionRequests: [],
  pendingEvents: [],
  logs: undefined,
  reportedVerdict: 'UNKNOWN',
  reportedSilent: false,
  silentSince: undefined,
  visitAt: undefined,
  reportedClock: undefined,
  lastSuccessBefore: undefined,
  lacks: new Set(),
  troubles: new Map(),
  fallbacks: freshFallbacks(),
  logWays: new Map(),
  logsReported: new Set(),
  hasDisconnector: true,
  disconnectorSeen: undefined,
  logsDeepAt: longAgo,
  quarantine: undefined,
});

/** The newest boundary register of the series' meter, kept for a change of the meter. */
export function newestOf(
  stored: SeriesState | undefined,
  rows: readonly LoadProfileRow[],
  periodMs: number,
  fresh: boolean,
): Pick<SeriesState, 'newest'> {
  const row = rows
    .filter(({ end }) => end !== null && end % periodMs === 0)
    .toSorted((a, b) => Number(b.end) - Number(a.end))[0];
  const before = fresh ? undefined : stored?.newest;
  if (!row || row.end === null || (before && before.end >= row.end)) return before ? { newest: before } : {};
  return { newest: { end: row.end, registers: edge(row) ?? {} } };
}
