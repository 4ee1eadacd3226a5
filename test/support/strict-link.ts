/** What stands on the line, frame by frame: addresses octet by octet, numbers, windows, lengths. What comes out are APDUs. */
import { fcs16 } from '../../src/dlms/hdlc/fcs.ts';
import { Octets, Strictness } from './strict-octets.ts';

export interface Spoken {
  readonly from: 'client' | 'meter';
  readonly octets: Uint8Array;
}
/** An APDU, whose, and the client that it came from or went to. */
export interface SpokenApdu {
  readonly from: Spoken['from'];
  readonly octets: Uint8Array;
  /** The meter sent it unasked. */
  readonly unasked?: true;
}
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
const same = (a: Uint8Array, b: Uint8Array): boolean => hex(a) === hex(b);

interface StrictFrame {
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  readonly control: number;
  readonly segmented: boolean;
  readonly information: Uint8Array;
}
const address = (o: Octets): Uint8Array => {
  for (let size = 1; size <= 4; size++) {
    if (((o.all[o.at + size - 1] ?? 0) & 1) === 0) continue;
    if (size === 3) break;
    return o.take(size);
  }
  return o.fail('an address of 1, 2 or 4 octets');
};
/** One frame from flag to flag. */
function frame(octets: Uint8Array): StrictFrame {
  const check = (end: number, what: string) => {
    const right = fcs16(octets, 1, end);
    if (octets[end] !== (right & 0xff) || octets[end + 1] !== right >> 8) throw new Strictness(`${what} is wrong`);
  };
  const o = new Octets(octets);
  o.expect(0x7e, 'opening flag');
  const format = o.number(2);
  if (format >> 12 !== 0xa) o.fail('frame format type 3');
  if ((format & 0x7ff) !== octets.length - 2) o.fail(`length ${format & 0x7ff} of a frame of ${octets.length - 2}`);
  const destination = address(o);
  const source = address(o);
  const control = o.u8();
  const header = o.at;
  const bare = o.left === 3;
  if (!bare) check(header, 'HCS');
  if (!bare) o.take(2);
  const information = bare ? new Uint8Array(0) : o.take(o.left - 3);
  if (!bare && information.length === 0) o.fail('HCS of a frame without information');
  check(o.at, 'FCS');
  return { destination, source, control, segmented: (format & 0x800) !== 0, information };
}
/** The frames of one direction; octets come in pieces, and one flag may stand between two frames. */
function framesOf(octets: Uint8Array): { frames: Uint8Array[]; rest: Uint8Array } {
  const frames: Uint8Array[] = [];
  let at = 0;
  while (octets.length - at >= 3) {
    if (octets[at] !== 0x7e) throw new Strictness(`octets between frames: ${hex(octets.subarray(at, at + 8))}`);
    const length = (((octets[at + 1] as number) & 7) << 8) | (octets[at + 2] as number);
    if (octets.length - at < length + 2) break;
    frames.push(octets.subarray(at, at + length + 2));
    at += length + 2;
  }
  return { frames, rest: octets.slice(at) };
}

interface Limits {
  infoTransmit: number;
  infoReceive: number;
  windowTransmit: number;
  windowReceive: number;
}
const usual: Limits = { infoTransmit: 128, infoReceive: 128, windowTransmit: 1, windowReceive: 1 };
const parameterNames = { 5: 'infoTransmit', 6: 'infoReceive', 7: 'windowTransmit', 8: 'windowReceive' } as const;
/** Parameters of SNRM or UA (Green Book 8.4.5.3.2): in order, each once, each on as many octets as it has. */
function limitsOf(information: Uint8Array): Limits {
  const limits = { ...usual };
  if (information.length === 0) return limits;
  const o = new Octets(information);
  o.expect(0x81, 'format identifier');
  o.expect(0x80, 'group identifier');
  if (o.u8() !== o.left) o.fail('group length');
  let before = 0;
  while (o.left > 0) {
    const id = o.u8();
    const size = o.u8();
    const value = o.number(size);
    const name = parameterNames[id as 5];
    if (name === undefined || id <= before) o.fail(`parameter ${id}`);
    if (id >= 7 ? size !== 4 : size !== (value > 255 ? 2 : 1)) o.fail(`parameter ${id} on ${size} octets`);
    const [low, high] = id >= 7 ? [1, 7] : [32, 2030];
    if (value < low || value > high) o.fail(`parameter ${id} is ${value}`);
    limits[name] = value;
    before = id;
  }
  return limits;
}

