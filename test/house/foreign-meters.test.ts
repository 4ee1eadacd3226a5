/**
 * Foreign meters with the default model: whatever a meter mishandles beside its profile, its rows are delivered, its
 * neighbour's too, and `status` says what is done in another way (recordings x2-* of test/traces/incidents).
 */
import { describe, expect, test } from 'vitest';
import type { QuirkName } from '../../src/simulator/quirks.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { complete, minute, statusOf } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';

interface Case {
  readonly ways: readonly (string | RegExp)[];
  readonly meters?: ScenarioInput['meters'];
}
const foreign: Partial<Record<QuirkName, Case>> = {
  'list-malformed': { ways: ['single GETs (list answered malformed)'] },
  'list-answered-as-one': { ways: ['single GETs (list answered by something else)'] },
  'list-without-choice': { ways: ['single GETs (list answered malformed)'] },
  'list-wraps-clock': { ways: ['single GETs (list wraps the clock twice)'] },
  'list-exception': { ways: ['single GETs (list answered by an exception)'] },
  'list-ignored': { ways: ['single GETs (list answer does not go on)'] },
  'list-hangs-up': { ways: ['single GETs (list not answered)'] },
  'one-frame-requests': { ways: [], meters: { window: 7, max_info: 128 } },
  'window-lost': { ways: ['window 1 (answer does not go on)'], meters: { window: 7, max_info: 128 } },
  'long-frames-lost': { ways: ['frames of 128 (not answered)'], meters: { max_info: 1024 } },
  'range-refused': { ways: ['rows by entry (range refused)'] },
  'selection-refused': { ways: ['profile read whole (range refused)'] },
  'log-hangs-up': {
    ways: ['event logs last (not answered)', /^event logs not done: /, /^log 0-0:99\.98\.0\*255 not done: /],
  },
  'switch-hangs-up': { ways: ['identity without switch and counters (not answered)'] },
};

describe.each(Object.keys(foreign) as QuirkName[])('%s', (name) => {
  const { ways, meters } = foreign[name] as Case;
  test('the default model reads it; the neighbour is on time; what is done otherwise is shown and remembered', async () => {
    const it = await virtualHouse({
      meters: { count: 2, ...meters },
      meter: [{ index: 0, quirks: [name] }],
    });
    it.broker.connect();
    await it.run(10 * minute);
    complete(it, [1]);
    await it.run(20 * minute);
    complete(it, [0, 1]);
    for (let hour = 0; hour < 3; hour++) {
      await it.run(60 * minute);
      complete(it, [0, 1]);
    }
    const shown = await statusOf(it);
    expect(shown.verdict).toBe('REACHABLE');
    expect(shown.ways).toHaveLength(ways.length);
    for (const way of ways)
      expect(shown.ways).toContainEqual(typeof way === 'string' ? way : expect.stringMatching(way));
    expect((await statusOf(it, 1)).ways).toEqual([]);

    // It is known after a restart as well: nothing is tried that failed.
    await it.clock.complete(it.house.stop());
    await it.restart();
    it.broker.connect();
    await it.run(60 * minute);
    complete(it, [0, 1]);
    const again = await statusOf(it);
    expect(again.verdict).toBe('REACHABLE');
    expect(again.ways.filter((way) => !way.includes('not done'))).toEqual(
      shown.ways.filter((way) => !way.includes('not done')),
    );
    expect(again.failures).toBe(0);
  });
});

test('incident x2-c-rr-livelock: a meter that answers RR by RR is at fault, not the mains; the line is left to its neighbour', async () => {
  const it = await virtualHouse({
    meters: { count: 2, max_info: 128 },
    meter: [{ index: 0, quirks: ['numbers-jump'] }],
  });
  it.broker.connect();
  await it.run(1 * minute);
  let written = 0;
  const port = it.port as NonNullable<typeof it.port>;
  const write = port.write.bind(port);
  port.write = (octets) => {
    written++;
    return write(octets);
  };
  await it.run(4 * 60 * minute);
  complete(it, [1]);
  const shown = await statusOf(it);
  expect(shown.verdict).toBe('METER_FAULT');
  expect(shown.lastError).toMatch(/does not go on|RR/);
  expect(shown.nextStep).toMatch(/window = 1/);
  // 69 207 in 20 s it was.
  expect(written).toBeLessThan(4 * 400);
});

test('a line that fails in the middle of a list is not taken for a meter that mishandles lists', async () => {
  const it = await virtualHouse({
    meters: { count: 2 },
    fault: [
      { kind: 'power-cut', meter: 0, from_s: 3 * 3600, to_s: 3 * 3600 + 900 },
      { kind: 'power-cut', meter: 0, from_s: 5 * 3600, to_s: 5 * 3600 + 1200 },
    ],
  });
  it.broker.connect();
  await it.run(8 * 60 * minute);
  expect((await statusOf(it)).ways).toEqual([]);
});
