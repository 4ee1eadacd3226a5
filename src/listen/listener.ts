/**
 * A `[[listen]]` of the configuration: a port of this machine, or a line, on which meters push. Those that stand under it are
 * never asked: what does not come within a day is a gap, and who is silent for long is said to be.
 */
import { Failure, messageOf } from '../base/errors.ts';
import { dayMs, iso, later, longAgo, type Millis, millis, minuteMs } from '../base/time.ts';
import { NotificationReceiver } from '../dlms/stack/notification.ts';
import type { Listening } from '../line/open-port.ts';
import type { Port } from '../line/port.ts';
import type { PushedMeaning } from '../reading/pushed-meaning.ts';
import type { AccountedSeries } from '../schedule/manifest.ts';
import {
  type Line,
  type LineContext,
  type LineState,
  type MeterState,
  stateThroughReload,
} from '../schedule/meter-state.ts';
import { type BusFault, busFaultOf } from '../schedule/bus-fault.ts';
import { accountedSeries, gapsOf, type MeterStatus, statusOf } from '../schedule/port-report.ts';
import { seriesNamed } from '../schedule/polled-series.ts';
import { accountForMissed, commitPushed } from '../schedule/pushed-rows.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import { tellReachability } from '../schedule/telling.ts';
import type { PushMark } from '../store/records.ts';
import { readPushes } from './connection.ts';
import type { Hearing } from './hearing.ts';
import { type Bucket, fullBucket } from './rate-limit.ts';
import { hostOf } from './refused-pushes.ts';

export interface ListenerSettings extends Omit<LineContext, 'owner'> {
  readonly device: string;
  readonly link: 'hdlc' | 'wrapper' | 'p1';
  /** Messages of one peer. */
  readonly perMinute: number;
  readonly open: () => Promise<Listening>;
  /** Made of the meters of all lines: it is there when the listener runs. */
  readonly hearing: () => Hearing;
}
const firstPauseMs = 1000;
const longestPauseMs = 30_000;
/** Hosts whose rate is counted; the eldest is forgotten for another. */
const maxHosts = 1024;
/** A meter is silent when two of its intervals and some time brought nothing. */
const silentPeriods = 2;
const silentMarginMs = 15 * minuteMs;
/** What did not come within a day is a gap; when it comes after all, it revises that. */
const missedAfterMs = dayMs;
const lookEveryMs = minuteMs;

export class Listener {
  readonly name: string;
  private readonly settings: ListenerSettings;
  /** What is known of the line, as of one that is polled. */
  readonly owner: LineContext['owner'];
  private readonly context: LineContext;
  private readonly states: Map<string, MeterState>;
  private readonly line: Line;
  private readonly buckets = new Map<string, Bucket>();
  /** When a meter was heard last (monotonic). */
  private readonly heardAt = new Map<string, Millis>();
  private listening: Listening | undefined;
  private failure: Failure | undefined;
  private opened = 0;
  private working: Promise<unknown> = Promise.resolve();

  constructor(settings: ListenerSettings) {
    this.name = settings.name;
    this.settings = settings;
    const here = () => this;
    const now = () => ({ open: this.listening !== undefined, lastError: this.failure?.message });
    this.owner = {
      get state() {
        return { ...now(), opened: here().opened, retryAt: undefined, oneSession: false };
      },
      get memory() {
        return { ...now(), failures: 0, retryAt: longAgo, lastCode: here().failure?.code, reuse: 'unknown' as const };
      },
    };
    this.context = { ...settings, owner: this.owner };
    this.states = new Map(
      settings.meters.map((polled) => {
        const { meter } = polled.origin;
        this.heardAt.set(meter, settings.clock.now());
        return [meter, stateThroughReload(polled, settings.known?.get(meter))];
      }),
    );
    this.line = { silentNotBefore: longAgo, busFaultReported: false, ...settings.lineBefore, states: this.states };
  }

  get known(): ReadonlyMap<string, MeterState> {
    return this.states;
  }
  get lineState(): LineState {
    const { silentNotBefore, busFaultReported } = this.line;
    return { silentNotBefore, busFaultReported };
  }

