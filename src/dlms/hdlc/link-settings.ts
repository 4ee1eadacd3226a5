/** What an HDLC link is set up with, is asked for, tells, and waits for. */
import type { Failure } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import type { Timers } from '../../base/timers.ts';
import type { HdlcAddress, LinkParameters } from './frame.ts';

export interface LinkSettings {
  readonly role: 'client' | 'server';
  readonly own: HdlcAddress;
  /** The client knows its peer; the server learns it from each SNRM. */
  readonly peer?: HdlcAddress;
  /** The server takes frames for any of these addresses; default: `own` only. It answers from the one that was called. */
  readonly accepts?: (destination: HdlcAddress) => boolean;
  /** The most that our side can do; the peer may allow less. */
  readonly parameters: LinkParameters;
  /** Client: time for the first octet of an answer, beyond the time the request needs on the wire. */
  readonly answerTimeoutMs: number;
  /** Silence that ends a damaged or unfinished frame. */
  readonly quietMs: number;
  readonly retries: number;
  /** Time of one octet on the wire (10 bits); 0 on TCP. */
  readonly octetMs: number;
  /** Server: silence after which the connection is forgotten. */
  readonly inactivityMs: number;
  /** The longest information field after reassembly, octets. */
  readonly reassemblyLimit: number;
  /** Client: SNRM carries its parameters even where they are the defaults (meter-quirks 19). */
  readonly explicitParameters?: boolean;
  /** Client: N(S) of the server stands still at 0 (meter-quirks 22); repeated frames look like new ones. */
  readonly pinnedSequence?: boolean;
}

export type LinkRequest =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly information: Uint8Array }
  | { readonly kind: 'disconnect' };
export type LinkEvent =
  | { readonly kind: 'connected'; readonly parameters: LinkParameters; readonly peer: HdlcAddress }
  | { readonly kind: 'information'; readonly information: Uint8Array }
  | { readonly kind: 'unnumbered-information'; readonly information: Uint8Array; readonly source: HdlcAddress }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'failed'; readonly error: Failure };

/**
 * What a link waits for. The client: an answer, and to ask again after a pause (poll). The server: to return by `poll` the turn
 * that nobody took, and any frame of its client (inactivity). Both: the end of a frame that has begun or came damaged (quiet).
 */
export type LinkTimers = Timers<'answer' | 'poll' | 'quiet' | 'inactivity'>;

/** A meter that answers without bringing us further is asked again after a pause; each pause is twice the one before. */
export const pauseMs = (before: number): number => Math.min(1000, 100 * 2 ** before);

/** Frames in a row that bring us no further; a whole window that comes again at each of our tries is below this. */
export const fruitlessLimit = 64;

/** Why a link fails. */
export type LinkFault =
  | 'link-disconnected'
  | 'frame-rejected'
  | 'no-answer'
  | 'echo-only'
  | 'damaged-answer'
  | 'answer-stalled'
  | 'answer-too-long';

/** Octets that damage takes from a frame; one that lacks more is still on its way. */
const lostOctets = 8;
/** A converter that waits for a lost packet, a machine that stands still: they hold a frame up for longer than a meter does. */
const heldUp = 4;
/** Flag, length, addresses, control and check: before that nobody knows what a frame lacks. */
const headerOctets = 12;
/** What is left of the patience with a frame of which so much is there; undefined where it only begins. */
export const patienceLeftMs = (until: Millis | undefined, there: number, now: Millis): number | undefined =>
  until === undefined || there < headerOctets ? undefined : until - now;
/** Silence after which a frame that lacks so many octets does not go on. It is held up once: an octet a second would be waited for without an end. */
export const silenceMs = ({ role, quietMs }: LinkSettings, missing: number, leftMs: number | undefined): number =>
  role === 'client' && missing > lostOctets && (leftMs === undefined || leftMs >= quietMs * (heldUp - 1))
    ? quietMs * heldUp
    : quietMs;
