/** Days on slow lines in virtual time: is everything read, how late, and what of the line does it take? */
import { trickling } from '../support/slow-port.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

export interface SlowLine {
  readonly baud: number;
  readonly periodS: number;
  readonly meters: number;
  readonly modeE?: boolean;
  /** Days that were not read before. */
  readonly behind?: number;
  readonly hours?: number;
  /** Energies are captured as well: each day is read once more, for its sum. */
  readonly energies?: boolean;
  /** Each octet of the meters takes so long, whatever the line's speed. */
  readonly octetMs?: number;
}
export interface SlowLineResult extends SlowLine {
  readonly expected: number;
  readonly right: number;
  readonly wrong: readonly string[];
  /** Share of the time in which a session had the line, and in which octets were on it. */
  readonly busy: number;
  readonly wire: number;
  /** How long the newest row of a meter took at most, in the second half of the time, seconds. */
  readonly latestS: number;
  /** When everything of before was there, hours after the start; undefined: never. */
  readonly caughtUpH: number | undefined;
  readonly octetsPerRow: number;
  /** Days whose sums were told. */
  readonly sums: number;
  readonly stuck: readonly string[];
  readonly verdicts: readonly string[];
  /** What status says of the line. */
  readonly trouble: string | null;
}
const sampleMs = 10_000;

export async function slowLine(line: SlowLine): Promise<SlowLineResult> {
  const { baud, periodS, meters, modeE = false, behind = 1, hours = 24, octetMs, energies = false } = line;
  const it = await virtualHouse(
    {
      // What waits on the way is not known to the meter: it is patient with its client.
      bus: { baud, ...(octetMs !== undefined && { inactivity_s: 600 }) },
      meters: { count: meters, period_s: periodS as 900, ...(modeE && { mode_e: true }), captures_energies: energies },
    },
    {
      start: Date.UTC(2026, 10, 24, 0, 10),
      days: behind,
      line: { baud, ...(modeE && { mode_e: true }) },
      ...(octetMs !== undefined && { port: (port, clock) => trickling(port, clock, 1, octetMs) }),
    },
  );
  it.broker.connect();
  const started = it.clock.now();
  const periodMs = periodS * 1000;
  const [bus] = [it.simulated.bus];
  let busy = 0;
  let samples = 0;
  let latestMs = 0;
  let caughtUpH: number | undefined;
  const stuck: string[] = [];
  for (let at = sampleMs; at <= hours * 3_600_000; at += sampleMs) {
    await it.run(sampleMs);
    const { ports } = await it.clock.complete(it.house.snapshot());
    samples++;
    if (ports[0]?.activity) busy++;
    const missing = (ports[0]?.meters ?? []).map((one) => one.intervalsMissing);
    if (caughtUpH === undefined && missing.every((count) => count <= 1)) caughtUpH = at / 3_600_000;
    if (at > (hours * 3_600_000) / 2)
      for (const { settings } of it.simulated.meters) {
        const newest =
          it.store.seriesState(`m${settings.serial}`, storedSeriesKey('1.0.99.1.0.255'))?.newest?.end ?? it.since;
        const due = Math.floor((it.clock.wall() - 5000) / periodMs) * periodMs;
        if (newest < due) latestMs = Math.max(latestMs, it.clock.wall() - (newest + periodMs));
      }
    const why = await it.clock.complete(it.house.stuck());
    if (why !== undefined) stuck.push(why);
  }
  const compared = [...it.compare(periodMs + 600_000).values()];
  const sum = (of: (one: (typeof compared)[0]) => number) => compared.reduce((total, one) => total + of(one), 0);
  const { ports } = await it.clock.complete(it.house.snapshot());
  const octets = bus.octetsIn + bus.octetsOut;
  const result: SlowLineResult = {
    ...line,
    expected: sum((one) => one.expected),
    right: sum((one) => one.right),
    wrong: compared.flatMap(({ wrong }) => wrong),
    busy: busy / samples,
    wire: (octets * 10_000) / baud / (it.clock.now() - started),
    latestS: Math.round(latestMs / 1000),
    caughtUpH,
    octetsPerRow: Math.round(
      octets /
        Math.max(
          1,
          sum((one) => one.right),
        ),
    ),
    sums: it.broker.published.filter(({ payload }) => payload.includes('DAY_SUM')).length,
    stuck,
    verdicts: (ports[0]?.meters ?? []).map(({ verdict, lastError }) =>
      lastError ? `${verdict}: ${lastError}` : verdict,
    ),
    trouble: ports[0]?.trouble ?? null,
  };
  await it.clock.complete(it.house.stop());
  return result;
}
