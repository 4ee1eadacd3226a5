/**
 * A seeded truth of points and what a central system hears of it, and when: outages, swaps, a switch that is opened, links
 * that are away, rows that are lost, customers who move. The truth is in Wh by quarter of an hour; facts come out of it as
 * gateways make them.
 */
import { iso, millis } from '../../src/base/time.ts';
import type { Delivered, DeliveredInterval } from '../../src/central/facts.ts';
import { addDays, dayOf, type Grid, gridOf, midnight } from '../../src/billing/local-time.ts';
import type { Channel, Contract, Installation, Netting, Point } from '../../src/billing/registry.ts';
import { seeded } from '../../src/simulator/random.ts';

export const zone = 'Europe/Helsinki';
const quarterMs = 900_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
export const obis = { import: '1-0:1.8.0*255', export: '1-0:2.8.0*255' } as const;
export const series = '1-0:99.1.0*255';

export interface Span {
  readonly from: number;
  readonly to: number;
}
export interface LinkLoss extends Span {
  /** Rows of this part are gone from the buffer of the meter when it is read again. */
  readonly lost?: Span;
}
export interface Story {
  readonly seed: number;
  readonly name: string;
  readonly firstDay: string;
  readonly days: number;
  readonly periods: Point['periods'];
  readonly solar: boolean;
  readonly netting: Netting;
  readonly scale: number;
  readonly outages: readonly Span[];
  readonly switchedOff: readonly Span[];
  readonly links: readonly LinkLoss[];
  readonly swap: { readonly at: number; readonly reportedAt: number; readonly heardEarly: boolean } | undefined;
  readonly move: { readonly day: string; readonly reportedAt: number } | undefined;
}
export interface Truth {
  readonly story: Story;
  readonly grid: Grid;
  /** By interval of the grid. */
  readonly energy: Readonly<Record<Channel, readonly number[]>>;
  /** Intervals whose row never comes. */
  readonly lost: readonly boolean[];
  readonly facts: readonly DeliveredInterval[];
  readonly events: readonly Delivered<'event'>[];
  pointAt(at: number): Point;
  contractsAt(at: number): Contract[];
}

/** Milliseconds of [from, to) that lie within the spans. */
const overlap = (spans: readonly Span[], from: number, to: number): number =>
  spans.reduce((sum, span) => sum + Math.max(0, Math.min(to, span.to) - Math.max(from, span.from)), 0);

/** Two peaks a day, more on weekends; sun at noon. */
function quarterEnergies(story: Story, from: number, count: number): Record<Channel, number[]> {
  const random = seeded(story.seed);
  const taken: number[] = [];
  const fed: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = from + i * quarterMs;
    const local = new Date(start + 2.5 * hourMs);
    const hour = local.getUTCHours() + local.getUTCMinutes() / 60;
    const weekend = [0, 6].includes(local.getUTCDay());
    const peak = (at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2));
    const shape = 0.3 + peak(weekend ? 10 : 7.5, 1.5) + 1.6 * peak(19, 2.5) + (weekend ? 0.3 : 0);
    // Spans may lie over each other.
    const dark = Math.min(1, overlap([...story.outages, ...story.switchedOff], start, start + quarterMs) / quarterMs);
    const use = story.scale * shape * (0.6 + 0.8 * random()) * (1 - dark);
    const sun = story.solar ? story.scale * 2.2 * Math.max(0, peak(13, 3) - 0.15) * (0.2 + random()) * (1 - dark) : 0;
    taken.push(Math.round(use + (story.solar ? 0.15 * story.scale * random() : 0) * (1 - dark)));
    fed.push(Math.round(sun));
  }
  return { import: taken, export: fed };
}

