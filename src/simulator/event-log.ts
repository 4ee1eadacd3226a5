/** Event logs of a virtual meter: standard 0, fraud 1, disconnector 2. */
import type { Millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { array, octets, structure } from '../dlms/cosem/server-object.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import { selectedEntries } from './buffers.ts';
import type { Quirk } from './quirk.ts';

export interface MeterEvent {
  readonly at: Millis;
  readonly code: number;
  /** Where the entry does not tell what the clock shows after it. */
  readonly stamp?: Millis;
}
/** IDIS: 40 to 46 and 49, 50 are fraud, 59 to 69 the disconnector's. */
const logOf = (code: number): number =>
  (code >= 40 && code <= 46) || code === 49 || code === 50 ? 1 : code >= 59 && code <= 69 ? 2 : 0;
export const eventsOf = (events: readonly MeterEvent[], log: number, now: Millis): readonly MeterEvent[] =>
  events.filter(({ at, code }) => at <= now && logOf(code) === log);

export function logBuffer(
  events: readonly MeterEvent[],
  asked: Selection | undefined,
  quirks: readonly Quirk[],
  clock: (at: Millis) => Millis,
  written: (stamp: Millis) => Uint8Array,
): Data | { refused: number } {
  let selection = asked;
  for (const { selectLog } of quirks) {
    const changed = selection && selectLog?.(selection);
    if (changed && 'refused' in changed) return changed;
    selection = changed ?? selection;
  }
  const selected = selectedEntries(
    selection,
    events.map(({ at, code, stamp = clock(at) }) => ({ stamp, code })),
  );
  if ('refused' in selected) return selected;
  const entries = selected.map(({ stamp, code }) =>
    structure(octets(written(stamp)), { type: 'unsigned', value: code }),
  );
  return quirks.reduce((all, quirk) => quirk.log?.(all) ?? all, array(...entries));
}
