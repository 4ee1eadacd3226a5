/**
 * Every fact is checked by the schema of its payload and by its size before it gets a number: a message that the head-end
 * must refuse would hold up the acknowledgement of everything after it. What does not fit is mended where nothing is lost
 * by it, is split, or becomes an event that tells what could not be said.
 */
import { messageOf } from '../base/errors.ts';
import { cut } from '../base/log.ts';
import { iso, type Millis } from '../base/time.ts';
import {
  type EventFact,
  type Fact,
  eventOfGateway,
  integerJson,
  type Origin,
  type ProfileFact,
} from '../reading/facts.ts';
import { type BirthPayload, factSchema, type HealthPayload } from '../contract/payloads.ts';
import { checked, factLimit, isUnfit } from '../contract/parse.ts';
import { detailLimit, lineLimit, wordLimit } from '../contract/words.ts';

type Detail = NonNullable<EventFact['detail']>;

/** Octets of a fact as JSON; undefined where JSON cannot say it. */
export function octetsOf(fact: unknown): number | undefined {
  try {
    return Buffer.byteLength(JSON.stringify(fact));
  } catch {
    return undefined;
  }
}
/** Why a fact does not fit the contract; undefined where it does. */
export function misfit(fact: Fact): string | undefined {
  const result = checked(factSchema, fact);
  return isUnfit(result) ? result.unfit : undefined;
}

/** Whether an entry that was stored before facts were checked may be one that does not fit: a year of six digits, or too long. */
export const isSuspicious = (text: string): boolean => text.length > factLimit || /"[+-]\d{6}-/.test(text);

/** The fact, or what is said instead of it: never nothing. Each fits the contract and has `limit` octets at most. */
export function fitFact(fact: Fact, wall: Millis, limit = factLimit): readonly Fact[] {
  if (misfit(fact) === undefined) return sized(fact, wall, limit);
  const mended = mend(fact, wall);
  const why = misfit(mended);
  return why === undefined ? sized(mended, wall, limit) : [unsayable(fact, why, wall, limit)];
}

function sized(fact: Fact, wall: Millis, limit: number): readonly Fact[] {
  const octets = octetsOf(fact) ?? Number.POSITIVE_INFINITY;
  if (octets <= limit) return [fact];
  const parts = halves(fact);
  if (parts) return parts.flatMap((part) => sized(part, wall, limit));
  const why = `${octets} octets, ${limit} fit`;
  if (fact.kind === 'gap') {
    // That nothing is there is said in any case, its edges where there is room.
    const bare = { ...fact, before: null, after: null };
    const stub = unsayable(fact, why, wall, limit);
    return (octetsOf(bare) ?? Number.POSITIVE_INFINITY) <= limit ? [bare, stub] : [stub];
  }
  if (fact.kind !== 'event') return [unsayable(fact, why, wall, limit)];
  const short = shortEvent(fact, why);
  return (octetsOf(short) ?? Number.POSITIVE_INFINITY) <= limit ? [short] : [unsayable(fact, why, wall, limit)];
}

/** A fact in two that say the same; undefined where it has no parts. */
function halves(fact: Fact): readonly Fact[] | undefined {
  switch (fact.kind) {
    case 'profile':
      return fact.count < 2
        ? undefined
        : [rowsOf(fact, 0, Math.ceil(fact.count / 2)), rowsOf(fact, Math.ceil(fact.count / 2), fact.count)];
    case 'reading': {
      const all = Object.entries(fact.registers);
      if (all.length < 2) return undefined;
      const middle = Math.ceil(all.length / 2);
      return [all.slice(0, middle), all.slice(middle)].map((some) => ({
        ...fact,
        registers: Object.fromEntries(some),
      }));
    }
    case 'manifest': {
      if (fact.series.length < 2) return undefined;
      const middle = Math.ceil(fact.series.length / 2);
      return [fact.series.slice(0, middle), fact.series.slice(middle)].map((series) => ({ ...fact, series }));
    }
    default:
      return undefined;
  }
}
/** Some rows of a block. */
function rowsOf(fact: ProfileFact, from: number, to: number): ProfileFact {
  const some = <T>(column: readonly T[]) => column.slice(from, to);
  const start = iso((Date.parse(fact.start) + from * fact.periodS * 1000) as Millis);
  return {
    ...fact,
    start,
    count: to - from,
    channels: fact.channels.map(({ register, energy, value, ...channel }) => ({
      ...channel,
      ...(register && { register: some(register) }),
      ...(energy && { energy: some(energy) }),
      ...(value && { value: some(value) }),
    })),
    status: some(fact.status),
    quality: some(fact.quality),
    rev: some(fact.rev),
    ...(fact.reason && { reason: some(fact.reason) }),
    ...(fact.stampedOffS && { stampedOffS: some(fact.stampedOffS) }),
    ...(fact.clockSays && { clockSays: some(fact.clockSays) }),
    ...(fact.flags && { flags: some(fact.flags) }),
  };
}

