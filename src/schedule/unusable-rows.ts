/**
 * Rows that a meter sends and that belong to no interval: without a stamp that names an instant, or of a time that cannot
 * be. The intervals are then missing although the meter has them, which nobody would find out from the gaps alone.
 */
import { toHex } from '../base/hex.ts';
import { dayMs, iso, type Millis } from '../base/time.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import { type StampReading, stampOf } from '../dlms/cosem/date-time.ts';
import { isClockColumn } from '../dlms/cosem/profile-generic.ts';
import type { ProfileLayout } from '../meter/profile-layout.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import type { GatewayEventDetail } from '../reading/gateway-events.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import type { PlannedSlice } from './plan.ts';
import { stand, type StandingAlarm } from './standing-alarms.ts';

/** No buffer reaches back so far, and no clock that is nearly right is so far ahead. */
const longAgoMs = 10 * 366 * dayMs;
const farAheadMs = dayMs;

/** Counts the rows of the answers for one slice. */
export function rowCensus(now: Millis, reading: StampReading = {}) {
  let rows = 0;
  let withoutStamp = 0;
  let ofTheFuture = 0;
  let ofThePast = 0;
  let sample: string | null = null;
  let why: string | null = null;
  const odd = (row: LoadProfileRow) => {
    sample ??= row.clock ? toHex(row.clock) : null;
  };
  return {
    /** A row that is within what was asked for, or has no stamp. */
    add(row: LoadProfileRow): void {
      rows++;
      if (row.end !== null) return;
      withoutStamp++;
      odd(row);
      const stamp = row.clock && stampOf(row.clock, reading);
      why ??= stamp && 'why' in stamp ? stamp.why : null;
    },
    /** A row that was not asked for. Meters that do not select send many: only an impossible time is odd. */
    outside(row: LoadProfileRow): void {
      const { end } = row;
      if (end === null || (end <= now + farAheadMs && end >= now - longAgoMs)) return;
      rows++;
      if (end > now) ofTheFuture++;
      else ofThePast++;
      odd(row);
    },
    found: () => ({ rows, withoutStamp, ofTheFuture, ofThePast, sample, why }),
  };
}
export type RowCensus = ReturnType<typeof rowCensus>;

/**
 * Keeps the alarm of a series up to date; returns the detail of the event that is due: the first time, and once a day while it goes on. An
 * answer without rows proves nothing.
 */
export function judgeRows(
  alarms: Map<string, StandingAlarm>,
  { series: key, from, to }: PlannedSlice,
  profile: LogicalName,
  census: RowCensus,
  now: Millis,
): GatewayEventDetail<'ROWS_WITHOUT_STAMP'> | undefined {
  const found = census.found();
  const { rows, withoutStamp, ofTheFuture, ofThePast } = found;
  if (rows === 0) return undefined;
  const unusable = withoutStamp + ofTheFuture + ofThePast;
  if (unusable === 0) {
    stand(alarms, key, undefined, now);
    return undefined;
  }
  const kinds = [
    withoutStamp > 0 ? `${withoutStamp} without a usable stamp${found.why === null ? '' : ` (${found.why})`}` : '',
    ofTheFuture > 0 ? `${ofTheFuture} of the future` : '',
    ofThePast > 0 ? `${ofThePast} of long ago` : '',
  ].filter((kind) => kind !== '');
  const series = obis(profile);
  const text = `ROWS_WITHOUT_STAMP: ${series} sent ${rows} rows, ${kinds.join(', ')}; next: compare the meter's clock, and stamp_deviation_min of its model, with decode --rows --model of a --trace`;
  return stand(alarms, key, text, now) ? { series, from: iso(from), to: iso(to), ...found } : undefined;
}

/** A profile that captures no clock has rows of no time at all: nothing is asked for, and its intervals stay pending. */
export function judgeLayout(
  alarms: Map<string, StandingAlarm>,
  key: SeriesKey,
  layout: ProfileLayout,
  now: Millis,
): { readonly readable: boolean; readonly detail?: GatewayEventDetail<'PROFILE_WITHOUT_CLOCK'> } {
  if (layout.columns.some(isClockColumn)) return { readable: true };
  const series = obis(layout.profile);
  const text = `PROFILE_WITHOUT_CLOCK: ${series} captures no clock, its rows belong to no time; next: configure another profile, or have the clock (class 8, attribute 2) captured`;
  const due = stand(alarms, key, text, now);
  const columns = layout.columns.map(({ logicalName }) => obis(logicalName)).join(' ');
  return { readable: false, ...(due && { detail: { series, columns } }) };
}
