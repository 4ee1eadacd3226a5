/** From messages to intervals: all that was said of each, and what stands above the rest. Pure, in any order of messages. */
import { later, millis } from '../base/time.ts';
import type { Integer } from '../reading/facts.ts';
import type { ChannelValue, Delivered, DeliveredInterval, GapVersion, IntervalVersion, RowVersion } from './facts.ts';

/** A gap may be of years: what is not asked for is not made of it. */
export interface IntervalSpan {
  readonly from: number;
  readonly to: number;
}
const always: IntervalSpan = { from: -Infinity, to: Infinity };

const big = (value: Integer | null | undefined): bigint | null =>
  value === null || value === undefined ? null : BigInt(value);

/** Which message says it, and of which meter. */
const whereOf = ({ message: { meter, serial }, gateway, epoch, seq, receivedAt }: DeliveredInterval) => ({
  gateway,
  meter,
  serial,
  epoch,
  seq,
  receivedAt,
});
function rowsOf(one: Delivered<'profile'>): RowVersion[] {
  const { message } = one;
  const { channels, periodS, reason, flags } = message;
  const where = whereOf(one);
  const from = Date.parse(message.start);
  return message.rev.map((rev, i) => ({
    kind: 'row',
    start: millis(from + i * periodS * 1000),
    end: millis(from + (i + 1) * periodS * 1000),
    ...where,
    rev,
    reason: reason?.[i] ?? null,
    // Every column is as long as `count`: the schema saw to it.
    quality: message.quality[i] as RowVersion['quality'],
    status: message.status[i] ?? null,
    flags: flags?.[i] ?? [],
    channels: channels.map(
      ({ obis, unit, scaler, note, register, energy, value }): ChannelValue => ({
        obis,
        unit,
        scaler,
        note,
        energy: big(energy?.[i]),
        register: big(register?.[i]),
        value: big(value?.[i]),
      }),
    ),
  }));
}
function gapsOf(one: Delivered<'gap'>, periodMs: number, span: IntervalSpan): GapVersion[] {
  const { start: begin, end: over, cause, before, after, rev, reason = null } = one.message;
  const [gapStart, gapEnd] = [millis(Date.parse(begin)), millis(Date.parse(over))];
  const common = { kind: 'gap', ...whereOf(one), rev, reason, cause, gapStart, gapEnd, before, after } as const;
  const first = Math.max(0, Math.floor((span.from - gapStart) / periodMs));
  const last = Math.min(Math.ceil((gapEnd - gapStart) / periodMs), Math.ceil((span.to - gapStart) / periodMs));
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => {
    const start = later(gapStart, (first + i) * periodMs);
    return { ...common, start, end: millis(Math.min(start + periodMs, gapEnd)) };
  });
}
const isBlock = (one: DeliveredInterval): one is Delivered<'profile'> => one.message.kind === 'profile';

/** What one message says of each of its intervals. Of a gap the period of the series makes them, those that touch the span. */
export const versionsOf = (
  one: DeliveredInterval,
  periodMs: number,
  span: IntervalSpan = always,
): readonly IntervalVersion[] => (isBlock(one) ? rowsOf(one) : gapsOf(one, periodMs, span));

const knownEnergies = (row: RowVersion): number => row.channels.filter(({ energy }) => energy !== null).length;
/**
 * Which of two versions of one interval stands above: positive where `a` does. A row stands above every gap, then the higher
 * revision; of equal ones the one that knows more (read again after the gateway lost its store, a row may lack the register
 * before it), then the later epoch. A total order, so that the order of arrival is of no account.
 */
export function compareVersions(a: IntervalVersion, b: IntervalVersion): number {
  if (a.kind !== b.kind) return a.kind === 'row' ? 1 : -1;
  if (a.rev !== b.rev) return a.rev - b.rev;
  if (a.kind === 'row' && b.kind === 'row') {
    const more = knownEnergies(a) - knownEnergies(b);
    if (more !== 0) return more;
  }
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.seq !== b.seq) return a.seq - b.seq;
  return a.gateway < b.gateway ? -1 : Number(a.gateway > b.gateway);
}

/** The version of each interval that stands above the others, by its start; in order. The messages are of one series. */
export function newestVersions(
  messages: Iterable<DeliveredInterval>,
  periodMs: number,
  span: IntervalSpan = always,
): Map<number, IntervalVersion> {
  const newest = new Map<number, IntervalVersion>();
  for (const message of messages)
    for (const version of versionsOf(message, periodMs, span)) {
      const before = newest.get(version.start);
      if (!before || compareVersions(version, before) > 0) newest.set(version.start, version);
    }
  return new Map([...newest].toSorted(([a], [b]) => a - b));
}
