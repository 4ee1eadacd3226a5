/**
 * The keys of the store, each space with what stands under it. No key of a space sorts behind its end.
 *
 * | key | value |
 * |---|---|
 * | `m/state` | StateRecord: epoch, next sequence, acknowledged up to, format |
 * | `e/<meter>` | MeterLogs: how far its event logs were forwarded, spans without power; `_` is the gateway itself |
 * | `s/<meter>/<series>` | SeriesState: since, coverage, exceptions |
 * | `d/<meter>/<series>/<day>` | marks: what was said of each interval of a UTC day, and at which revision |
 * | `o/<class>/<sequence>` | outbox entry, class 0 live, 1 back-fill; or a pack of those up to this number |
 * | `u/<meter>` | PushMark: the newest invocation counter of what it pushed |
 * | `c/<id>` | an order of the central system, and what became of it (order-ledger.ts) |
 * | `k/<meter>/<serial>/<time>-<n>` | a fact of a meter that answered where another one is configured, held back |
 * | `h/<sender>/<time>-<n>` | a push of somebody whom nobody configured, as octets (listen/held-pushes.ts) |
 * | `q/<key>` | a damaged record, kept for inspection |
 */
import { dayMs } from '../base/time.ts';
import type { SeriesKey } from '../reading/series-key.ts';

export type EntryClass = 0 | 1;
type Space = 'e' | 's' | 'o' | 'k' | 'c' | 'u' | 'h';

export const stateKey = 'm/state';
export const logsKey = (meter: string): string => `e/${meter}`;
export const pushedKey = (meter: string): string => `u/${meter}`;
/** Of a key of logs, or of pushes. */
export const meterOfKey = (key: string): string => key.slice(2);
export const seriesStateKey = (meter: string, series: SeriesKey): string => `s/${meter}/${series}`;
/** `day`: any instant of it, ms. */
export const pageKey = (meter: string, series: SeriesKey, day: number): string =>
  `d/${meter}/${series}/${String(Math.floor(day / dayMs)).padStart(6, '0')}`;

const sequenceWidth = 12;
export const outboxKey = (entryClass: EntryClass, sequence: number): string =>
  `o/${entryClass}/${String(sequence).padStart(sequenceWidth, '0')}`;
/** The end of the keys of a class of entries. */
export const outboxEnd = (entryClass: EntryClass): string => `o/${entryClass}/~`;
/** undefined where it is no key of the outbox. */
export function parseOutboxKey(
  key: string,
): { readonly entryClass: EntryClass; readonly sequence: number } | undefined {
  const [, entryClass, number] = /^o\/([01])\/(\d{12})$/.exec(key) ?? [];
  return number === undefined ? undefined : { entryClass: Number(entryClass) as EntryClass, sequence: Number(number) };
}

export const orderKey = (id: string): string => `c/${id}`;
export const idOfOrder = (key: string): string => key.slice(2);

export const heldKey = (meter: string, serial: string, storedAt: number, i: number): string =>
  `k/${meter}/${serial}/${storedAt}-${String(i).padStart(4, '0')}`;
export function parseHeldKey(key: string): { readonly meter: string; readonly serial: string } {
  const [, meter = '', serial = ''] = key.split('/');
  return { meter, serial };
}

export const heldPushKey = (sender: string, at: number, n: number): string =>
  `h/${sender}/${at}-${String(n).padStart(6, '0')}`;
export const senderOfHeld = (key: string): string => key.split('/')[1] ?? '';

export const corruptKey = (key: string): string => `q/${key}`;

/** Bounds of a space, for a range. */
export const spaceOf = (space: Space): [from: string, to: string] => [`${space}/`, `${space}/~`];
