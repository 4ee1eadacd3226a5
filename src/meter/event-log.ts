/** Event logs of a meter: how many entries there are, and the entries. */
import type { Millis } from '../base/time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { byEntry, byRange } from '../dlms/cosem/profile-generic.ts';
import type { LogReader } from '../reading/log-reader.ts';
import { attribute, dataOf } from './attribute.ts';
import type { MeterModel } from './model.ts';
import { entriesOf, sortMethodLifo } from './profile-layout.ts';
import type { Session } from './session.ts';

/** How a log is asked for. */
export type LogWay = 'range' | 'entries' | 'whole';
/** Which entries of a log are asked for: by stamps, or by numbers counted from 1. */
export type LogSelection =
  | { readonly from: Millis; readonly to: Millis }
  | { readonly first: number; readonly last: number };

/** Entries of a log as they arrive, in a request of its own: a log of any length is never held. */
export async function readLog(
  session: Session,
  model: MeterModel,
  log: LogicalName,
  selection: LogSelection | undefined,
  reader: LogReader,
): Promise<void> {
  const deviation = { min: model.range_deviation_min, written: model.range_deviation_written };
  const selected =
    selection &&
    ('from' in selection ? byRange(selection.from, selection.to, deviation) : byEntry(selection.first, selection.last));
  await session.stream(attribute(7, log, 2, selected), (octets) => reader.push(octets), logOctets);
}
/** A log has no size that could be asked for: it is given the least that any request has. */
const logOctets = 1;

/** Entries in use and their order; undefined where the meter does not tell. */
export async function countLog(
  session: Session,
  log: LogicalName,
): Promise<{ readonly count: number | undefined; readonly descending: boolean }> {
  const [inUse] = await session.get([attribute(7, log, 7)]);
  const [sort] = await session.get([attribute(7, log, 5)]);
  const count = entriesOf(dataOf(inUse));
  const order = dataOf(sort);
  return {
    count,
    descending: order?.type === 'enum' && order.value === sortMethodLifo,
  };
}
