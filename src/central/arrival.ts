/** What comes from the broker, judged before anything is stored: by topic, schema and size. Pure. */
import * as v from 'valibot';
import type { Millis } from '../base/time.ts';
import {
  type BirthPayload,
  birthPayload,
  type HealthPayload,
  healthPayload,
  statePayload,
  type UpPayload,
  upPayload,
} from '../contract/payloads.ts';
import { checked, isUnfit, parsePayload, payloadLimit } from '../contract/parse.ts';
import { speakerOf } from '../contract/topics.ts';

type StatePayload = v.InferOutput<typeof statePayload>;

export type Arrival =
  | {
      readonly kind: 'fact';
      readonly gateway: string;
      readonly message: UpPayload;
      /** The message as it was sent. */
      readonly text: string;
    }
  | { readonly kind: 'birth'; readonly gateway: string; readonly birth: BirthPayload; readonly text: string }
  | { readonly kind: 'health'; readonly gateway: string; readonly health: HealthPayload; readonly text: string }
  | { readonly kind: 'state'; readonly gateway: string; readonly state: StatePayload }
  | Refused;
/** A message that does not fit the contract, as it came. */
export interface Refused {
  readonly kind: 'unfit';
  /** Of the topic; undefined where it is no topic of the contract. */
  readonly gateway: string | undefined;
  readonly topic: string;
  readonly why: string;
  /** Its number, where that can be read; then it is acknowledged, where it can be one of this gateway's. */
  readonly number: { readonly epoch: number; readonly seq: number } | undefined;
  /** So much of it as a payload may have. */
  readonly raw: Uint8Array;
}
export interface Received {
  readonly at: Millis;
  readonly arrival: Arrival;
}

const numbersOf = v.object({
  epoch: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
});
/** What is longer is not even looked at for its number. */
const readableLimit = 16 * payloadLimit;
function numberIn(text: string): Refused['number'] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const numbers = checked(numbersOf, value);
  return isUnfit(numbers) ? undefined : numbers;
}

/** Judges one message; undefined where there is nothing in it (`config check --live` publishes nothing, to see whether it may). */
export function judge(topic: string, octets: Uint8Array): Arrival | undefined {
  if (octets.length === 0) return undefined;
  const speaker = speakerOf(topic);
  const refuse = (why: string, number?: Refused['number']): Refused => ({
    kind: 'unfit',
    gateway: speaker?.gateway,
    topic,
    why,
    number,
    raw: octets.slice(0, payloadLimit),
  });
  if (!speaker) return refuse('no topic of the contract');
  const { gateway } = speaker;
  if (octets.length > readableLimit) return refuse('longer than a payload may be');
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8');
  if (speaker.what === 'state') {
    const state = parsePayload(statePayload, octets);
    return isUnfit(state) ? refuse(state.unfit) : { kind: 'state', gateway, state };
  }
  if (speaker.what === 'health') {
    const health = parsePayload(healthPayload, octets);
    return isUnfit(health) ? refuse(health.unfit) : { kind: 'health', gateway, health, text };
  }
  if (speaker.what !== 'up') {
    const birth = parsePayload(birthPayload, octets);
    if (isUnfit(birth)) return refuse(birth.unfit);
    if (birth.gateway !== gateway) return refuse(otherGateway);
    return { kind: 'birth', gateway, birth, text };
  }
  const message = parsePayload(upPayload, octets);
  if (isUnfit(message)) return refuse(message.unfit, numberIn(text));
  const why = misplaced(message, speaker);
  return why === undefined ? { kind: 'fact', gateway, message, text } : refuse(why, message);
}
const otherGateway = 'gateway: another one than in the topic';
/** The topic says who speaks, about which meter and what; the access rules of the broker guard that. */
function misplaced(
  message: UpPayload,
  { gateway, meter, kind }: { readonly gateway: string; readonly meter: string; readonly kind: string },
): string | undefined {
  if (message.gateway !== gateway) return otherGateway;
  const about = 'meter' in message ? message.meter : '_';
  if (message.kind !== 'void' && about !== meter) return 'meter: another one than in the topic';
  const where = message.kind === 'void' ? 'event' : message.kind;
  return kind === where ? undefined : 'kind: another one than in the topic';
}

/** A message that fits the contract and is not taken all the same. */
export function refusalOf(arrival: Exclude<Arrival, Refused>, why: string): Refused {
  const { kind, gateway } = arrival;
  const number = kind === 'fact' ? { epoch: arrival.message.epoch, seq: arrival.message.seq } : undefined;
  const what = kind === 'fact' ? arrival.message.kind : kind;
  const raw = Buffer.from(kind === 'state' ? JSON.stringify(arrival.state) : arrival.text);
  return { kind: 'unfit', gateway, topic: `${what} of ${gateway}`, why, number, raw };
}
