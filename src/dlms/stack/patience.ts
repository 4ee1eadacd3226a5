/**
 * The total of one step of a session: link set-up, association, a request, the end. Idle time-outs are renewed by every octet
 * that comes, so a peer that trickles could hold a line for ever; a total is not renewed, it is earned: each octet that was
 * gained adds what an honest line would need for it, and something for pauses.
 */
import { Failure } from '../../base/errors.ts';
import { type Millis, millis } from '../../base/time.ts';

export interface Patience {
  /** For a step in which nothing is gained: every try of its longest frame. */
  readonly stepMs: number;
  /** What each octet gained adds to it. */
  readonly octetMs: number;
}
/** A request that was answered earns as many octets as this, for it may be one of many small ones in a step. */
const octetsOfRequest = 32;

export class StepTotal {
  private readonly patience: Patience;
  private begun: { readonly at: Millis; readonly what: string; readonly gained: number } | undefined;
  private heard = 0;
  private gained = 0;
  private requests = 0;
  /** No step lasts longer than this, whatever it earns: the end of the session, or of what one request may take. */
  endsAt: Millis | undefined;

  constructor(patience: Patience) {
    this.patience = patience;
  }
  begin(what: string, gained: number, now: Millis): void {
    this.begun = { at: now, what, gained };
    this.gained = gained;
    this.heard = this.requests = 0;
  }
  end(): void {
    this.begun = undefined;
  }
  /** Octets came from the line; `gained` in all are of use so far. */
  hear(octets: number, gained: number): void {
    this.heard += octets;
    this.gained = gained;
  }
  /** A request went out that continues the step; the next block of one answer earns nothing by being asked for. */
  asked(count: 1 | -1): void {
    this.requests = Math.max(0, this.requests + count);
  }
  deadline(): Millis | undefined {
    if (!this.begun) return undefined;
    const { stepMs, octetMs } = this.patience;
    const octets = this.gained - this.begun.gained + this.requests * octetsOfRequest;
    const earned = this.begun.at + stepMs + octets * octetMs;
    return millis(Math.ceil(Math.min(earned, this.endsAt ?? Number.POSITIVE_INFINITY)));
  }
  /** Why the step is over, once it is. */
  over(now: Millis): Failure | undefined {
    const deadline = this.deadline();
    if (!this.begun || deadline === undefined || now < deadline) return undefined;
    const spent = `${Math.round((now - this.begun.at) / 1000)} s`;
    return this.heard === 0
      ? new Failure('no-answer', `no answer to ${this.begun.what} within its total of ${spent}`)
      : new Failure(
          'answer-too-slow',
          `${this.begun.what} did not end within its total of ${spent}: ${this.heard} octets came, ${this.gained - this.begun.gained} of use`,
        );
  }
}