  /** Stores what a meter pushed that stands under this listener; one push after another. */
  take(state: MeterState, meaning: PushedMeaning, pushed: PushMark | undefined): Promise<void> {
    return this.inTurn(async () => {
      const { clock } = this.settings;
      await commitPushed({ port: this.context, state, polled: false, proven: pushed !== undefined }, meaning, pushed);
      this.heardAt.set(state.polled.origin.meter, clock.now());
      state.failures = 0;
      state.lastError = undefined;
      state.lastSuccess = clock.wall();
      state.qualityWindow = [{ damaged: 0, repeated: 0 }];
    });
  }
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.working.catch(() => {}).then(work);
    this.working = next;
    return next;
  }

  /** Of what was pushed nothing can be read again: what is asked for is said to be lost. */
  sayAgain(meter: string, series: string, from: number, to: number): Promise<number> {
    const state = this.states.get(meter);
    const known = seriesNamed(state?.polled.series ?? [], series);
    if (!state || known.length === 0)
      return Promise.reject(new Failure('unknown-meter', `no series ${series} of a meter ${meter} on ${this.name}`));
    return this.inTurn(async () => {
      let intervals = 0;
      for (const settings of known) {
        intervals += await this.settings.store.sayAgain(meter, settings.series, from, to);
        await accountForMissed({ port: this.context, state }, settings, millis(to));
      }
      return intervals;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.settings.hearing().takeHeld();
    await Promise.all([this.listen(signal), this.watch(signal)]);
    await this.working.catch(() => {});
  }

  private async listen(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.settings;
    let pauseMs = firstPauseMs;
    while (!signal.aborted) {
      try {
        await this.accept(signal);
        pauseMs = firstPauseMs;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.failure = error;
        log.warn({ listener: this.name, code: error.code, next: error.nextStep }, error.message);
      }
      if (signal.aborted) break;
      await clock.sleepUntil(later(clock.now(), pauseMs), signal);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  /** Opens the line and serves whoever comes, until it is lost or the signal comes. */
  private async accept(signal: AbortSignal): Promise<void> {
    const listening = await this.settings.open();
    const ending = new AbortController();
    const close = () => {
      ending.abort();
      void listening.close().catch(() => {});
    };
    signal.addEventListener('abort', close);
    if (signal.aborted) close();
    this.listening = listening;
    this.failure = undefined;
    this.opened++;
    const serving = new Set<Promise<void>>();
    try {
      for (let port = await listening.accept(); port; port = await listening.accept()) {
        const connection = this.serve(port, ending.signal).finally(() => serving.delete(connection));
        serving.add(connection);
        // A serial line is one port: when it is lost, so is the line.
        if (!port.connection) {
          await connection;
          break;
        }
      }
    } finally {
      signal.removeEventListener('abort', close);
      this.listening = undefined;
      close();
      await Promise.allSettled(serving);
    }
  }

  private async serve(port: Port, signal: AbortSignal): Promise<void> {
    const { clock, perMinute, link, log } = this.settings;
    const hearing = this.settings.hearing();
    const receiver = new NotificationReceiver(hearing.receiverSettings(link));
    const place = { listener: this.name, peer: port.device };
    try {
      await readPushes(
        port,
        receiver,
        {
          clock,
          perMinute,
          bucket: this.bucketOf(hostOf(port.device)),
          datagrams: port.device.startsWith('udp:'),
          notified: (event) => hearing.take(event, place),
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'push-flood') await hearing.flooded(error, place);
      // A meter that hangs up has said what it had to say.
      else if (!port.connection && !signal.aborted) {
        this.failure = error;
        log.warn({ listener: this.name, code: error.code, error: messageOf(error) }, 'the line is lost');
      }
    }
  }
  private bucketOf(host: string): Bucket {
    const known = this.buckets.get(host);
    if (known) return known;
    const [eldest] = this.buckets.keys();
    if (eldest !== undefined && this.buckets.size >= maxHosts) this.buckets.delete(eldest);
    const fresh = fullBucket(this.settings.perMinute, this.settings.clock.now());
    this.buckets.set(host, fresh);
    return fresh;
  }

  private async watch(signal: AbortSignal): Promise<void> {
    const { clock, log, standstill, clockTrust } = this.settings;
    if (this.states.size === 0) return;
    while (!signal.aborted) {
      await clock.sleepUntil(later(clock.now(), lookEveryMs), signal);
      if (signal.aborted || standstill()) continue;
      try {
        this.markSilent();
        await tellReachability(this.context, this.line);
        if (clockTrust() !== 'untrusted') await this.inTurn(() => this.accountForSilence());
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        log.error({ listener: this.name, error: error.message }, 'what was not pushed could not be stored');
      }
    }
  }
  private markSilent(): void {
    const now = this.settings.clock.now();
    for (const [meter, state] of this.states) {
      const longest = Math.max(...state.polled.series.map(({ periodMs }) => periodMs));
      const silentMs = now - (this.heardAt.get(meter) ?? now);
      const failures = Math.max(0, Math.floor((silentMs - silentMarginMs) / longest) - silentPeriods + 1);
      if (failures === state.failures) continue;
      state.failures = failures;
      if (failures === 0) continue;
      const last = state.lastSuccess === undefined ? 'since the gateway started' : `since ${iso(state.lastSuccess)}`;
      state.lastError = new Failure('no-push', `${meter} has pushed nothing ${last}`);
      if (state.qualityWindow.length === 0) state.qualityWindow = [{ damaged: 0, repeated: 0 }];
      state.silentSince ??= this.settings.clock.wall();
    }
  }
  private async accountForSilence(): Promise<void> {
    const wall = this.settings.clock.wall();
    for (const state of this.states.values())
      for (const settings of state.polled.series) {
        const to = Math.floor((wall - missedAfterMs) / settings.periodMs) * settings.periodMs;
        await accountForMissed({ port: this.context, state }, settings, millis(to));
      }
  }

  /** Octets come when they come: nobody is on turn. */
  get activity(): undefined {
    return undefined;
  }
  trouble(): undefined {
    return undefined;
  }
  busFault(): BusFault | undefined {
    return busFaultOf(this.context, this.line);
  }
  series(): AccountedSeries[] {
    return accountedSeries(this.context);
  }
  gaps(): SeriesGap[] {
    return gapsOf(this.context, this.states.values());
  }
  status(): MeterStatus[] {
    return statusOf(this.context, this.line);
  }
}
