/** Rows of a profile: streamed, by the numbers of its entries, and its oldest. */
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import type { Millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { byEntry } from '../dlms/cosem/profile-generic.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import { onGrid } from '../reading/grid.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import { ProfileReader } from '../reading/profile-reader.ts';
import { attribute, dataOf } from './attribute.ts';
import type { MeterModel } from './model.ts';
import { entriesOf, type ProfileLayout } from './profile-layout.ts';
import type { Session } from './session.ts';
import { rowReading } from './stamp-reading.ts';

/** Whose rows are read, and how they are understood. */
export interface ProfileSource {
  readonly session: Session;
  readonly layout: ProfileLayout;
  readonly model: MeterModel;
}

/** Rows as they arrive; the profile is never held as a whole. */
export async function streamRows(
  { session, layout, model }: ProfileSource,
  selection: Selection | undefined,
  take: (rows: readonly LoadProfileRow[]) => void,
  most?: number,
): Promise<void> {
  const reader = new ProfileReader(layout, rowReading(model));
  try {
    const push = (octets: Uint8Array) => {
      // A piece at a time: rows of small elements take a hundred times their octets, and most are not kept.
      for (let at = 0; at < octets.length; at += pieceOctets) take(reader.push(octets.subarray(at, at + pieceOctets)));
    };
    const expected = most === undefined ? undefined : most * (rowOctets + layout.columns.length * cellOctets);
    await session.stream(attribute(7, layout.profile, 2, selection), push, expected);
    reader.end();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new Failure('malformed-octets', `profile ${obis(layout.profile)}: ${messageOf(error)}`);
  }
}

const pieceOctets = 4096;
/** A row at its longest, framing included, for the total of the request. */
const rowOctets = 16;
const cellOctets = 16;

/** `most`: rows that what was asked for can have; rows that `keep` does not want are none of them. */
export async function readRows(
  source: ProfileSource,
  selection: Selection | undefined,
  most: number,
  keep: (row: LoadProfileRow) => boolean = () => true,
): Promise<LoadProfileRow[]> {
  const { layout, model } = source;
  // A clock that was set back writes intervals again, and some meters write a row at each power failure.
  const limit = 2 * most + 100;
  const all: LoadProfileRow[] = [];
  const take = (rows: readonly LoadProfileRow[]) => {
    for (const read of rows) {
      const row = onGrid(read, layout.capturePeriodMs, model.stamp_tolerance_s * 1000);
      if (keep(row)) all.push(row);
    }
    if (all.length > limit)
      throw new Failure(
        'answer-too-long',
        `profile ${obis(layout.profile)}: more than ${limit} rows where ${most} were asked for`,
      );
  };
  await streamRows(source, selection, take, limit);
  return all;
}

/** Entries first to last, counted from 1. */
export const readEntries = (source: ProfileSource, first: number, last: number): Promise<LoadProfileRow[]> =>
  readRows(source, byEntry(first, last), last - first + 1);

/** Stamp of the oldest row where the buffer is full and overwrites; undefined where it is not, or the meter does not tell. */
export async function readOldestStamp(source: ProfileSource): Promise<Millis | undefined> {
  const { session, layout } = source;
  const [inUse] = await session.get([attribute(7, layout.profile, 7)]);
  const data = dataOf(inUse);
  const count = entriesOf(data);
  if (count === undefined || layout.entries === undefined || count < layout.entries) return undefined;
  const oldest = layout.descending ? count : 1;
  const [row] = await readEntries(source, oldest, oldest);
  return row?.end ?? undefined;
}
