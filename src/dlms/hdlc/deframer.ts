import { concat } from '../../base/cursor.ts';
import { cutFrame, type Frame } from './frame.ts';

const nothing = new Uint8Array(0);

/**
 * Cuts a stream of octets into frames by their length field and finds the next flag after damage. A flag may close one
 * frame and open the next; octets between frames are dropped. Holds one frame at most (2 050 octets). Frames are views of
 * the octets that came; whoever pushes octets does not change them afterwards.
 */
export class Deframer {
  /** What came and is no whole frame yet; begins with a flag. */
  private rest: Uint8Array = nothing;
  /** Places where a flag did not open a good frame although octets followed, and octets dropped while seeking a flag. */
  damaged = 0;
  dropped = 0;
  lastDamage = '';

  /** Adds octets and returns the frames that became complete. */
  push(octets: Uint8Array): Frame[] {
    // The closing flag of the frame before is kept; where the next frame brings its own, nothing is copied.
    const flagOnly = this.rest.length === 0 || (this.rest.length === 1 && octets[0] === 0x7e);
    return this.scan(flagOnly ? octets : concat([this.rest, octets]), 0);
  }

  private scan(octets: Uint8Array, from: number): Frame[] {
    const frames: Frame[] = [];
    const end = octets.length;
    let start = from;
    for (;;) {
      let flag = start;
      while (flag < end && octets[flag] !== 0x7e) flag++;
      this.dropped += flag - start;
      start = flag;
      if (flag >= end) break;
      if (octets[flag + 1] === 0x7e) {
        start = flag + 1;
        continue;
      }
      const cut = cutFrame(octets, flag + 1, end);
      if (cut.is === 'partial') break;
      if (cut.is === 'frame') {
        frames.push(cut.frame);
        // The closing flag stays: it may open the next frame.
        start = cut.next;
        continue;
      }
      this.damaged++;
      this.lastDamage = cut.why;
      start = flag + 1;
    }
    this.rest = start === 0 ? octets : start >= end ? nothing : octets.subarray(start);
    return frames;
  }

  /** A frame has begun and is not complete. */
  get pending(): boolean {
    return this.rest.length > 1;
  }

  /** Octets of a frame that is not whole yet. */
  get pendingOctets(): number {
    return this.pending ? this.rest.length : 0;
  }
  /** Octets that this frame lacks, at least. */
  get missingOctets(): number {
    const cut = this.pending ? cutFrame(this.rest, 1, this.rest.length) : undefined;
    return cut?.is === 'partial' ? cut.missing : 0;
  }

  /**
   * The line fell silent: what is left is no frame. Whole frames may hide behind a damaged length field, so the octets
   * after its flag are searched again.
   */
  flush(): Frame[] {
    const frames: Frame[] = [];
    while (this.pending) {
      this.damaged++;
      this.lastDamage = 'cut off';
      frames.push(...this.scan(this.rest, 1));
    }
    return frames;
  }
}
