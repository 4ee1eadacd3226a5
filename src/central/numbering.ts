/**
 * Which numbers of a gateway are here, and what it is answered. Pure: whoever stores the facts stores this with them, in one
 * transaction, and answers after the commit. All workers come to the same, in whatever order messages come.
 */
import type { AckPayload } from '../contract/payloads.ts';
import { has, highestOf, numbersOf, type Range, type Ranges, runOf, withAll, without, withRange } from './ranges.ts';

/** Of one epoch of a gateway. */
interface EpochNumbers {
  readonly epoch: number;
  /** Numbers that are here, or that are given up: those stand among the losses. */
  readonly held: Ranges;
  /** Holes that were asked for by `nack`; the gateway keeps them although `upTo` is beyond. */
  readonly nacked: Ranges;
  /** When the oldest of them was asked for; ms. */
  readonly nackedAt: number | null;
  /** The number after which there is a hole although later ones are here, and since when; ms. */
  readonly hole: { readonly after: number; readonly since: number } | null;
}
export interface GatewayNumbers {
  readonly gateway: string;
  /** The newest last: it is the one that is answered. */
  readonly epochs: readonly EpochNumbers[];
  /** When a message of it came last; ms. */
  readonly heardAt: number | null;
  /** Messages that were refused, all of them counted. */
  readonly unfit: number;
  /** Messages whose number was here already: harmless. */
  readonly repeated: number;
  /** Of those, that had another content than before: never allowed. */
  readonly conflicts: number;
}
/** Numbers that were acknowledged and are not here: our own loss (CENTRAL_LOST), or a hole that was asked for in vain. */
export interface Lost {
  readonly epoch: number;
  readonly ranges: Ranges;
}
export const newNumbers = (gateway: string): GatewayNumbers => ({
  gateway,
  epochs: [],
  heardAt: null,
  unfit: 0,
  repeated: 0,
  conflicts: 0,
});

const newEpoch = (epoch: number): EpochNumbers => ({ epoch, held: [], nacked: [], nackedAt: null, hole: null });
const epochOf = ({ epochs }: GatewayNumbers, epoch: number): EpochNumbers =>
  epochs.find((one) => one.epoch === epoch) ?? newEpoch(epoch);
/** Older ones are asked about by nobody: a few remain, for what is still under way. */
const rememberedEpochs = 8;
const withEpoch = (numbers: GatewayNumbers, changed: EpochNumbers): GatewayNumbers => ({
  ...numbers,
  epochs: [...numbers.epochs.filter(({ epoch }) => epoch !== changed.epoch), changed]
    .toSorted((a, b) => a.epoch - b.epoch)
    .slice(-rememberedEpochs),
});

/** Nobody remembers which numbers of it are here: the store itself has to be asked. */
export const isForgotten = ({ epochs }: GatewayNumbers, epoch: number): boolean =>
  epochs.length === rememberedEpochs && epoch < (epochs[0]?.epoch ?? 0);
export const isHeld = (numbers: GatewayNumbers, epoch: number, seq: number): boolean =>
  has(epochOf(numbers, epoch).held, seq);

/** Further beyond all that came no number is believed that stands in a message which is wrong otherwise. */
const plausibleStep = 100_000;
/** Whether the number of an unfit message may be one of this gateway's, so that it is acknowledged all the same. */
export const isPlausible = (
  { epochs }: GatewayNumbers,
  number: { readonly epoch: number; readonly seq: number },
): boolean => {
  const known = epochs.find(({ epoch }) => epoch === number.epoch);
  return known !== undefined && number.seq <= highestOf(known.held) + plausibleStep;
};