const poll = 0x10;
const snrm = 0x83;
const disc = 0x43;
const ua = 0x63;
const dm = 0x0f;
const frmr = 0x87;
const ui = 0x03;
const isInformation = (control: number): boolean => (control & 1) === 0;
const isSupervisory = (control: number): boolean => (control & 3) === 1;

/** An HDLC line with one client and one meter that speaks when it is asked. */
export class StrictHdlc {
  private asked: StrictFrame | undefined;
  private proposed: Limits = usual;
  private limits: Limits = usual;
  private clientSent = 0;
  private meterSent = 0;
  private burst = 0;
  private readonly rest: Record<Spoken['from'], Uint8Array> = { client: new Uint8Array(0), meter: new Uint8Array(0) };
  private readonly parts: Record<Spoken['from'] | 'ui', Uint8Array[]> = { client: [], meter: [], ui: [] };
  private readonly apdus: SpokenApdu[] = [];

  take({ from, octets }: Spoken): SpokenApdu[] {
    const { frames, rest } = framesOf(Buffer.concat([this.rest[from], octets]));
    this.rest[from] = rest;
    for (const one of frames) {
      if (from === 'client') this.request(frame(one));
      else this.answer(frame(one));
    }
    return this.apdus.splice(0);
  }
  /** Nothing may be half said at the end. */
  end(): void {
    if (this.rest.meter.length > 0) throw new Strictness(`a frame that does not end: ${hex(this.rest.meter)}`);
    if (this.parts.meter.length > 0) throw new Strictness('segments without a last one');
    if (this.asked) throw new Strictness('a poll without an answer');
  }

  private request(one: StrictFrame): void {
    if (this.asked) throw new Strictness('the client asked again: it was not answered');
    const kind = one.control & ~poll;
    if (kind === snrm) this.proposed = limitsOf(one.information);
    if (isInformation(one.control)) {
      this.clientSent = (this.clientSent + 1) & 7;
      this.information('client', one);
    }
    if ((one.control & poll) !== 0) this.asked = one;
    this.burst = 0;
  }

  private answer(one: StrictFrame): void {
    const { asked } = this;
    const kind = one.control & ~poll;
    if (kind === ui) {
      if ((one.control & poll) !== 0) throw new Strictness('UI with the final bit');
      this.parts.ui.push(one.information);
      if (!one.segmented) this.deliver('meter', this.parts.ui.splice(0), true);
      return;
    }
    if (!asked) throw new Strictness(`the meter speaks without being asked: control ${one.control.toString(16)}`);
    if (!same(one.source, asked.destination))
      throw new Strictness(`called ${hex(asked.destination)}, answered from ${hex(one.source)}`);
    if (!same(one.destination, asked.source))
      throw new Strictness(`asked from ${hex(asked.source)}, answered to ${hex(one.destination)}`);
    this.fits(asked.control & ~poll, kind, one);
    if (isInformation(one.control)) this.numbered(one);
    else if (isSupervisory(one.control)) this.acknowledged(one.control);
    if ((one.control & poll) !== 0) this.asked = undefined;
    else if (!isInformation(one.control)) throw new Strictness('an answer without the final bit');
  }

