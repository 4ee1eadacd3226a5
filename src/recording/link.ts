/**
 * A link between two HDLC addresses, as somebody beside it hears it: which end is the client, what came again, what is
 * missing, and the information that became whole (Green Book 8.4).
 */
import { beginsList } from '../dlms/stack/notification.ts';
import { concat } from '../base/cursor.ts';
import { addressText, callsAllPhysical, type Frame, type HdlcAddress, sameAddress } from '../dlms/hdlc/frame.ts';
import { fillsHollow, type Incoming, nothingIncoming, takeFrame } from '../dlms/hdlc/incoming.ts';
import type { RecordedLine } from '../base/exchange-file.ts';

export type Direction = RecordedLine['direction'];
/** What a frame brought, beside itself. */
export interface Heard {
  readonly direction: Direction;
  /** The frame came before, or the frames before it are not there. */
  readonly notes: readonly string[];
  readonly problems: readonly string[];
  /** Information that became whole with it. */
  readonly information?: Uint8Array;
  /** The link was opened, or closed, by it. */
  readonly turned?: 'opened' | 'closed';
}

/** What one end sends. */
interface Way {
  readonly address: HdlcAddress;
  incoming: Incoming;
  /** The number that the first frame must have is known. */
  counted: boolean;
  /** The newest frame of each number. */
  readonly recent: Map<number, Uint8Array>;
  /** The beginning of what is coming was not heard. */
  torn: boolean;
  /** Parts of UI frames. */
  unnumbered: Uint8Array[];
}
const newWay = (address: HdlcAddress): Way => ({
  address,
  incoming: nothingIncoming(),
  counted: false,
  recent: new Map(),
  torn: false,
  unnumbered: [],
});
const isNumber = (a: HdlcAddress, b: HdlcAddress): boolean => a.logical === b.logical && a.physical === b.physical;
const sameOctets = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;
const llc = 0xe6;
/** LLC of a command, and of a response (Green Book 8.3.2). */
const commandLlc = 0xe6;
const responseLlc = 0xe7;
/** Parts of one APDU that are held, octets. */
const maxParts = 1 << 20;

/** Which way a frame goes, by what only a client or only a server does; undefined where the frame does not tell. */
function directionBy({ control, source, destination, information }: Frame, given: Direction): Direction | undefined {
  if (given !== 'unknown') return given;
  if (control.kind === 'SNRM' || control.kind === 'DISC') return 'to-meter';
  if (control.kind === 'UA' || control.kind === 'DM' || control.kind === 'FRMR') return 'from-meter';
  // What is numbered by nobody is sent unasked, some with both addresses exchanged.
  if (control.kind === 'UI') return 'from-meter';
  if (source.size > 1) return 'from-meter';
  if (destination.size > 1) return 'to-meter';
  if (information[0] !== llc) return undefined;
  if (information[1] === responseLlc) return 'from-meter';
  return information[1] === commandLlc ? 'to-meter' : undefined;
}

export class HeardLink {
  private ways: [Way, Way];
  private client: HdlcAddress | undefined;
  /** Client and meter may have one number: then only the direction tells them apart. */
  private readonly isOneNumber: boolean;

  constructor(first: Frame) {
    this.ways = [newWay(first.source), newWay(first.destination)];
    this.isOneNumber = isNumber(first.source, first.destination);
  }

  private wayOf(frame: Frame, direction: Direction): Way {
    if (this.isOneNumber) return direction === 'to-meter' ? this.ways[0] : this.ways[1];
    const found =
      this.ways.find(({ address }) => isNumber(address, frame.source)) ??
      this.ways.find((_, i) => isNumber((this.ways[1 - i] as Way).address, frame.destination)) ??
      this.ways.find(({ address }) => sameAddress(address, frame.source));
    if (found) return found;
    // Called as one of all, it answers from its own address.
    const own = newWay(frame.source);
    this.ways = isNumber(this.ways[0].address, frame.destination) ? [this.ways[0], own] : [this.ways[1], own];
    return own;
  }
  private directionOf(frame: Frame, given: Direction): Direction {
    const direction = directionBy(frame, given);
    if (direction !== undefined) this.client = direction === 'to-meter' ? frame.source : frame.destination;
    else if (!this.client || this.isOneNumber) return 'unknown';
    return direction ?? (isNumber(this.client, frame.source) ? 'to-meter' : 'from-meter');
  }
  private restart(): void {
    for (const way of this.ways) {
      way.incoming = nothingIncoming();
      way.counted = true;
      way.recent.clear();
      way.torn = false;
    }
  }

