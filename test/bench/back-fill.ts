/**
 * R15: 31 meters, 30 hourly days behind, on a bus of 9600 Bd in virtual time, while they are also polled every hour. Prints
 * when the last row was there, how punctual the hourly rows were, and the theoretical bound of the line.
 */
import { virtualHouse } from '../support/virtual-house.ts';

export interface BackFillFigure {
  readonly meters: number;
  readonly days: number;
  readonly turnaroundMs: number;
  /** Until the back-fill is complete. */
  readonly minutes: number;
  /** Time of the line for the octets of these rows alone: no request, no frame, no turn-around. */
  readonly boundMinutes: number;
  /** Hourly rows that were read within five minutes of the end of their hour. */
  readonly punctual: number;
}

export async function backFill(turnaroundMs: number, meters = 31, days = 30): Promise<BackFillFigure> {
  const start = Date.UTC(2026, 10, 24, 12, 20);
  const it = await virtualHouse(
    { bus: { baud: 9600, turnaround_ms: turnaroundMs }, meters: { count: meters, history_days: days + 2 } },
    { start, days },
  );
  it.broker.connect();
  const pending = async () => (await it.house.gaps()).some(({ state }) => state === 'PENDING');
  let minutes = 0;
  while (minutes < 12 * 60 && (await pending())) {
    await it.run(60_000);
    minutes++;
  }
  // The hours that ended while the back-fill went on, and two after it.
  const until = it.clock.now() + 2 * 3_600_000;
  await it.run(until - it.clock.now());
  let expected = 0;
  let onTime = 0;
  const readAt = new Map<string, number>();
  for (const { topic, payload } of it.broker.published) {
    if (!topic.endsWith('/profile')) continue;
    const fact = JSON.parse(payload) as {
      meter: string;
      start: string;
      count: number;
      periodS: number;
      readAt: string;
    };
    for (let i = 0; i < fact.count; i++) {
      const end = Date.parse(fact.start) + (i + 1) * fact.periodS * 1000;
      const key = `${fact.meter}|${end}`;
      readAt.set(key, Math.min(readAt.get(key) ?? Number.POSITIVE_INFINITY, Date.parse(fact.readAt)));
    }
  }
  for (const { settings } of it.simulated.meters)
    for (let end = Math.ceil(start / 3_600_000) * 3_600_000; end <= until - 300_000; end += 3_600_000) {
      expected++;
      if ((readAt.get(`m${settings.serial}|${end}`) ?? Number.POSITIVE_INFINITY) <= end + 300_000) onTime++;
    }
  // Stamp, status and two registers: 2 + 14 + 2 + 5 + 5 octets.
  const rowOctets = 28;
  return {
    meters,
    days,
    turnaroundMs,
    minutes,
    boundMinutes: (meters * days * 24 * rowOctets) / 960 / 60,
    punctual: onTime / expected,
  };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  let good = true;
  for (const turnaroundMs of [20, 75, 170, 257]) {
    const { meters, days, minutes, boundMinutes, punctual } = await backFill(turnaroundMs);
    good &&= minutes <= 120 && punctual >= 0.95;
    process.stdout.write(
      `${meters} meters, ${days} days behind, turn-around ${turnaroundMs} ms: complete after ${minutes} min (octets of the rows alone ${boundMinutes.toFixed(0)} min), ${(punctual * 100).toFixed(1)} % of the hourly rows within 5 min\n`,
    );
  }
  process.stdout.write(`back-fill: ${good ? 'within 2 h, at least 95 % punctual' : 'TOO SLOW'}\n`);
  process.exitCode = good ? 0 : 1;
}
