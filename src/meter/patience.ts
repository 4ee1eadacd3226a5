/** How long a session and its steps may take: by the speed of the line, the size that is asked for and the meter's settings. */
import type { Patience } from '../dlms/stack/patience.ts';
import type { MeterModel } from './model.ts';

/** What of a meter's access makes it slow or quick. */
export interface LineSpeed {
  readonly timed: boolean;
  readonly baud: number;
}
interface Pace extends LineSpeed {
  readonly link: 'hdlc' | 'wrapper';
  readonly model: MeterModel;
  readonly answerTimeoutMs: number;
  readonly retries: number;
}

/** Behind TCP there may be a converter with a line as slow as any. */
const slowestOctetMs = 10_000 / 300;
/** An honest answer keeps this part of the line's speed, with all that is sent again. */
const shareOfSpeed = 1 / 4;
const shareOfSlowest = 1 / 2;
/** A frame or block of an honest answer has at least so many octets for each pause of the meter. */
const octetsPerPause = 32;
const frameOctets = 40;

/** Time of one octet on the line; 0 where it is not known. */
export const octetMsOf = ({ timed, baud }: LineSpeed): number => (timed ? 10_000 / baud : 0);

export function stepPatience(access: Pace): Patience {
  const { answerTimeoutMs, retries, model, link } = access;
  const octetMs = octetMsOf(access);
  const longest = link === 'hdlc' ? model.max_info + frameOctets : 0;
  // Behind the wrapper there is one try, and its time-out is five times as long.
  const tries = Math.max(retries + 1, link === 'hdlc' ? 1 : 6);
  return {
    // Every try, each with the longest frame both ways, and as long again where the meter says that it is busy.
    stepMs: tries * (answerTimeoutMs * 2 + octetMs * 2 * longest),
    octetMs:
      (access.timed ? octetMs / shareOfSpeed : slowestOctetMs / shareOfSlowest) + answerTimeoutMs / octetsPerPause,
  };
}

/** What one request may take at least, and for how many octets where nobody knows how many come. */
const minRequestMs = 120_000;
const unknownOctets = 16 * 1024;

/** The total of one request whose answer should have so many octets. */
export const requestMs = (access: Pace, octets = unknownOctets): number =>
  Math.max(minRequestMs, octets * (octetMsOf(access) || slowestOctetMs) * 2) + stepPatience(access).stepMs;

/** The end of a session is short, and a meter that does not play along is left as it is. */
const endOctets = 512;
export const closeMs = (access: Pace): number =>
  (access.retries + 1) * access.answerTimeoutMs * 2 + endOctets * (octetMsOf(access) || slowestOctetMs);

/** The total of the question for the meter's invocation counter, in a session of its own before the other. */
export const askingLimitMs = 120_000;

/** The time of the longest frame that may be under way, at either side of a session. */
export const longestFrameMs = (access: Pace): number =>
  2000 + (access.model.max_info + frameOctets) * octetMsOf(access);
