/**
 * From messages to what is known of each interval of a point: the version that stands above the others, its energies, and the
 * registers at the edges. In whatever order the messages come, the same comes out (`compareVersions` is a total order).
 */
import type { DeliveredInterval } from '../central/facts.ts';
import type { Integer } from '../reading/facts.ts';
import { type Flag, statusBit } from '../reading/quality.ts';
import type { Grid } from './local-time.ts';
import { type Channel, channels, type Installation, installedIn, type Point } from './registry.ts';

/** What the meters say of one interval and one channel. */
export interface Known {
  /** null: not known, which is not zero. */
  readonly energy: number | null;
  readonly uncertain: boolean;
  /** Why it is uncertain, or not known: words of the contract. */
  readonly reasons: readonly string[];
  /** Message that it stands in: gateway/epoch/seq. */
  readonly source: string;
  readonly pdn: boolean;
}
/** Register at an instant, of one meter. */
export interface Anchor {
  readonly serial: string;
  readonly at: number;
  readonly register: number;
}
export interface Merged {
  readonly known: readonly (Known | undefined)[];
  /** Registers that are known at an instant. */
  readonly anchors: (at: number) => readonly Anchor[];
}
/** Cause of the gap that stands above the others, of intervals that have no row. */
export interface GapKnown {
  readonly cause: string;
  readonly source: string;
}
export interface MergedPoint {
  readonly channels: Readonly<Partial<Record<Channel, Merged>>>;
  readonly gaps: readonly (GapKnown | undefined)[];
  /** Meters that delivered under this point and are none of its own, with the first interval of each. */
  readonly strangers: ReadonlyMap<string, number>;
}

interface Candidate {
  readonly fact: DeliveredInterval;
  /** Of the message: gateway/epoch/seq. */
  readonly source: string;
  readonly index: number;
  readonly start: number;
  readonly end: number;
}
const energiesKnown = ({ fact: { message }, index }: Candidate): number =>
  message.kind === 'profile' ? message.channels.filter(({ energy }) => (energy?.[index] ?? null) !== null).length : 0;
const revOf = ({ fact: { message }, index }: Candidate): number =>
  message.kind === 'profile' ? (message.rev[index] ?? 0) : message.rev;
/** As `compareVersions` of src/central/intervals.ts has it, without an object for each value. */
function stands(a: Candidate, b: Candidate): number {
  const difference =
    revOf(a) - revOf(b) ||
    energiesKnown(a) - energiesKnown(b) ||
    a.fact.epoch - b.fact.epoch ||
    a.fact.seq - b.fact.seq;
  if (difference !== 0) return difference;
  return a.fact.gateway < b.fact.gateway ? -1 : Number(a.fact.gateway > b.fact.gateway);
}

/** Integer of the contract in units of the point; undefined where it is no whole number of them, or beyond 2^53. */
export function unitsOf(raw: Integer, scaler: number, pointScaler: number): number | undefined {
  const exponent = scaler - pointScaler;
  const number = Number(raw);
  const value = exponent >= 0 ? number * 10 ** exponent : number / 10 ** -exponent;
  return Number.isSafeInteger(number) && Number.isSafeInteger(value) ? value : undefined;
}
const sourceOf = ({ gateway, epoch, seq }: DeliveredInterval): string => `${gateway}/${epoch}/${seq}`;

interface Collected {
  /** By period, then by start. */
  readonly rows: Map<number, Map<number, Candidate>>;
  readonly gaps: Candidate[];
  readonly strangers: Map<string, number>;
}
function collect(facts: Iterable<DeliveredInterval>, point: Point, from: number, to: number): Collected {
  const rows = new Map<number, Map<number, Candidate>>();
  const [gaps, strangers] = [[] as Candidate[], new Map<string, number>()];
  const own = ownership(point.installations);
  for (const fact of facts) {
    const { message } = fact;
    if (message.point !== point.point || message.series !== point.series) continue;
    const begin = Date.parse(message.start);
    const source = sourceOf(fact);
    if (message.kind === 'gap') {
      gaps.push({ fact, source, index: 0, start: begin, end: Date.parse(message.end) });
      continue;
    }
    const periodMs = message.periodS * 1000;
    if (begin >= to || begin + message.count * periodMs <= from) continue;
    const ofPeriod = rows.get(periodMs) ?? new Map<number, Candidate>();
    rows.set(periodMs, ofPeriod);
    for (let index = 0; index < message.count; index++) {
      const start = begin + index * periodMs;
      const end = start + periodMs;
      if (end <= from || start >= to) continue;
      if (!own(message.serial, start, end)) {
        strangers.set(message.serial, Math.min(start, strangers.get(message.serial) ?? start));
        continue;
      }
      const candidate = { fact, source, index, start, end };
      const before = ofPeriod.get(start);
      if (before === undefined || stands(candidate, before) > 0) ofPeriod.set(start, candidate);
    }
  }
  return { rows, gaps, strangers };
}
/** Whether a meter hung there in an interval. */
function ownership(installations: readonly Installation[]): (serial: string, start: number, end: number) => boolean {
  if (installations.length === 0) return () => true;
  return (serial, start, end) =>
    installations.some((one) => one.serial === serial && one.from < end && (one.to === null || one.to > start));
}

