/** Each entry of an event log once, whatever comes of it: ranges, whole logs, rings, equal entries, entries of the future. */
import { describe, expect, test } from 'vitest';
import { dayMs } from '../../src/base/time.ts';
import { cursorOf, maxForwarded, logIntake, type LogCursor } from '../../src/reading/log-ledger.ts';
import { logReader } from '../../src/reading/log-reader.ts';
import { encode } from '../../src/base/codec.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets, inUtc } from '../../src/dlms/cosem/date-time.ts';
import { millis } from '../../src/base/time.ts';
import { hashed, seeded } from '../../src/simulator/random.ts';

const wall = Date.UTC(2026, 10, 24, 12);
const hour = 3_600_000;
type Entry = readonly [at: number, code: number];
const round = (log: readonly Entry[], cursor: LogCursor, selected = false, now = wall) => {
  const intake = logIntake(cursor, now);
  for (const [at, code] of log) intake.take(at, code);
  return intake.finish(selected);
};
const begin = cursorOf(undefined, wall);
/** Reads until nothing is new, as one poll after the other does. */
function drain(
  log: readonly Entry[],
  from: LogCursor,
  selected = false,
): { forwarded: number; cursor: LogCursor; polls: number } {
  let cursor = from;
  let forwarded = 0;
  for (let polls = 0; polls < 500; polls++) {
    const outcome = round(log, cursor, selected);
    cursor = outcome.cursor;
    forwarded += outcome.fresh.length;
    if (outcome.fresh.length === 0) return { forwarded, cursor, polls };
    expect(outcome.fresh.length).toBeLessThanOrEqual(maxForwarded);
  }
  throw new Error('never an end');
}

describe('incident: a log without selection by range sent its old entries again at every poll', () => {
  test('entries of years, read whole: each once', () => {
    const log = Array.from({ length: 300 }, (_, i): Entry => [wall - (300 - i) * 5 * dayMs, 3]);
    const { forwarded, cursor } = drain(log, begin);
    expect(forwarded).toBe(300);
    const more: Entry[] = [...log, [wall - hour, 47]];
    expect(round(more, cursor).fresh).toEqual([{ at: wall - hour, code: 47, occurrence: 0 }]);
    expect(round(more, round(more, cursor).cursor).fresh).toEqual([]);
  });
  test('more entries than are counted: each once, the oldest are taken as forwarded', () => {
    const log = Array.from({ length: 6000 }, (_, i): Entry => [wall - (6000 - i) * hour, i % 7]);
    const { forwarded, cursor } = drain(log, begin);
    expect(forwarded).toBe(6000);
    expect(cursor.forwarded.length).toBeLessThanOrEqual(2000);
    expect(round([...log, [wall, 9]], cursor).fresh).toHaveLength(1);
  });
  test('newest first', () => {
    const log = Array.from({ length: 1700 }, (_, i): Entry => [wall - i * hour, 3]);
    expect(drain(log, begin).forwarded).toBe(1700);
  });
});

test('incident: 50 000 equal entries were 50 001 messages at every poll', () => {
  const log = Array.from({ length: 50_000 }, (): Entry => [wall - hour, 3]);
  const first = round(log, begin);
  expect(first.fresh).toHaveLength(maxForwarded);
  expect(first.more).toBe(true);
  const { forwarded, cursor } = drain(log, begin);
  expect(forwarded).toBe(50_000);
  expect(cursor.forwarded).toEqual([[wall - hour, 3, 50_000]]);
  expect(round([...log, [wall - hour, 3]], cursor).fresh).toEqual([{ at: wall - hour, code: 3, occurrence: 50_000 }]);
});

describe('incident: one entry of 2099 blinded the log', () => {
  const future: Entry = [Date.UTC(2099, 0, 1), 6];
  test('it is forwarded once, and the cursor stays with the present', () => {
    const log: Entry[] = [[wall - 2 * hour, 1], future, [wall - hour, 2]];
    const outcome = round(log, begin, true);
    expect(outcome.fresh.map(({ at }) => at)).toEqual([wall - 2 * hour, wall - hour, future[0]]);
    expect(outcome.cursor.upTo).toBe(wall - hour);
    expect(round(log, outcome.cursor, true).fresh).toEqual([]);
    expect(round([...log, [wall, 1]], outcome.cursor, true).fresh).toHaveLength(1);
  });
  test('thousands of them: bounded, and what is of today comes all the same', () => {
    const log: Entry[] = Array.from({ length: 30_000 }, (_, i): Entry => [future[0] + i * 1000, 6]);
    const outcome = round([...log.slice(0, 15_000), [wall, 1], ...log.slice(15_000)], begin, true);
    expect(outcome.fresh.filter(({ at }) => at === wall)).toHaveLength(1);
    expect(outcome.cursor.forwarded.length).toBeLessThan(300);
    expect(outcome.ignored).toBeGreaterThan(0);
    expect(drain(log, outcome.cursor).forwarded).toBe(0);
  });
  test('a stamp of the future that becomes the present is not forwarded again', () => {
    const near: Entry = [wall + 3 * dayMs, 6];
    const { cursor } = round([near], begin, true);
    expect(round([near], cursor, true, wall + 4 * dayMs).fresh).toEqual([]);
  });
});

test('a clock that was set back: the same stamps again are entries of their own', () => {
  const log: Entry[] = [
    [wall - hour, 1],
    [wall - hour + 1000, 2],
  ];
  const { cursor } = round(log, begin, true);
  const twice: Entry[] = [...log, [wall - hour, 1]];
  expect(round(twice, cursor, true).fresh).toEqual([{ at: wall - hour, code: 1, occurrence: 1 }]);
});

