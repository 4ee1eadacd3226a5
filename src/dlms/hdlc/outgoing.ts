/** Our information on its way: segments that wait, segments that wait for their acknowledgement, and V(S) (Green Book 8.4). */
export interface Segment {
  readonly information: Uint8Array;
  readonly more: boolean;
}
export interface Outgoing {
  /** V(S): the number of the segment that goes next. */
  vs: number;
  waiting: Segment[];
  readonly unacknowledged: Segment[];
}
export const nothingOutgoing = (): Outgoing => ({ vs: 0, waiting: [], unacknowledged: [] });

/** Cuts information into segments of `size` octets; none at all is one segment without content. */
export function enqueue({ waiting }: Outgoing, information: Uint8Array, size: number): void {
  for (let at = 0; at === 0 || at < information.length; at += size) {
    waiting.push({ information: information.subarray(at, at + size), more: at + size < information.length });
  }
}

/** N(S) of the first segment that is not acknowledged. */
export const oldestNumber = ({ vs, unacknowledged }: Outgoing): number => (vs - unacknowledged.length) & 7;

/** The segments that the window has room for. From now on they wait for their acknowledgement. */
export function takeWindow(outgoing: Outgoing, window: number): { readonly first: number; readonly burst: Segment[] } {
  const burst = outgoing.waiting.splice(0, window - outgoing.unacknowledged.length);
  const first = outgoing.vs;
  outgoing.vs = (first + burst.length) & 7;
  outgoing.unacknowledged.push(...burst);
  return { first, burst };
}

/** N(R) acknowledges all segments before it: how many. An impossible N(R) changes nothing, and is undefined. */
export function acknowledge(outgoing: Outgoing, nr: number): number | undefined {
  const count = (nr - oldestNumber(outgoing)) & 7;
  if (count > outgoing.unacknowledged.length) return undefined;
  outgoing.unacknowledged.splice(0, count);
  return count;
}
