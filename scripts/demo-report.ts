/** What the demonstration shows: lines that fit the window, and the judgement at its end. */

/** As many lines as the window has without its last, none longer than it is wide: a redraw then never scrolls. */
export function fitWindow(lines: readonly string[], { rows, columns }: { rows: number; columns: number }): string[] {
  const most = Math.max(1, rows - 1);
  const shown =
    lines.length <= most
      ? [...lines]
      : [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more; a higher window shows them`];
  return shown.map((line) => {
    const letters = Array.from(line);
    return letters.length < columns ? line : `${letters.slice(0, Math.max(1, columns - 2)).join('')}…`;
  });
}

export interface Outcome {
  readonly expected: number;
  readonly delivered: number;
  readonly wrong: number;
  readonly conflicts: number;
  readonly gaps: number;
  readonly unfit: number;
  /** Messages that are not acknowledged; undefined: the daemon did not say. */
  readonly pending: number | undefined;
  /** Since something more was delivered, or since the start. */
  readonly stillForS: number;
}
/** A bus that is worked off stands still for no longer than this, also after the broker was away or the daemon was killed. */
const patienceS = 30;

export type Verdict = 'good' | 'too short' | 'not good';
export function verdictOf(outcome: Outcome): Verdict {
  const { expected, delivered, pending } = outcome;
  if (outcome.wrong + outcome.conflicts + outcome.gaps + outcome.unfit > 0) return 'not good';
  if (delivered === expected && pending === 0) return 'good';
  return outcome.stillForS <= patienceS ? 'too short' : 'not good';
}

/** Options that would do nothing, in words; undefined: there are none. */
export function idleOption(given: {
  readonly kills: boolean;
  readonly outage: boolean;
  readonly for: boolean;
  readonly broker: boolean;
}): string | undefined {
  if (given.kills && !given.for) return '--kills needs --for: kills are spread over a run whose length is known';
  if (given.outage && !given.for) return '--outage needs --for: the broker stops for the middle third of the run';
  if (given.outage && given.broker) return '--outage stops the broker of the demonstration, not the one of --broker';
  return undefined;
}
