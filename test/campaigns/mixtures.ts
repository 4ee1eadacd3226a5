/**
 * Recordings as they come out of the field: exchanges with several meters on one line, cut, doubled, in any pieces, with or
 * without directions, with a sign-on in the midst. What is read of them are rows of the exchanges, or what is missing is named.
 */
import { concat } from '../../src/base/cursor.ts';
import type { Recorded, RecordedLine } from '../../src/base/exchange-file.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { explain } from '../../src/recording/reader.ts';
import { rowJson } from '../../src/reading/load-profile-row.ts';
import { type Random, seeded } from '../../src/simulator/random.ts';
import { isHdlc, linesOf, traceNames } from '../support/recorded.ts';

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
const whole = (random: Random, below: number): number => Math.floor(random() * below);

interface Exchange {
  readonly name: string;
  readonly lines: readonly RecordedLine[];
  readonly isHdlc: boolean;
  readonly rows: readonly string[];
}
const rowsOf = (items: Iterable<Recorded>): { readonly rows: string[]; readonly problems: readonly string[] } => {
  const { rows, problems } = explain(items);
  return { rows: rows.map((row) => JSON.stringify(rowJson(row))), problems };
};
const exchanges: readonly Exchange[] = traceNames
  .filter((name) => name.endsWith('.tap') && !name.startsWith('m744'))
  .map((name) => ({ name, lines: linesOf(name), isHdlc: isHdlc(name), rows: rowsOf(linesOf(name)).rows }));

/** The same exchange with a meter at another address of the line. */
function readdressed({ lines }: Exchange, physical: number): RecordedLine[] {
  return lines.map((line) => {
    const frames = new Deframer().push(line.octets);
    const octets = concat(
      frames.map((frame) => {
        const isRequest = line.direction === 'to-meter';
        const meter = isRequest ? frame.destination : frame.source;
        const moved = { logical: meter.logical, physical, size: 4 as const };
        return encodeFrame({ ...frame, ...(isRequest ? { destination: moved } : { source: moved }) });
      }),
    );
    return { ...line, octets };
  });
}

/** Frames of several exchanges in turn; each exchange stays in its order. */
function interleaved(all: readonly (readonly RecordedLine[])[], random: Random): RecordedLine[] {
  const left = all.map((lines) => [...lines]);
  const out: RecordedLine[] = [];
  for (;;) {
    const open = left.filter((lines) => lines.length > 0);
    if (open.length === 0) return out;
    out.push(pick(random, open).shift() as RecordedLine);
  }
}
function inPieces(lines: readonly RecordedLine[], random: Random, most: number): RecordedLine[] {
  const out: RecordedLine[] = [];
  for (const line of lines)
    for (let at = 0; at < line.octets.length; ) {
      const length = 1 + whole(random, most);
      out.push({ ...line, octets: line.octets.subarray(at, at + length) });
      at += length;
    }
  return out;
}
const numbered = (lines: readonly RecordedLine[]): RecordedLine[] => lines.map((line, i) => ({ ...line, line: i + 1 }));
const signOn = (): RecordedLine[] =>
  (
    [
      ['to-meter', '/?!\r\n'],
      ['from-meter', '/ISK5\\2MT382-1000\r\n'],
      ['to-meter', '\u0006252\r\n'],
    ] as const
  ).map(([direction, text]) => ({ line: 0, time: '', direction, octets: Buffer.from(text, 'latin1') }));

export interface Mixture {
  readonly items: Recorded[];
  /** Rows that the exchanges give alone; in any order. */
  readonly expected: readonly string[];
  /** `whole`: all rows must come, and no problem; `cut`: a frame lacks its end, and a problem must name it; `partly`: rows may lack. */
  readonly state: 'whole' | 'cut' | 'partly';
  readonly story: string;
}

function sessions(random: Random): Mixture {
  const chosen = Array.from({ length: 1 + whole(random, 3) }, () => pick(random, exchanges));
  const items = chosen.flatMap(({ lines }): Recorded[] => [{ line: 0, session: 'connect' }, ...lines]);
  return {
    items,
    expected: chosen.flatMap(({ rows }) => rows),
    state: 'whole',
    story: `sessions ${chosen.map(({ name }) => name).join(' + ')}`,
  };
}

