/**
 * What real meters and lines do, as switches of the scenario file (`quirks = ["..."]` of a meter). Numbers are those of
 * the field list in the README's table, which is made from this one. A quirk is data and small functions at the place
 * where the meter is odd: the octets of its line, the APDUs of its application, the rows of its profile.
 */
import { concat, Reader } from '../base/cursor.ts';
import { encode } from '../base/codec.ts';
import { decodeAcse } from '../dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../dlms/axdr/data.ts';
import { readLength } from '../dlms/axdr/length.ts';
import { encodeFrame } from '../dlms/hdlc/frame.ts';
import { decodeApdu, encodeApdu } from '../dlms/xdlms/apdu.ts';
import { associationQuirks } from './association-quirks.ts';
import { logQuirks } from './log-quirks.ts';
import { pushQuirks } from './push-quirks.ts';
import { rowQuirks } from './row-quirks.ts';
import { serviceQuirks } from './service-quirks.ts';
import { count, frameOf, isBlock, isValue, one, onFrame, type Quirk } from './quirk.ts';

const noise = Uint8Array.of(0x55, 0xaa, 0x7e, 0xa0, 0x13, 0x01, 0xff, 0x00, 0x99);
/** The raw data of a block replaced. */
function withRaw(apdu: Uint8Array, change: (raw: Uint8Array) => Uint8Array): Uint8Array {
  const decoded = decodeApdu(apdu).apdu;
  if (decoded.kind !== 'get-response-with-datablock' || !('raw' in decoded.result)) return apdu;
  return encodeApdu({ ...decoded, result: { raw: change(decoded.result.raw) } });
}
/** Lengths on more octets than they need. */
function padLength(octets: Uint8Array, at: number): Uint8Array {
  const r = new Reader(octets, at);
  const length = readLength(r);
  return concat([octets.subarray(0, at), Uint8Array.of(0x82, length >> 8, length & 0xff), octets.subarray(r.offset)]);
}

