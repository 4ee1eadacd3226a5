/** Which meter is on turn, as it is noted outside of the process. */

/** A meter that was on turn at unasked ends. */
export interface Suspect {
  /** How often. Each turn that comes to its end halves it. */
  ends: number;
  reported: boolean;
}
/** Turns as they are noted outside of the process. */
export interface TurnRecord {
  begin(port: string, meter: string): void;
  /** The turn came to its end, whatever came of it. */
  end(port: string): void;
  readonly suspects: ReadonlyMap<string, Suspect>;
  /** A suspect's turn came to its end; true where it is no suspect any more. */
  behaved(meter: string): boolean;
}
