/**
 * A house for weeks in virtual time, with everything that happens to meters, lines, gateway and head-end, all from one
 * seed. At the end every meter-interval that was delivered is compared with the truth of the simulated meters.
 */
import { dayMs, iso } from '../../src/base/time.ts';
import { seeded } from '../../src/simulator/random.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';
import { fate, firstSerial } from './simulate-faults.ts';
import { broken, compared, type Point, type SimulationResult } from './simulate-truth.ts';
import { gmac, lls } from '../support/configuration.ts';

const hour = 3_600_000;
/** Every so many-th meter is gmac. */
const cipheredEvery = 4;
const lastEvents = 12;

export interface SimulationSettings {
  readonly seed: number;
  readonly days: number;
  readonly meters: number;
  /** Also: a store that is damaged, old or gone, a broker that loses and repeats, a gateway's clock that steps. */
  readonly harsh?: boolean;
  readonly progress?: (day: number) => void;
  /** Does something at that many ms from the start which the checkers must see. */
  readonly disturb?: { readonly at: number; readonly act: (it: VirtualHouse) => Promise<void> | void };
  /** Sees the house at the end, for whoever looks into a difference. */
  readonly inspect?: (it: VirtualHouse) => void;
}

export async function simulate({
  seed,
  days,
  meters,
  harsh = false,
  progress,
  disturb,
  inspect,
}: SimulationSettings): Promise<SimulationResult> {
  const random = seeded(seed);
  const start = Date.UTC(2026, 9, 20, 12, 20);
  const { faults, own, planned, happened, replacements, excused } = fate(random, days, meters, harsh);
  const it = await virtualHouse(
    {
      seed,
      bus: { baud: 9600 },
      meters: { count: meters + replacements.length, first_serial: firstSerial },
      meter: own,
      fault: faults,
    },
    {
      start,
      days: 1,
      configured: meters,
      meter: (index) => (index % cipheredEvery === cipheredEvery - 1 ? gmac : lls),
    },
  );
  it.broker.answering = true;
  it.broker.connect();
  const violations: string[] = [];
  const events: string[] = [];
  /** What must hold at any moment; the first violation is told with the last events before it. */
  const check = async (thorough: boolean) => {
    if (violations.length > 0) return;
    const found = await broken(it, thorough);
    violations.push(...found.map((one) => `${iso(it.clock.now())}: ${one}`));
    if (found.length > 0) violations.push(...events.slice(-lastEvents).map((one) => `before it: ${one}`));
  };
  let day = 0;
  const advance = async (to: number) => {
    while (it.clock.now() < to) {
      const next = Math.min(to, (Math.floor(it.clock.now() / hour) + 1) * hour);
      await it.clock.run(next);
      const newDay = next >= start + (day + 1) * dayMs;
      await check(newDay);
      if (!newDay) continue;
      day++;
      progress?.(day);
    }
  };
  if (disturb) planned.push({ ...disturb, what: 'disturbed' });
  for (const { at, what, act } of planned.toSorted((a, b) => a.at - b.at)) {
    await advance(start + at);
    events.push(`${iso(it.clock.now())} ${what}`);
    await act(it);
    await check(false);
  }
  await advance(start + days * dayMs);
  inspect?.(it);
  const points = it.simulated.meters.slice(0, meters).map((meter, index): Point => {
    const own = replacements.find(({ old }) => old === index);
    const fresh = own && it.simulated.meters[own.fresh];
    return {
      meter,
      excused: excused.get(index) ?? new Set(),
      ...(own && fresh && { fresh, takenDown: start + own.takenDown, installed: start + own.installed }),
    };
  });
  const result = await compared(it, points, harsh);
  return { ...result, differences: [...violations, ...result.differences], happened };
}
