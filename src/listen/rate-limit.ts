/** How much a peer may send: a bucket that fills with time. A message costs one; long ones cost more. */
import type { Millis } from '../base/time.ts';

export interface Bucket {
  left: number;
  at: Millis;
}
const minuteMs = 60_000;
/** Octets that cost as much as a message. */
const octetsPerToken = 16_384;

export const fullBucket = (perMinute: number, now: Millis): Bucket => ({ left: perMinute, at: now });

/** False where the peer has sent more than it may: then nothing is taken off. */
export function take(bucket: Bucket, perMinute: number, cost: number, now: Millis): boolean {
  bucket.left = Math.min(perMinute, bucket.left + ((now - bucket.at) * perMinute) / minuteMs);
  bucket.at = now;
  if (bucket.left < cost) return false;
  bucket.left -= cost;
  return true;
}
export const costOf = (octets: number): number => octets / octetsPerToken;
