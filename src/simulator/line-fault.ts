/** Disturbances of a line, and what is said of each one that was really done to somebody's octets. */
import type { Millis } from '../base/time.ts';

interface Span {
  /** When the fault begins, by the time of day of the simulation. */
  readonly from: Millis;
  readonly to: Millis;
}
export type LineFault = Span &
  (
    | { readonly kind: 'silence'; readonly meter: number | undefined }
    | {
        readonly kind: 'drop' | 'flip';
        /** Index of the meter whose octets suffer; undefined = all octets, both ways. */
        readonly meter: number | undefined;
        /** Probability for each octet. */
        readonly rate: number;
      }
    /** Octets that nobody sent, one at a time: a bad optical head, a converter. */
    | { readonly kind: 'stray'; readonly meter: undefined; readonly everyMs: number }
    /** `rate`: probability that an octet comes back damaged. */
    | { readonly kind: 'echo'; readonly meter: undefined; readonly rate: number }
    /** A and B exchanged: at a meter, or at the adapter, which then takes the rest of the line for a break. */
    | { readonly kind: 'polarity'; readonly meter: number | undefined }
    /** Nothing holds the line while nobody drives it: octets before and behind each answer. */
    | { readonly kind: 'floating'; readonly meter: undefined }
    /** An adapter whose direction is switched too late, or too early. `octets` are lost: of each answer, of each request. */
    | { readonly kind: 'late-release' | 'early-release'; readonly meter: undefined; readonly octets: number }
  );

/** What happened, each with the sentence that the documents print. */
export const injectedKinds = {
  silence: 'an answer of the meter was swallowed; `octets` of it',
  drop: 'octets were lost',
  flip: 'octets had a bit flipped',
  echo: 'octets of the client came back to it',
  stray: 'an octet came that nobody sent',
  polarity: 'octets went over exchanged wires, and were nothing of sense',
  floating: 'octets came of a line that nobody drove',
  'late-release': 'the first octets of an answer were lost: the adapter still sent',
  'early-release': 'the last octets of a request were lost: the adapter sent no longer',
  collision: 'the meter answered while another one did; one line for each of them',
  'wrong-speed': 'from this request on the line has another speed than the meter, which hears something else',
  'power-off': 'from this request on the meter is without power',
  'power-on': 'from this request on it has power again',
  swap: 'the meter was replaced at the control socket: `serial` is the new one',
  'fault-on': 'a fault was switched on at the control socket',
  'fault-off': 'it was switched off there',
  'not-recorded': 'a meter out of a recording was asked for what is not in it: `detail`; it answered by an exception',
  time: 'time was set, or its speed, at the control socket',
} as const;
export type InjectedKind = keyof typeof injectedKinds;
export interface Injected {
  /** Time of day of the simulation. */
  readonly at: Millis;
  readonly kind: InjectedKind;
  /** Which meter, from 0; null: the whole bus. */
  readonly meter: number | null;
  /** Its serial number. */
  readonly serial: number | null;
  /** The fault of the scenario, by its place from 0, or of the control socket, by the number that it gave. */
  readonly fault?: number | undefined;
  readonly octets?: number | undefined;
  readonly detail?: string | undefined;
}