/** Nearly every interval: one list for all of them. */
const noFlags: readonly Flag[] = [];
function knownOf(candidate: Candidate, obis: string, point: Point): Known {
  const { fact, source, index } = candidate;
  const { message } = fact;
  if (message.kind === 'gap') return { energy: null, uncertain: false, reasons: [message.cause], source, pdn: false };
  const quality = message.quality[index] ?? 'UNCERTAIN/device';
  const flags = message.flags?.[index] ?? noFlags;
  const pdn = ((message.status[index] ?? 0) & statusBit.PDN) !== 0;
  const doubtful = flags.includes('IMPOSSIBLE') || flags.includes('TIME_UNTRUSTED');
  const reasons = quality === 'MEASURED' ? flags : [quality, ...flags];
  const channel = message.channels.find((one) => one.obis === obis);
  const raw = channel?.energy?.[index] ?? null;
  const nothing = (why: string): Known => ({ energy: null, uncertain: false, reasons: [...reasons, why], source, pdn });
  if (!channel) return nothing('CHANNEL_ABSENT');
  if (raw === null || quality === 'REGISTER_BACKWARD') return nothing('NO_ENERGY');
  if (channel.scaler === null || channel.unit !== 'Wh' || channel.note !== undefined) return nothing('SCALER_UNKNOWN');
  const energy = unitsOf(raw, channel.scaler, point.scaler);
  if (energy === undefined) return nothing('UNIT_UNFIT');
  if (energy < 0) return nothing('NEGATIVE');
  return { energy, uncertain: quality !== 'MEASURED' || doubtful, reasons, source, pdn };
}
/** Rows of another length that tile the interval: quarter-hours of an hour, or the parts of one in which a clock was set. */
function tiled(pieces: readonly Candidate[], from: number, to: number, obis: string, point: Point): Known | undefined {
  const parts: Known[] = [];
  let at = from;
  for (const piece of pieces) {
    if (piece.start < at || piece.end > to) continue;
    if (piece.start !== at) return undefined;
    parts.push(knownOf(piece, obis, point));
    at = piece.end;
  }
  const [first] = parts;
  if (at !== to || first === undefined) return undefined;
  const whole = parts.every(({ energy }) => energy !== null);
  return {
    energy: whole ? parts.reduce((sum, { energy }) => sum + (energy ?? 0), 0) : null,
    uncertain: parts.some(({ uncertain }) => uncertain),
    reasons: [...new Set(parts.flatMap(({ reasons }) => reasons))],
    source: [...new Set(parts.map(({ source }) => source))].join('+'),
    pdn: parts.some(({ pdn }) => pdn),
  };
}

/** Rows that are not simply those of the grid, in time. */
function piecesOf({ rows }: Collected, { length, indexOf }: Grid): readonly Candidate[] {
  const pieces: Candidate[] = [];
  for (const [periodMs, ofPeriod] of rows)
    for (const piece of ofPeriod.values()) if (periodMs !== length || !indexOf.has(piece.start)) pieces.push(piece);
  return pieces.sort((a, b) => a.start - b.start || a.end - b.end);
}
function channelOf(collected: Collected, grid: Grid, channel: Channel, point: Point): Merged {
  const obis = point.obis[channel] ?? '';
  const anchors = anchorsOf(collected, channel, point);
  const pieces = piecesOf(collected, grid);
  let next = 0;
  const known = grid.intervals.map(({ start, end }) => {
    const row = collected.rows.get(end - start)?.get(start);
    if (row) return knownOf(row, obis, point);
    while (next < pieces.length && (pieces[next] as Candidate).end <= start) next++;
    const within: Candidate[] = [];
    for (let i = next; i < pieces.length && (pieces[i] as Candidate).start < end; i++)
      within.push(pieces[i] as Candidate);
    return within.length === 0 ? undefined : tiled(within, start, end, obis, point);
  });
  return { known, anchors };
}
/** Registers that rows carry at their end, and those that a person read when a meter was put up or taken down. */
function anchorsOf({ rows }: Collected, name: Channel, point: Point): Merged['anchors'] {
  const obis = point.obis[name];
  const registerOf = ({ fact: { message }, index }: Candidate): number | undefined => {
    if (message.kind !== 'profile') return undefined;
    const channel = message.channels.find((one) => one.obis === obis);
    const raw = channel?.register?.[index];
    if (channel === undefined || raw === undefined || channel.scaler === null) return undefined;
    return unitsOf(raw, channel.scaler, point.scaler);
  };
  return (at) => {
    const found: Anchor[] = [];
    for (const { serial, from, to, first, final } of point.installations) {
      if (from === at && first?.[name] !== undefined) found.push({ serial, at, register: first[name] });
      if (to === at && final?.[name] !== undefined) found.push({ serial, at, register: final[name] });
    }
    for (const [periodMs, ofPeriod] of rows) {
      const row = ofPeriod.get(at - periodMs);
      const register = row && registerOf(row);
      if (row && register !== undefined)
        found.push({ serial: row.fact.message.kind === 'profile' ? row.fact.message.serial : '', at, register });
    }
    return found;
  };
}

