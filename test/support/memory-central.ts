/**
 * What a central system must do with what it receives: keep the highest revision of each (point, meter, series, channel,
 * interval), of equal ones that of the later epoch; a gap takes nothing away that was measured; count replays, acknowledge
 * what is kept. What it cannot take it keeps raw, shows, and acknowledges all the same where its number can be read: one
 * message must not hold up all others. The topic says which gateway speaks. Pure; the reference for others who write one.
 */
import * as v from 'valibot';
import { type AckPayload, type UpPayload, upPayload } from '../../src/contract/payloads.ts';
import { checked, isUnfit, parsePayload, payloadLimit } from '../../src/contract/parse.ts';
import { speakerOf } from '../../src/contract/topics.ts';
import type { Integer } from '../../src/reading/facts.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import type { Mark } from '../../src/reading/ledger.ts';

export interface Value {
  readonly epoch: number;
  readonly rev: number;
  readonly energy: Integer | null;
  /** The register, or the value of a channel that counts nothing; null where what was counted is all there is. */
  readonly register: Integer | null;
  readonly quality: string;
}
export interface Counters {
  messages: number;
  /** Messages whose sequence was seen before: replays, harmless. */
  duplicates: number;
  /** A key and revision that came with another value: never allowed. */
  conflicts: number;
  unfit: number;
  gaps: number;
}
interface Published extends Mark {
  readonly epoch: number;
  readonly seq: number;
}
interface Received {
  epoch: number;
  upTo: number;
  /** The highest number of the epoch that ever came. */
  seen: number;
  readonly beyond: Set<number>;
  /** The birth of this epoch was seen. */
  greeted: boolean;
}

/** A message that does not fit the contract, as it came, to be looked at. */
interface Refused {
  readonly topic: string;
  readonly why: string;
  /** Its number, where that can be read; then it is acknowledged. */
  readonly number: { readonly epoch: number; readonly seq: number } | undefined;
  readonly raw: Uint8Array;
}
/** So many are kept; all are counted. */
const quarantineLimit = 1000;

export interface Ingest {
  readonly quarantine: Refused[];
  /** Numbers that were acknowledged once and are not here: our own loss. */
  readonly losses: { readonly gateway: string; readonly epoch: number; readonly from: number; readonly to: number }[];
  readonly counters: Counters;
  readonly conflicts: string[];
  readonly unfit: Map<string, number>;
  readonly gaps: UpPayload[];
  /** The newest value of each interval, by `meter|series|obis|start`. */
  readonly values: Map<string, Value>;
  readonly received: Map<string, Received>;
  /** All that was said of each interval, by `meter|series`, then start. */
  readonly intervals: Map<string, Map<number, Published[]>>;
  readonly manifests: (UpPayload & { kind: 'manifest' })[];
  /** Of orders, by `gateway|id`: the first that came. A repeated order is answered by the same. */
  readonly results: Map<string, UpPayload & { kind: 'result' }>;
}

export const newIngest = (): Ingest => ({
  counters: { messages: 0, duplicates: 0, conflicts: 0, unfit: 0, gaps: 0 },
  conflicts: [],
  unfit: new Map(),
  gaps: [],
  values: new Map(),
  received: new Map(),
  intervals: new Map(),
  manifests: [],
  results: new Map(),
  quarantine: [],
  losses: [],
});

/** Another gateway may refuse an order that was not for it. */
export const resultKey = ({ gateway, id }: { readonly gateway: string; readonly id: string }): string =>
  `${gateway}|${id}`;
export const valueKey = (meter: string, series: string, obis: string, startMs: number): string =>
  `${meter}|${series}|${obis}|${startMs}`;

/** What is acknowledged to a gateway: after each of its births, and when something moved. */
export const ackOf = ({ epoch, upTo, seen }: Received): AckPayload => ({ epoch, upTo, seen, nack: [] });

/**
 * A gateway introduced itself: where its numbering stands. Returns what it is to be answered. A birth of an epoch before
 * ours changes nothing: the gateway's state fell back, and the answer tells it so.
 */
