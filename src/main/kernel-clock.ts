/**
 * What the kernel says of its clock (adjtimex(2)). `kernel-clock.js --tell` prints the answer: the program of
 * meter-gateway-clock.service, because the gateway's own sandbox (ProtectClock=) forbids the call.
 */
// koffi stays, for this call and for sd_notify (notifier.ts): the kernel tells it in no file, no base system has a program
// that tells it, and node:ffi comes with Node 26.
import koffi from 'koffi';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../base/errors.ts';

export interface KernelClock {
  /** When it was asked, ms of the clock that runs evenly since the machine started; all processes have the same. */
  readonly at: number;
  /** How wrong the clock may be, µs; or why that is not known. */
  readonly maxErrorUs?: number;
  readonly why?: string;
}
export const evenly = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** struct timex of Linux, 64-bit, and 32-bit with its shorter longs. */
const timexOctets = 256;
const short = process.arch === 'arm' || process.arch === 'ia32';
const maxErrorOffset = short ? 12 : 24;

/** With modes 0 the call only asks. */
export function askKernel(): KernelClock {
  const at = evenly();
  const timex = new Uint8Array(timexOctets);
  const view = new DataView(timex.buffer);
  try {
    const adjtimex = koffi.load('libc.so.6').func('int adjtimex(_Inout_ uint8_t *)');
    if ((adjtimex(timex) as number) >= 0)
      return {
        at,
        maxErrorUs: short ? view.getInt32(maxErrorOffset, true) : Number(view.getBigInt64(maxErrorOffset, true)),
      };
  } catch (error) {
    return { at, why: messageOf(error) };
  }
  const errno = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  return { at, why: `adjtimex ${name}` };
}

const [, program, option] = process.argv;
if (option === '--tell' && program !== undefined && import.meta.url === pathToFileURL(program).href)
  process.stdout.write(`${JSON.stringify(askKernel())}\n`);
