/** Runs the plan of one port: one turn at a time. Ports run side by side. */
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Clock, dayMs, iso, later, type Millis, millis } from '../base/time.ts';
import type { PortOwner } from '../line/port-owner.ts';
import {
  identify,
  readInvocationCounter,
  type ProfileLayout,
  readLayout,
  readLogs,
  readOldestStamp,
  readRange,
  readRegisters,
  requireIdentity,
} from '../meter/jobs.ts';
import { setClock } from '../meter/act.ts';
import { detectModel } from '../meter/model.ts';
import { type MeterAccess, Session } from '../meter/session.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import { type LogicalName, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { Port } from '../line/port.ts';
import { type EventFact, type ReadingFact, integerJson, type Fact, type Origin } from '../reading/facts.ts';
import { accountFor } from '../reading/interval-block.ts';
import { missing, type Range, withRange } from '../reading/coverage.ts';
import { darkSpans, eventName, lastPowerOf, newEntries } from '../reading/meter-event.ts';
import { adjoining, type Exception, type ExceptionState, type Swap, withExceptions } from '../reading/ledger.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { unitName } from '../reading/unit.ts';
import { counterAlarm, type Counters } from '../store/counters.ts';
import type { MeterLogs, SeriesState, Store } from '../store/store.ts';
import {
  backOffMs,
  newestEnd,
  type PlanSettings,
  plan,
  type PlannedMeter,
  type PlannedSlice,
  silentPauseMs,
  slicesOf,
} from './plan.ts';
import type { AccountedSeries } from './manifest.ts';
import { clockAlarm, type ClockPolicy, decideClock, nearBoundary } from './clock-policy.ts';
import { freshState, marksOf, type MeterSecurity, type MeterState, newestOf, type PolledMeter } from './meter-state.ts';
import { answers, isSilent, judge, type Observation, type Verdict } from './reachability.ts';

export interface RunnerSettings {
  readonly name: string;
  readonly owner: PortOwner;
  readonly meters: readonly PolledMeter[];
  readonly store: Store;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly log: Log;
  readonly plan: PlanSettings;
  /** Whether the gateway knows the time: trusted, floor or untrusted. */
  readonly clockTrust: () => ClockTrust;
  readonly clockPolicy: ClockPolicy;
}
/** kernel: synchronised; system: assumed right; untrusted: tags what is read, sets no clock (R29). */
export type ClockTrust = 'kernel' | 'system' | 'untrusted';
export interface MeterStatus {
  readonly meter: string;
  readonly serial: string;
  readonly verdict: Verdict;
  readonly lastSuccess: string | null;
  readonly failures: number;
  readonly lastError: string | null;
  readonly nextStep: string | null;
  readonly clockDeviationS: number | null;
  readonly intervalsRead: number;
  readonly intervalsMissing: number;
  readonly damagedFrames: number;
  readonly repeatedFrames: number;
  /** What somebody should see to although the meter answers. */
  readonly alarms: readonly Alarm[];
}
/** INVOCATION_COUNTER_HIGH: change the key before the counter is used up (R37). */
export type Alarm = 'INVOCATION_COUNTER_HIGH';
/** A run of intervals of one series that are not plainly measured. */
export interface SeriesGap extends Origin {
  readonly series: string;
  readonly from: string;
  readonly to: string;
  readonly intervals: number;
  /** PENDING: not read yet. UNACKNOWLEDGED: stored, and the head-end has not said that it has it. */
  readonly state: ExceptionState | 'PENDING' | 'UNACKNOWLEDGED';
}
/** Sessions over which line quality is judged. */
const memory = 20;
/** After so many sessions without damage long frames are tried again. */
const calmSessions = 5;
/** Layout of a profile is read again after a day: ratios and capture objects may have changed. */
const layoutLifeMs = dayMs;
/** A row may be written this long after its stamp. */
const graceMs = 60_000;
/** Before a newest row that was not there yet is asked for again. */
const shortestRowWaitMs = 20_000;
const longestRowWaitMs = 10 * 60_000;
const storePauseMs = 5000;
/** More than any session sends; what is left is given to the next one. */
const countersPerSession = 500;
/** Share of the buffer's reach from which on unread rows are at risk (R16). */
const riskShare = 0.8;
/** How far the edge of a gap is looked for in one step. */
const longestStepMs = 16 * dayMs;
/** Of a log that was never read, and of one that may have been written before its cursor. */
const firstLogDays = 60;
const logDays = 9;
const logOverlapMs = 2 * 3_600_000;
/** Past the minute around a boundary in which no clock is set, for both clocks. */
const visitAfterMs = 200_000;
/** Adjustments of the clock whose rows are read again in one session. */
const adjustmentsMost = 20;
/** Codes of the standard event log. */
const clockAdjustedOld = 4;
const clockAdjustedNew = 5;
/** Who waits for a meter waits so long at most. */
const readNowLimitMs = 120_000;
/** Slices of another meter that are read in one session. */
const heldSlices = 3;
const firstRecheckMs = 3_600_000;
const recheckDays = 10;
/** Client SAP of the public client (Green Book 9.1.4). */
const publicClient = 16;
/** Registers are delivered with the first poll of each day. */
const readingEveryMs = dayMs;