export function greet(state: Ingest, birth: { gateway: string; epoch: number; acknowledged: number }): AckPayload {
  const { gateway, epoch, acknowledged } = birth;
  const known = state.received.get(gateway);
  // A later epoch: the gateway's store was damaged. Without memory of ours, begin after what was acknowledged.
  if (!known || known.epoch < epoch) {
    const begun = { epoch, upTo: acknowledged, seen: 0, beyond: new Set<number>(), greeted: true };
    state.received.set(gateway, begun);
    return ackOf(begun);
  }
  if (known.epoch === epoch && known.upTo < acknowledged) {
    // The gateway has them no more. Where we did not begin just now, we had them and lost them: `down/again` asks for them.
    if (known.greeted) state.losses.push({ gateway, epoch, from: known.upTo + 1, to: acknowledged });
    known.upTo = acknowledged;
    for (const seq of known.beyond) if (seq <= acknowledged) known.beyond.delete(seq);
  }
  if (known.epoch === epoch) known.greeted = true;
  advance(known);
  return ackOf(known);
}
function advance(received: Received): void {
  while (received.beyond.delete(received.upTo + 1)) received.upTo++;
}

const numbersOf = v.object({
  epoch: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
});
/** Further beyond all that came no number is believed that stands in a message which is wrong otherwise. */
const plausibleStep = 100_000;

/** What came, or why it is not taken. */
function judged(speaker: { gateway: string; meter: string }, octets: Uint8Array): UpPayload | { unfit: string } {
  const payload = parsePayload(upPayload, octets);
  if (isUnfit(payload)) return payload;
  if (payload.gateway !== speaker.gateway) return { unfit: 'gateway: another one than in the topic' };
  if ('meter' in payload && payload.meter !== speaker.meter) return { unfit: 'meter: another one than in the topic' };
  return payload;
}

/** Takes one message. Returns the gateway whose acknowledgement may have moved. */
export function take(state: Ingest, topic: string, octets: Uint8Array): string | undefined {
  const { counters } = state;
  const speaker = speakerOf(topic);
  if (speaker?.what !== 'up') {
    refuse(state, { topic, why: 'no topic of the contract', number: undefined, raw: octets });
    return undefined;
  }
  const { gateway } = speaker;
  const payload = judged(speaker, octets);
  if (isUnfit(payload)) {
    const number = readableNumber(state, gateway, octets);
    refuse(state, { topic, why: payload.unfit, number, raw: octets.slice(0, payloadLimit) });
    if (!number) return undefined;
    count(receivedOf(state, gateway, number.epoch), number);
    return gateway;
  }
  counters.messages++;
  const received = receivedOf(state, gateway, payload.epoch);
  // Only a birth begins another epoch: what is still under way of the one before counts as a fact and for no number.
  const ours = received.epoch === payload.epoch;
  if (ours && (payload.seq <= received.upTo || received.beyond.has(payload.seq))) counters.duplicates++;
  // Replays are taken all the same: identity and revision make them harmless, and differences must be seen.
  if (payload.kind === 'profile') takeProfile(state, payload);
  else if (payload.kind === 'gap') {
    counters.gaps++;
    state.gaps.push(payload);
  } else if (payload.kind === 'manifest') state.manifests.push(payload);
  else if (payload.kind === 'result' && !state.results.has(resultKey(payload)))
    state.results.set(resultKey(payload), payload);
  if (payload.kind === 'profile' || payload.kind === 'gap')
    for (const mark of marksOf(payload, shortestPeriodMs))
      tell(state, payload, { ...mark, epoch: payload.epoch, seq: payload.seq });
  count(received, payload);
  return gateway;
}
function receivedOf(state: Ingest, gateway: string, epoch: number): Received {
  const known = state.received.get(gateway);
  if (known) return known;
  const received = { epoch, upTo: 0, seen: 0, beyond: new Set<number>(), greeted: false };
  state.received.set(gateway, received);
  return received;
}
function count(received: Received, { epoch, seq }: { readonly epoch: number; readonly seq: number }): void {
  if (received.epoch !== epoch) return;
  if (seq > received.upTo) received.beyond.add(seq);
  received.seen = Math.max(received.seen, seq);
  advance(received);
}

