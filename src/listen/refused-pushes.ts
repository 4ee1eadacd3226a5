/** What was not taken of pushes: each sender and reason is an event once a day; who is behind it, and how often, is counted. */
import { type ErrorCode, type Failure, type Fault, messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import type { Log } from '../base/log.ts';
import { type Clock, dayMs, iso, type Millis } from '../base/time.ts';
import { type EventFact, gatewayFact, type Origin } from '../reading/facts.ts';
import type { Store } from '../store/store.ts';

export interface RefusedPush {
  readonly listener: string;
  readonly peer: string;
  readonly error: Failure;
  readonly systemTitle?: Uint8Array | undefined;
  /** The meter that it names; undefined where it is none of ours. */
  readonly origin: Origin | undefined;
}
/** Of a listener: how many pushes were refused since the start, and the last of them. */
export interface RefusedSummary {
  readonly count: number;
  readonly at: string;
  readonly peer: string;
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly why: string;
  readonly nextStep: string;
}
/** Senders of whom an event is made; those beyond are only counted. */
const maxSenders = 500;
/** Characters of an event. */
const maxWords = 300;

export class RefusedPushes {
  private readonly store: Store;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly reportedAt = new Map<string, Millis>();
  private readonly summaries = new Map<string, RefusedSummary>();

  constructor({ store, clock, log }: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {
    this.store = store;
    this.clock = clock;
    this.log = log;
  }

  summary(listener: string): RefusedSummary | undefined {
    return this.summaries.get(listener);
  }

  /** Never rejects. */
  async tell(push: RefusedPush): Promise<void> {
    const { error, origin, listener, peer } = push;
    this.summaries.set(listener, {
      count: (this.summaries.get(listener)?.count ?? 0) + 1,
      at: iso(this.clock.wall()),
      peer,
      code: error.code,
      fault: error.fault,
      why: error.message,
      nextStep: error.nextStep,
    });
    const who = origin?.meter ?? named(push);
    const key = `${who} ${error.code}`;
    const now = this.clock.now();
    const reported = this.reportedAt.get(key);
    if (reported !== undefined && now - reported < dayMs) return;
    if (reported === undefined && this.reportedAt.size >= maxSenders) return;
    this.reportedAt.set(key, now);
    const event = this.eventOf(push);
    this.log.warn({ listener: push.listener, peer: push.peer, code: error.code, who }, error.message);
    await this.store
      .commit({ meter: event.meter, entryClass: 0, facts: [event] })
      .catch((failure: unknown) => this.log.error({ error: messageOf(failure) }, 'a refused push could not be stored'));
  }

  private eventOf({ listener, peer, error, systemTitle, origin }: RefusedPush): EventFact {
    const detail = {
      listener,
      peer,
      code: error.code,
      why: error.message.slice(0, maxWords),
      title: systemTitle ? toHex(systemTitle) : null,
      serial: serialOf(error)?.slice(0, maxWords) ?? null,
    };
    const wall = this.clock.wall();
    if (error.code === 'push-flood') return gatewayFact(wall, 'PUSH_FLOOD', detail);
    if (origin && !isStranger(error.code)) return gatewayFact(wall, 'PUSH_REFUSED', detail, origin);
    return gatewayFact(wall, 'PUSH_STRANGER', detail);
  }
}
export const serialOf = ({ detail: { serial } }: Failure): string | undefined =>
  typeof serial === 'string' ? serial : undefined;
/** What a stranger calls itself. */
const named = ({ systemTitle, error, peer }: RefusedPush): string =>
  systemTitle ? toHex(systemTitle) : (serialOf(error) ?? hostOf(peer));
const isStranger = (code: ErrorCode): boolean => code === 'push-stranger';
/** A peer without its port: each connection has another one. */
export const hostOf = (peer: string): string => peer.replace(/:\d+$/, '');
