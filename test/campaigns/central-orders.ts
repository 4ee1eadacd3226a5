/**
 * The same messages in random orders, doubled, in batches of any size, by two workers at once: what is stored, and what is
 * acknowledged, is the same to the octet.
 */
import { millis } from '../../src/base/time.ts';
import { judge, type Received } from '../../src/central/arrival.ts';
import { ingest } from '../../src/central/ingest.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { exportLines, intervalFacts } from '../../src/central/read-store.ts';
import { type Engine, tables } from '../../src/central/sql.ts';
import type { UpPayload } from '../../src/contract/payloads.ts';
import { seeded } from '../../src/simulator/random.ts';
import { birth, gap, importRegister, loadProfile } from '../support/central-messages.ts';
import { fleetEpoch, messagesOf } from '../support/central-fleet.ts';

/** Rows, their corrections, gaps over them, and the same interval in a later epoch. */
function messages(): UpPayload[] {
  return ['g0', 'g1'].flatMap((gateway) => {
    const all = messagesOf(gateway, 2);
    const rows = all.filter((one): one is UpPayload & { kind: 'profile' } => one.kind === 'profile');
    let seq = all.length;
    const more: UpPayload[] = [];
    for (const [i, row] of rows.entries()) {
      if (i % 5 === 0)
        more.push({
          ...row,
          seq: ++seq,
          rev: [1],
          channels: [{ obis: importRegister, unit: 'Wh', scaler: 0, register: [i], energy: [i] }],
        });
      if (i % 7 === 0)
        more.push(
          gap(++seq, {
            gateway,
            epoch: fleetEpoch,
            point: row.point,
            start: row.start,
            end: '2026-11-03T00:00:00Z',
            rev: i % 3,
          }),
        );
      if (i % 11 === 0) more.push({ ...row, epoch: fleetEpoch + 1, seq: 10_000 + i });
    }
    return [...all, ...more];
  });
}
function arrivals(): Received[] {
  const at = millis(Date.parse('2026-11-05T00:00:00Z'));
  const one = (topic: string, payload: object): Received => {
    const arrival = judge(topic, Buffer.from(JSON.stringify(payload)));
    if (!arrival || arrival.kind === 'unfit') throw new Error(arrival?.why ?? 'nothing');
    return { at, arrival };
  };
  return [
    ...['g0', 'g1'].map((gateway) =>
      one(`amr/v1/t/${gateway}/birth`, birth({ gateway, epoch: fleetEpoch, acknowledged: 0 })),
    ),
    ...messages().map((message) =>
      one(`amr/v1/t/${message.gateway}/up/${message.kind === 'manifest' ? '_' : 'm1'}/${message.kind}`, message),
    ),
  ];
}

/** Everything of the store that has a meaning; when it came has none here. */
async function contents(engine: Engine): Promise<string> {
  const lines: string[] = [];
  for await (const line of exportLines(engine)) lines.push(line);
  for (const gateway of ['g0', 'g1']) {
    const span = { from: 0, to: Number.MAX_SAFE_INTEGER };
    const facts = await intervalFacts(engine, { point: `p-${gateway}`, series: loadProfile }, span);
    const newest = [...newestVersions(facts, 3_600_000).values()].map((version) =>
      JSON.stringify(version, (key, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : key === 'receivedAt' ? 0 : value,
      ),
    );
    lines.push(...newest);
  }
  for (const { numbers } of await engine.all('SELECT numbers FROM gateway ORDER BY gateway')) {
    const { epochs } = JSON.parse(numbers as string) as { epochs: readonly { epoch: number; held: unknown }[] };
    lines.push(JSON.stringify(epochs.map(({ epoch, held }) => [epoch, held])));
  }
  return lines.join('\n');
}

/** `engines`: of one store; several are several workers. Returns what was not the same. */
export async function centralOrders(
  engines: readonly Engine[],
  { orders, seed = 1 }: { readonly orders: number; readonly seed?: number },
): Promise<{ readonly problems: readonly string[]; readonly octets: number }> {
  const all = arrivals();
  const problems: string[] = [];
  const [first] = engines as [Engine];
  let expected: string | undefined;
  for (let order = 0; order < orders; order++) {
    const random = seeded(seed * 100_000 + order);
    for (const table of Object.keys(tables)) await first.all(`DELETE FROM ${table}`);
    const mixed = [...all, ...all.filter(() => random() < 0.4)];
    if (order > 0)
      for (let i = mixed.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [mixed[i], mixed[j]] = [mixed[j] as Received, mixed[i] as Received];
      }
    const work = async (engine: Engine): Promise<void> => {
      while (mixed.length > 0) await ingest(engine, mixed.splice(0, 1 + Math.floor(random() * 60)));
    };
    await Promise.all(engines.map(work));
    const found = await contents(first);
    expected ??= found;
    if (found !== expected) problems.push(`order ${order} of seed ${seed}: another store`);
  }
  return { problems, octets: expected?.length ?? 0 };
}
