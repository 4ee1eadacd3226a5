/** What is known of a meter from the day when it was put into service (R13). */
import type { Millis } from '../base/time.ts';
import type { ObisCode } from '../dlms/cosem/logical-name.ts';

/** Of the commissioned record. */
export interface Commissioned {
  readonly serial: string;
  readonly profile: ObisCode;
  readonly periodS: number;
  /** Of columns, scalers and period. */
  readonly fingerprint: string;
  /** `200/5`; null where the meter has no such objects. */
  readonly currentTransformer: string | null;
  readonly voltageTransformer: string | null;
}
/** When the ratios were compared last, and at which count of changes. */
export interface ComparedRatios {
  readonly at: Millis;
  readonly changes: bigint | undefined;
}