/** These numbers came; `now` in ms. */
export function hold(numbers: GatewayNumbers, epoch: number, seqs: readonly number[], now: number): GatewayNumbers {
  const before = epochOf(numbers, epoch);
  const runs: Range[] = [];
  for (const seq of seqs.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && seq <= last[1] + 1) runs[runs.length - 1] = [last[0], Math.max(last[1], seq)];
    else runs.push([seq, seq]);
  }
  const held = withAll(before.held, runs);
  return withEpoch(numbers, looked({ ...before, held, nacked: without(before.nacked, held) }, now));
}
/** Notes since when it has stood before a hole. */
function looked(one: EpochNumbers, now: number): EpochNumbers {
  const reached = runOf(withAll(one.held, one.nacked));
  const hole =
    reached >= highestOf(one.held) ? null : one.hole?.after === reached ? one.hole : { after: reached, since: now };
  return { ...one, hole, nackedAt: one.nacked.length === 0 ? null : one.nackedAt };
}

/**
 * A gateway introduced itself, or said how it stands: everything up to `acknowledged` it has no more, except what was nacked.
 * What of it is not here, in this epoch or an earlier one (numbers go on across epochs), is lost.
 */
export function greet(
  numbers: GatewayNumbers,
  { epoch, acknowledged }: { readonly epoch: number; readonly acknowledged: number },
  now: number,
): { readonly numbers: GatewayNumbers; readonly lost: Lost | undefined } {
  const newest = numbers.epochs.at(-1)?.epoch ?? -1;
  // The gateway's state fell back: the answer says so, and nothing begins here.
  if (epoch < newest) return { numbers, lost: undefined };
  const one = epochOf(numbers, epoch);
  if (acknowledged === 0)
    return { numbers: numbers.epochs.includes(one) ? numbers : withEpoch(numbers, one), lost: undefined };
  const known = numbers.epochs.reduce<Ranges>((all, { held }) => withAll(all, held), []);
  const lost = without(without([[1, acknowledged]], known), one.nacked);
  const gone = without([[1, acknowledged]], one.nacked);
  if (numbers.epochs.includes(one) && without(gone, one.held).length === 0) return { numbers, lost: undefined };
  const changed = looked({ ...one, held: withAll(one.held, gone) }, now);
  return { numbers: withEpoch(numbers, changed), lost: lost.length === 0 ? undefined : { epoch, ranges: lost } };
}

/** Later messages are here so long before a hole is asked for: several workers do not come in order. */
const holePatienceMs = 10_000;
/** So long a hole that was asked for may come; then it counts as lost. */
const nackPatienceMs = 3_600_000;
/** As many as one acknowledgement may name. */
const nackLimit = 1000;
/** Asks for holes that stay, and gives up those that were asked for in vain. To be called now and then. */
export function askForHoles(
  numbers: GatewayNumbers,
  now: number,
): { readonly numbers: GatewayNumbers; readonly lost: Lost | undefined; readonly changed: boolean } {
  const one = numbers.epochs.at(-1);
  if (!one) return { numbers, lost: undefined, changed: false };
  let next = one;
  let lost: Lost | undefined;
  if (one.nackedAt !== null && now - one.nackedAt > nackPatienceMs) {
    lost = { epoch: one.epoch, ranges: one.nacked };
    next = { ...next, held: withAll(next.held, next.nacked), nacked: [], nackedAt: null };
  }
  if (next.hole !== null && now - next.hole.since >= holePatienceMs) {
    const holes = without(without([[1, highestOf(next.held)]], next.held), next.nacked);
    const room = nackLimit - numbersOf(next.nacked, nackLimit).length;
    const asked = numbersOf(holes, room).reduce<Ranges>((all, seq) => withRange(all, [seq, seq]), []);
    if (asked.length > 0) next = { ...next, nacked: withAll(next.nacked, asked), nackedAt: next.nackedAt ?? now };
  }
  if (next === one) return { numbers, lost, changed: false };
  return { numbers: withEpoch(numbers, looked(next, now)), lost, changed: true };
}

/** What is acknowledged to a gateway: after each of its births, and after each commit. It never goes back. */
export function ackOf({ epochs }: GatewayNumbers): AckPayload | undefined {
  const one = epochs.at(-1);
  if (!one) return undefined;
  const { epoch, held, nacked } = one;
  return { epoch, upTo: runOf(withAll(held, nacked)), seen: highestOf(held), nack: numbersOf(nacked, nackLimit) };
}
