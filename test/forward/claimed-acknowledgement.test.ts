/** What of an acknowledgement is believed: never more than the broker has taken in this life. */
import { array, assert, integer, oneof, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  applied,
  awaited,
  believable,
  brokerTook,
  type Evidence,
  newEvidence,
  provesFallBack,
} from '../../src/forward/acknowledgement.ts';

const claimed = (evidence: Evidence, upTo: number, nack: number[] = []) => {
  evidence.claim = { epoch: evidence.epoch, upTo, nack };
};
const taken = (evidence: Evidence, ...sequences: number[]) => {
  for (const sequence of sequences) brokerTook(evidence, sequence);
};
const state = (acknowledged: number, ...refused: number[]) => ({ acknowledged, refused });

describe('how far a claim is believed', () => {
  test('as far as the broker took it without a hole, and the rest when the hole is filled', () => {
    const evidence = newEvidence(1, 10);
    claimed(evidence, 15);
    expect(believable(evidence, state(10))).toBeUndefined();
    taken(evidence, 11, 12, 14);
    expect(believable(evidence, state(10))).toMatchObject({ upTo: 12 });
    taken(evidence, 13);
    expect(believable(evidence, state(10))).toMatchObject({ upTo: 14 });
    taken(evidence, 15, 16);
    expect(believable(evidence, state(10))).toMatchObject({ upTo: 15 });
  });
  test('what is believed in full is no claim any more; what is not stays one', () => {
    const evidence = newEvidence(1, 0);
    taken(evidence, 1, 2);
    claimed(evidence, 3);
    applied(evidence, 0, believable(evidence, state(0)) as NonNullable<ReturnType<typeof believable>>);
    expect(evidence.claim).toMatchObject({ upTo: 3 });
    taken(evidence, 3);
    applied(evidence, 2, believable(evidence, state(2)) as NonNullable<ReturnType<typeof believable>>);
    expect([evidence.claim, [...evidence.taken], evidence.upTo]).toEqual([undefined, [], 3]);
  });
  test('what was acknowledged before is not deleted again', () => {
    const evidence = newEvidence(1, 5);
    claimed(evidence, 4);
    expect(believable(evidence, state(5))).toBeUndefined();
  });
});

describe('refusals', () => {
  test('only of what was sent in this life; one counts once', () => {
    const evidence = newEvidence(1, 0);
    taken(evidence, 1, 2, 3);
    claimed(evidence, 3, [2, 7]);
    const belief = believable(evidence, state(0));
    expect(belief).toEqual({ upTo: 3, nack: [2], unproven: [], released: [] });
    applied(evidence, 0, belief as NonNullable<typeof belief>);
    // It is sent again, and the same word of the head-end refuses it no more.
    expect([evidence.claim, believable(evidence, state(3, 2))]).toEqual([undefined, undefined]);
  });
  test('refused before, sent again and wanted no more: it is released; not sent since: it stays', () => {
    const evidence = newEvidence(1, 3);
    taken(evidence, 2);
    claimed(evidence, 3, []);
    expect(believable(evidence, state(3, 1, 2))).toEqual({ upTo: 3, nack: [], unproven: [1], released: [2] });
  });
  test('refused twice it stays refused', () => {
    const evidence = newEvidence(1, 3);
    taken(evidence, 2);
    claimed(evidence, 3, [2]);
    expect(believable(evidence, state(3, 2))).toEqual({ upTo: 3, nack: [2], unproven: [], released: [] });
  });
  test('of what an earlier life sent nothing is refused', () => {
    const evidence = newEvidence(1, 3);
    taken(evidence, 4);
    claimed(evidence, 4, [2]);
    expect(believable(evidence, state(3))).toMatchObject({ upTo: 4, nack: [] });
  });
  test('what is sent again is not refused by the word that refused it before', () => {
    const evidence = newEvidence(1, 0);
    taken(evidence, 1, 2, 3);
    claimed(evidence, 5, [2, 4]);
    const believed = (acknowledged: number, ...refused: number[]) => {
      const belief = believable(evidence, state(acknowledged, ...refused));
      if (belief) applied(evidence, acknowledged, belief);
      return belief;
    };
    expect(believed(0)).toMatchObject({ upTo: 3, nack: [2] });
    expect(evidence.claim?.nack).toEqual([4]);
    taken(evidence, 2);
    expect(believed(3, 2)).toMatchObject({ upTo: 3, nack: [], released: [2] });
    taken(evidence, 4, 5);
    expect(believed(3)).toMatchObject({ upTo: 5, nack: [4] });
    // The head-end says it once more, and nothing was sent since.
    claimed(evidence, 5, [4]);
    expect(believed(5, 4)).toBeUndefined();
  });
  test('a claim stands until all that it releases was sent again', () => {
    const evidence = newEvidence(1, 3);
    taken(evidence, 2);
    claimed(evidence, 3);
    applied(evidence, 3, believable(evidence, state(3, 1, 2)) as NonNullable<ReturnType<typeof believable>>);
    taken(evidence, 1);
    expect(believable(evidence, state(3, 1))).toMatchObject({ released: [1] });
  });
  test('refused again after it was sent again: the evidence of both times is gone', () => {
    const evidence = newEvidence(1, 3);
    taken(evidence, 2);
    claimed(evidence, 3, [2]);
    applied(evidence, 3, believable(evidence, state(3, 2)) as NonNullable<ReturnType<typeof believable>>);
    expect([...evidence.taken]).toEqual([]);
  });
  test('awaited is what is neither acknowledged nor free of a refusal', () => {
    expect([1, 2, 3, 4].filter((sequence) => awaited(sequence, state(3, 2)))).toEqual([2, 4]);
  });
});

