/**
 * What may be asked at the desk: one row for each method and path, in the order of the documentation. The status socket
 * serves the rows that look, the desk socket all of them; rows that act are written into the log.
 */
import { setTimeout } from 'node:timers/promises';
import * as v from 'valibot';
import type { ScanEvent } from '../commission/scan.ts';
import { entrySchema, type WorkList, type WorkListEntry } from '../commission/work-list.ts';
import type { Capacity } from '../commission/capacity.ts';
import type { Signed } from '../commission/canonical.ts';
import type { CommissionEvent } from '../commission/commission.ts';
import type { Attachment, DisplayReading, MeterRecord } from '../commission/meter-record.ts';
import type { SiteReport } from '../commission/site-report.ts';
import type { SnapshotObject } from '../dlms/cosem/snapshot.ts';
import { type Permission, type Route, rowOf } from '../door/rows.ts';
import type { ReadingFact } from '../reading/facts.ts';
import type { CounterAccepted } from '../schedule/counter-accept.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { CounterLease } from '../schedule/technician-lease.ts';
import type { Completeness } from '../status/completeness.ts';
import type { PortUses, TraceEvent, TraceWish } from '../status/line-trace.ts';
import type { RecentEvent, RecentIntervals } from '../status/recent.ts';
import type { HeldRows, Snapshot } from '../status/snapshot.ts';
import {
  attachWishes,
  type AttachWishes,
  commissionWishes,
  type CommissionWishes,
  displayWishes,
  type DisplayWishes,
  type MetersTaken,
  planWishes,
  type PlanWishes,
  type ReportEntry,
  type ReportForm,
  reportForms,
  signOffWishes,
  type SignOffWishes,
  takeWishes,
  type TakeWishes,
} from './site-wishes.ts';

/** What the house answers here. */
export interface LocalAnswers {
  snapshot(): Promise<Snapshot>;
  gaps(): Promise<readonly SeriesGap[]>;
  readNow(meter: string, force?: boolean): Promise<ReadingFact>;
  quarantine(): Promise<readonly HeldRows[]>;
  /** Takes the configuration file as it is now; rejects where it is not taken and the one in force stays. */
  reload(): Promise<ReloadAnswer>;
  acceptCounter(meter: string): Promise<CounterAccepted>;
  leaseCounters(key: string): Promise<CounterLease>;
  readObjects(meter: string, wishes: ReadObjects): AsyncIterable<OutputEvent>;
  browseObjects(meter: string, wishes: BrowseObjects, signal: AbortSignal): AsyncIterable<OutputEvent>;
  lineUses(): PortUses[];
  commission(wishes: CommissionWishes, signal: AbortSignal): AsyncIterable<CommissionEvent>;
  /** The report of the site, signed by the key of this gateway. */
  signOff(wishes: SignOffWishes): Promise<Signed<SiteReport>>;
  capacity(wishes: CapacityWishes): Capacity;
  /** A work list as the office exported it, read and judged. */
  workList(octets: Uint8Array): WorkList;
  /** What commissioning asks of the meters of a list, where a scan found them. */
  commissionPlan(wishes: PlanWishes): CommissionWishes;
  /** Meters that were found good come into the configuration, which is taken into force. */
  takeMeters(wishes: TakeWishes): Promise<MetersTaken>;
  /** What was found when meters were commissioned. */
  siteRecords(): { readonly records: readonly MeterRecord[] };
  compareDisplay(wishes: DisplayWishes): DisplayReading;
  attach(wishes: AttachWishes): Attachment;
  reports(): { readonly reports: readonly ReportEntry[] };
  report(name: string, as: ReportForm): AsyncIterable<Uint8Array>;
  trace(wish: TraceWish, signal: AbortSignal): AsyncIterable<TraceEvent>;
  /** Lines of the log, as they were written. */
  log(follow: boolean, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Which meters answer on a line, while its meters are polled in between. */
  scan(wish: ScanWish, signal: AbortSignal): AsyncIterable<ScanEvent>;
  /** A link that logs in at the page, once. Failure `config-invalid` where there is none. */
  pageTicket(permission: Permission): PageTicket;
  completeness(days: number): Promise<Completeness>;
  intervals(meter: string, days: number): RecentIntervals;
  events(): { readonly events: readonly RecentEvent[] };
  /** The whole state, as it is now. */
  backup(): AsyncIterable<Uint8Array>;
}

export interface LogLine {
  /** UTC. */
  readonly at: string;
  /** The line as it was logged: JSON. */
  readonly line: string;
}

export interface PageTicket {
  readonly url: string;
  readonly permission: Permission;
  readonly validS: number;
  /** SHA-256 of a certificate that the gateway made itself; null where somebody gave one, and without TLS. */
  readonly fingerprint: string | null;
}

/** What is to be looked for on a line of the gateway. */
export interface ScanWish {
  readonly port: string;
  readonly entries: readonly WorkListEntry[];
  readonly blind: boolean;
  /** What a scan was answered that was cut is left. */
  readonly fresh: boolean;
}

export interface ReloadAnswer {
  readonly hash: string;
  /** When it came into force. */
  readonly since: string;
  /** Also the meters that cannot be polled with it, and why. */
  readonly warnings: readonly string[];
}

const nothing = v.strictObject({});
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(200));

