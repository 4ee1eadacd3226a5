/**
 * The commissioned record: what a meter said of itself when it was put into service, and what is wrong with it. Each step
 * stands in it as soon as it is done, so that whoever was cut off goes on behind it.
 */
import type { Integer } from '../reading/facts.ts';

export type FindingKind =
  | 'no answer'
  | 'address'
  | 'collision'
  | 'damaged answers'
  | 'line'
  | 'wrong serial'
  | 'wrong keys'
  | 'wrong password'
  | 'refused'
  | 'unknown kind'
  | 'clock'
  | 'summer time'
  | 'ratio'
  | 'profile'
  | 'profile period'
  | 'sum check'
  | 'display'
  | 'switch'
  | 'configuration'
  | 'other';
export interface MeterFinding {
  readonly kind: FindingKind;
  /** A fault keeps the meter from being put into service; a note does not. */
  readonly severity: 'fault' | 'note';
  readonly what: string;
  /** The next step of whoever stands before it. */
  readonly next: string;
}

export interface IdentityStep {
  readonly at: string;
  readonly logicalDeviceName: string | null;
  readonly serial: string | null;
  /** A name of hardware/meters; null where no model has such a name. */
  readonly detected: string | null;
  /** Meter minus gateway, s; null where its clock names no instant. */
  readonly deviationS: number | null;
  /** Whether the clock of the gateway itself can be believed. */
  readonly gatewayClock: 'trusted' | 'untrusted';
  /** The last octet of its clock (Blue Book 4.1.6.1). */
  readonly clockStatus: number | null;
  /** control_state of its switch; null where it has none. */
  readonly switchState: number | null;
  readonly firmware: string | null;
}
export interface RecordedRatio {
  readonly numerator: string;
  readonly denominator: string;
}
export interface RecordedRegister {
  readonly obis: string;
  readonly raw: Integer;
  readonly scaler: number | null;
  readonly unit: string | null;
}
export interface RegisterStep {
  readonly at: string;
  /** null: the meter has no such objects. */
  readonly currentTransformer: RecordedRatio | null;
  readonly voltageTransformer: RecordedRatio | null;
  readonly registers: readonly RecordedRegister[];
  /** Of its phases, V; null where it does not tell them. */
  readonly voltages: readonly number[] | null;
}
export interface ProfileStep {
  readonly at: string;
  readonly obis: string;
  readonly periodS: number;
  readonly columns: readonly string[];
  readonly scalers: readonly { readonly obis: string; readonly scaler: number; readonly unit: string }[];
  /** Changes with columns, scalers and period (R13). */
  readonly fingerprint: string;
  /** Rows that its buffer holds at most, and has now; null where it does not tell. */
  readonly entries: number | null;
  readonly inUse: number | null;
  readonly depthDays: number | null;
}
export interface RecordedSum {
  readonly column: string;
  readonly sum: Integer;
  readonly advance: Integer | null;
  readonly scaler: number | null;
  readonly unit: string | null;
  /** null where an edge is missing. */
  readonly agrees: boolean | null;
}
export interface DayStep {
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly expected: number;
  readonly rows: number;
  /** What reading them took. */
  readonly tookMs: number;
  readonly sums: readonly RecordedSum[];
}
export interface LineStep {
  readonly at: string;
  readonly exchanges: number;
  readonly answered: number;
  /** Frames that came damaged, and those that had to be sent again. */
  readonly damaged: number;
  readonly repeated: number;
  readonly medianMs: number | null;
  readonly longestMs: number | null;
}
export interface MeterSteps {
  readonly identity?: IdentityStep;
  readonly registers?: RegisterStep;
  readonly profile?: ProfileStep;
  readonly day?: DayStep;
  readonly line?: LineStep;
}
export const stepNames = ['identity', 'registers', 'profile', 'day', 'line'] as const;
export type StepName = (typeof stepNames)[number];

export interface DisplayReading {
  readonly at: string;
  readonly obis: string;
  /** As it was typed. */
  readonly shown: string;
  readonly agrees: boolean;
  readonly words: string;
}
export interface Attachment {
  readonly at: string;
  readonly note: string | null;
  /** In the folder of the site; null where it is a note alone. */
  readonly file: string | null;
  readonly bytes: number;
  readonly sha256: string | null;
}
/** What is expected of a meter, by work list, configuration and options. */
export interface MeterTarget {
  readonly meter: string;
  readonly point: string;
  readonly serial: string;
  readonly place: string | null;
  readonly port: string;
  readonly device: string;
  readonly baud: number;
  readonly link: string;
  /** Logical device, and the HDLC physical address: `1/1001`. */
  readonly address: string;
  readonly client: number;
  readonly auth: string;
  readonly ciphered: boolean;
  /** A name of hardware/meters, or auto. */
  readonly model: string;
  readonly profile: string;
  readonly periodS: number;
  /** `200/5`; null: nobody said, or it measures directly. */
  readonly currentTransformer: string | null;
  readonly voltageTransformer: string | null;
}
export interface MeterRecord extends MeterTarget {
  readonly format: 1;
  readonly who: string | null;
  readonly began: string;
  /** When the last step was done, or failed. */
  readonly finished: string | null;
  readonly result: 'begun' | 'good' | 'failed';
  readonly steps: MeterSteps;
  readonly findings: readonly MeterFinding[];
  readonly displays: readonly DisplayReading[];
  readonly attachments: readonly Attachment[];
}

export const freshRecord = (target: MeterTarget, who: string | null, at: string): MeterRecord => ({
  ...target,
  format: 1,
  who,
  began: at,
  finished: null,
  result: 'begun',
  steps: {},
  findings: [],
  displays: [],
  attachments: [],
});

/** Whether what was found holds for what is expected now: another serial, address or period is another meter to look at. */
export const isOf = (record: MeterRecord, target: MeterTarget): boolean =>
  (Object.keys(target) as (keyof MeterTarget)[]).every((key) => record[key] === target[key]);
