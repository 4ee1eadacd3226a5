/** `read` and `browse` by the id of a meter: the daemon does the work in its own sessions, and polls go on. */
import { expect, test } from 'vitest';
import { browseObjects, readObjects } from '../../src/main/desk-objects.ts';
import type { OutputEvent } from '../../src/desk/routes.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const never = new AbortController().signal;
async function linesOf(it: VirtualHouse, events: AsyncIterable<OutputEvent>): Promise<string[]> {
  const lines: string[] = [];
  const gather = async () => {
    for await (const event of events) if ('line' in event) lines.push(event.line);
  };
  await it.clock.complete(gather());
  return lines;
}

test('objects, rows and identity come as the command prints them', async () => {
  const it = await virtualHouse({ meters: { count: 2 } }, { days: 1 });
  it.broker.connect();
  await it.run(30 * minute);
  const read = (wishes: Parameters<typeof readObjects>[3]) =>
    linesOf(it, readObjects(it.house, it.clock, 'm60120002', wishes));
  const [register, clock] = await read({ object: ['1-0:1.8.0*255:2', '0-0:1.0.0*255'] });
  expect(register).toMatch(/^1-0:1\.8\.0\*255:2 {2}.*Wh/);
  expect(clock).toMatch(/^0-0:1\.0\.0\*255:2 {2}.*2026-11-24/);
  expect(await read({ profile: '1-0:99.1.0*255', entries: '1-3' })).toHaveLength(3);
  expect((await read({})).join('\n')).toMatch(/serial number +60120002/);
  await it.clock.complete(it.house.stop());
});
test('what is wrong with a wish, and a secret, is refused before the line is touched', async () => {
  const it = await virtualHouse({ meters: { count: 1 } });
  const read = (wishes: Parameters<typeof readObjects>[3]) =>
    linesOf(it, readObjects(it.house, it.clock, 'm60120001', wishes));
  await expect(read({ object: ['no code'] })).rejects.toMatchObject({ code: 'bad-argument' });
  await expect(read({ profile: '1-0:99.1.0*255' })).rejects.toThrow('--profile needs --from and --to');
  await expect(read({ object: ['0-0:40.0.0*255:7'] })).rejects.toThrow('it is not read');
  await it.clock.complete(it.house.stop());
});
test('a meter is browsed over several sessions, and no poll is missed meanwhile', async () => {
  const it = await virtualHouse({ meters: { count: 3 } }, { days: 1 });
  it.broker.connect();
  await it.run(30 * minute);
  const objects: string[] = [];
  const gather = async () => {
    for await (const event of browseObjects(it.house, it.clock, 'm60120001', { rows: '24' }, never))
      if ('object' in event) objects.push(event.object.name);
  };
  await it.clock.complete(gather());
  expect(objects).toContain('1-0:99.1.0*255');
  expect(new Set(objects).size).toBe(objects.length);
  await it.run(90 * minute);
  for (const { expected, right, wrong } of it.compare(20 * minute).values()) {
    expect(wrong).toEqual([]);
    expect(right).toBe(expected);
  }
  await it.clock.complete(it.house.stop());
});
