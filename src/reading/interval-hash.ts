/**
 * The fingerprint of what was said of an interval, and the digest of a day. Both sides compute them from the same facts:
 * the gateway to know what it said, the central system to prove that nothing is missing.
 */
import { createHash } from 'node:crypto';
import type { Channel, GapFact, Integer, ProfileFact } from './facts.ts';
import type { Flag } from './quality.ts';
import { hashOf, type Mark } from './ledger.ts';

/** The part of a block that is hashed, as it was read or as it was received. */
interface BlockOf extends Pick<ProfileFact, 'kind' | 'start' | 'periodS' | 'quality' | 'rev'> {
  readonly status: readonly (number | null)[];
  readonly channels: readonly {
    readonly obis: Channel['obis'];
    readonly register?: Channel['register'] | undefined;
    readonly energy?: Channel['energy'] | undefined;
    readonly value?: Channel['value'] | undefined;
  }[];
  readonly flags?: readonly (readonly Flag[])[] | undefined;
}
type GapOf = Pick<GapFact, 'kind' | 'start' | 'end' | 'cause' | 'before' | 'after' | 'rev'>;

/** Of one interval of a block. Whether the gateway knew the time when it read is delivered, but makes no other value of it. */
export function intervalHash(block: Omit<BlockOf, 'kind' | 'start' | 'rev'>, i: number): number {
  return hashOf(
    block.periodS,
    block.status[i] ?? null,
    block.channels.map(({ obis, register, energy, value }) => [
      obis,
      text((register ?? value)?.[i]),
      text(energy?.[i]),
    ]),
    block.quality[i],
    (block.flags?.[i] ?? []).filter((flag) => flag !== 'TIME_UNTRUSTED'),
  );
}
const text = (value: Integer | null | undefined): string | null =>
  value === null || value === undefined ? null : String(value);

/** The hash of every interval in a gap. */
export const gapHash = ({ cause, start, end, before, after }: Omit<GapOf, 'kind' | 'rev'>): number =>
  hashOf(cause, start, end, before, after);

/** What a block or gap says of each of its intervals; of a gap of years only those that touch the span, where one is given. */
export function marksOf(
  fact: BlockOf | GapOf,
  periodMs: number,
  [spanFrom, spanTo]: readonly [from: number, to: number] = [-Infinity, Infinity],
): Mark[] {
  const from = Date.parse(fact.start);
  if (fact.kind === 'profile')
    return fact.rev.map((rev, i) => ({
      start: from + i * fact.periodS * 1000,
      rev,
      hash: intervalHash(fact, i),
      gap: false,
    }));
  const hash = gapHash(fact);
  const count = Math.round((Date.parse(fact.end) - from) / periodMs);
  const first = Math.max(0, Math.floor((spanFrom - from) / periodMs));
  const last = Math.min(count, Math.ceil((spanTo - from) / periodMs));
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => ({
    start: from + (first + i) * periodMs,
    rev: fact.rev,
    hash,
    gap: true,
  }));
}

export interface DigestedInterval {
  readonly start: number;
  readonly rev: number;
  readonly hash: number;
}
/** SHA-256 over `start:rev:hash` of the intervals that begin in the day, in order, start in seconds. */
export function dayDigest(intervals: Iterable<DigestedInterval>): string {
  const digest = createHash('sha256');
  for (const { start, rev, hash } of [...intervals].toSorted((a, b) => a.start - b.start))
    digest.update(`${start / 1000}:${rev}:${hash}\n`);
  return digest.digest('hex');
}