/** The event without the long parts of its detail. */
function shortEvent(fact: EventFact, why: string): EventFact {
  const detail = Object.entries(fact.detail ?? {}).map(([name, value]) => [
    name,
    typeof value === 'string' ? cut(value, 40) : value,
  ]);
  return { ...fact, detail: { ...Object.fromEntries(detail.slice(0, 12)), cutBecause: why } };
}

/** What could not be said, and why. Its own words always fit: of what comes from outside little is repeated. */
function unsayable(fact: Fact, why: string, wall: Millis, limit: number): EventFact {
  const of = fact as unknown as Record<string, unknown>;
  const origin = originOf(of);
  const facts: Record<string, string> = {};
  for (const name of ['series', 'start', 'end', 'at', 'readAt', 'day', 'name', 'count'])
    if (of[name] !== undefined) facts[name] = cut(asText(of[name]), 40);
  const event = (detail: Detail, from = origin): EventFact => {
    const at = sayable(wall) ?? null;
    return { ...eventOfGateway(0 as Millis, 'UNSAYABLE_FACT', detail, from), at, readAt: at ?? latest };
  };
  const short = { kind: cut(asText(of['kind']), 20), why: cut(why, 160) };
  const text = printed(fact);
  for (const room of [lineLimit - 40, 200, 0]) {
    const whole = event({ ...short, ...facts, ...(room > 0 && { text: cut(text, room) }) });
    if (misfit(whole) === undefined && (octetsOf(whole) ?? limit + 1) <= limit) return whole;
  }
  return event(short, { ...origin, point: cut(origin.point, 20), serial: cut(origin.serial, 20) });
}
const latest = '9999-12-31T23:59:59Z';
/** An instant in the contract's words; undefined where it is in no year of four digits. */
function sayable(at: Millis): string | undefined {
  return at >= minAt && at <= maxAt ? iso(at) : undefined;
}
const minAt = Date.parse('0000-01-01T00:00:00Z');
const maxAt = Date.parse(latest);

function printed(value: unknown): string {
  try {
    return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? one.toString() : one)) ?? 'nothing';
  } catch (error) {
    return messageOf(error);
  }
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : printed(value));
function originOf(of: Record<string, unknown>): Origin {
  const { meter = '_', point = '', serial = '' } = of;
  return { meter: topicWord(asText(meter)), point: cutWord(asText(point)), serial: cutWord(asText(serial)) };
}
/** Where a name is none of a topic, the gateway itself speaks. */
const topicWord = (name: string): string => (/^[A-Za-z0-9_-]{1,64}$/.test(name) ? name : '_');
const cutWord = (text: string): string => cut(text, wordLimit - 30);

/** Fields whose numbers may be integers beyond 2^53: those are decimal strings. */
const integerFields = new Set(['register', 'energy', 'value', 'raw', 'before', 'after']);

/** What can be said in other words without saying less; anything else stays as it is. */
function mend(fact: Fact, wall: Millis): Fact {
  if (fact.kind === 'event') return mendEvent(fact, wall);
  return mendValue(fact, '') as Fact;
}
function mendValue(value: unknown, field: string): unknown {
  if (typeof value === 'bigint') return integerJson(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return null;
    return integerFields.has(field) && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? BigInt(value).toString()
      : value;
  }
  if (typeof value === 'string')
    return ['point', 'serial', 'clockTrust', 'unit'].includes(field) ? cutWord(value) : value;
  if (Array.isArray(value)) return value.map((one) => mendValue(one, field));
  if (typeof value !== 'object' || value === null) return value;
  const inside = (name: string) => (field === 'before' || field === 'after' ? field : name);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mendValue(one, inside(name))]));
}

