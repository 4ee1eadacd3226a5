import { expect, test } from 'vitest';
import { type Clock, millis } from '../../src/base/time.ts';
import { lineStep, type StepContext } from '../../src/commission/meter-steps.ts';

/** A line on which the questions of these numbers have to be repeated after a damaged answer. */
function lineOf(isDamaged: (question: number) => boolean): StepContext {
  const counters = { damaged: 0, repeated: 0, trailing: 0, foreign: 0 };
  let asked = 0;
  const get = () => {
    if (isDamaged(asked++)) {
      counters.damaged++;
      counters.repeated++;
    }
    return Promise.resolve([]);
  };
  const session = {
    get,
    stack: {
      get counters() {
        return { ...counters };
      },
    },
  };
  const clock: Pick<Clock, 'now' | 'wall'> = { now: () => millis(0), wall: () => millis(0) };
  return { session, clock } as unknown as StepContext;
}

test('a line without damage is asked as often as was wished', async () => {
  expect(
    await lineStep(
      lineOf(() => false),
      20,
    ),
  ).toMatchObject({ exchanges: 20, answered: 20, damaged: 0 });
});
test('incident: one moment of disturbance among twenty questions made a good meter NOT GOOD', async () => {
  const { damaged, exchanges } = await lineStep(
    lineOf((question) => question === 4 || question === 5),
    20,
  );
  expect(damaged).toBe(2);
  // What is told as a bad line is more than a twentieth.
  expect(damaged / exchanges).toBeLessThan(0.05);
});
test('a bad clamp stays, however often it is asked', async () => {
  const { damaged, exchanges } = await lineStep(
    lineOf((question) => question % 5 === 0),
    20,
  );
  expect(damaged / exchanges).toBeCloseTo(0.2);
});
