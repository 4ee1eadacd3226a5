/** A clock that jumps from deadline to deadline when everybody sleeps. Deterministic; a day passes in milliseconds. */
import { type Clock, type Millis, millis } from '../../src/base/time.ts';

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly resolve: () => void;
}

export class VirtualClock implements Clock {
  private time: number;
  private sleepers: Sleeper[] = [];
  private order = 0;
  /** Until when time may run although something real is not done. */
  private readonly holds = new Set<{ readonly until: number }>();
  private released: () => void = () => {};
  /** Wall minus even time: a test may set the time of day. */
  wallOffsetMs = 0;

  constructor(start: number) {
    this.time = start;
  }
  /** Who sleeps. */
  get sleeping(): number {
    return this.sleepers.length;
  }
  now(): Millis {
    return millis(this.time);
  }
  wall(): Millis {
    return millis(this.time + this.wallOffsetMs);
  }
  sleepUntil(deadline: Millis, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const woken = () => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      const sleeper: Sleeper = {
        at: deadline,
        order: this.order++,
        // A signal that lives for weeks must not gather listeners.
        resolve: () => {
          signal?.removeEventListener('abort', woken);
          resolve();
        },
      };
      this.sleepers.push(sleeper);
      signal?.addEventListener('abort', woken, { once: true });
    });
  }
  /** Work of a real disk or a real broker takes so much virtual time at most: then time stands still until it is settled. */
  async hold<T>(work: Promise<T>, maxMs = 0): Promise<T> {
    const one = { until: this.time + maxMs };
    this.holds.add(one);
    try {
      return await work;
    } finally {
      this.holds.delete(one);
      this.released();
    }
  }
  /** Lets all that is ready run, then jumps to the next deadline, until `done` or the limit. */
  async run(until: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      // All promises settle before time moves: an immediate comes when no microtask is left.
      await new Promise((resolve) => setImmediate(resolve));
      if (done()) return;
      let next: Sleeper | undefined;
      for (const sleeper of this.sleepers) {
        if (!next || sleeper.at < next.at || (sleeper.at === next.at && sleeper.order < next.order)) next = sleeper;
      }
      const wakeAt = Math.min(next?.at ?? until, until);
      if ([...this.holds].some((one) => one.until < wakeAt)) {
        await new Promise<void>((resolve) => {
          this.released = resolve;
        });
        continue;
      }
      if (!next || next.at > until) {
        this.time = Math.max(this.time, until);
        return;
      }
      this.time = Math.max(this.time, next.at);
      const first = next;
      this.sleepers = this.sleepers.filter((sleeper) => sleeper !== first);
      first.resolve();
    }
  }
  /** Runs a task to its end in virtual time. */
  async complete<T>(task: Promise<T>, limitMs = 86_400_000): Promise<T> {
    let settled = false;
    const watched = task.finally(() => {
      settled = true;
    });
    watched.catch(() => {});
    const limit = this.time + limitMs;
    await this.run(limit, () => settled);
    if (!settled) throw new Error(`not done within ${limitMs} ms of virtual time`);
    return watched;
  }
}
