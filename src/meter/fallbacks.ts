/**
 * What a meter need not be able to do for its rows to be read: lists, windows, long frames, general blocks, selections.
 * Each falls back by itself where the meter shows that it mishandles it, and is remembered for the meter.
 */
import { type ErrorCode, Failure } from '../base/errors.ts';
import { dayMs } from '../base/time.ts';
import type { LinkParameters } from '../dlms/hdlc/frame.ts';
import type { Tolerated } from '../dlms/stack/client.ts';
import type { MeterModel } from './model.ts';

const words = {
  'single-gets': 'single GETs',
  'window-1': 'window 1',
  'short-frames': 'frames of 128',
  'ordinary-blocks': 'no general blocks',
  'by-entry': 'rows by entry',
  'whole-profile': 'profile read whole',
  'logs-last': 'event logs last',
  'bare-identity': 'identity without switch and counters',
} as const;
export type FallbackName = keyof typeof words;
const isName = (name: string): name is FallbackName => name in words;
/** After this it is tried again: a meter may have got another firmware. */
const lifeMs = 30 * dayMs;

export interface Fallbacks {
  readonly held: Map<FallbackName, { readonly reason: string; readonly at: number }>;
  /** Seen once, which a line or a power cut may have done as well; a second time in a row is the meter. */
  readonly suspected: Map<FallbackName, string>;
  /** Held that is not stored yet. */
  changed: boolean;
  /** What was odd in the last session and was taken all the same: nothing is done otherwise for it. */
  tolerated: readonly string[];
}
export type StoredFallbacks = Readonly<Record<string, { readonly reason: string; readonly at: number }>>;

export function freshFallbacks(stored: StoredFallbacks = {}): Fallbacks {
  const held = Object.entries(stored).flatMap(([name, one]) => (isName(name) ? [[name, one] as const] : []));
  return { held: new Map(held), suspected: new Map(), changed: false, tolerated: [] };
}
export const storedFallbacks = ({ held }: Fallbacks): StoredFallbacks | undefined =>
  held.size === 0 ? undefined : Object.fromEntries(held);

export function fallBack(fallbacks: Fallbacks, name: FallbackName, reason: string, at: number): void {
  fallbacks.suspected.delete(name);
  if (fallbacks.held.has(name)) return;
  fallbacks.held.set(name, { reason, at });
  fallbacks.changed = true;
}
/** Held where the same was suspected before; whether it is held now. */
export function suspect(fallbacks: Fallbacks, name: FallbackName, reason: string, at: number): boolean {
  if (fallbacks.suspected.has(name)) fallBack(fallbacks, name, reason, at);
  else if (!fallbacks.held.has(name)) fallbacks.suspected.set(name, reason);
  return fallbacks.held.has(name);
}
/** What was remembered for long is tried once more. */
export function forgetOld(fallbacks: Fallbacks, wall: number): void {
  for (const [name, { at }] of fallbacks.held) {
    if (wall - at < lifeMs && at <= wall + dayMs) continue;
    fallbacks.held.delete(name);
    fallbacks.changed = true;
  }
}
export const fallbackTexts = ({ held }: Fallbacks): string[] =>
  [...held].map(([name, { reason }]) => `${words[name]} (${reason})`);

/** For people: other clients of this meter may not take it. */
export const toleratedTexts = ({ addressOctets, trailing }: Tolerated): string[] => [
  ...(addressOctets === undefined
    ? []
    : [
        `answers from another form of its address than was called (${addressOctets} octets): address_size = ${addressOctets} in its model calls it so`,
      ]),
  ...(trailing === 0 ? [] : ['sends octets after complete answers, which are ignored']),
];

const shortInfo = 128;
/** The model without what this meter mishandles. */
export function withFallbacks(model: MeterModel, { held }: Fallbacks): MeterModel {
  return {
    ...model,
    ...(held.has('single-gets') && { multiple_references: false }),
    ...(held.has('window-1') && { window: 1 }),
    ...(held.has('short-frames') && { max_info: Math.min(model.max_info, shortInfo) }),
    ...(held.has('ordinary-blocks') && { transfer_window: 0 }),
    ...(held.has('by-entry') && { selection: 'entry' as const }),
    ...(held.has('whole-profile') && { selection: 'whole' as const }),
  };
}

/** The meter answered, and not as it should. */
const misanswered: Partial<Record<ErrorCode, string>> = {
  'malformed-octets': 'answered malformed',
  'unexpected-apdu': 'answered by something else',
  'service-exception': 'answered by an exception',
  'block-out-of-order': 'answered out of order',
  'answer-stalled': 'answer does not go on',
};
/** Why a request has no answer: the meter fell silent or hung up, which the line and the mains can bring about too. */
const unanswered: Partial<Record<ErrorCode, string>> = {
  'no-answer': 'not answered',
  'fell-silent': 'not answered',
  'link-disconnected': 'link ended at it',
  'connection-lost': 'connection closed at it',
  'frame-rejected': 'frame rejected',
};
export const misanswer = (error: unknown): string | undefined => {
  if (!(error instanceof Failure)) return undefined;
  return error.detail['text'] === undefined ? misanswered[error.code] : 'answered by text';
};
export const nonAnswer = (error: unknown): string | undefined =>
  error instanceof Failure ? unanswered[error.code] : undefined;

/**
 * After a session that failed in the middle of its rows: the next thing to do without. Whether something was changed, so
 * that it is worth while to come back soon.
 */
export function learnFromFailure(
  fallbacks: Fallbacks,
  model: MeterModel,
  link: Pick<LinkParameters, 'windowReceive' | 'maxInfoReceive'> | undefined,
  failure: Failure,
  at: number,
): boolean {
  const bad = misanswer(failure);
  const reason = bad ?? nonAnswer(failure);
  // Words of somebody between us and the rows say nothing of what the meter can.
  if (reason === undefined || failure.detail['text'] !== undefined) return false;
  const now = withFallbacks(model, fallbacks);
  const next = [
    ...(now.transfer_window > 0 ? (['ordinary-blocks'] as const) : []),
    ...(link && link.windowReceive > 1 ? (['window-1'] as const) : []),
    ...(link && link.maxInfoReceive > shortInfo ? (['short-frames'] as const) : []),
    ...(now.multiple_references ? (['single-gets'] as const) : []),
  ][0];
  if (next === undefined) return false;
  if (bad === undefined) return suspect(fallbacks, next, reason, at);
  fallBack(fallbacks, next, reason, at);
  return true;
}
