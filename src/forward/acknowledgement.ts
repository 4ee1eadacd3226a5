/**
 * What a head-end's acknowledgement is worth: it may delete what the broker has taken (PUBACK) of this epoch during this
 * process's life, and nothing else. What it claims beyond that is remembered, and believed as far as the evidence catches
 * up: what an earlier life sent is sent again. Live rows go before back-fill, so PUBACKs do not come in the order of the
 * numbers.
 */
import type { AckPayload } from '../contract/payloads.ts';

export interface Evidence {
  readonly epoch: number;
  /** Numbers that the broker has taken and the head-end not acknowledged. */
  readonly taken: Set<number>;
  /** The broker has taken every number up to here. */
  upTo: number;
  /** The newest word of the head-end, as long as it is not applied in full. */
  claim: AckPayload | undefined;
}
/** What of a claim is believed: numbers to keep among those up to `upTo`, and why. */
export interface Belief {
  readonly upTo: number;
  /** Refused by the head-end: to be sent again. */
  readonly nack: readonly number[];
  /** Refused before and not sent since: they stay. */
  readonly unproven: readonly number[];
  /** Refused before, sent again, and wanted no more. */
  readonly released: readonly number[];
}
export const newEvidence = (epoch: number, acknowledged: number): Evidence => ({
  epoch,
  taken: new Set(),
  upTo: acknowledged,
  claim: undefined,
});

export function brokerTook(evidence: Evidence, sequence: number): void {
  evidence.taken.add(sequence);
  while (evidence.taken.has(evidence.upTo + 1)) evidence.upTo++;
}

/** The head-end does not have it. */
export const awaited = (
  sequence: number,
  { acknowledged, refused }: { readonly acknowledged: number; readonly refused: readonly number[] },
): boolean => sequence > acknowledged || refused.includes(sequence);

/** What of the claim may be applied now; undefined where nothing would change. `refused`: kept below the acknowledged. */
export function believable(
  evidence: Evidence,
  { acknowledged, refused }: { readonly acknowledged: number; readonly refused: readonly number[] },
): Belief | undefined {
  const { claim, taken } = evidence;
  if (!claim) return undefined;
  const upTo = Math.min(claim.upTo, Math.max(evidence.upTo, acknowledged));
  // Who refuses what was not sent to him has nothing to refuse.
  const nack = new Set(claim.nack.filter((sequence) => sequence <= upTo && taken.has(sequence)));
  const unproven = refused.filter((sequence) => sequence <= upTo && !taken.has(sequence));
  const released = refused.filter((sequence) => sequence <= upTo && taken.has(sequence) && !nack.has(sequence));
  if (upTo <= acknowledged && nack.size + released.length === 0) return undefined;
  return { upTo, nack: [...nack], unproven, released };
}

/** The store has done it. The evidence for what is to be sent again is withdrawn. */
export function applied(evidence: Evidence, before: number, { upTo, nack, unproven, released }: Belief): void {
  for (const sequence of nack) evidence.taken.delete(sequence);
  for (const sequence of released) evidence.taken.delete(sequence);
  for (let sequence = before + 1; sequence <= upTo; sequence++) evidence.taken.delete(sequence);
  evidence.upTo = Math.max(evidence.upTo, upTo);
  const { claim } = evidence;
  if (!claim) return;
  // A refusal counts once: what is sent again is not refused before the head-end says so again.
  const rest = claim.nack.filter((sequence) => sequence > upTo);
  evidence.claim = claim.upTo <= upTo && unproven.length === 0 ? undefined : { ...claim, nack: rest };
}

/**
 * Of an answer that is no claim but a proof: numbers or an epoch that this state never gave. As long as nothing was sent in
 * this life, numbers that it gave since its start cannot have been heard of either: whoever knows them knows them of another
 * life, which was copied before.
 */
export function provesFallBack(
  ack: AckPayload,
  {
    epoch,
    nextSequence,
    unheardFrom,
  }: { readonly epoch: number; readonly nextSequence: number; readonly unheardFrom: number | undefined },
): { readonly epoch: number; readonly upTo: number } | undefined {
  const highest = Math.max(ack.upTo, ack.seen ?? 0);
  const beyond = ack.epoch > epoch || (ack.epoch === epoch && highest >= (unheardFrom ?? nextSequence));
  return beyond ? { epoch: ack.epoch, upTo: highest } : undefined;
}