interface RowPlan {
  readonly i: number;
  readonly arrives: number;
  /** Wholly without mains: there is no row. */
  readonly dark: boolean;
  readonly lost: boolean;
}
function plansOf(story: Story, grid: Grid): RowPlan[] {
  const random = seeded(story.seed ^ 0x5a5a5a);
  const delays = new Map<string, number>();
  return grid.intervals.map(({ start, end, day }, i) => {
    const live = end + (5 + 50 * random()) * 60_000;
    const link = story.links.find(({ from, to }) => from <= live && live < to);
    const lost = story.links.some(({ lost: gone }) => gone && gone.from <= start && end <= gone.to);
    let arrives = live;
    if (link) {
      const key = `${link.from}|${day}`;
      const delay = delays.get(key) ?? 20 * 60_000 + random() * 30 * hourMs;
      delays.set(key, delay);
      arrives = Math.max(link.to + delay, live);
    }
    if (story.swap && !story.swap.heardEarly && end > story.swap.at) arrives = Math.max(arrives, story.swap.reportedAt);
    const dark = story.outages.some(({ from, to }) => from <= start && end <= to);
    return { i, arrives: Math.ceil(arrives), dark, lost };
  });
}

interface Saga {
  readonly message: DeliveredInterval['message'];
  readonly at: number;
}
const serials = (name: string): readonly [string, string] => [`${name}1`, `${name}2`];

export function truthOf(story: Story): Truth {
  const grid = gridOf(story.periods, zone, story.firstDay, addDays(story.firstDay, story.days));
  const [first, last] = [grid.intervals[0]?.start ?? 0, grid.intervals.at(-1)?.end ?? 0];
  const quarters = quarterEnergies(story, first, (last - first) / quarterMs);
  const energyOf = (channel: Channel) =>
    grid.intervals.map(({ start, end }) =>
      quarters[channel].slice((start - first) / quarterMs, (end - first) / quarterMs).reduce((a, b) => a + b, 0),
    );
  const energy = { import: energyOf('import'), export: energyOf('export') };
  const names: readonly Channel[] = story.solar ? ['import', 'export'] : ['import'];
  const random = seeded(story.seed ^ 0x77);
  const begin = { import: Math.floor(random() * 1e7), export: Math.floor(random() * 1e6) };
  const swapIndex = story.swap ? grid.intervals.findIndex(({ end }) => end > (story.swap?.at ?? 0)) : -1;
  /** Of the energy of the interval of the swap this much was counted by the old meter. */
  const share = 0.4;
  const splitOf = (channel: Channel) => Math.floor((energy[channel][swapIndex] ?? 0) * share);
  const second = { import: 7, export: 0 };
  const registers = Object.fromEntries(
    names.map((channel) => {
      let register = begin[channel];
      return [
        channel,
        grid.intervals.map((_, i) => {
          if (i === swapIndex) register = second[channel] + ((energy[channel][i] ?? 0) - splitOf(channel));
          else register += energy[channel][i] ?? 0;
          return register;
        }),
      ];
    }),
  ) as Partial<Record<Channel, number[]>>;
  const registerBefore = (channel: Channel, i: number) =>
    i === 0 ? begin[channel] : (registers[channel]?.[i - 1] ?? 0);
  const [oldSerial, newSerial] = serials(story.name);
  const serialAt = (i: number) => (swapIndex >= 0 && i >= swapIndex ? newSerial : oldSerial);
  const plans = plansOf(story, grid);
  const sagas = sagasOf(story, { grid, plans, names, energy, registers, registerBefore, serialAt, swapIndex });
  const facts = sagas
    .toSorted((a, b) => a.at - b.at)
    .map(({ message, at }, i): DeliveredInterval => {
      const numbered = { ...message, v: 1 as const, epoch: 1, seq: i + 1, gateway: 'gw-1' };
      return { gateway: 'gw-1', epoch: 1, seq: i + 1, receivedAt: millis(at), message: numbered } as DeliveredInterval;
    });
  const installed = (at: number): Installation[] => {
    const { swap } = story;
    if (!swap || at < swap.reportedAt) return [{ serial: oldSerial, from: first, to: null, first: begin }];
    const final = Object.fromEntries(
      names.map((channel) => [channel, registerBefore(channel, swapIndex) + splitOf(channel)]),
    );
    return [
      { serial: oldSerial, from: first, to: swap.at, first: begin, final },
      { serial: newSerial, from: swap.at, to: null, first: second },
    ];
  };
  const contract = (name: string, from: string, to: string | null): Contract => ({
    contract: name,
    point: `p-${story.name}`,
    customer: { name: `Customer ${name}`, address: ['Kauppakatu 1', '40100 Jyväskylä'] },
    language: 'fi',
    from,
    to,
  });
  return {
    story,
    grid,
    energy,
    lost: plans.map(({ lost }) => lost),
    facts,
    events: eventsOf(story),
    pointAt: (at) => ({
      point: `p-${story.name}`,
      series,
      zone,
      scaler: 0,
      obis: story.solar ? obis : { import: obis.import },
      periods: story.periods,
      netting: story.netting,
      installations: installed(at),
      yearlyEstimate: story.scale * 35_000,
      fuseA: 63,
      displayDecimals: 0,
    }),
    contractsAt: (at) => {
      const end = addDays(story.firstDay, story.days);
      const [one, two] = [`A-${story.name}`, `B-${story.name}`];
      const { move } = story;
      if (!move || at < move.reportedAt) return [contract(one, story.firstDay, end)];
      return [contract(one, story.firstDay, move.day), contract(two, move.day, end)];
    },
  };
}

