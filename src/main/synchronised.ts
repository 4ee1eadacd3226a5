/**
 * Whether something keeps the system's clock right: the kernel says so to the gateway itself, or, in the unit, whose
 * sandbox forbids to ask, to meter-gateway-clock.service, which asks once a minute and writes it down.
 */
import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { askKernel, evenly, type KernelClock } from './kernel-clock.ts';

export type Synchronised = { readonly known: true } | { readonly known: false; readonly why: string };
export const no = (why: string): Synchronised => ({ known: false, why });

/** Of meter-gateway-clock.service. */
const writtenPath = '/run/meter-gateway-clock';
/** The file is written every minute; one that is older was written before its timer failed. */
const holdsMs = 5 * 60_000;
/** Where nobody corrects the clock its possible error rises up to this, µs (NTP_PHASE_LIMIT). systemd judges by it, too. */
const errorLimitUs = 16_000_000;

const judged = (maxErrorUs: number): Synchronised =>
  maxErrorUs < errorLimitUs
    ? { known: true }
    : no(
        'the kernel says that nothing keeps its clock right: does a time service run, and reach its server? timedatectl',
      );

const isFresh = (clock: KernelClock | undefined, now: number): clock is KernelClock =>
  clock !== undefined && typeof clock.at === 'number' && Math.abs(now - clock.at) <= holdsMs;

/** Asks the kernel; where that is forbidden, reads what the kernel answered to the other service. */
export function synchronisedTeller(
  ask: () => KernelClock = askKernel,
  read: () => string = () => readFileSync(writtenPath, 'utf8'),
  now: () => number = evenly,
): () => Synchronised {
  // It is read while it is written, now and then: what was read before holds as long as it is fresh.
  let last: KernelClock | undefined;
  return () => {
    const { maxErrorUs, why } = ask();
    if (maxErrorUs !== undefined) return judged(maxErrorUs);
    let silent = 'nothing of the last five minutes';
    try {
      const clock = JSON.parse(read()) as KernelClock;
      if (isFresh(clock, now())) last = clock;
    } catch (error) {
      silent = messageOf(error);
    }
    if (isFresh(last, now())) {
      if (last.maxErrorUs !== undefined) return judged(last.maxErrorUs);
      silent = String(last.why);
    }
    return no(
      `the kernel cannot be asked from here whether its clock is right (${why}), and meter-gateway-clock.service has not ` +
        `told it either (${silent}): systemctl enable --now meter-gateway-clock.timer`,
    );
  };
}
