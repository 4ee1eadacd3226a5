import { cutFrame, type Frame } from './frame.ts';

/**
 * Cuts a stream of octets into frames by their length field and finds the next flag after damage. A flag may close one
 * frame and open the next; octets between frames are dropped. Holds one frame at most (2 050 octets).
 */
export class Deframer {
  private buffer = new Uint8Array(4096);
  private start = 0;
  private end = 0;
  /** Places where a flag did not open a good frame although octets followed, and octets dropped while seeking a flag. */
  damaged = 0;
  dropped = 0;
  lastDamage = '';

  /** Adds octets and returns the frames that became complete. */
  push(octets: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < octets.length; ) {
      if (this.start > 0 && this.end + octets.length - at > this.buffer.length) {
        this.buffer.copyWithin(0, this.start, this.end);
        this.end -= this.start;
        this.start = 0;
      }
      const count = Math.min(this.buffer.length - this.end, octets.length - at);
      this.buffer.set(octets.subarray(at, at + count), this.end);
      this.end += count;
      at += count;
      this.scan(frames);
    }
    return frames;
  }

  private scan(frames: Frame[]): void {
    for (;;) {
      const flag = this.buffer.indexOf(0x7e, this.start);
      if (flag < 0 || flag >= this.end) {
        this.dropped += this.end - this.start;
        this.start = this.end = 0;
        return;
      }
      this.dropped += flag - this.start;
      this.start = flag;
      if (flag + 1 < this.end && this.buffer[flag + 1] === 0x7e) {
        this.start = flag + 1;
        continue;
      }
      const cut = cutFrame(this.buffer, flag + 1, this.end);
      if (cut.is === 'partial') return;
      if (cut.is === 'frame') {
        frames.push(cut.frame);
        this.start = cut.next;
        // The closing flag stays: it may open the next frame.
        continue;
      }
      this.damaged++;
      this.lastDamage = cut.why;
      this.start = flag + 1;
    }
  }

  /** A frame has begun and is not complete. */
  get pending(): boolean {
    return this.end - this.start > 1;
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
      this.start += 1;
      this.scan(frames);
    }
    return frames;
  }
}