interface Scene {
  readonly grid: Grid;
  readonly plans: readonly RowPlan[];
  readonly names: readonly Channel[];
  readonly energy: Readonly<Record<Channel, readonly number[]>>;
  readonly registers: Partial<Record<Channel, number[]>>;
  readonly registerBefore: (channel: Channel, i: number) => number;
  readonly serialAt: (i: number) => string;
  readonly swapIndex: number;
}
function sagasOf(story: Story, scene: Scene): Saga[] {
  const { grid, plans, names, energy, registers, registerBefore, serialAt, swapIndex } = scene;
  const origin = (i: number) => ({ meter: `m-${story.name}`, point: `p-${story.name}`, serial: serialAt(i) });
  /** A row as it is at a revision; `energies` is left out where the register before it is not known. */
  interface Version {
    readonly i: number;
    readonly rev: number;
    readonly at: number;
    readonly energyKnown: boolean;
  }
  const versions: Version[] = [];
  const sagas: Saga[] = [];
  let before = -1;
  for (const { i, arrives, dark, lost } of plans) {
    if (dark || lost) continue;
    const between = plans.slice(before + 1, i);
    const registerKnown = between.every((one) => one.dark);
    const beforeArrives = before < 0 ? 0 : (plans[before]?.arrives ?? 0);
    // The register before it comes later: until then nobody knows what belongs to this interval.
    const complete = registerKnown ? Math.max(arrives, beforeArrives) : Infinity;
    if (complete > arrives) versions.push({ i, rev: 0, at: arrives, energyKnown: false });
    if (complete < Infinity) versions.push({ i, rev: complete > arrives ? 1 : 0, at: complete, energyKnown: true });
    if (between.length > 0) {
      const cause = registerKnown ? 'OUTAGE' : 'LOST';
      const register = (n: number) =>
        Object.fromEntries(names.map((channel) => [obis[channel], registerBefore(channel, n)]));
      const wholeDark = registerKnown && before >= 0;
      const [from, to] = [grid.intervals[before + 1], grid.intervals[i - 1]];
      if (from && to)
        sagas.push({
          at: Math.max(arrives, beforeArrives),
          message: {
            v: 1,
            epoch: 1,
            seq: 1,
            gateway: 'gw-1',
            kind: 'gap',
            series,
            rev: 0,
            ...origin(i),
            start: iso(millis(from.start)),
            end: iso(millis(to.end)),
            cause: wholeDark ? cause : cause === 'OUTAGE' ? 'OUTAGE' : 'LOST',
            before: register(before + 1),
            after: registerKnown ? register(i) : null,
            readAt: iso(millis(arrives)),
          },
        });
    }
    before = i;
  }
  versions.sort((a, b) => a.at - b.at || a.i - b.i);
  const lengthOf = (i: number) => (grid.intervals[i]?.end ?? 0) - (grid.intervals[i]?.start ?? 0);
  for (let n = 0; n < versions.length; ) {
    const first = versions[n] as Version;
    let m = n + 1;
    const joins = (one: Version | undefined, before: Version): boolean =>
      one !== undefined &&
      one.at === first.at &&
      one.i === before.i + 1 &&
      serialAt(one.i) === serialAt(first.i) &&
      lengthOf(one.i) === lengthOf(first.i) &&
      m - n < 96;
    while (joins(versions[m], versions[m - 1] as Version)) m++;
    const rows = versions.slice(n, m);
    n = m;
    const status = rows.map(({ i }) => {
      const { start, end } = grid.intervals[i] as { start: number; end: number };
      return overlap(story.outages, start, end) > 0 ? 0x80 : 0;
    });
    sagas.push({
      at: first.at,
      message: {
        v: 1,
        epoch: 1,
        seq: 1,
        gateway: 'gw-1',
        kind: 'profile',
        series,
        ...origin(first.i),
        start: iso(millis(grid.intervals[first.i]?.start ?? 0)),
        periodS: lengthOf(first.i) / 1000,
        count: rows.length,
        channels: names.map((channel) => ({
          obis: obis[channel],
          unit: 'Wh',
          scaler: 0,
          register: rows.map(({ i }) => registers[channel]?.[i] ?? 0),
          energy: rows.map(({ i, energyKnown }) => (energyKnown ? (energy[channel][i] ?? 0) : null)),
        })),
        status,
        quality: rows.map(() => 'MEASURED' as const),
        rev: rows.map(({ rev }) => rev),
        reason: rows.map(({ rev }) => (rev > 0 ? ('CHANGED' as const) : null)),
        flags: rows.map(({ i }) => (i === swapIndex ? ['SWAP' as const] : [])),
        readAt: iso(millis(first.at)),
        clockDeviationS: 0,
        clockTrust: 'system',
      },
    });
  }
  return sagas;
}
function eventsOf(story: Story): Delivered<'event'>[] {
  const origin = { meter: `m-${story.name}`, point: `p-${story.name}`, serial: serials(story.name)[0] };
  const heard = (at: number) =>
    story.links.reduce((when, { from, to }) => (from <= when && when < to ? to + hourMs : when), at);
  const events: {
    at: number;
    heardAt: number;
    code: number | null;
    name: string;
    detail: Record<string, string> | null;
  }[] = [];
  for (const { from, to } of story.outages) {
    const detail = { from: iso(millis(from)), to: iso(millis(to)) };
    events.push({ at: to, heardAt: heard(to + hourMs), code: null, name: 'MAINS_OFF', detail });
  }
  for (const { from, to } of story.switchedOff) {
    events.push({ at: from, heardAt: heard(from + hourMs), code: 60, name: 'manual disconnection', detail: null });
    events.push({ at: to, heardAt: heard(to + hourMs), code: 61, name: 'manual connection', detail: null });
  }
  return events.map(({ at, heardAt, code, name, detail }, i) => ({
    gateway: 'gw-1',
    epoch: 1,
    seq: 1_000_000 + i,
    receivedAt: millis(heardAt),
    message: {
      v: 1,
      epoch: 1,
      seq: 1_000_000 + i,
      gateway: 'gw-1',
      kind: 'event',
      ...origin,
      source: code === null ? 'gateway' : 'meter',
      log: code === null ? null : '0-0:99.98.0*255',
      code,
      name,
      at: iso(millis(at)),
      occurrence: 0,
      detail,
      readAt: iso(millis(heardAt)),
    },
  }));
}