function gapsOf(collected: Collected, grid: Grid): (GapKnown | undefined)[] {
  if (collected.gaps.length === 0) return [];
  const above: (Candidate | undefined)[] = Array.from({ length: grid.intervals.length });
  for (const gap of collected.gaps)
    for (let at = firstFrom(grid, gap.start); at < grid.intervals.length; at++) {
      const interval = grid.intervals[at];
      if (interval === undefined || interval.end > gap.end) break;
      const before = above[at];
      if (before === undefined || stands(gap, before) > 0) above[at] = gap;
    }
  return above.map((one) =>
    one && one.fact.message.kind === 'gap' ? { cause: one.fact.message.cause, source: one.source } : undefined,
  );
}
/** Index of the first interval that begins at `at` or later. */
export function firstFrom({ intervals }: Grid, at: number): number {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((intervals[middle]?.start ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Facts of other points and series are left out; they may reach beyond the grid. */
export function mergePoint(facts: Iterable<DeliveredInterval>, point: Point, grid: Grid): MergedPoint {
  const [from, to] = [grid.intervals[0]?.start ?? 0, grid.intervals.at(-1)?.end ?? 0];
  // A row that ends where the grid begins has the register of that edge.
  const collected = collect(facts, point, from - 1, to);
  const entries = channels
    .filter((channel) => point.obis[channel] !== undefined)
    .map((channel) => [channel, channelOf(collected, grid, channel, point)]);
  return {
    channels: Object.fromEntries(entries) as MergedPoint['channels'],
    gaps: gapsOf(collected, grid),
    strangers: collected.strangers,
  };
}

/**
 * What the registers advanced between two anchors, across swaps of the meter; undefined where an edge of one of them is not
 * known, or a register fell other than by beginning again.
 */
export function advanceBetween(a: Anchor, b: Anchor, channel: Channel, point: Point): number | undefined {
  if (a.serial === b.serial) return step(a.register, b.register, meterOf(point, a.serial, a.at));
  const chain = installedIn(point.installations, a.at, b.at);
  if (chain.length < 2 || chain[0]?.serial !== a.serial || chain.at(-1)?.serial !== b.serial) return undefined;
  let sum = 0;
  for (const [i, meter] of chain.entries()) {
    const from = i === 0 ? a.register : meter.first?.[channel];
    const to = i === chain.length - 1 ? b.register : meter.final?.[channel];
    const part = from === undefined || to === undefined ? undefined : step(from, to, meter);
    if (part === undefined) return undefined;
    sum += part;
  }
  return sum;
}
const meterOf = (point: Point, serial: string, at: number): Installation | undefined =>
  point.installations.find((one) => one.serial === serial && one.from <= at && (one.to === null || one.to >= at));
function step(from: number, to: number, meter: Installation | undefined): number | undefined {
  if (to >= from) return to - from;
  const modulus = meter?.registerDigits === undefined ? undefined : 10 ** meter.registerDigits;
  if (modulus !== undefined && from > 0.9 * modulus && to < 0.1 * modulus) return to + modulus - from;
  return undefined;
}
/** The register by which what follows `at` is counted, or what was before it. */
export function anchorAt(
  anchors: Merged['anchors'],
  at: number,
  side: 'before' | 'after',
  { installations }: Point,
): Anchor | undefined {
  const here = anchors(at);
  if (here.length === 0) return undefined;
  if (installations.length === 0) return side === 'before' ? here[0] : here.at(-1);
  const [from, to] = side === 'before' ? [at - 1, at] : [at, at + 1];
  const [meter] = installedIn(installations, from, to);
  return here.find(({ serial }) => serial === meter?.serial);
}