/** An event happened, whatever its stamp says: the raw stamp goes into the detail. */
function mendEvent(fact: EventFact, wall: Millis): EventFact {
  const raw: Record<string, string> = {};
  const instant = (field: 'at' | 'readAt'): string | undefined => {
    const stamp: unknown = fact[field];
    const whole = typeof stamp === 'string' && misfit({ ...plainEvent, [field]: stamp }) === undefined;
    if (whole) return stamp;
    if (stamp !== null) raw[field === 'at' ? 'rawAt' : 'rawReadAt'] = cut(asText(stamp), 100);
    return undefined;
  };
  const at = instant('at') ?? null;
  const readAt = instant('readAt') ?? sayable(wall) ?? latest;
  const { meter, point, serial, code, occurrence } = fact;
  if (topicWord(meter) !== meter) raw['rawMeter'] = cut(meter, 100);
  const whole = Number.isSafeInteger(occurrence) && occurrence >= 0;
  if (!whole) raw['rawOccurrence'] = String(occurrence);
  return {
    ...fact,
    ...originOf({ meter, point, serial }),
    log: fact.log === null ? null : cutWord(fact.log),
    name: cutWord(fact.name),
    code: typeof code === 'number' && Number.isFinite(code) ? code : null,
    at,
    occurrence: whole ? occurrence : 0,
    readAt,
    detail: mendDetail(fact.detail, raw),
  };
}
const plainEvent: EventFact = { ...eventOfGateway(0 as Millis, 'X', null) };

function mendDetail(detail: EventFact['detail'], raw: Record<string, string>): EventFact['detail'] {
  const all = Object.entries(detail ?? {});
  const most = detailLimit - 1 - Object.keys(raw).length;
  const fields = all.slice(0, most).map(([name, value]: [string, unknown]) => [cutWord(name), plain(value)]);
  const leftOut = all.length > most ? { leftOut: all.length - most } : {};
  return all.length + Object.keys(raw).length === 0
    ? detail
    : { ...(Object.fromEntries(fields) as Detail), ...leftOut, ...raw };
}
function plain(value: unknown): Detail[string] {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string') return cut(value, lineLimit - 40);
  if (typeof value === 'bigint') return value.toString();
  return value === undefined ? null : cut(printed(value), lineLimit - 40);
}

/** A birth of so many octets at most: the series are left out first, then meters from the end. */
export function fitBirth(birth: BirthPayload, limit: number): BirthPayload {
  return fewer(birth, limit, [
    birth,
    { ...birth, meters: birth.meters.map((meter) => ({ ...meter, series: [] })), seriesLeftOut: true },
  ]);
}
/** A health of so many octets at most: meters that are well are left out first. */
export function fitHealth(health: HealthPayload, limit: number): HealthPayload {
  const short: HealthPayload = {
    ...health,
    ports: health.ports.map((port) => ({ ...port, error: port.error === null ? null : cut(port.error) })),
    meters: health.meters
      .map(({ alarms, ...meter }) => ({ ...meter, alarms: alarms.slice(0, 10).map((alarm) => cut(alarm)) }))
      .toSorted((a, b) => Number(a.verdict === 'REACHABLE') - Number(b.verdict === 'REACHABLE')),
    store: { ...health.store, failure: health.store.failure === null ? null : cut(health.store.failure) },
  };
  const fits = health.meters.every(({ alarms }) => alarms.every((alarm) => alarm.length <= lineLimit));
  return fewer(health, limit, [...(fits ? [health] : []), short]);
}
/** The first of several that fits; of the last as many meters as fit, and how many are left out. */
function fewer<P extends BirthPayload | HealthPayload>(whole: P, limit: number, ways: readonly P[]): P {
  const fits = (one: P) => (octetsOf(one) ?? limit + 1) <= limit;
  const found = ways.find(fits);
  if (found) return found;
  const last = ways.at(-1) ?? whole;
  let meters: P['meters'] = last.meters;
  for (;;) {
    meters = meters.slice(0, Math.floor(meters.length * 0.8));
    const one = { ...last, meters, metersLeftOut: whole.meters.length - meters.length };
    if (meters.length === 0 || fits(one)) return one;
  }
}
