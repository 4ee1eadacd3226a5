/**
 * What was stored lately, for people: values of intervals, registers, events. In memory, since the start; what is older is
 * at the head-end, and in the meter.
 */
import type { Channel, EventFact, Fact, ProfileFact, ReadingFact } from '../reading/facts.ts';
import { eventRow } from '../reading/gateway-events.ts';

const maxEvents = 400;
/** Intervals of all series together: 31 meters with four channels for two weeks take some 10 000. */
const maxIntervals = 60_000;
const maxDays = 14;

export interface RecentRow {
  /** UTC. */
  readonly start: string;
  readonly quality: string;
  readonly values: readonly { readonly energy: string | null; readonly register: string | null }[];
}
export interface RecentSeries {
  readonly series: string;
  readonly periodS: number;
  readonly channels: readonly { readonly obis: string; readonly unit: string | null; readonly scaler: number | null }[];
  readonly rows: readonly RecentRow[];
}
export interface RecentIntervals {
  readonly meter: string;
  readonly series: readonly RecentSeries[];
  readonly registers: {
    readonly readAt: string;
    readonly values: readonly {
      readonly obis: string;
      readonly raw: string | number;
      readonly scaler: number | null;
      readonly unit: string | null;
    }[];
  } | null;
}
export interface RecentEvent {
  readonly at: string | null;
  readonly meter: string | null;
  readonly event: string;
  readonly words: string;
  readonly source: 'meter' | 'gateway';
  readonly detail: EventFact['detail'];
}

interface StoredSeries {
  readonly periodS: number;
  readonly channels: RecentSeries['channels'];
  readonly rows: Map<number, RecentRow>;
}
const textOf = (value: string | number | null | undefined): string | null =>
  value === null || value === undefined ? null : String(value);
const rowOf = (channels: readonly Channel[], at: number): RecentRow['values'] =>
  channels.map(({ energy, register, value }) => ({
    energy: textOf(energy?.[at]),
    register: textOf(register?.[at] ?? value?.[at]),
  }));

export class RecentFacts {
  private readonly events: RecentEvent[] = [];
  private readonly series = new Map<string, Map<string, StoredSeries>>();
  private readonly readings = new Map<string, ReadingFact>();
  private intervals = 0;

  add(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.kind === 'event') this.addEvent(fact);
      else if (fact.kind === 'profile') this.addProfile(fact);
      else if (fact.kind === 'reading') this.readings.set(fact.meter, fact);
    }
  }

  /** The newest first. */
  newestEvents(): readonly RecentEvent[] {
    return this.events.toReversed();
  }
  intervalsOf(meter: string, days: number, now: number): RecentIntervals {
    const since = now - days * 86_400_000;
    const series = [...(this.series.get(meter) ?? [])].map(([name, { periodS, channels, rows }]) => ({
      series: name.split(' ')[0] ?? name,
      periodS,
      channels,
      rows: [...rows]
        .filter(([at]) => at >= since)
        .toSorted(([a], [b]) => a - b)
        .map(([, row]) => row),
    }));
    const reading = this.readings.get(meter);
    const registers = reading && {
      readAt: reading.readAt,
      values: Object.entries(reading.registers).map(([obis, one]) => ({ obis, ...one })),
    };
    return { meter, series, registers: registers ?? null };
  }

  private addEvent({ meter, at, name, source, detail }: EventFact): void {
    const words = source === 'gateway' ? (eventRow(name)?.says ?? name) : name;
    this.events.push({ at, meter: meter === '_' ? null : meter, event: name, words, source, detail });
    if (this.events.length > maxEvents) this.events.shift();
  }
  private addProfile(fact: ProfileFact): void {
    const { meter, series, periodS, start, count, channels, quality } = fact;
    const own = this.series.get(meter) ?? new Map<string, StoredSeries>();
    this.series.set(meter, own);
    const name = `${series} ${periodS}`;
    const shown = channels.map(({ obis, unit, scaler }) => ({ obis, unit, scaler }));
    let known = own.get(name);
    if (!known || JSON.stringify(known.channels) !== JSON.stringify(shown)) {
      this.intervals -= known?.rows.size ?? 0;
      own.set(name, (known = { periodS, channels: shown, rows: new Map() }));
    }
    const { rows } = known;
    for (let i = 0; i < count; i++) {
      const at = Date.parse(start) + i * periodS * 1000;
      if (!rows.has(at)) this.intervals++;
      rows.set(at, { start: new Date(at).toISOString(), quality: quality[i] ?? '', values: rowOf(channels, i) });
    }
    this.trim(rows);
  }
  /** Back-fill comes in any order: the oldest instants go. */
  private trim(rows: Map<number, RecentRow>): void {
    const newest = Math.max(...rows.keys());
    for (const at of rows.keys()) if (at < newest - maxDays * 86_400_000 && rows.delete(at)) this.intervals--;
    while (this.intervals > maxIntervals) {
      let largest = rows;
      for (const own of this.series.values())
        for (const one of own.values()) if (one.rows.size > largest.size) largest = one.rows;
      const oldest = [...largest.keys()].toSorted((a, b) => a - b).slice(0, Math.ceil(largest.size / 10));
      for (const at of oldest) if (largest.delete(at)) this.intervals--;
      if (oldest.length === 0) return;
    }
  }
}