export class PortRunner {
  readonly name: string;
  private readonly settings: RunnerSettings;
  private readonly states: Map<string, MeterState>;
  private silentNotBefore: Millis = millis(0);
  private busFaultTold = false;
  /** Meters that answered where others are configured. */
  private readonly shadows = new Map<string, MeterState>();
  /** Aborted when somebody wants a meter now. */
  private stirred = new AbortController();
  private stepDue: Millis;
  private busyWith: string | undefined;

  constructor(settings: RunnerSettings) {
    this.name = settings.name;
    this.settings = settings;
    this.stepDue = settings.clock.now();
    this.states = new Map(settings.meters.map((polled) => [polled.origin.meter, freshState(polled)]));
  }

  /**
   * Reads a meter as soon as the session that is under way allows (R39): its newest rows, registers, clock and switch.
   * What is read also takes the road of every row. Rejects with what kept it from being read.
   */
  async readNow(meter: string): Promise<ReadingFact> {
    const state = this.states.get(meter);
    if (!state) throw new Failure('bad-argument', `no meter ${meter} on ${this.name}`);
    const { clock } = this.settings;
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
    const late = clock.sleepUntil(later(clock.now(), readNowLimitMs), given.signal).then((): never => {
      throw new Failure('busy', `${meter} could not be read within ${readNowLimitMs / 1000} s: the line is at work`);
    });
    late.catch(() => {});
    return Promise.race([waiting, late]);
  }