function oneLine(random: Random): Mixture {
  const chosen = Array.from({ length: 1 + whole(random, 3) }, () =>
    pick(
      random,
      exchanges.filter((one) => one.isHdlc),
    ),
  );
  let lines = interleaved(
    chosen.map((one, i) => readdressed(one, 17 + i)),
    random,
  );
  if (random() < 0.3) lines = [...signOn(), ...lines];
  if (random() < 0.3) lines = lines.flatMap((line) => (random() < 0.1 ? [line, line] : [line]));
  if (random() < 0.5) lines = lines.map((line) => ({ ...line, direction: 'unknown' as const }));
  if (random() < 0.5) lines = inPieces(lines, random, pick(random, [1, 7, 60, 300]));
  return {
    items: numbered(lines),
    expected: chosen.flatMap(({ rows }) => rows),
    state: 'whole',
    story: `one line ${chosen.map(({ name }) => name).join(' + ')}`,
  };
}

const isText = ([first = 0]: Uint8Array): boolean => first === 0x2f || first === 0x06;
/** Octets are missing, or stand twice, or the recording begins in the middle. */
function hurt(mixture: Mixture, random: Random): Mixture {
  const lines = mixture.items.filter((item): item is RecordedLine => 'octets' in item);
  const from = whole(random, lines.length);
  const [kind, story] = pick(random, [
    ['begin', 'begins in the middle'],
    ['end', 'ends early'],
    ['gap', 'a gap'],
    ['cut', 'a line cut'],
  ] as const);
  const end = Math.min(lines.length, from + 1 + whole(random, 5));
  const victim = lines[from] as RecordedLine;
  const at = whole(random, victim.octets.length);
  const keep = new Set<Recorded>(
    kind === 'begin'
      ? lines.slice(from)
      : kind === 'end'
        ? lines.slice(0, from + 1)
        : kind === 'gap'
          ? lines.filter((_, i) => i < from || i >= end)
          : lines,
  );
  const items = mixture.items
    .filter((item) => 'session' in item || keep.has(item))
    .map((item) => {
      if (item !== victim) return item;
      if (kind === 'begin') return { ...victim, octets: victim.octets.subarray(at) };
      return kind === 'end' || kind === 'cut' ? { ...victim, octets: victim.octets.subarray(0, at) } : item;
    });
  const state = kind === 'cut' && at > 1 && at < victim.octets.length - 1 && !isText(victim.octets) ? 'cut' : 'partly';
  return { ...mixture, items, state, story: `${mixture.story}, ${story} at line ${from + 1}` };
}

export function mixtureOf(seed: number): Mixture {
  const random = seeded(seed);
  const mixture = random() < 0.4 ? sessions(random) : oneLine(random);
  return random() < 0.5 ? hurt(mixture, random) : mixture;
}

/** A row as octets: without the names and scalers that may not be in the recording. */
const values = (row: string): string => {
  const { end, values: cells } = JSON.parse(row) as { end: string; values: Record<string, { raw: string }> };
  return JSON.stringify([end, Object.values(cells).map(({ raw }) => raw)]);
};
const sorted = (rows: readonly string[]): string => rows.toSorted().join('\n');

/** What is wrong with how this mixture is read; undefined where nothing is. */
export function judge({ items, expected, state, story }: Mixture): string | undefined {
  const { rows, problems } = rowsOf(items);
  const left = new Map<string, number>();
  for (const row of expected.map(values)) left.set(row, (left.get(row) ?? 0) + 1);
  for (const row of rows.map(values)) left.set(row, (left.get(row) ?? 0) - 1);
  const surplus = [...left].find(([, count]) => count < 0);
  if (surplus) return `${story}: a row that no meter sent, or sent once: ${surplus[0]}, ${problems.length} problems`;
  if (state === 'cut' && problems.length === 0) return `${story}: no problem`;
  if (state !== 'whole') return undefined;
  if (problems.length > 0) return `${story}: nothing is missing, and a problem: ${problems[0]}`;
  return sorted(rows) === sorted(expected) ? undefined : `${story}: ${rows.length} rows of ${expected.length}`;
}
