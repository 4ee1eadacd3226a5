/** What meters do otherwise than the books with lists that they send unasked (11, 12, 55, 62, 96). */
import { concat, Writer } from '../base/cursor.ts';
import { millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { dateTimeOctets } from '../dlms/cosem/date-time.ts';
import { structure } from '../dlms/cosem/server-object.ts';
import { cellsOf, count, one, onFrame, type Quirk } from './quirk.ts';

/** The values of a described list, each with its logical name; the list itself and what only describes others is left out. */
function namesOf(described: Data): (readonly [Uint8Array, Data])[] {
  const [description, ...values] = cellsOf(described);
  const objects = description?.type === 'array' ? description.value.slice(1) : [];
  return values.flatMap((value, i) => {
    const [, name, attribute] = cellsOf(objects[i]);
    if (name?.type !== 'octet-string' || attribute?.type !== 'integer' || attribute.value !== 2) return [];
    return [[name.value, value] as const];
  });
}

const llcOctets = 3;
/** Octets of an APDU in one frame, and who is addressed in it: all, from transport access point 1 to 103. */
const mbusOctets = 245;
const mbusHeader = [0x53, 0xff];
const accessPoints = [0x01, 0x67];
/** Long frames of M-Bus (EN 13757-2) with the transport layer of EN 13757-1: CI counts them, bit 4 marks the last. */
function longFrames(apdu: Uint8Array): Uint8Array {
  const w = new Writer();
  for (let at = 0, number = 0; at < apdu.length; at += mbusOctets, number++) {
    const last = at + mbusOctets >= apdu.length ? 0x10 : 0;
    const body = Uint8Array.of(...mbusHeader, last | number, ...accessPoints, ...apdu.subarray(at, at + mbusOctets));
    w.put(Uint8Array.of(0x68, body.length, body.length, 0x68));
    w.put(body);
    w.u8(body.reduce((sum, octet) => (sum + octet) & 0xff, 0));
    w.u8(0x16);
  }
  return w.octets();
}

export const pushQuirks = {
  'pause-before-last-frame': {
    number: 11,
    what: '3 s of silence before the last frame of a push',
    client: 'the listener waits for the rest of a list that has begun',
    push: { maxInfo: 32 },
    transmit: onFrame((frame, octets) => one(octets, frame.segmented ? 0 : 3000), 'UI'),
  },
  'segmented-push': {
    number: 12,
    what: 'one list segmented over several UI frames',
    client: 'the listener puts the segments of each sender together',
    push: { maxInfo: 32 },
  },
  'push-in-blocks': {
    number: 55,
    what: 'general block transfer in pushes, not asked for',
    client: 'the listener puts the blocks together and answers nothing',
    push: { block: 40 },
  },
  'swapped-obis': {
    number: 62,
    what: '06 09 for 09 06 before the OBIS codes of a pushed list',
    client: 'model field push_swapped_obis: turned round where the octets make no sense as they are',
    push: {
      list: (described) => ({
        type: 'structure',
        value: namesOf(described).flatMap(([name, value]) => [{ type: 'octet-string', value: name }, value]),
      }),
      apdu: (octets) => {
        const changed = octets.slice();
        for (let at = 0; at + 8 <= changed.length; at++) {
          if (changed[at] !== 9 || changed[at + 1] !== 6 || changed[at + 7] !== 255) continue;
          changed[at] = 6;
          changed[at + 1] = 9;
        }
        return changed;
      },
    },
  },
  'list-without-obis': {
    number: 62,
    what: 'a pushed list of bare values',
    client: 'model field push_lists tells their order',
    push: {
      list: (described) => ({ type: 'structure', value: namesOf(described).map(([, value]) => value) }),
    },
  },
  'alarm-push': {
    number: 96,
    what: 'a pushed list of push setup, equipment id and alarm word, without OBIS codes for the two',
    client: 'every element is shown in its order; the push setup names nothing but the list',
    push: {
      list: () =>
        structure(
          { type: 'octet-string', value: Uint8Array.of(0, 0, 25, 9, 0, 255) },
          { type: 'octet-string', value: Buffer.from('SIM10200') },
          { type: 'double-long-unsigned', value: 0x400 },
        ),
    },
  },
  'tagged-push-time': {
    number: 96,
    what: 'the date-time of a push carries its tag (09 0C)',
    client: 'reads it',
    push: {
      apdu: (apdu) =>
        concat([
          apdu.subarray(0, 5),
          Uint8Array.of(0x09, 0x0c),
          dateTimeOctets(millis(Date.UTC(2026, 10, 24))),
          apdu.subarray(6),
        ]),
    },
  },
  'encrypted-push': {
    number: 96,
    what: 'general-glo with encryption only (control 21), suite 1',
    client: 'read where --security encrypted and the suite say so, and not called authentic; refused by name otherwise',
    push: { protection: { policy: 'encrypted', suite: 1 } },
  },
  'cut-push': {
    number: 96,
    what: 'every second list is cut in the middle',
    client: 'says that a frame came cut, and reads the next list',
    transmit: onFrame(
      (_, octets, memory) => one(count(memory, 'lists') % 2 === 1 ? octets.subarray(0, octets.length >> 1) : octets),
      'UI',
    ),
    push: { maxInfo: 1024 },
  },
  'mbus-push': {
    number: 96,
    what: 'lists come in long frames of M-Bus (68 L L 68), several of them where one is too short',
    client: 'puts the frames together and reads the list; who sends is the address of the M-Bus',
    transmit: onFrame((frame) => one(longFrames(frame.information.subarray(llcOctets))), 'UI'),
    push: { maxInfo: 1024 },
  },
} as const satisfies Record<string, Quirk>;