test('whatever is sent and claimed: nothing is deleted that the broker did not take, or that was refused', () => {
  const sequence = integer({ min: 1, max: 12 });
  const step = oneof(
    record({ take: sequence }),
    record({ upTo: integer({ min: 0, max: 15 }), nack: array(sequence, { maxLength: 3 }) }),
  );
  assert(
    property(array(step, { maxLength: 30 }), (steps) => {
      const evidence = newEvidence(1, 0);
      const everTaken = new Set<number>();
      let [acknowledged, refused] = [0, [] as number[]];
      for (const one of steps) {
        if ('take' in one) {
          // Only what waits is sent.
          if (!awaited(one.take, { acknowledged, refused })) continue;
          everTaken.add(one.take);
          brokerTook(evidence, one.take);
        } else claimed(evidence, one.upTo, one.nack);
        const belief = believable(evidence, { acknowledged, refused });
        if (!belief) continue;
        const before = acknowledged;
        acknowledged = Math.max(acknowledged, belief.upTo);
        refused = [...new Set([...refused.filter((n) => !belief.released.includes(n)), ...belief.nack])];
        for (let n = before + 1; n <= acknowledged; n++) expect(everTaken.has(n)).toBe(true);
        for (const n of belief.released) expect(belief.nack).not.toContain(n);
        applied(evidence, before, belief);
      }
    }),
    { numRuns: 300 },
  );
});

describe('an answer that proves that the state fell back', () => {
  const own = { epoch: 3, nextSequence: 10, unheardFrom: undefined };
  test.each([
    ['a later epoch', { epoch: 4, upTo: 0 }, own, { epoch: 4, upTo: 0 }],
    ['a number that was never given', { epoch: 3, upTo: 10 }, own, { epoch: 3, upTo: 10 }],
    ['it saw one that was never given', { epoch: 3, upTo: 2, seen: 11 }, own, { epoch: 3, upTo: 11 }],
    ['the last number that was given', { epoch: 3, upTo: 9 }, own, undefined],
    ['an earlier epoch', { epoch: 2, upTo: 99 }, own, undefined],
    [
      'given in this life, and nothing was sent yet',
      { epoch: 3, upTo: 8 },
      { ...own, unheardFrom: 8 },
      { epoch: 3, upTo: 8 },
    ],
    ['given before this life', { epoch: 3, upTo: 7 }, { ...own, unheardFrom: 8 }, undefined],
  ] as const)('%s', (_, ack, known, proof) => {
    expect(provesFallBack({ nack: [], ...ack }, known)).toEqual(proof);
  });
});