  /** How late the next step is; grows when the runner hangs. For the watchdog. */
  overdueMs(now: Millis): number {
    return Math.max(0, now - this.stepDue);
  }
  get activity(): string | undefined {
    return this.busyWith;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, owner } = this.settings;
    await this.releaseHeld().catch((error: unknown) =>
      log.error({ error: messageOf(error) }, 'held rows not released'),
    );
    while (!signal.aborted) {
      const now = clock.now();
      const meters = [...this.states.values()].map((state) => this.planned(state));
      const job = plan({ meters, silentNotBefore: this.silentNotBefore }, now, clock.wall(), this.settings.plan);
      if (job.kind === 'wait') {
        // The time of day may be set meanwhile: look again at least every minute.
        await this.pause(millis(Math.min(job.until, now + 60_000)), signal);
        continue;
      }
      // One session takes minutes at most, on a slow and noisy line.
      this.stepDue = later(now, 600_000);
      try {
        await owner.acquire();
      } catch (error) {
        for (const state of this.states.values()) state.lastError = asFailure(error);
        log.warn({ port: this.name, error: messageOf(error) }, 'port is not open');
        await this.pause(owner.state.retryAt ?? later(clock.now(), 1000), signal);
        continue;
      }
      await this.turn(this.states.get(job.meter) as MeterState, job.slices, signal);
      if (!signal.aborted) await this.tellReachability();
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
    const { origin, profiles } = state.polled;
    return {
      id: origin.meter,
      profiles: profiles.map((settings) => {
        const { profile, periodMs } = settings;
        const stored = this.settings.store.seriesState(origin.meter, profile);
        const recheck = this.recheck(state, profile, periodMs, stored);
        return {
          ...(recheck && { recheck }),
          profile,
          periodMs,
          since: this.since(settings, stored),
          coverage: stored?.coverage ?? [],
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
    profile: string,
    periodMs: number,
    stored: SeriesState | undefined,
  ): Range[] | undefined {
    const { clock } = this.settings;
    const now = clock.now();
    const due = state.recheckAt.get(profile);
    if (due === undefined) state.recheckAt.set(profile, later(now, firstRecheckMs));
    if (due === undefined || due > now) return undefined;
    const youngest = clock.wall() - recheckDays * dayMs;
    const gaps = (stored?.exceptions ?? []).filter(([, to, kind]) => kind === 'MISSING' && to > youngest);
    // With the interval after it, whose energy hangs on the last of them.
    return gaps.map(([from, to]) => [Math.max(from, youngest - (youngest % periodMs)), to + periodMs]);
  }

  /** One session with one meter. Every outcome ends in the meter's state; nothing is thrown. */
  private async turn(state: MeterState, slices: readonly PlannedSlice[], signal: AbortSignal): Promise<void> {
    const { clock, owner, log } = this.settings;
    const { origin } = state.polled;
    const access = { ...state.polled.access, model: state.model };
    const started = clock.now();
    state.lastTurn = started;
    state.visitAt = undefined;
    this.busyWith = origin.meter;
    const port = await owner.acquire();
    // A meter that was silent last time gets one short probe; a line that damages long frames gets short ones.
    const adapted: MeterAccess = {
      ...access,
      retries: state.failures > 0 && !state.fragile ? 0 : state.fragile ? access.retries + 6 : access.retries,
      model: state.fragile ? { ...access.model, max_info: 64, window: 1 } : access.model,
    };
    let session = new Session(port, clock, adapted);
    let failure: Failure | undefined;
    try {
      const { security } = state.polled;
      if (security)
        session = new Session(port, clock, {
          ...adapted,
          ciphering: await this.cipheringFor(state, security, port, adapted),
        });
      await session.connect();
      state.identity = await identify(session, clock, state.model, state.hasDisconnector);
      try {
        requireIdentity(state.identity, origin.serial);
      } catch (error) {
        await this.holdBack(state, session);
        throw error;
      }
      this.detect(state);
      if (state.identity.disconnector === undefined) state.hasDisconnector = false;
      await this.forwardLogs(state, session);
      for (const slice of slices) {
        // Back-fill makes way for somebody who waits.
        const others = [...this.states.values()].some((other) => other !== state && other.wanted.length > 0);
        if (signal.aborted || (others && !slice.live)) break;
        await this.slice(state, session, slice);
      }
      if (state.wanted.length > 0) await this.give(state, session);
      await this.readAdjusted(state, session);
      for (const { profile } of state.polled.profiles) {
        const due = state.recheckAt.get(profile);
        if (due !== undefined && due <= started) state.recheckAt.set(profile, later(clock.now(), dayMs));
      }
      if (!signal.aborted) await this.keepClock(state, session);
      await this.say(state);
    } catch (error) {
      failure = asFailure(error);
    }
    if (failure) for (const { reject } of state.wanted.splice(0)) reject(failure);
    if (!signal.aborted || !failure) await session.close();
    this.busyWith = undefined;
    if (signal.aborted && failure) return;
    const { damaged, repeated } = session.stack.counters;
    state.recent = [...state.recent.slice(1 - memory), { damaged, repeated }];
    await owner.report({ heard: session.heard, lost: session.lost });
    if (!failure) {
      if (state.failures > 0) log.info({ port: this.name, meter: origin.meter }, 'meter answers again');
      if (state.failures > 0) state.lastSuccessBefore = state.lastSuccess;
      state.failures = state.refused = 0;
      state.askCounter = false;
      state.lastError = undefined;
      state.lastSuccess = clock.wall();
      const calm = state.recent.slice(-calmSessions);
      if (calm.length === calmSessions && calm.every((one) => one.damaged === 0)) state.fragile = false;
      return;
    }
    const now = clock.now();
    state.lastError = failure;
    if (failure.code === 'store-failed') {
      // Not the meter's fault: it keeps its good name, and nothing more is read before the store takes it.
      log.error({ error: failure.message }, 'the store does not take what was read');
      state.notBefore = later(now, storePauseMs);
      return;
    }
    state.failures++;
    state.silentSince ??= clock.wall();
    const refused =
      failure.code === 'authentication-refused' ||
      failure.code === 'association-refused' ||
      failure.code === 'deciphering-failed';
    // A counter that is behind looks like a refusal: one question to the public client tells (R37), then once more.
    const counterSuspect =
      state.polled.security !== undefined && !state.askCounter && (refused || failure.code === 'service-exception');
    state.askCounter = counterSuspect;
    state.refused = refused ? state.refused + 1 : 0;
    // Sessions on a damaging line fail half-way: go on with smaller frames and slices, soon.
    if (damaged > 0 && session.heard) state.fragile = true;
    const soon = counterSuspect || (state.fragile && session.heard);
    const pauseMs = soon
      ? 1000
      : backOffMs(refused ? state.refused : state.failures, refused || failure.code === 'identity-mismatch');
    state.notBefore = later(now, pauseMs);
    this.silentNotBefore = later(now, silentPauseMs(now - started, session.heard));
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

  /** Leases counters for a session, and raises ours where the meter is ahead; nothing lowers them. */
  private async cipheringFor(
    state: MeterState,
    security: MeterSecurity,
    port: Port,
    access: MeterAccess,
  ): Promise<CipheringSettings> {
    const { clock, counters, log } = this.settings;
    let atLeast = 0;
    if (state.askCounter) {
      const asking = new Session(port, clock, { ...access, client: publicClient, auth: 'none', secret: undefined });
      try {
        await asking.connect();
        atLeast = (await readInvocationCounter(asking, security.counterObject)) + 1;
        log.info({ meter: state.polled.origin.meter, atLeast }, 'invocation counter of the meter read');
      } finally {
        await asking.close();
      }
    }
    const nextCounter = await counters.lease(security.counterName, countersPerSession, atLeast);
    if (!state.counterAlarmed && (counters.next(security.counterName) ?? 0) >= counterAlarm) {
      state.counterAlarmed = true;
      log.warn({ meter: state.polled.origin.meter }, 'invocation counter above 2·10⁹: change the encryption key');
    }
    return { ...security.settings, ...(security.freshKey && { dedicated: security.freshKey() }), nextCounter };
  }

  /** From the next session on the link runs as the model wants it; stamps are read so at once. */
  private detect(state: MeterState): void {
    const { detectFrom, origin } = state.polled;
    const name = state.identity?.logicalDeviceName;
    const found = detectFrom && name !== undefined ? detectModel(detectFrom, name) : undefined;
    if (!found || found === state.model) return;
    this.settings.log.info({ meter: origin.meter, logicalDeviceName: name, model: found.name }, 'meter model detected');
    state.model = found;
    state.layouts.clear();
  }

  private async layout(state: MeterState, session: Session, profile: string): Promise<ProfileLayout> {
    const { clock } = this.settings;
    const cached = state.layouts.get(profile);
    const changes = state.identity?.changes;
    if (cached) {
      // A counter of changes that stands still proves the layout; without one its age must do.
      const proven = changes !== undefined && changes === cached.changes;
      const young = changes === undefined && clock.now() - cached.at < layoutLifeMs;
      if (proven || young) return cached.layout;
    }
    const layout = await readLayout(session, profile);
    state.layouts.set(profile, { layout, at: clock.now(), changes });
    return layout;
  }

  /** After the profile was read: the clock is told where it is wrong, and set as far as the policy lets (R29 to R31). */
  private async keepClock(state: MeterState, session: Session): Promise<void> {
    const { clock, clockPolicy, clockTrust, log } = this.settings;
    const { origin, profiles } = state.polled;
    const deviationMs = state.identity?.clockDeviationMs;
    if (deviationMs === undefined) return;
    const before = this.logsOf(state);
    const wall = clock.wall();
    const decision = decideClock(
      {
        deviationMs,
        wall,
        trusted: clockTrust() !== 'untrusted',
        periodMs: Math.min(...profiles.map(({ periodMs }) => periodMs)),
        lastSet: before.clockSets?.at(-1)?.[0] as Millis | undefined,
      },
      clockPolicy,
    );
    const alarm = clockAlarm(deviationMs);
    if (alarm !== state.clockTold?.alarm || wall - (state.clockTold?.at ?? 0) >= dayMs) {
      if (alarm)
        state.saying.push(
          this.event(state, alarm, {
            deviationS: Math.round(deviationMs / 100) / 10,
            action: decision.kind === 'set' ? 'set' : decision.why,
          }),
        );
      state.clockTold = { alarm, at: wall };
    }
    if (decision.kind === 'leave' && decision.why === nearBoundary) state.visitAt = later(clock.now(), visitAfterMs);
    if (decision.kind !== 'set') return;
    const { beforeMs, afterMs } = await setClock(session, clock, state.model);
    const at = clock.wall();
    log.info({ meter: origin.meter, beforeMs, afterMs }, 'clock of the meter set');
    state.saying.push(
      this.event(state, 'CLOCK_SET', { beforeS: (beforeMs ?? deviationMs) / 1000, afterS: afterMs / 1000 }),
    );
    state.logs = {
      ...before,
      clockSets: [...(before.clockSets ?? []), [at, decision.flag ? 1 : 0] as const].slice(-50),
    };
  }

  /** New entries of the event logs become facts; each is forwarded once (R27). */
  private async forwardLogs(state: MeterState, session: Session): Promise<void> {
    const { clock, store } = this.settings;
    const { origin } = state.polled;
    const { model } = state;
    const before = this.logsOf(state);
    const deep = clock.now() >= state.logsDeepAt;
    const readAt = clock.wall();
    const asked = model.event_logs
      .map(parseLogicalName)
      .filter((log) => !state.lacks.has(log))
      .map((log) => {
        const { upTo = 0 } = before.cursors[log] ?? {};
        const since = upTo === 0 ? readAt - firstLogDays * dayMs : upTo - (deep ? logDays * dayMs : logOverlapMs);
        return { log, from: millis(since) };
      });
    if (asked.length === 0) return;
    const read = await readLogs(session, model, asked, later(readAt, dayMs));
    const cursors = { ...before.cursors };
    let { dark, lastPower } = before;
    const said: EventFact[] = [];
    read.forEach((result, i) => {
      const { log } = asked[i] as { log: LogicalName };
      if (!result) {
        state.lacks.add(log);
        return;
      }
      // On the shelf and in the workshop it was without power as well: that is nothing of this point.
      const here = result.entries.filter(({ at }) => at >= (before.hungSince ?? 0));
      const { fresh, cursor } = newEntries(here, cursors[log]);
      dark = darkSpans(dark, here);
      lastPower = lastPowerOf(fresh) ?? lastPower;
      if (fresh.length === 0) return;
      cursors[log] = cursor;
      for (const { at, code, occurrence } of fresh) {
        // A clock that was set back writes rows again under stamps that were read already (R05, R11).
        if (code === clockAdjustedOld || code === clockAdjustedNew) state.adjustedAt.push(at);
        said.push({
          kind: 'event',
          ...origin,
          source: 'meter',
          log: obis(log),
          code,
          name: eventName(model.companion, code),
          at: iso(millis(at)),
          occurrence,
          detail: null,
          readAt: iso(readAt),
        });
      }
    });
    if (deep) state.logsDeepAt = later(clock.now(), dayMs);
    const changed = said.length > 0 || dark.length !== before.dark.length;
    if (changed || before.serial !== store.meterLogs(origin.meter).serial)
      state.logs = { ...before, cursors, dark, lastPower };
    state.saying.push(...said);
  }

  /** The logs as they were forwarded so far; those of a meter that replaced another begin when it did. */
  private logsOf(state: MeterState): MeterLogs {
    const { clock, store } = this.settings;
    const { origin, swap, profiles } = state.polled;
    const known = state.logs ?? store.meterLogs(origin.meter);
    const series = profiles.map(({ profile }) => store.seriesState(origin.meter, profile));
    const serial = known.serial ?? series.find((one) => one?.serial !== undefined)?.serial ?? origin.serial;
    if (serial === origin.serial) return { ...known, serial };
    const newest = Math.max(...series.map((one) => one?.newest?.end ?? 0));
    const hungSince = swap?.from === serial ? swap.at : newest || clock.wall();
    return { ...known, cursors: {}, lastPower: undefined, serial: origin.serial, hungSince };
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
        profiles: state.polled.profiles.map(({ profile, periodMs }) => ({
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
      for (const slice of slices) await this.slice(shadow, session, slice);
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
      const { origin, swap, profiles } = state.polled;
      const held = all.filter(({ meter, serial }) => meter === origin.meter && serial === origin.serial);
      if (held.length === 0) continue;
      const since = swap?.at ?? 0;
      const released = await store.release(held, (fact) => {
        if (fact.kind !== 'profile' && fact.kind !== 'gap') return undefined;
        // What it counted before it hung here, and the interval of the change itself, are read from it again.
        if (Date.parse(fact.start) < since) return undefined;
        const profile = parseLogicalName(fact.series);
        const periodMs = profiles.find((one) => one.profile === profile)?.periodMs;
        if (periodMs === undefined) return undefined;
        return { meter: origin.meter, profile, fact: { ...fact, ...origin }, marks: marksOf(fact, periodMs) };
      });
      // The coverage stays open: what the meter still has is read again, and said only where it is not the same; what it no
      // longer has was said from what was held back.
      log.info({ meter: origin.meter, serial: origin.serial, released }, 'held rows released');
    }
  }

  /** Around each adjustment of the clock what was read before it is read again. */
  private async readAdjusted(state: MeterState, session: Session): Promise<void> {
    const { store } = this.settings;
    const stamps = state.adjustedAt.slice(-adjustmentsMost);
    for (const { profile, periodMs } of state.polled.profiles) {
      const slots = new Set(stamps.map((at) => Math.floor(at / periodMs) * periodMs));
      for (const slot of slots) {
        const coverage = store.seriesState(state.polled.origin.meter, profile)?.coverage ?? [];
        const covered = coverage.find(([from, to]) => from < slot + 2 * periodMs && to > slot - periodMs);
        if (!covered) continue;
        const from = millis(Math.max(covered[0], slot - periodMs));
        const to = millis(Math.min(covered[1], slot + 2 * periodMs));
        await this.slice(state, session, { profile, from, to, live: true });
      }
    }
    // A session that fails half-way reads them in the next one.
    state.adjustedAt = [];
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

  private since(settings: PolledMeter['profiles'][number], stored: SeriesState | undefined): Millis {
    return settings.since ?? millis(stored?.since ?? settings.sinceByDefault);
  }

  /**
   * Where the buffer no longer reaches back to what is missing, that is said at once and with its bounds; where it soon
   * will not, that is an event (R16). Returns the oldest row of a full buffer.
   */
  private async horizon(
    state: MeterState,
    session: Session,
    settings: PolledMeter['profiles'][number],
    layout: ProfileLayout,
  ): Promise<Millis | undefined> {
    const { clock, store } = this.settings;
    const { origin } = state.polled;
    const { profile, periodMs } = settings;
    const stored = store.seriesState(origin.meter, profile);
    const wall = clock.wall();
    const end = newestEnd(wall, periodMs, this.settings.plan.offsetMs);
    const [oldestHole] = missing(stored?.coverage ?? [], this.since(settings, stored), end);
    const reachMs = (layout.entries ?? 0) * periodMs;
    if (!oldestHole || reachMs === 0 || wall - oldestHole[0] < reachMs * riskShare) {
      state.atRisk.delete(profile);
      return undefined;
    }
    const kept = await readOldestStamp(session, layout, state.model);
    if (!state.atRisk.has(profile)) {
      state.atRisk.add(profile);
      state.saying.push(
        this.event(state, 'DATA_AT_RISK', {
          series: obis(profile),
          oldest: iso(millis(oldestHole[0])),
          reachS: reachMs / 1000,
        }),
      );
    }
    if (kept === undefined || kept - periodMs <= oldestHole[0]) return kept;
    const lost: PlannedSlice = {
      profile,
      from: millis(oldestHole[0]),
      to: millis(Math.min(oldestHole[1], Math.floor(kept / periodMs) * periodMs)),
      live: false,
    };
    await this.settle(
      state,
      session,
      settings,
      layout,
      lost,
      await readRange(session, layout, state.model, kept, kept),
      kept,
    );
    return kept;
  }

  private event(state: MeterState, name: string, detail: EventFact['detail']): EventFact {
    const at = iso(this.settings.clock.wall());
    const { origin } = state.polled;
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

  private async slice(state: MeterState, session: Session, slice: PlannedSlice): Promise<void> {
    const { clock, store } = this.settings;
    const { origin, profiles } = state.polled;
    const { model } = state;
    const settings = profiles.find(({ profile }) => profile === slice.profile) as PolledMeter['profiles'][number];
    const { periodMs } = settings;
    const layout = await this.layout(state, session, slice.profile);
    if (layout.capturePeriodMs !== periodMs) {
      throw new Failure(
        'period-mismatch',
        `${origin.meter} captures every ${layout.capturePeriodMs / 1000} s, the configuration says ${periodMs / 1000} s`,
      );
    }
    const read = async (from: number, to: number): Promise<LoadProfileRow[]> => {
      try {
        return await readRange(session, layout, model, millis(from), millis(to));
      } catch (error) {
        // The columns may have changed under a cached layout.
        if (error instanceof Failure && error.code === 'malformed-octets') state.layouts.delete(slice.profile);
        throw error;
      }
    };
    const kept = await this.horizon(state, session, settings, layout);
    const stored = store.seriesState(origin.meter, slice.profile);
    // What was lost meanwhile need not be asked for.
    const from = Math.max(
      slice.from,
      kept === undefined ? slice.from : Math.floor(kept / periodMs) * periodMs - periodMs,
    );
    if (from >= slice.to) return;
    // The row stamped with the start of the slice gives the register before its first interval.
    let rows = await read(from, slice.to);
    // A gap is told whole, with the rows at both its edges: where an edge row is not there it is looked for further on.
    const end = newestEnd(clock.wall(), periodMs, this.settings.plan.offsetMs);
    const holes = missing(stored?.coverage ?? [], this.since(settings, stored), end);
    const [holeFrom, holeTo] = holes.find(([start, stop]) => start < slice.to && stop > from) ?? [from, slice.to];
    const [lowest, highest] = adjoining(stored?.exceptions ?? [], Math.min(holeFrom, from), Math.max(holeTo, slice.to));
    const has = (stamp: number) => rows.some((row) => row.end === stamp);
    let [low, high] = [from, slice.to as number];
    for (let step = dayMs; low > lowest && !has(low) && step <= longestStepMs; step *= 2) {
      const next = Math.max(lowest, low - step);
      rows = [...(await read(next, low - periodMs)), ...rows];
      low = next;
    }
    for (let step = dayMs; high < highest && !has(high) && step <= longestStepMs; step *= 2) {
      const next = Math.min(highest, high + step);
      rows = [...rows, ...(await read(high + periodMs, next))];
      high = next;
    }
    await this.settle(state, session, settings, layout, { ...slice, from: millis(low), to: millis(high) }, rows, kept);
  }

  /** Another meter than the one whose rows the series has so far: the change is said once, with its registers. */
  private changeOfMeter(
    state: MeterState,
    stored: SeriesState | undefined,
    periodMs: number,
  ): { readonly swap: NonNullable<SeriesState['swap']>; readonly fresh: boolean } | undefined {
    const { origin, swap: told } = state.polled;
    const fresh = stored?.serial !== undefined && stored.serial !== origin.serial;
    if (!fresh) return stored?.swap && { swap: stored.swap, fresh: false };
    const known = told && told.from === stored.serial ? told : undefined;
    // Not told: it was at some time after the last row of the old one.
    const at = known?.at ?? stored.newest?.end ?? this.settings.clock.wall();
    const boundary = Math.floor(at / periodMs) * periodMs;
    const before = stored.newest?.end === boundary ? stored.newest.registers : undefined;
    const { final = {}, first = {} } = known ?? {};
    const registers = (all: Swap['final']) =>
      Object.entries(all)
        .map(([code, value]) => `${code} ${value}`)
        .join(' ') || null;
    state.saying.push(
      this.event(state, 'SWAP', {
        from: stored.serial,
        to: origin.serial,
        at: known ? iso(millis(at)) : null,
        final: registers(final),
        first: registers(first),
      }),
    );
    return { swap: { at, from: stored.serial, final, first, before }, fresh: true };
  }

  /** Accounts for a slice and commits it: facts, marks, coverage, and what else is to be said, in one batch. */
  private async settle(
    state: MeterState,
    session: Session,
    settings: PolledMeter['profiles'][number],
    layout: ProfileLayout,
    slice: PlannedSlice,
    rows: readonly LoadProfileRow[],
    oldestKept: Millis | undefined,
  ): Promise<void> {
    const { clock, store, log } = this.settings;
    const { origin, powerLimitW } = state.polled;
    const { periodMs } = settings;
    const readAt = clock.wall();
    const deviation = state.identity?.clockDeviationMs;
    const meterNow = deviation === undefined ? later(readAt, -15 * 60_000) : later(readAt, deviation);
    const stored = store.seriesState(origin.meter, slice.profile);
    const swap = this.changeOfMeter(state, stored, periodMs);
    const otherLayout = stored?.layout !== undefined && stored.layout !== layout.fingerprint;
    // Said before any value of the new segment (R13).
    if (otherLayout)
      state.saying.push(
        this.event(state, 'CONFIG_CHANGED', {
          series: obis(slice.profile),
          columns: layout.columns.map(({ logicalName }) => obis(logicalName)).join(' '),
          before: stored.layout ?? null,
          now: layout.fingerprint,
        }),
      );
    const known = state.logs ?? store.meterLogs(origin.meter);
    const accounted = accountFor({
      origin,
      series: obis(slice.profile),
      // What the new meter recorded before it hung here is of another point.
      rows: swap ? rows.filter(({ end }) => end === null || end > swap.swap.at) : rows,
      from: slice.from,
      to: slice.to,
      periodMs,
      openAfter: later(meterNow, -graceMs),
      readAt,
      clockDeviationMs: deviation,
      clockTrust: this.settings.clockTrust(),
      known: await store.marks(origin.meter, slice.profile, slice.from, slice.to),
      oldestKept,
      ...(state.model.register_modulus !== undefined && { modulus: BigInt(state.model.register_modulus) }),
      powerLimitW,
      dark: known.dark,
      clockSets: (known.clockSets ?? []).flatMap(([at, flag]) => (flag ? [at] : [])),
      newSegment: otherLayout || swap?.fresh === true,
      ...(swap && { swap: swap.swap }),
    });
    // The line may fail here: what is to be said is taken only when nothing stands between it and the store.
    const reading = await this.reading(state, session, layout, readAt);
    const said = state.saying.splice(0);
    const { logs } = state;
    state.logs = undefined;
    const facts: Fact[] = [...said, ...accounted.blocks, ...accounted.gaps, ...(reading ? [reading] : [])];
    const coverage = withRange(stored?.coverage ?? [], slice.from, accounted.coveredTo);
    const before = stored?.exceptions ?? [];
    const standing = accounted.kept.flatMap(([from, to]) =>
      before.flatMap(([start, end, kind]): Exception[] =>
        start < to && end > from ? [[Math.max(start, from), Math.min(end, to), kind]] : [],
      ),
    );
    const exceptions = withExceptions(before, slice.from, accounted.coveredTo, [...accounted.exceptions, ...standing]);
    try {
      await store.commit({
        meter: origin.meter,
        profile: slice.profile,
        state: {
          since: this.since(settings, stored),
          coverage,
          exceptions,
          layout: layout.fingerprint,
          serial: origin.serial,
          ...newestOf(stored, rows, periodMs, swap?.fresh === true),
          ...(swap && { swap: swap.swap }),
        },
        entryClass: slice.live ? 0 : 1,
        facts,
        marks: accounted.marks,
        ...(logs && { logs }),
        ...(state.quarantine && { quarantine: state.quarantine }),
      });
    } catch (error) {
      state.saying.unshift(...said);
      state.logs = logs;
      throw error;
    }
    state.intervalsRead += accounted.blocks.reduce((count, block) => count + block.count, 0);
    if (accounted.coveredTo < slice.to) {
      // The newest row is not written yet: come back shortly, without pressing.
      // The meter's own clock says when it will be; a clock that is far behind must not be asked every few seconds.
      const dueMs = slice.to + graceMs - meterNow;
      state.notBefore = later(clock.now(), Math.min(longestRowWaitMs, Math.max(shortestRowWaitMs, dueMs)));
      log.info({ meter: origin.meter, until: iso(slice.to) }, 'newest row is not there yet');
    }
  }

  /** Answers those who wait for this meter. */
  private async give(state: MeterState, session: Session): Promise<void> {
    const [profile] = state.polled.profiles;
    if (!profile) return;
    const layout = await this.layout(state, session, profile.profile);
    const fact = await this.readingNow(state, session, layout, this.settings.clock.wall());
    await this.settings.store.commit({ meter: state.polled.origin.meter, entryClass: 0, facts: [fact] });
    for (const { resolve } of state.wanted.splice(0)) resolve(fact);
  }

  /** Registers and clock, once a day: what the display shows, beside the series. */
  private async reading(
    state: MeterState,
    session: Session,
    layout: ProfileLayout,
    readAt: Millis,
  ): Promise<Fact | undefined> {
    const { clock } = this.settings;
    if (state.readingAt !== undefined && clock.now() - state.readingAt < readingEveryMs) return undefined;
    return this.readingNow(state, session, layout, readAt);
  }

  private async readingNow(
    state: MeterState,
    session: Session,
    layout: ProfileLayout,
    readAt: Millis,
  ): Promise<ReadingFact> {
    const registers = await readRegisters(session, layout);
    state.readingAt = this.settings.clock.now();
    const disconnector = state.identity?.disconnector;
    const deviation = state.identity?.clockDeviationMs;
    return {
      kind: 'reading',
      ...state.polled.origin,
      readAt: iso(readAt),
      registers: Object.fromEntries(
        [...registers].map(([name, raw]) => {
          const scalerUnit = layout.scalers.get(name);
          return [
            obis(name),
            {
              raw: integerJson(raw),
              scaler: scalerUnit?.scaler ?? null,
              unit: scalerUnit ? unitName(scalerUnit.unit) : null,
            },
          ];
        }),
      ),
      clockDeviationS: deviation === undefined ? null : Math.round(deviation / 100) / 10,
      ...(disconnector && { disconnector }),
    };
  }

  /** The series of this port, for the account of a day. */
  series(): AccountedSeries[] {
    return this.settings.meters.flatMap(({ origin, profiles }) =>
      profiles.map((settings) => ({
        origin,
        profile: settings.profile,
        periodMs: settings.periodMs,
        since: this.since(settings, this.settings.store.seriesState(origin.meter, settings.profile)),
      })),
    );
  }

  /** What is missing, uncertain, dark or not read yet, by series. */
  gaps(): SeriesGap[] {
    const { clock, store, plan: settings } = this.settings;
    const found: SeriesGap[] = [];
    for (const { polled } of this.states.values()) {
      for (const profile of polled.profiles) {
        const stored = store.seriesState(polled.origin.meter, profile.profile);
        const end = newestEnd(clock.wall(), profile.periodMs, settings.offsetMs);
        const say = (from: number, to: number, state: SeriesGap['state']) =>
          found.push({
            ...polled.origin,
            series: obis(profile.profile),
            from: iso(millis(from)),
            to: iso(millis(to)),
            intervals: Math.round((to - from) / profile.periodMs),
            state,
          });
        for (const [from, to] of missing(stored?.coverage ?? [], this.since(profile, stored), end))
          say(from, to, 'PENDING');
        for (const [from, to, state] of stored?.exceptions ?? []) say(from, to, state);
      }
    }
    return found;
  }

  /** What changed in the verdicts is an event: for each meter, or one for the bus (R23, R24, R25). */
  private async tellReachability(): Promise<void> {
    const { clock, store, log } = this.settings;
    const judged = this.judged();
    const all = [...this.states.values()];
    const busFault = all.length > 1 && [...judged.values()].every((verdict) => verdict === 'BUS_FAULT');
    const wall = clock.wall();
    const commit = async (meter: string, event: EventFact): Promise<void> => {
      try {
        await store.commit({ meter, entryClass: 0, facts: [event] });
      } catch (error) {
        // It is told with the next change; the status shows it all the while.
        log.error({ meter, error: messageOf(error) }, 'verdict not stored');
      }
    };
    if (busFault !== this.busFaultTold) {
      this.busFaultTold = busFault;
      if (!busFault) {
        // The line is back: everybody is asked again soon, and judged anew.
        this.silentNotBefore = clock.now();
        for (const state of all) {
          if (state.failures === 0) continue;
          state.failures = 1;
          state.notBefore = clock.now();
        }
      }
      const at = iso(wall);
      await commit('_', {
        kind: 'event',
        meter: '_',
        point: '',
        serial: '',
        source: 'gateway',
        log: null,
        code: null,
        name: busFault ? 'BUS_FAULT' : 'BUS_ANSWERS',
        at,
        occurrence: 0,
        detail: { port: this.name, meters: all.length },
        readAt: at,
      });
    }
    // Whose fault it is shows only when the neighbours have been asked as well.
    const newestSuccess = Math.max(0, ...all.map(({ lastSuccess }) => lastSuccess ?? 0));
    for (const state of all) {
      const { meter } = state.polled.origin;
      const verdict = judged.get(meter) as Verdict;
      if (verdict === 'UNKNOWN' || verdict === 'BUS_FAULT' || verdict === state.told) continue;
      if (!answers(verdict)) {
        const neighbourAnswers = all.length === 1 || newestSuccess >= (state.silentSince ?? 0);
        if (isSilent(verdict) && (state.failures < 2 || !neighbourAnswers)) continue;
        state.toldSilent = isSilent(verdict);
        await commit(
          meter,
          this.event(state, verdict, {
            state: isSilent(verdict) ? 'UNREACHABLE' : 'FAULT',
            lastSeen: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
            failures: state.failures,
            confidence: state.failures >= 4 ? 'high' : 'medium',
            evidence: state.lastError?.code ?? null,
          }),
        );
      } else if (state.told !== 'UNKNOWN' || verdict !== 'REACHABLE') {
        await commit(
          meter,
          this.event(state, verdict, {
            state: 'REACHABLE',
            before: state.told,
            controlState: state.identity?.disconnector?.control ?? null,
          }),
        );
      }
      state.told = verdict;
    }
    for (const state of all) {
      if (state.failures > 0 || state.silentSince === undefined) continue;
      const { meter } = state.polled.origin;
      const since = state.silentSince;
      // Before the first failure everything may have been well since the last poll that succeeded.
      const from = state.lastSuccessBefore ?? since;
      const span = store.meterLogs(meter).dark.findLast(([down, up]) => down < wall && up > from);
      state.silentSince = undefined;
      state.lastSuccessBefore = undefined;
      // Of a fault of the bus one event was told, and one tells its end.
      const toldSilent = state.toldSilent;
      state.toldSilent = false;
      if (!toldSilent) continue;
      await commit(
        meter,
        span
          ? this.event(state, 'MAINS_OFF', { from: iso(millis(span[0])), to: iso(millis(span[1])) })
          : this.event(state, 'COMM_FAULT', { from: iso(since), to: iso(wall) }),
      );
    }
  }

  private judged(): Map<string, Verdict> {
    const { store } = this.settings;
    const sum = (state: MeterState) => state.recent.reduce((total, one) => total + one.damaged, 0);
    return judge(
      new Map<string, Observation>(
        [...this.states].map(([meter, state]) => [
          meter,
          {
            lastSuccess: state.lastSuccess,
            failures: state.failures,
            lastError: state.lastError?.code,
            damaged: sum(state),
            sessions: state.recent.length,
            supplyOff: state.identity?.disconnector && !state.identity.disconnector.output,
            powerDown: store.meterLogs(meter).lastPower === 'down',
          },
        ]),
      ),
    );
  }

  status(): MeterStatus[] {
    const { clock } = this.settings;
    const sum = (state: MeterState, field: 'damaged' | 'repeated') =>
      state.recent.reduce((total, one) => total + one[field], 0);
    const judged = this.judged();
    const portDown = !this.settings.owner.state.open && this.settings.owner.state.lastError !== undefined;
    return [...this.states].map(([meter, state]) => {
      const planned = this.planned(state);
      let absent = 0;
      for (const profile of planned.profiles) {
        const end = Math.floor((clock.wall() - this.settings.plan.offsetMs) / profile.periodMs) * profile.periodMs;
        for (const [from, to] of missing(profile.coverage, profile.since, millis(end)))
          absent += Math.round((to - from) / profile.periodMs);
      }
      return {
        meter,
        serial: state.polled.origin.serial,
        verdict: portDown ? 'BUS_FAULT' : (judged.get(meter) as Verdict),
        lastSuccess: state.lastSuccess === undefined ? null : iso(state.lastSuccess),
        failures: state.failures,
        lastError: state.lastError?.message ?? null,
        nextStep: state.lastError?.nextStep ?? null,
        clockDeviationS: state.identity?.clockDeviationMs === undefined ? null : state.identity.clockDeviationMs / 1000,
        intervalsRead: state.intervalsRead,
        intervalsMissing: absent,
        damagedFrames: sum(state, 'damaged'),
        repeatedFrames: sum(state, 'repeated'),
        alarms: state.counterAlarmed ? ['INVOCATION_COUNTER_HIGH'] : [],
      };
    });
  }
}

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  // RangeError and the like are our bugs: they must be seen, not hidden behind a meter's name.
  throw error;
}
