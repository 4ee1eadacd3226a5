/** hardware/line-tests.md: each row of its tables is planted between a pseudo-terminal and simulated meters, and its words are looked for. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scan, type ScanEvent } from '../../src/commission/scan.ts';
import { ownLine } from '../../src/commission/use-line.ts';
import { readModels } from '../../src/config/meter-models.ts';
import { askLines, askStatus } from '../../src/desk/client.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { type Bench, startBench } from '../../src/simulator/bench.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { parseToml } from '../../src/base/toml.ts';
import { textOf } from '../docs/documents.ts';
import { until } from '../support/broker.ts';
import { configuration } from '../support/configuration.ts';
import { folder, gateway, node } from '../support/programs.ts';
import { listOf, ofKind } from '../support/scan-world.ts';

const rowsUnder = (heading: RegExp): string[][] => {
  const [, rest = ''] = textOf('hardware/line-tests.md').split(heading);
  const [, rows = ''] = /\n\|[-|]+\|\n((?:\|.*\n)+)/.exec(rest) ?? [];
  return rows
    .trim()
    .split('\n')
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
};
const codes = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
/** `flip`, `rate = 0.01` as the keys of a fault. */
const faultOf = (cell: string): NonNullable<ScenarioInput['fault']>[number] => {
  const [kind = '', ...more] = codes(cell);
  return { kind, ...(parseToml(more.join('\n')) as object) } as NonNullable<ScenarioInput['fault']>[number];
};
const benches: Bench[] = [];
afterAll(async () => {
  for (const bench of benches) await bench.close();
});
async function benchWith(cell: string, firstSerial: number): Promise<string> {
  const bench = await startBench({
    seed: 3,
    bus: { kind: 'pty', turnaround_ms: 40 },
    meters: { count: 2, first_serial: firstSerial, device_name: 'SIM100{serial}' },
    fault: [faultOf(cell)],
  });
  benches.push(bench);
  return bench.devices[0] as string;
}

const scanned = rowsUnder(/\| on the line \|.*/);
describe('what scan says', () => {
  const seen = new Map<string, Promise<ScanEvent[]>>();
  beforeAll(async () => {
    for (const [i, [, kind = '']] of scanned.entries()) {
      const first = 60_120_001 + 10 * i;
      const line = ownLine(await benchWith(kind, first), 9600, systemClock, 'auto');
      const plan = {
        entries: listOf(first, first + 1),
        blind: false,
        line: 'serial',
        baud: 9600,
        link: 'hdlc',
      } as const;
      const { signal } = new AbortController();
      const walk = async (): Promise<ScanEvent[]> => {
        const { models } = readModels();
        const events: ScanEvent[] = [];
        for await (const event of scan({ ...plan, models }, { clock: systemClock, use: line.use, signal }))
          events.push(event);
        await line.close();
        return events;
      };
      // All of them side by side: they wait for time-outs.
      seen.set(kind, walk());
    }
  });
  test.each(scanned)('%s', async (...[, kind = '', verdicts = '', words = '']) => {
    const findings = ofKind((await seen.get(kind)) ?? [], 'finding');
    const quoted = /"([^"]+)"/.exec(words)?.[1] as string;
    const all = findings.map(({ verdict, evidence, next }) => `${verdict}: ${evidence} ${next}`);
    const named = codes(verdicts);
    // `noisy` or `damaged`: one of them.
    if (verdicts.includes(' or '))
      expect(findings.filter(({ verdict }) => named.includes(verdict)).length).toBeGreaterThan(0);
    else expect(findings.map(({ verdict }) => verdict as string)).toEqual(expect.arrayContaining(named));
    expect(all.filter((one) => one.includes(quoted)).length, all.join('\n')).toBeGreaterThan(0);
  });
});

const polled = rowsUnder(/## What the running gateway shows/);
describe('what the running gateway shows', () => {
  const socket = join(folder, 'line-tests.sock');
  beforeAll(async () => {
    const port = [];
    for (const [i, [kind = '']] of polled.entries()) {
      const first = 60_130_001 + 10 * i;
      const device = await benchWith(kind, first);
      const meter = [first, first + 1].map((serial) => ({
        id: `m${serial}`,
        point: `p${serial}`,
        serial: String(serial),
        client: 16,
      }));
      port.push({ name: `bus-${codes(kind)[0]}`, device, answer_timeout_ms: 300, retries: 0, meter });
    }
    const file = join(folder, 'line-tests.toml');
    const keys = { clock_trust: 'assume', state_directory: join(folder, 'line-tests'), status_socket: socket } as const;
    const text = configuration({ gateway: { ...keys, back_fill_days: 1 }, mqtt: { url: 'mqtt://127.0.0.1:1' }, port });
    writeFileSync(file, text, { mode: 0o600 });
    daemon = spawn(node, [gateway, 'run', '--config', file], { stdio: 'ignore' });
  });
  let daemon: ReturnType<typeof spawn> | undefined;
  afterAll(() => daemon?.kill('SIGKILL'));
  test.each(polled)('%s', async (...[kind = '', verdict = '', words = '']) => {
    const name = `bus-${codes(kind)[0]}`;
    const [expected] = codes(verdict);
    const state = async () => (await askStatus(socket)).ports.find((port) => port.name === name);
    const settled = async () =>
      state().then(
        (port) => port?.meters.every((meter) => meter.verdict === expected) === true,
        () => false,
      );
    await until(settled, `${name} is ${expected}`, 45_000).catch(async (error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(await state())}`);
    });
    const uses = (await askLines(socket)).find((line) => line.port === name)?.uses ?? [];
    const sum = (of: (use: (typeof uses)[number]) => number) => uses.reduce((total, use) => total + of(use), 0);
    const [asked, answered, echoes] = [sum((use) => use.asked), sum((use) => use.answered), sum((use) => use.echoes)];
    expect(asked).toBeGreaterThan(0);
    const judged: Readonly<Record<string, boolean>> = {
      'asked, and none answered to the end': asked > 0,
      'the shortest turn-around is next to nothing: something comes before any meter can have answered': uses.every(
        ({ turnAroundMs }) => turnAroundMs !== null && turnAroundMs < 40,
      ),
      'answered, although no frame is whole': answered > 0,
      'none answered': answered === 0,
      'as many echoes as requests': echoes >= asked * 0.9,
    };
    expect(judged[words], JSON.stringify(uses)).toBe(true);
  });
});