function refuse(state: Ingest, refused: Refused): void {
  state.counters.unfit++;
  if (state.unfit.size < 100 || state.unfit.has(refused.why))
    state.unfit.set(refused.why, (state.unfit.get(refused.why) ?? 0) + 1);
  if (state.quarantine.length < quarantineLimit) state.quarantine.push(refused);
}
/** The number of a message that does not fit, where it can be one of this gateway's. */
function readableNumber(state: Ingest, gateway: string, octets: Uint8Array): Refused['number'] {
  if (octets.length > 16 * payloadLimit) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8'));
  } catch {
    return undefined;
  }
  const numbers = checked(numbersOf, value);
  const known = state.received.get(gateway);
  if (isUnfit(numbers) || !known || known.epoch !== numbers.epoch) return undefined;
  return numbers.seq <= Math.max(known.upTo, known.seen) + plausibleStep ? numbers : undefined;
}

function tell(state: Ingest, payload: UpPayload & { meter: string; series: string }, published: Published): void {
  const key = `${payload.meter}|${payload.series}`;
  const own = state.intervals.get(key) ?? new Map<number, Published[]>();
  state.intervals.set(key, own);
  const before = own.get(published.start) ?? [];
  if (before.some(({ epoch, seq }) => epoch === published.epoch && seq === published.seq)) return;
  own.set(published.start, [...before, published]);
}
/** No series is finer: a gap is a state of each of its intervals, whose length the manifest tells. */
const shortestPeriodMs = 300_000;

/**
 * Series of a manifest whose digest does not come out of what was received before it: something is missing, or not the
 * same. To be asked once everything up to the manifest's sequence is there.
 */
export function verifyManifest(state: Ingest, manifest: UpPayload & { kind: 'manifest' }): string[] {
  const day = Date.parse(`${manifest.day}T00:00:00Z`);
  return manifest.series.flatMap(({ meter, series, periodS, digest, ...bounds }) => {
    const from = bounds.from === undefined ? day : Date.parse(bounds.from);
    const to = bounds.to === undefined ? day + 86_400_000 : Date.parse(bounds.to);
    const own: Published[] = [];
    for (const [start, all] of state.intervals.get(`${meter}|${series}`) ?? []) {
      if (start < from || start >= to) continue;
      // What was said in an epoch before is said again, or is no longer known to the gateway.
      const before = all.filter(
        ({ epoch, seq, gap }) =>
          epoch === manifest.epoch && seq < manifest.seq && (!gap || start % (periodS * 1000) === 0),
      );
      const [highest] = before.toSorted((a, b) => b.rev - a.rev || b.seq - a.seq);
      if (highest) own.push(highest);
    }
    return dayDigest(own) === digest ? [] : [`${meter}|${series}`];
  });
}

function takeProfile(state: Ingest, payload: UpPayload & { kind: 'profile' }): void {
  const start = Date.parse(payload.start);
  for (const channel of payload.channels) {
    for (let i = 0; i < payload.count; i++) {
      const key = valueKey(payload.meter, payload.series, channel.obis, start + i * payload.periodS * 1000);
      const value: Value = {
        epoch: payload.epoch,
        rev: payload.rev[i] as number,
        energy: channel.energy?.[i] ?? null,
        register: (channel.register ?? channel.value)?.[i] ?? null,
        quality: payload.quality[i] as string,
      };
      const earlier = state.values.get(key);
      if (
        earlier &&
        earlier.rev === value.rev &&
        earlier.epoch === value.epoch &&
        (earlier.register !== value.register || earlier.quality !== value.quality || earlier.energy !== value.energy)
      ) {
        state.counters.conflicts++;
        if (state.conflicts.length < 20)
          state.conflicts.push(`${key} rev ${value.rev}: ${JSON.stringify(earlier)} and ${JSON.stringify(value)}`);
      }
      // Read again after the gateway lost its store, a value may lack the register before it: then no less is known than was.
      const again =
        earlier?.rev === value.rev && value.epoch > earlier.epoch && (value.energy !== null || earlier.energy === null);
      if (!earlier || value.rev > earlier.rev || again) state.values.set(key, value);
    }
  }
}
