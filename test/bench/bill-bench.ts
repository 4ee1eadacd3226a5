/**
 * Bills of a month of 2 000 points out of a store of SQLite, in CPU seconds: `node test/bench/bill-bench.ts [points]`. Days as they
 * were delivered, hourly, import alone; a fiftieth of the days is away and estimated.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addDays, midnight } from '../../src/billing/local-time.ts';
import { nextBill } from '../../src/billing/next-bill.ts';
import type { Contract, Point } from '../../src/billing/registry.ts';
import { seriesOf } from '../../src/billing/series.ts';
import { openStore } from '../../src/central/open-store.ts';
import { intervalFacts } from '../../src/central/read-store.ts';
import { monthOf } from '../../src/central/sql.ts';
import { hashed } from '../../src/simulator/random.ts';
import { contract, point } from '../support/billing-cases.ts';
import { obis, series, zone } from '../support/billing-truth.ts';

const points = Number(process.argv[2] ?? 2000);
const [from, to] = ['2026-09-01', '2026-10-02'];
const [begin, end] = [midnight(from, zone), midnight(to, zone)];
const dayMs = 86_400_000;

const folder = mkdtempSync(join(tmpdir(), 'bill-bench-'));
const store = await openStore(join(folder, 'central.db'), 'bench');
const rows: Record<string, string | number>[] = [];
let seq = 0;
for (let n = 0; n < points; n++) {
  let register = 1_000_000 + n;
  for (let at = begin - dayMs; at < end; at += dayMs) {
    const energy = Array.from({ length: 24 }, (_, hour) => 100 + Math.floor(900 * hashed(n, at / 3_600_000, hour)));
    const registers = energy.map((one) => (register += one));
    if (hashed(n, at / dayMs) < 0.02) continue;
    const start = new Date(at).toISOString();
    seq++;
    const body = JSON.stringify({
      v: 1,
      epoch: 1,
      seq,
      gateway: 'gw-1',
      kind: 'profile',
      meter: `m-${n}`,
      point: `p-${n}`,
      serial: `s-${n}`,
      series,
      start,
      periodS: 3600,
      count: 24,
      channels: [{ obis: obis.import, unit: 'Wh', scaler: 0, register: registers, energy }],
      status: energy.map(() => 0),
      quality: energy.map(() => 'MEASURED'),
      rev: energy.map(() => 0),
      readAt: start,
      clockDeviationS: 0,
      clockTrust: 'system',
    });
    rows.push({
      gateway: 'gw-1',
      epoch: 1,
      seq,
      month: monthOf(at),
      kind: 'profile',
      meter: `m-${n}`,
      point: `p-${n}`,
      series,
      start_ms: at,
      end_ms: at + dayMs,
      received_ms: at + dayMs,
      body,
    });
  }
}
for (let i = 0; i < rows.length; i += 5000)
  await store.transaction(
    (sql) => sql.insert('fact', rows.slice(i, i + 5000)),
    new Set(rows.map(({ month }) => Number(month))),
  );

const pointOf = (n: number): Point => point({ point: `p-${n}` });
const contractOf = (n: number): Contract => contract({ contract: `c-${n}`, point: `p-${n}`, from });
const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const spent = { read: 0, make: 0 };
const counts = { bill: 0, held: 0, estimated: 0 };
/** Asking for the CPU time costs some itself: once for so many points. */
const portion = 50;
for (let at = 0; at < points; at += portion) {
  const some = Array.from({ length: Math.min(portion, points - at) }, (_, i) => at + i);
  const started = cpu();
  const read = [];
  for (const n of some)
    read.push(await intervalFacts(store, { point: `p-${n}`, series }, { from: begin - dayMs, to: end }));
  const readAt = cpu();
  for (const [i, n] of some.entries()) {
    const [point, contract, facts = []] = [pointOf(n), contractOf(n), read[i]];
    const given = { point, facts, events: [], edits: [], from: addDays(from, -1), to, at: end - 12 * 3_600_000 };
    const outcome = nextBill({ point, contract, bills: [], series: seriesOf(given), releases: [] });
    if (outcome.kind === 'bill') {
      counts.bill++;
      if (outcome.bill.series.import?.standing.some(([, standing]) => standing === 'estimated')) counts.estimated++;
    } else counts.held++;
  }
  spent.read += readAt - started;
  spent.make += cpu() - readAt;
}
await store.close();
rmSync(folder, { recursive: true });
process.stdout.write(
  `${points} points, September 2026 by the hour: read ${spent.read.toFixed(2)} CPU s, judged, estimated and billed ${spent.make.toFixed(2)} CPU s; ` +
    `${(((spent.read + spent.make) * 1000) / points).toFixed(2)} ms a point-month; ${counts.bill} bills (${counts.estimated} with estimates), ${counts.held} held\n`,
);
