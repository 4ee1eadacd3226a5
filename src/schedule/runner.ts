/** Runs the plan of one port: one turn at a time. Ports run side by side. */
import { Failure, messageOf } from '../base/errors.ts';
import { later, longAgo, type Millis, millis } from '../base/time.ts';
import type { Port } from '../line/port.ts';
import type { ReadingFact } from '../reading/facts.ts';
import type { PushedMeaning } from '../reading/pushed-meaning.ts';
import { type BusFault, busFaultOf } from './bus-fault.ts';
import { acceptCounter, type CounterAccepted } from './counter-accept.ts';
import { withProgress } from './fruitless.ts';
import { askLoan, endLoans, type Loans, loanLimitMs, noLoans, type PortWork, serveLoan } from './loan.ts';
import type { AccountedSeries } from './manifest.ts';
import { stateThroughReload, type Line, type LineState, type MeterState, type PortContext } from './meter-state.ts';
import { plan, type PlannedSlice } from './plan.ts';
import { plannedMeter } from './planned-meter.ts';
import { seriesNamed } from './polled-series.ts';
import { commitPushed } from './pushed-rows.ts';
import { accountedSeries, gapsOf, lineTrouble, type MeterStatus, statusOf } from './port-report.ts';
import { holdBack, releaseHeld, type Strangers } from './quarantine.ts';
import { recall, requireNotRefused } from './refusals.ts';
import type { SeriesGap } from './series-gaps.ts';
import { askSession, beforeLate, gatewayStops, isRequested, rejectRequests } from './session-request.ts';
import type { SessionWork } from './open-session.ts';
import { onRecord, setAside, tellSetAside } from './set-aside.ts';
import { tellReachability } from './telling.ts';
import { turnLimitMs } from './turn-time.ts';
import { watchTurn } from './turn-watch.ts';
import { asFailure, visit } from './visit.ts';
import { storePauseMs } from './visit-outcome.ts';

const standstillPauseMs = 10_000;
/** A port that was taken back lets its turn end within this. */
const takenBackMs = 30_000;
/** Pushes that wait for the end of a session; what comes beyond is polled all the same. */
const maxWaiting = 500;
export class PortRunner {
  readonly name: string;
  private readonly settings: PortContext;
  private readonly states: Map<string, MeterState>;
  private readonly line: Line;
  private readonly strangers: Strangers = new Map();
  private readonly loans: Loans = noLoans();
  /** Changes of what is accounted for, that must not come while a session is under way. */
  private readonly betweenSessions: (() => Promise<void>)[] = [];
  /** Aborted when somebody wants a meter now. */
  private wakeUp = new AbortController();
  private stepDue: Millis;
  private busyWith: string | undefined;

  constructor(settings: PortContext) {
    this.name = settings.name;
    this.settings = settings;
    this.stepDue = settings.clock.now();
    this.states = new Map(
      settings.meters.map((polled) => {
        const { meter } = polled.origin;
        return [meter, stateThroughReload(polled, settings.known?.get(meter))];
      }),
    );
    this.line = { silentNotBefore: longAgo, busFaultReported: false, ...settings.lineBefore, states: this.states };
    for (const state of this.states.values()) setAside(settings, state);
  }

  /**
   * Reads a meter as soon as the session that is under way allows (R39): its newest rows, registers, clock and switch.
   * What is read also takes the road of every row. Rejects with what kept it from being read. `force`: once, although the
   * meter refused us.
   */
  async readNow(meter: string, force = false): Promise<ReadingFact> {
    const state = await this.askable(meter, force);
    const reading = beforeLate<ReadingFact>(this.settings.clock, state, (resolve, reject) => {
      const request = { resolve, reject };
      state.readRequests.push(request);
      this.wakeUp.abort();
      return () => {
        state.readRequests = state.readRequests.filter((one) => one !== request);
      };
    });
    return this.unlessStopped(reading);
  }

  /**
   * Has work done in a session with a meter, as soon as the one that is under way allows. Rejects with what kept it from being
   * done, or with what the work threw.
   */
  async inSession<T>(meter: string, work: SessionWork<T>, force = false): Promise<T> {
    const state = await this.askable(meter, force);
    const done = askSession(this.settings.clock, state, work);
    this.wakeUp.abort();
    return this.unlessStopped(done);
  }

