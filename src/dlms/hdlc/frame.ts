/**
 * HDLC frame format type 3 (Green Book 8.4; ISO/IEC 13239 H.4.1):
 * flag | format and length (2) | destination (1, 2, 4) | source (1, 2, 4) | control (1) | HCS (2) | information | FCS (2) | flag
 * A frame without information has no HCS: the FCS stands in its place.
 */
import { Reader, Writer } from '../../base/cursor.ts';
import { CodecError } from '../../base/errors.ts';
import { fcs16 } from './fcs.ts';

/** Upper address: logical device. Lower address: physical device, absent in one-octet addressing. */
export interface HdlcAddress {
  readonly logical: number;
  readonly physical?: number;
  readonly size: 1 | 2 | 4;
}

export type Control =
  | { readonly kind: 'I'; readonly ns: number; readonly nr: number; readonly pollFinal: boolean }
  | { readonly kind: 'RR' | 'RNR'; readonly nr: number; readonly pollFinal: boolean }
  | { readonly kind: 'SNRM' | 'DISC' | 'UA' | 'DM' | 'FRMR' | 'UI'; readonly pollFinal: boolean }
  | { readonly kind: 'unknown'; readonly octet: number; readonly pollFinal: boolean };
export type ControlOf<Kind extends Control['kind']> = Control & { readonly kind: Kind };

export interface Frame {
  readonly destination: HdlcAddress;
  readonly source: HdlcAddress;
  readonly control: Control;
  readonly segmented: boolean;
  readonly information: Uint8Array;
}

const unnumbered = { SNRM: 0x83, DISC: 0x43, UA: 0x63, DM: 0x0f, FRMR: 0x87, UI: 0x03 } as const;
const unnumberedByOctet = new Map<number, keyof typeof unnumbered>(
  Object.entries(unnumbered).map(([kind, octet]) => [octet, kind as keyof typeof unnumbered]),
);

export function controlOctet(control: Control): number {
  const poll = control.pollFinal ? 0x10 : 0;
  switch (control.kind) {
    case 'I':
      return (control.nr << 5) | poll | (control.ns << 1);
    case 'RR':
      return (control.nr << 5) | poll | 0x01;
    case 'RNR':
      return (control.nr << 5) | poll | 0x05;
    case 'unknown':
      return control.octet;
    default:
      return unnumbered[control.kind] | poll;
  }
}

export function parseControl(octet: number): Control {
  const pollFinal = (octet & 0x10) !== 0;
  if ((octet & 1) === 0) return { kind: 'I', ns: (octet >> 1) & 7, nr: octet >> 5, pollFinal };
  if ((octet & 0x0f) === 0x01) return { kind: 'RR', nr: octet >> 5, pollFinal };
  if ((octet & 0x0f) === 0x05) return { kind: 'RNR', nr: octet >> 5, pollFinal };
  const kind = unnumberedByOctet.get(octet & 0xef);
  return kind ? { kind, pollFinal } : { kind: 'unknown', octet, pollFinal };
}

/** Octets of an address from `at`: the first with bit 0 set ends it. 0 when the octets end before, -1 when too long. */
function addressSize(octets: Uint8Array, at: number, end: number): number {
  for (let size = 1; size <= 4; size++) {
    if (at + size > end) return 0;
    if (((octets[at + size - 1] as number) & 1) === 1) return size === 3 ? -1 : size;
  }
  return -1;
}

function parseAddress(octets: Uint8Array, at: number, size: number): HdlcAddress {
  const part = (i: number) => (octets[at + i] as number) >> 1;
  if (size === 1) return { logical: part(0), size: 1 };
  if (size === 2) return { logical: part(0), physical: part(1), size: 2 };
  return { logical: (part(0) << 7) | part(1), physical: (part(2) << 7) | part(3), size: 4 };
}

function writeAddress(w: Writer, address: HdlcAddress): void {
  const { logical, physical = 0, size } = address;
  const limit = size === 4 ? 0x3fff : 0x7f;
  if (logical > limit || physical > limit) throw new RangeError(`address ${logical}/${physical} in ${size} octets`);
  if (size === 1) w.u8((logical << 1) | 1);
  else if (size === 2) {
    w.u8(logical << 1);
    w.u8((physical << 1) | 1);
  } else {
    w.u8((logical >> 7) << 1);
    w.u8((logical & 0x7f) << 1);
    w.u8((physical >> 7) << 1);
    w.u8(((physical & 0x7f) << 1) | 1);
  }
}

/** The smallest size that holds an address (Green Book 8.4.2.3). */
export function serverAddress(logical: number, physical?: number, size?: 1 | 2 | 4): HdlcAddress {
  const needed = logical > 0x7f || (physical ?? 0) > 0x7f ? 4 : physical === undefined ? 1 : 2;
  const chosen = size ?? needed;
  return chosen === 1 ? { logical, size: 1 } : { logical, physical: physical ?? 0, size: chosen };
}

