/** When a virtual meter has voltage, and when anything is consumed behind it. */
import { type Millis, millis } from '../base/time.ts';
import type { Dark } from './load-curve.ts';

export const always = millis(Number.MAX_SAFE_INTEGER);

export interface Mains {
  /** Without voltage. */
  readonly dark: Dark[];
  /** With the meter's own switch open. */
  readonly open: Dark[];
  /** Both: nothing is consumed. The load curve looks here. */
  readonly unfed: Dark[];
}
export const mainsOf = (dark: readonly Dark[]): Mains => ({ dark: [...dark], open: [], unfed: [...dark] });
export const isDark = ({ dark }: Mains, at: Millis): boolean => dark.some(({ from, to }) => at >= from && at < to);

/** A span of this kind begins at an instant, or what has begun ends there. */
export function change(mains: Mains, kind: 'dark' | 'open', begins: boolean, at: Millis): void {
  const spans = mains[kind];
  if (begins) spans.push({ from: at, to: always });
  else
    spans.forEach((span, i) => {
      if (span.from <= at && span.to > at) spans[i] = { from: span.from, to: at };
    });
  mains.unfed.splice(0, mains.unfed.length, ...mains.dark, ...mains.open);
}
