/** Messages of a gateway `g` with one meter, as they would come, and as they are stored. */
import { type Millis, millis } from '../../src/base/time.ts';
import { judge, type Received } from '../../src/central/arrival.ts';
import type { Delivered } from '../../src/central/facts.ts';
import type { BirthPayload, Message } from '../../src/contract/payloads.ts';

export const loadProfile = '1-0:99.1.0*255';
export const importRegister = '1-0:1.8.0*255';
const origin = { meter: 'm1', point: 'p', serial: 's' };

/** Two hours, unless `more` says otherwise. */
export const block = (seq: number, more: Partial<Message<'profile'>> = {}): Message<'profile'> => ({
  v: 1,
  epoch: 5,
  seq,
  gateway: 'g',
  kind: 'profile',
  ...origin,
  series: loadProfile,
  start: '2026-11-24T00:00:00Z',
  periodS: 3600,
  count: 2,
  channels: [{ obis: importRegister, unit: 'Wh', scaler: 0, register: [1, 2], energy: [1, 1] }],
  status: [0, 0],
  quality: ['MEASURED', 'MEASURED'],
  rev: [1, 1],
  readAt: '2026-11-24T03:00:00Z',
  clockDeviationS: 0,
  clockTrust: 'kernel',
  ...more,
});
export const gap = (seq: number, more: Partial<Message<'gap'>> = {}): Message<'gap'> => ({
  v: 1,
  epoch: 5,
  seq,
  gateway: 'g',
  kind: 'gap',
  ...origin,
  series: loadProfile,
  start: '2026-11-24T00:00:00Z',
  end: '2026-11-24T02:00:00Z',
  cause: 'MISSING',
  before: null,
  after: null,
  rev: 1,
  readAt: '2026-11-24T03:00:00Z',
  ...more,
});
export const delivered = <K extends 'profile' | 'gap'>(message: Message<K>): Delivered<K> => ({
  gateway: message.gateway,
  epoch: message.epoch,
  seq: message.seq,
  receivedAt: millis(0),
  message,
});
export const birth = (more: Partial<BirthPayload> = {}): BirthPayload => ({
  v: 1,
  gateway: 'g',
  version: '0',
  boot: 'b',
  epoch: 5,
  acknowledged: 0,
  clockTrust: 'kernel',
  configHash: 'c',
  capabilities: [],
  meters: [{ ...origin, series: [{ profile: loadProfile, periodS: 3600 }] }],
  at: '2026-11-24T03:00:00Z',
  ...more,
});
/** Of a manifest: a day of hours that are all there. */
export const measuredDay = {
  periodS: 3600,
  expected: 24,
  measured: 24,
  uncertain: 0,
  outage: 0,
  missing: 0,
  lost: 0,
  pending: 0,
} as const;
/** As it comes from the broker: the octets of a text, or of a payload. */
export function received(topic: string, payload: object | string, at: Millis): Received {
  const arrival = judge(topic, Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)));
  if (!arrival) throw new Error('nothing in it');
  return { at, arrival };
}
