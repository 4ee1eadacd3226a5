/** The small dose of heap-bombs.ts, in a process with the heap of the unit; and what refuses them, one by one. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { decode } from '../../src/base/codec.ts';
import { CodecError, Failure } from '../../src/base/errors.ts';
import { dataCodec } from '../../src/dlms/axdr/data.ts';
import { captureObjectsOf } from '../../src/dlms/cosem/profile-generic.ts';
import { bombs, push, recorded } from './heap-bombs.ts';

test('incident: one meter with less than 1 MiB of small elements ended the daemon, and its neighbour was never read', async () => {
  const program = new URL('heap-bombs.ts', import.meta.url).pathname;
  // The flags of the unit: a heap that runs out ends the process, and the last line names the bomb.
  const unit = readFileSync(new URL('../../systemd/meter-gateway.service', import.meta.url), 'utf8');
  const flags = /--max-old-space-size=\d+ --max-semi-space-size=\d+/.exec(unit)?.[0].split(' ') ?? [];
  expect(flags).toHaveLength(2);
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, 'dose'], { maxBuffer: 8 << 20 });
  const outcomes = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { bomb: string; complete?: boolean; verdict?: string; seen?: string });
  const houses = outcomes.filter(({ complete }) => complete !== undefined);
  expect(houses.length).toBeGreaterThan(25);
  for (const house of houses) {
    expect(house, JSON.stringify(house)).toMatchObject({ complete: true, neighbour: 'REACHABLE' });
    expect(house.verdict, JSON.stringify(house)).toMatch(/METER_FAULT|IDENTITY_MISMATCH|REACHABLE/);
  }
  expect(outcomes.filter(({ seen }) => seen !== undefined)).toHaveLength(2 * Object.keys(bombs).length);
}, 300_000);

test('elements are refused before they are made, by name and as the fault of the meter', () => {
  const codes = Object.entries(bombs).map(([name, bomb]) => {
    try {
      decode(dataCodec, bomb(900_000), () => {});
      return [name, 'read'];
    } catch (error) {
      if (error instanceof CodecError) return [name, 'malformed'];
      expect(error).toBeInstanceOf(Failure);
      expect((error as Failure).fault).toBe('meter');
      return [name, (error as Failure).code];
    }
  });
  const outcome = Object.fromEntries(codes) as Record<string, string>;
  // A text of a million octets is one element; a longer one is refused by its octets.
  const texts = ['UTF-8 text', 'visible text', 'octet-string', 'UTF-8 text of two octets each'];
  for (const [name, code] of Object.entries(outcome)) {
    if (code === 'too-many-elements') continue;
    expect([...texts, 'deeper than anything', 'rows that have no end'], name).toContain(name);
  }
});

test('a profile of so many columns is none: each costs questions of its own', () => {
  const column = { type: 'null-data' } as const;
  expect(() => captureObjectsOf({ type: 'array', value: Array.from({ length: 201 }, () => column) })).toThrow(
    '201 capture objects, where 200 are the most',
  );
});

test('pushed lists and recordings: what cannot be built up is told, and the next one is read', () => {
  expect(push('nulls')).toBe('too-many-elements');
  expect(recorded('nulls')).toMatch(/frames, 1 problems$/);
});
