/** The meter's own switch (disconnect control, class 70). */
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { GetResult } from '../dlms/xdlms/apdu.ts';
import { dataOf } from './attribute.ts';

export const disconnectorName: LogicalName = '0.0.96.3.10.255';
/** Disconnect control, class 70 (Blue Book 4.5.8). */
export interface Disconnector {
  /** output_state: the load is connected. */
  readonly output: boolean;
  /** control_state: 0 disconnected, 1 connected, 2 ready for reconnection. */
  readonly control: number;
  /** control_mode, 0 to 6: which transitions are allowed. */
  readonly mode: number;
}
/** The state of a disconnector from its attributes 2, 3 and 4; undefined where the meter does not tell them. */
export function disconnectorOf(results: readonly (GetResult | undefined)[]): Disconnector | undefined {
  const [output, control, mode] = results.map(dataOf);
  if (output?.type !== 'boolean' || control?.type !== 'enum' || mode?.type !== 'enum') return undefined;
  return { output: output.value, control: control.value, mode: mode.value };
}
