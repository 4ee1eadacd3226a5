/** Whoever looks on sees what goes over the line, explained, and no secret of it. */
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/hex.ts';
import { showTrace } from '../../src/cli/live-trace.ts';
import type { TraceEvent } from '../../src/status/line-trace.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
async function traced(it: VirtualHouse, wish: object, ms: number): Promise<TraceEvent[]> {
  const over = new AbortController();
  const events: TraceEvent[] = [];
  const looking = (async () => {
    for await (const event of it.house.trace(wish, over.signal)) events.push(event);
  })();
  await it.run(ms);
  over.abort();
  await it.clock.complete(looking);
  return events;
}
const octetsOf = (events: readonly TraceEvent[]) =>
  events.map((event) => ('octets' in event ? event.octets : '')).join('');

describe('a trace of the running gateway', () => {
  test('the password of each meter is struck out', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    const octets = octetsOf(await traced(it, {}, 10 * minute));
    expect(octets.length).toBeGreaterThan(1000);
    // 'meter', the password of the configuration: in AARQ it would stand in the clear.
    expect(octets).not.toContain(toHex(Buffer.from('meter')));
    expect(octets).toContain(toHex(Buffer.from('*****')));
    await it.clock.complete(it.house.stop());
  });
  test('keys of ciphered meters do not appear, and neither do dedicated ones', async () => {
    const gmac = { client: 5, auth: 'hls-gmac', encryption_key: 'file:/ek', authentication_key: 'file:/ak' } as const;
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    const octets = octetsOf(await traced(it, {}, 10 * minute));
    expect(octets).not.toContain('000102030405060708090a0b0c0d0e0f');
    expect(octets).not.toContain(toHex(Buffer.from('d0d1d2d3d4d5d6d7')));
    await it.clock.complete(it.house.stop());
  });
  test('of one meter only its turns, and the text names what is read', async () => {
    const it = await virtualHouse({ meters: { count: 3 } });
    const events = await traced(it, { meter: 'm60120002' }, 20 * minute);
    expect(new Set(events.map((event) => ('meter' in event ? event.meter : 'lost')))).toEqual(new Set(['m60120002']));
    const lines: string[] = [];
    async function* again() {
      yield* events;
      await Promise.resolve();
    }
    await showTrace(again(), {}, (line) => lines.push(line));
    const text = lines.join('\n');
    expect(text).toMatch(/bus: m60120002/);
    expect(text).toMatch(/→ HDLC SNRM/);
    expect(text).toMatch(/1-0:99\.1\.0/);
    await it.clock.complete(it.house.stop());
  });
  test('who does not take it loses the oldest, and is told how many', async () => {
    const it = await virtualHouse({ meters: { count: 3 } }, { days: 3 });
    const over = new AbortController();
    const events = it.house.trace({}, over.signal)[Symbol.asyncIterator]();
    const first = await it.clock.complete(events.next());
    expect(first.value).toHaveProperty('octets');
    await it.run(60 * minute);
    const seen: TraceEvent[] = [];
    while (!seen.some((event) => 'lost' in event) && seen.length < 2000)
      seen.push((await it.clock.complete(events.next())).value as TraceEvent);
    expect(seen.find((event) => 'lost' in event)).toMatchObject({ lost: expect.any(Number) as number });
    over.abort();
    await it.clock.complete(it.house.stop());
  });
  test('the use of the line is counted for each meter', async () => {
    const it = await virtualHouse({ meters: { count: 2 }, fault: [{ kind: 'silence', meter: 1 }] });
    await it.run(60 * minute);
    const [port] = it.house.lineUses();
    const uses = new Map(port?.uses.map((use) => [use.meter, use]));
    expect(uses.get('m60120001')).toMatchObject({ unanswered: 0 });
    expect(uses.get('m60120001')?.answered).toBeGreaterThan(10);
    expect(uses.get('m60120002')).toMatchObject({ answered: 0, p95Ms: null });
    expect(uses.get('m60120002')?.wastedS).toBeGreaterThan(1);
    await it.clock.complete(it.house.stop());
  });
});