test('a ring that ran over: what it lost is no reason to say the rest again', () => {
  const log = Array.from({ length: 100 }, (_, i): Entry => [wall - (100 - i) * hour, i % 3]);
  const { cursor } = round(log, begin);
  const later: Entry[] = [...log.slice(60), ...Array.from({ length: 60 }, (_, i): Entry => [wall + i * 1000, 5])];
  const outcome = round(later, cursor);
  expect(outcome.fresh).toHaveLength(60);
  // It answers nothing once, and all of it again.
  expect(round(later, round([], outcome.cursor).cursor).fresh).toEqual([]);
});

describe('a cursor as it was stored before', () => {
  test('what was seen is not said again, what came since is', () => {
    const seen = [`${wall - 2 * hour}/1/0`, `${wall - 2 * hour}/1/1`, `${wall - hour}/2/0`];
    const cursor = cursorOf({ upTo: wall - hour, seen }, wall);
    const log: Entry[] = [
      [wall - 40 * dayMs, 9],
      [wall - 2 * hour, 1],
      [wall - 2 * hour, 1],
      [wall - hour, 2],
      [wall, 1],
    ];
    expect(round(log, cursor).fresh).toEqual([{ at: wall, code: 1, occurrence: 0 }]);
  });
  test('one that an entry of the future had led astray sees again', () => {
    const blind = { upTo: Date.UTC(2099, 0, 1), seen: [`${Date.UTC(2099, 0, 1)}/6/0`] };
    const cursor = cursorOf(blind, wall);
    expect(
      round(
        [
          [Date.UTC(2099, 0, 1), 6],
          [wall, 1],
        ],
        cursor,
      ).fresh,
    ).toEqual([{ at: wall, code: 1, occurrence: 0 }]);
  });
});

test('any log, read whole or by ranges, grown and cut between: each entry once, none lost (400 seeds)', () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = seeded(Math.floor(hashed(12, seed) * 2 ** 32));
    const below = (n: number) => Math.floor(random() * n);
    let log: Entry[] = [];
    let cursor = begin;
    const forwarded = new Map<string, number>();
    const written = new Map<string, number>();
    let now = wall;
    for (let poll = 0; poll < 12; poll++) {
      now += below(6) * hour;
      for (let i = below(40); i > 0; i--) {
        const entry: Entry = [now - below(3) * 1000, below(3)];
        log.push(entry);
        const key = entry.join('/');
        written.set(key, (written.get(key) ?? 0) + 1);
      }
      // A range is asked for from two hours before what was forwarded last.
      const selected = random() < 0.5;
      const from = cursor.upTo === 0 ? 0 : cursor.upTo - 2 * hour;
      const asked = selected ? log.filter(([at]) => at >= from) : log;
      const outcome = round(random() < 0.5 ? asked : asked.toReversed(), cursor, selected, now);
      cursor = outcome.cursor;
      for (const { at, code, occurrence } of outcome.fresh) {
        const key = `${at}/${code}`;
        expect(occurrence, `seed ${seed}: ${key}`).toBe(forwarded.get(key) ?? 0);
        forwarded.set(key, occurrence + 1);
      }
      // Between two polls the ring runs over what was forwarded long ago.
      if (random() < 0.3) log = log.filter(([at]) => at >= cursor.upTo - 3 * hour);
    }
    for (const [key, count] of written) expect(forwarded.get(key), `seed ${seed}: ${key}`).toBe(count);
  }
});

describe('entries from octets', () => {
  const entry = (at: number, code: number): Data => ({
    type: 'structure',
    value: [
      { type: 'octet-string', value: dateTimeOctets(millis(at), inUtc) },
      { type: 'unsigned', value: code },
    ],
  });
  const read = (octets: Uint8Array, cut: number) => {
    const found: Entry[] = [];
    const reader = logReader({}, (at, code) => void found.push([at, code]));
    for (let at = 0; at < octets.length; at += cut) reader.push(octets.slice(at, at + cut));
    return { found, reader };
  };
  const all: Entry[] = Array.from({ length: 500 }, (_, i): Entry => [wall - i * 60_000, i % 250]);
  test.each([1, 7, 200, 100_000])('however they are cut (%i)', (cut) => {
    const value = all.map(([at, code]) => entry(at, code));
    const { found, reader } = read(encode(dataCodec, { type: 'array', value }), cut);
    expect(found).toEqual(all);
    expect(reader.complete).toBe(true);
  });
  test.each([1, 13, 100_000])('as a compact-array (%i)', (cut) => {
    const description = {
      type: 'structure',
      elements: [{ type: 'octet-string' }, { type: 'unsigned' }],
    } as const;
    const value = all.map(([at, code]) => entry(at, code));
    const { found, reader } = read(encode(dataCodec, { type: 'compact-array', description, value }), cut);
    expect(found).toEqual(all);
    expect(reader.complete).toBe(true);
  });
  test('what has no stamp or no code is counted, what is no log is refused', () => {
    const value: Data[] = [entry(wall, 1), { type: 'null-data' }, { type: 'structure', value: [] }];
    const { found, reader } = read(encode(dataCodec, { type: 'array', value }), 5);
    expect(found).toHaveLength(1);
    expect(reader.unreadable).toBe(2);
    expect(() => read(encode(dataCodec, { type: 'unsigned', value: 3 }), 9)).toThrow(/not an array/);
    expect(read(encode(dataCodec, { type: 'null-data' }), 9).reader.complete).toBe(true);
  });
});
