/** A message that the broker does not take: why, and what is said instead where it is too large. */
import { cut } from '../base/log.ts';
import type { Millis } from '../base/time.ts';
import type { Fact } from '../reading/facts.ts';
import type { VoidCause } from '../reading/quality.ts';
import { fitFact, octetsOf } from './fit.ts';

/** MQTT 5, 2.4, in words with whose matter it is. */
const reasons: Readonly<Record<number, string>> = {
  0x80: 'unspecified error: check the access rules of the broker for this gateway, and its log',
  0x81: 'malformed packet',
  0x82: 'protocol error',
  0x83: 'implementation specific error',
  0x84: 'this version of MQTT is not supported: set mqtt.protocol',
  0x85: 'the client identifier is not valid',
  0x86: 'bad user name or password: check mqtt.username and mqtt.password',
  0x87: 'not authorised: check the access rules of the broker for this gateway',
  0x88: 'server unavailable',
  0x89: 'server busy',
  0x8a: 'banned',
  0x8b: 'server shutting down',
  0x8d: 'keep alive timeout',
  0x8e: 'session taken over: another client has the same id',
  0x8f: 'topic filter invalid',
  0x90: 'topic name invalid',
  0x93: 'receive maximum exceeded',
  0x95: 'packet too large',
  0x96: 'message rate too high: set mqtt.rate_limit',
  0x97: 'quota exceeded',
  0x98: 'administrative action',
  0x99: 'payload format invalid',
  0x9a: 'retain not supported',
  0x9b: 'QoS not supported',
  0x9c: 'use another server',
  0x9d: 'server moved',
  0x9f: 'connection rate exceeded',
  0xa0: 'maximum connect time',
  0xa1: 'subscription identifiers not supported',
  0xa2: 'wildcard subscriptions not supported',
};
export const reasonText = (code: number): string =>
  `reason 0x${code.toString(16).padStart(2, '0')}, ${reasons[code] ?? 'not in the standard'}`;

/** Why the broker refused; undefined where it did not, but the connection was lost. */
export function reasonOf(error: unknown): string | undefined {
  const { code, foreseen } = error as { readonly code?: unknown; readonly foreseen?: string };
  return typeof code === 'number' && code >= 0x80 ? (foreseen ?? reasonText(code)) : undefined;
}
const packetTooLarge = 0x95;
export const isPacketTooLarge = (error: unknown): boolean =>
  (error as { readonly code?: unknown }).code === packetTooLarge;
/** A message is not sent at all: the broker said beforehand how much it takes. */
export function tooLarge(octets: number, limit: number): Error {
  const foreseen = `${octets} octets, the broker takes ${limit}`;
  return Object.assign(new Error(foreseen), { code: packetTooLarge, foreseen: cut(foreseen) });
}

/**
 * Below it a broker's maximum is a mistake of its configuration: what cannot be split without loss waits until that is
 * corrected. Nothing that the gateway holds is given up on the word of a broker that takes hardly anything.
 */
export const minPacket = 1024;

/**
 * Parts of a fact that are small enough for a broker, and why its number becomes void; undefined where it stays as it is.
 * `limit`: octets of a packet that the broker takes, where it stated that; else halves are tried.
 */
export function partsFor(
  fact: Fact,
  wall: Millis,
  { overhead, limit }: { readonly overhead: number; readonly limit: number | undefined },
): { readonly facts: readonly Fact[]; readonly cause: VoidCause } | undefined {
  const octets = octetsOf(fact) ?? 0;
  // The fixed header, properties and a longer number.
  const around = overhead + 96;
  const stated = limit !== undefined && Number.isFinite(limit) && limit < octets + around;
  const room = stated ? limit - around : Math.floor(octets / 2) + 128;
  if (room < 64 || octets <= room) return undefined;
  const facts = fitFact(fact, wall, room);
  const lossless = facts.every((one) => one.kind === fact.kind && !isShortened(one));
  if (facts.length > 1 && lossless) return { facts, cause: 'SPLIT' };
  return stated && limit >= minPacket ? { facts, cause: lossless ? 'SPLIT' : 'TOO_LARGE' } : undefined;
}
const isShortened = (fact: Fact): boolean =>
  fact.kind === 'event' && (fact.name === 'UNSAYABLE_FACT' || fact.detail?.['cutBecause'] !== undefined);
