/** A stored message that cannot go as it is: the head-end would have to refuse it, or the broker finds it too large. */
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import { factOf } from '../store/outbox-record.ts';
import type { OutboxEntry } from '../store/outbox-record.ts';
import type { Store } from '../store/store.ts';
import { fitFact, isSuspicious, misfit } from './fit.ts';
import { factLimit } from '../contract/parse.ts';
import { messageOfFact } from './fact-message.ts';
import type { Topics } from '../contract/topics.ts';
import { partsFor } from './refusal.ts';

export interface RewordSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly gateway: string;
  readonly topics: Topics;
  /** Octets of a packet that the broker takes; undefined = as many as there are. */
  readonly packetLimit?: () => number;
}

/** Stored before facts were checked: what the head-end would have to refuse is said in other words. */
export async function reworded(entry: OutboxEntry, { store, log, clock }: RewordSettings): Promise<boolean> {
  if (!isSuspicious(entry.text)) return false;
  const fact = factOf(entry);
  const why = entry.text.length > factLimit ? 'too long' : misfit(fact);
  if (why === undefined) return false;
  log.warn(
    { seq: entry.sequence, why },
    'a message of an earlier version does not fit the contract: said in other words',
  );
  await store.replace(entry.sequence, fitFact(fact, clock.wall()), 'SPLIT');
  return true;
}

/** Into parts that the broker takes, under numbers of their own; false where that is not possible. */
export async function sentInParts(sequence: number, settings: RewordSettings): Promise<boolean> {
  const { store, log, gateway, topics, clock, packetLimit } = settings;
  const entry = await store.entry(sequence);
  if (!entry) return false;
  const { topic, payload } = messageOfFact(entry, { epoch: store.epoch, seq: sequence, gateway }, topics);
  const overhead = topic.length + Buffer.byteLength(payload) - Buffer.byteLength(entry.text);
  const parts = partsFor(factOf(entry), clock.wall(), { overhead, limit: packetLimit?.() });
  if (!parts) return false;
  if (!(await store.replace(sequence, parts.facts, parts.cause))) return false;
  log.warn(
    { seq: sequence, octets: payload.length, parts: parts.facts.length, cause: parts.cause },
    'a message was too large for the broker: what it said is said in parts',
  );
  return true;
}
