/** What waits for its transaction; bounded by octets, so that a backlog of all gateways does not fill the memory. */
import type { Received } from './arrival.ts';

/** A batch is one transaction; so many messages, or so many octets. */
const batchLimit = 500;
const batchOctets = 2 ** 20;
/** So much waits here at most; then nothing more is read from the broker, and the gateways send again what it drops. */
const queueOctets = 3 * 2 ** 20;

export class Queue {
  private waiting: { readonly received: Received; readonly octets: number }[] = [];
  private octets = 0;
  /** Called when there is room again. */
  private resume: (() => void) | undefined;

  get size(): number {
    return this.waiting.length;
  }
  push(received: Received, octets: number): void {
    this.waiting.push({ received, octets });
    this.octets += octets;
  }
  /** Calls back at once, or as soon as there is room. */
  whenRoom(then: () => void): void {
    if (this.octets < queueOctets) then();
    else this.resume = then;
  }
  /** The oldest, as many as go into one transaction; they stay until `done`. */
  batch(): readonly Received[] {
    let [count, octets] = [0, 0];
    for (const one of this.waiting) {
      if (count >= batchLimit || (count > 0 && octets + one.octets > batchOctets)) break;
      count++;
      octets += one.octets;
    }
    return this.waiting.slice(0, count).map(({ received }) => received);
  }
  done(count: number): void {
    for (const { octets } of this.waiting.slice(0, count)) this.octets -= octets;
    this.waiting = this.waiting.slice(count);
    if (this.octets >= queueOctets) return;
    const { resume } = this;
    this.resume = undefined;
    resume?.();
  }
}