/** `logical` or `logical/physical`, as people and options write it. */
export const addressText = ({ logical, physical }: HdlcAddress): string =>
  physical === undefined ? `${logical}` : `${logical}/${physical}`;

/** Compares values, not octets: meters answer two-octet addresses with four and the reverse (meter-quirks 13). */
export function sameAddress(a: HdlcAddress, b: HdlcAddress): boolean {
  return a.logical === b.logical && (a.physical ?? b.physical ?? 0) === (b.physical ?? a.physical ?? 0);
}

/**
 * All physical devices of a line at once (Green Book 8.4.2.3): the one with that logical address answers, from its own. To all
 * logical devices (upper address 7F, 3FFF) nobody answers.
 */
export const callsAllPhysical = ({ physical, size }: HdlcAddress): boolean =>
  size > 1 && physical === (size === 4 ? 0x3fff : 0x7f);
/** The address that was called, as the one called writes it in its answer: in as many octets, never that of all. */
export function answeringAddress(called: HdlcAddress, own: HdlcAddress): HdlcAddress {
  if (!callsAllPhysical(called)) return called;
  const { physical = 0 } = own;
  return { ...called, physical, size: physical > 0x7f ? 4 : called.size };
}

export function encodeFrame(frame: Frame): Uint8Array {
  const w = new Writer(frame.information.length + 20);
  w.u8(0x7e);
  w.u16(0);
  writeAddress(w, frame.destination);
  writeAddress(w, frame.source);
  w.u8(controlOctet(frame.control));
  const header = w.length;
  const hasInformation = frame.information.length > 0;
  if (hasInformation) {
    w.u16(0);
    w.put(frame.information);
  }
  w.u16(0);
  const length = w.length - 1;
  if (length > 0x7ff) throw new RangeError(`frame of ${length} octets`);
  w.u8(0x7e);
  const octets = w.octets();
  octets[1] = 0xa0 | (frame.segmented ? 0x08 : 0) | (length >> 8);
  octets[2] = length & 0xff;
  const putCheck = (at: number) => {
    const check = fcs16(octets, 1, at);
    octets[at] = check & 0xff;
    octets[at + 1] = check >> 8;
  };
  if (hasInformation) putCheck(header);
  putCheck(length - 1);
  return octets;
}

/** The information field of FRMR: the control octet that is rejected, V(S) and V(R), and W, for it is unknown. */
export const rejection = (octet: number, vs: number, vr: number): Uint8Array =>
  Uint8Array.of(octet, (vr << 5) | (vs << 1), 0x01);

function checkAt(octets: Uint8Array, start: number, at: number): boolean {
  const check = fcs16(octets, start, at);
  return octets[at] === (check & 0xff) && octets[at + 1] === check >> 8;
}

const nothing = new Uint8Array(0);
/** What stands at a flag: a whole frame, a piece of one, or nothing of the kind. `at` is the octet after the flag. */
export type Cut =
  | { readonly is: 'frame'; readonly frame: Frame; readonly next: number }
  | { readonly is: 'partial'; readonly missing: number }
  | { readonly is: 'damaged'; readonly why: string };

/**
 * Cuts one frame by its length field (0x7E occurs inside valid frames, meter-quirks 1). The header check is verified as
 * soon as the header is complete, so that a damaged length does not make us wait for octets that never come.
 */
export function cutFrame(octets: Uint8Array, at: number, end: number): Cut {
  if (at >= end) return { is: 'partial', missing: 7 };
  const first = octets[at] as number;
  if ((first & 0xf0) !== 0xa0) return { is: 'damaged', why: 'no frame format type 3' };
  if (at + 1 >= end) return { is: 'partial', missing: 6 };
  const length = ((first & 7) << 8) | (octets[at + 1] as number);
  if (length < 7) return { is: 'damaged', why: `length field says ${length}` };
  const tail = at + length - 2;
  const destinationSize = addressSize(octets, at + 2, Math.min(end, tail));
  if (destinationSize < 0) return { is: 'damaged', why: 'destination address' };
  const sourceSize = destinationSize === 0 ? 0 : addressSize(octets, at + 2 + destinationSize, Math.min(end, tail));
  if (sourceSize < 0) return { is: 'damaged', why: 'source address' };
  if (destinationSize === 0 || sourceSize === 0) {
    if (end >= tail) return { is: 'damaged', why: 'addresses longer than the frame' };
    return { is: 'partial', missing: at + length + 1 - end };
  }
  const controlAt = at + 2 + destinationSize + sourceSize;
  const informationAt = controlAt + 3;
  const bare = controlAt + 1 === tail;
  if (!bare && informationAt > tail) return { is: 'damaged', why: 'header longer than the frame' };
  if (!bare && end >= informationAt && !checkAt(octets, at, controlAt + 1)) return { is: 'damaged', why: 'HCS' };
  if (end < at + length + 1) return { is: 'partial', missing: at + length + 1 - end };
  if (!checkAt(octets, at, tail)) return { is: 'damaged', why: 'FCS' };
  if (octets[at + length] !== 0x7e) return { is: 'damaged', why: 'closing flag' };
  const frame: Frame = {
    destination: parseAddress(octets, at + 2, destinationSize),
    source: parseAddress(octets, at + 2 + destinationSize, sourceSize),
    control: parseControl(octets[controlAt] as number),
    segmented: (first & 0x08) !== 0,
    information: bare ? nothing : octets.subarray(informationAt, tail),
  };
  return { is: 'frame', frame, next: at + length };
}

