/**
 * Real messages, damaged at random in their octets and in their structure: none ends the receiver, what is taken keeps the
 * contract, and what comes after is acknowledged.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { millis } from '../../src/base/time.ts';
import { judge, type Received } from '../../src/central/arrival.ts';
import { ingest } from '../../src/central/ingest.ts';
import { versionsOf } from '../../src/central/intervals.ts';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { openSqlite } from '../../src/central/sqlite.ts';
import { seeded } from '../../src/simulator/random.ts';
import { birth, block } from '../support/central-messages.ts';

const examples = new URL('../../docs/contract/examples/', import.meta.url);
type Random = () => number;
const pick = <T>(random: Random, all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
const odd: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1,
  0.5,
  2 ** 53,
  2 ** 60,
  1e308,
  '',
  '0',
  '-1',
  '9'.repeat(61),
  'x'.repeat(300),
  [],
  {},
  [null],
  [[]],
  '2026-02-30T00:00:00Z',
  '2126-01-01T00:00:00Z',
  '2026-11-24T00:00:00+02:00',
  '\u0000',
  '\ud800',
  '__proto__',
];
/** Another value somewhere, a member less, one more, one twice. */
function mutate(value: unknown, random: Random, depth = 0): unknown {
  if (random() < 0.15 || typeof value !== 'object' || value === null || depth > 6) return pick(random, odd);
  if (Array.isArray(value)) {
    const copy = [...(value as unknown[])];
    const at = Math.floor(random() * (copy.length + 1));
    const act = random();
    if (act < 0.25) copy.splice(at, 1);
    else if (act < 0.5) copy.splice(at, 0, pick(random, [...odd, copy[0]]));
    else if (copy.length > 0) copy[at % copy.length] = mutate(copy[at % copy.length], random, depth + 1);
    return copy;
  }
  const members = Object.entries(value);
  const [name] = pick(random, members.length > 0 ? members : [['x', 0]]);
  const act = random();
  if (act < 0.15) return Object.fromEntries(members.filter(([one]) => one !== name));
  if (act < 0.2) return { ...value, [String(pick(random, odd))]: pick(random, odd) };
  return Object.fromEntries(members.map(([one, it]) => [one, one === name ? mutate(it, random, depth + 1) : it]));
}
function damage(octets: Buffer, random: Random): Buffer {
  const copy = Buffer.from(octets);
  const at = Math.floor(random() * copy.length);
  const act = random();
  if (act < 0.3) return copy.subarray(0, at);
  if (act < 0.6) copy[at] = Math.floor(random() * 256);
  else copy.fill(pick(random, [0, 0x22, 0x7b, 0x39, 0xff]), at, Math.min(copy.length, at + Math.floor(random() * 8)));
  return copy;
}

export async function centralFuzz({ inputs, seed = 1 }: { readonly inputs: number; readonly seed?: number }): Promise<{
  readonly problems: readonly string[];
  readonly taken: number;
  readonly refused: number;
  readonly reasons: number;
}> {
  const random = seeded(seed);
  const real = readdirSync(examples)
    .filter((name) => !name.startsWith('down-'))
    .map((name) => JSON.parse(readFileSync(new URL(name, examples), 'utf8')) as { kind?: string; meter?: string });
  const topicOf = ({ kind, meter = '_' }: (typeof real)[number], i: number): string =>
    kind === undefined
      ? `amr/v1/t/g1/${['birth', 'health', 'state'][i % 3] as string}`
      : `amr/v1/t/g1/up/${meter}/${kind === 'void' ? 'event' : kind}`;
  const folder = mkdtempSync(join(tmpdir(), 'central-fuzz-'));
  const engine = openSqlite(join(folder, 'central.db'));
  const problems: string[] = [];
  const reasons = new Set<string>();
  let [taken, refused] = [0, 0];
  const at = millis(Date.parse('2026-11-25T12:00:00Z'));
  await ingest(engine, [received('amr/v1/t/g/birth', birth(), at)]);
  let batch: Received[] = [];
  for (let input = 0; input < inputs; input++) {
    const one = pick(random, real);
    const topic = topicOf(one, input);
    const whole = Buffer.from(JSON.stringify(random() < 0.7 ? mutate(one, random) : one));
    const octets = random() < 0.4 ? damage(whole, random) : whole;
    try {
      const arrival = judge(topic, octets);
      if (!arrival) continue;
      if (arrival.kind === 'unfit') {
        refused++;
        if (reasons.size < 10_000) reasons.add(arrival.why);
        if (arrival.why.length > 300) problems.push(`a reason without end: ${arrival.why.slice(0, 100)}`);
      } else taken++;
      if (arrival.kind === 'fact' && (arrival.message.kind === 'profile' || arrival.message.kind === 'gap')) {
        const { gateway, epoch, seq } = arrival.message;
        const fact = { gateway, epoch, seq, receivedAt: at, message: arrival.message } as DeliveredInterval;
        for (const { start, end } of arrival.message.kind === 'profile' ? versionsOf(fact, 3_600_000) : [])
          if (!(end > start) || Number.isNaN(start)) problems.push(`an interval without length: ${octets.toString()}`);
      }
      batch.push({ at, arrival });
      if (batch.length >= 500 || input === inputs - 1) {
        await ingest(engine, batch);
        batch = [];
      }
    } catch (error) {
      problems.push(`input ${input} of seed ${seed} ${topic}: ${String(error)}`);
      batch = [];
    }
  }
  // Whatever came, the next gateway is served.
  const after = await ingest(engine, [received('amr/v1/t/g/up/m1/profile', block(1), at)]);
  if (after.answers.get('g')?.upTo !== 1) problems.push('what came after is not acknowledged');
  await engine.close();
  rmSync(folder, { recursive: true });
  return { problems, taken, refused, reasons: reasons.size };
}
function received(topic: string, payload: object, at: Received['at']): Received {
  const arrival = judge(topic, Buffer.from(JSON.stringify(payload)));
  if (!arrival) throw new Error('nothing');
  return { at, arrival };
}
