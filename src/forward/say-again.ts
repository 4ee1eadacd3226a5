/** `down/again`: what the head-end acknowledged and lost is said again; who asks for what there is not is told so. */
import { Failure } from '../base/errors.ts';
import { obis, parseLogicalName, type LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Origin } from '../reading/facts.ts';
import type { Store } from '../store/store.ts';
import type { AgainPayload } from './payload.ts';

interface KnownSeries {
  readonly origin: Origin;
  readonly key: string;
  readonly profile: LogicalName;
}

/** Returns how many intervals are said again. */
export async function sayAgain(
  store: Pick<Store, 'sayAgain'>,
  series: readonly KnownSeries[],
  { meter, series: name, from, to }: AgainPayload,
): Promise<number> {
  const ofMeter = series.filter(({ origin }) => origin.meter === meter);
  if (ofMeter.length === 0) throw new Failure('bad-argument', 'no such meter in the configuration');
  let wanted: string;
  try {
    wanted = obis(parseLogicalName(name));
  } catch {
    throw new Failure('bad-argument', 'series: no OBIS code');
  }
  // A series whose period changed has several keys.
  const found = ofMeter.filter(({ profile }) => obis(profile) === wanted);
  if (found.length === 0) throw new Failure('bad-argument', 'no such series of this meter in the configuration');
  let intervals = 0;
  for (const { key } of found) intervals += await store.sayAgain(meter, key, Date.parse(from), Date.parse(to));
  return intervals;
}
