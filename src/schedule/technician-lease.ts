/** Counters for a technician's session with a key that the gateway uses too: from the one place where they are counted. */
import { Failure } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { keyPrint } from '../meter/invocation-counter.ts';
import type { Counters } from '../store/counters.ts';
import type { PolledMeter } from './meter-state.ts';

export interface CounterLease {
  /** System title to use the counters with, in hex. */
  readonly title: string;
  readonly first: number;
  readonly count: number;
}
/** Browsing a large meter sends some thousand requests. */
const technicianCounters = 5000;

export async function technicianLease(
  counters: Pick<Counters, 'lease'>,
  meters: readonly PolledMeter[],
  key: string,
): Promise<CounterLease> {
  const security = meters
    .flatMap((meter) => [meter.security, meter.nextSecurity])
    .find((one) => one && keyPrint(one.settings.keys.encryption) === key);
  if (!security) throw new Failure('unknown-meter', 'no meter of this gateway has that key');
  const next = await counters.lease(security.counterName, technicianCounters);
  const first = next();
  for (let taken = 1; taken < technicianCounters; taken++) next();
  return { title: toHex(security.settings.ownTitle), first, count: technicianCounters };
}
