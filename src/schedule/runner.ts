/** Runs the plan of one port: one turn at a time. Ports run side by side. */
import { type ErrorCode, Failure, type Fault, isOfStore, messageOf } from '../base/errors.ts';
import { dayMs, iso, later, longAgo, type Millis, millis } from '../base/time.ts';
import { deviationWords } from '../base/words.ts';
import { serverText, requireIdentity, sameSerial } from '../meter/identity.ts';
import { forgetOld, withFallbacks } from '../meter/fallbacks.ts';
import { type Identity, identify } from '../meter/jobs.ts';
import { setClock } from '../meter/act.ts';
import { detectModel, type MeterModel } from '../meter/model.ts';
import { octetMsOf } from '../meter/patience.ts';
import { type MeterAccess, Session } from '../meter/session.ts';
import { type LogicalName, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { Port } from '../line/port.ts';
import type { ReadingFact } from '../reading/facts.ts';
import { missing, type Range } from '../reading/coverage.ts';
import { marksOf } from '../reading/interval-hash.ts';
import { type SeriesKey, seriesKey } from '../reading/series-key.ts';
import type { SeriesState } from '../store/records.ts';
import { type SeriesGap, seriesGap } from './series-gaps.ts';
import { seriesAt } from './polled-series.ts';
import { type BusFault, busFaultOf } from './bus-fault.ts';
import { backOffMs, newestEnd, plan, type PlannedMeter, type PlannedSlice, silentPauseMs, slicesOf } from './plan.ts';
import { cannotCarry, estimatedRowMs, turnShareMs } from './line-load.ts';
import type { AccountedSeries } from './manifest.ts';
import {
  clockAlarm,
  type ClockState,
  type ClockVerdict,
  clockNextStep,
  decideClock,
  nearBoundary,
} from './clock-policy.ts';
import { acceptCounter, type CounterAccepted } from './counter-accept.ts';
import { type CipheredEntry, cipheredEntry, tellSecurity } from './counter-lease.ts';
import { rememberPeer } from './meter-memory.ts';
import {
  freshState,
  keptState,
  type Line,
  type LineState,
  type MeterState,
  type RunnerSettings,
} from './meter-state.ts';
import { logsOf } from './event-logs.ts';
import { optional } from './optional.ts';
import { withProgress } from './fruitless.ts';
import { changePeriods } from './period-change.ts';
import type { Verdict } from './reachability.ts';
import { entryOf, leftAlone, letIn, recall, refused, requireNotRefused } from './refusals.ts';
import { onRecord, setAside, tellSetAside } from './set-aside.ts';
import { tellUnreadable } from './object-alarms.ts';
import { boundsOf, gatewayEvent, layoutOf, readAdjusted, readingNow, readSlice, sumDays } from './series.ts';
import { judged, tellReachability } from './telling.ts';
import { sliceRowsOf } from './slice-size.ts';
import { turnLimitMs } from './turn-time.ts';
import { amendSwap } from './swap-amendment.ts';
import { watchTurn } from './turn-watch.ts';
import { learned, learnFromIdentity, logsComeLast, readLogs, waysAround } from './ways-around.ts';

export interface MeterStatus {
  readonly meter: string;
  readonly serial: string;
  readonly verdict: Verdict;
  readonly lastSuccess: string | null;
  readonly failures: number;
  readonly lastError: string | null;
  /** Code and fault of the error table. */
  readonly lastCode: ErrorCode | null;
  readonly fault: Fault | null;
  readonly nextStep: string | null;
  readonly clockDeviationS: number | null;
  /** What is wrong with the clock, and what to do about it. */
  readonly clockVerdict: ClockVerdict | null;
  readonly clockNextStep: string | null;
  readonly intervalsRead: number;
  readonly intervalsMissing: number;
  readonly damagedFrames: number;
  readonly repeatedFrames: number;
  /** What is done in another way for this meter because it mishandles the usual one, and what is not done, with the reason. */
  readonly ways: readonly string[];
  /** What somebody should see to although the meter answers. */
  readonly alarms: readonly string[];
}
/** Sessions over which line quality is judged. */
const memory = 20;
/** After so many sessions without damage long frames are tried again. */
const calmSessions = 5;
const storePauseMs = 5000;
const standstillPauseMs = 10_000;
/** Past the minute around a boundary in which no clock is set, for both clocks. */
const visitAfterMs = 200_000;
/** Who waits for a meter waits so long at most; and so many octets longer, on a slow line, for the turn that is under way. */
const readNowLimitMs = 120_000;
const readNowOctets = 8000;
/** Rows are read for so long in a turn where somebody waits. */
const wantedShareMs = 20_000;
/** A port that was taken back lets its turn end within this. */
const takenBackMs = 30_000;
/** Slices of another meter that are read in one session. */
const heldSlices = 3;
const firstRecheckMs = 3_600_000;
const recheckDays = 10;

export class PortRunner {
  readonly name: string;
  private readonly settings: RunnerSettings;
  private readonly states: Map<string, MeterState>;
  private readonly line: Line;
  /** Meters that answered where others are configured. */
  private readonly shadows = new Map<string, MeterState>();
  /** Changes of what is accounted for, that must not come while a session is under way. */
  private readonly betweenSessions: (() => Promise<void>)[] = [];
  /** Aborted when somebody wants a meter now. */
  private stirred = new AbortController();
  private stepDue: Millis;
  private busyWith: string | undefined;

  constructor(settings: RunnerSettings) {
    this.name = settings.name;
    this.settings = settings;
    this.stepDue = settings.clock.now();
    this.states = new Map(
      settings.meters.map((polled) => {
        const { meter } = polled.origin;
        return [meter, keptState(polled, settings.known?.get(meter))];
      }),
    );
    this.line = { silentNotBefore: longAgo, busFaultTold: false, ...settings.lineBefore, states: this.states };
    for (const state of this.states.values()) setAside(settings, state);
  }

  /**
   * Reads a meter as soon as the session that is under way allows (R39): its newest rows, registers, clock and switch.
   * What is read also takes the road of every row. Rejects with what kept it from being read. `force`: once, although the
   * meter refused us.
   */
  async readNow(meter: string, force = false): Promise<ReadingFact> {
    const state = this.states.get(meter);
    if (!state) throw new Failure('unknown-meter', `no meter ${meter} on ${this.name}`);
    if (state.polled.unusable) throw state.polled.unusable;
    const { clock } = this.settings;
    await this.recalled();
    if (!force) requireNotRefused(this.settings, state);
    const given = new AbortController();
    const waiting = new Promise<ReadingFact>((resolve, reject) => {
      state.wanted.push({
        resolve: (fact) => {
          given.abort();
          resolve(fact);
        },
        reject: (error) => {
          given.abort();
          reject(error);
        },
      });
    });
    this.stirred.abort();
    const limitMs = readNowLimitMs + Math.round(readNowOctets * octetMsOf(state.polled.access));
    const late = clock.sleepUntil(later(clock.now(), limitMs), given.signal).then((): never => {
      const seconds = Math.round(limitMs / 1000);
      throw new Failure('busy', `${meter} could not be read within ${seconds} s: the line is at work`);
    });
    late.catch(() => {});
    return Promise.race([waiting, late]);
  }

  /** The operator's word about the counters of a meter; it is tried again at once. */
  async acceptCounter(meter: string): Promise<CounterAccepted> {
    const state = this.states.get(meter);
    if (!state) throw new Failure('unknown-meter', `no meter ${meter} on ${this.name}`);
    await this.recalled();
    const { memory, told } = await acceptCounter(this.settings.counters, meter);
    state.memory = memory;
    state.securityTold = undefined;
    state.askCounter = told.raisedTo !== null;
    state.notBefore = this.settings.clock.now();
    this.stirred.abort();
    return told;
  }

  /** What is remembered of the meters: nobody is tried before it is known who refused us. */
  private recalled(): Promise<void> {
    this.recalling ??= this.settings.counters.remembered().then(
      (all) => {
        for (const [meter, state] of this.states) recall(this.settings, state, all.get(meter));
      },
      (error: unknown) => {
        this.recalling = undefined;
        throw error;
      },
    );
    return this.recalling;
  }
  private recalling: Promise<void> | undefined;

  /**
   * What was said of a meter's intervals in [from, to) is read and said once more, because the head-end lost it. It is done
   * between two sessions: what a session computes rests on what it found accounted for. Resolves to how many intervals.
   */
  sayAgain(meter: string, series: string, from: number, to: number): Promise<number> {
    const name = parsedName(series);
    // A series whose period changed has several keys.
    const known = this.states.get(meter)?.polled.series.filter(({ profile }) => profile === name) ?? [];
    if (known.length === 0)
      return Promise.reject(new Failure('unknown-meter', `no series ${series} of a meter ${meter} on ${this.name}`));
    return new Promise((resolve, reject) => {
      this.betweenSessions.push(async () => {
        try {
          let intervals = 0;
          for (const { series: one } of known) intervals += await this.settings.store.sayAgain(meter, one, from, to);
          resolve(intervals);
        } catch (error) {
          reject(asFailure(error));
        }
      });
      this.stirred.abort();
    });
  }

  /** How late the next step is; grows when the runner hangs. For the watchdog. */
  overdueMs(now: Millis): number {
    return Math.max(0, now - this.stepDue);
  }
  /** For the runner that takes its place. */
  get known(): ReadonlyMap<string, MeterState> {
    return this.states;
  }
  get lineState(): LineState {
    const { silentNotBefore, busFaultTold } = this.line;
    return { silentNotBefore, busFaultTold };
  }
  get activity(): string | undefined {
    return this.busyWith;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, owner } = this.settings;
    const usable = [...this.states.values()].filter(({ polled }) => polled.unusable === undefined);
    let begun = false;
    while (!signal.aborted) {
      for (const work of this.betweenSessions.splice(0)) await work();
      const now = clock.now();
      try {
        await this.recalled();
      } catch (error) {
        log.error({ port: this.name, error: messageOf(error) }, 'what is remembered of the meters does not read');
        await this.pause(later(now, storePauseMs), signal);
        continue;
      }
      const standstill = this.settings.standstill();
      if (standstill) {
        // The meters keep their rows. Nothing gets a number; what is stored is delivered meanwhile.
        for (const state of this.states.values()) for (const { reject } of state.wanted.splice(0)) reject(standstill);
        await this.pause(later(now, standstillPauseMs), signal);
        continue;
      }
      if (!begun) {
        begun = true;
        await this.releaseHeld().catch((error: unknown) =>
          log.error({ error: messageOf(error) }, 'held rows not released'),
        );
        for (const state of this.states.values()) await tellSetAside(this.settings, state);
        if (usable.length < this.states.size) await tellReachability(this.settings, this.line);
      }
      const meters = usable.map((state) => this.planned(state));
      const job = plan({ meters, silentNotBefore: this.line.silentNotBefore }, now, clock.wall(), this.settings.plan);
      if (job.kind === 'wait') {
        // The time of day may be set meanwhile: look again at least every minute.
        await this.pause(millis(Math.min(job.until, now + 60_000)), signal);
        continue;
      }
      const state = this.states.get(job.meter) as MeterState;
      this.stepDue = later(now, turnLimitMs(state.polled.access) + takenBackMs);
      const end = watchTurn(this.settings, state);
      try {
        const port = await owner.acquire();
        const turn = () => this.turn(state, port, job.slices, signal);
        await onRecord(this.settings, state, () => withProgress(this.settings, state, job.slices, turn));
      } catch (error) {
        for (const each of this.states.values()) each.lastError = asFailure(error);
        log.warn({ port: this.name, error: messageOf(error) }, 'port is not open');
        await this.pause(owner.state.retryAt ?? later(clock.now(), 1000), signal);
        continue;
      } finally {
        end();
      }
      if (!signal.aborted) await tellReachability(this.settings, this.line);
    }
  }

  private async pause(until: Millis, signal: AbortSignal): Promise<void> {
    this.stepDue = later(until, 1000);
    this.stirred = new AbortController();
    const stirred = this.stirred;
    const end = () => stirred.abort();
    signal.addEventListener('abort', end);
    await this.settings.clock.sleepUntil(until, stirred.signal);
    signal.removeEventListener('abort', end);
  }

  private planned(state: MeterState): PlannedMeter {
    const { origin } = state.polled;
    return {
      id: origin.meter,
      series: state.polled.series.map((settings) => {
        const { series, periodMs } = settings;
        const { stored, since, until } = boundsOf(this.settings, state, settings);
        const ended = until !== undefined && until <= this.settings.clock.wall();
        const recheck = ended ? undefined : this.recheck(state, series, periodMs, stored);
        return {
          ...(recheck && { recheck }),
          series,
          periodMs,
          since,
          until,
          coverage: stored?.coverage ?? [],
          sliceRows: sliceRowsOf(state.sliceRows, series, state.polled.access),
        };
      }),
      failures: state.failures,
      notBefore: state.notBefore,
      lastTurn: state.lastTurn,
      fragile: state.fragile,
      visitAt: state.visitAt,
      wanted: state.wanted.length > 0,
    };
  }

  /** Gaps of the last days, an hour after the start and then once a day: rows may have been written late (R17). */
  private recheck(
    state: MeterState,
    series: SeriesKey,
    periodMs: number,
    stored: SeriesState | undefined,
  ): Range[] | undefined {
    const { clock } = this.settings;
    const now = clock.now();
    const due = state.recheckAt.get(series);
    if (due === undefined) state.recheckAt.set(series, later(now, firstRecheckMs));
    if (due === undefined || due > now) return undefined;
    const youngest = clock.wall() - recheckDays * dayMs;
    const gaps = (stored?.exceptions ?? []).filter(([, to, kind]) => kind === 'MISSING' && to > youngest);
    // With the interval after it, whose energy hangs on the last of them.
    return gaps.map(([from, to]) => [Math.max(from, youngest - (youngest % periodMs)), to + periodMs]);
  }

  /** One session with one meter. Every outcome ends in the meter's state; nothing is thrown. */
  private async turn(
    state: MeterState,
    port: Port,
    slices: readonly PlannedSlice[],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, owner, log } = this.settings;
    const { origin } = state.polled;
    forgetOld(state.fallbacks, clock.wall());
    const access = { ...state.polled.access, model: withFallbacks(state.model, state.fallbacks) };
    const started = clock.now();
    state.lastTurn = started;
    state.visitAt = undefined;
    this.busyWith = origin.meter;
    const wasSilent = state.failures > 0 && state.lastError?.code === 'no-answer';
    // A meter that was silent last time gets one short probe; a line that damages long frames gets short ones.
    const adapted: MeterAccess = {
      ...access,
      retries: wasSilent && !state.fragile ? 0 : state.fragile ? access.retries + 6 : access.retries,
      model: state.fragile ? { ...access.model, max_info: 64, window: 1 } : access.model,
      fallbacks: state.fallbacks,
    };
    let session = new Session(port, clock, adapted);
    const suspected = new Set(state.fallbacks.suspected.keys());
    let failure: Failure | undefined;
    const { security } = state.polled;
    let entry: CipheredEntry | undefined;
    try {
      if (security) {
        entry = await cipheredEntry(this.settings, state, security, port, adapted);
        session = new Session(await owner.again(port), clock, { ...adapted, ciphering: entry.ciphering });
      }
      await session.connect();
      await entry?.authenticated();
      await letIn(this.settings, state);
      state.identity = await this.identified(state, session);
      await entry?.authenticated();
      try {
        const model = this.namedModel(state) ?? state.model;
        requireIdentity(state.identity, origin.serial, model, serverText(access));
      } catch (error) {
        if (error instanceof Failure && error.code === 'identity-mismatch') await this.holdBack(state, session);
        throw error;
      }
      this.detect(state);
      tellUnreadable(this.settings, state);
      await amendSwap(this.settings, state);
      const logsLast = logsComeLast(state);
      if (!logsLast) await readLogs(this.settings, state, session);
      const also = (what: string, work: () => Promise<void>) => optional(this.settings, state, session, what, work);
      await also('change of the capture period', () => changePeriods(this.settings, state, session));
      const readingSince = clock.now();
      for (const slice of slices) {
        // Back-fill makes way for somebody who waits; on a slow line the others get their turn.
        const others = [...this.states.values()].some((other) => other !== state && other.wanted.length > 0);
        const shareMs = others || state.wanted.length > 0 ? wantedShareMs : turnShareMs;
        const spent = clock.now() - readingSince > shareMs;
        if (signal.aborted || spent || (others && !slice.live)) break;
        // Something beside the rows ended the association: what was read is stored, the rest is for the next session.
        if (!session.associated) break;
        await readSlice(this.settings, state, session, slice);
      }
      if (state.wanted.length > 0) await this.give(state, session);
      await also('rows around adjustments of the clock', () => readAdjusted(this.settings, state, session));
      if (!signal.aborted) await also('sums of days', () => sumDays(this.settings, state, session));
      for (const { series } of state.polled.series) {
        const due = state.recheckAt.get(series);
        if (due !== undefined && due <= started) state.recheckAt.set(series, later(clock.now(), dayMs));
      }
      if (!signal.aborted) await also('clock', () => this.keepClock(state, session));
      if (logsLast && !signal.aborted) await readLogs(this.settings, state, session);
      await this.say(state);
    } catch (error) {
      failure = asFailure(error);
    }
    if (failure) for (const { reject } of state.wanted.splice(0)) reject(failure);
    const overBefore = !session.associated;
    if (!signal.aborted || !failure) await session.close();
    this.busyWith = undefined;
    if (security && entry && session.entered) await rememberPeer(this.settings, state, security, entry.peer);
    const secured = security !== undefined;
    const shown = failure ? entryOf(failure, session, { auth: access.auth, secured, serial: access.timed }) : 'none';
    // A refusal counts although the house is being stopped: a reload is no further try.
    if (signal.aborted && failure && shown !== 'refused') return;
    const { damaged, repeated } = session.stack.counters;
    state.recent = [...state.recent.slice(1 - memory), { damaged, repeated }];
    await owner.report({ heard: session.heard, lost: session.lost, failed: failure !== undefined || overBefore });
    const anotherWay = await learned(this.settings, state, session, failure, suspected);
    if (!failure) {
      if (state.failures > 0) log.info({ port: this.name, meter: origin.meter }, 'meter answers again');
      if (state.failures > 0) state.lastSuccessBefore = state.lastSuccess;
      state.failures = 0;
      state.securityTold = undefined;
      state.askCounter = false;
      state.lastError = undefined;
      state.lastSuccess = clock.wall();
      const calm = state.recent.slice(-calmSessions);
      if (calm.length === calmSessions && calm.every((one) => one.damaged === 0)) state.fragile = false;
      return;
    }
    const now = clock.now();
    state.lastError = failure;
    if (isOfStore(failure.code)) {
      // Not the meter's fault: it keeps its good name, and nothing more is read before the store takes it.
      log.error({ error: failure.message }, 'the store does not take what was read');
      state.notBefore = later(now, storePauseMs);
      return;
    }
    state.failures++;
    state.silentSince ??= clock.wall();
    // A counter that is behind looks like a refusal: one question to the public client tells (R37), then once more.
    const counterSuspect =
      secured && !state.askCounter && (shown === 'refused' || failure.code === 'service-exception');
    state.askCounter = counterSuspect || failure.code === 'counter-implausible';
    const refusalMs = await refused(this.settings, state, failure, shown, session.heard).catch((error: unknown) => {
      log.error({ meter: origin.meter, error: messageOf(error) }, 'a refusal could not be stored');
      return shown === 'refused' ? backOffMs(state.failures, true) : undefined;
    });
    await tellSecurity(this.settings, state, failure);
    // Very short frames are for lines that damage long ones; some meters lose count of them (meter-quirks 88).
    if (failure.code === 'answer-stalled' && damaged === 0) state.fragile = false;
    // Sessions on a damaging line fail half-way: go on with smaller frames and slices, soon.
    if (damaged > 0 && session.heard) state.fragile = true;
    // What the meter refuses, and who it is, shorter frames do not change.
    const ofDamage = state.fragile && session.heard && refusalMs === undefined && failure.family !== 'refusal';
    const soon = counterSuspect || anotherWay || ofDamage;
    const slow = ['identity-mismatch', 'identity-unknown', 'counter-implausible', 'counter-used-up'].includes(
      failure.code,
    );
    const pauseMs = soon ? 1000 : (refusalMs ?? backOffMs(state.failures, slow));
    state.notBefore = later(now, pauseMs);
    // What the line or its adapter took is not the meter's to pay for.
    const ofTheLine = failure.code === 'turn-stuck' || failure.code === 'port-lost';
    if (!ofTheLine) this.line.silentNotBefore = later(now, silentPauseMs(now - started, session.heard));
    if (state.failures === 1 || state.failures % 20 === 0) {
      log.warn(
        {
          port: this.name,
          meter: origin.meter,
          code: failure.code,
          fault: failure.fault,
          failures: state.failures,
          next: failure.nextStep,
        },
        failure.message,
      );
    }
  }

  private async identified(state: MeterState, session: Session): Promise<Identity> {
    const bare = state.fallbacks.held.has('bare-identity');
    const model = bare ? { ...state.model, change_counter: undefined } : state.model;
    try {
      return await identify(session, this.settings.clock, model, state.hasDisconnector && !bare);
    } catch (error) {
      if (error instanceof Failure) learnFromIdentity(state, error, this.settings.clock.wall());
      throw error;
    }
  }

  /** The model that the meter's name tells, where it is to be found out. */
  private namedModel({ polled: { detectFrom }, identity }: MeterState): MeterModel | undefined {
    const name = identity?.logicalDeviceName;
    return detectFrom && name !== undefined ? detectModel(detectFrom, name) : undefined;
  }

  /** From the next session on the link runs as the model wants it; stamps are read so at once. */
  private detect(state: MeterState): void {
    const { origin } = state.polled;
    const name = state.identity?.logicalDeviceName;
    const found = this.namedModel(state);
    if (!found || found === state.model) return;
    this.settings.log.info({ meter: origin.meter, logicalDeviceName: name, model: found.name }, 'meter model detected');
    state.model = found;
    state.layouts.clear();
  }

  private clockState(state: MeterState, deviationMs: number): ClockState {
    const { clock, clockTrust } = this.settings;
    return {
      deviationMs,
      wall: clock.wall(),
      trusted: clockTrust() !== 'untrusted',
      periodMs: Math.min(...state.polled.series.map(({ periodMs }) => periodMs)),
      lastSet: logsOf(this.settings, state).clockSets?.at(-1)?.[0] as Millis | undefined,
    };
  }

  /** After the profile was read: the clock is told where it is wrong, and set as far as the policy lets (R29 to R31). */
  private async keepClock(state: MeterState, session: Session): Promise<void> {
    const { clock, clockPolicy, log } = this.settings;
    const { origin } = state.polled;
    const deviationMs = state.identity?.clockDeviationMs;
    if (deviationMs === undefined) return;
    const before = logsOf(this.settings, state);
    const wall = clock.wall();
    const decision = decideClock(this.clockState(state, deviationMs), clockPolicy);
    const alarm = clockAlarm(deviationMs);
    if (alarm !== state.clockTold?.alarm || wall - (state.clockTold?.at ?? longAgo) >= dayMs) {
      if (alarm)
        state.saying.push(
          gatewayEvent(this.settings, state, alarm, {
            deviationS: Math.round(deviationMs / 100) / 10,
            clock: deviationWords(deviationMs / 1000),
            action: decision.kind === 'set' ? 'set' : decision.why,
          }),
        );
      state.clockTold = { alarm, at: wall };
    }
    if (decision.kind === 'leave' && decision.why === nearBoundary) state.visitAt = later(clock.now(), visitAfterMs);
    if (decision.kind !== 'set') return;
    const { beforeMs, afterMs } = await setClock(session, clock, state.model);
    const at = clock.wall();
    const was = deviationWords((beforeMs ?? deviationMs) / 1000);
    const is = deviationWords(afterMs / 1000);
    log.info({ meter: origin.meter, beforeMs, afterMs, was, is }, 'clock of the meter set');
    state.saying.push(
      gatewayEvent(this.settings, state, 'CLOCK_SET', {
        beforeS: (beforeMs ?? deviationMs) / 1000,
        afterS: afterMs / 1000,
        was,
        is,
      }),
    );
    state.logs = {
      ...before,
      clockSets: [...(before.clockSets ?? []), [at, decision.flag ? 1 : 0] as const].slice(-50),
    };
  }

  /** Another meter answers: its rows are read and held back, until somebody says that it hangs here now (R32). */
  private async holdBack(state: MeterState, session: Session): Promise<void> {
    const { clock, log } = this.settings;
    const { origin } = state.polled;
    const serial = state.identity?.serial ?? state.identity?.logicalDeviceName ?? '';
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(serial)) return;
    const key = `${origin.meter}~${serial}`;
    const midnight = Math.floor(clock.wall() / dayMs) * dayMs;
    const shadow =
      this.shadows.get(key) ??
      freshState({
        origin: { meter: key, point: '', serial },
        access: state.polled.access,
        // As its point is captured now: its own changes of the period come when it is configured.
        series: state.polled.series.slice(-1).map(({ profile, periodMs }) => ({
          series: seriesKey(profile),
          profile,
          periodMs,
          since: undefined,
          sinceByDefault: millis(midnight),
        })),
      });
    this.shadows.set(key, shadow);
    shadow.model = state.model;
    shadow.identity = state.identity;
    shadow.quarantine = { meter: origin.meter, serial };
    try {
      const slices = slicesOf(this.planned(shadow), clock.wall(), this.settings.plan).slice(0, heldSlices);
      for (const slice of slices) await readSlice(this.settings, shadow, session, slice);
    } catch (error) {
      // The mismatch is what is told; what could not be read is in that meter's buffer.
      log.info({ meter: origin.meter, serial, error: messageOf(error) }, 'rows of the other meter not held back');
    }
  }

  /** What was held back of a meter that is configured now becomes the series of its point. */
  private async releaseHeld(): Promise<void> {
    const { store, log } = this.settings;
    const all = await store.quarantined();
    for (const state of this.states.values()) {
      const { origin, swap, series: polled } = state.polled;
      const held = all.filter(({ meter, serial }) => meter === origin.meter && sameSerial(serial, origin.serial));
      if (held.length === 0) continue;
      const since = swap?.at ?? 0;
      const released = await store.release(held, (fact) => {
        if (fact.kind !== 'profile' && fact.kind !== 'gap') return undefined;
        // What it counted before it hung here, and the interval of the change itself, are read from it again.
        if (Date.parse(fact.start) < since) return undefined;
        const settings = seriesAt(polled, parseLogicalName(fact.series), Date.parse(fact.start));
        if (!settings) return undefined;
        const marks = marksOf(fact, settings.periodMs);
        return { meter: origin.meter, series: settings.series, fact: { ...fact, ...origin }, marks };
      });
      // The coverage stays open: what the meter still has is read again, and said only where it is not the same; what it no
      // longer has was said from what was held back.
      log.info({ meter: origin.meter, serial: origin.serial, released }, 'held rows released');
    }
  }

  /** What was not said with a slice is stored on its own. */
  private async say(state: MeterState): Promise<void> {
    const { saying, logs } = state;
    if (saying.length === 0 && !logs) return;
    const facts = saying.slice();
    await this.settings.store.commit({ meter: state.polled.origin.meter, entryClass: 0, facts, ...(logs && { logs }) });
    state.saying = state.saying.slice(facts.length);
    state.logs = undefined;
  }

  /** Answers those who wait for this meter. */
  private async give(state: MeterState, session: Session): Promise<void> {
    const [profile] = state.polled.series;
    if (!profile) return;
    const what = 'registers';
    let fact: ReadingFact | undefined;
    await optional(this.settings, state, session, what, async () => {
      const layout = await layoutOf(this.settings, state, session, profile.profile);
      fact = await readingNow({ house: this.settings, state, session, layout }, this.settings.clock.wall());
    });
    if (!fact) {
      const why = state.troubles.get(what) ?? new Failure('link-disconnected', 'the session ended before');
      for (const { reject } of state.wanted.splice(0)) reject(why);
      return;
    }
    const given = fact;
    await this.settings.store.commit({ meter: state.polled.origin.meter, entryClass: 0, facts: [given] });
    for (const { resolve } of state.wanted.splice(0)) resolve(given);
  }

  /** The series of this port, for the account of a day. */
  series(): AccountedSeries[] {
    return this.settings.meters.flatMap((polled) =>
      polled.series.map((settings) => {
        const { series, profile, periodMs } = settings;
        const { since, until } = boundsOf(this.settings, { polled }, settings);
        return { origin: polled.origin, series, profile, periodMs, since, until };
      }),
    );
  }

  /** That this line cannot carry what it has to, by the time that rows took. */
  trouble(): string | undefined {
    return cannotCarry(
      [...this.states.values()].flatMap(({ polled: { access, series: all }, sliceRows }) =>
        all
          .filter(({ until }) => until === undefined || until > this.settings.clock.wall())
          .map(({ series, periodMs }) => ({ periodMs, rowMs: sliceRows.get(series)?.rowMs ?? estimatedRowMs(access) })),
      ),
    );
  }

  /** What is missing, uncertain, dark or not read yet, by series. */
  gaps(): SeriesGap[] {
    const { clock, plan: settings } = this.settings;
    const found: SeriesGap[] = [];
    for (const { polled } of this.states.values()) {
      for (const one of polled.series) {
        const { stored, since, until } = boundsOf(this.settings, { polled }, one);
        const end = newestEnd(clock.wall(), one.periodMs, settings.offsetMs, until);
        for (const [from, to] of missing(stored?.coverage ?? [], since, end))
          found.push(seriesGap(polled.origin, one, [from, to, 'PENDING']));
        for (const run of stored?.exceptions ?? []) found.push(seriesGap(polled.origin, one, run));
      }
    }
    return found;
  }

  busFault(): BusFault | undefined {
    return busFaultOf(this.settings, this.line);
  }

  status(): MeterStatus[] {
    const { clock } = this.settings;
    const sum = (state: MeterState, field: 'damaged' | 'repeated') =>
      state.recent.reduce((total, one) => total + one[field], 0);
    const verdicts = judged(this.settings, this.line);
    const portDown = !this.settings.owner.state.open && this.settings.owner.state.lastError !== undefined;
    return [...this.states].map(([meter, state]) => {
      const planned = this.planned(state);
      const { unusable } = state.polled;
      const deviationMs = state.identity?.clockDeviationMs;
      const clockVerdict = deviationMs === undefined ? undefined : clockAlarm(deviationMs);
      let absent = 0;
      for (const profile of planned.series) {
        const end = newestEnd(clock.wall(), profile.periodMs, this.settings.plan.offsetMs, profile.until);
        for (const [from, to] of missing(profile.coverage, profile.since, end))
          absent += Math.round((to - from) / profile.periodMs);
      }
      return {
        meter,
        serial: state.polled.origin.serial,
        verdict: portDown && !unusable ? 'BUS_FAULT' : (verdicts.get(meter) as Verdict),
        lastSuccess: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
        failures: state.failures,
        lastError: (unusable ?? state.lastError)?.message ?? null,
        lastCode: (unusable ?? state.lastError)?.code ?? null,
        fault: (unusable ?? state.lastError)?.fault ?? null,
        nextStep: (unusable ?? state.lastError)?.nextStep ?? null,
        clockDeviationS: deviationMs === undefined ? null : deviationMs / 1000,
        clockVerdict: clockVerdict ?? null,
        clockNextStep:
          deviationMs === undefined || clockVerdict === undefined
            ? null
            : clockNextStep(decideClock(this.clockState(state, deviationMs), this.settings.clockPolicy)),
        intervalsRead: state.intervalsRead,
        intervalsMissing: absent,
        damagedFrames: sum(state, 'damaged'),
        repeatedFrames: sum(state, 'repeated'),
        ways: [...waysAround(state), ...leftAlone(this.settings, state)],
        alarms: [
          // Change the key before the counter is used up (R37).
          ...(state.counterAlarmed ? ['INVOCATION_COUNTER_HIGH'] : []),
          ...[...state.rowAlarms.values()].map(({ text }) => text),
          // The gateway ended unasked while it read this meter; it is read seldom until that does not happen again.
          ...(this.settings.turns?.suspects.has(meter) ? ['SET_ASIDE'] : []),
        ],
      };
    });
  }
}

/** undefined where it is no OBIS code. */
function parsedName(code: string): LogicalName | undefined {
  try {
    return parseLogicalName(code);
  } catch {
    return undefined;
  }
}

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  // RangeError and the like are our bugs: they must be seen, not hidden behind a meter's name.
  throw error;
}
