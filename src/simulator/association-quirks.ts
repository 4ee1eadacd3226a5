/** What meters do otherwise than the books where an association, its frames and its connection begin and end (82 to 92). */
import { concat } from '../base/cursor.ts';
import { decodeAcse, encodeAcse, type Aare } from '../dlms/acse/apdu.ts';
import { encodeFrame, type Frame } from '../dlms/hdlc/frame.ts';
import { count, frameOf, isValue, type Memory, one, onFrame, type Piece, type Quirk, replaced } from './quirk.ts';

const onAare =
  (change: (aare: Aare) => Aare) =>
  (apdu: Uint8Array): Uint8Array => {
    if (apdu[0] !== 0x61) return apdu;
    const aare = decodeAcse(apdu);
    return aare.kind === 'aare' ? encodeAcse(change(aare)) : apdu;
  };
const llcOctets = 3;
const hasLlc = ({ information }: Frame): boolean => information[0] === 0xe6;
const withoutLlc = (frame: Frame): readonly Piece[] =>
  one(encodeFrame({ ...frame, information: frame.information.subarray(llcOctets) }));
const isAarq = (octets: Uint8Array): boolean => octets[8] === 0x60;

const wrapperOctets = 8;
/** The general block behind the header, if it is one, made the first of many. */
function asBlockOne(octets: Uint8Array, header: number): Uint8Array {
  if (octets[header] !== 0xe0) return octets;
  const changed = octets.slice();
  changed[header + 1] = (changed[header + 1] as number) & ~lastBlock;
  changed.set([0, 1], header + 2);
  return changed;
}
const lastBlock = 0x80;

/** Answers that wait for our RR. */
const heldBack = new WeakMap<Memory, Uint8Array>();
const text = (words: string): Uint8Array => Buffer.from(words, 'latin1');

export const associationQuirks = {
  'encrypted-initiate': {
    number: 82,
    what: 'InitiateRequest must be encrypted only, and InitiateResponse is: control 20, counter 0, no tag',
    client: 'model field initiate_protection; every other APDU is protected as configured',
    deviations: { initiate: 'encrypted' },
  },
  'one-octet-conformance': {
    number: 83,
    what: 'the conformance block stands behind a tag of one octet, 5F',
    client: 'reads both, writes 5F 1F',
    answer: onAare((aare) => ({
      ...aare,
      ...(aare.userInformation && { userInformation: replaced(aare.userInformation, [0x5f, 0x1f], [0x5f]) }),
    })),
  },
  'bare-acceptance': {
    number: 83,
    what: 'an accepting AARE of its result and its title, with no InitiateResponse',
    client: 'asks for no lists and no general blocks; in a ciphered context refused by name',
    answer: onAare(({ kind, result, respondingApTitle }) => ({
      kind,
      result,
      ...(respondingApTitle && { respondingApTitle }),
    })),
  },
  'initiate-error': {
    number: 84,
    what: 'an AARE whose user-information holds an initiateError: incompatible conformance',
    client: 'proposal-refused, with the name of the error; left alone as after a refusal',
    answer: onAare((aare) => ({
      ...aare,
      result: 1,
      diagnostic: { source: 'acse-service-user', code: 1 },
      userInformation: Uint8Array.of(0x0e, 1, 6, 2),
    })),
  },
  'gmac-counter-next': {
    number: 85,
    what: 'the proof must carry the counter that follows the one of AARQ',
    client: 'takes counters one after the other, without a gap',
    deviations: { gmacCounter: 'next-of-association' },
  },
  'blocks-flooded': {
    number: 89,
    what: 'general blocks come several times each, all with block number 1, and none is the last',
    client: 'answer-stalled after a few; the daemon goes on without general blocks, and remembers it',
    transmit: (octets) => {
      const frame = frameOf(octets);
      if (!frame)
        return octets[wrapperOctets] === 0xe0
          ? [1, 2, 3].flatMap(() => one(asBlockOne(octets, wrapperOctets)))
          : one(octets);
      if (frame.control.kind !== 'I') return one(octets);
      return one(encodeFrame({ ...frame, information: asBlockOne(frame.information, llcOctets) }));
    },
  },
  'no-llc': {
    number: 90,
    what: 'information without LLC header',
    client: 'takes what stands there as the APDU: none begins with E6',
    transmit: onFrame((frame, octets) => (hasLlc(frame) ? withoutLlc(frame) : one(octets)), 'I'),
  },
  'llc-once': {
    number: 90,
    what: 'LLC header before the first APDU of a session only',
    client: 'looks for it before each APDU, and does not miss it',
    transmit: onFrame(
      (frame, octets, memory) => (hasLlc(frame) && count(memory, 'headers') > 1 ? withoutLlc(frame) : one(octets)),
      'I',
    ),
  },
  'empty-frames': {
    number: 90,
    what: 'an I-frame without information says "wait"; the answer has its number, and comes when RR asks',
    client: 'asks by RR, and takes the number once more from a frame that holds something',
    transmit: (octets, memory) => {
      const frame = frameOf(octets);
      const held = heldBack.get(memory);
      if (frame?.control.kind === 'RR' && held) {
        heldBack.delete(memory);
        return one(held);
      }
      if (frame?.control.kind !== 'I' || frame.segmented || !hasLlc(frame)) return one(octets);
      heldBack.set(memory, octets);
      return one(encodeFrame({ ...frame, information: new Uint8Array(0) }));
    },
  },
  'nothing-but-empty-frames': {
    number: 90,
    what: 'every I-frame is without information',
    client: 'answer-stalled, a fault of the meter, named, after a few polls with pauses',
    transmit: onFrame((frame) => one(encodeFrame({ ...frame, information: new Uint8Array(0) })), 'I'),
  },
  'closes-after-release': {
    number: 91,
    what: 'the TCP connection is closed with RLRE',
    client: 'closed all the same; the next session has a connection of its own',
    hangsUp: (answer) => answer[0] === 0x63,
  },
  'one-association': {
    number: 91,
    what: 'a second AARQ over one TCP connection is never answered',
    client: 'asks once more over a new connection, and then gives each session its own',
    accepts: (octets, memory) => !isAarq(octets) || count(memory, 'associations') === 1,
    connected: (memory) => void (memory['associations'] = 0),
  },
  'text-for-answers': {
    number: 92,
    what: 'every third value is answered by text: NEXERRORNO-1',
    client: 'says the text, and asks once more; lists are not to blame',
    answer: (apdu, _, memory) => (isAnswer(apdu) && count(memory, 'answers') % 3 === 0 ? text('NEXERRORNO-1') : apdu),
  },
  'nothing-but-text': {
    number: 92,
    what: 'AARQ is answered by text',
    client: 'malformed-octets at once, with the text',
    answer: (apdu) => (apdu[0] === 0x61 ? text('NEXERRORNO-1') : apdu),
  },
  'last-words': {
    number: 92,
    what: 'plain text between frames of the wrapper',
    client: 'a header begins with 0, and text has none: skipped up to it',
    transmit: (octets, memory) =>
      one(octets[0] === 0x7e || count(memory, 'frames') % 4 !== 0 ? octets : concat([text('POWER FAIL\r\n'), octets])),
  },
} as const satisfies Record<string, Quirk>;

function isAnswer(apdu: Uint8Array): boolean {
  return isValue(apdu) || (apdu[0] === 0xc4 && (apdu[1] === 2 || apdu[1] === 3));
}
