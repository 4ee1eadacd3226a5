/** What `check --live` found out about one thing. */
import type { Noted } from '../config/findings.ts';

export interface LiveCheck {
  /** What was found good, in words. */
  readonly good: readonly string[];
  readonly found: readonly Noted[];
}