/** Parameters of SNRM and UA (Green Book 8.4.5.3.2). Seen from the side that sends them. */
export interface LinkParameters {
  readonly maxInfoTransmit: number;
  readonly maxInfoReceive: number;
  readonly windowTransmit: number;
  readonly windowReceive: number;
}
export const defaultParameters: LinkParameters = {
  maxInfoTransmit: 128,
  maxInfoReceive: 128,
  windowTransmit: 1,
  windowReceive: 1,
};
const parameterIds = [
  [0x05, 'maxInfoTransmit'],
  [0x06, 'maxInfoReceive'],
  [0x07, 'windowTransmit'],
  [0x08, 'windowReceive'],
] as const;

export function encodeParameters(parameters: LinkParameters): Uint8Array {
  const group = new Writer();
  for (const [id, name] of parameterIds) {
    const value = parameters[name];
    group.u8(id);
    if (name.startsWith('window')) {
      group.u8(4);
      group.u32(value);
    } else if (value < 256) {
      group.u8(1);
      group.u8(value);
    } else {
      group.u8(2);
      group.u16(value);
    }
  }
  const w = new Writer();
  w.u8(0x81);
  w.u8(0x80);
  w.u8(group.length);
  w.put(group.octets());
  return w.octets();
}

/** Accepts values of 1 to 4 octets (meter-quirks 17), unknown parameters and other groups; absent ones are defaults. */
export function parseParameters(information: Uint8Array): LinkParameters {
  const parameters: { -readonly [K in keyof LinkParameters]: number } = { ...defaultParameters };
  if (information.length === 0) return parameters;
  const r = new Reader(information);
  if (r.u8() !== 0x81) throw new CodecError('format identifier 0x81 expected', 0);
  while (r.remaining > 0) {
    const groupId = r.u8();
    const group = new Reader(r.take(r.u8()));
    if (groupId !== 0x80) continue;
    while (group.remaining > 0) {
      const id = group.u8();
      let value = 0;
      for (const octet of group.take(group.u8())) value = value * 256 + octet;
      const name = parameterIds.find(([known]) => known === id)?.[1];
      if (name) parameters[name] = value;
    }
  }
  // Limits outside the standard (8.4.5.3.2) are brought inside, not refused: the peer may be odd, the line must work.
  const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
  return {
    maxInfoTransmit: clamp(parameters.maxInfoTransmit, 32, 2030),
    maxInfoReceive: clamp(parameters.maxInfoReceive, 32, 2030),
    windowTransmit: clamp(parameters.windowTransmit, 1, 7),
    windowReceive: clamp(parameters.windowReceive, 1, 7),
  };
}

/** The information field of SNRM. Parameters that are all as by default are left out, unless the meter must have them. */
export function proposal(own: LinkParameters, explicit: boolean): Uint8Array {
  const defaults = parameterIds.every(([, name]) => own[name] === defaultParameters[name]);
  return defaults && !explicit ? nothing : encodeParameters(own);
}

/**
 * What both sides can do, by the information field of the peer's SNRM or UA. The peer's transmit limit is our receive limit
 * (meter-quirks 20). What cannot be read limits nothing beyond the defaults, which every station takes.
 */
export function negotiate(own: LinkParameters, information: Uint8Array): LinkParameters {
  let theirs = defaultParameters;
  try {
    theirs = parseParameters(information);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
  }
  return {
    maxInfoTransmit: Math.min(own.maxInfoTransmit, theirs.maxInfoReceive),
    maxInfoReceive: Math.min(own.maxInfoReceive, theirs.maxInfoTransmit),
    windowTransmit: Math.min(own.windowTransmit, theirs.windowReceive),
    windowReceive: Math.min(own.windowReceive, theirs.windowTransmit),
  };
}