export const quirks = {
  ...associationQuirks,
  ...logQuirks,
  ...pushQuirks,
  ...rowQuirks,
  ...serviceQuirks,
  'flags-in-data': {
    number: 1,
    what: '0x7E inside valid frames',
    client: 'frames are cut by their length field, flags inside do not count',
    rows: (rows) =>
      rows.map((row) => ({
        ...row,
        status: 0x7e & ~0x2f,
        registers: [0x7e7e7e7e, 0x7e00 + (row.registers[1] & 0xff)],
      })),
  },
  'shared-flags': {
    number: 2,
    what: 'one flag closes a frame and opens the next',
    client: 'the closing flag is kept as a possible opening one',
    transmit: (octets, memory) => {
      const first = count(memory, 'frames') === 1;
      return one(first ? octets : octets.subarray(1));
    },
  },
  'two-flags': {
    number: 2,
    what: 'two flags stand between frames',
    client: 'a flag that opens nothing is skipped',
    transmit: (octets) => one(concat([Uint8Array.of(0x7e), octets, Uint8Array.of(0x7e)])),
  },
  'garbage-between-frames': {
    number: 3,
    what: 'garbage before every frame',
    client: 'seeks the next flag that opens a frame with good checks',
    transmit: (octets) => one(concat([noise, octets])),
  },
  'first-octet-lost': {
    number: 3,
    what: 'the first octet of every 5th frame is lost',
    client: 'asks again: one frame is lost, not more',
    transmit: (octets, memory) => one(count(memory, 'frames') % 5 === 4 ? octets.subarray(1) : octets),
  },
  'half-frames': {
    number: 3,
    what: 'every 5th frame is cut in half',
    client: 'waits for silence, asks again',
    transmit: (octets, memory) =>
      one(count(memory, 'frames') % 5 === 4 ? octets.subarray(0, octets.length >> 1) : octets),
  },
  'acknowledgement-echo': {
    number: 6,
    what: 'the mode E acknowledgement comes back with parity bits, glued to the UA',
    client: 'octets before the first flag are dropped',
    transmit: onFrame((_, octets) => one(concat([Uint8Array.of(0x06, 0xb2, 0x35, 0xb2, 0x8d, 0x0a), octets])), 'UA'),
  },
  'text-inside': {
    number: 8,
    what: 'text of a converter before and inside of frames',
    client: 'drops text between frames; a frame with text inside fails its check and is asked for again',
    transmit: (octets, memory) => {
      const text = Buffer.from('+++ CARRIER 9600\r\n');
      const middle = octets.length >> 1;
      const inside = count(memory, 'frames') % 6 === 3;
      return one(inside ? concat([octets.subarray(0, middle), text, octets.subarray(middle)]) : concat([text, octets]));
    },
  },
  'long-lengths': {
    number: 9,
    what: 'lengths on more octets than they need (82 00 FA)',
    client: 'reads them',
    answer: (apdu) => {
      if (isBlock(apdu)) return padLength(apdu, 9);
      return isValue(apdu) && (apdu[4] === 9 || apdu[4] === 1) ? padLength(apdu, 5) : apdu;
    },
  },
  'foreign-frames': {
    number: 10,
    what: 'frames of other meters, and answers to earlier requests, on the bus',
    client: 'takes frames of its meter only, with the N(S) it awaits; and the invoke-id it gave',
    transmit: (octets, memory) => {
      const frame = frameOf(octets);
      if (!frame) return one(octets);
      const foreign = encodeFrame({ ...frame, source: { logical: frame.source.logical, physical: 77, size: 2 } });
      const strange = encodeFrame({ ...frame, destination: { logical: 99, size: 1 } });
      const last = memory['last'] === 1;
      memory['last'] = 1;
      return [
        ...one(foreign),
        ...one(strange),
        ...one(octets),
        ...(last && frame.control.kind === 'I' ? one(octets, 5) : []),
      ];
    },
  },
  'slow-octets': {
    number: 11,
    what: '160 ms of silence inside one frame',
    client: 'a frame that has begun is waited for as long as octets come',
    transmit: (octets) => {
      const third = Math.ceil(octets.length / 3);
      return [0, 1, 2].map((i) => ({
        octets: octets.subarray(i * third, (i + 1) * third),
        pauseMs: i === 0 ? 0 : 160,
      }));
    },
  },
  'octet-a-second': {
    number: 93,
    what: 'one octet a second, for ever',
    client: 'every step has its total: the line is at fault, not the mains, and the neighbours are read',
    transmit: (octets) => Array.from(octets, (octet) => ({ octets: Uint8Array.of(octet), pauseMs: 1000 })),
  },
  'other-address-size': {
    number: 13,
    what: 'asked with 2 octets of address, answers with 4, or the reverse',
    client: 'compares the values of addresses, not their octets',
    transmit: onFrame(({ source, ...frame }) => {
      const { logical, physical = 0 } = source;
      return one(
        encodeFrame({ ...frame, source: { logical, physical, size: source.size === 4 && physical < 128 ? 2 : 4 } }),
      );
    }),
  },
  'mixed-parameters': {
    number: 17,
    what: 'UA with lengths on 1 and 2 octets mixed',
    client: 'reads 1 to 4 octets each',
    transmit: onFrame((frame) => {
      // 05 01 80 06 02 00 80, and the windows on one octet.
      const information = Uint8Array.of(0x81, 0x80, 0x0d, 5, 1, 0x80, 6, 2, 0, 0x80, 7, 1, 1, 8, 1, 1);
      return one(encodeFrame({ ...frame, information }));
    }, 'UA'),
    meter: { maxInfo: 128 },
  },
  'bare-ua': {
    number: 19,
    what: 'UA without information',
    client: 'takes the defaults, 128 octets and window 1',
    transmit: onFrame((frame) => one(encodeFrame({ ...frame, information: new Uint8Array(0) })), 'UA'),
    meter: { maxInfo: 128 },
  },
  'frame-reject': {
    number: 21,
    what: 'FRMR in the middle of a session, as a meter does whose sequence numbers were not reset',
    client: 'fails with frame-rejected; every session begins with SNRM and numbers from 0',
    transmit: onFrame((frame, octets, memory) => {
      if (count(memory, 'frames') !== 3) return one(octets);
      return one(
        encodeFrame({
          ...frame,
          control: { kind: 'FRMR', pollFinal: true },
          segmented: false,
          information: Uint8Array.of(0x10, 0, 1),
        }),
      );
    }, 'I'),
  },
  'pinned-sequence': {
    number: 22,
    what: 'N(S) stands still at 0 in every I-frame',
    client: 'model field pinned_sequence: N(S) is not looked at',
    transmit: onFrame((frame) => {
      const { control } = frame;
      return one(encodeFrame(control.kind === 'I' ? { ...frame, control: { ...control, ns: 0 } } : frame));
    }, 'I'),
  },
  'disc-ua-parameters': {
    number: 23,
    what: 'DISC answered by a UA that carries parameters',
    client: 'disconnected all the same',
    transmit: onFrame(
      (frame, octets) =>
        one(
          frame.information.length > 0
            ? octets
            : encodeFrame({ ...frame, information: Uint8Array.of(0x81, 0x80, 3, 5, 1, 0x80) }),
        ),
      'UA',
    ),
  },
  'disc-dm': {
    number: 23,
    what: 'DISC answered by DM',
    client: 'disconnected all the same',
    transmit: onFrame(
      (frame, octets) =>
        one(
          frame.information.length > 0 ? octets : encodeFrame({ ...frame, control: { kind: 'DM', pollFinal: true } }),
        ),
      'UA',
    ),
  },
  'disc-silence': {
    number: 23,
    what: 'DISC answered by silence',
    client: 'disconnected all the same, after its time-outs',
    transmit: onFrame((frame, octets) => (frame.information.length > 0 ? one(octets) : []), 'UA'),
  },
  'old-session': {
    number: 24,
    what: 'an old session is alive in the meter: SNRM is ignored until its inactivity time-out',
    client: 'no-answer in bounded time, and the next poll finds the meter ready',
    accepts: (_octets, _memory, age) => age > 60_000,
  },
  dead: {
    number: 25,
    what: 'no answer at all',
    client: 'no-answer after a few short time-outs, not 30 s',
    accepts: () => false,
  },
  'falls-silent': {
    number: 26,
    what: 'silence after the 6th transmission, three times',
    client: 'an overall deadline at every step: fell-silent, then the next session works',
    transmit: (octets, memory) => (count(memory, 'sent') > 6 && (memory['sent'] ?? 0) < 10 ? [] : one(octets)),
  },
  'small-pdu': {
    number: 27,
    what: 'the meter takes APDUs of 100 octets',
    client: 'splits lists so that each request fits',
    meter: { maxPdu: 100 },
  },
  'keeps-speed': {
    number: 29,
    what: 'mode E: proposes a speed and does not switch to it',
    client: 'after silence tries again at 300 Bd',
    signOn: { keepsSpeed: true },
  },
  'noise-before-identification': {
    number: 32,
    what: 'mode E: extra characters before /XXX5…',
    client: 'seeks the identification in what came',
    signOn: { noise: '\u0000\u0000#+' },
  },
  'needs-wake-up': {
    number: 33,
    what: 'mode E: deaf without NUL octets first',
    client: 'model field wake_up',
    signOn: { deafTo: 'without-nul' },
  },
  'needs-second-request': {
    number: 33,
    what: 'mode E: the first request only wakes the meter up',
    client: 'repeats the request',
    signOn: { deafTo: 'first-request' },
  },
  'bare-refusal': {
    number: 34,
    what: 'a refusing AARE without user-information',
    client: 'reads the diagnostic: authentication-refused, never repeated by itself',
    answer: (apdu) => {
      if (apdu[0] !== 0x61) return apdu;
      const aare = decodeAcse(apdu);
      // result 1 and diagnostic 13 and nothing else, as short as it gets
      return aare.kind === 'aare' && aare.result !== 0
        ? Uint8Array.from(Buffer.from('6117a109060760857405080101a203020101a305a10302010d', 'hex'))
        : apdu;
    },
  },
  'trailing-user-information': {
    number: 35,
    what: 'user-information stands after the end of the AARE',
    client: 'reads elements to the end of the octets, not of the length',
    answer: (apdu) => {
      if (apdu[0] !== 0x61) return apdu;
      const at = apdu.indexOf(0xbe);
      const changed = apdu.slice();
      if (at > 0) changed[1] = at - 2;
      return changed;
    },
  },
  'gmac-counter-advances': {
    number: 40,
    what: 'the invocation counter must advance with the GMAC of the proof',
    client: 'takes a counter for the proof and the next for the APDU that carries it',
    deviations: { gmacCounter: 'must-advance' },
  },
  'gmac-counter-stands': {
    number: 40,
    what: 'the proof must carry the counter of its own APDU',
    client: 'refused by name: one counter for two protections would break GCM; authentication-refused, not repeated',
    deviations: { gmacCounter: 'must-not-advance' },
  },
  'counter-behind-drops': {
    number: 41,
    what: 'an invocation counter that was used: the meter drops the link instead of answering',
    client: 'no-answer; the counter is read by the public client and raised',
    answer: (apdu) => (apdu[0] === 0xd8 && apdu[2] === 6 ? undefined : apdu),
  },
  'no-release': {
    number: 45,
    what: 'RLRQ is not supported: silence',
    client: 'DISC closes; model field release leaves RLRQ out',
    answer: (apdu, request) => (request[0] === 0x62 ? undefined : apdu),
  },
  'release-length': {
    number: 46,
    what: 'RLRE with a wrong length',
    client: 'released all the same',
    answer: (apdu) => (apdu[0] === 0x63 ? Uint8Array.of(0x63, 9, 0x80, 1, 0) : apdu),
  },
  'service-not-allowed': {
    number: 47,
    what: 'an exception "service not allowed" now and then',
    client: 'service-exception; the session opens anew once',
    answer: (apdu, request, memory) =>
      request[0] === 0xc0 && count(memory, 'gets') === 3 ? Uint8Array.of(0xd8, 1, 1) : apdu,
  },
  'association-stays': {
    number: 48,
    what: 'a second AARQ without RLRQ before it is refused once',
    client: 'association-refused, transient; the next session works',
    answer: (apdu, request, memory) => {
      if (request[0] === 0x62) memory['open'] = 0;
      if (request[0] !== 0x60) return apdu;
      const open = memory['open'] === 1;
      memory['open'] = open ? 0 : 1;
      return open ? Uint8Array.from(Buffer.from('6117a109060760857405080101a203020102a305a103020101', 'hex')) : apdu;
    },
  },
  'priority-bit': {
    number: 49,
    what: 'the answer has another priority bit than the request',
    client: 'compares the low four bits of invoke-id-and-priority',
    answer: (apdu) => {
      if ((apdu[0] as number) < 0xc4 || (apdu[0] as number) > 0xc7) return apdu;
      const changed = apdu.slice();
      changed[2] = (changed[2] as number) ^ 0x40;
      return changed;
    },
  },
  'blocks-from-zero': {
    number: 50,
    what: 'block numbers begin with 0',
    client: 'counts from the first number that comes',
    deviations: { firstBlock: 'zero' },
  },
  'blocks-go-on': {
    number: 50,
    what: 'block numbers do not begin anew with each request',
    client: 'counts from the first number that comes',
    deviations: { firstBlock: 'goes-on' },
  },
  'empty-block': {
    number: 51,
    what: 'an empty block in the middle of a value',
    client: 'goes on with the next',
    deviations: { emptyBlock: 'middle' },
  },
  'empty-last-block': {
    number: 51,
    what: 'the last block has no octets',
    client: 'the value is whole before it',
    deviations: { emptyBlock: 'last' },
  },
  'junk-after-value': {
    number: 51,
    what: '18 octets of junk after a complete value',
    client: 'counts and ignores them',
    answer: (apdu) => {
      const junk = new Uint8Array(18).fill(0xee);
      if (isBlock(apdu)) return (apdu[3] as number) === 0 ? apdu : withRaw(apdu, (raw) => concat([raw, junk]));
      return isValue(apdu) ? concat([apdu, junk]) : apdu;
    },
  },
  'stale-block': {
    number: 52,
    what: 'after a read that failed, the old block counter goes on',
    client: 'counts from the first number that comes',
    deviations: { firstBlock: 'goes-on' },
    transmit: (octets, memory) => (count(memory, 'sent') > 9 && (memory['sent'] ?? 0) < 13 ? [] : one(octets)),
  },
  'list-limit': {
    number: 53,
    what: 'lists of more than 10 attributes are refused',
    client: 'asks for at most list_limit attributes at once',
    deviations: { listLimit: 10 },
  },
  'aborts-set': {
    number: 54,
    what: 'SET in blocks is aborted by the meter (C5 03 C1 11)',
    client: 'stops at once, reports long-set-aborted',
    deviations: { abortsSet: true },
  },
  'broken-last-block': {
    number: 56,
    what: 'a last block of 5 octets, for certain row counts',
    client: 'the rows are asked for again, by number',
    answer: (apdu, _, memory) =>
      isBlock(apdu) && apdu[3] !== 0 && count(memory, 'last') === 1 ? withRaw(apdu, (raw) => raw.subarray(0, 5)) : apdu,
  },
  'object-list-count': {
    number: 57,
    what: 'the object list announces more items than it has; the association is not its first',
    client: 'reads the items that are there, says how many are missing',
    deviations: {
      value: (classId, attribute, list) => {
        if (classId !== 15 || attribute !== 2) return undefined;
        const items = list.type === 'array' ? [...list.value.slice(1), ...list.value.slice(0, 1)] : [];
        const octets = encode(dataCodec, { type: 'array', value: items });
        const changed = octets.slice();
        changed[1] = (changed[1] as number) + 3;
        return changed;
      },
    },
  },
  'object-list-oddities': {
    number: 58,
    what: 'negative attribute ids, access selector 255 as −1, a method list that is no collection',
    client: 'keeps what makes sense of the item',
    deviations: {
      value: (classId, attribute, list) => {
        if (classId !== 15 || attribute !== 2 || list.type !== 'array') return undefined;
        const value = list.value.map((item, i): Data => {
          if (item.type !== 'structure' || i % 3 !== 1) return item;
          const [classId, version, name, rights] = item.value;
          const [attributes] = rights?.type === 'structure' ? rights.value : [];
          const odd: Data = {
            type: 'structure',
            value: [
              { type: 'integer', value: -3 },
              { type: 'enum', value: 1 },
              { type: 'array', value: [{ type: 'integer', value: -1 }] },
            ],
          };
          const more: Data = attributes?.type === 'array' ? { type: 'array', value: [...attributes.value, odd] } : odd;
          return {
            type: 'structure',
            value: [
              classId as Data,
              version as Data,
              name as Data,
              { type: 'structure', value: [more, { type: 'null-data' }] },
            ],
          };
        });
        return encode(dataCodec, { type: 'array', value });
      },
    },
  },
  'untagged-stamps': {
    number: 62,
    what: 'stamps without their tag',
    client: 'model field untagged_stamps',
    deviations: {
      value: (classId, attribute, buffer) => {
        if (classId !== 7 || attribute !== 2) return undefined;
        const octets = encode(dataCodec, buffer);
        return octets.filter((octet, i) => !(octet === 9 && octets[i + 1] === 12 && octets[i - 2] === 2));
      },
    },
  },
} as const satisfies Record<string, Quirk>;

export type QuirkName = keyof typeof quirks;
export const quirkNames = Object.keys(quirks) as [QuirkName, ...QuirkName[]];
export const quirkOf = (name: QuirkName): Quirk => quirks[name];
