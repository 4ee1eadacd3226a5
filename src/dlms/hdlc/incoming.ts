/** The peer's information on its way to us: its segments, and V(R) (Green Book 8.4). */
import { concat } from '../../base/cursor.ts';
import type { Frame } from './frame.ts';

export interface Incoming {
  /** V(R): the number of the frame that comes next. */
  vr: number;
  parts: Uint8Array[];
  /** Of all parts. */
  octets: number;
  /** Client: the last I-frame that was accepted held nothing. */
  hollow: boolean;
}
export const nothingIncoming = (): Incoming => ({ vr: 0, parts: [], octets: 0, hollow: false });

/**
 * Some meters say "wait" by an I-frame without information, and give the number of that once more to the one that holds
 * the answer (meter-quirks 90).
 */
export function fillsHollow(incoming: Incoming, ns: number, { information }: Frame): boolean {
  if (!incoming.hollow || information.length === 0 || ns !== ((incoming.vr - 1) & 7)) return false;
  incoming.vr = ns;
  return true;
}

/** Takes the frame that comes next in order. What has become whole with it; to a client nothing is not an answer. */
export function takeFrame(
  incoming: Incoming,
  { information, segmented }: Frame,
  isClient: boolean,
): Uint8Array | undefined {
  incoming.vr = (incoming.vr + 1) & 7;
  incoming.hollow = isClient && information.length === 0;
  if (information.length > 0) {
    incoming.parts.push(information);
    incoming.octets += information.length;
  } else if (isClient && incoming.parts.length === 0) return undefined;
  if (segmented) return undefined;
  const whole = incoming.parts.length === 1 && information.length > 0 ? information : concat(incoming.parts);
  incoming.parts = [];
  incoming.octets = 0;
  return whole;
}
