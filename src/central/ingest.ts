/**
 * What a central system must do with what it receives: keep the highest revision of each (point, meter, series, channel,
 * interval), of equal ones that of the later epoch; a gap takes nothing away that was measured; count replays, acknowledge what is kept. Pure; the reference for others who write one.
 */
import { isUnfit, parsePayload, type UpPayload, upPayload } from '../forward/payload.ts';
import type { Integer } from '../reading/facts.ts';
import { dayDigest, marksOf } from '../reading/interval-hash.ts';
import type { Mark } from '../reading/ledger.ts';

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
interface Said extends Mark {
  readonly epoch: number;
  readonly seq: number;
}
interface Received {
  epoch: number;
  upTo: number;
  readonly beyond: Set<number>;
  /** The birth of this epoch was seen. */
  greeted: boolean;
}

export interface Ingest {
  readonly counters: Counters;
  readonly conflicts: string[];
  readonly unfit: Map<string, number>;
  readonly gaps: UpPayload[];
  /** By `meter|series|obis|start`. */
  readonly values: Map<string, Value>;
  readonly received: Map<string, Received>;
  /** All that was said of each interval, by `meter|series`, then start. */
  readonly told: Map<string, Map<number, Said[]>>;
  readonly manifests: (UpPayload & { kind: 'manifest' })[];
}

export const newIngest = (): Ingest => ({
  counters: { messages: 0, duplicates: 0, conflicts: 0, unfit: 0, gaps: 0 },
  conflicts: [],
  unfit: new Map(),
  gaps: [],
  values: new Map(),
  received: new Map(),
  told: new Map(),
  manifests: [],
});

export const valueKey = (meter: string, series: string, obis: string, startMs: number): string =>
  `${meter}|${series}|${obis}|${startMs}`;

/** A gateway introduced itself: where its numbering stands. */
export function greet(state: Ingest, birth: { gateway: string; epoch: number; acknowledged: number }): void {
  const known = state.received.get(birth.gateway);
  // A new epoch: the gateway's store was damaged. Without memory of ours, begin after what was acknowledged.
  if (!known || known.epoch !== birth.epoch)
    state.received.set(birth.gateway, {
      epoch: birth.epoch,
      upTo: birth.acknowledged,
      beyond: new Set(),
      greeted: true,
    });
  else if (!known.greeted) {
    known.greeted = true;
    known.upTo = Math.max(known.upTo, birth.acknowledged);
    advance(known);
  }
}
function advance(received: Received): void {
  while (received.beyond.delete(received.upTo + 1)) received.upTo++;
}

/** Takes one message. Returns the gateway whose acknowledgement may have moved. */
export function take(state: Ingest, octets: Uint8Array): string | undefined {
  const { counters } = state;
  const payload = parsePayload(upPayload, octets);
  if (isUnfit(payload)) {
    counters.unfit++;
    state.unfit.set(payload.unfit, (state.unfit.get(payload.unfit) ?? 0) + 1);
    return undefined;
  }
  counters.messages++;
  let received = state.received.get(payload.gateway);
  if (!received) {
    received = { epoch: payload.epoch, upTo: 0, beyond: new Set(), greeted: false };
    state.received.set(payload.gateway, received);
  }
  // Only a birth begins another epoch: what is still under way of the one before counts as a fact and for no number.
  const ours = received.epoch === payload.epoch;
  if (ours && (payload.seq <= received.upTo || received.beyond.has(payload.seq))) counters.duplicates++;
  // Replays are taken all the same: identity and revision make them harmless, and differences must be seen.
  if (payload.kind === 'profile') takeProfile(state, payload);
  else if (payload.kind === 'gap') {
    counters.gaps++;
    state.gaps.push(payload);
  } else if (payload.kind === 'manifest') state.manifests.push(payload);
  if (payload.kind === 'profile' || payload.kind === 'gap')
    for (const mark of marksOf(payload, shortestPeriodMs))
      tell(state, payload, { ...mark, epoch: payload.epoch, seq: payload.seq });
  if (ours && payload.seq > received.upTo) received.beyond.add(payload.seq);
  advance(received);
  return payload.gateway;
}

function tell(state: Ingest, payload: UpPayload & { meter: string; series: string }, said: Said): void {
  const key = `${payload.meter}|${payload.series}`;
  const own = state.told.get(key) ?? new Map<number, Said[]>();
  state.told.set(key, own);
  const before = own.get(said.start) ?? [];
  if (before.some(({ epoch, seq }) => epoch === said.epoch && seq === said.seq)) return;
  own.set(said.start, [...before, said]);
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
    const own: Said[] = [];
    for (const [start, all] of state.told.get(`${meter}|${series}`) ?? []) {
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
      const kept = state.values.get(key);
      if (
        kept &&
        kept.rev === value.rev &&
        kept.epoch === value.epoch &&
        (kept.register !== value.register || kept.quality !== value.quality || kept.energy !== value.energy)
      ) {
        state.counters.conflicts++;
        if (state.conflicts.length < 20)
          state.conflicts.push(`${key} rev ${value.rev}: ${JSON.stringify(kept)} and ${JSON.stringify(value)}`);
      }
      // Read again after the gateway lost its store, a value may lack the register before it: then no less is known than was.
      const again =
        kept?.rev === value.rev && value.epoch > kept.epoch && (value.energy !== null || kept.energy === null);
      if (!kept || value.rev > kept.rev || again) state.values.set(key, value);
    }
  }
}
