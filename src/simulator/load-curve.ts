/**
 * The consumption of a virtual meter: the oracle of the tests. Depends only on seed, serial number and time, so that
 * another process can compute what a meter must have counted. Integers in Wh, quarter hours as the smallest step.
 */
import { dayMs, type Millis, minuteMs } from '../base/time.ts';
import { hashed } from './random.ts';

export const quarterMs = 15 * minuteMs;
/** Registers start here; before it nothing was consumed. */
const origin = Date.UTC(2026, 0, 1);

export interface LoadCurve {
  /** Wh at a quarter-hour boundary or between (linear, rounded down). Channel 0 import, 1 export. */
  register(channel: 0 | 1, at: Millis): number;
}
/** What a meter's profile has for one interval. */
export interface VirtualRow {
  /** Stamp by the meter's clock, as UTC. */
  readonly end: Millis;
  readonly status: number;
  readonly registers: readonly [number, number];
}
/** [from, to) in which the meter was without power: nothing is consumed, nothing recorded. */
export interface Dark {
  readonly from: Millis;
  readonly to: Millis;
}

/** Share of [from, to) that is not dark. */
function lit(from: number, to: number, dark: readonly Dark[]): number {
  let without = 0;
  for (const cut of dark) without += Math.max(0, Math.min(to, cut.to) - Math.max(from, cut.from));
  return 1 - Math.min(1, without / (to - from));
}

/** Quarters, three months of them: the room for more is made in such steps. */
const slotsAtOnce = 8192;
function grown(sums: Uint32Array, slot: number): Uint32Array {
  const larger = new Uint32Array(Math.ceil((slot + 1) / slotsAtOnce) * slotsAtOnce);
  larger.set(sums);
  return larger;
}

/** Registers are double-long-unsigned. */
export const registerModulus = 2 ** 32;

/**
 * `dark` may grow while the meter lives: quarters that are already counted stay as they are. `wrapsAt`: the import register
 * stands so high that it begins anew about then.
 */
export function loadCurve(seed: number, serial: number, dark: readonly Dark[] = [], wrapsAt?: Millis): LoadCurve {
  const base = [1_000_000 + Math.floor(hashed(seed, serial, 1) * 1e7), Math.floor(hashed(seed, serial, 2) * 1e5)];
  if (wrapsAt !== undefined)
    base[0] = registerModulus + (base[0] as number) - loadCurve(seed, serial).register(0, wrapsAt);
  const hasExport = hashed(seed, serial, 3) < 0.3;
  const size = 150 + hashed(seed, serial, 4) * 400;
  // A quarter takes 4 octets and not 8 or more: a process has hundreds of meters. Far beyond a century the sums would not fit.
  let sums: [Uint32Array, Uint32Array] = [new Uint32Array(slotsAtOnce), new Uint32Array(slotsAtOnce)];
  let counted = 0;

  const extend = (slot: number) => {
    if (slot >= sums[0].length) sums = [grown(sums[0], slot), grown(sums[1], slot)];
    for (let i = counted; i < slot; i++) {
      const from = origin + i * quarterMs;
      const hour = ((from % dayMs) / dayMs) * 24;
      const share = dark.length > 0 ? lit(from, from + quarterMs, dark) : 1;
      const daily = 0.4 + 0.6 * Math.exp(-((hour - 17) ** 2) / 8) + 0.3 * Math.exp(-((hour - 6) ** 2) / 4);
      const wave = 0.5 + hashed(seed, serial, 5, i);
      const sun = hasExport ? Math.max(0, Math.cos(((hour - 11) / 12) * Math.PI)) * hashed(seed, serial, 6, i) : 0;
      sums[0][i + 1] = (sums[0][i] as number) + Math.floor(size * daily * wave * share);
      sums[1][i + 1] = (sums[1][i] as number) + Math.floor(size * sun * share);
    }
    counted = Math.max(counted, slot);
  };
  return {
    register(channel, at) {
      const slot = Math.floor((at - origin) / quarterMs);
      if (slot < 0) return base[channel] as number;
      extend(slot + 1);
      const sum = sums[channel];
      const before = sum[slot] as number;
      const within = (at - origin - slot * quarterMs) / quarterMs;
      const until = before + Math.floor(((sum[slot + 1] as number) - before) * within);
      return ((base[channel] as number) + until) % registerModulus;
    },
  };
}
