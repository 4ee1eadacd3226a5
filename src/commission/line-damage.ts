/** What damaged octets say of the line that they came over. Pure. */
import { concat } from '../base/cursor.ts';
import { fromHex } from '../base/hex.ts';
import { cutFrame } from '../dlms/hdlc/frame.ts';

export interface Damage {
  readonly seen: string;
  readonly next: string;
  /** It is of the line or of the adapter, and not of one meter or its stub. */
  readonly isOfLine: boolean;
}
const flag = 0x7e;
/** Format, length, two addresses, control, and a check: what is shorter between two flags was never a frame. */
const shortestFrame = 7;
/** Most octets that a line makes which is at rest on the wrong level. */
const restLevel = 0.7;
const isRest = (octet: number): boolean => octet === 0 || octet === 0xff;

/** The first two octets of an HDLC frame of so many octets between its flags. */
const headsOf = (octets: number): Uint8Array[] => {
  const length = octets & 0x7ff;
  return [0xa0, 0xa8].map((format) => Uint8Array.of(format | (length >> 8), length & 0xff));
};
/** With one to three octets before it, the flag among them, its check fits. */
function lacksItsBeginning(rest: Uint8Array): boolean {
  const fits = (head: Uint8Array) => {
    const whole = concat([Uint8Array.of(flag), head, rest, Uint8Array.of(flag)]);
    return cutFrame(whole, 1, whole.length).is === 'frame';
  };
  const one = headsOf(rest.length + 1).map((head) => head.subarray(0, 1));
  return [new Uint8Array(0), ...one, ...headsOf(rest.length + 2)].some(fits);
}

interface Cut {
  readonly frames: number;
  /** What stands between whole frames and flags. */
  readonly rests: readonly Uint8Array[];
}
function cutSample(octets: Uint8Array): Cut {
  const rests: Uint8Array[] = [];
  let frames = 0;
  let [at, from] = [0, 0];
  const endRest = () => {
    if (at > from) rests.push(octets.subarray(from, at));
  };
  while (at < octets.length) {
    if (octets[at] !== flag) {
      at++;
      continue;
    }
    endRest();
    const cut = cutFrame(octets, at + 1, octets.length);
    // The sample ends in it.
    if (cut.is === 'partial') return { frames, rests };
    if (cut.is === 'frame') frames++;
    // The flag behind a frame may open the next one.
    at = cut.is === 'frame' ? cut.next : at + 1;
    from = at;
  }
  endRest();
  return { frames, rests };
}

/** `samples`: the beginnings of what came, in hex. */
export function damageWords(samples: readonly string[]): Damage {
  const pieces = samples.map(fromHex);
  const octets = concat(pieces);
  const share = (test: (octet: number) => boolean) => octets.filter(test).length / Math.max(1, octets.length);
  if (share(isRest) >= restLevel)
    return {
      seen: 'almost only 00 and FF: the line rests on the wrong level',
      next: 'Exchange A and B at the clamps of the adapter; then look for the bias resistors of the line.',
      isOfLine: true,
    };
  const cuts = pieces.map(cutSample);
  const rests = cuts.flatMap((cut) => cut.rests);
  const lateFrom = pieces.every((piece) => piece[0] !== flag);
  const isBetween = cuts.some(({ frames }) => frames > 0) && rests.every(({ length }) => length < shortestFrame);
  // Of a beginning that is longer only the pattern tells: once may be chance.
  const beginsLate = pieces.length > 1 && lateFrom && pieces.every((piece) => piece.includes(flag));
  if (rests.some(lacksItsBeginning) || (beginsLate && !isBetween))
    return {
      seen: 'the beginning of answers is missing, and the rest is whole: the adapter still sends when the meter answers',
      next: 'Let the adapter or the kernel switch the direction (direction of the port, see hardware/adapters.md); take another adapter where neither can.',
      isOfLine: true,
    };
  if (isBetween && lateFrom)
    return {
      seen: 'octets that nobody sent stand between whole frames: nothing holds the line while nobody sends',
      next: 'Look for the bias (fail-safe) resistors of the line, one pair at the adapter, and for the reference wire (C).',
      isOfLine: true,
    };
  if (octets.length >= 8 && !octets.includes(flag))
    return {
      seen: 'no flag of HDLC among the octets: another speed, or another protocol on this line',
      next: 'Look for a second master or a converter on this line; then try the speed on the label of the meter (--baud).',
      isOfLine: true,
    };
  return {
    seen: 'frames are there, and single octets in them are wrong',
    next: 'Measure 120 ohm at both ends of the line and nowhere else; look at shield, stub and clamps.',
    isOfLine: false,
  };
}

/** What came at rest is a break: levels, and nothing that anybody said. */
export const isRestOnly = (octets: Uint8Array): boolean => octets.length > 0 && octets.every(isRest);
