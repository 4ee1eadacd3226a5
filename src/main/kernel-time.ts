/**
 * Whether the gateway knows the time (R29): the kernel says that its clock is synchronised, and it is not before the
 * floor, the last time that was known, kept in the state directory for boots without a clock of their own.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

/** struct timex of Linux (adjtimex(2)); only `status` is read. 64-bit, and 32-bit with its shorter longs. */
const timexOctets = 256;
const statusOffset = process.arch === 'arm' ? 20 : 40;
/** STA_UNSYNC. */
const unsynchronised = 0x40;
/** TIME_ERROR. */
const timeError = 5;

/** undefined where the kernel cannot be asked. */
function kernelSynchronised(): boolean | undefined {
  try {
    const adjtimex = koffi.load('libc.so.6').func('int adjtimex(_Inout_ uint8_t *)');
    const timex = new Uint8Array(timexOctets);
    const state = adjtimex(timex) as number;
    if (state < 0) return undefined;
    const status = new DataView(timex.buffer).getInt32(statusOffset, true);
    return state !== timeError && (status & unsynchronised) === 0;
  } catch {
    return undefined;
  }
}

export interface KernelTime {
  timeIsKnown(): boolean;
  /** Keeps the floor; called now and then. */
  remember(): void;
}
const askEveryMs = 10_000;
const hourMs = 3_600_000;

export function kernelTime(directory: string, wall: () => number, synchronised = kernelSynchronised): KernelTime {
  const path = join(directory, 'last-known-time');
  let floor = 0;
  try {
    floor = Number(readFileSync(path, 'utf8')) || 0;
  } catch {
    // The first boot.
  }
  let known = false;
  let asked = Number.NEGATIVE_INFINITY;
  const timeIsKnown = (): boolean => {
    const now = wall();
    if (now < floor) return false;
    if (Math.abs(now - asked) < askEveryMs) return known;
    asked = now;
    known = synchronised() === true;
    return known;
  };
  return {
    timeIsKnown,
    remember() {
      const now = wall();
      if (!timeIsKnown() || now - floor < hourMs) return;
      try {
        writeFileSync(`${path}.new`, String(now));
        renameSync(`${path}.new`, path);
        floor = now;
      } catch {
        // A full disk has other voices; the floor stays where it is, which is safe.
      }
    },
  };
}