/** A point of a seed, with everything that happens to it in 120 days and a little. */
export function storyOf(seed: number, index: number): Story {
  const random = seeded(seed * 1009 + index);
  const chance = (of: number) => random() < of;
  const firstDay = seed % 2 === 0 ? '2026-02-01' : '2026-08-01';
  const days = seed % 2 === 0 ? 120 : 122;
  const [begin, end] = [midnight(firstDay, zone), midnight(addDays(firstDay, days), zone)];
  const minute = (at: number) => Math.round(at / 60_000) * 60_000;
  const within = (from: number, to: number) => minute(from + random() * (to - from));
  const span = (shortest: number, longest: number): Span => {
    const from = within(begin + 2 * dayMs, end - longest - 3 * dayMs);
    return { from, to: minute(from + shortest + random() * (longest - shortest)) };
  };
  const quarter = chance(0.15);
  const changes = !quarter && chance(0.1);
  const solar = chance(0.3);
  const begins = seeded((seed * 1009 + index) ^ 0x4e)();
  const nettedFrom = begins < 0.5 || [{ from: addDays(firstDay, Math.floor(begins * 110)), to: null }];
  const links = Array.from({ length: 1 + Math.floor(random() * 4) }, (): LinkLoss => {
    const away = span(2 * hourMs, chance(0.3) ? 20 * dayMs : 2 * dayMs);
    if (!chance(0.2) || away.to - away.from < 8 * hourMs) return away;
    const from = Math.ceil((away.from + hourMs) / hourMs) * hourMs;
    return { ...away, lost: { from, to: from + (1 + Math.floor(random() * 6)) * hourMs } };
  });
  // Away over the end of a month: what is billed then is estimated.
  if (chance(0.6)) {
    const monthEnds = seed % 2 === 0 ? ['2026-03-01', '2026-04-01'] : ['2026-09-01', '2026-11-01'];
    const monthEnd = midnight(monthEnds[chance(0.5) ? 0 : 1] ?? firstDay, zone);
    links.push({ from: minute(monthEnd - random() * 6 * dayMs), to: minute(monthEnd + (1 + 5 * random()) * dayMs) });
  }
  const swapAt = within(begin + 5 * dayMs, end - 30 * dayMs);
  const moveDay = addDays(firstDay, 20 + Math.floor(random() * (days - 50)));
  return {
    seed: seed * 7919 + index,
    name: `${seed}-${index}`,
    firstDay,
    days,
    periods: quarter
      ? [{ from: firstDay, periodS: 900 }]
      : changes
        ? [
            { from: firstDay, periodS: 3600 },
            { from: addDays(firstDay, 30 + Math.floor(random() * 60)), periodS: 900 },
          ]
        : [{ from: firstDay, periodS: 3600 }],
    solar,
    netting: solar && chance(0.7) && nettedFrom,
    scale: 60 + Math.floor(random() * 200),
    outages: Array.from({ length: Math.floor(random() * 4) }, () => span(10 * 60_000, 30 * hourMs)),
    switchedOff: chance(0.3) ? [span(3 * hourMs, 5 * dayMs)] : [],
    links,
    swap: chance(0.3)
      ? { at: swapAt, reportedAt: swapAt + (chance(0.5) ? 0 : random() * 25 * dayMs), heardEarly: chance(0.3) }
      : undefined,
    move: chance(0.3)
      ? { day: moveDay, reportedAt: midnight(moveDay, zone) + (chance(0.5) ? -5 : 14) * dayMs }
      : undefined,
  };
}
/** When all that can come has come. */
export const allIn = ({ story }: Pick<Truth, 'story'>): number =>
  midnight(addDays(story.firstDay, story.days), zone) + 5 * dayMs;
export const dayAt = (at: number): string => dayOf(at, zone);