  private fits(asked: number, kind: number, one: StrictFrame): void {
    if (one.segmented && !isInformation(kind)) throw new Strictness('a segment that is no I frame');
    if (asked === snrm) {
      if (kind === dm) return;
      if (kind !== ua) throw new Strictness(`SNRM answered by ${kind.toString(16)}`);
      const agreed = limitsOf(one.information);
      const { proposed } = this;
      // Each side's transmit is the other's receive.
      if (agreed.infoTransmit > proposed.infoReceive || agreed.infoReceive > proposed.infoTransmit)
        throw new Strictness('UA with a longer information field than proposed');
      if (agreed.windowTransmit > proposed.windowReceive || agreed.windowReceive > proposed.windowTransmit)
        throw new Strictness('UA with a larger window than proposed');
      this.limits = agreed;
      this.clientSent = this.meterSent = 0;
      return;
    }
    if (asked === disc) {
      if (kind !== ua && kind !== dm) throw new Strictness(`DISC answered by ${kind.toString(16)}`);
      if (one.information.length > 0) throw new Strictness('DISC answered with information');
      return;
    }
    if (kind === ua) throw new Strictness('UA in answer to neither SNRM nor DISC');
    if (kind === frmr && one.information.length !== 3) throw new Strictness('FRMR without its three octets');
  }
  private acknowledged(control: number): void {
    if (control >> 5 !== this.clientSent)
      throw new Strictness(`N(R) ${control >> 5}, the client sent up to ${this.clientSent}`);
  }
  private numbered(one: StrictFrame): void {
    const ns = (one.control >> 1) & 7;
    if (ns !== this.meterSent) throw new Strictness(`N(S) ${ns} where ${this.meterSent} comes next`);
    this.acknowledged(one.control);
    this.meterSent = (this.meterSent + 1) & 7;
    if (++this.burst > this.limits.windowTransmit) throw new Strictness('more frames than the window');
    if (one.information.length > this.limits.infoTransmit) throw new Strictness('more information than agreed');
    if (one.information.length === 0) throw new Strictness('an I frame without information');
    this.information('meter', one);
  }
  private information(from: Spoken['from'], one: StrictFrame): void {
    this.parts[from].push(one.information);
    if (!one.segmented) this.deliver(from, this.parts[from].splice(0));
  }
  private deliver(from: Spoken['from'], parts: readonly Uint8Array[], unasked = false): void {
    const o = new Octets(Buffer.concat(parts));
    for (const octet of [0xe6, from === 'client' ? 0xe6 : 0xe7, 0]) o.expect(octet, `LLC of the ${from}`);
    this.apdus.push({ from, octets: o.take(o.left), ...(unasked && { unasked }) });
  }
}

/** The wrapper on one TCP connection: ports turned round, lengths exact. */
export class StrictWrapper {
  private asked: { readonly source: number; readonly destination: number } | undefined;
  private readonly rest: Record<Spoken['from'], Uint8Array> = { client: new Uint8Array(0), meter: new Uint8Array(0) };

  take({ from, octets }: Spoken): SpokenApdu[] {
    const o = new Octets(Buffer.concat([this.rest[from], octets]));
    const apdus: SpokenApdu[] = [];
    while (o.left >= 8) {
      const start = o.at;
      if (o.number(2) !== 1) o.fail('wrapper version 1');
      const [source, destination, length] = [o.number(2), o.number(2), o.number(2)];
      if (o.left < length) {
        o.at = start;
        break;
      }
      const apdu = o.take(length);
      const { asked } = this;
      if (from === 'client') this.asked = { source, destination };
      else if (asked && (asked.source !== destination || asked.destination !== source))
        throw new Strictness(`asked ${asked.source} → ${asked.destination}, answered ${source} → ${destination}`);
      apdus.push({ from, octets: apdu, ...(from === 'meter' && !asked && { unasked: true as const }) });
    }
    this.rest[from] = o.take(o.left).slice();
    return apdus;
  }
  end(): void {
    if (this.rest.meter.length > 0) throw new Strictness('a wrapper frame that does not end');
  }
}