  private numbered(frame: Frame, way: Way, direction: Direction, ns: number): Omit<Heard, 'direction'> {
    const { incoming, recent } = way;
    if (!way.counted) {
      way.counted = true;
      incoming.vr = ns;
      way.torn = frame.information[0] !== llc;
    }
    const notes: string[] = [];
    const problems: string[] = [];
    if (ns !== incoming.vr && !fillsHollow(incoming, ns, frame)) {
      if (sameOctets(recent.get(ns), frame.information))
        return { notes: ['the same frame once more: it does not count'], problems };
      const missing = (ns - incoming.vr) & 7;
      problems.push(
        `frame S${ns} where S${incoming.vr} is expected: ${missing} ${missing === 1 ? 'frame is' : 'frames are'} missing, or 8 more`,
      );
      way.incoming = { ...nothingIncoming(), vr: ns };
      way.torn = frame.information[0] !== llc;
    }
    recent.set(ns, frame.information);
    const whole = takeFrame(way.incoming, frame, direction !== 'to-meter');
    if (way.incoming.octets > maxParts) {
      problems.push(`more than ${maxParts} octets in segments: they are left out`);
      way.incoming = { ...nothingIncoming(), vr: way.incoming.vr };
      way.torn = true;
    }
    if (whole === undefined) return { notes, problems };
    if (way.torn) {
      way.torn = false;
      return {
        notes,
        problems: [
          ...problems,
          `the beginning of this APDU is not in the recording: ${whole.length} octets are left out`,
        ],
      };
    }
    return { notes, problems, information: whole };
  }
  private unnumbered(frame: Frame, way: Way): Omit<Heard, 'direction'> {
    const { information: part } = frame;
    const problems: string[] = [];
    const octets = way.unnumbered.reduce((sum, { length }) => sum + length, 0);
    const anew = octets > 0 && beginsList(part);
    if (anew) problems.push(`a list begins anew: the ${octets} octets before are left out`);
    if (octets + part.length > maxParts) problems.push(`more than ${maxParts} octets in segments: they are left out`);
    if (anew || octets + part.length > maxParts) way.unnumbered = [];
    way.unnumbered.push(part);
    if (frame.segmented) return { notes: [], problems };
    const information = concat(way.unnumbered);
    way.unnumbered = [];
    return { notes: [], problems, information };
  }

  private ends(): { readonly caller: HdlcAddress; readonly server: HdlcAddress } {
    const [one, other] = this.ways.map((way) => way.address) as [HdlcAddress, HdlcAddress];
    const isOther = this.client ? isNumber(other, this.client) : other.size === 1 && one.size > 1;
    return isOther ? { caller: other, server: one } : { caller: one, server: other };
  }

  /** Whether the frame is of this link, by the very numbers. */
  isOf({ source, destination }: Frame): boolean {
    const { caller, server } = this.ends();
    if (isNumber(caller, source) && isNumber(server, destination)) return true;
    return isNumber(server, source) && isNumber(caller, destination);
  }
  /** The same where a meter writes its number in another way, or was called as one of all and answers from its own. */
  mayBeOf({ source, destination }: Frame): boolean {
    const { caller, server } = this.ends();
    if (isNumber(caller, source)) return sameAddress(server, destination);
    if (!isNumber(caller, destination)) return false;
    return sameAddress(server, source) || (callsAllPhysical(server) && source.logical === server.logical);
  }
  hear(frame: Frame, given: Direction): Heard {
    const direction = this.directionOf(frame, given);
    const way = this.wayOf(frame, direction);
    const { control } = frame;
    switch (control.kind) {
      case 'I':
        return { direction, ...this.numbered(frame, way, direction, control.ns) };
      case 'UI':
        return { direction, ...this.unnumbered(frame, way) };
      case 'SNRM':
        this.restart();
        return { direction, notes: [], problems: [], turned: 'opened' };
      case 'UA':
        this.restart();
        return { direction, notes: [], problems: [] };
      case 'DISC':
      case 'DM':
        return { direction, notes: [], problems: [], turned: 'closed' };
      default:
        return { direction, notes: [], problems: [] };
    }
  }
  /** Address of the meter; of the end that was called first where the recording does not tell. */
  meter(): string {
    return addressText(this.ends().server);
  }
  /** Octets of information that never became whole. */
  unfinished(): number {
    const parts = this.ways.flatMap((way) => way.unnumbered);
    return [...this.ways.map(({ incoming }) => incoming.octets), ...parts.map(({ length }) => length)].reduce(
      (a, b) => a + b,
      0,
    );
  }
}