const route = rowOf<LocalAnswers>();
const short = v.pipe(v.string(), v.maxLength(60));
const codes = v.pipe(v.array(short), v.maxLength(200));
const readWishes = {
  object: v.optional(codes),
  class: v.optional(short),
  profile: v.optional(short),
  from: v.optional(short),
  to: v.optional(short),
  entries: v.optional(short),
  json: v.optional(v.boolean()),
};
const browseWishes = { only: v.optional(codes), rows: v.optional(short, '24'), json: v.optional(v.boolean()) };
export type ReadObjects = Defined<v.InferOutput<v.StrictObjectSchema<typeof readWishes, undefined>>>;
export type BrowseObjects = Defined<v.InferOutput<v.StrictObjectSchema<typeof browseWishes, undefined>>>;
type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };
const defined = <T extends object>(given: T): Defined<T> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Defined<T>;

const digits = v.pipe(v.string(), v.regex(/^\d{1,5}$/));
const capacityWishes = v.strictObject({
  port: id,
  period: v.optional(digits, '3600'),
  days: v.optional(digits, '30'),
});
export interface CapacityWishes {
  readonly port: string;
  readonly periodS: number;
  readonly backFillDays: number;
}

/** A line of an answer, as the command line prints it; a note and progress beside it; an object for whoever saves. */
export type OutputEvent =
  | { readonly line: string }
  | { readonly note: string }
  | { readonly progress: string }
  | { readonly object: SnapshotObject };

const watchEveryMs = 2000;
async function* watched(house: LocalAnswers, signal: AbortSignal): AsyncGenerator<Snapshot> {
  while (!signal.aborted) {
    yield await house.snapshot();
    await setTimeout(watchEveryMs, undefined, { signal }).catch(() => {});
  }
}

