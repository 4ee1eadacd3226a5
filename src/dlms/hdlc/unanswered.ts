/** Why a link got no answer that it could use: whoever reads it must know where to look, at the wires, the address or the meter. */
import type { Deframer } from './deframer.ts';
import { addressText, type Frame, type HdlcAddress, sameAddress } from './frame.ts';

/** What was heard beside the answer since the first try of a question. */
export interface Heard {
  /** Our own frames that came back, from an adapter that hears itself. */
  echoes: number;
  /** Who said something to whom: another meter of the line, ours at another address, or ours to another client. */
  stranger: string | undefined;
  /** What the deframer had counted at that time. */
  readonly damaged: number;
  readonly dropped: number;
}
type Counts = Pick<Deframer, 'damaged' | 'dropped' | 'pending' | 'lastDamage'>;
export const heardNothing = ({ damaged, dropped }: Pick<Counts, 'damaged' | 'dropped'>): Heard => ({
  echoes: 0,
  stranger: undefined,
  damaged,
  dropped,
});

/** Client: whether a frame is of our meter, and for us; what else it is, is noted. */
export function isAnswer(
  { destination, source }: Frame,
  { own, peer }: { readonly own: HdlcAddress; readonly peer: HdlcAddress },
  isForUs: boolean,
  heard: Heard,
): boolean {
  const isOfPeer = sameAddress(source, peer);
  if (isForUs && !isOfPeer) heard.stranger = `of ${addressText(source)}`;
  if (!isForUs && sameAddress(source, own)) heard.echoes++;
  else if (!isForUs && isOfPeer) heard.stranger = `for client ${destination.logical}, and we are ${own.logical}`;
  return isForUs && isOfPeer;
}

/** Octets outside of frames that a bus makes by itself when its drivers take turns. */
const noiseOctets = 3;
/** What came damaged in any of the tries: what comes in bits and pieces may leave the last one without a flag. */
export function damageOf(now: Counts, heard: Heard, tries: number): string | undefined {
  const noise = now.dropped - heard.dropped > noiseOctets * tries;
  return now.pending || now.damaged > heard.damaged || noise ? now.lastDamage || 'not whole in time' : undefined;
}

/** A question without an answer. */
interface Tries {
  readonly doing: 'SNRM' | 'the request';
  readonly asked: number;
  /** What came damaged or in pieces; undefined where nothing did. */
  readonly damage: string | undefined;
  /** Whole frames of the meter came in the last try. */
  readonly answered: boolean;
  readonly heard: Heard;
}
type Unanswered = 'answer-stalled' | 'echo-only' | 'damaged-answer' | 'no-answer';

export function whyUnanswered(tries: Tries): { readonly code: Unanswered; readonly message: string } {
  const { doing, asked, damage, heard } = tries;
  const times = `asked ${asked} time${asked > 1 ? 's' : ''}`;
  if (damage !== undefined)
    return { code: 'damaged-answer', message: `the answer to ${doing} came damaged (${damage}), ${times}` };
  if (tries.answered)
    return { code: 'answer-stalled', message: `the meter answers and does not go on with ${doing}, ${times}` };
  if (heard.echoes > 0) return { code: 'echo-only', message: `only our own octets came back for ${doing}, ${times}` };
  const came = heard.stranger === undefined ? '' : `; what came is ${heard.stranger}`;
  return { code: 'no-answer', message: `no answer to ${doing}, ${times}${came}` };
}

/** The meter answered by DM or FRMR: to our SNRM it is a refusal, and else the end of the connection. */
export function whyDismissed(
  kind: 'DM' | 'FRMR',
  action: 'refused' | 'lost',
): { readonly code: 'frame-rejected' | 'link-disconnected'; readonly message: string } {
  const code = kind === 'FRMR' ? 'frame-rejected' : 'link-disconnected';
  if (action === 'refused') return { code, message: `the meter answered SNRM with ${kind}` };
  return {
    code,
    message: kind === 'FRMR' ? 'the meter rejected a frame (FRMR)' : 'the meter is in disconnected mode (DM)',
  };
}