  /** A line that we closed ourselves, to stop, is not the line's fault. */
  private async unlessStopped<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (this.stopping?.aborted === true && error instanceof Failure && error.family === 'line') throw gatewayStops();
      throw error;
    }
  }
  private stopping: AbortSignal | undefined;

  /** Lends the line between two sessions: at most `loanLimitMs`, and one who waits. */
  lend<T>(work: PortWork<T>): Promise<T> {
    const done = askLoan(this.loans, this.settings.clock, this.name, work);
    this.wakeUp.abort();
    return done;
  }

  private async askable(meter: string, force: boolean): Promise<MeterState> {
    const state = this.states.get(meter);
    if (!state) throw new Failure('unknown-meter', `no meter ${meter} on ${this.name}`);
    if (state.polled.unusable) throw state.polled.unusable;
    await this.recalled();
    if (!force) requireNotRefused(this.settings, state);
    return state;
  }

  /** The operator's word about the counters of a meter; it is tried again at once. */
  async acceptCounter(meter: string): Promise<CounterAccepted> {
    const state = this.states.get(meter);
    if (!state) throw new Failure('unknown-meter', `no meter ${meter} on ${this.name}`);
    await this.recalled();
    const { memory, outcome } = await acceptCounter(this.settings.counters, meter);
    state.memory = memory;
    state.reportedSecurity = undefined;
    state.askCounter = outcome.raisedTo !== null;
    state.notBefore = this.settings.clock.now();
    this.wakeUp.abort();
    return outcome;
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
    const known = seriesNamed(this.states.get(meter)?.polled.series ?? [], series);
    if (known.length === 0)
      return Promise.reject(new Failure('unknown-meter', `no series ${series} of a meter ${meter} on ${this.name}`));
    return this.betweenTwo(async () => {
      let intervals = 0;
      for (const { series: one } of known) intervals += await this.settings.store.sayAgain(meter, one, from, to);
      return intervals;
    });
  }

  /**
   * Stores rows that a meter of this line pushed, between two sessions: what they leave open is polled. Resolves when they are
   * stored.
   */
  takePushed(state: MeterState, meaning: PushedMeaning, proven: boolean): Promise<void> {
    if (this.betweenSessions.length >= maxWaiting)
      return Promise.reject(new Failure('busy', `${this.name} has no time for what is pushed: it is polled instead`));
    return this.betweenTwo(async () => {
      await commitPushed({ port: this.settings, state, polled: true, proven }, meaning, undefined);
    });
  }

  private betweenTwo<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.betweenSessions.push(async () => {
        try {
          resolve(await work());
        } catch (error) {
          reject(asFailure(error));
        }
      });
      this.wakeUp.abort();
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
    const { silentNotBefore, busFaultReported } = this.line;
    return { silentNotBefore, busFaultReported };
  }
  get activity(): string | undefined {
    return this.busyWith;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.stopping = signal;
    const { clock, log, owner } = this.settings;
    const usable = [...this.states.values()].filter(({ polled }) => polled.unusable === undefined);
    let begun = false;
    while (!signal.aborted) {
      for (const work of this.betweenSessions.splice(0)) await work();
      this.stepDue = later(clock.now(), loanLimitMs + takenBackMs);
      this.busyWith = this.loans.waiting ? 'the desk' : undefined;
      if (await serveLoan(this.loans, owner, this.settings.baud)) continue;
      this.busyWith = undefined;
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
        for (const state of this.states.values()) rejectRequests(state, standstill);
        await this.pause(later(now, standstillPauseMs), signal);
        continue;
      }
      if (!begun) {
        begun = true;
        await releaseHeld(this.settings, this.states.values()).catch((error: unknown) =>
          log.error({ error: messageOf(error) }, 'held rows not released'),
        );
        for (const state of this.states.values()) await tellSetAside(this.settings, state);
        if (usable.length < this.states.size) await tellReachability(this.settings, this.line);
      }
      const meters = usable.map((state) => plannedMeter(this.settings, state));
      const job = plan({ meters, silentNotBefore: this.line.silentNotBefore }, now, clock.wall(), this.settings.plan);
      if (job.kind === 'wait') {
        // The time of day may be set meanwhile: look again at least every minute.
        const retryAt = usable.length > 0 && (await owner.tend()) ? owner.state.retryAt : undefined;
        await this.pause(millis(Math.min(job.until, retryAt ?? now + 60_000)), signal);
        continue;
      }
      const state = this.states.get(job.meter) as MeterState;
      this.stepDue = later(now, turnLimitMs(state.polled.access) + takenBackMs);
      const end = watchTurn(this.settings, state);
      try {
        const port = await owner.acquire();
        const turn = () => this.visit(state, port, job.slices, signal);
        await onRecord(this.settings, state, () => withProgress(this.settings, state, job.slices, turn));
      } catch (error) {
        const why = asFailure(error);
        for (const each of this.states.values()) {
          each.lastError = why;
          // Whoever waits for a meter learns that its line is away; one that did not open once may open now.
          if (owner.memory.failures > 1) rejectRequests(each, why);
        }
        log.warn({ port: this.name, error: messageOf(error) }, 'port is not open');
        await this.pause(owner.state.retryAt ?? later(clock.now(), 1000), signal);
        continue;
      } finally {
        end();
      }
      if (!signal.aborted) await tellReachability(this.settings, this.line);
    }
    endLoans(this.loans, this.name);
    for (const state of this.states.values()) rejectRequests(state, gatewayStops());
  }

  private async pause(until: Millis, signal: AbortSignal): Promise<void> {
    this.stepDue = later(until, 1000);
    this.wakeUp = new AbortController();
    const wakeUp = this.wakeUp;
    // What was asked for since the beginning of this round has nobody to wake.
    if (this.betweenSessions.length > 0 || this.loans.waiting) return;
    const end = () => wakeUp.abort();
    signal.addEventListener('abort', end);
    await this.settings.clock.sleepUntil(until, wakeUp.signal);
    signal.removeEventListener('abort', end);
  }

  /** One visit; nothing is thrown but our own bugs. */
  private async visit(
    state: MeterState,
    port: Port,
    slices: readonly PlannedSlice[],
    signal: AbortSignal,
  ): Promise<void> {
    const { settings, strangers } = this;
    this.busyWith = state.polled.origin.meter;
    const linePauseMs = await visit(settings, state, {
      port,
      slices,
      signal,
      othersWait: () => [...this.states.values()].some((other) => other !== state && isRequested(other)),
      holdBack: (session) => holdBack(settings, strangers, state, session),
    }).finally(() => {
      this.busyWith = undefined;
    });
    if (linePauseMs !== undefined) this.line.silentNotBefore = later(settings.clock.now(), linePauseMs);
  }

  series(): AccountedSeries[] {
    return accountedSeries(this.settings);
  }
  trouble(): string | undefined {
    return lineTrouble(this.settings, this.states.values());
  }
  gaps(): SeriesGap[] {
    return gapsOf(this.settings, this.states.values());
  }
  busFault(): BusFault | undefined {
    return busFaultOf(this.settings, this.line);
  }
  status(): MeterStatus[] {
    return statusOf(this.settings, this.line);
  }
}