export const routes: readonly Route<LocalAnswers>[] = [
  route({
    method: 'GET',
    path: '/v1/status',
    permission: 'look',
    meaning: 'the snapshot: ports, meters with verdict and next step, store, broker, time',
    input: nothing,
    answers: 'value',
    handle: (house) => house.snapshot(),
  }),
  route({
    method: 'GET',
    path: '/v1/status/watch',
    permission: 'look',
    meaning: 'the snapshot again and again, every two seconds, until whoever asked leaves',
    input: nothing,
    answers: 'lines',
    handle: (house, _, signal) => watched(house, signal),
  }),
  route({
    method: 'GET',
    path: '/v1/gaps',
    permission: 'look',
    meaning: 'every run of intervals that is not measured, delivered and acknowledged, and why',
    input: nothing,
    answers: 'value',
    handle: (house) => house.gaps(),
  }),
  route({
    method: 'GET',
    path: '/v1/quarantine',
    permission: 'look',
    meaning: 'what is held back of meters that answer where others are configured',
    input: nothing,
    answers: 'value',
    handle: (house) => house.quarantine(),
  }),
  route({
    method: 'GET',
    path: '/v1/lines',
    permission: 'look',
    meaning: 'how each line serves its meters since the start: answer times, silence, echo, wasted time',
    input: nothing,
    answers: 'value',
    handle: (house) => house.lineUses(),
  }),
  route({
    method: 'GET',
    path: '/v1/completeness',
    permission: 'look',
    meaning:
      'what became of each interval of the newest days, one character for each: a measured and acknowledged, m measured, u uncertain, o no power, p not read yet, x missing, l lost, - not due',
    input: v.strictObject({ days: v.optional(v.pipe(v.string(), v.regex(/^([1-9]|[1-8]\d|9[0-2])$/)), '7') }),
    answers: 'value',
    handle: (house, { days }) => house.completeness(Number(days)),
  }),
  route({
    method: 'GET',
    path: '/v1/intervals',
    permission: 'look',
    meaning:
      'values of a meter that were stored since the start, at most of two weeks: intervals, and the newest registers',
    input: v.strictObject({ meter: id, days: v.optional(v.pipe(v.string(), v.regex(/^([1-9]|1[0-4])$/)), '7') }),
    answers: 'value',
    handle: (house, { meter, days }) => house.intervals(meter, Number(days)),
  }),
  route({
    method: 'GET',
    path: '/v1/events',
    permission: 'look',
    meaning: 'events of meters and gateway that were stored since the start, the newest first',
    input: nothing,
    answers: 'value',
    handle: (house) => house.events(),
  }),
  route({
    method: 'POST',
    path: '/v1/page/ticket',
    socketsOnly: true,
    permission: 'act',
    meaning: 'a link that logs in at the page once, within ten minutes, to act',
    input: nothing,
    answers: 'value',
    handle: (house) => house.pageTicket('act'),
  }),
  route({
    method: 'POST',
    path: '/v1/page/look',
    socketsOnly: true,
    permission: 'look',
    meaning: 'a link that logs in at the page once, within ten minutes, to look',
    input: nothing,
    answers: 'value',
    handle: (house) => house.pageTicket('look'),
  }),
  route({
    method: 'GET',
    path: '/v1/trace',
    permission: 'look',
    meaning: 'what goes over the lines from now on, secrets struck out; of one meter or one port',
    input: v.strictObject({ meter: v.optional(id), port: v.optional(id) }),
    answers: 'lines',
    handle: (house, wish, signal) => house.trace(wish, signal),
  }),
  route({
    method: 'GET',
    path: '/v1/log',
    permission: 'look',
    meaning: 'the newest lines of the log, and with follow=true those that come',
    input: v.strictObject({ follow: v.optional(v.picklist(['true', 'false']), 'false') }),
    answers: 'lines',
    handle: (house, { follow }, signal) => house.log(follow === 'true', signal),
  }),
  route({
    method: 'GET',
    path: '/v1/capacity',
    permission: 'look',
    meaning: 'how many meters a line bears, and how long a back-fill takes, by times that were measured on it',
    input: capacityWishes,
    answers: 'value',
    handle: (house, { port, period, days }) =>
      house.capacity({ port, periodS: Math.max(60, Number(period)), backFillDays: Number(days) }),
  }),
  route({
    method: 'POST',
    path: '/v1/commission',
    permission: 'act',
    meaning:
      'puts meters into service while the polls go on: configured ones, and ones that are to be; who leaves stops it',
    input: commissionWishes,
    answers: 'lines',
    handle: (house, wishes, signal) => house.commission(wishes, signal),
  }),
  route({
    method: 'POST',
    path: '/v1/work-list',
    permission: 'look',
    meaning: 'a work list (CSV, in base64) read and judged: its meters, and everything that is wrong with it, by line',
    input: v.strictObject({ octets: v.pipe(v.string(), v.maxLength(60_000), v.base64()) }),
    answers: 'value',
    handle: (house, { octets }) => house.workList(Buffer.from(octets, 'base64')),
  }),
  route({
    method: 'POST',
    path: '/v1/commission/plan',
    permission: 'look',
    meaning:
      'what /v1/commission is asked for meters of a list, where a scan found them; entered as another meter, or by keys',
    input: planWishes,
    answers: 'value',
    handle: (house, wishes) => house.commissionPlan(wishes),
  }),
  route({
    method: 'POST',
    path: '/v1/commission/take',
    permission: 'act',
    meaning: 'meters that were found good come into the configuration, which is taken into force',
    input: takeWishes,
    answers: 'value',
    handle: (house, wishes) => house.takeMeters(wishes),
  }),
  route({
    method: 'GET',
    path: '/v1/site',
    permission: 'look',
    meaning: 'what was found when meters were commissioned: a record for each',
    input: nothing,
    answers: 'value',
    handle: (house) => house.siteRecords(),
  }),
  route({
    method: 'POST',
    path: '/v1/site/display',
    permission: 'act',
    meaning: 'what the display of a meter shows, compared with its register, into its record',
    input: displayWishes,
    answers: 'value',
    handle: (house, wishes) => house.compareDisplay(wishes),
  }),
  route({
    method: 'POST',
    path: '/v1/site/attach',
    // A photo, in base64.
    maxBodyBytes: 12 << 20,
    permission: 'act',
    meaning: 'a photo (base64) or a note beside the record of a meter',
    input: attachWishes,
    answers: 'value',
    handle: (house, wishes) => house.attach(wishes),
  }),
  route({
    method: 'GET',
    path: '/v1/reports',
    permission: 'look',
    meaning: 'the reports by which this site was signed off, the newest first',
    input: nothing,
    answers: 'value',
    handle: (house) => house.reports(),
  }),
  route({
    method: 'GET',
    path: '/v1/report',
    permission: 'look',
    meaning: 'one of them, as it was signed (json), or to be read and printed (html, pdf)',
    input: v.strictObject({ name: short, as: v.optional(v.picklist(reportForms), 'json') }),
    answers: 'octets',
    handle: (house, { name, as }) => house.report(name, as),
  }),
  route({
    method: 'POST',
    path: '/v1/sign-off',
    permission: 'act',
    meaning: 'the report of the site, signed by the key of this gateway; an event says so to the central system',
    input: signOffWishes,
    answers: 'value',
    handle: (house, wishes) => house.signOff(wishes),
  }),
  route({
    method: 'POST',
    path: '/v1/read',
    permission: 'act',
    meaning: 'reads a meter now: registers, clock, switch, and its newest rows; `force` although it refused us',
    input: v.strictObject({ meter: id, force: v.optional(v.boolean(), false) }),
    answers: 'value',
    handle: (house, { meter, force }) => house.readNow(meter, force),
  }),
  route({
    method: 'POST',
    path: '/v1/objects/read',
    permission: 'act',
    meaning: 'reads objects or rows of a configured meter in its next session; as lines for people, or JSON',
    input: v.strictObject({ meter: id, ...readWishes }),
    answers: 'lines',
    handle: (house, { meter, ...wishes }) => house.readObjects(meter, defined(wishes)),
  }),
  route({
    method: 'POST',
    path: '/v1/objects/browse',
    permission: 'act',
    meaning: 'the objects of a configured meter with access rights and values, over as many sessions as it takes',
    input: v.strictObject({ meter: id, ...browseWishes }),
    answers: 'lines',
    handle: (house, { meter, ...wishes }, signal) => house.browseObjects(meter, defined(wishes), signal),
  }),
  route({
    method: 'POST',
    path: '/v1/scan',
    permission: 'act',
    meaning:
      'which meters answer on a port: those of a work list (entries), and blind; events as they come, the findings last',
    input: v.strictObject({
      port: id,
      entries: v.optional(v.pipe(v.array(entrySchema), v.maxLength(1000)), []),
      blind: v.optional(v.boolean(), false),
      fresh: v.optional(v.boolean(), false),
    }),
    answers: 'lines',
    handle: (house, wish, signal) => house.scan(wish, signal),
  }),
  route({
    method: 'GET',
    path: '/v1/backup',
    permission: 'act',
    meaning: 'the whole state, as it is now',
    input: nothing,
    answers: 'octets',
    handle: (house) => house.backup(),
  }),
  route({
    method: 'POST',
    path: '/v1/reload',
    permission: 'act',
    meaning: 'takes the configuration file as it is now, and waits for the outcome',
    input: nothing,
    answers: 'value',
    handle: (house) => house.reload(),
  }),
  route({
    method: 'POST',
    path: '/v1/counter/accept',
    permission: 'act',
    meaning: "the operator's word that what a meter said of our invocation counter is right",
    input: v.strictObject({ meter: id }),
    answers: 'value',
    handle: (house, { meter }) => house.acceptCounter(meter),
  }),
  route({
    method: 'POST',
    path: '/v1/counter/lease',
    permission: 'act',
    meaning: "invocation counters for a technician's session with a key that the gateway uses too",
    input: v.strictObject({ key: id }),
    answers: 'value',
    handle: (house, { key }) => house.leaseCounters(key),
  }),
];
