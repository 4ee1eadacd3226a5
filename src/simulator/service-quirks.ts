/** What meters mishandle of lists, of requests in several frames, and of single objects (86 to 88, 95). */
import { encodeFrame } from '../dlms/hdlc/frame.ts';
import { frameOf, hangsAt, isListRequest, one, onFrame, type Quirk, replaced } from './quirk.ts';

export const serviceQuirks = {
  'list-malformed': {
    number: 86,
    what: 'a list is answered C4 03 C3 01 03',
    client: 'single GETs in the same session, and remembered',
    answer: (apdu, request) =>
      isListRequest(request) ? Uint8Array.of(0xc4, 0x03, request[2] as number, 0x01, 0x03) : apdu,
  },
  'list-answered-as-one': {
    number: 86,
    what: 'a list is answered as a single GET, with a refusal',
    client: 'single GETs in the same session, and remembered',
    answer: (apdu, request) =>
      isListRequest(request) ? Uint8Array.of(0xc4, 0x01, request[2] as number, 0x01, 0x03) : apdu,
  },
  'list-without-choice': {
    number: 86,
    what: 'results of a list without their choice octet',
    client: 'single GETs in the same session, and remembered',
    answer: (apdu, request) =>
      isListRequest(request) && apdu[0] === 0xc4 ? replaced(apdu, [0x00, 0x09], [0x09]) : apdu,
  },
  'list-wraps-clock': {
    number: 86,
    what: 'the clock is wrapped twice in a list (09 0E 09 0C)',
    client: 'the clock alone, and single GETs from then on',
    answer: (apdu, request) =>
      isListRequest(request) ? replaced(apdu, [0x09, 0x0c, 0x07], [0x09, 0x0e, 0x09, 0x0c, 0x07]) : apdu,
  },
  'list-exception': {
    number: 86,
    what: 'a list is answered by an exception',
    client: 'single GETs in the same session, and remembered',
    answer: (apdu, request) => (isListRequest(request) ? Uint8Array.of(0xd8, 2, 2) : apdu),
  },
  'list-ignored': {
    number: 86,
    what: 'a list is not answered; the link stands',
    client: 'the session opens anew once, single GETs, remembered',
    answer: (apdu, request) => (isListRequest(request) ? undefined : apdu),
  },
  'list-hangs-up': {
    number: 86,
    what: 'a list ends the connection: nothing is answered until it is opened anew',
    client: 'the session opens anew once, single GETs, remembered',
    ...hangsAt(isListRequest),
  },
  'one-frame-requests': {
    number: 87,
    what: 'requests that go over several frames are ignored, although a window is announced',
    client: 'a list is never longer than a frame, and requests go with window 1',
    accepts: (octets) => frameOf(octets)?.segmented !== true,
  },
  'window-lost': {
    number: 87,
    what: 'of several frames in one window only the last one arrives',
    client: 'answer-stalled; the daemon goes on with window 1, and remembers it',
    transmit: onFrame((frame, octets) => (frame.control.pollFinal ? one(octets) : []), 'I'),
  },
  'long-frames-lost': {
    number: 87,
    what: 'frames of more than 128 octets of information never arrive, although 1024 are announced',
    client: 'fell-silent; the daemon goes on with frames of 128, and remembers it',
    transmit: onFrame((frame, octets) => (frame.information.length > 128 ? [] : one(octets)), 'I'),
  },
  'numbers-jump': {
    number: 88,
    what: 'N(S) of a second segment jumps ahead, and RR is answered by RR without end',
    client: 'answer-stalled, a fault of the meter, after a few polls with pauses',
    transmit: onFrame((frame) => {
      const { control } = frame;
      if (control.kind !== 'I' || frame.segmented || frame.information[0] === 0xe6) return one(encodeFrame(frame));
      return one(encodeFrame({ ...frame, control: { ...control, ns: (control.ns + 1) & 7 } }));
    }, 'I'),
  },
  'switch-hangs-up': {
    number: 95,
    what: 'asking for the switch ends the connection',
    client: 'identity alone, and remembered',
    ...hangsAt((request) => Buffer.from(request).includes(Buffer.of(0, 70, 0, 0, 96, 3, 10))),
  },
} as const satisfies Record<string, Quirk>;
