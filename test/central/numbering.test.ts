import { array, assert, constant, integer, property, shuffledSubarray, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ackOf, askForHoles, greet, hold, isPlausible, newNumbers } from '../../src/central/numbering.ts';
import { has, numbersOf, runOf, withAll, without } from '../../src/central/ranges.ts';

const born = (epoch = 5, acknowledged = 0) => greet(newNumbers('g'), { epoch, acknowledged }, 0).numbers;

test('ranges are sets of numbers', () => {
  const numbers = array(integer({ min: 1, max: 40 }), { maxLength: 30 });
  const ranges = (all: readonly number[]) =>
    withAll(
      [],
      all.map((one) => [one, one] as const),
    );
  assert(
    property(numbers, numbers, (a, b) => {
      const [left, right] = [new Set(a), new Set(b)];
      expect(numbersOf(ranges(a), 99)).toEqual([...left].toSorted((x, y) => x - y));
      expect(numbersOf(withAll(ranges(a), ranges(b)), 99)).toEqual(
        [...new Set([...a, ...b])].toSorted((x, y) => x - y),
      );
      expect(numbersOf(without(ranges(a), ranges(b)), 99)).toEqual(
        [...left].filter((one) => !right.has(one)).toSorted((x, y) => x - y),
      );
      for (let one = 0; one < 42; one++) expect(has(ranges(a), one)).toBe(left.has(one));
    }),
  );
  expect([runOf([]), runOf([[2, 9]]), runOf([[1, 9]])]).toEqual([0, 0, 9]);
});

describe('acknowledgement', () => {
  test('in whatever order and portions numbers come, the same is acknowledged, and it never goes back', () => {
    const seqs = Array.from({ length: 20 }, (_, i) => i + 1);
    assert(
      property(
        shuffledSubarray(seqs, { minLength: 1 }).chain((some) =>
          tuple(constant(some), array(integer({ min: 1, max: 5 }))),
        ),
        ([some, portions]) => {
          let state = born();
          let upTo = 0;
          for (let at = 0, portion = 0; at < some.length; portion++) {
            const count = portions[portion] ?? 3;
            state = hold(state, 5, some.slice(at, at + count), 0);
            at += count;
            expect(ackOf(state)?.upTo).toBeGreaterThanOrEqual(upTo);
            upTo = ackOf(state)?.upTo as number;
          }
          let run = 0;
          while (some.includes(run + 1)) run++;
          expect(ackOf(state)).toEqual({ epoch: 5, upTo: run, seen: Math.max(...some), nack: [] });
        },
      ),
    );
  });
  test('an older birth begins nothing and is answered by the later epoch; a later one begins its own numbers', () => {
    const state = hold(born(), 5, [1, 2], 0);
    expect(ackOf(greet(state, { epoch: 4, acknowledged: 100 }, 0).numbers)).toMatchObject({ epoch: 5, upTo: 2 });
    const later = greet(state, { epoch: 6, acknowledged: 2 }, 0);
    expect([ackOf(later.numbers), later.lost]).toEqual([{ epoch: 6, upTo: 2, seen: 2, nack: [] }, undefined]);
    // What is still under way of the one before counts for no number of the new one.
    expect(ackOf(hold(later.numbers, 5, [3], 0))).toMatchObject({ epoch: 6, upTo: 2 });
  });
  test('a number that cannot be one of this gateway is not acknowledged', () => {
    expect(isPlausible(born(), { epoch: 5, seq: 3 })).toBe(true);
    expect(isPlausible(born(), { epoch: 5, seq: 2 ** 40 })).toBe(false);
    expect(isPlausible(born(), { epoch: 4, seq: 3 })).toBe(false);
  });
});

describe('our own loss', () => {
  test('incident: restored from a backup it hid its own loss: a birth that has acknowledged more than is here shows it', () => {
    const { numbers, lost } = greet(hold(born(), 5, [1, 2, 3, 4, 5, 7], 0), { epoch: 5, acknowledged: 100 }, 0);
    expect(lost).toEqual({
      epoch: 5,
      ranges: [
        [6, 6],
        [8, 100],
      ],
    });
    expect(ackOf(hold(numbers, 5, [101], 0))).toMatchObject({ upTo: 101 });
    // It is found once.
    expect(greet(numbers, { epoch: 5, acknowledged: 100 }, 0).lost).toBeUndefined();
  });
  test('a gateway that nobody here knows has acknowledged to somebody what is not here', () => {
    expect(greet(newNumbers('g'), { epoch: 5, acknowledged: 3 }, 0).lost).toEqual({ epoch: 5, ranges: [[1, 3]] });
  });
  test('numbers go on across epochs: what was held in the one before is not lost in the next', () => {
    expect(greet(hold(born(), 5, [1, 2, 3], 0), { epoch: 6, acknowledged: 3 }, 0).lost).toBeUndefined();
  });
});

describe('holes', () => {
  const holed = () => hold(born(), 5, [1, 2, 5, 6, 9], 0);
  test('one that stays is asked for; the gateway may delete the rest, and keeps it across its birth', () => {
    expect(askForHoles(holed(), 9_000).changed).toBe(false);
    const { numbers } = askForHoles(holed(), 10_000);
    expect(ackOf(numbers)).toEqual({ epoch: 5, upTo: 9, seen: 9, nack: [3, 4, 7, 8] });
    const greeted = greet(numbers, { epoch: 5, acknowledged: 9 }, 10_000);
    expect([greeted.lost, ackOf(greeted.numbers)?.nack]).toEqual([undefined, [3, 4, 7, 8]]);
    expect(ackOf(hold(numbers, 5, [3, 4, 7], 11_000))).toEqual({ epoch: 5, upTo: 9, seen: 9, nack: [8] });
  });
  test('one that moves is none: workers do not come in order', () => {
    const moved = hold(holed(), 5, [3], 9_000);
    expect(askForHoles(moved, 12_000).changed).toBe(false);
    expect(askForHoles(moved, 19_000).changed).toBe(true);
  });
  test('one that was asked for in vain is a loss, and nothing hangs on it any more', () => {
    const asked = askForHoles(holed(), 10_000).numbers;
    const { numbers, lost } = askForHoles(asked, 10_001 + 3_600_000);
    expect(lost).toEqual({
      epoch: 5,
      ranges: [
        [3, 4],
        [7, 8],
      ],
    });
    expect(ackOf(numbers)).toEqual({ epoch: 5, upTo: 9, seen: 9, nack: [] });
  });
});
